//! Reads of a block that run apart from it, with `transaction_reads = "until_write"`.

use std::sync::Arc;

use pgweir_sql::{Catalog, CatalogRows, CatalogSlot, IsolationRow};
use pgweir_wire::TransactionStatus;

use super::frames::*;
use super::shell::{End, Shell};
use super::{Pieces, Random, Shared, directly, shell};
use crate::{SessionError, SessionSettings, TransactionReads};

/// What a session is made of whose transactions are of this level unless it says otherwise.
pub(super) fn until_write(settings: SessionSettings, isolation: &str) -> SessionSettings {
    let isolations = vec![IsolationRow { role: None, value: isolation.to_owned() }];
    // The default is the slot of those who know no catalog.
    let slot = CatalogSlot::new(1);
    slot.set(Some(Arc::new(Catalog::new(&CatalogRows { isolations, ..CatalogRows::default() }))));
    SessionSettings { transaction_reads: TransactionReads::UntilWrite, catalog: Arc::new(slot), ..settings }
}

fn with(isolation: &str, pieces: Pieces) -> Shell {
    Shell::new(until_write(shell::settings(&[]), isolation), &Shared::default(), pieces)
}

/// The client gets what one PostgreSQL says, and these nodes are leased, each chunk sent when the one before is answered.
fn check(chunks: &[Vec<u8>], leased: &[usize]) {
    let expected = directly(chunks, &[]);
    let randoms = (0..10).map(|seed| Pieces::Random(Random::new(seed)));
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(7)].into_iter().chain(randoms) {
        let chosen = matches!(pieces, Pieces::Random(_));
        let mut shell = with("read committed", pieces.clone());
        chunks.iter().for_each(|chunk| drop(shell.ask(chunk)));
        assert_eq!(shown(&shell.received), shown(&expected), "{pieces:?}");
        assert_eq!(shell.received, expected, "{pieces:?}");
        let standbys = |nodes: &[usize]| nodes.iter().map(|node| (*node).min(1)).collect::<Vec<_>>();
        assert_eq!(standbys(&shell.leased), standbys(leased), "{pieces:?}");
        assert!(chosen || shell.leased == leased, "{:?}", shell.leased);
        let reads = shell.leased.iter().filter(|node| **node > 0).collect::<Vec<_>>();
        assert!(reads.windows(2).all(|two| two[0] == two[1]), "all on one standby: {:?}", shell.leased);
    }
}

const READ: &str = "SELECT count(*) FROM t";
const WRITE: &str = "INSERT INTO t VALUES ('1')";

#[test]
fn reads_before_the_first_write_run_on_one_standby_and_the_rest_on_the_primary() {
    for begin in ["BEGIN", "START TRANSACTION", "BEGIN WORK READ WRITE"] {
        for end in ["COMMIT", "ROLLBACK"] {
            check(&[begin, READ, "SELECT 'a'", "", end].map(query), &[1, 1, 1]);
            check(&[begin, READ, WRITE, READ, "SELECT 'a'", end].map(query), &[1, 0]);
            check(&[begin, WRITE, READ, end].map(query), &[0]);
        }
    }
    let extended = |text: &str| all(&[parse("", text), bind(""), describe_portal(""), execute(), sync()]);
    check(&["BEGIN", READ, "SELECT 'a'", WRITE, READ, "COMMIT"].map(extended), &[1, 1, 0]);
    let named = [
        query("BEGIN"),
        all(&[parse("s", READ), describe_statement("s"), sync()]),
        all(&[bind("s"), execute(), sync()]),
        all(&[bind("s"), execute(), bind("s"), execute(), sync()]),
        all(&[close_statement("s"), sync()]),
        query("COMMIT"),
    ];
    check(&named, &[1, 1, 1]);
}

#[test]
fn a_read_that_fails_fails_its_block() {
    for end in ["COMMIT", "ROLLBACK"] {
        check(&["BEGIN", READ, "SELECT 1/0", READ, "SAVEPOINT s", WRITE, end].map(query), &[1, 1, 0]);
        let failed =
            [query("BEGIN"), all(&[run("SELECT 'a'"), run("SELECT 1/0"), run("SELECT 'b'"), sync()])];
        check(
            &[&failed[..], &[all(&[run("SELECT 'c'"), sync()]), query(end), query(WRITE)]].concat(),
            &[1, 0, 0],
        );
    }
}

