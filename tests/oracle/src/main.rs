//! `./dev oracle`: what pgweir calls a read, PostgreSQL's own parser must see as one.
//!
//! Why: both of the classifier's analyses were written by one hand. This one walks the parse trees of libpg_query, which is
//! PostgreSQL's parser, and knows nothing of them.
//! Statements come from the repository's tables and from a generator that hides writes at any depth. `SEED=n` replays one
//! run, `COUNT=n` sets how many statements it makes.
//! Invariant: the comparison goes one way. What pgweir keeps on the primary may well be a read.
//! Absent: catalogs. Here only PostgreSQL's own names are known.

mod generator;
mod tree;

use std::collections::BTreeSet;
use std::env;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use generator::Generator;
use pgweir_sql::{Classifier, Lexing, Settings, Target};
use tree::{Opinion, opinion};

fn main() -> ExitCode {
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (seed, count) = (number("SEED").unwrap_or(now), number("COUNT").unwrap_or(20_000));
    let functions: BTreeSet<&str> = FUNCTIONS.split_whitespace().collect();
    let classifier = Classifier::new(Settings::default(), seed);
    let mut run = Run { functions, classifier, statements: 0, reads: 0, kept: 0, findings: Vec::new() };
    for table in TABLES {
        let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for (sql, _) in lines.filter_map(|line| line.rsplit_once(" => ")) {
            run.compare(&sql.replace('¶', "\n"), None);
        }
    }
    println!("tables: {}", run.counts());
    let mut generator = Generator::new(seed);
    for _ in 0..count {
        let made = generator.statement();
        run.compare(&made.sql, Some(made.writes));
    }
    println!("with {count} generated statements of SEED={seed}: {}", run.counts());
    for finding in &run.findings {
        println!("{finding}");
    }
    ExitCode::from(u8::from(!run.findings.is_empty()))
}

/// Both judgements on all statements so far.
struct Run {
    functions: BTreeSet<&'static str>,
    classifier: Classifier,
    statements: usize,
    reads: usize,
    /// Reads by the parse tree that pgweir keeps on the primary.
    kept: usize,
    findings: Vec<String>,
}

impl Run {
    /// `writes`: what the generator put in, if it made the statement.
    fn compare(&mut self, sql: &str, writes: Option<bool>) {
        self.statements += 1;
        let verdict = self.classifier.classify(sql.as_bytes(), Lexing::default(), None);
        let opinion = opinion(sql, &self.functions);
        match (verdict.target, &opinion) {
            (Target::Standby, Opinion::Read) => self.reads += 1,
            (Target::Standby, Opinion::Writes(why)) => {
                self.findings.push(format!("called a read, but {why}: {sql}"));
            }
            (Target::Primary, Opinion::Read) => self.kept += 1,
            // A newer PostgreSQL may well parse it.
            (Target::Standby | Target::Primary, _) => {}
        }
        match (writes, verdict.target, &opinion) {
            (Some(true), Target::Standby, _) => {
                self.findings.push(format!("called a read, but a write was put in: {sql}"));
            }
            (Some(true), _, Opinion::Read) => {
                self.findings.push(format!("the oracle sees no write, but one was put in: {sql}"));
            }
            (Some(false), Target::Primary, Opinion::Read) => {
                let reason = verdict.reason.code();
                self.findings.push(format!("nothing but reads was put in, and {reason} keeps it: {sql}"));
            }
            _ => {}
        }
    }

    fn counts(&self) -> String {
        format!(
            "{} statements, {} called reads by both, {} reads kept on the primary, {} findings",
            self.statements,
            self.reads,
            self.kept,
            self.findings.len()
        )
    }
}

const TABLES: [&str; 6] = [
    include_str!("../../../crates/sql/src/classifier/classify.tests"),
    include_str!("../../e2e/truth/applications.tests"),
    include_str!("../../e2e/truth/functions.tests"),
    include_str!("../../e2e/truth/objects.tests"),
    include_str!("../../e2e/truth/programs.tests"),
    include_str!("../../e2e/truth/syntax.tests"),
];

/// Functions that only read, by `pg_proc` of PostgreSQL 15 and 18: those of which each overload is immutable or stable, and
/// those volatile ones that are so for the clock, randomness, or files that grow.
const FUNCTIONS: &str = include_str!("../functions.txt");
