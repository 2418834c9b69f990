//! What an operator does: checks a file, reloads, drains, reads logs and pages.

use std::fs;
use std::process::Command;

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{NodeEntry, Setup, Site, program};
use crate::programs::{Finished, Running};

#[test]
fn check_names_the_place_of_each_mistake_and_what_was_meant() {
    let cluster = Setup::newest().cluster();
    let check = |text: &str| -> Finished {
        let path = cluster.directory().join("checked.toml");
        fs::write(&path, text).expect("the file is written");
        let mut command = Command::new(program());
        command.arg("check").arg(path);
        Running::start(cluster.directory(), "check", command).finish_anyhow()
    };
    let node = "[auth]\nmethod = \"trust\"\n[[cluster.main.node]]\naddress = \"127.0.0.1:5432\"\n";
    let fine = check(node);
    assert!(fine.status.success(), "{fine}");

    let wrong =
        check(&format!("{node}[pool]\nsise = 5\nmode = \"transactions\"\n[cluster.main]\nfall = 0\n"));
    assert!(!wrong.status.success(), "{wrong}");
    for part in
        ["checked.toml:6:1", "`sise`", "size", "checked.toml:7:8", "\"transactions\"", "transaction", "fall"]
    {
        assert!(wrong.stderr.contains(part), "{part} is missing: {wrong}");
    }
    check("[pool\n").failed_with("checked.toml:1:6");
    check("").failed_with("cluster");
    check(&format!("{node}[listen]\ntls_cert = \"nowhere.pem\"\ntls_key = \"nowhere.pem\"\n"))
        .failed_with("nowhere.pem");
}

#[test]
fn a_reload_changes_nodes_weights_sizes_and_users_without_losing_a_client() {
    let setup = Setup::newest()
        .standbys(2)
        .set("cluster.main", "balance", "\"weighted\"")
        .set("cluster.main", "consistency", "\"eventual\"")
        .set("auth", "method", "\"password\"")
        .set("auth", "users_file", "\"users.txt\"");
    let cluster = setup.cluster();
    let users = cluster.directory().join("users.txt");
    fs::write(&users, "\"postgres\" \"old\"\n").expect("the file is written");
    let site = setup.before(cluster);
    site.wait_serving(&site.cluster.standbys());
    let log_in = |password| {
        let parameters = [("user", "postgres"), ("database", "postgres")];
        Client::connect_with(&site.pgweir.address(), &parameters, Some(password))
    };
    let mut client = log_in("old").expect("the password is right");
    let mut in_transaction = log_in("old").expect("the password is right");
    in_transaction.query("BEGIN").expect("pgweir answers");
    in_transaction.query("CREATE TABLE t (n int)").expect("pgweir answers");

    let standbys: Vec<String> = site.cluster.standbys().iter().map(|node| node.port().to_string()).collect();
    let mut reads = |count: usize| -> Vec<usize> {
        let ports: Vec<String> = (0..count)
            .map(|_| client.query(PORT).expect("the client keeps its session").value().to_owned())
            .collect();
        standbys.iter().map(|standby| ports.iter().filter(|port| *port == standby).count()).collect()
    };
    let both = reads(100);
    assert!(both.iter().all(|count| *count > 0) && both.iter().sum::<usize>() == 100, "{both:?}");

    // A weight of 0, a user's new password.
    fs::write(&users, "\"postgres\" \"new\"\n").expect("the file is written");
    let entries = setup.entries(&site.cluster);
    let text = |entries: &[NodeEntry]| setup.text(site.pgweir.port(), site.pgweir.http_port(), entries);
    let weightless: Vec<NodeEntry> = entries
        .iter()
        .map(|entry| NodeEntry { weight: u32::from(entry.name != "node3"), ..entry.clone() })
        .collect();
    site.pgweir.reload(&text(&weightless));
    assert_eq!(reads(100), [100, 0]);
    assert!(matches!(log_in("old"), Err(SandboxError::Server(error)) if error.sqlstate == "28P01"));
    log_in("new").expect("the password is right");

    // A node less.
    let fewer: Vec<NodeEntry> = entries.iter().filter(|entry| entry.name != "node2").cloned().collect();
    site.pgweir.reload(&text(&fewer));
    assert_eq!(reads(50), [0, 50]);
    site.wait_for("the metrics forget the node", || site.pgweir.serves_reads("node2").is_none());

    // And there again.
    site.pgweir.reload(&text(&entries));
    site.wait_serving(&site.cluster.standbys());
    // While a connection to it is being opened, the other one steps in.
    site.wait_for("both standbys serve", || reads(10).iter().all(|count| *count > 0));

    in_transaction.query("INSERT INTO t VALUES (1)").expect("the transaction goes on");
    in_transaction.query("COMMIT").expect("the transaction goes on");
    assert_eq!(rows(&site), "1");
    // The address to listen on needs a restart, and the log says so.
    let moved = setup.clone().set("listen", "address", "\"127.0.0.1:1\"");
    site.pgweir.reload(&moved.text_for(&site));
    assert!(site.pgweir.log().contains("needs a restart"), "{}", site.pgweir.log());
}

/// A plain read, which each node answers with its own port.
const PORT: &str = "SHOW port";

