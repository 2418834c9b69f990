//! The shape of the repository, checked with the other tests.
//!
//! Why a test: a rule that nothing enforces is broken within a month, and a lint sees one crate at a time.
//! Invariant: a rule is a function from a [`Tree`] to findings, so each one is shown here to fail on a bad tree.
//! Absent: style that rustfmt and clippy already hold, and anything that needs more than the files' text.

mod compose;
mod container;
mod documents;
mod edges;
mod habits;
mod names;
mod places;
mod purity;
mod source;
mod toml;
mod tree;

use tree::{Finding, Tree};

#[test]
fn crate_edges_are_those_that_the_map_lists() {
    tidy(edges::check);
}

#[test]
fn pure_crates_do_no_io_and_read_no_clock() {
    tidy(purity::check);
}

#[test]
fn documents_name_paths_that_exist_and_stay_short() {
    tidy(documents::check);
}

#[test]
fn names_are_the_fields_own() {
    tidy(names::check);
}

#[test]
fn files_are_short_and_exceptions_have_reasons() {
    tidy(habits::check);
}

#[test]
fn tests_neither_sleep_nor_are_ignored() {
    tidy(habits::check_tests);
}

#[test]
fn nothing_names_a_registry_or_somebodys_machine() {
    tidy(places::check);
}

#[test]
fn container_files_agree_with_each_other() {
    tidy(container::check);
}

/// Runs one rule over the repository and fails with every finding at once.
fn tidy(rule: fn(&Tree) -> Vec<Finding>) {
    let findings = rule(&Tree::of_repository());
    let listed: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{} to tidy:\n{}\n", findings.len(), listed.join("\n"));
}

/// Shows that a rule finds what it is for: each expected text, in order, and nothing else.
#[track_caller]
fn finds(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
    let found: Vec<String> = rule(&Tree::of(files)).iter().map(Finding::to_string).collect();
    assert_eq!(found.len(), expected.len(), "found {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
}
