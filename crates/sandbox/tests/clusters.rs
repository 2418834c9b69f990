//! Clusters of every installed major version: they start, break, heal, and leave nothing behind.
#![allow(clippy::unwrap_used, reason = "a test may panic, also in what its tests share")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Binaries, Cluster, ClusterSettings, StopMode, wait_until};
use support::{SOON, each_major, nothing_left_of};

#[test]
fn a_standby_replays_what_the_primary_writes() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::with_standbys(2)).unwrap();
        cluster.primary().query("postgres", "CREATE TABLE t AS SELECT 42 AS n").unwrap();
        cluster.wait_caught_up(SOON).unwrap();
        assert_eq!(cluster.standbys().len(), 2);
        for standby in cluster.standbys() {
            assert!(standby.is_standby().unwrap());
            assert_eq!(standby.query("postgres", "SELECT n FROM t").unwrap().value(), "42");
            let refused = standby.query("postgres", "INSERT INTO t VALUES (1)").unwrap_err();
            assert_eq!(refused.sqlstate(), Some("25006"));
        }
        assert!(!cluster.primary().is_standby().unwrap());
    });
}

#[test]
fn a_server_comes_back_after_each_way_of_ending_it() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::default()).unwrap();
        let node = cluster.primary();
        node.query("postgres", "CREATE TABLE t (n int)").unwrap();
        for mode in [StopMode::Smart, StopMode::Fast, StopMode::Immediate] {
            node.stop(mode).unwrap();
            assert!(!node.is_running() && !node.is_ready() && node.pids().is_empty());
            node.start().unwrap();
            assert_eq!(node.query("postgres", "SELECT count(*) FROM t").unwrap().value(), "0");
        }
        let before = node.pids();
        assert!(before.len() > 3, "a postmaster has children: {before:?}");
        node.kill9().unwrap();
        wait_until(SOON, "all processes are gone", || before.iter().all(|&pid| !support::is_alive(pid)))
            .unwrap();
        node.restart().unwrap();
        assert_eq!(node.query("postgres", "SELECT count(*) FROM t").unwrap().value(), "0");
    });
}

#[test]
fn a_frozen_server_answers_nothing_until_it_thaws() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::default()).unwrap();
        let node = cluster.primary();
        let mut client = node.connect("postgres").unwrap();
        client.set_timeout(Duration::from_millis(200)).unwrap();
        node.sigstop();
        assert!(client.query("SELECT 1").is_err());
        node.sigcont();
        client.set_timeout(SOON).unwrap();
        assert_eq!(client.reply().unwrap().value(), "1");
    });
}

#[test]
fn an_old_primary_rejoins_behind_the_promoted_standby() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::with_standbys(2)).unwrap();
        let [old, new, other] = [0, 1, 2].map(|index| cluster.node(index));
        old.query("postgres", "CREATE TABLE t (n int)").unwrap();
        cluster.wait_caught_up(SOON).unwrap();

        new.stop(StopMode::Fast).unwrap();
        old.query("postgres", "INSERT INTO t VALUES (1)").unwrap(); // only here, to be taken back
        old.kill9().unwrap();
        new.start().unwrap();
        new.promote().unwrap();
        assert_eq!(cluster.primary().name(), new.name());
        new.query("postgres", "INSERT INTO t VALUES (2)").unwrap();

        old.rejoin(new).unwrap();
        other.rebuild(new).unwrap();
        cluster.wait_streaming(SOON).unwrap();
        cluster.wait_caught_up(SOON).unwrap();
        for standby in cluster.standbys() {
            let seen = standby.query("postgres", "SELECT array_agg(n) FROM t").unwrap();
            assert_eq!(seen.value(), "{2}", "{}", standby.name());
        }
    });
}

#[test]
fn a_standby_with_paused_replay_shows_the_past() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::with_standbys(1)).unwrap();
        let standby = cluster.node(1);
        standby.pause_replay().unwrap();
        cluster.primary().query("postgres", "CREATE TABLE t ()").unwrap();
        let exists = "SELECT to_regclass('t') IS NOT NULL";
        let received = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
        wait_until(SOON, "the standby holds WAL that it does not replay", || {
            standby.query("postgres", received).unwrap().value() == "t"
        })
        .unwrap();
        assert_eq!(standby.query("postgres", exists).unwrap().value(), "f");
        standby.resume_replay().unwrap();
        cluster.wait_caught_up(SOON).unwrap();
        assert_eq!(standby.query("postgres", exists).unwrap().value(), "t");
    });
}

