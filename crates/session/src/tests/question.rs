//! What a server's session holds ends the pin when it ends, and is seen where no text shows it.

use super::frames::*;
use super::shell::{End, Shell};
use super::{check, shell};
use crate::{PinReason, Pinned, Session, SessionError};

/// The name of the reason for which the session holds its server; empty if it does not.
fn pin(session: &Session) -> &'static str {
    match session.pinned() {
        Pinned::No => "",
        Pinned::By(reason) => reason.code(),
    }
}

/// After each text, the reason.
fn pins(texts: &[&str]) -> Vec<&'static str> {
    let mut shell = shell();
    let pins = texts.iter().map(|text| {
        shell.ask(&query(text));
        assert_eq!(shell.server.is_some(), shell.session.pinned() != Pinned::No, "{text}");
        pin(&shell.session)
    });
    pins.collect()
}

#[test]
fn a_pin_ends_with_its_cause() {
    assert_eq!(pins(&["LISTEN c", "SELECT 'a'", "UNLISTEN *"]), ["listen", "listen", ""]);
    assert_eq!(pins(&["CREATE TEMP TABLE x", "DROP TABLE x"]), ["temporary_table", ""]);
    let locks = ["SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(1)"];
    let unlocks = ["SELECT pg_advisory_unlock(1)", "SELECT pg_advisory_unlock(1)"];
    assert_eq!(pins(&[locks, unlocks].concat()), ["advisory_lock", "advisory_lock", "advisory_lock", ""]);
    assert_eq!(
        pins(&["PREPARE p AS SELECT 'a'", "EXECUTE p", "DEALLOCATE p"]),
        ["sql_prepare", "sql_prepare", ""]
    );
    assert_eq!(pins(&["LISTEN c; CREATE TEMP TABLE x", "UNLISTEN *"]), ["listen", "temporary_table"]);
}

#[test]
fn what_was_rolled_back_or_failed_holds_nothing() {
    assert_eq!(pins(&["LISTEN c; SELECT 1/0"]), [""]);
    let mut shell = shell();
    for text in ["BEGIN", "CREATE TEMP TABLE x"] {
        shell.ask(&query(text));
    }
    assert_eq!(pin(&shell.session), "temporary_table");
    shell.ask(&query("ROLLBACK"));
    assert_eq!((pin(&shell.session), shell.server.is_none()), ("", true));
}

#[test]
fn what_no_text_shows_is_seen() {
    assert_eq!(pins(&["SELECT locks()", "SELECT unlocks()"]), ["advisory_lock", ""]);
    assert_eq!(pins(&["INSERT INTO t VALUES ('1')", "SHOW my.x"]), ["", ""]);
    let mut shell = shell();
    shell.ask(&query("SELECT sets()"));
    shell.idle.clear();
    let shown = shown(&shell.ask(&query("SHOW work_mem")));
    assert!(shown.contains("by code"), "the setting follows the session: {shown}");
}

#[test]
fn what_no_catalog_shows_does_not_reach_the_next_session() {
    let mut shell = shell();
    shell.ask(&query("SELECT hides()"));
    shell.next_client(crate::SessionSettings { id: 2, ..super::shell::settings(&[]) });
    shell.ask(&query("INSERT INTO t VALUES ('1')"));
    assert!(shell.idle[0].model.gucs.session().is_empty());
}

#[test]
fn the_client_notices_nothing_of_it() {
    let texts =
        ["SELECT locks()", "LISTEN c", "SELECT held()", "SELECT unlocks()", "UNLISTEN *", "SELECT held()"];
    check(&texts.map(query));
    check(&[texts.map(query).concat()]);
    check(&[texts.map(run).concat(), sync(), texts.map(query).concat()]);
    check(&[query("BEGIN"), query("CREATE TEMP TABLE x"), query("COMMIT"), query("SELECT held()")]);
}

/// A client whose server is asked, and has not answered.
fn asked() -> Shell {
    let mut shell = shell();
    shell.send(&query("SELECT locks()"));
    while !shell.received.ends_with(b"Z\0\0\0\x05I") {
        assert!(shell.turn(), "the client gets its answer");
    }
    assert!(shell.session.is_busy(), "the question is outstanding");
    shell
}

#[test]
fn a_server_that_dies_over_the_question_takes_what_it_may_have_held_with_it() {
    let mut shell = asked();
    shell.kill();
    assert_eq!(shell.end, Some(End::Error(SessionError::ServerLost)), "a lock may be lost");
}

#[test]
fn the_next_request_waits_for_the_answer_and_no_longer() {
    let mut shell = asked();
    let insert = "INSERT INTO t VALUES ('1')";
    let answer = shell.ask(&query(insert));
    assert_eq!((shown(&answer).as_str(), pin(&shell.session)), ("C(INSERT 0 1) Z(I)", "advisory_lock"));
}

#[test]
fn a_question_that_fails_holds_the_server_and_is_asked_again() {
    let mut shell = asked();
    let server = shell.server.as_mut().unwrap();
    server.model.fails_next = true;
    shell.settle();
    assert_eq!(shell.session.pinned(), Pinned::By(PinReason::Unasked));
    shell.ask(&query("SELECT 'a'"));
    assert_eq!(pin(&shell.session), "advisory_lock");
    shell.ask(&query("SELECT unlocks()"));
    assert!(shell.server.is_none());
}
