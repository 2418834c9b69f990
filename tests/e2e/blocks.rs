//! Transaction blocks that begin without a server: what a client sees is what PostgreSQL says.

use pgweir_sandbox::{Binaries, Client, SandboxError};

use crate::harness::{Setup, bind, execute, parse, query, sync};

/// What a client gets up to so many ReadyForQuery.
fn say(client: &mut Client, bytes: &[u8], readies: usize) -> Vec<(char, String)> {
    client.wire().send(bytes).unwrap();
    let mut heard = Vec::new();
    while heard.iter().filter(|(tag, _)| *tag == 'Z').count() < readies {
        let message = client.wire().recv().unwrap();
        heard.push((char::from(message.tag), String::from_utf8_lossy(&message.body).into_owned()));
    }
    heard
}

#[test]
fn every_form_of_a_block_gets_postgresqls_answers() {
    let begins = [
        "BEGIN",
        "begin work;",
        "START TRANSACTION READ ONLY",
        "BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE",
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE",
        "BEGIN READ ONLY, READ WRITE",
        "BEGIN nonsense",
        "BEGIN READ ONLY,",
        "/* hello */ BEGIN",
    ];
    let insides = [
        "SELECT 1",
        "BEGIN",
        "SHOW transaction_isolation",
        "SAVEPOINT s",
        "SET TRANSACTION READ ONLY",
        "PREPARE TRANSACTION 'x'",
        "SELECT 1/0",
        "CREATE TEMP TABLE t (n int)",
        "DISCARD ALL",
        "",
    ];
    let ends =
        ["COMMIT", "END WORK", "ROLLBACK;", "ABORT", "COMMIT AND CHAIN", "ROLLBACK TO SAVEPOINT s", "VACUUM"];
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).set("pool", "size", "1").start();
        let mut direct = site.cluster.primary().connect("postgres").unwrap();
        let mut through = site.connect();
        let mut check = |texts: &[&str]| {
            let simple: Vec<u8> = texts.iter().flat_map(|text| query(text)).collect();
            let segment = |text: &&str| [parse("", text), bind("", &[]), execute(), sync()].concat();
            let extended: Vec<u8> = texts.iter().flat_map(segment).collect();
            for bytes in [simple, extended] {
                let [expected, got] = [&mut direct, &mut through].map(|client| {
                    let heard = say(client, &bytes, texts.len());
                    for text in ["ROLLBACK", "ROLLBACK PREPARED 'x'", "DISCARD ALL"] {
                        say(client, &query(text), 1);
                    }
                    heard
                });
                assert_eq!(got, expected, "{texts:?}");
            }
        };
        for begin in begins {
            check(&[begin]);
            for end in ends {
                check(&[begin, end]);
            }
            for inside in insides {
                check(&[begin, inside, "COMMIT"]);
            }
        }
    }
}

#[test]
fn a_block_that_waits_for_its_client_holds_no_server() {
    for binaries in Binaries::installed() {
        let site =
            Setup::on(&binaries).set("pool", "size", "1").set("pool", "wait_timeout", "\"1s\"").start();
        let (mut thinks, mut works) = (site.connect(), site.connect());
        works.query("CREATE TABLE t (n int)").unwrap();
        thinks.query("BEGIN").unwrap();
        assert_eq!(thinks.transaction_status(), 'T');
        works.query("INSERT INTO t VALUES (1)").expect("the only server is free");
        assert_eq!(thinks.query("SELECT count(*) FROM t").unwrap().value(), "1");
        works.query("BEGIN").unwrap();
        let refused = works.query("SELECT 1").unwrap_err();
        assert_eq!((refused.sqlstate(), works.transaction_status()), (Some("53300"), 'E'));
        assert_eq!(works.query("SELECT 1").unwrap_err().sqlstate(), Some("25P02"));
        assert_eq!(works.query("COMMIT").unwrap().tag, "ROLLBACK");
        thinks.query("COMMIT").unwrap();
        assert_eq!(works.query("SELECT 1").unwrap().value(), "1");
    }
}

#[test]
fn a_block_that_is_left_alone_ends_in_time() {
    let site = Setup::newest().set("pool", "idle_transaction_timeout", "\"500ms\"").start();
    let mut client = site.connect();
    client.query("BEGIN").unwrap();
    let late = client.reply().unwrap_err();
    assert_eq!(late.sqlstate(), Some("25P03"));
    assert!(matches!(client.wire().recv(), Err(SandboxError::ConnectionClosed)));
}

#[test]
fn a_default_of_read_only_lets_a_block_run_on_a_standby() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    let mut port_in_block = |settings: &str, begin: &str| {
        client.query(settings).unwrap();
        client.query(begin).unwrap();
        let port = client.query("SELECT inet_server_port()").unwrap().value().to_owned();
        client.query("COMMIT").unwrap();
        port == site.primary_port()
    };
    assert!(port_in_block("SELECT 1", "BEGIN"));
    assert!(!port_in_block("SET default_transaction_read_only TO on", "BEGIN"));
    assert!(port_in_block("SELECT 1", "BEGIN READ WRITE"));
    assert!(port_in_block("SET default_transaction_isolation TO serializable", "BEGIN"));
}
