//! The main job: writes reach the primary, reads are spread over the standbys, and a session sees what it wrote.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use pgweir_sandbox::{Binaries, Client, Node};

use crate::harness::{Clients, Setup, Site, with_traffic};

#[test]
fn writes_reach_only_the_primary_and_reads_only_standbys_on_every_version() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(2).start();
        let seen = with_traffic(&site, Clients { readers: 3, writers: 2 }, |traffic| {
            traffic.wait_reads(500);
            traffic.wait_writes(100);
        });
        assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
        let written =
            site.cluster.primary().query("postgres", "SELECT port, count(*) FROM traffic GROUP BY 1");
        let written = written.unwrap().rows;
        assert_eq!(written, [[Some(site.primary_port()), Some(seen.writes.to_string())]]);
        assert_eq!(seen.reads_of(site.cluster.primary()), 0, "{:?}", seen.reads);
        for standby in site.cluster.standbys() {
            assert_share(&seen.reads, &standby.port().to_string(), 0.5);
        }
    }
}

#[test]
fn reads_follow_the_weights_with_every_balance_also_after_a_reload() {
    let setup = Setup::newest().standbys(2).weights(&[1, 1, 3]);
    let site = setup.start();
    let shares = [("round_robin", [0.5, 0.5]), ("random", [0.5, 0.5]), ("weighted", [0.25, 0.75])];
    for (balance, shares) in shares {
        let setup = setup.clone().set("cluster.main", "balance", &format!("\"{balance}\""));
        site.pgweir.reload(&setup.text_for(&site));
        let seen =
            with_traffic(&site, Clients { readers: 4, writers: 0 }, |traffic| traffic.wait_reads(2000));
        assert_eq!(seen.read_errors, [""; 0], "{balance}");
        for (standby, share) in site.cluster.standbys().iter().zip(shares) {
            assert_share(&seen.reads, &standby.port().to_string(), share);
        }
    }
}

#[test]
fn least_in_flight_spares_the_node_that_is_busy() {
    let site = Setup::newest().standbys(2).set("cluster.main", "balance", "\"least_in_flight\"").start();
    let seen = with_traffic(&site, Clients { readers: 4, writers: 0 }, |traffic| traffic.wait_reads(500));
    let served = |node: &Node| seen.reads_of(node) > 50;
    assert!(site.cluster.standbys().into_iter().all(served), "{:?}", seen.reads);
    let mut holder = site.connect();
    holder.query("BEGIN READ ONLY").unwrap();
    let busy = port(&mut holder);
    let mut client = site.connect();
    assert!((0..20).all(|_| port(&mut client) != busy));
}

#[test]
fn the_primary_reads_never_when_none_or_always_as_configured() {
    let setup = Setup::newest().standbys(1).set("pool", "wait_timeout", "\"1500ms\"").set(
        "cluster.main",
        "reads_on_primary",
        "\"always\"",
    );
    let site = setup.start();
    let seen = with_traffic(&site, Clients { readers: 2, writers: 0 }, |traffic| traffic.wait_reads(400));
    assert_share(&seen.reads, &site.primary_port(), 0.5);

    let reload = |value: &str| {
        let setup = setup.clone().set("cluster.main", "reads_on_primary", &format!("\"{value}\""));
        site.pgweir.reload(&setup.text_for(&site));
    };
    reload("when_none");
    let standby = site.cluster.node(1);
    let mut client = site.connect();
    assert_eq!(port(&mut client), standby.port().to_string());
    standby.stop(pgweir_sandbox::StopMode::Fast).unwrap();
    assert_eq!(port(&mut client), site.primary_port(), "at once, before anybody has noticed");

    reload("never");
    let error = client.query(PORT).unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P03"), "{error}");
    client.query("CREATE TABLE still_writes ()").unwrap();
    standby.start().unwrap();
    site.wait_serving(&[standby]);
    assert_eq!(port(&mut site.connect()), standby.port().to_string());
}

