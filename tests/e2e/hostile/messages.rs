//! Messages of a logged-in client, when they are not what they should be.

use std::fmt::Write as _;

use pgweir_sandbox::Binaries;

use super::{as_good, beside_an_innocent_client, converse, converse_to_the_end, direct};
use crate::harness::{Setup, Site, bind, execute, message, parse, query, startup, sync};

#[test]
fn bad_messages_are_answered_as_postgresql_answers_them() {
    for binaries in Binaries::installed() {
        compare(&Setup::on(&binaries).standbys(1).start());
    }
}

fn compare(site: &Site) {
    site.connect().query("CREATE TABLE filled (n int)").unwrap();
    let (postgres, pgweir) = (direct(site), site.pgweir.address());
    let mut differences = String::new();
    beside_an_innocent_client(site, || {
        for (name, said) in conversations() {
            let bytes = [startup(&[("user", "postgres")]), said].concat();
            let wanted = converse(&postgres, &bytes, 0);
            let got = converse_to_the_end(&pgweir, &bytes, &wanted);
            if !as_good(&got, &wanted) {
                writeln!(differences, "{name}:\n  PostgreSQL {wanted:?}\n  pgweir     {got:?}").unwrap();
            }
        }
    });
    assert!(differences.is_empty(), "\n{differences}");
    // Nothing is left over: no server is held, and none has been left in a transaction.
    site.wait_for("all servers are given back", || {
        site.pgweir.metric("pgweir_pool_servers", &[("state", "active")]) == Some(0.0)
    });
    let in_transaction = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    site.wait_for("no transaction is left open", || {
        site.cluster.primary().query("postgres", in_transaction).unwrap().value() == "0"
    });
}

/// A header that announces so many bytes.
fn header(tag: u8, length: u32) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes()].concat()
}

