//! The first bytes of a connection, when they are not what they should be.

use std::fmt::Write as _;

use super::{as_good, beside_an_innocent_client, converse, direct};
use crate::harness::{Setup, cancel_request, query, startup};

#[test]
fn bad_openings_are_answered_as_postgresql_answers_them() {
    let site = Setup::newest().standbys(1).start();
    let (postgres, pgweir) = (direct(&site), site.pgweir.address());
    let mut differences = String::new();
    beside_an_innocent_client(&site, || {
        for (name, raw_answers, bytes) in openings() {
            let wanted = converse(&postgres, &bytes, raw_answers);
            let got = converse(&pgweir, &bytes, raw_answers);
            if !as_good(&got, &wanted) {
                writeln!(differences, "{name}:\n  PostgreSQL {wanted:?}\n  pgweir     {got:?}").unwrap();
            }
        }
    });
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn thousands_of_bad_openings_leave_no_memory_behind() {
    let site = Setup::newest().standbys(1).start();
    let address = site.pgweir.address();
    let openings = openings();
    beside_an_innocent_client(&site, || {
        let flood = || {
            for (_, raw_answers, bytes) in openings.iter().cycle().take(1500) {
                converse(&address, bytes, *raw_answers);
            }
            site.pgweir.resident_bytes()
        };
        let before = flood();
        let grown = flood().saturating_sub(before);
        assert!(grown < 3 << 20, "{grown} bytes more after the second flood");
    });
    let logging_in = || site.pgweir.metric("pgweir_clients", &[("state", "login")]);
    site.wait_for("no connection is in the middle of its login", || logging_in() == Some(0.0));
}

/// With a name, how many single bytes the server answers before its first message, and what the client says.
fn openings() -> Vec<(&'static str, usize, Vec<u8>)> {
    let user = ("user", "postgres");
    let with_length = |length: u32, rest: &[u8]| [&length.to_be_bytes()[..], rest].concat();
    let version = |major: u16, minor: u16| {
        let mut packet = startup(&[user]);
        packet[4..8].copy_from_slice(&[major.to_be_bytes(), minor.to_be_bytes()].concat());
        packet
    };
    let request = |minor: u16| with_length(8, &[1234_u16.to_be_bytes(), minor.to_be_bytes()].concat());
    let (ssl, gssenc) = (request(5679), request(5680));
    let raw = |parameters: &[u8]| {
        let length = u32::try_from(parameters.len() + 8).unwrap();
        with_length(length, &[&(3_u32 << 16).to_be_bytes()[..], parameters].concat())
    };
    let long = "x".repeat(9000);
    let noise: Vec<u8> = (0..4000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        ("nothing", 0, Vec::new()),
        ("one byte", 0, vec![0]),
        ("half a length", 0, vec![0, 0]),
        ("length 0", 0, with_length(0, b"")),
        ("length 3", 0, with_length(3, b"abc")),
        ("length 4", 0, with_length(4, b"")),
        ("length 7", 0, with_length(7, b"\0\x03\0")),
        ("a length and nothing else", 0, with_length(8, b"")),
        ("half a packet", 0, startup(&[user])[..12].to_vec()),
        ("length 10,001", 0, with_length(10_001, &noise)),
        ("length 2 GB", 0, with_length(0x7fff_ffff, &noise)),
        ("length 4 GB", 0, with_length(u32::MAX, &noise)),
        ("noise", 0, noise.clone()),
        ("HTTP", 0, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("SSH", 0, b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("TLS where there is none", 0, [&b"\x16\x03\x01\x02\x00\x01"[..], &noise[..600]].concat()),
        ("protocol 4.0", 0, version(4, 0)),
        ("protocol 0.0", 0, version(0, 0)),
        ("protocol 3.99", 0, version(3, 99)),
        ("protocol 3.2", 0, version(3, 2)),
        ("no parameters", 0, raw(b"\0")),
        ("nothing behind the version", 0, raw(b"")),
        ("no terminator", 0, raw(b"user\0postgres\0")),
        ("a name without a value", 0, raw(b"user\0postgres\0database\0")),
        ("bytes behind the terminator", 0, raw(b"user\0postgres\0\0more")),
        ("an empty role", 0, startup(&[("user", "")])),
        ("an unknown role", 0, startup(&[("user", "nobody_here"), ("database", "postgres")])),
        ("an unknown database", 0, startup(&[user, ("database", "nothing_here")])),
        ("a long role", 0, startup(&[("user", &long), ("database", "postgres")])),
        ("an unknown setting", 0, startup(&[user, ("no_such_setting", "1")])),
        ("a bad value", 0, startup(&[user, ("statement_timeout", "soon")])),
        ("a setting of the server", 0, startup(&[user, ("shared_buffers", "1GB")])),
        ("bad options", 0, startup(&[user, ("options", "-c no_such_setting=1")])),
        ("options that are none", 0, startup(&[user, ("options", "--")])),
        ("bad replication", 0, startup(&[user, ("replication", "maybe")])),
        ("an unknown encoding", 0, startup(&[user, ("client_encoding", "EBCDIC")])),
        ("an option of the protocol", 0, startup(&[user, ("_pq_.no_such_option", "1")])),
        ("an unknown request", 0, request(1)),
        ("TLS asked for twice", 1, [ssl.clone(), ssl.clone()].concat()),
        ("GSSAPI asked for twice", 1, [gssenc.clone(), gssenc.clone()].concat()),
        ("a start-up behind a request for TLS", 1, [ssl, startup(&[user])].concat()),
        ("a start-up behind a request for GSSAPI", 1, [gssenc, startup(&[user])].concat()),
        ("a query in place of a start-up", 0, query("SELECT 1")),
        ("a cancel request of nobody", 0, cancel_request(b"\0\x01\x02\x03abcd")),
        ("a cancel request with a long key", 0, cancel_request(&noise[..260])),
        ("a cancel request without a key", 0, cancel_request(b"\0\x01\x02\x03")),
        ("a cancel request that ends early", 0, cancel_request(b"\0")),
    ]
}