#[test]
fn what_could_tell_a_difference_opens_the_block_on_the_primary() {
    for text in [
        "SELECT now()",
        "SHOW my.x",
        "SELECT 'now'",
        "SELECT 'a'; SELECT 'b'",
        "SELECT E'\\x41'",
        "DECLARE c CURSOR FOR SELECT 1",
    ] {
        let mut shell = with("read committed", Pieces::Whole);
        ["BEGIN", text, READ].iter().for_each(|text| drop(shell.ask(&query(text))));
        assert_eq!(shell.leased, [0], "{text}");
    }
    let named_portal = all(&[parse("", READ), bind_portal("p", "", None), execute_portal("p", 0), sync()]);
    let some_rows = all(&[parse("", READ), bind(""), execute_portal("", 1), sync()]);
    let text = parse("", "SELECT $1::text");
    let a_time = all(&[text, bind_portal("", "", Some("today")), execute(), sync()]);
    let flushed = all(&[parse("", READ), bind(""), execute(), flush(), sync()]);
    for segment in [named_portal, some_rows, a_time, flushed] {
        let mut shell = with("read committed", Pieces::Whole);
        shell.ask(&query("BEGIN"));
        shell.ask(&segment);
        assert_eq!(shell.leased, [0], "{}", shown(&segment));
    }
}

#[test]
fn only_read_committed_has_a_snapshot_for_each_statement() {
    let leased = |isolation: &str, before: &[&str]| {
        let mut shell = with(isolation, Pieces::Whole);
        before.iter().chain(&["BEGIN", READ]).for_each(|text| drop(shell.ask(&query(text))));
        shell.leased.last().copied()
    };
    assert_eq!(leased("read committed", &[]), Some(1));
    assert_eq!(leased("repeatable read", &[]), Some(0));
    let set = |level: &'static str| format!("SET default_transaction_isolation TO '{level}'");
    assert_eq!(leased("repeatable read", &[&set("read committed")]), Some(1));
    assert_eq!(leased("read committed", &[&set("serializable")]), Some(0));
    let mut unknown = Shell::new(
        SessionSettings { transaction_reads: TransactionReads::UntilWrite, ..shell::settings(&[]) },
        &Shared::default(),
        Pieces::Whole,
    );
    ["BEGIN", READ].iter().for_each(|text| drop(unknown.ask(&query(text))));
    assert_eq!(unknown.leased, [0], "without a catalog nobody knows");
}

#[test]
fn behind_reads_the_block_begins_with_a_snapshot() {
    let mut shell = with("read committed", Pieces::Whole);
    shell.ask(&query("BEGIN ;"));
    shell.ask(&query(READ));
    let written = shell.first_write(&query(WRITE));
    assert!(written.contains("BEGIN ;VALUES (1)") && written.contains(WRITE), "{written}");
    shell.settle();
    assert_eq!(shell.session.status(), TransactionStatus::InTransaction);
}

#[test]
fn a_standby_that_dies_leaves_the_block_to_the_primary() {
    for turns in 0..12 {
        let mut shell = with("read committed", Pieces::Of(9));
        shell.ask(&query("BEGIN"));
        shell.ask(&query(READ));
        shell.send(&query("SELECT 'a'"));
        for _ in 0..turns {
            shell.turn();
        }
        shell.kill();
        shell.settle();
        match shell.end {
            None => {
                let rest = shown(&shell.ask(&[query(WRITE), query("COMMIT")].concat()));
                assert!(!rest.contains("E(") && rest.ends_with("Z(I)"), "{turns}: {rest}");
                assert_eq!(shell.leased[0], 1);
                assert!(!shell.leased.contains(&2), "another standby may be behind: {:?}", shell.leased);
            }
            Some(end) => assert_eq!(end, End::Error(SessionError::ServerLost)),
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let texts = [
        "BEGIN",
        READ,
        "SELECT 'a'",
        WRITE,
        READ,
        "COMMIT",
        "BEGIN",
        READ,
        "SELECT 1/0",
        READ,
        "ROLLBACK",
        READ,
    ];
    // What is sent behind a block before its end is answered stays with its server.
    check(&[texts.map(query).concat()], &[1, 1, 0]);
}
