//! Statements that a server parsed before the columns of a table changed.

use super::frames::*;
use super::model::{Database, Model};
use super::shell::Shell;
use super::{Pieces, Random, Shared, shell};
use crate::{Event, NodeRole};

const STALE: &str = "E(0A000 cached plan must not change result type)";
const READ: &str = "SELECT * FROM t";
const READ_ON_PRIMARY: &str = "/* pgweir: primary */ SELECT * FROM t";
const WRITE: &str = "INSERT INTO t VALUES ('1') RETURNING *";

/// Another client has prepared the text on all servers; then the columns change behind our back. Answers what a client
/// that parses it now, and then sends `chunks`, is shown of the last.
fn shared_with(text: &str, chunks: &[Vec<u8>], pieces: Pieces) -> (Shell, String) {
    let database = Shared::default();
    let mut shell = Shell::new(super::shell::settings(&[]), &database, pieces);
    let settings = super::shell::settings(&[]);
    let again = super::shell::settings(&[]);
    let again = crate::SessionSettings {
        namer: settings.namer.clone(),
        proven: settings.proven.clone(),
        accepted: settings.accepted.clone(),
        ..again
    };
    shell.next_client(settings);
    let used = all(&[bind("other"), execute(), sync()]);
    for chunk in [parse("other", text), used.clone(), query("BEGIN"), used, query("COMMIT")] {
        shell.ask(&chunk);
    }
    *database.borrow_mut() = Database { shape: 1, ..Database::default() };
    shell.next_client(again);
    let mut answer = Vec::new();
    for chunk in chunks {
        answer = shell.ask(chunk);
    }
    assert!(shell.end.is_none(), "{:?}", shell.end);
    (shell, shown(&answer))
}

/// What PostgreSQL answers a client of its own.
fn alone(chunks: &[Vec<u8>]) -> String {
    let database = Shared::default();
    database.borrow_mut().shape = 1;
    let mut model = Model::new(NodeRole::Primary, &database, &[]);
    let mut answer = Vec::new();
    for chunk in chunks {
        model.receive(chunk);
        model.flush();
        answer = std::mem::take(&mut model.output);
    }
    shown(&answer)
}

#[test]
fn a_client_is_not_told_of_what_changed_before_it_parsed() {
    let used = || all(&[bind("s"), execute(), sync()]);
    for text in [READ, READ_ON_PRIMARY, WRITE] {
        let parsed = || parse("s", text);
        for chunks in [
            vec![all(&[parsed(), sync()]), used()],
            vec![all(&[parsed(), bind("s"), describe_portal(""), execute(), sync()])],
            vec![all(&[parsed(), describe_statement("s"), sync()]), used()],
            vec![all(&[parsed(), describe_statement("s"), flush()])],
            vec![all(&[parsed(), describe_statement("s"), flush()]), used()],
            vec![query("BEGIN"), all(&[parsed(), bind("s"), execute(), sync()])],
            vec![all(&[parsed(), sync()]), query("BEGIN"), used(), query("COMMIT")],
            vec![query("BEGIN"), used_after_parse(text), query("COMMIT"), query("SELECT count(*) FROM t")],
        ] {
            for pieces in [Pieces::Whole, Pieces::Of(7), Pieces::Random(Random::new(chunks.len() as u64))] {
                let (shell, answer) = shared_with(text, &chunks, pieces.clone());
                assert_eq!(answer, alone(&chunks), "{text}: {}", String::from_utf8_lossy(&chunks.concat()));
                let sure = !matches!(pieces, Pieces::Random(_));
                assert!(!sure || shell.events.contains(&Event::Renewed));
            }
        }
    }
}

fn used_after_parse(text: &str) -> Vec<u8> {
    all(&[parse("s", text), bind("s"), execute(), sync()])
}

/// What follows is on its way already, so the client hears the error, and of what follows nothing is lost.
#[test]
fn what_was_sent_behind_it_is_answered() {
    let chunk = all(&[used_after_parse(WRITE), query("SELECT 'a'")]);
    let (shell, answer) = shared_with(WRITE, &[chunk], Pieces::Whole);
    assert!(answer.starts_with("1 "), "{answer}");
    assert!(answer.ends_with("T D(a) C(SELECT 1) Z(I)"), "{answer}");
    assert_eq!(shell.times_run("1"), 0);
}

