//! What is bounded, and what a client is told at the edge.

use std::time::{Duration, Instant};

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{Setup, Site, bind, execute, parse, query, sync};

#[test]
fn clients_beyond_the_limit_are_turned_away_until_one_leaves() {
    let site = Setup::newest().set("listen", "clients_max", "3").start();
    let mut clients: Vec<Client> = (0..3).map(|_| site.connect()).collect();
    let refused = |site: &Site| site.try_connect("postgres", "postgres").map(drop);
    expect(refused(&site), "53300");
    assert!(clients.iter_mut().all(|client| client.query("SELECT 1").is_ok()));
    clients.pop().unwrap().close().unwrap();
    site.wait_for("there is room again", || refused(&site).is_ok());
}

#[test]
fn a_queue_has_an_end_and_a_wait_has_a_deadline() {
    let site = Setup::newest()
        .set("pool", "size", "1")
        .set("pool", "wait_timeout", "\"1500ms\"")
        .set("pool", "waiters_max", "2")
        .start();
    let mut holder = site.connect();
    let mut waiters: Vec<Client> = (0..3).map(|_| site.connect()).collect();
    holder.query("BEGIN").unwrap();
    holder.query("SELECT 1").unwrap();
    let since = Instant::now();
    for (waiter, waiting) in waiters.iter_mut().zip([1.0, 2.0]) {
        waiter.wire().send(&query("SELECT 1")).unwrap();
        site.wait_for("a client waits", || {
            site.pgweir.metric("pgweir_pool_clients", &[("state", "waiting")]) == Some(waiting)
        });
    }
    expect(waiters[2].query("SELECT 1"), "53300");
    expect(waiters[0].reply(), "53300");
    expect(waiters[1].reply(), "53300");
    assert!(since.elapsed() >= Duration::from_millis(1500), "{:?}", since.elapsed());
    holder.query("COMMIT").unwrap();
    assert!(waiters.iter_mut().all(|waiter| waiter.query("SELECT 1").is_ok()), "a refusal ends no session");
}

#[test]
fn connections_to_servers_are_limited_by_role_and_by_database() {
    for (section, key) in [("user.postgres", "connections_max"), ("database.postgres", "connections_max")] {
        let site = Setup::newest().set("pool", "wait_timeout", "\"1500ms\"").set(section, key, "2").start();
        let mut clients: Vec<Client> = (0..3).map(|_| site.connect()).collect();
        for client in &mut clients[..2] {
            client.query("BEGIN").unwrap();
            client.query("SELECT 1").unwrap();
        }
        expect(clients[2].query("SELECT 1"), "53300");
        clients[0].query("COMMIT").unwrap();
        clients[2].query("SELECT 1").unwrap();
    }
}

#[test]
fn who_dawdles_is_cancelled_or_sent_away() {
    let site = Setup::newest()
        .standbys(1)
        .set("pool", "query_timeout", "\"1500ms\"")
        .set("pool", "idle_transaction_timeout", "\"1500ms\"")
        .set("user.idler", "client_idle_timeout", "\"1500ms\"")
        .start();
    let mut client = site.connect();
    client.query("CREATE ROLE idler LOGIN; CREATE TABLE undone (n int)").unwrap();
    site.wait_caught_up();

    expect(client.query("SELECT pg_sleep(300)"), "57014");
    expect(client.query("SELECT pg_sleep(300) FOR UPDATE"), "57014");
    assert_eq!(client.query("SELECT 'still here'").unwrap().value(), "still here");

    client.query("BEGIN").unwrap();
    client.query("INSERT INTO undone VALUES (1)").unwrap();
    expect(client.reply(), "25P03");
    assert!(matches!(client.wire().recv(), Err(SandboxError::ConnectionClosed)));
    let mut another = site.connect();
    assert_eq!(another.query("SELECT count(*) FROM undone").unwrap().value(), "0");

    let mut idler = site.try_connect("idler", "postgres").unwrap();
    idler.query("SELECT 1").unwrap();
    expect(idler.reply(), "57P05");
    assert_eq!(another.query("SELECT 'not idle for ever'").unwrap().value(), "not idle for ever");
}

#[test]
fn a_stranger_who_says_nothing_is_hung_up_on() {
    let site = Setup::newest().set("listen", "startup_timeout", "\"1500ms\"").start();
    let mut silent = site.wire();
    let mut halfway = site.wire();
    halfway.send(&[0, 0, 0, 50, 0, 3]).unwrap();
    assert_eq!(silent.recv_to_end().unwrap(), b"");
    assert_eq!(halfway.recv_to_end().unwrap(), b"");
    let mut client = site.connect();
    assert_eq!(client.query("SELECT 1").unwrap().value(), "1");
}

#[test]
fn texts_and_statements_beyond_the_limits_still_work_or_say_why_not() {
    let site = Setup::newest()
        .standbys(1)
        .set("limits", "query_bytes_max", "\"100kB\"")
        .set("limits", "segment_bytes_max", "\"1kB\"")
        .set("limits", "client_statements_max", "20")
        .set("limits", "server_statements_max", "5")
        .set("limits", "pipeline_depth_max", "10")
        .start();
    let mut client = site.connect();
    for bytes in [90_000, 200_000, 3_000_000] {
        let text = "x".repeat(bytes);
        let reply = client.query(&format!("SELECT length('{text}')")).unwrap();
        assert_eq!(reply.value(), bytes.to_string());
        // As a parameter, which is never looked into.
        let bound = [parse("", "SELECT length($1)"), bind("", &[&text]), execute(), sync()].concat();
        client.wire().send(&bound).unwrap();
        assert_eq!(client.reply().unwrap().value(), bytes.to_string());
    }
    // Nobody knows what a text does that nobody has read, so the session keeps its server.
    assert_eq!(port(&mut client), site.primary_port());
    assert_eq!(site.pgweir.metric("pgweir_pinned_sessions", &[("reason", "multi_set")]), Some(1.0));

    let mut client = site.connect();
    let name = |number: usize| format!("statement_{number}");
    for number in 0..20 {
        client.wire().send(&[parse(&name(number), &format!("SELECT {number}")), sync()].concat()).unwrap();
        client.reply().unwrap();
    }
    // More than the server keeps: each is there again when it is wanted.
    for number in (0..20).chain((0..20).rev()) {
        client.wire().send(&[bind(&name(number), &[]), execute(), sync()].concat()).unwrap();
        assert_eq!(client.reply().unwrap().value(), number.to_string());
    }
    client.wire().send(&[parse("one_too_many", "SELECT 1"), sync()].concat()).unwrap();
    expect(client.reply(), "53400");

    let pipeline = [parse("", "SELECT 1"), bind("", &[]), execute(), sync()].concat().repeat(100);
    client.wire().send(&pipeline).unwrap();
    assert!((0..100).all(|_| client.reply().unwrap().value() == "1"));
}

#[track_caller]
fn expect<T: std::fmt::Debug>(reply: Result<T, SandboxError>, sqlstate: &str) {
    let error = reply.expect_err("a limit was reached");
    assert_eq!(error.sqlstate(), Some(sqlstate), "{error}");
}

fn port(client: &mut Client) -> String {
    client.query("SELECT current_setting('sandbox.port')").unwrap().value().to_owned()
}
