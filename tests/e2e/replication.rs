//! Replication connections: PostgreSQL's own tools through pgweir, and how such connections end.

use std::fs;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Binaries, Client, Hba, Node, SandboxError};

use crate::harness::{Setup, Site, cancel_request, query};
use crate::programs::{Login, Running, tool};

#[test]
fn a_base_backup_with_its_wal_comes_through() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        site.connect().query("CREATE TABLE t AS SELECT generate_series(1, 100000) AS n").unwrap();
        let backup = site.cluster.directory().join("backup");
        let backup = backup.to_str().unwrap();
        run(&site, "pg_basebackup", &["-D", backup, "-X", "stream", "-c", "fast", "--no-sync"]).finish();
        tool(&site.cluster, "pg_verifybackup", &login(&site), &[backup]).finish();
    }
}

#[test]
fn wal_is_received_as_it_is_written() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).start();
        let wal = site.cluster.directory().join("received");
        fs::create_dir(&wal).unwrap();
        let mut client = site.connect();
        client.query("SELECT pg_create_physical_replication_slot('archive', true)").unwrap();
        client.query("CREATE TABLE t AS SELECT generate_series(1, 200000) AS n").unwrap();
        let end = client.query("SELECT pg_current_wal_flush_lsn() FROM pg_class LIMIT 1").unwrap();
        // Something must follow for the end to be passed.
        client.query("SELECT pg_switch_wal()").unwrap();
        let end = format!("--endpos={}", end.value());
        run(&site, "pg_receivewal", &["-D", wal.to_str().unwrap(), "--slot=archive", &end, "-n"]).finish();
        let received: u64 =
            fs::read_dir(&wal).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(received >= 16 << 20, "{received} bytes were received");
    }
}

#[test]
fn logical_changes_are_decoded() {
    for binaries in Binaries::installed() {
        let site = logical(Setup::on(&binaries)).start();
        let mut client = site.connect();
        client.query("CREATE TABLE t (n int, name text)").unwrap();
        let slot = ["-d", "postgres", "--slot=changes"];
        run(&site, "pg_recvlogical", &[&slot[..], &["--create-slot", "-P", "test_decoding"]].concat())
            .finish();
        client.query("INSERT INTO t VALUES (1, 'one'), (2, 'two')").unwrap();
        let end = client.query("SELECT pg_current_wal_flush_lsn() FROM pg_class LIMIT 1").unwrap();
        let end = format!("--endpos={}", end.value());
        let start = [&slot[..], &["--start", "-f", "-", "-n", &end]].concat();
        let decoded = run(&site, "pg_recvlogical", &start).finish();
        for change in ["INSERT: n[integer]:1 name[text]:'one'", "INSERT: n[integer]:2 name[text]:'two'"] {
            assert!(decoded.stdout.contains(change), "{decoded}");
        }
        run(&site, "pg_recvlogical", &[&slot[..], &["--drop-slot"]].concat()).finish();
    }
}

#[test]
fn a_walsender_takes_its_commands_and_sql() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        let identify = |port: u16| {
            let command = ["-XAtq", "-d", "dbname=postgres replication=database", "-c", "IDENTIFY_SYSTEM"];
            let told = tool(&site.cluster, "psql", &Login::superuser(port), &command).finish();
            told.printed().split('|').next().map(str::to_owned)
        };
        assert_eq!(identify(site.pgweir.port()), identify(site.cluster.primary().port()));
        let mut client = walsender(&site, "database");
        assert_eq!(client.query("SHOW port").unwrap().value(), site.primary_port());
        let error = client.query("SELECT 1/0").unwrap_err();
        assert_eq!(error.sqlstate(), Some("22012"), "{error}");
        assert_eq!(client.query("SELECT current_setting('search_path')").unwrap().value(), "elsewhere");
        assert_eq!(client.parameter("application_name"), Some("replica"));
        assert_eq!(client.parameter("in_hot_standby").unwrap_or("off"), "off");
    }
}

