//! What becomes of servers and clients when something ends.

use super::frames::*;
use super::shell::{End, Shell};
use super::{Pieces, Shared, directly, shell};
use crate::{AtTheEnd, PoolMode, Session, SessionError, SessionSettings};

fn refused(chunk: &[u8]) -> String {
    let mut shell = shell();
    shell.refuses = true;
    let refused = shown(&shell.ask(chunk));
    shell.refuses = false;
    let after = query("SELECT 'after'");
    let answer = shell.ask(&after);
    assert_eq!(shown(&answer), shown(&directly(&[after], &[])), "the session goes on");
    refused
}

#[test]
fn a_refused_demand_is_an_error_and_the_session_goes_on() {
    let no = "E(53300 no server is free)";
    for chunk in [
        query("SELECT 'a'"),
        query("INSERT INTO t VALUES ('1')"),
        all(&[run("SELECT 'a'"), sync()]),
        all(&[run("SELECT 'a'"), flush(), run("SELECT 'b'"), sync()]),
        all(&[run("SELECT 'a'"), query("SELECT 'b'"), sync()]),
        query(&"x".repeat(10_000)),
        all(&[parse("", &"x".repeat(10_000)), bind(""), execute(), sync()]),
        function_call(),
    ] {
        assert_eq!(refused(&chunk), format!("{no} Z(I)"), "{}", chunk.len());
    }
    assert_eq!(refused(&[query("SELECT 'a'"), query("SELECT 'b'")].concat()), format!("{no} Z(I) {no} Z(I)"));
    let copy = all(&[query("COPY t FROM STDIN"), copy_data("1"), copy_done()]);
    assert_eq!(refused(&copy), format!("{no} Z(I)"));
}

#[test]
fn what_needs_no_server_gets_none() {
    let mut shell = shell();
    shell.refuses = true;
    assert_eq!(shown(&shell.ask(&sync())), "Z(I)");
    assert_eq!(shown(&shell.ask(&all(&[close_statement("s"), flush()]))), "3");
    assert_eq!(shown(&shell.ask(&all(&[close_statement("s"), sync()]))), "3 Z(I)");
}

#[test]
fn a_client_that_leaves() {
    let leaves = |chunks: &[Vec<u8>]| {
        let mut shell = shell();
        for chunk in chunks {
            shell.ask(chunk);
        }
        shell.leave()
    };
    assert!(matches!(leaves(&[]), AtTheEnd::NoServer));
    assert!(matches!(leaves(&[query("SELECT 'a'")]), AtTheEnd::NoServer));
    assert!(matches!(leaves(&[query("BEGIN")]), AtTheEnd::NoServer), "no server knows of it");
    assert!(matches!(leaves(&[query("BEGIN"), query("SELECT 'a'")]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[query("BEGIN"), query("SELECT 1/0")]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[query("COPY t FROM STDIN")]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[run("SELECT 'a'")]), AtTheEnd::NoServer), "nothing was sent");
    assert!(matches!(leaves(&[all(&[run("SELECT 'a'"), flush()])]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[run("INSERT INTO t VALUES ('1')")]), AtTheEnd::NoServer));
    assert!(matches!(leaves(&[all(&[run("INSERT INTO t VALUES ('1')"), flush()])]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[all(&[run("SELECT 1/0"), flush()])]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[all(&[parse("s", "SELECT 'a'"), flush()])]), AtTheEnd::Discard));
    assert!(matches!(leaves(&[query("LISTEN c")]), AtTheEnd::ResetFirst));
    assert!(matches!(leaves(&[query("LISTEN c"), query("BEGIN")]), AtTheEnd::Discard));
    // Not even DISCARD ALL takes these back.
    for sql in ["LOAD 'x'", "SELECT setseed(0.5)", "LISTEN c; LOAD 'x'"] {
        assert!(matches!(leaves(&[query("LISTEN c"), query(sql)]), AtTheEnd::Discard), "{sql}");
        assert!(matches!(leaves(&[query(sql), query("DISCARD ALL")]), AtTheEnd::Discard), "{sql}");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_reply_or_request() {
    let insert = query("INSERT INTO t VALUES ('1')");
    for turns in 1..10 {
        let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Of(11));
        shell.send(&insert);
        (0..turns).all(|_| shell.turn());
        let held = shell.server.is_some();
        assert_eq!(matches!(shell.leave(), AtTheEnd::Discard), held, "after {turns} turns");
    }
}

#[test]
fn good_bye() {
    let mut shell = shell();
    shell.ask(&all(&[query("SELECT 'a'"), vec![b'X', 0, 0, 0, 4]]));
    assert_eq!(shell.end, Some(End::Goodbye));
    assert_eq!(shown(&shell.received), "T D(a) C(SELECT 1) Z(I)");
}

#[test]
fn a_primary_that_dies() {
    let mut shell = shell();
    shell.ask(&query("BEGIN"));
    shell.ask(&query("SELECT 'a'"));
    shell.kill();
    assert_eq!(shell.end, Some(End::Error(SessionError::ServerLost)));
}

#[test]
fn a_server_that_is_still_prepared_can_be_lost() {
    let mut shell = shell();
    shell.ask(&query("SET role TO 'ann'"));
    shell.idle.clear();
    shell.send(&query("INSERT INTO t VALUES ('1')"));
    assert!(shell.turn());
    shell.kill();
    shell.settle();
    assert_eq!((shell.end.clone(), &shell.leased[..]), (None, &[0, 0, 0][..]));
    assert!(shown(&shell.received).ends_with("C(INSERT 0 1) Z(I)"));
}

#[test]
fn statement_mode_refuses_blocks() {
    let settings = SessionSettings { mode: PoolMode::Statement, ..super::shell::settings(&[]) };
    let mut shell = Shell::new(settings, &Shared::default(), Pieces::Whole);
    shell.ask(&query("SELECT 'a'"));
    shell.ask(&query("BEGIN"));
    assert_eq!(shell.end, Some(End::Error(SessionError::TransactionInStatementMode)));
}

#[test]
fn an_idle_session_is_small() {
    let bytes = size_of::<Session>();
    println!("a session takes {bytes} bytes");
    assert!(bytes <= 1024, "a session takes {bytes} bytes");
}
