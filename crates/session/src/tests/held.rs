//! Blocks that no server knows of yet.

use pgweir_wire::TransactionStatus;

use super::frames::*;
use super::shell::{End, Shell};
use super::{Pieces, Shared, check, check_with, shell};
use crate::{AtTheEnd, SessionError};

const BEGINS: [&str; 4] = ["BEGIN", "BEGIN READ ONLY", "BEGIN WORK READ WRITE", "START TRANSACTION"];
const ENDS: [&str; 4] = ["COMMIT", "END", "ROLLBACK", "ABORT TRANSACTION"];

/// The statement by the extended protocol, described in no way, as a portal, and as a statement.
fn segments(text: &str) -> [Vec<u8>; 3] {
    [
        all(&[parse("", text), bind(""), execute(), sync()]),
        all(&[run(text), sync()]),
        all(&[parse("", text), bind(""), describe_statement(""), execute(), sync()]),
    ]
}

#[test]
fn a_block_without_statements_needs_no_server() {
    for begin in BEGINS {
        for end in ENDS {
            let ways = |text: &str| segments(text).into_iter().chain([query(text)]);
            for (begin, end) in ways(begin).zip(ways(end)) {
                check(&[begin.clone(), end.clone(), query("SELECT 'a'")]);
                let mut shell = shell();
                shell.refuses = true;
                let said = shown(&shell.ask(&[begin, sync(), end].concat()));
                assert!(said.ends_with("Z(I)") && !said.contains("E("), "{said}");
                assert_eq!(shell.leased, [0; 0]);
            }
        }
    }
}

#[test]
fn what_comes_first_in_a_block_gets_postgresqls_own_answer() {
    let firsts =
        ["SELECT 'a'", "INSERT INTO t VALUES ('1')", "BEGIN", "SAVEPOINT s", "SELECT 1/0", "", "FROBNICATE"];
    let more =
        ["SET my.x TO 'one'", "SET LOCAL my.x TO 'one'", "DISCARD ALL", "ROLLBACK TO s", "COPY t TO STDOUT"];
    for begin in BEGINS {
        for first in firsts.into_iter().chain(more) {
            for end in ["COMMIT", "ROLLBACK"] {
                let chunks = [query(begin), query(first), query("SHOW my.x"), query(end), query("SHOW my.x")];
                check(&chunks);
                check(&[chunks.concat()]);
                check(&[
                    query(begin),
                    all(&[run(first), sync()]),
                    all(&[run(end), sync()]),
                    query("SHOW my.x"),
                ]);
            }
        }
    }
    let copy = all(&[query("COPY t FROM STDIN"), copy_data("1"), copy_done()]);
    check(&[query("BEGIN"), copy, function_call(), query("COMMIT"), query("SELECT count(*) FROM t")]);
    check(&[query("BEGIN"), all(&[parse("s", "SELECT 'a'"), flush()]), all(&[bind("s"), execute(), sync()])]);
    check(&[query("BEGIN"), all(&[bind(""), execute(), sync()]), query("ROLLBACK")]);
    check(&[all(&[run("BEGIN"), sync()]), all(&[bind(""), execute(), sync()]), query("ROLLBACK")]);
}

#[test]
fn begin_goes_out_with_the_first_statement() {
    let mut shell = shell();
    shell.ask(&query("BEGIN"));
    let written = shell.first_write(&query("SELECT 'a'"));
    assert!(written.contains("BEGIN") && written.contains("SELECT 'a'"), "{written}");
    shell.settle();
    assert_eq!(shown(&shell.received), "C(BEGIN) Z(T) T D(a) C(SELECT 1) Z(T)");
    assert_eq!(shell.leased, [0]);
}

