//! Tables whose columns change while servers have statements prepared on them: each client is told what PostgreSQL would
//! tell it on a connection of its own.

use pgweir_sandbox::client::Message;
use pgweir_sandbox::{Binaries, Client};

use crate::harness::{
    Setup, Site, ask, bind, difference, execute, local, message, parse, query, sync, without_source,
};

/// On a standby, on the primary, and with a write in it.
const TEXTS: [&str; 3] =
    ["SELECT * FROM rows", "SELECT * FROM rows FOR SHARE", "UPDATE rows SET n = n + 1 RETURNING *"];

/// The columns change by a connection that pgweir does not see, and by a statement that does not look like it.
const CHANGES: [(&str, Changed); 2] = [
    ("ALTER TABLE rows ADD word text DEFAULT 'hi'", Changed::Unseen),
    ("DO 'BEGIN ALTER TABLE rows ADD word text DEFAULT ''hi''; END'", Changed::Through),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Changed {
    Unseen,
    Through,
}

#[test]
fn who_prepares_after_the_change_hears_nothing_of_it() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        for ((change, how), text) in CHANGES.into_iter().flat_map(|change| TEXTS.map(|text| (change, text))) {
            for (name, said) in conversations(text) {
                let shared = table_known_to_servers(&site, text);
                alter(&site, change, how);
                let wanted = converse(directly(&site), &said);
                // As it was before that conversation wrote.
                directly(&site).query("UPDATE rows SET n = 1").unwrap();
                site.wait_caught_up();
                let got = converse(site.connect(), &said);
                for (step, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
                    if let Some(difference) = difference(wanted, got) {
                        panic!("{text}, {change}, {name}, step {step}: {difference}");
                    }
                }
                drop(shared);
            }
        }
    }
}

/// It was told the columns when it prepared, and is not told again.
#[test]
fn who_knows_the_columns_from_before_gets_postgresqls_error_until_it_prepares_again() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        for text in TEXTS {
            let mut shared = table_known_to_servers(&site, text);
            alter(&site, CHANGES[0].0, Changed::Unseen);
            let used = [bind("known", &[]), execute(), sync()].concat();
            let error = "0A000 cached plan must not change result type";
            for _ in 0..2 {
                let answer = ask(&mut shared, &used, 1);
                assert!(answer.iter().any(|message| is_error(message, error)), "{text}: {answer:?}");
            }
            ask(&mut shared, &[message(b'C', b"Sknown\0"), parse("known", text), sync()].concat(), 1);
            let answer = ask(&mut shared, &used, 1);
            assert!(answer.iter().any(|message| message.tag == b'D'), "{text}: {answer:?}");
        }
    }
}

/// No server is left that has parsed the statement before: one that parses it now knows of no change.
#[test]
fn who_knows_the_columns_from_before_gets_the_error_from_new_servers_too() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        for text in TEXTS {
            let mut shared = table_known_to_servers(&site, text);
            alter(&site, CHANGES[0].0, Changed::Unseen);
            for node in site.cluster.nodes() {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
                node.query("postgres", end).unwrap();
            }
            let answer = ask(&mut shared, &[bind("known", &[]), execute(), sync()].concat(), 1);
            let error = "0A000 cached plan must not change result type";
            assert!(answer.iter().any(|message| is_error(message, error)), "{text}: {answer:?}");
            assert!(answer.iter().all(|message| message.tag != b'D'), "{text}: {answer:?}");
        }
    }
}

/// Its driver asks with each portal, as libpq does.
#[test]
fn who_asks_for_the_columns_each_time_is_told_the_new_ones() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        for text in TEXTS {
            let mut shared = table_known_to_servers(&site, text);
            alter(&site, CHANGES[0].0, Changed::Unseen);
            let used = [bind("known", &[]), message(b'D', b"P\0"), execute(), sync()].concat();
            for in_block in [false, true] {
                if in_block {
                    shared.query("BEGIN").unwrap();
                }
                let answer = ask(&mut shared, &used, 1);
                let described = answer.iter().find(|message| message.tag == b'T').expect("the columns");
                assert!(described.body.starts_with(b"\0\x02"), "{text}: {answer:?}");
                if in_block {
                    assert_eq!(shared.query("COMMIT").unwrap().tag, "COMMIT");
                }
            }
        }
    }
}

type Conversation = Vec<(Vec<u8>, usize)>;

/// What a client may say that prepares the text now.
fn conversations(text: &str) -> Vec<(&'static str, Conversation)> {
    let all = |parts: &[Vec<u8>]| (parts.concat(), 1);
    let describe = || message(b'D', b"Ss\0");
    let used = || all(&[bind("s", &[]), execute(), sync()]);
    vec![
        ("prepared first", vec![all(&[parse("s", text), describe(), sync()]), used(), used()]),
        ("not described", vec![all(&[parse("s", text), sync()]), used()]),
        ("at once", vec![all(&[parse("s", text), bind("s", &[]), message(b'D', b"P\0"), execute(), sync()])]),
        (
            "in a block",
            vec![
                all(&[parse("s", text), sync()]),
                all(&[query("BEGIN")]),
                used(),
                used(),
                all(&[query("COMMIT")]),
            ],
        ),
    ]
}

/// A table of one column; its statement is prepared on the servers by a client, which stays.
fn table_known_to_servers(site: &Site, text: &str) -> Client {
    let mut owner = directly(site);
    owner.query("DROP TABLE IF EXISTS rows").unwrap();
    owner.query("CREATE TABLE rows AS SELECT 1 AS n").unwrap();
    site.wait_caught_up();
    let mut client = site.connect();
    ask(&mut client, &[parse("known", text), message(b'D', b"Sknown\0"), sync()].concat(), 1);
    let used = [bind("known", &[]), execute(), sync()].concat();
    ask(&mut client, &used, 1);
    client.query("BEGIN").unwrap();
    ask(&mut client, &used, 1);
    client.query("COMMIT").unwrap();
    owner.query("UPDATE rows SET n = 1").unwrap();
    client
}

fn alter(site: &Site, change: &str, how: Changed) {
    let mut by = if how == Changed::Unseen { directly(site) } else { site.connect() };
    by.query(change).unwrap();
    site.wait_caught_up();
}

fn directly(site: &Site) -> Client {
    let primary = local(site.cluster.primary().port());
    Client::connect(&primary, "postgres", "postgres").expect("PostgreSQL lets a client in")
}

fn converse(mut client: Client, said: &Conversation) -> Vec<Vec<Message>> {
    let answer = |(bytes, ready): &(Vec<u8>, usize)| {
        ask(&mut client, bytes, *ready).into_iter().map(without_source).collect()
    };
    let answers = said.iter().map(answer).collect();
    client.close().unwrap();
    answers
}

fn is_error(message: &Message, text: &str) -> bool {
    let (sqlstate, words) = text.split_once(' ').expect("a SQLSTATE and words");
    let body = String::from_utf8_lossy(&message.body);
    message.tag == b'E'
        && body.contains(&format!("\0C{sqlstate}\0"))
        && body.contains(&format!("\0M{words}\0"))
}
