//! Reads on standbys, and what becomes of them when a standby fails.

use super::frames::*;
use super::shell::{End, Shell};
use super::{Pieces, Random, Shared, check, directly, shell};
use crate::SessionError;

/// Lets the standby die after so many turns, for every number; the client sees nothing of it, or is told.
fn check_deaths(before: &[u8], chunk: &[u8]) -> [usize; 2] {
    let expected = directly(&[before.to_vec(), chunk.to_vec()], &[]);
    let mut outcomes = [0; 2];
    for turns in 0.. {
        let mut shell =
            Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Of(9.max(chunk.len() / 40)));
        shell.ask(before);
        shell.send(chunk);
        let went_on = (0..turns).all(|_| shell.turn());
        shell.kill();
        shell.settle();
        match &shell.end {
            None => {
                assert_eq!(shown(&shell.received), shown(&expected), "killed after {turns} turns");
                outcomes[0] += 1;
            }
            Some(end) => {
                assert_eq!(*end, End::Error(SessionError::ServerLost));
                assert!(
                    expected.starts_with(&shell.received),
                    "killed after {turns} turns: {}",
                    shown(&shell.received)
                );
                outcomes[1] += 1;
            }
        }
        if !went_on {
            return outcomes;
        }
    }
    unreachable!("every script ends")
}

#[test]
fn a_standby_that_dies_before_anything_was_shown_costs_nothing() {
    let [unseen, seen] = check_deaths(&[], &query("SELECT 'a'"));
    assert!(unseen > 3 && seen > 0, "{unseen} unseen, {seen} seen");
    let named = all(&[parse("s", "SELECT 'a'"), describe_statement("s"), bind("s"), execute(), sync()]);
    check_deaths(&[], &named);
    check_deaths(
        &named,
        &all(&[close_statement("s"), parse("s", "SELECT 'b'"), bind("s"), execute(), sync()]),
    );
    check_deaths(&[], &all(&[parse("s", "SELECT 'a'"), describe_statement("s"), flush()]));
    check_deaths(
        &all(&[parse("", "SELECT 'a'"), sync()]),
        &all(&[bind(""), execute(), sync(), run("SELECT 'b'"), sync()]),
    );
    check_deaths(&[], &[query("SELECT 'a'"), query("SELECT 'b'"), query("SELECT 'c'")].concat());
}

#[test]
fn a_prepared_segment_outlives_its_server() {
    let mut shell = shell();
    let prepare = all(&[parse("s", "SELECT 'a'"), describe_statement("s"), flush()]);
    shell.ask(&prepare);
    shell.kill();
    assert_eq!(shell.end, None);
    assert_eq!(shown(&shell.ask(&all(&[bind("s"), execute(), sync()]))), "2 D(a) C(SELECT 1) Z(I)");
}

#[test]
fn a_conflict_with_recovery_is_not_seen_before_rows_are() {
    let chunk = all(&[run("SELECT 'a'"), sync()]);
    let mut shell = shell();
    shell.conflicts = 9;
    assert_eq!(shown(&shell.ask(&chunk)), shown(&directly(&[chunk], &[])));
    assert_eq!(shell.leased, [1, 2, 0], "each standby is tried once, then the primary");
    assert_eq!(shown(&shell.ask(&query("SELECT 'b'"))), "T D(b) C(SELECT 1) Z(I)");
}

/// The nodes that serve each of these when standbys refuse every read as a write.
fn served_when_refused(chunks: &[Vec<u8>]) -> Vec<Vec<usize>> {
    let mut shell = shell();
    (shell.conflicts, shell.conflict) = (99, "25006");
    let leases = chunks.iter().map(|chunk| {
        assert_eq!(shown(&shell.ask(chunk)), shown(&directly(std::slice::from_ref(chunk), &[])));
        std::mem::take(&mut shell.leased)
    });
    leases.collect()
}

#[test]
fn what_a_standby_refuses_as_a_write_goes_to_the_primary_from_then_on() {
    let learnt = [vec![1, 0], vec![0], vec![0]];
    assert_eq!(served_when_refused(&["SELECT 'a'", "SELECT 'b'", "select 'c'"].map(query)), learnt);
    let unnamed = |text| all(&[run(text), sync()]);
    assert_eq!(served_when_refused(&["SELECT 'a'", "SELECT 'b'", "SELECT 'a'"].map(unnamed)), learnt);
    // Also what was prepared before anybody knew.
    let named = all(&[parse("s", "SELECT 'a'"), sync()]);
    let again = all(&[bind("s"), execute(), sync()]);
    let mut shell = shell();
    (shell.conflicts, shell.conflict) = (99, "25006");
    shell.ask(&named);
    for leased in [&[1, 0][..], &[0], &[0]] {
        shell.leased.clear();
        assert_eq!(shown(&shell.ask(&again)), "2 D(a) C(SELECT 1) Z(I)");
        assert_eq!(shell.leased, leased);
    }
}

