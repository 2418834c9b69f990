//! pgbench as a client that checks itself: no transaction may fail, and the books must balance.

use pgweir_sandbox::Cluster;

use crate::harness::{Setup, Site};
use crate::programs::{Login, psql, tool};

#[test]
fn pgbench_of_all_kinds_fails_nothing_and_balances() {
    let site = Setup::newest().standbys(2).start();
    let login = Login::superuser(site.pgweir.port());
    tool(&site.cluster, "pgbench", &login, &["-i", "-s", "10", "-q"]).finish();
    for clients in ["16", "64"] {
        for protocol in ["simple", "extended", "prepared"] {
            for script in ["select-only", "tpcb-like"] {
                run(&site, clients, protocol, script);
            }
        }
    }
    assert_balanced(&site.cluster);
    for standby in site.cluster.standbys() {
        let read = site.pgweir.metric("pgweir_queries_total", &[("node", standby.name()), ("kind", "query")]);
        assert!(read.is_some_and(|count| count > 1000.0), "{} serves reads: {read:?}", standby.name());
    }
}

fn run(site: &Site, clients: &str, protocol: &str, script: &str) {
    // Two threads: a client that waits for a server to prepare on would stop the others of its thread, who may hold all
    // servers, so what others have prepared must need none.
    let arguments = ["-n", "-c", clients, "-j", "2", "-T", SECONDS, "-M", protocol, "-b", script];
    let finished = tool(&site.cluster, "pgbench", &Login::superuser(site.pgweir.port()), &arguments).finish();
    let line = |start: &str| finished.stdout.lines().find_map(|line| line.strip_prefix(start));
    let failed = line("number of failed transactions: ").expect("pgbench counts failures");
    assert!(failed.starts_with("0 "), "{clients} clients, {protocol}, {script}: {finished}");
    assert!(!finished.stderr.contains("error"), "{clients} clients, {protocol}, {script}: {finished}");
    let done = line("number of transactions actually processed: ").expect("pgbench counts transactions");
    assert!(done.trim().parse::<u64>().is_ok_and(|done| done > 50), "{finished}");
}

/// Every transaction adds one delta to an account, a teller, a branch and the history.
fn assert_balanced(cluster: &Cluster) {
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), \
                (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)";
    let finished = psql(cluster, &Login::superuser(cluster.primary().port()), sums);
    let sums: Vec<&str> = finished.printed().split('|').collect();
    assert!(sums.len() == 4 && !sums[0].is_empty() && sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

const SECONDS: &str = "2";
