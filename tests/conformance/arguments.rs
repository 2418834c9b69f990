//! What the program was asked to run.

use pgweir_sandbox::Binaries;

use crate::Suite;

/// Which servers, which suites, and which of their tests.
pub(crate) struct Arguments {
    pub(crate) binaries: Vec<Binaries>,
    pub(crate) suites: Vec<Suite>,
    /// All tests of a suite when there are none.
    pub(crate) names: Vec<String>,
}

impl Arguments {
    /// Reads the command line; an error is the text to show instead of running.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut majors, mut suites, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n\n{USAGE}"));
            match argument.as_str() {
                "--postgres" => majors.push(value()?),
                "--suite" => suites.push(suite(&value()?)?),
                name if !name.starts_with('-') => names.push(name.to_owned()),
                _ => return Err(USAGE.to_owned()),
            }
        }
        if suites.is_empty() {
            suites.extend(Suite::ALL);
        }
        if !names.is_empty() && suites.len() > 1 {
            return Err(format!("names of tests need the --suite that they are from\n\n{USAGE}"));
        }
        Ok(Self { binaries: binaries(&majors)?, suites, names })
    }
}

fn suite(name: &str) -> Result<Suite, String> {
    let found = Suite::ALL.into_iter().find(|suite| suite.to_string() == name);
    found.ok_or_else(|| format!("there is no suite {name}\n\n{USAGE}"))
}

/// The installed servers of these versions, or all, the oldest first.
fn binaries(majors: &[String]) -> Result<Vec<Binaries>, String> {
    let mut installed = Binaries::installed();
    installed.reverse();
    let missing = majors.iter().find(|major| installed.iter().all(|b| b.major.to_string() != **major));
    if let Some(major) = missing {
        return Err(format!("PostgreSQL {major} is not installed"));
    }
    installed.retain(|b| majors.is_empty() || majors.contains(&b.major.to_string()));
    Ok(installed)
}

const USAGE: &str = "\
usage: ./dev conformance [--postgres MAJOR] [--suite regress|isolation|pipeline|reads] [TEST...]

Runs PostgreSQL 15's test suites directly and through pgweir, on every PostgreSQL found, and compares.
The suite `reads` runs what of `regress` is a read on a standby as well.
Both options may be given more than once. Fails when a difference is not listed in docs/conformance.md.";
