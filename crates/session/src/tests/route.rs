//! Hints and `pgweir.route` choose the node, and what is no proven read goes to the primary all the same.

use std::time::Duration;

use pgweir_cluster::Access;
use pgweir_sql::{Lexing, Target, Wish, explain};
use pgweir_wire::TransactionStatus;

use super::frames::*;
use super::shell::{End, Shell};
use super::{Pieces, Shared, check, shell};
use crate::{Event, HintOutcome};

/// Where each of these goes, each sent when the one before it is answered: the nodes that were leased.
fn nodes(shell: &mut Shell, chunks: &[Vec<u8>]) -> Vec<usize> {
    let before = shell.leased.len();
    chunks.iter().for_each(|chunk| drop(shell.ask(chunk)));
    assert_eq!(shell.end, None);
    shell.leased[before..].to_vec()
}

fn named(text: &str) -> Vec<u8> {
    all(&[parse("s", text), bind("s"), execute(), close_statement("s"), sync()])
}

#[test]
fn hints_choose_the_node_in_every_protocol() {
    let table = [
        ("SELECT 'a'", 1),
        ("/* pgweir: primary */ SELECT 'a'", 0),
        ("/* pgweir: node=n2 */ SELECT 'a'", 2),
        ("/* pgweir: node=n0 */ SELECT 'a'", 0),
        ("/* pgweir: standby */ SELECT 'a'", 1),
        ("/* pgweir: node=n1, rubbish */ SELECT 'a'", 1),
        ("/* pgweir: node=n2 */ INSERT INTO t VALUES ('1')", 0),
    ];
    for (text, node) in table {
        for request in [query(text), all(&[run(text), sync()]), named(text)] {
            assert_eq!(nodes(&mut shell(), &[request]), [node], "{text}");
        }
        // Parsed in one segment, run in another.
        let mut later = shell();
        nodes(&mut later, &[all(&[parse("s", text), sync()])]);
        assert_eq!(nodes(&mut later, &[all(&[bind("s"), execute(), sync()])]), [node], "{text}");
    }
}

#[test]
fn a_string_with_a_write_in_it_goes_to_the_primary_whatever_its_hint() {
    let string = query("/* pgweir: node=n2 */ SELECT 'a'; INSERT INTO t VALUES ('1')");
    assert_eq!(nodes(&mut shell(), &[string]), [0]);
    let segment = all(&[run("/* pgweir: node=n2 */ SELECT 'a'"), run("INSERT INTO t VALUES ('1')"), sync()]);
    assert_eq!(nodes(&mut shell(), &[segment]), [0]);
}

#[test]
fn a_demand_has_the_bounds_that_were_asked_for() {
    let mut shell = shell();
    shell.ask(&query("SET pgweir.route TO 'standby, staleness=2s'"));
    shell.ask(&query("SELECT 'a'"));
    let demand = shell.last_demand.unwrap();
    assert_eq!((demand.staleness_max, demand.spares_primary), (Some(Duration::from_secs(2)), true));
    shell.ask(&query("/* pgweir: staleness=500ms */ SELECT 'a'"));
    assert_eq!(shell.last_demand.unwrap().staleness_max, Some(Duration::from_millis(500)));
    let both = ["/* pgweir: staleness=3s */ SELECT 'a'", "/* pgweir: staleness=1s */ SELECT 'b'"];
    shell.ask(&all(&[run(both[0]), run(both[1]), sync()]));
    assert_eq!(shell.last_demand.unwrap().staleness_max, Some(Duration::from_secs(1)), "the tightest");
}

#[test]
fn the_setting_holds_as_long_as_postgresql_says_it_does() {
    let mut shell = shell();
    let read = || query("SELECT 'a'");
    assert_eq!(nodes(&mut shell, &[query("SET pgweir.route TO 'primary'"), read()]), [0, 0]);
    assert_eq!(nodes(&mut shell, &[query("/* pgweir: auto */ SELECT 'a'")]), [1], "a hint goes before it");
    assert_eq!(nodes(&mut shell, &[query("RESET pgweir.route"), read()]), [0, 1]);
    let rolled_back = ["BEGIN", "SET pgweir.route TO 'primary'", "ROLLBACK"].map(query);
    nodes(&mut shell, &rolled_back);
    assert_eq!(nodes(&mut shell, &[read()]), [1]);
    nodes(&mut shell, &["BEGIN", "SET LOCAL pgweir.route TO 'primary'", "COMMIT"].map(query));
    assert_eq!(nodes(&mut shell, &[read()]), [1]);
    nodes(&mut shell, &["BEGIN", "SET pgweir.route TO 'node=n2'", "COMMIT"].map(query));
    assert_eq!(nodes(&mut shell, &[read(), all(&[run("SELECT 'a'"), sync()])]), [2, 2]);
    assert_eq!(nodes(&mut shell, &[query("DISCARD ALL"), read()]), [0, 1]);
}