#[test]
fn the_first_statement_helps_to_choose_the_node() {
    let node = |settings: &str, begin: &str, first: &str| {
        let mut shell = shell();
        shell.ask(&query(settings));
        shell.leased.clear();
        shell.ask(&[query(begin), query(first)].concat());
        shell.leased[0]
    };
    let read_only = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
    for (settings, begin, first, expected) in [
        ("", "BEGIN", "SELECT 'a'", 0),
        ("", "BEGIN READ ONLY", "SELECT 'a'", 1),
        ("", "BEGIN READ ONLY", "SAVEPOINT s", 1),
        ("", "BEGIN READ ONLY", "SET LOCAL my.x TO 'one'", 1),
        ("", "BEGIN READ ONLY", "INSERT INTO t VALUES ('1')", 0),
        (read_only, "BEGIN", "SELECT 'a'", 1),
        (read_only, "BEGIN WORK READ WRITE", "SELECT 'a'", 0),
    ] {
        assert_eq!(node(settings, begin, first), expected, "{settings} | {begin} | {first}");
    }
}

#[test]
fn a_block_that_gets_no_server_has_failed() {
    let no = "E(53300 no server is free)";
    let aborted = "E(25P02 current transaction is aborted, commands ignored until end of transaction block)";
    for end in ENDS {
        let mut shell = shell();
        shell.ask(&query("BEGIN"));
        shell.refuses = true;
        assert_eq!(shown(&shell.ask(&query("SELECT 'a'"))), format!("{no} Z(E)"));
        assert_eq!(shown(&shell.ask(&query("INSERT INTO t VALUES ('1')"))), format!("{aborted} Z(E)"));
        assert_eq!(shown(&shell.ask(&all(&[run("SELECT 'a'"), sync()]))), format!("{aborted} Z(E)"));
        assert_eq!(shown(&shell.ask(&all(&[parse("s", "SELECT 'a'"), sync()]))), format!("{aborted} Z(E)"));
        assert_eq!(shown(&shell.ask(&query(""))), "I Z(E)");
        assert_eq!(shown(&shell.ask(&sync())), "Z(E)");
        assert_eq!(shown(&shell.ask(&query(end))), "C(ROLLBACK) Z(I)");
        shell.refuses = false;
        assert_eq!(shown(&shell.ask(&query("SELECT 'a'"))), "T D(a) C(SELECT 1) Z(I)");
    }
}

#[test]
fn a_failed_block_that_no_server_had_ends_as_postgresqls() {
    let no = "E(53300 no server is free) Z(E)";
    for chain in ["COMMIT AND CHAIN", "END WORK AND CHAIN", "ROLLBACK AND CHAIN", "/* x */ ABORT AND CHAIN"] {
        for (end, tags) in
            segments(chain).into_iter().zip(["1 2 ", "1 2 n ", "1 2 t n "]).chain([(query(chain), "")])
        {
            let mut shell = shell();
            shell.ask(&query("BEGIN READ ONLY"));
            shell.refuses = true;
            assert_eq!(shown(&shell.ask(&query("SELECT 'a'"))), no);
            assert_eq!(shown(&shell.ask(&end)), format!("{tags}C(ROLLBACK) Z(T)"), "{chain}");
            shell.refuses = false;
            let refused = shown(&shell.ask(&query("INSERT INTO t VALUES ('1')")));
            assert_eq!(
                refused, "E(25006 cannot write in a read-only transaction) Z(E)",
                "the modes are kept"
            );
        }
    }
    let missing = "E(3B001 savepoint \"s\" does not exist) Z(E)";
    for (back, tags) in segments("ROLLBACK TO s")
        .into_iter()
        .zip(["1 2 ", "1 2 n ", "1 2 t n "])
        .chain([(query("ROLLBACK TO s"), "")])
    {
        let mut shell = shell();
        shell.ask(&query("BEGIN"));
        shell.refuses = true;
        shell.ask(&query("SELECT 'a'"));
        assert_eq!(shown(&shell.ask(&back)), format!("{tags}{missing}"));
        assert_eq!(shown(&shell.ask(&query("COMMIT -- at last"))), "C(ROLLBACK) Z(I)");
    }
}