#[test]
fn sigterm_lets_a_transaction_finish_and_sends_the_idle_away() {
    let mut site = Setup::newest().set("listen", "drain_timeout", "\"60s\"").start();
    let (mut idle, mut busy) = (site.connect(), site.connect());
    idle.query("CREATE TABLE t (n int)").expect("pgweir answers");
    busy.query("BEGIN").expect("pgweir answers");
    busy.query("INSERT INTO t VALUES (1)").expect("pgweir answers");
    site.pgweir.process().terminate();

    let gone = idle.reply();
    assert!(matches!(gone, Err(SandboxError::Server(ref error)) if error.sqlstate == "57P01"), "{gone:?}");
    site.wait_for("nobody is let in any more", || site.try_connect("postgres", "postgres").is_err());
    busy.query("INSERT INTO t VALUES (2)").expect("the transaction goes on");
    busy.query("COMMIT").expect("the transaction goes on");
    let gone = busy.reply();
    assert!(matches!(gone, Err(SandboxError::Server(ref error)) if error.sqlstate == "57P01"), "{gone:?}");
    assert!(site.pgweir.wait_ended().success());
    assert_eq!(rows(&site), "2");
}

#[test]
fn a_drain_ends_at_its_deadline_and_at_once_by_a_second_sigterm() {
    let mut site = Setup::newest().set("listen", "drain_timeout", "\"300ms\"").start();
    let mut busy = begun(&site);
    site.pgweir.process().terminate();
    assert!(site.pgweir.wait_ended().success(), "the deadline passes");
    let gone = busy.reply();
    assert!(matches!(gone, Err(SandboxError::Server(ref error)) if error.sqlstate == "57P01"), "{gone:?}");
    assert_eq!(rows(&site), "0", "what was not committed is not there");

    let mut site = Setup::newest().set("listen", "drain_timeout", "\"10m\"").start();
    let mut busy = begun(&site);
    site.pgweir.process().terminate();
    site.wait_for("it drains", || site.pgweir.log().contains("no more clients are taken"));
    site.pgweir.process().terminate();
    assert!(site.pgweir.wait_ended().success(), "the second signal ends it");
    let gone = busy.reply();
    assert!(matches!(gone, Err(SandboxError::Server(ref error)) if error.sqlstate == "57P01"), "{gone:?}");
}

fn begun(site: &Site) -> Client {
    let mut busy = site.connect();
    busy.query("CREATE TABLE t (n int)").expect("pgweir answers");
    busy.query("BEGIN").expect("pgweir answers");
    busy.query("INSERT INTO t VALUES (1)").expect("pgweir answers");
    busy
}

fn rows(site: &Site) -> String {
    site.cluster.primary().query("postgres", "SELECT count(*) FROM t").expect("it answers").value().to_owned()
}

#[test]
fn logs_are_json_lines_where_that_is_asked_for() {
    let site = Setup::newest().set("log", "format", "\"json\"").set("log", "level", "\"debug\"").start();
    drop(site.connect());
    let log = site.pgweir.log();
    assert!(log.lines().count() > 2, "{log}");
    for line in log.lines() {
        let fields = ["\"timestamp\":\"", "\"level\":\"", "\"message\":\""];
        let whole = line.starts_with('{') && line.ends_with('}');
        assert!(whole && fields.iter().all(|field| line.contains(field)), "{line}");
    }
}

#[test]
fn pages_say_what_is_so() {
    let site = Setup::newest().standbys(1).start();
    let status = |path: &str| site.pgweir.page(path).expect("pgweir answers").0;
    assert_eq!((status("/healthz"), status("/readyz"), status("/nothing")), (200, 200, 404));
    let health = || {
        let mut command = Command::new(program());
        command.args(["health", "--address", &format!("127.0.0.1:{}", site.pgweir.http_port())]);
        Running::start(site.cluster.directory(), "health", command).finish_anyhow()
    };
    assert!(health().status.success(), "{}", health());
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int)").expect("pgweir answers");
    client.query("SELECT no_such_column").expect_err("it is an error");
    let (_, page) = site.pgweir.page("/metrics").expect("pgweir answers");
    for name in METRICS {
        assert!(page.lines().any(|line| line.starts_with(name)), "{name} is missing:\n{page}");
    }
    assert_eq!(site.pgweir.metric("pgweir_node_role", &[("node", "node1"), ("role", "primary")]), Some(1.0));
    let ddl = [("node", "node1"), ("kind", "ddl")];
    assert_eq!(site.pgweir.metric("pgweir_queries_total", &ddl), Some(1.0));

    // Without any node it lives and is not ready, and with one it is again.
    for node in site.cluster.nodes() {
        node.kill9().expect("the node is killed");
    }
    site.wait_for("it is not ready", || site.pgweir.page("/readyz").is_some_and(|(status, _)| status == 503));
    assert_eq!(status("/healthz"), 200);
    health().failed_with("not ready");
    site.cluster.primary().start().expect("the primary starts");
    site.pgweir.wait_ready();
}

const METRICS: &[&str] = &[
    "pgweir_node_role{",
    "pgweir_node_health{",
    "pgweir_node_lag_bytes{",
    "pgweir_node_staleness_seconds{",
    "pgweir_queries_total{",
    "pgweir_query_duration_seconds_bucket{",
    "pgweir_clients",
    "pgweir_errors_total{",
];