#[test]
fn the_console_and_the_metrics_show_who_replicates() {
    let site = Setup::newest().set("log", "level", "\"debug\"").start();
    let client = walsender(&site, "database");
    let pinned = || site.pgweir.metric("pgweir_pinned_sessions", &[("reason", "replication")]);
    assert_eq!(pinned(), Some(1.0));
    let shown = |what: &str| {
        let mut console = site.try_connect("postgres", "pgweir").unwrap();
        let reply = console.query(what).unwrap();
        let kind = reply.columns.iter().position(|column| column == "replication").unwrap();
        let rows = reply.rows.into_iter().filter(|row| row[kind].as_deref() == Some("logical"));
        let rows: Vec<Vec<String>> =
            rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect();
        assert_eq!(rows.len(), 1, "{what}: {rows:?}");
        rows.into_iter().next().unwrap()
    };
    let (shown_client, shown_server) = (shown("SHOW CLIENTS"), shown("SHOW SERVERS"));
    assert!(shown_client.contains(&"replication".to_owned()), "{shown_client:?}");
    assert!(shown_server.contains(&site.primary_port()), "{shown_server:?}");
    assert!(site.pgweir.log().contains("reason=\"replication\""), "the pin is logged");
    drop(client);
    site.wait_for("nobody replicates", || pinned() == Some(0.0));
}

#[test]
fn a_statement_of_a_walsender_can_be_cancelled() {
    let site = Setup::newest().start();
    let mut client = walsender(&site, "database");
    client.wire().send(&query("SELECT pg_sleep(300)")).unwrap();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    site.wait_for("it sleeps", || on(site.cluster.primary(), asleep) == "1");
    let mut wire = site.wire();
    wire.send(&cancel_request(client.backend_key_data())).unwrap();
    assert_eq!(client.reply().unwrap_err().sqlstate(), Some("57014"));
    assert_eq!(client.query("SELECT 1").unwrap().value(), "1");
}

#[test]
fn what_the_server_refuses_the_client_hears() {
    let site = Setup::newest().start();
    site.cluster.primary().query("postgres", "CREATE ROLE plain LOGIN").unwrap();
    let refused = |parameters: &[(&str, &str)]| {
        let Err(SandboxError::Server(error)) = Client::connect_with(&site.pgweir.address(), parameters, None)
        else {
            panic!("{parameters:?} is let in")
        };
        (error.severity, error.sqlstate)
    };
    let fatal = |sqlstate: &str| ("FATAL".to_owned(), sqlstate.to_owned());
    let plain = [("user", "plain"), ("database", "postgres"), ("replication", "true")];
    assert_eq!(refused(&plain), fatal("42501"));
    let nowhere = [("user", "postgres"), ("database", "nowhere"), ("replication", "database")];
    assert_eq!(refused(&nowhere), fatal("3D000"));
    let wrong =
        [("user", "postgres"), ("database", "postgres"), ("replication", "true"), ("work_mem", "much")];
    assert_eq!(refused(&wrong), fatal("22023"));
}

#[test]
fn a_client_that_vanishes_takes_its_walsender_along() {
    let site = Setup::newest().start();
    let wal = site.cluster.directory().join("received");
    fs::create_dir(&wal).unwrap();
    let receiver = run(&site, "pg_receivewal", &["-D", wal.to_str().unwrap(), "-n"]);
    let walsenders = || on(site.cluster.primary(), "SELECT count(*) FROM pg_stat_replication");
    site.wait_for("it streams", || walsenders() == "1");
    drop(receiver);
    site.wait_for("the walsender ends", || walsenders() == "0");
}

#[test]
fn a_standby_follows_the_primary_through_one_address() {
    let site = Setup::newest().standbys(2).start();
    let (new, follower) = (site.cluster.node(1), site.cluster.node(2));
    follower.stream_from(site.pgweir.port()).unwrap();
    let streams = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    site.wait_for("it streams through pgweir", || on(follower, streams) == "1" && physical(&site) == 1);
    site.connect().query("CREATE TABLE t (n int)").unwrap();
    site.wait_caught_up();
    site.cluster.primary().kill9().unwrap();
    new.promote().unwrap();
    site.wait_for("the new primary is known", || {
        site.pgweir.metric("pgweir_node_role", &[("node", new.name()), ("role", "primary")]) == Some(1.0)
    });
    site.connect().query("INSERT INTO t VALUES (1)").unwrap();
    site.wait_for("it follows the new primary", || on(follower, "SELECT count(*) FROM t") == "1");
}

