//! One name means one prepared statement, whether the protocol or SQL made it: the same words go to PostgreSQL and through
//! pgweir, and the answers are compared byte for byte.

use pgweir_sandbox::client::Message;
use pgweir_sandbox::{Binaries, Client};

use crate::harness::{
    Setup, Site, ask, bind, difference, execute, local, message, parse, query, sync, without_source,
};

#[test]
fn prepared_statements_of_both_worlds_are_one() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        let mut setup = site.connect();
        setup.query("CREATE TABLE rows AS SELECT n FROM generate_series(1, 3) n").unwrap();
        let direct = |site: &Site| {
            let primary = local(site.cluster.primary().port());
            Client::connect(&primary, "postgres", "postgres").expect("PostgreSQL lets a client in")
        };
        for (name, said) in conversations() {
            let [wanted, got] = [direct(&site), site.connect()].map(|mut client| {
                let answer = |(bytes, ready): &Step| {
                    ask(&mut client, bytes, *ready).into_iter().map(without_source).collect()
                };
                let answers: Vec<Vec<Message>> = said.iter().map(answer).collect();
                client.close().unwrap();
                setup.query("DROP TABLE IF EXISTS made").unwrap();
                answers
            });
            for (step, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
                if let Some(difference) = difference(wanted, got) {
                    panic!("{name}, step {step}: {difference}");
                }
            }
        }
        // Nobody holds a server any more, and none has a name of a client left.
        let held = || site.pgweir.metric("pgweir_pool_servers", &[("state", "active")]);
        site.wait_for("all servers are given back", || held() == Some(0.0));
        let left = "SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE 'pgweir%'";
        assert_eq!(setup.query(left).unwrap().value(), "0");
    }
}

/// Requests, and how many ReadyForQuery answer them.
type Step = (Vec<u8>, usize);

fn conversations() -> Vec<(&'static str, Vec<Step>)> {
    let all = |parts: &[Vec<u8>]| parts.concat();
    let define = |name: &str, sql: &str| (all(&[parse(name, sql), sync()]), 1);
    let simple = |sql: &str| (query(sql), 1);
    let run = |sql: &str| (all(&[parse("", sql), bind("", &[]), describe(), execute(), sync()]), 1);
    let use_it = |name: &str| (all(&[bind(name, &[]), describe(), execute(), sync()]), 1);
    let count = || define("s", "SELECT count(*) FROM rows");
    let mut conversations = vec![
        (
            "execute",
            vec![count(), simple("EXECUTE s"), run("EXECUTE s"), simple("SELECT 1; EXECUTE s; EXECUTE s")],
        ),
        (
            "parameters",
            vec![define("s", "SELECT $1::int + $2::int"), simple("EXECUTE s(1, 2)"), simple("EXECUTE s(1)")],
        ),
        (
            "explain",
            vec![count(), simple("EXPLAIN (COSTS OFF) EXECUTE s"), run("EXPLAIN (COSTS OFF) EXECUTE s")],
        ),
        (
            "made",
            vec![count(), simple("CREATE TABLE made AS EXECUTE s"), simple("SELECT max(count) FROM made")],
        ),
        ("quoted", vec![define("S t", "SELECT 1"), simple("EXECUTE \"S t\""), simple("EXECUTE s")]),
        (
            "taken by the protocol",
            vec![count(), simple("PREPARE s AS SELECT 2"), run("PREPARE s AS SELECT 2"), simple("EXECUTE s")],
        ),
        ("taken by sql", vec![simple("PREPARE s AS SELECT 2"), count(), use_it("s"), simple("EXECUTE s")]),
        (
            "dropped",
            vec![count(), simple("DEALLOCATE s"), simple("DEALLOCATE s"), use_it("s"), count(), use_it("s")],
        ),
        (
            "dropped by the other",
            vec![
                simple("PREPARE s AS SELECT 2"),
                (all(&[close("s"), sync()]), 1),
                simple("EXECUTE s"),
                count(),
                simple("EXECUTE s"),
            ],
        ),
        (
            "dropped in a pipeline",
            vec![
                count(),
                (
                    all(&[
                        parse("", "DEALLOCATE s"),
                        bind("", &[]),
                        execute(),
                        bind("s", &[]),
                        execute(),
                        sync(),
                    ]),
                    1,
                ),
            ],
        ),
        ("dropped in a string", vec![count(), simple("EXECUTE s; DEALLOCATE s; EXECUTE s"), use_it("s")]),
        (
            "dropped all",
            vec![
                count(),
                simple("PREPARE t AS SELECT 2"),
                simple("DEALLOCATE ALL"),
                use_it("s"),
                simple("EXECUTE t"),
            ],
        ),
        (
            "discarded",
            vec![
                count(),
                simple("PREPARE t AS SELECT 2"),
                simple("DISCARD ALL"),
                use_it("s"),
                simple("EXECUTE t"),
            ],
        ),
        (
            "plans discarded",
            vec![
                count(),
                simple("PREPARE t AS SELECT 2"),
                simple("DISCARD PLANS"),
                use_it("s"),
                simple("EXECUTE t"),
            ],
        ),
        (
            "in a block",
            vec![
                count(),
                simple("BEGIN"),
                simple("EXECUTE s"),
                simple("DEALLOCATE s"),
                simple("ROLLBACK"),
                use_it("s"),
            ],
        ),
        (
            "in a failed block",
            vec![
                count(),
                simple("BEGIN"),
                simple("SELECT 1/0"),
                simple("EXECUTE s"),
                run("EXECUTE s"),
                simple("ROLLBACK"),
                simple("EXECUTE s"),
            ],
        ),
        (
            "an error with its place",
            vec![count(), simple("EXECUTE s; SELECT nothing"), simple("EXECUTE s WHERE")],
        ),
        (
            "a table that is gone",
            vec![
                simple("CREATE TABLE made (n int)"),
                define("s", "SELECT * FROM made"),
                simple("DROP TABLE made"),
                simple("EXECUTE s"),
                use_it("s"),
            ],
        ),
    ];
    conversations.push((
        "all at once",
        vec![(
            all(&[
                count().0,
                query("EXECUTE s"),
                query("DEALLOCATE s"),
                query("EXECUTE s"),
                count().0,
                query("EXECUTE s"),
            ]),
            6,
        )],
    ));
    conversations
}

/// A Describe of the unnamed portal.
fn describe() -> Vec<u8> {
    message(b'D', b"P\0")
}

/// A Close of a statement.
fn close(statement: &str) -> Vec<u8> {
    message(b'C', &[b"S", statement.as_bytes(), b"\0"].concat())
}
