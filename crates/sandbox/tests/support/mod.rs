//! What the tests of the sandbox share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use pgweir_sandbox::Binaries;

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Runs a test on each installed major version.
pub(crate) fn each_major(test: impl Fn(&Binaries)) {
    let installed = Binaries::installed();
    assert!(!installed.is_empty(), "the tests need an installed PostgreSQL");
    for binaries in &installed {
        eprintln!("PostgreSQL {}", binaries.version);
        test(binaries);
    }
}

/// Asserts that a cluster's directory is gone and no process mentions it.
pub(crate) fn nothing_left_of(directory: &Path) {
    assert!(!directory.exists(), "{} is still there", directory.display());
    assert_eq!(processes_of(directory), Vec::<String>::new());
}

/// The command lines of all processes that mention this directory.
pub(crate) fn processes_of(directory: &Path) -> Vec<String> {
    let name = directory.to_str().unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(name))
        .collect()
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
