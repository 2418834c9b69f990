//! COPY, to the server and from it.

use super::frames::*;
use super::{check, shell};

const COPY: &str = "COPY t FROM STDIN";

fn rows() -> Vec<u8> {
    all(&[copy_data("1"), copy_data("2")])
}

#[test]
fn copy_in_by_a_simple_query() {
    let count = query("SELECT count(*) FROM t");
    check(&[query(COPY), rows(), copy_done(), count.clone()]);
    check(&[all(&[query(COPY), rows(), copy_done()]), count.clone()]);
    check(&[all(&[query(COPY), rows(), copy_done(), count.clone()])]);
    check(&[query(COPY), all(&[rows(), copy_fail("enough")]), count.clone()]);
    check(&[
        query(COPY),
        all(&[copy_data("1"), sync(), flush(), copy_data("2"), copy_done(), sync()]),
        count.clone(),
    ]);
    check(&[
        query(COPY),
        all(&[copy_data("1"), copy_data("bad")]),
        all(&[copy_data("2"), copy_done()]),
        count,
    ]);
}

#[test]
fn copy_in_by_the_extended_protocol() {
    let begin = || run(COPY);
    let count = query("SELECT count(*) FROM t");
    check(&[all(&[begin(), sync()]), rows(), all(&[copy_done(), sync()]), count.clone()]);
    check(&[all(&[begin(), rows(), copy_done(), sync()]), count.clone()]);
    check(&[all(&[begin(), rows(), copy_done(), sync(), count.clone()])]);
    check(&[
        all(&[begin(), sync()]),
        all(&[copy_data("1"), sync(), copy_data("2"), copy_done(), sync()]),
        count.clone(),
    ]);
    check(&[
        all(&[begin(), sync()]),
        copy_data("bad"),
        all(&[copy_data("1"), copy_done(), sync()]),
        count.clone(),
    ]);
    check(&[all(&[begin(), sync()]), all(&[copy_fail("no"), sync()]), count.clone()]);
    check(&[all(&[begin(), sync(), copy_data("bad"), copy_done(), sync(), count.clone()])]);
    check(&[
        all(&[begin(), copy_data("1"), copy_done(), begin(), copy_data("2"), copy_done(), sync()]),
        count,
    ]);
}

#[test]
fn a_copy_that_does_not_begin() {
    let refused = all(&[run(COPY), sync(), rows(), copy_done(), sync()]);
    check(&[query("BEGIN READ ONLY"), refused.clone(), query("ROLLBACK"), query("SELECT 'a'")]);
    check(&[all(&[query("BEGIN READ ONLY"), refused, query("ROLLBACK"), query("SELECT 'a'")])]);
    check(&[all(&[
        query("BEGIN"),
        query("SELECT 1/0"),
        query(COPY),
        rows(),
        copy_done(),
        query("ROLLBACK"),
    ])]);
}

/// A Sync amid the data is ignored as long as the server reads them, and answered once the COPY has failed.
#[test]
fn syncs_amid_data_that_fail() {
    let count = query("SELECT count(*) FROM t");
    let (bad, one) = (copy_data("bad"), copy_data("1"));
    for data in [
        all(&[bad.clone(), sync()]),
        all(&[sync(), bad.clone(), one.clone()]),
        all(&[one.clone(), sync(), bad.clone(), sync(), one.clone(), sync(), flush()]),
        all(&[one.clone(), sync(), one.clone(), sync()]),
        all(&[sync(), sync(), bad, sync(), sync()]),
    ] {
        for end in [copy_done(), copy_fail("enough")] {
            let simple = all(&[data.clone(), end.clone(), count.clone()]);
            check(&[query(COPY), simple.clone(), query("SELECT 'a'")]);
            check(&[query("BEGIN"), query(COPY), simple.clone(), query("ROLLBACK"), query("SELECT 'a'")]);
            let two = query("COPY t FROM STDIN; SELECT 'between'; COPY t FROM STDIN");
            check(&[
                two,
                all(&[data.clone(), end.clone()]),
                all(&[sync(), one.clone(), end.clone()]),
                sync(),
            ]);
            let extended = all(&[data.clone(), end.clone(), sync(), count.clone()]);
            check(&[all(&[run(COPY), flush()]), extended.clone(), query("SELECT 'a'")]);
            check(&[all(&[run(COPY), sync()]), extended.clone(), all(&[run("SELECT 'a'"), sync()])]);
            check(&[query("BEGIN"), all(&[run(COPY), sync()]), extended, query("ROLLBACK")]);
            let behind =
                all(&[data.clone(), end.clone(), run("SELECT 'b'"), sync(), run("SELECT 'c'"), sync()]);
            check(&[all(&[run(COPY), flush()]), behind, query("SELECT 'a'")]);
            let later =
                [all(&[run(COPY), flush()]), data.clone(), end, sync(), all(&[run("SELECT 'a'"), sync()])];
            check(&later);
        }
    }
}

#[test]
fn copies_among_several_statements() {
    let two = query("COPY t FROM STDIN; SELECT 'between'; COPY t FROM STDIN");
    check(&[two.clone(), all(&[copy_data("1"), copy_done()]), all(&[copy_data("2"), copy_done()])]);
    check(&[all(&[
        two.clone(),
        copy_data("1"),
        copy_done(),
        copy_data("2"),
        copy_done(),
        query("SELECT 'a'"),
    ])]);
    check(&[two, all(&[copy_data("bad"), copy_done()]), query("SELECT 'a'")]);
}

#[test]
fn copy_out() {
    check(&[query("COPY t TO STDOUT"), all(&[run("COPY t TO STDOUT"), sync(), query("SELECT 'a'")])]);
    check(&[query("SELECT 'a'; COPY t TO STDOUT; SELECT 'b'")]);
}

#[test]
fn data_that_nobody_asked_for_is_ignored() {
    check(&[all(&[rows(), copy_done(), query("SELECT 'a'")]), copy_fail("late")]);
    let mut shell = shell();
    shell.ask(&query(COPY));
    shell.ask(&all(&[copy_data("bad"), copy_data("more")]));
    shell.ask(&copy_data("and more"));
    assert!(shell.server.is_none(), "a COPY that failed holds no server");
}

#[test]
fn a_copy_that_fails_before_it_reads() {
    check(&[query("COPY v FROM STDIN"), all(&[rows(), copy_done()]), query("SELECT 'a'")]);
    let (begin, data) = (all(&[run("COPY v FROM STDIN"), sync()]), all(&[rows(), copy_done(), sync()]));
    check(&[begin.clone(), data.clone(), query("SELECT 'a'")]);
    check(&[all(&[begin, data, query("SELECT 'a'")])]);
}