#[test]
fn a_subscription_takes_its_changes_through_pgweir() {
    let site = logical(Setup::newest()).start();
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int PRIMARY KEY)").unwrap();
    client.query("INSERT INTO t VALUES (1)").unwrap();
    client.query("CREATE PUBLICATION changes FOR TABLE t").unwrap();
    client.query("CREATE DATABASE copy").unwrap();
    let node = site.cluster.primary();
    node.query("copy", "CREATE TABLE t (n int PRIMARY KEY)").unwrap();
    // Publisher and subscriber are one server here, so the slot must be there before.
    client.query("SELECT pg_create_logical_replication_slot('changes', 'pgoutput')").unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION changes CONNECTION 'host=127.0.0.1 port={} user=postgres dbname=postgres' \
         PUBLICATION changes WITH (create_slot = false)",
        site.pgweir.port()
    );
    node.query("copy", &subscribe).unwrap();
    let copied = || node.query("copy", "SELECT count(*) FROM t").unwrap().value().to_owned();
    site.wait_for("what was there is copied", || copied() == "1");
    client.query("INSERT INTO t VALUES (2), (3)").unwrap();
    site.wait_for("what came later follows", || copied() == "3");
    node.query("copy", "DROP SUBSCRIPTION changes").unwrap();
}

#[test]
fn a_role_replicates_by_the_password_that_it_proved_to_pgweir() {
    let site = Setup::newest()
        .servers(|servers| servers.hba = Hba::ScramSha256)
        .set("auth", "method", "\"scram-sha-256\"")
        .set("auth", "query_user", "\"postgres\"")
        .set("auth", "query_password", "\"postgres\"")
        .set("cluster.main", "monitor_password", "\"postgres\"")
        .start();
    let create = "CREATE ROLE app LOGIN REPLICATION PASSWORD 'secret'";
    site.cluster.primary().query("postgres", create).unwrap();
    for database in ["dbname=postgres replication=database", "dbname=replication replication=true"] {
        let identify = |password| {
            let login = Login { user: "app", password, ..login(&site) };
            tool(&site.cluster, "psql", &login, &["-XAtq", "-d", database, "-c", "IDENTIFY_SYSTEM"])
        };
        assert!(identify("secret").finish().printed().contains('|'), "{database}");
        identify("wrong").finish_anyhow().failed_with("password authentication failed for user \"app\"");
    }
}

#[test]
fn a_primary_that_dies_ends_the_stream_and_a_new_one_takes_it_up() {
    let site = Setup::newest().standbys(1).start();
    let mut client = walsender(&site, "database");
    site.cluster.primary().kill9().unwrap();
    client.query("SELECT 1").expect_err("its server is dead");
    // Waits until there is a primary again.
    let new = site.cluster.node(1);
    new.promote().unwrap();
    assert_eq!(walsender(&site, "database").query("SHOW port").unwrap().value(), new.port().to_string());
}

#[test]
fn a_promotion_elsewhere_ends_the_stream() {
    let site = Setup::newest().standbys(1).start();
    let mut client = walsender(&site, "true");
    let new = site.cluster.node(1);
    new.promote().unwrap();
    let error = client.reply().expect_err("the primary is another one now");
    assert_eq!(error.sqlstate(), Some("57P01"), "{error}");
    assert_eq!(walsender(&site, "database").query("SHOW port").unwrap().value(), new.port().to_string());
}

#[test]
fn a_stream_holds_up_no_shutdown() {
    let mut site = Setup::newest().set("listen", "drain_timeout", "\"300s\"").start();
    let mut client = walsender(&site, "true");
    let began = Instant::now();
    site.pgweir.process().terminate();
    assert_eq!(client.reply().unwrap_err().sqlstate(), Some("57P01"));
    assert!(site.pgweir.wait_ended().success());
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Servers that can decode.
fn logical(setup: Setup) -> Setup {
    setup.servers(|servers| servers.extra_config.push(("wal_level".to_owned(), "logical".to_owned())))
}

fn login(site: &Site) -> Login<'static> {
    Login::superuser(site.pgweir.port())
}

fn run(site: &Site, name: &str, arguments: &[&str]) -> Running {
    tool(&site.cluster, name, &login(site), arguments)
}

/// A replication connection of this kind, with settings of its own.
fn walsender(site: &Site, replication: &str) -> Client {
    let parameters = [
        ("user", "postgres"),
        ("database", "postgres"),
        ("replication", replication),
        ("application_name", "replica"),
        ("options", "-c search_path=elsewhere"),
    ];
    Client::connect_with(&site.pgweir.address(), &parameters, None).expect("pgweir lets it in")
}

/// Clients of pgweir that replicate physically.
fn physical(site: &Site) -> usize {
    let shown = site.try_connect("postgres", "pgweir").unwrap().query("SHOW CLIENTS").unwrap();
    shown.rows.iter().filter(|row| row.iter().flatten().any(|value| value == "physical")).count()
}

fn on(node: &Node, sql: &str) -> String {
    node.query("postgres", sql).unwrap().value().to_owned()
}
