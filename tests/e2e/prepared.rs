//! Prepared transactions (two-phase commit): anybody may end them, and an operator hears of those that nobody ends.

use pgweir_sandbox::{Binaries, Client};

use crate::harness::{Setup, Site};

#[test]
fn whoever_comes_ends_what_another_client_prepared() {
    for binaries in Binaries::installed() {
        let site = two_phase(Setup::on(&binaries).standbys(1)).start();
        let mut first = site.connect();
        first.query("CREATE TABLE t (n int)").unwrap();
        for gid in ["kept", "undone", "later"] {
            prepare(&mut first, gid);
            assert_eq!(first.transaction_status(), 'I');
        }
        let mut second = site.connect();
        assert_eq!(second.query("SELECT count(*) FROM t").unwrap().value(), "0", "nothing is committed yet");
        assert_eq!(second.query("COMMIT PREPARED 'kept'").unwrap().tag, "COMMIT PREPARED");
        assert_eq!(second.query("SELECT count(*) FROM t").unwrap().value(), "1", "its own write is seen");
        drop(first);
        // Not one server connection is left of those that prepared anything.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        site.cluster.primary().query("postgres", end).unwrap();
        site.cluster.primary().restart().unwrap();
        site.pgweir.wait_ready();
        let mut third = site.connect();
        assert_eq!(third.query("ROLLBACK PREPARED 'undone'").unwrap().tag, "ROLLBACK PREPARED");
        assert_eq!(third.query("COMMIT PREPARED 'later'").unwrap().tag, "COMMIT PREPARED");
        let error = third.query("COMMIT PREPARED 'kept'").unwrap_err();
        assert_eq!(error.sqlstate(), Some("42704"), "{error}");
        assert_eq!(third.query("SELECT count(*) FROM t").unwrap().value(), "2", "its own write is seen");
    }
}

#[test]
fn an_operator_hears_of_prepared_transactions_that_nobody_ends() {
    let setup = two_phase(Setup::newest().standbys(1));
    let site = setup.set("cluster.main", "prepared_transaction_age_warn", "\"100ms\"").start();
    let waiting = || site.pgweir.metric("pgweir_prepared_transactions", &[("cluster", "main")]);
    site.wait_for("pgweir has looked", || waiting() == Some(0.0));
    let oldest = || site.pgweir.metric("pgweir_prepared_transaction_oldest_seconds", &[("cluster", "main")]);
    assert_eq!(oldest(), Some(0.0));
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int)").unwrap();
    prepare(&mut client, "nobody's \"own\"");
    prepare(&mut client, "another");
    site.wait_for("both are counted", || waiting() == Some(2.0));
    let warned = || warnings(&site, "nobody's").len();
    site.wait_for("it is warned of", || warned() == 1);
    let line = warnings(&site, "nobody's").remove(0);
    for part in ["WARN", "cluster=\"main\"", "owner=\"postgres\"", "database=\"postgres\"", "age="] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
    let before = oldest().expect("it is known");
    assert!(before > 0.0, "{before}");
    // A further look, which the second one's end shows, warns of nothing again.
    client.query("ROLLBACK PREPARED 'another'").unwrap();
    site.wait_for("one is left", || waiting() == Some(1.0));
    assert!(oldest().expect("it is known") > before);
    assert_eq!(warned(), 1, "once");
    client.query("COMMIT PREPARED 'nobody''s \"own\"'").unwrap();
    site.wait_for("none is left", || waiting() == Some(0.0));
    assert_eq!(oldest(), Some(0.0));
}

fn two_phase(setup: Setup) -> Setup {
    let prepared = ("max_prepared_transactions".to_owned(), "10".to_owned());
    setup.servers(|servers| servers.extra_config.push(prepared))
}

fn prepare(client: &mut Client, gid: &str) {
    client.query("BEGIN").unwrap();
    client.query("INSERT INTO t VALUES (1)").unwrap();
    let quoted = gid.replace('\'', "''");
    assert_eq!(client.query(&format!("PREPARE TRANSACTION '{quoted}'")).unwrap().tag, "PREPARE TRANSACTION");
}

fn warnings(site: &Site, gid: &str) -> Vec<String> {
    let log = site.pgweir.log();
    log.lines()
        .filter(|line| line.contains("prepared transaction") && line.contains(gid))
        .map(str::to_owned)
        .collect()
}
