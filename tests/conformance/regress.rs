//! The suites that pg_regress drives: SQL scripts by psql, and interleaved sessions by isolationtester.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::comparison::Outcome;
use crate::site::{Site, program};
use crate::{Suite, suites};

/// Runs the whole schedule, or the named tests alone, by the server that listens on this port.
pub(crate) fn run(site: &Site, suite: Suite, names: &[String], port: u16) -> Vec<Outcome> {
    site.prepare(&database(suite));
    let output = site.directory(&suite.to_string());
    // The server writes files here too, and it may be another user's.
    let results = site.directory(&format!("{suite}/results"));
    let mut command = pg_regress(site, suite, port);
    command.arg("--outputdir").arg(&output).args(selection(suite, names));
    let (printed, _) = site.run("pg_regress", command, WITHIN);
    let outcomes: Vec<Outcome> = printed.lines().filter_map(|line| outcome(line, &results)).collect();
    assert!(!outcomes.is_empty(), "pg_regress ran nothing:\n{printed}");
    outcomes
}

/// The database as pg_regress itself would make it.
fn database(suite: Suite) -> Vec<String> {
    let name = database_name(suite);
    let mut statements =
        vec![format!("CREATE DATABASE {name} TEMPLATE = template0 LC_COLLATE = 'C' LC_CTYPE = 'C'")];
    let set = |(setting, value): &(&str, &str)| format!("ALTER DATABASE {name} SET {setting} TO '{value}'");
    statements.extend(DATABASE_SETTINGS.iter().map(set));
    statements
}

fn database_name(suite: Suite) -> &'static str {
    match suite {
        Suite::Isolation => "isolation_regression",
        Suite::Regress | Suite::Pipeline | Suite::Reads => "regression",
    }
}

fn pg_regress(site: &Site, suite: Suite, port: u16) -> Command {
    let isolation = suite == Suite::Isolation;
    // Of statements that run side by side nobody could say what a standby should answer.
    let connections = if suite == Suite::Reads { "1" } else { "20" };
    let (folder, name) =
        if isolation { ("isolation", "pg_isolation_regress") } else { ("regress", "pg_regress") };
    let input = suites().join("src/test").join(folder);
    let mut command = program(&input.join(name));
    command
        .current_dir(&input)
        .arg("--inputdir")
        .arg(&input)
        .arg("--dlpath")
        .arg(library_folder(site))
        .arg("--bindir")
        .arg(&site.cluster().primary().binaries().bin)
        .args(["--host=127.0.0.1", "--user=postgres", "--use-existing", "--max-concurrent-tests=20"])
        .arg(format!("--max-connections={connections}"))
        .arg(format!("--port={port}"))
        .arg(format!("--dbname={}", database_name(suite)));
    if isolation {
        command.env("LD_LIBRARY_PATH", suites().join("src/interfaces/libpq"));
        command.env("LD_PRELOAD", input.join("isolation_sessions.so"));
    }
    command
}

/// Where the C library of the scripts is. A server of another version cannot load it and says so in words that depend on
/// what else it has loaded, so there it finds none.
fn library_folder(site: &Site) -> PathBuf {
    let regress = suites().join("src/test/regress");
    if site.cluster().primary().binaries().major == SUITES_MAJOR { regress } else { regress.join("sql") }
}

/// What comes after the options. Every script needs the tables that `test_setup` makes.
fn selection(suite: Suite, names: &[String]) -> Vec<String> {
    let schedule = match suite {
        Suite::Isolation => "--schedule=isolation_schedule",
        Suite::Regress | Suite::Pipeline | Suite::Reads => "--schedule=parallel_schedule",
    };
    match (suite, names) {
        (_, []) => vec![schedule.to_owned()],
        (Suite::Regress | Suite::Reads, names) => [&["test_setup".to_owned()], names].concat(),
        (Suite::Isolation | Suite::Pipeline, names) => names.to_vec(),
    }
}

/// Reads a line such as `test strings    ... ok    885 ms`, or `     point    ... FAILED    995 ms` of a group.
fn outcome(line: &str, results: &Path) -> Option<Outcome> {
    let (name, verdict) = line.split_once(" ... ")?;
    let name = name.trim().trim_start_matches("test ").trim_end().to_owned();
    let passed = verdict.trim_start().starts_with("ok");
    let output = fs::read(results.join(format!("{name}.out"))).unwrap_or_default();
    Some(Outcome { name, passed, output: String::from_utf8_lossy(&output).into_owned() })
}

/// The version that the suites belong to.
const SUITES_MAJOR: u32 = 15;
const DATABASE_SETTINGS: [(&str, &str); 6] = [
    ("lc_messages", "C"),
    ("lc_monetary", "C"),
    ("lc_numeric", "C"),
    ("lc_time", "C"),
    ("bytea_output", "hex"),
    ("timezone_abbreviations", "Default"),
];
/// Several times what the longest suite takes.
const WITHIN: Duration = Duration::from_secs(1800);

#[test]
fn a_line_of_pg_regress_is_a_test_and_its_verdict() {
    let read = |line: &str| outcome(line, Path::new("nowhere")).map(|o| (o.name, o.passed));
    assert_eq!(
        read("test strings                      ... ok          885 ms"),
        Some(("strings".into(), true))
    );
    assert_eq!(read("     test_setup     ... FAILED       25 ms"), Some(("test_setup".into(), false)));
    assert_eq!(read("     stats          ... failed (ignored)       25 ms").map(|o| o.1), Some(false));
    assert_eq!(read("parallel group (11 tests):  hash_part explain"), None);
}
