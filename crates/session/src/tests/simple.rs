//! The simple query protocol.

use super::frames::*;
use super::{check, shell};
use crate::Event;

#[test]
fn a_query_and_its_answer() {
    check(&[query("SELECT 'a'")]);
    check(&[query("SELECT 'a'"), query("INSERT INTO t VALUES ('1')"), query("SELECT count(*) FROM t")]);
}

#[test]
fn reads_and_writes_in_one_pipeline() {
    let insert = |what: &str| query(&format!("INSERT INTO t VALUES ('{what}')"));
    let count = || query("SELECT count(*) FROM t");
    check(&[all(&[
        count(),
        insert("1"),
        count(),
        count(),
        insert("2"),
        count(),
        query("SELECT 1/0"),
        count(),
    ])]);
}

#[test]
fn empty_queries_and_several_statements() {
    check(&[query(""), query("   ;; "), query("SELECT 'a'; SELECT 'b'")]);
    check(&[query("SELECT 'a'; SELECT 1/0; SELECT 'b'"), query("SELECT 'c'")]);
    check(&[query("INSERT INTO t VALUES ('1'); SELECT 1/0"), query("SELECT count(*) FROM t")]);
    check(&[query("FROBNICATE"), query("SELECT 'a'")]);
}

#[test]
fn transactions() {
    let block = [
        query("BEGIN"),
        query("INSERT INTO t VALUES ('1')"),
        query("SELECT count(*) FROM t"),
        query("SELECT 1/0"),
        query("SELECT 'a'"),
        query("COMMIT"),
        query("SELECT count(*) FROM t"),
    ];
    check(&block);
    check(&[block.concat()]);
    check(&[query("COMMIT"), query("BEGIN"), query("BEGIN"), query("ROLLBACK")]);
}

#[test]
fn a_function_call() {
    check(&[function_call(), all(&[query("SELECT 'a'"), function_call(), query("SELECT 'b'")])]);
    check(&[query("BEGIN READ ONLY"), function_call(), query("ROLLBACK")]);
}

#[test]
fn reads_go_to_standbys_and_writes_to_the_primary() {
    let mut shell = shell();
    shell.ask(&query("SELECT 'a'"));
    shell.ask(&query("INSERT INTO t VALUES ('1')"));
    shell.ask(&query("SELECT 'b'"));
    assert_eq!(shell.leased, [1, 0, 1]);
    assert!(shell.server.is_none(), "nothing is held between transactions");
}

#[test]
fn a_write_behind_a_read_waits_for_the_primary() {
    let mut shell = shell();
    shell.ask(&all(&[query("SELECT 'a'"), query("INSERT INTO t VALUES ('1')"), query("SELECT 'b'")]));
    assert_eq!(shell.leased, [1, 0], "the read behind the write was there already, and stays behind it");
}

#[test]
fn reads_ask_for_what_the_session_wrote() {
    let mut shell = shell();
    shell.ask(&query("SELECT 'a'"));
    assert_eq!(shell.last_demand.unwrap().fresh_as_of, None);
    shell.ask(&all(&[query("INSERT INTO t VALUES ('1')"), query("INSERT INTO t VALUES ('2')")]));
    let written = shell.now;
    shell.ask(&query("SELECT 'a'"));
    assert_eq!(shell.last_demand.unwrap().fresh_as_of, Some(written));
}

#[test]
fn the_last_of_several_pipelined_writes_counts() {
    let mut shell = shell();
    shell.send(&all(&[query("INSERT INTO t VALUES ('1')"), query("INSERT INTO t VALUES ('2')")]));
    let second = std::time::Duration::from_secs(1);
    shell.pieces = super::Pieces::Of(40);
    while shell.turn() {
        shell.now += second;
    }
    let answered = shell.now;
    shell.ask(&query("SELECT 'a'"));
    let fresh_as_of = shell.last_demand.unwrap().fresh_as_of.unwrap();
    assert!(answered - fresh_as_of <= second, "the second write was answered last");
}

#[test]
fn events_tell_what_happened() {
    let mut shell = shell();
    shell.ask(&query("SELECT 1/0"));
    let seen: Vec<&Event> = shell.events.iter().collect();
    assert!(matches!(
        seen[..],
        [Event::Dispatched(_), Event::ServerError(code), Event::TransactionEnded] if &code.0 == b"22012"
    ));
}