#[test]
fn a_chain_of_empty_blocks_needs_no_server() {
    let mut shell = shell();
    let texts = ["BEGIN READ ONLY", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "SHOW my.x", "COMMIT"];
    let said = shown(&shell.ask(&texts[..3].iter().flat_map(|text| query(text)).collect::<Vec<_>>()));
    assert_eq!(said, "C(BEGIN) Z(T) C(COMMIT) Z(T) C(ROLLBACK) Z(T)");
    assert_eq!(shell.leased, [0; 0]);
    assert_eq!(shown(&shell.ask(&query(texts[3]))), "T D() C(SELECT 1) Z(T)");
    assert_eq!(
        (shown(&shell.ask(&query(texts[4]))), &shell.leased[..]),
        ("C(COMMIT) Z(I)".to_owned(), &[1][..])
    );
}

#[test]
fn a_commented_begin_is_held_and_its_hints_hold() {
    for (begin, node) in [
        ("/* app */ BEGIN", 0),
        ("/* app */ BEGIN READ ONLY /* more */", 1),
        ("-- x\nBEGIN READ ONLY", 1),
        ("/* pgweir: primary */ BEGIN READ ONLY", 0),
        ("/* pgweir: node=n2 */ BEGIN READ ONLY", 2),
    ] {
        let mut shell = shell();
        shell.ask(&query(begin));
        assert_eq!(
            (shown(&shell.received), &shell.leased[..]),
            ("C(BEGIN) Z(T)".to_owned(), &[][..]),
            "{begin}"
        );
        shell.ask(&query("SELECT 'a'"));
        assert_eq!(shell.leased, [node], "{begin}");
        shell.ask(&query("COMMIT"));
        assert_eq!(shown(&shell.received), "C(BEGIN) Z(T) T D(a) C(SELECT 1) Z(T) C(COMMIT) Z(I)", "{begin}");
    }
}

/// What comes behind the block's end goes to the primary, with the end.
#[test]
fn a_string_that_ends_a_block_on_a_standby_goes_on_on_the_primary() {
    let write = "INSERT INTO t VALUES ('1')";
    for (before, string, behind) in [
        ("SELECT 'a'", "COMMIT; INSERT INTO t VALUES ('1')", "Z(I)"),
        ("SELECT 'a'", "/* x */ ROLLBACK; INSERT INTO t VALUES ('1'); SELECT 'b'", "Z(I)"),
        ("SET my.x TO 'one'", "COMMIT; INSERT INTO t VALUES ('1'); SHOW my.x", "Z(I)"),
        ("SET my.x TO 'one'", "ROLLBACK; INSERT INTO t VALUES ('1'); SHOW my.x", "Z(I)"),
        ("SELECT 'a'", "END; BEGIN; INSERT INTO t VALUES ('1')", "Z(T)"),
        ("SELECT 1/0", "ROLLBACK; INSERT INTO t VALUES ('1')", "Z(I)"),
        ("SELECT 'a'", "COMMIT; SELECT 1/0; INSERT INTO t VALUES ('1')", "Z(I)"),
        ("SELECT 'a'", "COMMIT; COMMIT; BEGIN; SET my.x TO 'two'", "Z(T)"),
        ("SELECT 'a'", "COMMIT; VACUUM", "Z(I)"),
    ] {
        let block = all(&[query("BEGIN READ ONLY"), query("SELECT 'a'"), query(before)]);
        let chunks = [block.clone(), query(string), query(write), query("ROLLBACK"), query("SHOW my.x")];
        check(&chunks);
        check(&[chunks.concat()]);
        let open = all(&[run("SELECT 'open'"), flush()]);
        if before != "SELECT 1/0" {
            check(&[block.clone(), open, query(string), query("SHOW my.x"), query("ROLLBACK")]);
        }
        let mut shell = shell();
        shell.ask(&block);
        let answer = shown(&shell.ask(&query(string)));
        assert!(answer.ends_with(behind), "{string}: {answer}");
        assert_eq!(shell.leased, [1, 0], "{string}");
    }
}

