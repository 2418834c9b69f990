//! Nodes that die, lag, freeze, restart and change their roles, under clients that should not care.

use std::time::{Duration, Instant};

use pgweir_sandbox::{Binaries, Client, ClusterSettings, Node, SandboxError, StopMode};

use crate::harness::{Clients, Setup, Site, query, wait_for, with_traffic};

#[test]
fn a_standby_killed_or_stopped_under_load_costs_no_client_an_error() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(2).start();
        let (first, second) = (site.cluster.node(1), site.cluster.node(2));
        let seen = with_traffic(&site, Clients { readers: 8, writers: 1 }, |traffic| {
            traffic.wait_reads(200);
            first.kill9().unwrap();
            site.wait_serving(&[second]);
            traffic.wait_reads(200);
            first.start().unwrap();
            site.wait_serving(&[first, second]);
            traffic.wait_reads_of(first);
            second.stop(StopMode::Fast).unwrap();
            site.wait_serving(&[first]);
            traffic.wait_reads(200);
            second.restart().unwrap();
            traffic.wait_reads_of(second);
        });
        assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
    }
}

/// The read was under way, so it is the one that is sent again.
#[test]
fn a_read_that_is_sent_again_is_counted() {
    let site = Setup::newest().standbys(1).start();
    let standby = site.cluster.node(1);
    let resent = || site.pgweir.metric("pgweir_node_reads_resent_total", &[("node", standby.name())]);
    assert_eq!(resent(), Some(0.0));
    let mut client = site.connect();
    client.wire().send(&query("SELECT count(*) FROM generate_series(1, 5000000)")).unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%FROM generate_series%' \
         AND pid <> pg_backend_pid()";
    site.wait_for("the standby computes", || standby.query("postgres", running).unwrap().value() == "1");
    standby.kill9().unwrap();
    assert_eq!(client.reply().unwrap().value(), "5000000");
    assert_eq!(resent(), Some(1.0));
}

#[test]
fn no_more_reads_are_sent_again_than_may_be() {
    let site = Setup::newest().standbys(1).set("cluster.main", "resent_per_second_max", "1").start();
    let standby = site.cluster.node(1);
    let mut clients: Vec<Client> = (0..8).map(|_| site.connect()).collect();
    for client in &mut clients {
        client.wire().send(&query("SELECT pg_sleep(0.5), current_setting('sandbox.port')")).unwrap();
    }
    let sleeping = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()";
    let count = format!("SELECT count(*) {sleeping}");
    site.wait_for("all sleep", || standby.query("postgres", &count).unwrap().value() == "8");
    standby.query("postgres", &format!("SELECT pg_terminate_backend(pid) {sleeping}")).unwrap();
    let answers: Vec<_> =
        clients.iter_mut().map(|client| client.reply().map(|reply| reply.value().to_owned())).collect();
    let refused = answers.iter().filter(|answer| match answer {
        Ok(_) => false,
        Err(SandboxError::Server(error)) => error.sqlstate == "53400",
        Err(other) => panic!("{other}"),
    });
    let refused = refused.count();
    // Another is earned each second, however long a busy machine takes.
    assert!((1..=7).contains(&refused), "{answers:?}");
    assert_eq!(site.pgweir.metric("pgweir_reads_not_resent_total", &[]), Some(refused as f64));
    for client in &mut clients {
        client.query("SELECT 1").expect("every session goes on");
    }
}

/// What VACUUM removes, a read on a standby may still need: with no delay allowed, the standby cancels it.
#[test]
fn a_conflict_with_recovery_is_not_seen_by_the_client_of_a_read() {
    for binaries in Binaries::installed() {
        let delay = |cluster: &mut ClusterSettings| {
            let settings = [("max_standby_streaming_delay", "0"), ("hot_standby_feedback", "off")];
            cluster.extra_config.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        };
        let site = Setup::on(&binaries).standbys(1).servers(delay).start();
        let standby = site.cluster.node(1);
        let mut writer = site.connect();
        writer.query("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n").unwrap();
        site.wait_caught_up();
        let mut client = site.connect();
        let slow = "SELECT count(*) FROM t WHERE pg_sleep(0.005) IS NOT NULL";
        client.wire().send(&query(slow)).unwrap();
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.005)%' AND backend_xmin IS NOT NULL \
             AND pid <> pg_backend_pid()";
        site.wait_for("the standby computes", || standby.query("postgres", running).unwrap().value() == "1");
        writer.query("DELETE FROM t WHERE n > 500").unwrap();
        let resent =
            || site.pgweir.metric("pgweir_node_reads_resent_total", &[("node", standby.name())]) == Some(1.0);
        // The primary keeps what anyone there may still see.
        site.wait_for("the standby cancels the read", || writer.query("VACUUM t").is_ok() && resent());
        assert_eq!(client.reply().unwrap().value(), "500", "it was asked of the primary");
    }
}

