//! Clients that break off: at every byte of what they had to say.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::beside_an_innocent_client;
use crate::harness::{Setup, bind, execute, message, parse, query, startup, sync};

/// A whole conversation, cut at each byte: nothing stays behind, and nothing is done by halves.
#[test]
fn a_client_may_break_off_at_every_byte() {
    let site = Setup::newest().standbys(1).set("pool", "size", "4").start();
    site.connect().query("CREATE TABLE pairs (n int)").unwrap();
    let conversation = conversation();
    let next = AtomicUsize::new(0);
    beside_an_innocent_client(&site, || {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    loop {
                        let cut = next.fetch_add(1, Ordering::Relaxed);
                        let Some(said) = conversation.get(..cut) else { return };
                        let mut wire = site.wire();
                        // Every second one waits for the answers; the others are gone while they come.
                        wire.send(said).unwrap();
                        if cut.is_multiple_of(2) {
                            wire.shut_down_sending().unwrap();
                            if let Err(error) = wire.recv_to_end() {
                                panic!("cut after {cut} bytes: {error}");
                            }
                        }
                    }
                });
            }
        });
    });
    // Once to the end, or no pair might have been written at all.
    let mut wire = site.wire();
    wire.send(&conversation).unwrap();
    wire.recv_to_end().unwrap();
    let gauge = |name: &str, state: &str| site.pgweir.metric(name, &[("state", state)]);
    site.wait_for("all clients are gone", || {
        gauge("pgweir_clients", "logged_in") == Some(0.0) && gauge("pgweir_clients", "login") == Some(0.0)
    });
    site.wait_for("no server is held", || gauge("pgweir_pool_servers", "active") == Some(0.0));
    let primary = site.cluster.primary();
    let in_transaction = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    site.wait_for("no transaction is open", || {
        primary.query("postgres", in_transaction).unwrap().value() == "0"
    });
    let halves =
        "SELECT count(*) FILTER (WHERE n = 1) - count(*) FILTER (WHERE n = 2), count(*) > 0 FROM pairs";
    let halves = primary.query("postgres", halves).unwrap().rows;
    assert_eq!(halves, [[Some("0".to_owned()), Some("t".to_owned())]]);
}

/// Writes in pairs, in every way that there is.
fn conversation() -> Vec<u8> {
    [
        startup(&[("user", "postgres"), ("database", "postgres"), ("application_name", "breaks off")]),
        query("SELECT count(*) FROM pairs"),
        query("INSERT INTO pairs VALUES (1), (2)"),
        query("BEGIN"),
        query("INSERT INTO pairs VALUES (1)"),
        parse("", "INSERT INTO pairs VALUES ($1::int)"),
        bind("", &["2"]),
        execute(),
        sync(),
        query("COMMIT"),
        parse("read", "SELECT n FROM pairs WHERE n = $1"),
        bind("read", &["1"]),
        execute(),
        sync(),
        query("COPY pairs FROM STDIN"),
        message(b'd', b"1\n"),
        message(b'd', b"2\n"),
        message(b'c', b""),
        query("COPY pairs TO STDOUT"),
        query("SET application_name = 'still here'"),
        query("DECLARE c CURSOR WITH HOLD FOR SELECT n FROM pairs"),
        query("FETCH 1 FROM c"),
        message(b'X', b""),
    ]
    .concat()
}
