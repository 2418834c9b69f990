//! `transaction_reads = "until_write"`: reads of a block before its first write run on a standby, and nobody can tell.

use std::collections::BTreeSet;
use std::process::Command;

use pgweir_sandbox::{Binaries, Client, SandboxError};

use crate::harness::{Setup, Site, ask, bind, difference, execute, parse, query, sync, without_source};
use crate::programs::{Running, from_environment, script};

const PORT: &str = "SELECT current_setting('sandbox.port')";

fn setup(binaries: &Binaries) -> Setup {
    Setup::on(binaries).set("cluster.main", "transaction_reads", "\"until_write\"")
}

/// A client whose blocks are known to be READ COMMITTED, since the catalog is.
fn connect(site: &Site) -> Client {
    let mut client = site.connect();
    site.wait_for("a block reads on a standby", || {
        client.query("BEGIN").unwrap();
        let port = client.query(PORT).unwrap().value().to_owned();
        client.query("COMMIT").unwrap();
        port != site.primary_port()
    });
    client
}

fn port(client: &mut Client) -> String {
    client.query(PORT).unwrap().value().to_owned()
}

#[test]
fn reads_before_the_first_write_run_on_one_standby_on_every_version() {
    for binaries in Binaries::installed() {
        let site = setup(&binaries).standbys(2).start();
        let mut client = connect(&site);
        client.query("CREATE TABLE t (n int)").unwrap();
        site.wait_caught_up();
        site.wait_for("the session's own write is there", || port(&mut client) != site.primary_port());
        for _ in 0..6 {
            client.query("BEGIN").unwrap();
            let ports: BTreeSet<String> = (0..5).map(|_| port(&mut client)).collect();
            assert_eq!(ports.len(), 1, "the next statement must not see less than the last: {ports:?}");
            assert!(!ports.contains(&site.primary_port()));
            assert_eq!(client.transaction_status(), 'T');
            client.query("INSERT INTO t VALUES (1)").unwrap();
            assert_eq!(port(&mut client), site.primary_port());
            assert_eq!(client.query("SELECT count(*) FROM t").unwrap().value(), "1", "its own write");
            client.query("ROLLBACK").unwrap();
            site.wait_for("standbys have caught up", || port(&mut client) != site.primary_port());
        }
        let reads = [parse("s", PORT), bind("s", &[]), execute(), sync()].concat();
        for read in [reads.clone(), [bind("s", &[]), execute(), sync()].concat()] {
            client.query("BEGIN").unwrap();
            client.wire().send(&read).unwrap();
            let reply = client.reply().unwrap();
            assert_ne!(reply.rows[0][0].as_deref(), Some(site.primary_port().as_str()));
            client.query("COMMIT").unwrap();
        }
    }
}

#[test]
fn psycopgs_own_blocks_read_on_a_standby() {
    let site = setup(&Binaries::newest().unwrap()).standbys(1).start();
    drop(connect(&site));
    let mut command = Command::new(from_environment("PGWEIR_PYTHON"));
    let dsn = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", site.pgweir.port());
    command.arg("-B").arg(script("until_write_psycopg.py")).args([dsn, site.primary_port()]);
    let finished = Running::start(site.cluster.directory(), "psycopg", command).finish();
    assert_eq!(finished.printed(), "blocks");
}

#[test]
fn what_could_tell_the_difference_goes_to_the_primary() {
    let site = setup(&Binaries::newest().unwrap()).standbys(1).start();
    let mut client = connect(&site);
    for statement in [
        "CREATE TABLE t (n int, at timestamptz)",
        "CREATE VIEW recent AS SELECT * FROM t WHERE at > now() - interval '1 day'",
        "CREATE FUNCTION harmless() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
        "ALTER ROLE postgres SET statement_timeout TO '1min'",
    ] {
        client.query(statement).unwrap();
    }
    site.wait_caught_up();
    let opened_by = |client: &mut Client, begin: &str, first: &str| {
        client.query(begin).unwrap();
        let _any = client.query(first);
        let port = client.query(PORT).map(|reply| reply.value().to_owned());
        client.query("ROLLBACK").unwrap();
        port.unwrap_or_default()
    };
    site.wait_for("the catalog is read again", || {
        let plain = opened_by(&mut client, "BEGIN", "SELECT * FROM t");
        plain != site.primary_port()
            && opened_by(&mut client, "BEGIN", "SELECT * FROM recent") == site.primary_port()
    });
    for first in [
        "SELECT now()",
        "SELECT * FROM t WHERE at < CURRENT_DATE",
        "SELECT * FROM t WHERE at > 'yesterday'",
        "SELECT harmless()",
        "SHOW transaction_read_only",
        "SELECT * FROM t FOR SHARE",
        "SAVEPOINT s",
        "SET LOCAL work_mem TO '1MB'",
        "DECLARE c CURSOR FOR SELECT 1",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    ] {
        assert_eq!(opened_by(&mut client, "BEGIN", first), site.primary_port(), "{first}");
    }
    for begin in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        assert_eq!(opened_by(&mut client, begin, "SELECT 1"), site.primary_port(), "{begin}");
    }
    site.wait_for("its own locks are no news on the standby", || {
        opened_by(&mut client, "BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT 1") != site.primary_port()
    });
    client.query("SET default_transaction_isolation TO 'repeatable read'").unwrap();
    assert_eq!(opened_by(&mut client, "BEGIN", "SELECT 1"), site.primary_port());
    client.query("RESET default_transaction_isolation").unwrap();
    // What the role's or the database's default is, only the catalog tells.
    site.cluster
        .primary()
        .query("postgres", "ALTER DATABASE postgres SET default_transaction_isolation TO 'repeatable read'")
        .unwrap();
    site.wait_for("the default is known", || {
        opened_by(&mut client, "BEGIN", "SELECT 1") == site.primary_port()
    });
}