#[test]
fn all_standbys_gone_at_once_leave_the_reads_to_the_primary() {
    let site = Setup::newest().standbys(2).start();
    let seen = with_traffic(&site, Clients { readers: 4, writers: 1 }, |traffic| {
        site.cluster.node(1).kill9().unwrap();
        site.cluster.node(2).kill9().unwrap();
        traffic.wait_reads_of(site.cluster.primary());
        traffic.wait_writes(10);
        site.cluster.node(1).start().unwrap();
        traffic.wait_reads_of(site.cluster.node(1));
    });
    assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
}

#[test]
fn a_standby_with_paused_replay_leaves_at_the_cap_and_comes_back() {
    const CAP: Duration = Duration::from_millis(1000);
    for binaries in Binaries::installed() {
        let cap = format!("\"{}ms\"", CAP.as_millis());
        let site = Setup::on(&binaries).standbys(2).set("cluster.main", "staleness_max", &cap).start();
        let (paused, other) = (site.cluster.node(1), site.cluster.node(2));
        let seen = with_traffic(&site, Clients { readers: 4, writers: 1 }, |traffic| {
            traffic.wait_reads(100);
            let since = Instant::now();
            paused.pause_replay().unwrap();
            site.wait_serving(&[other]);
            traffic.wait_reads(200);
            let last = traffic.seen().last_read_of(paused).expect("it has served before");
            let late = last.saturating_duration_since(since + CAP);
            assert!(late <= Duration::from_secs(2), "still read {late:?} after it was too old");
            paused.resume_replay().unwrap();
            site.wait_serving(&[paused, other]);
            traffic.wait_reads_of(paused);
        });
        assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
    }
}

/// Neither an idle cluster nor a long silence of the writers makes a standby stale.
#[test]
fn a_quiet_primary_makes_no_standby_stale() {
    let site = Setup::newest().standbys(1).set("cluster.main", "staleness_max", "\"1s\"").start();
    let standby = site.cluster.node(1);
    let probes = || site.pgweir.metric("pgweir_node_staleness_seconds", &[("node", standby.name())]);
    let quiet_until = Instant::now() + Duration::from_millis(2500);
    site.wait_for("a quiet while passes", || {
        assert!(probes().is_some_and(|staleness| staleness < 1.0), "{:?}", probes());
        assert_eq!(site.pgweir.serves_reads(standby.name()), Some(true));
        Instant::now() >= quiet_until
    });
}

#[test]
fn a_frozen_standby_is_left_and_its_readers_are_answered_elsewhere() {
    let site = Setup::newest().standbys(2).set("cluster.main", "monitor_timeout", "\"300ms\"").start();
    let (frozen, other) = (site.cluster.node(1), site.cluster.node(2));
    let seen = with_traffic(&site, Clients { readers: 4, writers: 1 }, |traffic| {
        traffic.wait_reads(100);
        frozen.sigstop();
        site.wait_serving(&[other]);
        site.wait_for("nobody waits for the frozen node", || {
            site.pgweir.metric("pgweir_node_in_flight", &[("node", frozen.name())]) == Some(0.0)
        });
        traffic.wait_reads(200);
        traffic.wait_writes(10);
        frozen.sigcont();
        traffic.wait_reads_of(frozen);
    });
    assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
}

