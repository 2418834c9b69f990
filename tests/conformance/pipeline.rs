//! libpq's pipeline test program, with the traces of its messages.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::comparison::Outcome;
use crate::site::{Site, program};
use crate::suites;

/// Runs the program's tests, or the named ones, each by itself. Its output is what it prints and the trace.
pub(crate) fn run(site: &Site, names: &[String]) -> Vec<Outcome> {
    let listed = program(&tester(site)).env("LD_LIBRARY_PATH", libpq()).arg("tests").output();
    let listed = String::from_utf8(listed.expect("the program starts").stdout).expect("names are plain text");
    let wanted = |name: &&str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    listed.split_whitespace().filter(wanted).map(|name| run_one(site, name)).collect()
}

fn run_one(site: &Site, name: &str) -> Outcome {
    let trace_file = site.directory("traces").join(name);
    let expected = fs::read_to_string(folder(site).join("traces").join(format!("{name}.trace")));
    let mut command = program(&tester(site));
    command.env("LD_LIBRARY_PATH", libpq()).args(["-r", ROWS]);
    if expected.is_ok() {
        command.arg("-t").arg(&trace_file);
    }
    command.arg(name).arg(format!("host=127.0.0.1 port={} user=postgres dbname=postgres", site.port()));
    let (printed, succeeded) = site.run(&format!("pipeline-{name}"), command, WITHIN);
    let trace = fs::read_to_string(&trace_file).unwrap_or_default();
    let passed = succeeded && expected.map_or(true, |expected| expected == trace);
    Outcome { name: name.to_owned(), passed, output: printed + &trace }
}

fn folder(site: &Site) -> PathBuf {
    let renamed = site.cluster().primary().binaries().major >= 16;
    suites().join("src/test/modules").join(if renamed { "libpq_pipeline_16" } else { "libpq_pipeline" })
}

fn tester(site: &Site) -> PathBuf {
    folder(site).join("libpq_pipeline")
}

/// The library that the program was built with, whatever the system has.
fn libpq() -> PathBuf {
    suites().join("src/interfaces/libpq")
}

/// As PostgreSQL's own test runs the program.
const ROWS: &str = "700";
const WITHIN: Duration = Duration::from_secs(60);