/// The same scripts go to PostgreSQL and through pgweir.
#[test]
fn blocks_get_postgresqls_answers_on_every_version() {
    let scripts: [&[&str]; 12] = [
        &["SELECT 1", "SELECT n FROM t", "INSERT INTO t VALUES (1)", "SELECT n FROM t", "COMMIT"],
        &["SELECT 1", "SELECT 1/0", "SELECT 1", "INSERT INTO t VALUES (1)", "COMMIT", "SELECT n FROM t"],
        &["SELECT 1/0", "SELECT nonsense(", "SAVEPOINT s", "ROLLBACK TO s", "ROLLBACK"],
        &["SELECT 1/0", "/* comment */ ROLLBACK -- more"],
        &["SELECT 1/0", "ROLLBACK; SELECT 2"],
        &["SELECT 1/0", "ROLLBACK AND CHAIN", "SELECT 1", "COMMIT"],
        &["SELECT 1/0", "COMMIT AND CHAIN", "SELECT 1", "COMMIT"],
        &["SELECT 1", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1", "COMMIT"],
        &["SELECT 1", "SET TRANSACTION READ WRITE", "SHOW transaction_isolation", "COMMIT"],
        &["SELECT 1", "BEGIN", "SELECT 1", "COMMIT AND CHAIN", "SELECT 1", "ROLLBACK"],
        &["SELECT missing FROM t", "SELECT 1", "PREPARE TRANSACTION 'x'", "SELECT 1", "COMMIT"],
        &["SELECT 1", "SAVEPOINT s", "SELECT 1/0", "ROLLBACK TO s", "SELECT n FROM t", "COMMIT"],
    ];
    for binaries in Binaries::installed() {
        let site = setup(&binaries).standbys(1).start();
        let mut through = connect(&site);
        through.query("CREATE TABLE t (n int)").unwrap();
        site.wait_caught_up();
        let mut direct = site.cluster.primary().connect("postgres").unwrap();
        for (at, script) in scripts.iter().enumerate() {
            for begin in ["BEGIN", "START TRANSACTION ;"] {
                let texts: Vec<&str> = [&[begin], *script].concat();
                let simple: Vec<u8> = texts.iter().flat_map(|text| query(text)).collect();
                let segment = |text: &&str| [parse("", text), bind("", &[]), execute(), sync()].concat();
                let extended: Vec<u8> = texts.iter().flat_map(segment).collect();
                for requests in [simple, extended] {
                    let mut answers = [&mut direct, &mut through].map(|client| {
                        let heard = ask(client, &requests, texts.len());
                        ask(client, &query("ROLLBACK"), 1);
                        ask(client, &query("DELETE FROM t"), 1);
                        heard.into_iter().map(without_source).collect::<Vec<_>>()
                    });
                    site.wait_caught_up();
                    let [wanted, got] = &mut answers;
                    assert_eq!(difference(wanted, got), None, "script {at} after {begin}: {script:?}");
                }
            }
        }
    }
}

#[test]
fn a_standby_that_goes_away_leaves_the_block_to_the_primary() {
    let site = setup(&Binaries::newest().unwrap()).standbys(2).start();
    let mut client = connect(&site);
    client.query("BEGIN").unwrap();
    let first = port(&mut client);
    let node = site.cluster.standbys().into_iter().find(|node| node.port().to_string() == first).unwrap();
    node.kill9().unwrap();
    assert_eq!(port(&mut client), site.primary_port(), "another standby may be behind");
    client.query("CREATE TABLE t (n int)").unwrap();
    client.query("COMMIT").unwrap();
    let Err(SandboxError::Server(error)) = client.query("INSERT INTO nowhere VALUES (1)") else {
        panic!("there is no such table")
    };
    assert_eq!(error.sqlstate, "42P01");
}
