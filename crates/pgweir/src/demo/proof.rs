//! The main job, once: rows written through pgweir, read back many times, and which server did what.

use std::collections::BTreeMap;
use std::time::Duration;

use pgweir_sandbox::{Cluster, Node};

use super::front::Front;
use super::{DemoError, WEIGHTS, say};

/// Whether every write reached the primary, every read a standby, and every read saw all rows.
pub(super) fn run(cluster: &Cluster, front: &Front) -> Result<bool, DemoError> {
    let mut writer = front.connect()?;
    writer.query(CREATE)?;
    for number in 1..=WRITES {
        writer.query(&format!("INSERT INTO demo (number) VALUES ({number})"))?;
    }
    cluster.wait_caught_up(Duration::from_secs(30))?;

    let mut reader = front.connect()?;
    let mut reads = BTreeMap::new();
    let mut complete = true;
    for _ in 0..READS {
        let reply = reader.query("SELECT current_setting('sandbox.port'), count(*) FROM demo")?;
        complete &= reply.rows.first().and_then(|row| row[1].as_deref()) == Some(&WRITES.to_string());
        *reads.entry(port_of(reply.value())).or_insert(0) += 1;
    }
    let writes = writes_by_port(cluster.primary())?;
    say(format_args!("Through pgweir: a table created, {WRITES} rows written, read back {READS} times."));
    for (node, weight) in cluster.nodes().iter().zip(WEIGHTS) {
        let count = |of: &BTreeMap<u16, u64>| of.get(&node.port()).copied().unwrap_or(0);
        let role = if node.port() == cluster.primary().port() { "primary" } else { "standby" };
        say(format_args!(
            "  {}  {role}  port {}  weight {weight}  {:>5} writes {:>5} reads",
            node.name(),
            node.port(),
            count(&writes),
            count(&reads),
        ));
    }
    if !complete {
        say(format_args!("  WRONG: a read did not see all {WRITES} rows"));
    }
    let primary = cluster.primary().port();
    Ok(complete && !reads.contains_key(&primary) && writes.keys().eq([&primary]))
}

/// How many rows each server wrote, by the port that the server itself put into the row. Asked of the
/// node directly, so that the answer does not rest on pgweir.
pub(super) fn writes_by_port(node: &Node) -> Result<BTreeMap<u16, u64>, DemoError> {
    let reply = node.query("postgres", "SELECT written_on, count(*) FROM demo GROUP BY 1")?;
    let rows = reply.rows.iter().map(|row| {
        let text = |column: usize| row.get(column).and_then(Option::as_deref).unwrap_or("");
        (port_of(text(0)), text(1).parse().unwrap_or(0))
    });
    Ok(rows.collect())
}

/// The port in a server's answer; 0, which is nobody's, if there is none.
pub(super) fn port_of(text: &str) -> u16 {
    text.parse().unwrap_or(0)
}

/// Each row keeps the port of the server that wrote it.
const CREATE: &str = "CREATE TABLE demo (number int, written_on int DEFAULT current_setting('port')::int)";
const WRITES: u64 = 100;
const READS: u64 = 400;
