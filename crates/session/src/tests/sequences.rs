//! `currval` answers what the session's own `nextval` answered, or PostgreSQL's error, and never what another's did.

use std::sync::Arc;

use super::frames::*;
use super::shell::Shell;
use super::{Pieces, Shared, check};
use crate::{PinReason, Pinned, ProvenStatements, SessionSettings};

const NEXT: &str = "SELECT nextval('s')";
const CURRENT: &str = "SELECT currval('s')";
const MISSING: &str = "E(55000 currval of sequence \"s\" is not yet defined in this session) Z(I)";

/// A client of a pool whose clients have or have not asked before.
fn client(id: u64, proven: &Arc<ProvenStatements>) -> SessionSettings {
    SessionSettings { id, proven: Arc::clone(proven), ..super::shell::settings(&[]) }
}

fn ask(shell: &mut Shell, text: &str) -> String {
    shown(&shell.ask(&query(text)))
}

/// The same by the extended protocol, in a segment with something else.
fn ask_extended(shell: &mut Shell, text: &str) -> String {
    shown(&shell.ask(&all(&[parse("", text), bind(""), execute(), sync()])))
}

#[test]
fn a_session_gets_its_own_value_and_no_other() {
    for ask in [ask, ask_extended] {
        let proven = Arc::new(ProvenStatements::default());
        let mut shell = Shell::new(client(1, &proven), &Shared::default(), Pieces::Whole);
        assert!(ask(&mut shell, NEXT).contains("D(1)"));
        assert!(ask(&mut shell, CURRENT).contains("D(1)"), "the server is the same and nobody else's");
        assert_eq!(ask(&mut shell, "DISCARD SEQUENCES").matches("DISCARD").count(), 1);
        assert!(shell.server.is_none(), "nothing holds the server any more");
        assert!(ask(&mut shell, NEXT).contains("D(2)"));
        assert_ne!(shell.session.pinned(), Pinned::No, "another statement may ask");
        shell.leave();
        shell.next_client(client(2, &proven));
        assert!(ask(&mut shell, CURRENT).ends_with(MISSING));
    }
}

#[test]
fn values_of_others_are_discarded_before_the_first_question() {
    for ask in [ask, ask_extended] {
        let proven = Arc::new(ProvenStatements::default());
        let mut shell = Shell::new(client(1, &proven), &Shared::default(), Pieces::Whole);
        ask(&mut shell, NEXT);
        shell.next_client(client(2, &proven));
        ask(&mut shell, "BEGIN");
        ask(&mut shell, "INSERT INTO t VALUES ('1')");
        let answer = ask(&mut shell, CURRENT);
        assert!(answer.contains("55000"), "{answer}");
        ask(&mut shell, "ROLLBACK");
        assert!(ask(&mut shell, NEXT).contains("D(2)"));
        assert!(ask(&mut shell, CURRENT).contains("D(2)"));
    }
}

#[test]
fn an_error_in_front_of_the_discard_leaves_others_values_unseen() {
    let proven = Arc::new(ProvenStatements::default());
    let mut shell = Shell::new(client(1, &proven), &Shared::default(), Pieces::Whole);
    ask(&mut shell, NEXT);
    shell.next_client(client(2, &proven));
    shell.ask(&all(&[run("INSERT INTO t VALUES ('1')"), run("SELECT 1/0"), run(CURRENT), sync()]));
    let answer = ask(&mut shell, CURRENT);
    assert!(answer.ends_with(MISSING), "{answer}");
}

#[test]
fn replies_are_those_of_one_postgresql() {
    let texts = [NEXT, CURRENT, NEXT, "DISCARD SEQUENCES", CURRENT, NEXT, "DISCARD ALL", CURRENT];
    check(&texts.map(query));
    check(&[texts.map(query).concat()]);
    check(&[query("BEGIN"), all(&[run(NEXT), run(CURRENT), sync()]), query("COMMIT"), query(CURRENT)]);
    check(&[query(CURRENT), all(&[run(CURRENT), run(NEXT), sync(), run(CURRENT), sync()])]);
}

#[test]
fn nobody_who_does_not_ask_is_held() {
    let mut shell = super::shell();
    ask(&mut shell, NEXT);
    assert_eq!(shell.session.pinned(), Pinned::No);
    let reason = PinReason::Statement(pgweir_sql::PinCause::SequenceValue);
    ask(&mut shell, CURRENT);
    assert_eq!(shell.session.pinned(), Pinned::By(reason));
}

#[test]
fn values_behind_a_discard_are_not_anothers() {
    let proven = Arc::new(ProvenStatements::default());
    let mut shell = Shell::new(client(1, &proven), &Shared::default(), Pieces::Whole);
    shell.ask(&all(&[query("DISCARD SEQUENCES"), query(NEXT)]));
    shell.next_client(client(2, &proven));
    let answer = ask(&mut shell, CURRENT);
    assert!(answer.ends_with(MISSING), "{answer}");
}