#[test]
fn an_apply_delay_holds_commits_back_and_can_be_taken_away() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::with_standbys(1)).unwrap();
        let standby = cluster.node(1);
        standby.set_apply_delay(Duration::from_secs(3600)).unwrap();
        cluster.primary().query("postgres", "CREATE TABLE t ()").unwrap();
        assert!(cluster.wait_caught_up(Duration::from_millis(500)).is_err());
        standby.set_apply_delay(Duration::ZERO).unwrap();
        cluster.wait_caught_up(SOON).unwrap();
        let exists = standby.query("postgres", "SELECT to_regclass('t') IS NOT NULL").unwrap();
        assert_eq!(exists.value(), "t");
    });
}

#[test]
fn clusters_are_strangers_only_when_asked_to_be() {
    let binaries = Binaries::newest().unwrap();
    let identifier = |settings: &ClusterSettings| {
        let cluster = Cluster::start(&binaries, settings).unwrap();
        let reply = cluster.primary().query("postgres", "SELECT system_identifier FROM pg_control_system()");
        reply.unwrap().value().to_owned()
    };
    let own = ClusterSettings { own_system_identifier: true, ..ClusterSettings::default() };
    assert_eq!(identifier(&ClusterSettings::default()), identifier(&ClusterSettings::default()));
    assert_ne!(identifier(&own), identifier(&ClusterSettings::default()));
}

#[test]
fn a_synchronous_cluster_commits_only_with_a_standby() {
    let settings = ClusterSettings { synchronous: true, ..ClusterSettings::with_standbys(1) };
    let cluster = Cluster::start(&Binaries::newest().unwrap(), &settings).unwrap();
    cluster.primary().query("postgres", "CREATE TABLE t ()").unwrap();
    cluster.node(1).stop(StopMode::Fast).unwrap();
    let mut client = cluster.primary().connect("postgres").unwrap();
    client.set_timeout(Duration::from_millis(300)).unwrap();
    assert!(client.query("CREATE TABLE u ()").is_err());
    cluster.node(1).start().unwrap();
    client.set_timeout(SOON).unwrap();
    assert_eq!(client.reply().unwrap().tag, "CREATE TABLE");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let settings = ClusterSettings::default().config("shared_buffers", "a lot");
    let started = Instant::now();
    let error = Cluster::start(&Binaries::newest().unwrap(), &settings).unwrap_err();
    assert!(error.to_string().contains("shared_buffers"), "{error}");
    assert!(started.elapsed() < SOON, "it gave up at once");
}

#[test]
fn nothing_is_left_after_drop_and_after_a_panic() {
    each_major(|binaries| {
        let cluster = Cluster::start(binaries, &ClusterSettings::with_standbys(2)).unwrap();
        let directory = cluster.directory().to_owned();
        cluster.node(1).kill9().unwrap();
        cluster.node(2).sigstop();
        assert!(directory.is_dir() && !support::processes_of(&directory).is_empty());
        drop(cluster);
        nothing_left_of(&directory);

        let (send, receive) = std::sync::mpsc::sync_channel(1);
        let binaries = binaries.clone();
        let panicking = std::thread::spawn(move || {
            let cluster = Cluster::start(&binaries, &ClusterSettings::with_standbys(1)).unwrap();
            send.send(cluster.directory().to_owned()).unwrap();
            panic!("on purpose");
        });
        assert!(panicking.join().is_err());
        nothing_left_of(&receive.recv().unwrap());
    });
}

#[test]
fn a_companion_ends_with_its_owner_and_says_what_it_did() {
    let cluster = Cluster::start(&Binaries::newest().unwrap(), &ClusterSettings::default()).unwrap();
    let script = cluster.directory().join("script");
    std::fs::write(&script, SCRIPT).unwrap();
    let start = || {
        let companion = cluster.companion("shell", Command::new("sh").arg(&script)).unwrap();
        wait_until(SOON, "it is up", || companion.log().contains("up")).unwrap();
        companion
    };

    let mut companion = start();
    companion.hang_up();
    wait_until(SOON, "it reloads", || companion.log().contains("reloaded")).unwrap();
    companion.terminate();
    assert_eq!(companion.wait_ended(SOON).unwrap().code(), Some(3));
    assert!(!companion.is_running());

    let companion = start();
    let pid = companion.pid();
    assert!(support::is_alive(pid));
    drop(companion);
    wait_until(SOON, "it and its child are gone", || support::processes_of(&script).is_empty()).unwrap();
    assert!(!support::is_alive(pid));
}

/// Waits for a child of its own, since only `wait` lets a shell hear signals at once.
const SCRIPT: &str = "
    trap 'echo reloaded' HUP
    trap 'kill $!; exit 3' TERM
    tail -f \"$0\" &
    echo up
    wait
    wait
";