#[test]
fn clients_stay_connected_through_a_restart_of_the_primary() {
    let site = Setup::newest().standbys(2).start();
    let mut idle = site.connect();
    idle.query("CREATE TABLE kept (n int)").unwrap();
    let mut in_transaction = site.connect();
    in_transaction.query("BEGIN").unwrap();
    in_transaction.query("INSERT INTO kept VALUES (1)").unwrap();
    let seen = with_traffic(&site, Clients { readers: 4, writers: 2 }, |traffic| {
        let primary = site.cluster.primary();
        primary.stop(StopMode::Fast).unwrap();
        traffic.wait_reads(100);
        primary.start().unwrap();
        traffic.wait_writes(50);
    });
    assert_eq!(seen.read_errors, [""; 0], "reads do not need the primary");
    let broken =
        |error: &&String| !error.contains("57P01") && !error.contains("08006") && !error.contains("57P03");
    assert_eq!(seen.write_errors.iter().find(broken), None);
    assert!(seen.write_errors.len() <= 4, "each writer may lose what was under way: {:?}", seen.write_errors);

    idle.query("INSERT INTO kept VALUES (2)").expect("a client that was idle notices nothing");
    let error = in_transaction.query("INSERT INTO kept VALUES (3)").unwrap_err();
    assert!(matches!(error.sqlstate(), Some("57P01" | "08006")), "{error}");
    assert_eq!(idle.query("SELECT n FROM kept").unwrap().rows.len(), 1, "its transaction is rolled back");
}

#[test]
fn pgweir_starts_before_its_nodes_and_takes_them_up_as_they_come() {
    let setup = Setup::newest().standbys(2).set("pool", "wait_timeout", "\"1500ms\"");
    let cluster = setup.cluster();
    for node in cluster.nodes() {
        node.stop(StopMode::Fast).unwrap();
    }
    let site = setup.before_unready(cluster, |nodes| nodes);
    site.wait_for("pgweir says that it is not ready", || {
        matches!(site.pgweir.page("/readyz"), Some((503, _)))
    });
    let error = site.try_connect("postgres", "postgres").unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P03"), "{error}");

    let [primary, first, second] = site.cluster.nodes() else { unreachable!("three were asked for") };
    first.start().unwrap();
    site.pgweir.wait_ready();
    let mut client = site.connect();
    assert_eq!(client.query("SELECT 1").unwrap().value(), "1", "reads need no primary");
    let error = client.query("CREATE TABLE early ()").unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P03"), "{error}");
    primary.start().unwrap();
    site.wait_for("pgweir finds the primary", || client.query("CREATE TABLE late ()").is_ok());
    second.start().unwrap();
    site.wait_serving(&[first, second]);
}

#[test]
fn writes_follow_a_promotion_and_never_reach_the_old_primary() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(2).start();
        promote(&site);
    }
}

fn promote(site: &Site) {
    let [old, one, two] = site.cluster.nodes() else { unreachable!("three were asked for") };
    let (mut new, mut other) = (one, two);
    let mut idle = site.connect();
    let mut kept = String::new();
    let seen = with_traffic(site, Clients { readers: 4, writers: 2 }, |traffic| {
        traffic.wait_writes(20);
        old.kill9().unwrap();
        // The one behind can follow the one ahead, not the other way round.
        if received(two) > received(one) {
            (new, other) = (two, one);
        }
        new.promote().unwrap();
        other.stream_from(new.port()).unwrap();
        traffic.wait_writes(50);
        traffic.wait_reads_of(other);
        let at_promotion = traffic.seen().writes;
        // Started again, the old primary still takes itself for one.
        old.start().unwrap();
        kept = writes_on(old, old);
        site.wait_for("pgweir sees that the old primary is out", || {
            site.pgweir.metric("pgweir_node_out", &[("node", old.name())]) == Some(1.0)
        });
        traffic.wait_writes(50);
        traffic.wait_reads(100);
        assert!(traffic.seen().writes > at_promotion);
    });
    assert_eq!(seen.read_errors, [""; 0]);
    assert_ne!(writes_on(new, new), "0");
    assert_eq!(writes_on(old, old), kept, "nothing was written there after it came back");
    assert_eq!(writes_on(old, new), "0");
    idle.query("CREATE TABLE after_the_promotion ()").expect("an idle client notices nothing");
}

/// How much WAL a standby has, once it receives no more.
fn received(standby: &Node) -> u64 {
    let ask = |query: &str| standby.query("postgres", query).unwrap().value().to_owned();
    let streaming = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    wait_for("the standby has lost its primary", || ask(streaming) == "0");
    ask("SELECT pg_last_wal_receive_lsn() - '0/0'").parse().expect("bytes")
}

/// How many rows of the traffic `node` has that `writer` wrote.
fn writes_on(node: &Node, writer: &Node) -> String {
    let count = format!("SELECT count(*) FROM traffic WHERE port = '{}'", writer.port());
    node.query("postgres", &count).unwrap().value().to_owned()
}