/// Both segments are on their way to the standby that has the statement from before: they go to another node together.
#[test]
fn a_pipeline_of_reads_that_meets_it_goes_elsewhere() {
    let chunk = all(&[used_after_parse(READ), run("SELECT 'a'"), sync()]);
    let (shell, answer) = shared_with(READ, std::slice::from_ref(&chunk), Pieces::Whole);
    assert_eq!(answer, alone(&[chunk]));
    assert!(shell.leased.len() > 1, "{:?}", shell.leased);
}

/// It may know the columns from then on, as in PostgreSQL.
#[test]
fn a_client_that_was_told_the_columns_gets_the_error() {
    for text in [READ_ON_PRIMARY, WRITE, READ] {
        let mut shell = shell();
        let used = all(&[bind("s"), execute(), sync()]);
        shell.ask(&all(&[parse("s", text), describe_statement("s"), sync()]));
        shell.change_columns();
        assert_eq!(shown(&shell.ask(&used)), format!("{STALE} Z(I)"), "{text}");
        assert_eq!(shown(&shell.ask(&used)), format!("{STALE} Z(I)"), "{text}: until it prepares again");
        let again = all(&[close_statement("s"), parse("s", text), sync()]);
        shell.ask(&again);
        assert!(shown(&shell.ask(&used)).contains("D(shape 1)"), "{text}");
    }
}

#[test]
fn a_client_that_asks_for_the_columns_each_time_is_told_the_new_ones() {
    for text in [READ_ON_PRIMARY, WRITE, READ] {
        let mut shell = shell();
        let used = all(&[bind("s"), describe_portal(""), execute(), sync()]);
        shell.ask(&all(&[parse("s", text), sync()]));
        shell.ask(&used);
        shell.change_columns();
        assert!(shown(&shell.ask(&used)).ends_with("D(shape 1) C(SELECT 1) Z(I)"), "{text}");
        assert!(shown(&shell.ask(&used)).ends_with("D(shape 1) C(SELECT 1) Z(I)"), "{text}");
    }
}

#[test]
fn nothing_is_sent_again_of_which_something_was_shown() {
    let mut shell = shell();
    shell.ask(&all(&[parse("s", WRITE), sync()]));
    shell.ask(&all(&[bind("s"), describe_portal(""), execute(), sync()]));
    shell.change_columns();
    let answer = shell.ask(&all(&[
        run("INSERT INTO t VALUES ('before')"),
        bind("s"),
        describe_portal(""),
        execute(),
        sync(),
    ]));
    assert_eq!(shown(&answer), format!("1 2 n C(INSERT 0 1) {STALE} Z(I)"));
    assert_eq!(shell.times_run("before"), 1);
}

/// The statement is refused before it runs, so it runs once.
#[test]
fn a_write_that_is_sent_again_runs_once() {
    let chunk = used_after_parse(WRITE);
    let (shell, _) = shared_with(WRITE, &[chunk], Pieces::Whole);
    assert_eq!(shell.times_run("1"), 1);
}

/// The primary dies while it is asked to end what failed: nothing ran, so another connection is asked.
#[test]
fn a_server_that_dies_meanwhile_costs_nothing() {
    let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Of(7));
    let used = all(&[bind("s"), describe_portal(""), execute(), sync()]);
    shell.ask(&all(&[parse("s", READ_ON_PRIMARY), sync()]));
    shell.ask(&used);
    shell.change_columns();
    shell.send(&used);
    let before = shell.received.len();
    while !shell.events.contains(&Event::Renewed) {
        assert!(shell.turn(), "the statement was not renewed");
    }
    shell.kill();
    shell.settle();
    assert_eq!(shown(&shell.received[before..]), "2 T D(shape 1) C(SELECT 1) Z(I)");
}

