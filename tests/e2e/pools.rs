//! Server connections: when they are shared, how many there are, who waits, and when they go.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{Setup, Site};

#[test]
fn transaction_mode_shares_servers_between_transactions() {
    let site = Setup::newest().set("pool", "size", "1").start();
    let mut clients: Vec<Client> = (0..5).map(|_| site.connect()).collect();
    let mut servers = BTreeSet::new();
    for _ in 0..3 {
        for client in &mut clients {
            client.query("BEGIN").expect("pgweir answers");
            let first = pid(client);
            assert_eq!(pid(client), first, "one server for a transaction");
            client.query("COMMIT").expect("pgweir answers");
            servers.insert(first);
        }
    }
    assert_eq!(servers.len(), 1, "one server for all clients");
    // What a session sets is its own.
    for (number, client) in clients.iter_mut().enumerate() {
        client.query(&format!("SET application_name TO 'client {number}'")).expect("pgweir answers");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let name = client.query("SHOW application_name").expect("pgweir answers");
        assert_eq!(name.value(), format!("client {number}"));
    }
}

#[test]
fn a_session_comes_back_to_the_server_that_it_had_last() {
    let site = Setup::newest().set("pool", "size", "3").start();
    let mut clients: Vec<Client> = (0..3).map(|_| site.connect()).collect();
    let mut first = Vec::new();
    for client in &mut clients {
        client.query("BEGIN").expect("pgweir answers");
        first.push(pid(client));
    }
    clients.iter_mut().for_each(|client| drop(client.query("COMMIT").expect("pgweir answers")));
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3, "all were busy at once");
    for turn in 0..6 {
        let who = turn * 2 % 3;
        assert_eq!(pid(&mut clients[who]), first[who], "although another server was used last");
    }
}

#[test]
fn session_mode_keeps_a_server_for_each_client_and_resets_it() {
    let site = Setup::newest().set("pool", "mode", "\"session\"").set("pool", "size", "2").start();
    let (mut one, mut two) = (site.connect(), site.connect());
    let (pid_one, pid_two) = (pid(&mut one), pid(&mut two));
    assert_ne!(pid_one, pid_two);
    one.query("CREATE TEMPORARY TABLE mine (n int)").expect("pgweir answers");
    one.query("SET search_path TO pg_catalog").expect("pgweir answers");
    one.query("PREPARE p AS SELECT 1").expect("pgweir answers");
    two.query("SELECT 1").expect("pgweir answers");
    assert_eq!(pid(&mut one), pid_one, "the same server for the whole session");

    // Both servers are taken: a third client waits until one leaves.
    let address = site.pgweir.address();
    let third = thread::spawn(move || {
        let mut client = Client::connect(&address, "postgres", "postgres").expect("a server becomes free");
        let at = pid(&mut client);
        (client, at)
    });
    site.wait_for("the third client waits", || waiting(&site) == 1.0);
    one.close().expect("it says goodbye");
    let (mut third, at) = third.join().expect("the third client gets on");
    assert_eq!(at, pid_one, "the server that became free");
    let left = "SELECT count(*) FROM pg_class WHERE relname = 'mine'";
    assert_eq!(third.query(left).expect("pgweir answers").value(), "0", "temporary tables are gone");
    assert_eq!(third.query("SHOW search_path").expect("pgweir answers").value(), "\"$user\", public");
    let prepared = third.query("SELECT count(*) FROM pg_prepared_statements").expect("pgweir answers");
    assert_eq!(prepared.value(), "0");
}

#[test]
fn statement_mode_refuses_transaction_blocks() {
    let site = Setup::newest().set("pool", "mode", "\"statement\"").start();
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int)").expect("pgweir answers");
    client.query("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)").expect("one text is one statement");
    assert_eq!(client.query("SELECT count(*) FROM t").expect("pgweir answers").value(), "2");
    client.query("BEGIN").expect_err("a block holds its server");
    let mut other = site.connect();
    assert_eq!(other.query("SELECT count(*) FROM t").expect("pgweir answers").value(), "2");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
    site.wait_for("no transaction stays open", || {
        site.cluster.primary().query("postgres", open).expect("it answers").value() == "0"
    });
}

#[test]
fn who_came_first_is_served_first() {
    let site = Setup::newest().set("pool", "size", "1").start();
    let mut holder = site.connect();
    holder.query("CREATE TABLE turns (number serial, who int)").expect("pgweir answers");
    holder.query("BEGIN; SELECT 1").expect("pgweir answers");
    let (sender, turns) = mpsc::channel();
    let mut threads = Vec::new();
    for who in 0..8 {
        let (mut client, sender) = (site.connect(), sender.clone());
        threads.push(thread::spawn(move || {
            client.query(&format!("INSERT INTO turns (who) VALUES ({who})")).expect("its turn comes");
            sender.send(()).expect("somebody counts");
        }));
        site.wait_for("it waits", || waiting(&site) == f64::from(who + 1));
    }
    assert!(turns.try_recv().is_err(), "nobody is served while the only server is held");
    holder.query("COMMIT").expect("pgweir answers");
    threads.into_iter().for_each(|thread| thread.join().expect("each is served"));
    let order = holder.query("SELECT string_agg(who::text, ',' ORDER BY number) FROM turns FOR UPDATE");
    let order =
        order.or_else(|_| holder.query("SELECT string_agg(who::text, ',' ORDER BY number) FROM turns"));
    assert_eq!(order.expect("pgweir answers").value(), "0,1,2,3,4,5,6,7");
}