#[test]
fn a_block_on_a_standby_is_prepared_on_the_primary() {
    let prepare = query("PREPARE TRANSACTION 'x'");
    let mut shell = shell();
    shell.ask(&all(&[query("BEGIN READ ONLY"), query("SELECT 'a'")]));
    shell.ask(&prepare);
    assert_eq!(shell.leased, [1, 0]);
    let mut shell = super::shell();
    shell.ask(&all(&[query("BEGIN READ ONLY"), query("SELECT 1/0")]));
    assert_eq!(shown(&shell.ask(&prepare)), "C(ROLLBACK) Z(I)", "one that has failed is rolled back");
    assert_eq!(shell.leased, [1]);
}

#[test]
fn a_server_that_is_lost_before_it_said_anything_costs_nothing() {
    let said = "C(BEGIN) Z(T) T D(a) C(SELECT 1) Z(T) C(COMMIT) Z(I)";
    // On a standby what was shown of the block is only that it began.
    let mut shell = shell();
    shell.ask(&query("BEGIN READ ONLY"));
    shell.first_write(&query("SELECT 'a'"));
    shell.kill();
    shell.settle();
    shell.ask(&query("COMMIT"));
    assert_eq!((shown(&shell.received).as_str(), &shell.leased[..]), (said, &[1, 2][..]));
    // A conflict with recovery is the same.
    let mut shell = super::shell();
    shell.conflicts = 1;
    shell.ask(&[query("BEGIN READ ONLY"), query("SELECT 'a'"), query("COMMIT")].concat());
    assert_eq!((shown(&shell.received).as_str(), &shell.leased[..]), (said, &[1, 2, 0][..]));
    // A primary that is still given the session's settings.
    let mut shell = super::shell();
    shell.ask(&query("SET role TO 'ann'"));
    shell.idle.clear();
    shell.received.clear();
    shell.ask(&query("BEGIN"));
    shell.first_write(&query("SELECT 'a'"));
    shell.kill();
    shell.settle();
    shell.ask(&query("COMMIT"));
    assert_eq!(shown(&shell.received), said);
    // But not a primary that may have run it.
    let mut shell = super::shell();
    shell.ask(&query("BEGIN"));
    shell.first_write(&query("INSERT INTO t VALUES ('1')"));
    shell.kill();
    assert_eq!(shell.end, Some(End::Error(SessionError::ServerLost)));
}

#[test]
fn a_client_that_leaves_a_block_behind_costs_nothing() {
    let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Of(3));
    shell.ask(&query("BEGIN"));
    assert!(matches!(shell.leave(), AtTheEnd::NoServer));
    shell.next_client(super::shell::settings(&[]));
    assert_eq!(shown(&shell.ask(&query("COMMIT"))), "N C(COMMIT) Z(I)", "the next client is in no block");
}

#[test]
fn the_client_is_in_its_block_whatever_is_asked_before_it() {
    for set in ["SET my.x TO 'one'", "SET role TO 'ann'"] {
        let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Of(7));
        shell.ask(&query(set));
        shell.idle.clear();
        shell.ask(&query("BEGIN"));
        shell.send(&query("SELECT 'a'"));
        while shell.turn() {
            assert_eq!(shell.session.status(), TransactionStatus::InTransaction, "{set}");
        }
        assert!(shown(&shell.received).ends_with("T D(a) C(SELECT 1) Z(T)"));
    }
}

#[test]
fn settings_go_before_the_block() {
    let startup = [("my.x", "zero")];
    for set in ["SET my.x TO 'one'", "SET role TO 'ann'"] {
        for end in ["COMMIT", "ROLLBACK"] {
            let block = [query("BEGIN"), query("INSERT INTO t VALUES ('1')"), query("SHOW my.x"), query(end)];
            check_with(&[query(set), block.concat(), query("SHOW my.x"), query("SHOW role")], &startup);
        }
    }
}
