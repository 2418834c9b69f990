//! An initialised data directory for each version. Copying it takes a tenth of what initdb takes.
//!
//! A server that was shut down cleanly (or has never run) can be copied to become both a primary and
//! its standbys, so a new cluster needs no base backup.

use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::{Binaries, SandboxError, directory, tool};

/// The template for these binaries, made on first use and kept.
pub(crate) fn of(binaries: &Binaries, account: Account) -> Result<PathBuf, SandboxError> {
    let name = format!("template-{}-{REVISION}", binaries.version);
    directory::cached(&name, |place| initialise(binaries, account, place))
}

/// Runs initdb into `place`, which must not exist yet.
pub(crate) fn initialise(binaries: &Binaries, account: Account, place: &Path) -> Result<(), SandboxError> {
    // The account may not make directories beside the place, only fill one that it owns.
    std::fs::create_dir(place).map_err(SandboxError::io(format!("making {}", place.display())))?;
    account.own(place)?;
    let mut command = account.command(&binaries.tool("initdb"), place);
    command.arg("-D").arg(place).args(INITDB);
    tool::run("initdb", command).map(drop)
}

/// Checksums let pg_rewind work on a server that did not end cleanly.
const INITDB: [&str; 8] = [
    "--no-sync",
    "--data-checksums",
    "--auth=trust",
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--lc-messages=C",
    "--no-instructions",
];
/// Counts changes to how templates are made, so that old caches are not used.
const REVISION: u32 = 1;
