//! `pgweir check`: what is wrong with a configuration, with the place of each mistake.

use std::path::Path;
use std::process::ExitCode;

use pgweir_config::Config;

/// Prints every mistake and warning; fails if there is a mistake.
pub(crate) fn check(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            eprintln!("{}: no mistakes", path.display());
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}
