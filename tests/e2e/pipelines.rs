//! pgbench in pipeline mode: many statements sent at once, with all replies in order and all books balanced.

use std::fs;

use pgweir_sandbox::Binaries;

use crate::harness::{Setup, Site};
use crate::programs::{Login, psql, tool};

#[test]
fn pgbench_pipelines_as_directly() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(2).set("pool", "size", "3").start();
        let through = Login::superuser(site.pgweir.port());
        psql(&site.cluster, &through, TABLES);
        for protocol in ["extended", "prepared"] {
            run(&site, protocol, "transactions", TRANSACTIONS);
            run(&site, protocol, "implicit", IMPLICIT);
            run(&site, protocol, "reads", READS);
            if binaries.major >= 17 {
                run(&site, protocol, "syncs", SYNCS);
            }
        }
        let directly = Login::superuser(site.cluster.primary().port());
        let sums = psql(&site.cluster, &directly, BOOKS);
        let writers: u32 = if binaries.major >= 17 { 6 } else { 4 };
        let (deltas, rows) = sums.printed().split_once('|').expect("two columns");
        assert_eq!((deltas, rows.parse()), ("t", Ok(writers * CLIENTS * TIMES)), "{}", binaries.version);
    }
}

/// Runs a script as often as asked, and reads from standbys where it only reads.
fn run(site: &Site, protocol: &str, name: &str, script: &str) {
    let file = site.cluster.directory().join(format!("{name}.sql"));
    fs::write(&file, script).expect("the cluster's directory takes files");
    let (clients, times) = (CLIENTS.to_string(), TIMES.to_string());
    let file = file.to_str().expect("a plain path");
    let arguments = ["-n", "-c", &clients, "-t", &times, "-M", protocol, "-f", file];
    let finished = tool(&site.cluster, "pgbench", &Login::superuser(site.pgweir.port()), &arguments).finish();
    let processed = format!("transactions actually processed: {0}/{0}", CLIENTS * TIMES);
    assert!(finished.stdout.contains(&processed), "{name}, {protocol}: {finished}");
    assert!(!finished.stderr.contains("error"), "{name}, {protocol}: {finished}");
    if name == "reads" {
        for standby in site.cluster.standbys() {
            let read = site.pgweir.metric("pgweir_queries_total", &[("node", standby.name())]);
            assert!(read.is_some_and(|count| count > 0.0), "{} serves no pipelines", standby.name());
        }
    }
}

const CLIENTS: u32 = 8;
const TIMES: u32 = 40;

const TABLES: &str = "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL); \
                      CREATE TABLE history (id int, delta int, balance bigint); \
                      INSERT INTO account SELECT id, 0 FROM generate_series(1, 100) AS id";
/// Whether accounts and history agree, and how many transactions there were.
const BOOKS: &str = "SELECT (SELECT sum(balance) FROM account) = sum(delta), count(*) FROM history";

const TRANSACTIONS: &str = r"
\set id random(1, 100)
\set delta random(-5000, 5000)
\startpipeline
BEGIN;
UPDATE account SET balance = balance + :delta WHERE id = :id;
SELECT balance FROM account WHERE id = :id;
INSERT INTO history SELECT id, :delta, balance FROM account WHERE id = :id;
COMMIT;
SELECT count(*) FROM history;
\endpipeline
";

const IMPLICIT: &str = r"
\set id random(1, 100)
\set delta random(-5000, 5000)
SELECT balance FROM account WHERE id = :id;
\startpipeline
UPDATE account SET balance = balance + :delta WHERE id = :id;
INSERT INTO history SELECT id, :delta, balance FROM account WHERE id = :id;
\endpipeline
\startpipeline
\endpipeline
";

const READS: &str = r"
\set id random(1, 100)
\startpipeline
SELECT balance FROM account WHERE id = :id;
SELECT balance FROM account WHERE id > :id ORDER BY id;
SELECT count(*) FROM generate_series(1, :id);
\endpipeline
";

const SYNCS: &str = r"
\set id random(1, 100)
\set delta random(-5000, 5000)
\startpipeline
SELECT balance FROM account WHERE id = :id;
\syncpipeline
UPDATE account SET balance = balance + :delta WHERE id = :id;
INSERT INTO history SELECT id, :delta, balance FROM account WHERE id = :id;
\syncpipeline
SELECT balance FROM account WHERE id > :id ORDER BY id;
\endpipeline
";
