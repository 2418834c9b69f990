//! `pgweir demo --check`: the promises, judged by what clients see while standbys fail.

use std::thread;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Cluster, Node, wait_until};

use super::front::{Front, STALENESS_MAX};
use super::proof::writes_by_port;
use super::traffic::{Tally, Traffic};
use super::{DemoError, WEIGHTS, say};

/// One promise and how it was kept.
struct Row {
    promise: String,
    seen: String,
    wanted: String,
    kept: bool,
}

/// Runs traffic through the failures, prints the table, and says whether all promises were kept.
pub(super) fn run(cluster: &Cluster, front: &Front) -> Result<bool, DemoError> {
    say(format_args!("\nChecking under traffic: kill -9 of one standby, paused replay on the other ..."));
    let before = rows_written(cluster)?;
    let traffic = Traffic::default();
    let mut rows = thread::scope(|scope| {
        traffic.start(scope, front);
        let rows = phases(cluster, front, &traffic);
        // Also after a failure, or the scope would wait for the sessions forever.
        traffic.stop();
        rows
    })?;
    rows.insert(0, writes(cluster, &traffic.tally(), before)?);
    rows.push(errors("client errors over the whole run", &Tally::default(), &traffic.tally()));
    print(&rows);
    if let Some(error) = traffic.tally().first_error {
        say(format_args!("\nThe first error that a client saw: {error}"));
    }
    Ok(rows.iter().all(|row| row.kept))
}

fn phases(cluster: &Cluster, front: &Front, traffic: &Traffic) -> Result<Vec<Row>, DemoError> {
    let mut rows = shares(cluster, traffic)?;
    rows.extend(killed_standby(cluster.node(1), front, traffic)?);
    rows.extend(paused_standby(cluster.node(2), front, traffic)?);
    Ok(rows)
}

/// Every row in the table names the server that wrote it.
fn writes(cluster: &Cluster, tally: &Tally, before: u64) -> Result<Row, DemoError> {
    let by_port = writes_by_port(cluster.primary())?;
    let written = by_port.values().sum::<u64>() - before;
    let elsewhere: u64 =
        by_port.iter().filter(|&(&port, _)| port != cluster.primary().port()).map(|(_, count)| count).sum();
    Ok(Row {
        promise: format!("writes on the primary ({})", cluster.primary().name()),
        seen: format!("{} of {}", written.saturating_sub(elsewhere), tally.writes),
        wanted: "all".to_owned(),
        // A write may have committed although its client got an error; those are judged as errors.
        kept: elsewhere == 0 && (tally.writes..=tally.writes + tally.errors).contains(&written),
    })
}

/// Reads by standby, in undisturbed traffic, against the weights.
fn shares(cluster: &Cluster, traffic: &Traffic) -> Result<Vec<Row>, DemoError> {
    let start = traffic.tally();
    wait_until(PHASE_WITHIN, "enough reads to judge the weights", || {
        traffic.tally().all_reads() >= start.all_reads() + READS_FOR_SHARES
    })?;
    let end = traffic.tally();
    let all = (end.all_reads() - start.all_reads()) as f64;
    let weights = f64::from(WEIGHTS[1..].iter().sum::<u32>());
    let standbys = cluster.nodes().iter().zip(WEIGHTS).skip(1);
    Ok(standbys
        .map(|(node, weight)| {
            let share = (end.reads_of(node.port()) - start.reads_of(node.port())) as f64 / all;
            let wanted = f64::from(weight) / weights;
            Row {
                promise: format!("reads on {} (weight {weight})", node.name()),
                seen: format!("{:.1} %", share * 100.0),
                wanted: format!("{:.1} % +-10 %", wanted * 100.0),
                kept: (share / wanted - 1.0).abs() <= 0.1,
            }
        })
        .collect())
}