#[test]
fn the_start_up_packet_may_give_the_setting() {
    let mut shell = Shell::new(
        super::shell::settings(&[("pgweir.route", "node=n2")]),
        &Default::default(),
        super::Pieces::Whole,
    );
    assert_eq!(nodes(&mut shell, &[query("SELECT 'a'")]), [2]);
    nodes(&mut shell, &[query("SET pgweir.route TO auto")]);
    assert_eq!(
        nodes(&mut shell, &[query("SELECT 'a'"), query("RESET pgweir.route"), query("SELECT 'a'")]),
        [1, 0, 2]
    );
}

#[test]
fn a_value_that_asks_for_nothing_that_there_is_gets_an_error() {
    let bad = "SET pgweir.route TO 'replica'";
    for request in [query(bad), all(&[run(bad), sync()]), named(bad), query("SELECT 1; SET pgweir.route = x")]
    {
        let mut shell = shell();
        let answer = shown(&shell.ask(&request));
        assert!(answer.contains("22023") && answer.contains("pgweir.route"), "{answer}");
        assert_eq!(nodes(&mut shell, &[query("SELECT 'a'")]), [1], "the session goes on");
        let after =
            shown(&shell.ask(&[query("BEGIN"), request, query("SELECT 'a'"), query("ROLLBACK")].concat()));
        assert!(after.contains("25P02"), "the block has failed: {after}");
        assert_eq!((shell.end.clone(), shell.session.is_busy()), (None::<End>, false));
    }
}

#[test]
fn a_pipelined_read_leaves_a_node_that_it_did_not_ask_for() {
    let plain = "SELECT 'a'";
    let aimed = "/* pgweir: node=n2 */ SELECT 'b'";
    let tight = "/* pgweir: staleness=1ms */ SELECT 'c'";
    let mut one = shell();
    let chunk = [query(plain), query(aimed), query(plain), query(tight)].concat();
    assert_eq!(nodes(&mut one, std::slice::from_ref(&chunk)), [1, 2, 1]);
    check(&[chunk]);
    check(&[all(&[run(plain), sync(), run(aimed), sync(), run(plain), sync(), run(tight), sync()])]);
    check(&[all(&[parse("s", aimed), sync(), run(plain), sync(), bind("s"), execute(), sync()])]);
}

#[test]
fn statements_are_counted_with_the_reason_of_their_target() {
    let mut shell = shell();
    for text in [
        "SELECT 'a'",
        "/* pgweir: primary */ SELECT 'a'",
        "/* pgweir: standby */ INSERT INTO t VALUES ('1')",
        "/* pgweir: fast */ SELECT 'a'",
    ] {
        shell.ask(&query(text));
        shell.ask(&all(&[run(text), sync()]));
    }
    let dispatched: Vec<&str> = shell
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Dispatched(verdict) => Some(verdict.reason.code()),
            _ => None,
        })
        .collect();
    let reasons = ["read", "route.hint", "write.insert", "read"];
    assert_eq!(dispatched, reasons.map(|reason| [reason; 2]).concat());
    let hinted: Vec<HintOutcome> = shell
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Hinted(outcome) => Some(*outcome),
            _ => None,
        })
        .collect();
    let outcomes = [HintOutcome::Followed, HintOutcome::Overruled, HintOutcome::Ignored];
    assert_eq!(hinted, outcomes.map(|outcome| [outcome; 2]).concat());
}

#[test]
fn what_is_explained_is_what_is_done_for_the_whole_table_of_the_classifier() {
    let table = include_str!("../../../sql/src/classifier/classify.tests");
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let texts = lines.map(|line| line.rsplit_once(" => ").expect("each line has an arrow").0);
    let mut classifier = super::shell::classifier();
    for (hint, text) in texts.flat_map(|text| ["", "/* pgweir: primary */ ", HINT].map(|hint| (hint, text))) {
        let text = format!("{hint}{}", text.replace('¶', "\n"));
        let explained = explain(&mut classifier, text.as_bytes(), Lexing::default(), None, &Wish::default());
        let mut shell = shell();
        // The first server tells how strings are read.
        shell.ask(&query("SELECT 'a'"));
        shell.events.clear();
        shell.ask(&query(&text));
        if shell.session.status() == TransactionStatus::InTransaction && shell.server.is_none() {
            // A block goes where its first statement lets it go.
            shell.ask(&query("SAVEPOINT s"));
        }
        let access = shell.last_demand.expect("a server was asked for").access;
        let done = if access == Access::Read { Target::Standby } else { Target::Primary };
        assert_eq!(done, explained.target, "{text}");
        let reason = shell.events.iter().find_map(|event| match event {
            Event::Dispatched(verdict) => Some(verdict.reason),
            _ => None,
        });
        assert_eq!(reason, Some(explained.reason), "{text}");
    }
}

const HINT: &str = "/* pgweir: standby, staleness=1s */ ";

#[test]
fn what_the_welcome_told_decides_how_the_first_texts_strings_are_read() {
    let first = |startup: &[(&str, &str)]| {
        let mut shell = Shell::new(super::shell::settings(startup), &Shared::default(), Pieces::Whole);
        nodes(&mut shell, &[query(r"SELECT E'a\\b'")])
    };
    assert_eq!(first(&[]), [1]);
    assert_eq!(first(&[("standard_conforming_strings", "off")]), [0], "both ways to read it are not one");
}