#[test]
fn read_only_transactions_run_on_one_standby_and_others_on_the_primary() {
    let site = Setup::newest().standbys(2).start();
    let mut client = site.connect();
    let primary = site.primary_port();
    for begin in ["BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"] {
        client.query(begin).unwrap();
        let first = port(&mut client);
        assert_ne!(first, primary, "{begin}");
        assert!((0..10).all(|_| port(&mut client) == first), "{begin}: a transaction stays where it is");
        client.query("COMMIT").unwrap();
    }
    for begin in ["BEGIN", "BEGIN READ WRITE", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        client.query(begin).unwrap();
        assert_eq!(port(&mut client), primary, "{begin}");
        client.query("ROLLBACK").unwrap();
    }
    client.query("BEGIN READ ONLY").unwrap();
    let error = client.query("CREATE TABLE refused ()").unwrap_err();
    assert_eq!(error.sqlstate(), Some("25006"));
    assert_eq!(client.transaction_status(), 'E');
    client.query("ROLLBACK").unwrap();
    site.wait_for("it reads on a standby again", || port(&mut client) != primary);
}

/// Both standbys lag behind so far that a read of the own write would miss it, were it let there.
#[test]
fn clients_read_their_own_writes_while_standbys_lag() {
    let setup = Setup::newest().standbys(2);
    let site = setup.start();
    site.connect().query("CREATE TABLE counters (id int PRIMARY KEY, n int)").unwrap();
    site.connect().query("INSERT INTO counters SELECT i, 0 FROM generate_series(0, 15) i").unwrap();
    site.wait_caught_up();
    for standby in site.cluster.standbys() {
        standby.set_apply_delay(Duration::from_millis(200)).unwrap();
    }
    assert_eq!(stale_reads(&site), 0);

    let eventual = setup.set("cluster.main", "consistency", "\"eventual\"");
    site.pgweir.reload(&eventual.text_for(&site));
    assert_ne!(stale_reads(&site), 0, "without the promise, lag shows");
}

#[test]
fn a_database_that_no_standby_has_yet_is_read_on_the_primary() {
    let site = Setup::newest().standbys(2).start();
    for standby in site.cluster.standbys() {
        standby.pause_replay().unwrap();
    }
    site.cluster.primary().query("postgres", "CREATE DATABASE young").unwrap();
    let mut client = site.try_connect("postgres", "young").unwrap();
    assert_eq!(client.query("SELECT current_database()").unwrap().value(), "young");
    site.try_connect("postgres", "absent").expect_err("no node has it");
}

/// Sixteen clients count up in ways that differ and look at once; answers how often one saw less than it wrote.
fn stale_reads(site: &Site) -> usize {
    let count = |id: usize| {
        let mut client = site.connect();
        let read = format!("SELECT n FROM counters WHERE id = {id}");
        let mut known: i32 = client.query(&format!("{read} FOR UPDATE")).unwrap().value().parse().unwrap();
        let mut stale = 0;
        for round in 0..20 {
            let up = format!("UPDATE counters SET n = n + 1 WHERE id = {id}");
            match round % 3 {
                0 => drop(client.query(&up).unwrap()),
                1 => drop(client.query(&format!("BEGIN; {up}; COMMIT")).unwrap()),
                _ => {
                    client.query("BEGIN").unwrap();
                    client.query(&up).unwrap();
                    client.query("COMMIT").unwrap();
                }
            }
            known += 1;
            stale += usize::from(client.query(&read).unwrap().value() != known.to_string());
        }
        stale
    };
    thread::scope(|scope| {
        let counts: Vec<_> = (0..16).map(|id| scope.spawn(move || count(id))).collect();
        counts.into_iter().map(|count| count.join().unwrap()).sum()
    })
}

#[track_caller]
fn assert_share(reads: &BTreeMap<String, u64>, port: &str, wanted: f64) {
    let all: u64 = reads.values().sum();
    let share = reads.get(port).copied().unwrap_or(0) as f64 / all as f64;
    assert!((share / wanted - 1.0).abs() <= 0.1, "{port} has {share:.3} and not {wanted} of {reads:?}");
}

fn port(client: &mut Client) -> String {
    client.query(PORT).unwrap().value().to_owned()
}

const PORT: &str = "SELECT current_setting('sandbox.port')";