#[test]
fn a_pool_has_its_size_its_minimum_and_its_reserve() {
    let site = Setup::newest()
        .set("pool", "size", "3")
        .set("pool", "min_size", "2")
        .set("pool", "reserve_size", "2")
        .set("pool", "reserve_after", "\"200ms\"")
        .set("pool", "wait_timeout", "\"1s\"")
        .start();
    let mut first = site.connect();
    first.query("SELECT 1").expect("pgweir answers");
    site.wait_for("the minimum is kept open", || backends(&site) == 2);
    let mut busy: Vec<Client> = Vec::new();
    for expected in [1, 2, 3] {
        let mut client = site.connect();
        client.query("BEGIN; SELECT 1").expect("pgweir answers");
        busy.push(client);
        assert!(backends(&site) >= expected);
    }
    assert_eq!(backends(&site), 3, "not more than the size");
    // Two more come from the reserve, after a while; the next one gets an error in time.
    for _ in 0..2 {
        let mut client = site.connect();
        client.query("BEGIN; SELECT 1").expect("the reserve serves it");
        busy.push(client);
    }
    assert_eq!(backends(&site), 5);
    let late = first.query("SELECT 1");
    assert!(matches!(late, Err(SandboxError::Server(ref error)) if error.severity == "ERROR"), "{late:?}");
    busy.clear();
    first.query("SELECT 1").expect("the session goes on");
}

#[test]
fn servers_are_closed_when_they_are_old_or_idle() {
    for (setting, minimum, expected) in [("idle_timeout", "0", 0), ("lifetime", "1", 1)] {
        let site = Setup::newest().set("pool", setting, "\"300ms\"").set("pool", "min_size", minimum).start();
        let mut client = site.connect();
        client.query("CREATE TABLE t (n int)").expect("pgweir answers");
        // The server that answers says who it is: it may be closed before anybody else could look.
        let first = pid(&mut client);
        site.wait_for("the server is closed", || !all_backends(&site).contains(&first));
        site.wait_for("the minimum is there", || backends(&site) == expected);
        client.query("INSERT INTO t VALUES (1)").expect("the client notices nothing");
    }
}

#[test]
fn servers_that_die_idle_are_not_noticed() {
    let site = Setup::newest().standbys(1).start();
    let mut clients: Vec<Client> = (0..4).map(|_| site.connect()).collect();
    for round in 0..5 {
        for client in &mut clients {
            client.query("SELECT pg_advisory_xact_lock(1)").expect("no client notices");
            client.query("SELECT count(*) FROM pg_class").expect("no client notices");
        }
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND application_name NOT IN ('pgweir monitor', 'pgweir catalog') \
                   AND pid <> pg_backend_pid()";
        for node in site.cluster.nodes() {
            node.query("postgres", end).expect("the node answers");
        }
        assert!(round == 0 || backends(&site) < 50);
    }
}

#[test]
fn a_server_that_dies_in_a_transaction_ends_that_session_alone() {
    let site = Setup::newest().start();
    let (mut victim, mut other) = (site.connect(), site.connect());
    other.query("CREATE TABLE t (n int)").expect("pgweir answers");
    victim.query("BEGIN").expect("pgweir answers");
    victim.query("INSERT INTO t VALUES (1)").expect("pgweir answers");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'";
    site.cluster.primary().query("postgres", end).expect("the primary answers");
    let lost = victim.query("COMMIT");
    assert!(matches!(lost, Err(SandboxError::Server(ref error)) if error.severity == "FATAL"), "{lost:?}");
    assert_eq!(other.query("SELECT count(*) FROM t").expect("pgweir answers").value(), "0");
}

fn pid(client: &mut Client) -> String {
    client.query("SELECT pg_backend_pid()").expect("pgweir answers").value().to_owned()
}

/// How many clients wait for a server.
fn waiting(site: &Site) -> f64 {
    site.pgweir.metric("pgweir_pool_clients", &[("state", "waiting")]).unwrap_or_default()
}

/// How many connections pgweir's pools have to the primary.
fn backends(site: &Site) -> usize {
    all_backends(site).len()
}

fn all_backends(site: &Site) -> BTreeSet<String> {
    let query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' \
                 AND application_name NOT IN ('pgweir monitor', 'pgweir catalog') AND client_addr IS NOT NULL";
    let reply = site.cluster.primary().query("postgres", query).expect("the primary answers");
    reply.rows.into_iter().filter_map(|mut row| row.swap_remove(0)).collect()
}