#[rustfmt::skip]
fn conversations() -> Vec<(&'static str, Vec<u8>)> {
    let good = || query("SELECT 1");
    let then_sync = |said: &[u8]| [said, &sync(), &good()].concat();
    let lying_bind = message(b'B', b"\0\0\0\0\xff\xff");
    let insert = || query("BEGIN; INSERT INTO filled VALUES (1)");
    vec![
        ("nothing", Vec::new()),
        ("half a header", b"Q\0\0".to_vec()),
        ("half a query", query("SELECT 1")[..8].to_vec()),
        ("an unknown type", [message(b'y', b""), good()].concat()),
        ("type 0", [message(0, b"abc"), good()].concat()),
        ("type 255", [message(255, b"abc"), good()].concat()),
        ("a type of servers", [message(b'Z', b"I"), good()].concat()),
        ("a password nobody asked for", [message(b'p', b"secret\0"), good()].concat()),
        ("length 0", [header(b'Q', 0), good()].concat()),
        ("length 3", [header(b'Q', 3), good()].concat()),
        ("a query of length 4", [header(b'Q', 4), good()].concat()),
        ("a query of 2 GB", [header(b'Q', 0x7fff_ffff), good()].concat()),
        ("a query of 4 GB", [header(b'Q', u32::MAX), good()].concat()),
        ("a sync of 2 GB", [header(b'S', 0x7fff_ffff), good()].concat()),
        ("a bind of 2 GB", [header(b'B', 0x7fff_ffff), good()].concat()),
        ("a parse of 2 GB", [header(b'P', 0x7fff_ffff), good()].concat()),
        ("a parse of 500 MB that never comes", [header(b'P', 500_000_000), good()].concat()),
        ("a query of 500 MB that never comes", [header(b'Q', 500_000_000), good()].concat()),
        ("copy data of 2 GB", [header(b'd', 0x7fff_ffff), good()].concat()),
        ("an execute of 20 kB", [header(b'E', 20_000), vec![0; 19_996], good()].concat()),
        ("a query without its end", [message(b'Q', b"SELECT 1"), good()].concat()),
        ("a query with bytes behind its end", [message(b'Q', b"SELECT 1\0SELECT 2\0"), good()].concat()),
        ("an empty query", [query(""), good()].concat()),
        ("a query that is no UTF-8", [message(b'Q', b"SELECT '\xff\xfe'\0"), good()].concat()),
        ("a parse that ends early", then_sync(&message(b'P', b"name\0SELECT"))),
        ("a parse with lying types", then_sync(&message(b'P', b"\0SELECT 1\0\0\x05"))),
        ("a parse with bytes behind its end", then_sync(&message(b'P', b"\0SELECT 1\0\0\0more"))),
        ("a parse without anything", then_sync(&message(b'P', b""))),
        ("a bind without anything", then_sync(&message(b'B', b""))),
        ("a bind that lies about its formats", then_sync(&[parse("", "SELECT 1"), lying_bind.clone()].concat())),
        ("a bind with a negative length",
            then_sync(&[parse("", "SELECT $1::text"), message(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xf0\0\0")].concat())),
        ("a bind with a length beyond its end",
            then_sync(&[parse("", "SELECT $1::text"), message(b'B', b"\0\0\0\0\0\x01\x00\xff\xff\xff\0\0")].concat())),
        ("a bind with too few parameters", then_sync(&[parse("", "SELECT $1::text"), bind("", &[])].concat())),
        ("a bind with too many parameters", then_sync(&[parse("", "SELECT 1"), bind("", &["1", "2"])].concat())),
        ("a bind of an unknown statement", then_sync(&bind("nothing", &[]))),
        ("a describe of nothing known", then_sync(&message(b'D', b"Snothing\0"))),
        ("a describe of a bad kind", then_sync(&message(b'D', b"X\0"))),
        ("a describe without a name", then_sync(&message(b'D', b"S"))),
        ("a close of a bad kind", then_sync(&message(b'C', b"Q\0"))),
        ("a close of nothing known", then_sync(&message(b'C', b"Snothing\0"))),
        ("an execute of nothing known", then_sync(&execute())),
        ("an execute that ends early", then_sync(&message(b'E', b"\0\0"))),
        ("an execute of something longer", then_sync(&message(b'E', b"\0\0\0\0\0more"))),
        ("bad messages in a block", [query("BEGIN"), message(b'P', b"no end"), sync(), message(b'D', b"X\0"), sync(), query("ROLLBACK"), good()].concat()),
        ("a bad message in front of good ones",
            [message(b'B', b"no end"), parse("", "SELECT 1"), bind("", &[]), execute(), sync(), good()].concat()),
        ("a bad message behind good ones", then_sync(&[parse("", "SELECT 1"), bind("", &[]), execute(), message(b'C', b"Q")].concat())),
        ("a bad query in an open segment", [parse("", "SELECT 1"), bind("", &[]), message(b'Q', b"no end"), good(), sync(), good()].concat()),
        ("a bad sync behind a write", [parse("", "INSERT INTO filled VALUES (7)"), bind("", &[]), execute(), message(b'S', b"more"), good()].concat()),
        ("a parse with 65,535 types and too few", then_sync(&message(b'P', b"\0SELECT 1\0\xff\xff\0\0"))),
        ("an execute without anything", then_sync(&message(b'E', b""))),
        ("a sync with a body", [message(b'S', b"abc"), good()].concat()),
        ("a flush with a body", [message(b'H', b"abc"), good(), sync()].concat()),
        ("copy data outside of a copy", [message(b'd', b"1\n"), good()].concat()),
        ("the end of a copy outside of a copy", [message(b'c', b""), good()].concat()),
        ("the failure of a copy outside of a copy", [message(b'f', b"why\0"), good()].concat()),
        ("a function call that ends early", [message(b'F', b"\0\0"), good()].concat()),
        ("a function call of nothing known",
            [message(b'F', b"\xff\xff\xff\x00\0\0\0\0\0\0"), good()].concat()),
        ("a terminate with a body", [message(b'X', b"abc"), good()].concat()),
        ("a terminate in the middle", [good(), message(b'X', b""), good()].concat()),
        ("an error in the middle of a pipeline",
            [parse("", "SELECT 1"), bind("", &[]), parse("", "SELEC"), bind("", &[]), execute(), sync(), good()].concat()),
        ("a simple query in the middle of a pipeline", [parse("", "SELECT 1"), bind("", &[]), good(), execute(), sync()].concat()),
        ("a query in place of copy data",
            [query("COPY filled FROM STDIN"), message(b'd', b"1\n"), good(), good()].concat()),
        ("an unknown type in place of copy data",
            [query("COPY filled FROM STDIN"), message(b'd', b"1\n"), message(b'y', b""), good()].concat()),
        ("bad copy data", [query("COPY filled FROM STDIN"), message(b'd', b"one\n"), message(b'c', b""), good()].concat()),
        ("a copy that fails", [query("COPY filled FROM STDIN"), message(b'd', b"1\n"), message(b'f', b"why\0"), good()].concat()),
        ("a copy with syncs and flushes in it",
            [query("COPY filled FROM STDIN"), message(b'd', b"1\n"), sync(), message(b'H', b""), message(b'c', b""), good()].concat()),
        ("a transaction that is left", insert()),
        ("a transaction that is left in the middle of a message", [insert(), header(b'Q', 100)].concat()),
        ("an unknown type in a transaction", [insert(), message(b'y', b""), good()].concat()),
        ("an error in a transaction, and more", [insert(), query("SELECT 1/0"), good(), query("COMMIT"), good()].concat()),
    ]
}