/// A server that has to parse the statement for the first time knows of no change.
#[test]
fn a_client_that_was_told_the_columns_gets_the_error_from_any_server() {
    let told_by_statement = |text| all(&[parse("s", text), describe_statement("s"), sync()]);
    let told_by_portal = |text| all(&[parse("s", text), bind("s"), describe_portal(""), execute(), sync()]);
    let used = all(&[bind("s"), execute(), sync()]);
    for text in [READ_ON_PRIMARY, WRITE, READ] {
        for told in [told_by_statement(text), told_by_portal(text)] {
            for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(7)] {
                let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), pieces);
                shell.ask(&told);
                shell.change_columns();
                shell.idle.clear();
                let ran = shell.times_run("1");
                for _ in 0..2 {
                    let answer = shell.ask(&used);
                    assert_eq!(shown(&answer), format!("{STALE} Z(I)"), "{text}");
                    assert!(answer.windows(22).any(|bytes| bytes == b"RRevalidateCachedQuery"));
                }
                assert_eq!(shell.times_run("1"), ran, "nothing was written");
                shell.ask(&query("BEGIN"));
                assert_eq!(shown(&shell.ask(&used)), format!("{STALE} Z(E)"), "{text}");
                shell.ask(&query("ROLLBACK"));
                shell.ask(&all(&[close_statement("s"), parse("s", text), sync()]));
                assert!(shown(&shell.ask(&used)).contains("D(shape 1)"), "{text}");
            }
        }
    }
}

#[test]
fn a_server_that_agrees_with_what_was_told_is_used() {
    for text in [READ_ON_PRIMARY, WRITE, READ] {
        let chunks = [
            all(&[parse("s", text), describe_statement("s"), sync()]),
            all(&[bind("s"), execute(), describe_statement("s"), sync()]),
            query("BEGIN"),
            all(&[bind("s"), execute(), flush(), bind("s"), execute(), sync()]),
            query("COMMIT"),
            all(&[parse("other", "SELECT 'a'"), describe_statement("other"), flush()]),
        ];
        let behind_flush = all(&[bind("s"), execute(), sync()]);
        for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Random(Random::new(7))] {
            let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), pieces);
            for chunk in &chunks {
                shell.idle.clear();
                shell.ask(chunk);
            }
            shell.ask(&behind_flush);
            let chunks = [&chunks[..], std::slice::from_ref(&behind_flush)].concat();
            assert_eq!(shown(&shell.received), shown(&super::directly(&chunks, &[])), "{text}");
        }
    }
}

/// Nothing of the client's was sent yet.
#[test]
fn a_server_that_dies_while_it_is_asked_costs_nothing() {
    for text in [READ_ON_PRIMARY, READ] {
        let mut shell = Shell::new(super::shell::settings(&[]), &Shared::default(), Pieces::Whole);
        shell.ask(&all(&[parse("s", text), describe_statement("s"), sync()]));
        shell.idle.clear();
        let written = shell.first_write(&all(&[bind("s"), execute(), sync()]));
        assert!(!written.contains("pgweir_"), "the question alone: {written}");
        let before = shell.received.len();
        shell.kill();
        shell.settle();
        assert_eq!(shown(&shell.received[before..]), "2 D(shape 0) C(SELECT 1) Z(I)", "{text}");
    }
}

#[test]
fn what_cannot_be_parsed_any_more_is_an_error_of_the_bind() {
    for block in [false, true] {
        let mut shell = shell();
        shell.ask(&all(&[parse("s", WRITE), describe_statement("s"), sync()]));
        shell.idle.clear();
        shell.ask(&all(&[query("BEGIN"), run("INSERT INTO t VALUES ('2')"), sync()]));
        if !block {
            shell.ask(&query("COMMIT"));
        }
        shell.server.as_mut().or(shell.idle.last_mut()).unwrap().model.fails_to_parse = true;
        let answer = shell.ask(&all(&[bind("s"), execute(), sync()]));
        let status = if block { 'E' } else { 'I' };
        assert_eq!(shown(&answer), format!("E(42P01 relation \"t\" does not exist) Z({status})"));
    }
}