#[test]
fn nothing_is_learnt_when_nobody_knows_what_was_refused() {
    let both = all(&[run("SELECT 'a'"), run("SELECT 'b'"), sync()]);
    let leases = served_when_refused(&[both, query("SELECT 'a'")]);
    assert_eq!((&leases[0][..], leases[1][0] == 0), (&[1, 0][..], false));
}

#[test]
fn a_conflict_behind_rows_is_shown() {
    let mut shell = shell();
    shell.ask(&query("SELECT 'warm'"));
    shell.idle[0].model.conflicts = 0;
    shell.send(&all(&[run("SELECT 'a'"), run("SELECT 'b'"), sync()]));
    while shell.received.len() < 100 && shell.turn() {}
    shell.settle();
    let mut shell =
        Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Random(Random::new(1)));
    shell.ask(&query("BEGIN READ ONLY"));
    shell.ask(&query("SELECT 'first'"));
    shell.server.as_mut().unwrap().model.conflicts = 1;
    let answer = shell.ask(&query("SELECT 'a'"));
    assert_eq!(shown(&answer), "T E(40001 canceling statement due to conflict with recovery) Z(E)");
}

#[test]
fn statement_names_are_as_before_when_a_read_is_sent_again() {
    let mut shell = shell();
    shell.ask(&all(&[parse("s", "SELECT 'old'"), sync()]));
    shell.idle[0].model.conflicts = 9;
    let chunk = all(&[bind("s"), execute(), close_statement("s"), parse("s", "SELECT 'new'"), sync()]);
    let answer = shell.ask(&chunk);
    assert_eq!(shown(&answer), "2 D(old) C(SELECT 1) 3 1 Z(I)");
}

#[test]
fn a_read_only_block_stays_on_its_standby() {
    let mut shell = shell();
    for text in ["BEGIN READ ONLY", "SELECT 'a'", "SELECT count(*) FROM t", "COMMIT"] {
        shell.ask(&query(text));
    }
    assert_eq!(shell.leased, [1]);
    let pipeline = [
        "BEGIN READ ONLY",
        "SELECT 'a'",
        "INSERT INTO t VALUES ('1')",
        "ROLLBACK",
        "INSERT INTO t VALUES ('2')",
    ];
    check(&[pipeline.map(query).concat()]);
    check(&[all(&[
        run("BEGIN READ ONLY"),
        sync(),
        run("SELECT 'a'"),
        sync(),
        run("COMMIT"),
        sync(),
        run("INSERT INTO t VALUES ('1')"),
        sync(),
    ])]);
    let database = Shared::default();
    let mut shell = Shell::new(super::shell::settings(&[]), &database, Pieces::Whole);
    shell.ask(&pipeline.map(query).concat());
    assert!(database.borrow().refused_writes.is_empty(), "what follows the block goes to the primary");
    assert_eq!(database.borrow().committed, ["2"]);
}

#[test]
fn without_standbys_the_primary_reads() {
    let mut shell = shell();
    shell.down = vec![1, 2];
    assert_eq!(shown(&shell.ask(&query("SELECT 'a'"))), "T D(a) C(SELECT 1) Z(I)");
    assert_eq!(shell.leased, [0]);
}

#[test]
fn a_read_longer_than_what_is_kept_is_shown_as_it_comes() {
    let long = format!("SELECT '{}'", "x".repeat(3_000));
    check(&[all(&[run("SELECT 'a'"), run(&long), sync()]), all(&[query("SELECT 'a'"), query(&long)])]);
    let short = all(&[parse("s", "SELECT 'a'"), sync()]);
    check_deaths(&[], &all(&[short, run(&long), sync()]));
}

#[test]
fn what_follows_a_block_in_its_last_segment_goes_to_the_primary() {
    let begin = query("BEGIN READ ONLY");
    let segment = |text: &str| all(&[run(text), run("COMMIT"), run("INSERT INTO t VALUES ('1')"), sync()]);
    let count = query("SELECT count(*) FROM t");
    for text in ["SELECT 'a'", "SELECT 1/0"] {
        check(&[begin.clone(), segment(text), query("ROLLBACK"), count.clone()]);
        check(&[all(&[begin.clone(), segment(text), query("ROLLBACK"), count.clone()])]);
    }
    check(&[begin, all(&[run("COMMIT"), query("INSERT INTO t VALUES ('1')"), run("COMMIT"), sync()]), count]);
}
