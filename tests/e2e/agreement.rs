//! What is explained is what is done: every text of the classifier's table and of `docs/routing.md` goes where EXPLAIN
//! ROUTE says, for the reason that it gives.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{Setup, Site, message, query};

/// What the page's examples use.
const OBJECTS: &str = "
CREATE TABLE my_log (n int);
CREATE FUNCTION my_writer(n int) RETURNS int LANGUAGE sql AS $$ INSERT INTO my_log VALUES (n) RETURNING 1 $$;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE my_foreign (n int) SERVER nowhere;
CREATE TABLE my_guarded (n int);
ALTER TABLE my_guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY guard ON my_guarded USING (my_writer(n) = 1);
CREATE SEQUENCE my_sequence;
CREATE UNLOGGED TABLE my_unlogged (n int);
CREATE VIEW my_view AS SELECT my_writer(1);
CREATE DOMAIN my_checked AS int CHECK (my_writer(VALUE) = 1);
CREATE ROLE harmless LOGIN;
-- Some texts would run for ever.
ALTER ROLE harmless SET statement_timeout TO '100ms';";

/// Texts, one a line, each with what is expected of it behind an arrow.
const TABLE: &str = include_str!("../../crates/sql/src/classifier/classify.tests");
const PAGE: &str = include_str!("../../docs/routing.md");

#[test]
fn every_text_goes_where_it_is_explained_to_go() {
    let site = Setup::newest().standbys(1).start();
    site.connect().query(OBJECTS).unwrap();
    site.wait_caught_up();
    let mut explainer = Explainer { console: site.try_connect("postgres", "pgweir").unwrap() };
    let ready = |explainer: &mut Explainer| {
        site.try_connect(ROLE, "postgres").unwrap().query("SELECT 1").unwrap();
        explainer.explain("SELECT my_writer(1)").reason == "function.body"
    };
    site.wait_for("the catalog is read", || ready(&mut explainer));
    let (mut wrong, mut before, mut compared) = (String::new(), counts(&site), 0);
    for text in texts() {
        let explained = explainer.explain(&text);
        run(&site, &text);
        let after = counts(&site);
        let went: Vec<Decision> =
            after.iter().filter(|(at, n)| before.get(at) != Some(n)).map(|(at, _)| at.clone()).collect();
        if !went.contains(&explained) {
            writeln!(wrong, "{text}\n  explained {explained:?}\n  went      {went:?}").unwrap();
        }
        before = after;
        compared += 1;
    }
    assert!(compared > 600, "only {compared} texts were found");
    assert!(wrong.is_empty(), "{wrong}");
}

/// A role without rights, so that nothing comes to harm.
const ROLE: &str = "harmless";

/// Where a text goes, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Decision {
    node: String,
    reason: String,
}

struct Explainer {
    console: Client,
}

impl Explainer {
    fn explain(&mut self, text: &str) -> Decision {
        let asked = format!("EXPLAIN ROUTE FOR postgres USER {ROLE} {text}");
        let rows = self.console.query(&asked).unwrap_or_else(|error| panic!("{asked}: {error}")).rows;
        let cell = |name: &str| {
            let row = rows.iter().find(|row| row[0].as_deref() == Some(name));
            row.and_then(|row| row[1].clone()).unwrap_or_default()
        };
        Decision { node: cell("nodes"), reason: cell("reason") }
    }
}

/// The texts of both, without those of which the console sees nothing or that need a setting.
fn texts() -> Vec<String> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let table = lines.filter_map(|line| Some(line.rsplit_once(" => ")?.0.replace('¶', "\n")));
    let rows = PAGE.lines().filter(|line| line.starts_with("| `") && line.ends_with("` |"));
    let examples = rows.filter_map(|row| {
        let (before, example) = row.trim_end_matches("` |").rsplit_once("| `")?;
        let needs_setting = before.contains("`lexing.nonstandard`") || before.contains("`route.setting`");
        (!needs_setting).then(|| example.replace("\\|", "|"))
    });
    table.chain(examples).filter(|text| !text.trim().is_empty()).collect()
}

/// Sends a text in a session of its own; a block is given a statement, since BEGIN alone goes nowhere.
fn run(site: &Site, text: &str) {
    let mut client = site.try_connect(ROLE, "postgres").unwrap();
    // Should it be COPY FROM STDIN, it gets nothing; else servers ignore that.
    client.wire().send(&[query(text), message(b'f', b"no data\0")].concat()).unwrap();
    let answered = client.reply();
    if let Err(SandboxError::ConnectionClosed) = answered {
        return;
    }
    if client.transaction_status() != 'I' {
        let _failed = client.query("SELECT 1");
    }
}

/// Statements by node and reason.
fn counts(site: &Site) -> BTreeMap<Decision, u64> {
    let (_, page) = site.pgweir.page("/metrics").expect("the metrics are there");
    let mut counts = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("pgweir_queries_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\"")).expect(line);
            rest.split('"').next().expect(line).to_owned()
        };
        let count: f64 = line.rsplit(' ').next().expect(line).parse().expect(line);
        *counts.entry(Decision { node: label("node"), reason: label("reason") }).or_default() += count as u64;
    }
    counts
}
