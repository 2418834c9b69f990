//! `./dev conformance`: PostgreSQL's own test suites, run directly against a primary and through pgweir.
//!
//! Why: what a pooler breaks is best known to the tests that PostgreSQL's authors wrote for everything it does.
//! Invariants: both runs have a fresh cluster of the same settings, a primary with two standbys; pgweir runs as a user
//! would have it, in transaction mode and splitting reads. A test that comes out otherwise through pgweir must be
//! listed in docs/conformance.md, or the program fails.
//! Absent: the suites themselves. They are PostgreSQL 15's, built by `tests/conformance/postgres.sh`; against another
//! version many of their tests fail, and what counts is that they fail in the same way.

mod arguments;
mod comparison;
mod documented;
mod pipeline;
mod reads;
mod regress;
mod site;

use std::env;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use pgweir_sandbox::Binaries;

use arguments::Arguments;
use comparison::{Comparison, Outcome};
use documented::Documented;
use site::Site;

/// One of PostgreSQL's suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    Regress,
    Isolation,
    Pipeline,
    /// What of `regress` is a read, on a standby.
    Reads,
}

/// How the tests of a run reach PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Directly,
    ThroughPgweir,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    let documented = Documented::read();
    let mut report = String::new();
    let mut unlisted = 0;
    for binaries in &arguments.binaries {
        for &suite in &arguments.suites {
            unlisted += match suite {
                Suite::Reads => reads::run(binaries, &arguments.names, &mut report),
                Suite::Regress | Suite::Isolation | Suite::Pipeline => {
                    compare(binaries, suite, &arguments.names).report(&documented, &mut report)
                }
            };
        }
    }
    writeln!(report, "differences that {} does not list: {unlisted}", documented::PATH)
        .expect("a String takes everything");
    io::stdout().write_all(report.as_bytes()).expect("standard output takes the report");
    ExitCode::from(u8::from(unlisted > 0))
}

/// Runs one suite in both ways, and keeps what came out below the suites' directory.
fn compare(binaries: &Binaries, suite: Suite, names: &[String]) -> Comparison {
    let kept = results(binaries, suite);
    let run = |way: Way| {
        let started = Instant::now();
        let site = Site::start(binaries, way);
        let outcomes = match suite {
            Suite::Regress | Suite::Isolation | Suite::Reads => {
                regress::run(&site, suite, names, site.port())
            }
            Suite::Pipeline => pipeline::run(&site, names),
        };
        let passed = outcomes.iter().filter(|outcome| outcome.passed).count();
        eprintln!(
            "== PostgreSQL {}, {suite}, {way}: {passed} of {} tests pass ({} s)",
            binaries.version,
            outcomes.len(),
            started.elapsed().as_secs()
        );
        site.keep_logs(&kept.join(way.to_string()));
        keep(&kept.join(way.to_string()), &outcomes);
        outcomes
    };
    let (directly, through) = (run(Way::Directly), run(Way::ThroughPgweir));
    Comparison::new(binaries.major, suite, directly, through, kept)
}

/// An empty directory, where what is put there stays until the next run.
fn results(binaries: &Binaries, suite: Suite) -> PathBuf {
    let kept = suites().with_file_name("results").join(binaries.major.to_string()).join(suite.to_string());
    let _absent = fs::remove_dir_all(&kept);
    fs::create_dir_all(&kept).expect("the directory of the results can be made");
    kept
}

/// Writes the tests' output into a directory, where it stays until the next run.
fn keep(directory: &Path, outcomes: &[Outcome]) {
    fs::create_dir_all(directory).expect("the directory of the results can be made");
    for outcome in outcomes {
        fs::write(directory.join(format!("{}.out", outcome.name)), &outcome.output)
            .expect("the directory of the results takes files");
    }
}

/// The source tree in which the suites were built.
pub(crate) fn suites() -> PathBuf {
    env::var_os("PGWEIR_SUITES").map(PathBuf::from).expect("`./dev conformance` says where the suites are")
}

impl Suite {
    const ALL: [Self; 4] = [Self::Regress, Self::Isolation, Self::Pipeline, Self::Reads];
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regress => "regress",
            Self::Isolation => "isolation",
            Self::Pipeline => "pipeline",
            Self::Reads => "reads",
        })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directly => "directly",
            Self::ThroughPgweir => "through-pgweir",
        })
    }
}
