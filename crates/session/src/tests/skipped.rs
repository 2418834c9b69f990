//! What a message would have changed that the server skips behind an error changes nothing.

use super::frames::*;
use super::shell::Shell;
use super::{Pieces, Random, Shared, check};

/// The unnamed statement is run, twice: by its own segment, and by another behind it.
fn run_unnamed() -> Vec<Vec<u8>> {
    vec![all(&[bind(""), describe_portal(""), execute(), sync()]), all(&[bind(""), execute(), sync()])]
}

#[test]
fn a_parse_that_fails_leaves_no_unnamed_statement() {
    let first = all(&[parse("", "SELECT 'first'"), sync()]);
    for failing in ["FROBNICATE", "SELECT 'a'; SELECT 'b'"] {
        let fails = all(&[parse("", failing), parse("", "SELECT 'second'"), sync()]);
        check(&[[first.clone(), fails.clone()].to_vec(), run_unnamed()].concat());
        check(&[[&first[..], &fails, &run_unnamed().concat()].concat()]);
    }
}

#[test]
fn what_is_skipped_leaves_the_unnamed_statement_as_it_was() {
    let first = all(&[parse("", "INSERT INTO t VALUES ('1')"), sync()]);
    let error = || [run_of("s", "SELECT 1/0"), bind("none")];
    for error in error() {
        for skipped in [
            parse("", "SELECT 'second'"),
            close_statement(""),
            query("SELECT 'a query'"),
            all(&[parse("", "SELECT 'second'"), query("SELECT 'a query'"), parse("", "SELECT 'third'")]),
            all(&[close_statement(""), parse("", "SELECT 'second'"), bind(""), execute()]),
            all(&[parse("", "FROBNICATE"), parse("", "SELECT 'second'"), close_statement("")]),
        ] {
            let fails = all(&[error.clone(), skipped, sync()]);
            let later = all(&[parse("", "SELECT 'later'"), bind(""), execute(), sync()]);
            check(&[[first.clone(), fails.clone()].to_vec(), run_unnamed()].concat());
            check(&[[&first[..], &fails, &run_unnamed().concat()].concat()]);
            check(&[[&first[..], &fails, &later, &run_unnamed().concat()].concat()]);
        }
    }
}

#[test]
fn what_one_segment_leaves_is_what_the_next_one_puts_back() {
    let first = all(&[parse("", "SELECT 'first'"), sync()]);
    let fails = |text: &str| all(&[bind("none"), parse("", text), sync()]);
    let segments =
        [first, fails("SELECT 'second, and longer'"), fails("SELECT '3'"), fails("SELECT 'fourth'")];
    check(&[segments.to_vec(), run_unnamed()].concat());
    check(&[[segments.concat(), run_unnamed().concat()].concat()]);
}

/// Parse, Bind and Execute of a named statement.
fn run_of(name: &str, text: &str) -> Vec<u8> {
    all(&[parse(name, text), bind(name), execute()])
}

#[test]
fn an_unnamed_statement_that_comes_back_decides_where_it_runs() {
    let write = all(&[parse("", "INSERT INTO t VALUES ('1')"), sync()]);
    let fails = all(&[bind("none"), close_statement(""), sync()]);
    for seed in 0..50 {
        let database = Shared::default();
        let pieces = Pieces::Random(Random::new(seed));
        let mut shell = Shell::new(super::shell::settings(&[]), &database, pieces);
        shell.ask(&write);
        let answer = shown(&shell.ask(&all(&[fails.clone(), bind(""), execute(), sync()])));
        assert!(answer.ends_with("2 C(INSERT 0 1) Z(I)"), "{answer}");
        assert!(database.borrow().refused_writes.is_empty(), "seed {seed}: a standby was to write");
    }
}

#[test]
fn discard_all_leaves_the_unnamed_statement() {
    let discard = all(&[run("DISCARD ALL"), sync()]);
    check(&[discard.clone(), all(&[bind(""), execute(), sync()])]);
    check(&[all(&[discard, bind(""), execute(), sync()])]);
}

#[test]
fn a_skipped_bind_or_close_leaves_the_portal_as_it_was() {
    // A simple query would end the unnamed portal.
    let aside = |name: &str, text: &str| {
        all(&[parse(name, text), bind_portal(name, name, None), execute_portal(name, 0), sync()])
    };
    let held = all(&[
        query("BEGIN"),
        all(&[parse("set", "SET work_mem TO 'one'"), bind_portal("p", "set", None), sync()]),
        all(&[parse("", "SET work_mem TO 'two'"), bind(""), sync()]),
        aside("save", "SAVEPOINT s"),
    ]);
    for portal in ["p", ""] {
        for skipped in [
            close_portal(portal),
            all(&[parse("other", "SELECT 'a'"), bind_portal(portal, "other", None)]),
            all(&[
                close_portal(portal),
                parse("other", "SET datestyle TO 'SQL'"),
                bind_portal(portal, "other", None),
            ]),
        ] {
            let fails = all(&[bind("none"), skipped, sync()]);
            let chunks = [
                held.clone(),
                fails,
                aside("back", "ROLLBACK TO s"),
                all(&[execute_portal(portal, 0), sync()]),
                query("COMMIT"),
                query("SHOW work_mem"),
                query("SHOW datestyle"),
            ];
            check(&chunks);
            check(&[chunks.concat()]);
        }
    }
}

#[test]
fn a_skipped_close_leaves_what_sql_prepared() {
    let prepared = all(&[query("PREPARE s AS SELECT 'by SQL'")]);
    let fails = all(&[parse("none", "SELECT 1/0"), bind("none"), execute(), close_statement("s"), sync()]);
    let again = all(&[parse("s", "SELECT 'by Parse'"), sync()]);
    check(&[prepared.clone(), fails.clone(), again.clone(), query("EXECUTE s")]);
    check(&[[prepared, fails, again, query("EXECUTE s")].concat()]);
}

/// On a standby a segment is seen whole before any of it is sent.
#[test]
fn what_may_be_skipped_on_a_standby_is_waited_for() {
    let define =
        all(&[parse("s", "SELECT 'a'"), sync(), parse("", "SELECT 'unnamed'"), bind(""), execute(), sync()]);
    let fails = all(&[bind("none"), close_statement("s"), close_statement(""), sync()]);
    let again = all(&[parse("s", "SELECT 'b'"), bind("s"), execute(), sync()]);
    check(&[define.clone(), all(&[fails.clone(), again])]);
    check(&[define.clone(), all(&[fails.clone(), bind(""), execute(), sync()])]);
    check(&[
        define,
        all(&[fails, parse("", "SELECT 'c'"), close_statement(""), bind(""), execute(), sync()]),
    ]);
}