/// Kills a standby while it serves reads, and lets it come back.
fn killed_standby(node: &Node, front: &Front, traffic: &Traffic) -> Result<Vec<Row>, DemoError> {
    let start = traffic.tally();
    node.kill9()?;
    wait_until(PHASE_WITHIN, "pgweir leaves the killed standby", || !front.serves_reads(node.name()))?;
    let left = traffic.tally();
    wait_until(PHASE_WITHIN, "traffic goes on without the killed standby", || {
        traffic.tally().all_reads() >= left.all_reads() + READS_TO_GO_ON
    })?;
    let mut rows =
        vec![errors(&format!("client errors, {} killed (-9)", node.name()), &start, &traffic.tally())];
    let restarted = Instant::now();
    node.start()?;
    rows.push(back(node, "restart", restarted, traffic));
    Ok(rows)
}

/// Pauses replay, so that a standby's data grow old, and resumes it.
fn paused_standby(node: &Node, front: &Front, traffic: &Traffic) -> Result<Vec<Row>, DemoError> {
    let start = traffic.tally();
    let paused = Instant::now();
    node.pause_replay()?;
    let out =
        wait_until(PHASE_WITHIN, "pgweir leaves the paused standby", || !front.serves_reads(node.name()));
    let left = traffic.tally();
    wait_until(PHASE_WITHIN, "traffic goes on without the paused standby", || {
        traffic.tally().all_reads() >= left.all_reads() + READS_TO_GO_ON
    })?;
    let end = traffic.tally();
    let last = end.last_read.get(&node.port()).copied().unwrap_or(paused);
    let late = last.saturating_duration_since(paused + STALENESS_MAX);
    let mut rows = vec![
        Row {
            promise: format!("{} out after passing the cap", node.name()),
            seen: format!("{:.2} s after", late.as_secs_f64()),
            wanted: format!("<= {} s", OUT_WITHIN.as_secs()),
            kept: out.is_ok() && late <= OUT_WITHIN,
        },
        errors(&format!("client errors, {} paused", node.name()), &start, &end),
    ];
    let resumed = Instant::now();
    node.resume_replay()?;
    rows.push(back(node, "resume", resumed, traffic));
    Ok(rows)
}

/// Whether reads come from the node again.
fn back(node: &Node, after: &str, since: Instant, traffic: &Traffic) -> Row {
    let before = traffic.tally().reads_of(node.port());
    let returned = wait_until(PHASE_WITHIN, "the standby serves reads again", || {
        traffic.tally().reads_of(node.port()) > before
    });
    Row {
        promise: format!("{} serves reads after {after}", node.name()),
        seen: match returned {
            Ok(()) => format!("after {:.2} s", since.elapsed().as_secs_f64()),
            Err(_) => format!("not within {} s", PHASE_WITHIN.as_secs()),
        },
        wanted: "back".to_owned(),
        kept: returned.is_ok(),
    }
}

fn errors(promise: &str, start: &Tally, end: &Tally) -> Row {
    let statements = |tally: &Tally| tally.all_reads() + tally.writes + tally.errors;
    let failed = end.errors - start.errors;
    Row {
        promise: promise.to_owned(),
        seen: format!("{failed} of {}", statements(end) - statements(start)),
        wanted: "0".to_owned(),
        kept: failed == 0,
    }
}

fn rows_written(cluster: &Cluster) -> Result<u64, DemoError> {
    Ok(writes_by_port(cluster.primary())?.values().sum())
}

fn print(rows: &[Row]) {
    say(format_args!("\n{:<38} {:<18} wanted", "promise", "seen"));
    for row in rows {
        let verdict = if row.kept { "ok" } else { "BROKEN" };
        say(format_args!("{:<38} {:<18} {:<16} {verdict}", row.promise, row.seen, row.wanted));
    }
    let broken = rows.iter().filter(|row| !row.kept).count();
    match broken {
        0 => say(format_args!("\nAll {} promises kept.", rows.len())),
        _ => say(format_args!("\n{broken} of {} promises BROKEN.", rows.len())),
    }
}

/// A share of one third is then known to 3 % of itself, even if nodes are drawn at random.
const READS_FOR_SHARES: u64 = 6000;
const READS_TO_GO_ON: u64 = 500;
/// How long after passing the staleness cap a standby may still serve.
const OUT_WITHIN: Duration = Duration::from_secs(2);
/// Far longer than any phase takes.
const PHASE_WITHIN: Duration = Duration::from_secs(60);
