//! Cancel requests: they reach the statement they were meant for, and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{Setup, Site, cancel_request, query, startup};

#[test]
fn a_cancel_request_reaches_the_running_statement_on_any_node() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    for begin in ["BEGIN READ ONLY", "BEGIN"] {
        client.query(begin).unwrap();
        client.wire().send(&query("SELECT pg_sleep(300)")).unwrap();
        wait_for_sleepers(&site, 1);
        cancel(&site, client.backend_key_data());
        let error = client.reply().unwrap_err();
        assert_eq!(error.sqlstate(), Some("57014"), "{begin}: {error}");
        assert_eq!(client.transaction_status(), 'E');
        client.query("ROLLBACK").unwrap();
    }
    client.wire().send(&query("SELECT pg_sleep(300)")).unwrap();
    wait_for_sleepers(&site, 1);
    cancel(&site, client.backend_key_data());
    assert_eq!(client.reply().unwrap_err().sqlstate(), Some("57014"));
    assert_eq!(client.query("SELECT 1").unwrap().value(), "1");
}

#[test]
fn the_long_keys_of_protocol_3_2_cancel_too() {
    let site = Setup::newest().start();
    let mut packet = startup(&[("user", "postgres"), ("database", "postgres")]);
    packet[7] = 2;
    let mut wire = site.wire();
    wire.send(&packet).unwrap();
    let mut key = Vec::new();
    loop {
        let message = wire.recv().unwrap();
        match message.tag {
            b'K' => key = message.body,
            b'Z' => break,
            _ => {}
        }
    }
    assert_eq!(key.len(), 4 + 32);
    wire.send(&query("SELECT pg_sleep(300)")).unwrap();
    wait_for_sleepers(&site, 1);
    // All but the last byte are right.
    let mut wrong = key.clone();
    *wrong.last_mut().unwrap() ^= 1;
    cancel(&site, &wrong);
    cancel(&site, &key[..8]);
    assert_eq!(sleepers(&site), 1);
    cancel(&site, &key);
    let error = loop {
        let message = wire.recv().unwrap();
        if message.tag != b'T' {
            break message;
        }
    };
    assert!(error.tag == b'E' && error.body.windows(6).any(|field| field == b"C57014"), "{error:?}");
}

#[test]
fn a_wrong_key_cancels_nothing() {
    let site = Setup::newest().start();
    let mut client = site.connect();
    client.wire().send(&query("SELECT pg_sleep(300)")).unwrap();
    wait_for_sleepers(&site, 1);
    let key = client.backend_key_data().to_vec();
    for at in 0..key.len() {
        let mut wrong = key.clone();
        wrong[at] ^= 0x40;
        cancel(&site, &wrong);
    }
    cancel(&site, &key[..4]);
    cancel(&site, &[&key[..], &[0; 28]].concat());
    assert_eq!(sleepers(&site), 1);
    cancel(&site, &key);
    assert_eq!(client.reply().unwrap_err().sqlstate(), Some("57014"));
}

#[test]
fn a_client_that_waits_for_a_server_can_be_cancelled() {
    let site = Setup::newest().set("pool", "size", "1").start();
    let (mut holder, mut waiter) = (site.connect(), site.connect());
    holder.query("BEGIN").unwrap();
    holder.query("SELECT 1").unwrap();
    waiter.wire().send(&query("SELECT 1")).unwrap();
    site.wait_for("the second client waits", || {
        site.pgweir.metric("pgweir_pool_clients", &[("state", "waiting")]) == Some(1.0)
    });
    cancel(&site, waiter.backend_key_data());
    let error = waiter.reply().unwrap_err();
    assert_eq!(error.sqlstate(), Some("57014"), "{error}");
    assert_eq!(waiter.transaction_status(), 'I');
    holder.query("COMMIT").expect("the other client was not meant");
    assert_eq!(waiter.query("SELECT 2").unwrap().value(), "2");
}

/// One server for two clients: what one cancels too late must not hit what the other runs next on the same server.
#[test]
fn a_late_cancel_request_never_hits_the_next_client() {
    const ROUNDS: usize = 500;
    let site = Setup::newest().set("pool", "size", "1").start();
    let (mut canceller, mut victim) = (site.connect(), site.connect());
    let key = canceller.backend_key_data().to_vec();
    let done = AtomicBool::new(false);
    let (hit, answered) = thread::scope(|scope| {
        let innocent = scope.spawn(|| {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                victim.query("SELECT count(*) FROM generate_series(1, 3000)").expect("nobody cancels this");
                answered += 1;
            }
            answered
        });
        let hit = cancel_at_odd_moments(&site, &mut canceller, &key, ROUNDS);
        done.store(true, Ordering::Relaxed);
        (hit, innocent.join().unwrap())
    });
    assert!(hit > 0, "not one of {ROUNDS} requests came in time");
    assert!(hit < ROUNDS, "not one of {ROUNDS} requests came late");
    assert!(answered > ROUNDS / 4, "the innocent client ran beside it: {answered}");
}

/// Sends a cancel request before, during and after each of its own statements; answers how many were cancelled.
fn cancel_at_odd_moments(site: &Site, client: &mut Client, key: &[u8], rounds: usize) -> usize {
    let mut hit = 0;
    for round in 0..rounds {
        let nap = format!("SELECT pg_sleep({})", (round % 5) as f64 / 1000.0);
        let reply = match round % 3 {
            0 => {
                client.wire().send(&query(&nap)).unwrap();
                cancel(site, key);
                client.reply()
            }
            1 => {
                let reply = client.query(&nap);
                cancel(site, key);
                reply
            }
            _ => {
                // Nobody waits for this one to be dealt with.
                let mut wire = site.wire();
                wire.send(&cancel_request(key)).unwrap();
                client.query(&nap)
            }
        };
        hit += usize::from(was_cancelled(reply.map(drop)));
    }
    hit
}

fn was_cancelled(reply: Result<(), SandboxError>) -> bool {
    match reply {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.sqlstate(), Some("57014"), "{error}");
            true
        }
    }
}

/// Sends a cancel request and waits until it has been dealt with.
fn cancel(site: &Site, key: &[u8]) {
    let asked = Instant::now();
    let mut wire = site.wire();
    wire.send(&cancel_request(key)).unwrap();
    assert_eq!(wire.recv_to_end().unwrap(), b"", "a cancel request has no answer");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

fn wait_for_sleepers(site: &Site, count: usize) {
    site.wait_for("a statement sleeps", || sleepers(site) == count);
}

fn sleepers(site: &Site) -> usize {
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let on = |node: &pgweir_sandbox::Node| -> usize {
        node.query("postgres", sleeping).unwrap().value().parse().unwrap()
    };
    site.cluster.nodes().iter().map(on).sum()
}
