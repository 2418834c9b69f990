//! One name means one statement, whether Parse or PREPARE made it.

use super::frames::*;
use super::{check, shell};
use crate::Pinned;

fn define(name: &str) -> Vec<u8> {
    all(&[parse(name, "SELECT 'a'"), sync()])
}

/// The same text by both protocols.
fn both(text: &str) -> [Vec<u8>; 2] {
    [query(text), all(&[run(text), sync()])]
}

#[test]
fn sql_finds_statements_of_the_protocol() {
    for text in ["EXECUTE s", "EXECUTE t", "PREPARE s AS SELECT 'b'", "DEALLOCATE s"] {
        for said in both(text) {
            check(&[define("s"), said.clone(), query("EXECUTE s"), all(&[bind("s"), execute(), sync()])]);
            check(&[all(&[define("s"), said.clone(), said.clone(), define("s"), query("EXECUTE s")])]);
            check(&[
                define("s"),
                query("BEGIN"),
                said.clone(),
                said.clone(),
                query("COMMIT"),
                query("EXECUTE s"),
            ]);
            check(&[
                define("s"),
                query("BEGIN"),
                query("SELECT 1/0"),
                said.clone(),
                query("ROLLBACK"),
                query("EXECUTE s"),
            ]);
            check(&[define("s"), all(&[run("SELECT 1/0"), said]), query("EXECUTE s")]);
        }
    }
    check(&[
        define("s"),
        all(&[run("EXECUTE s"), run("EXECUTE s"), run("DEALLOCATE s"), run("EXECUTE s"), sync()]),
    ]);
    check(&[
        define("s"),
        query("EXECUTE s; DEALLOCATE s; SELECT 'b'; EXECUTE s"),
        define("s"),
        query("EXECUTE s"),
    ]);
    check(&[define("s"), define("t"), query("EXECUTE t; EXECUTE s; DEALLOCATE ALL; EXECUTE s")]);
    check(&[
        define("s"),
        query("COPY t FROM STDIN; EXECUTE s"),
        all(&[copy_data("row"), copy_done()]),
        query("EXECUTE s"),
    ]);
    check(&[
        define("s"),
        all(&[parse("e", "EXECUTE s"), describe_statement("e"), sync()]),
        all(&[bind("e"), execute(), sync()]),
    ]);
}

#[test]
fn the_protocol_finds_statements_of_sql() {
    for prepare in both("PREPARE s AS SELECT 'b'") {
        check(&[prepare.clone(), all(&[bind("s"), execute(), sync()]), define("s"), query("EXECUTE s")]);
        check(&[all(&[prepare.clone(), define("s"), query("EXECUTE s")])]);
        check(&[
            prepare.clone(),
            all(&[describe_statement("s"), close_statement("s"), sync()]),
            define("s"),
            query("EXECUTE s"),
        ]);
        check(&[prepare.clone(), query("DEALLOCATE s"), define("s"), query("EXECUTE s")]);
        check(&[prepare.clone(), query("DEALLOCATE ALL"), define("s"), query("EXECUTE s")]);
        check(&[prepare, query("DISCARD ALL"), define("s"), query("EXECUTE s")]);
    }
}

#[test]
fn what_is_lent_is_taken_back() {
    let mut shell = shell();
    shell.ask(&define("s"));
    for said in both("EXECUTE s") {
        shell.ask(&said);
        assert_eq!(shell.session.pinned(), Pinned::No);
        assert!(shell.server.is_none(), "it is at rest, with no name of the client left: see check_state");
    }
}

#[test]
fn what_cannot_be_parsed_again_is_an_error_of_the_text_that_needs_it() {
    let mut shell = shell();
    shell.ask(&all(&[parse("s", "SELECT 'a'"), sync()]));
    shell.ask(&[query("BEGIN"), query("SAVEPOINT t")].concat());
    let server = shell.server.as_mut().unwrap();
    server.model.fails_to_parse = true;
    let answer = shown(&shell.ask(&query("EXECUTE s")));
    assert_eq!(answer, "E(42P01 relation \"t\" does not exist) Z(E)");
    assert_eq!(shown(&shell.ask(&query("ROLLBACK"))), "C(ROLLBACK) Z(I)");
    assert!(shown(&shell.ask(&query("EXECUTE s"))).ends_with("D(a) C(SELECT 1) Z(I)"));
}

#[test]
fn what_prepare_made_is_known_however_the_reason_for_the_pin_changes() {
    let [prepare, writes] = ["PREPARE s AS SELECT 'b'", "SELECT nextval('s')"].map(query);
    check(&[query("SELECT currval('s')"), query("DISCARD ALL"), prepare, writes, define("s")]);
}
