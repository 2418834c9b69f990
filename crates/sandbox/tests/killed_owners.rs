//! Nothing is left behind by a process that had no chance to clean up.
#![allow(clippy::unwrap_used, reason = "a test may panic, also in what its tests share")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use pgweir_sandbox::{Binaries, Cluster, ClusterSettings, wait_until};
use support::{SOON, nothing_left_of, processes_of};

/// Set in the process that this test program starts to be killed.
const OWNER: &str = "PGWEIR_SANDBOX_OWNER";

#[test]
fn a_killed_owner_takes_its_cluster_with_it() {
    let (mut owner, directory) = match start_owner("a_killed_owner_takes_its_cluster_with_it") {
        Some(started) => started,
        None => return,
    };
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until(SOON, "the watchdog has cleaned up", || {
        !directory.exists() && processes_of(&directory).is_empty()
    })
    .unwrap();
}

#[test]
fn the_next_cluster_cleans_up_when_the_watchdog_was_killed_too() {
    let (mut owner, directory) =
        match start_owner("the_next_cluster_cleans_up_when_the_watchdog_was_killed_too") {
            Some(started) => started,
            None => return,
        };
    kill_watchdog_of(&directory);
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(directory.is_dir() && !processes_of(&directory).is_empty(), "nobody is left to clean up");
    let next = Cluster::start(&Binaries::newest().unwrap(), &ClusterSettings::default()).unwrap();
    nothing_left_of(&directory);
    assert!(next.primary().is_ready());
}

/// Runs this same test in another process, which only owns a cluster until it is killed. `None` in
/// that other process.
fn start_owner(test: &str) -> Option<(Child, PathBuf)> {
    if std::env::var_os(OWNER).is_some() {
        let cluster =
            Cluster::start(&Binaries::newest().unwrap(), &ClusterSettings::with_standbys(1)).unwrap();
        let file = cluster.directory().join("anything");
        std::fs::write(&file, "").unwrap();
        let _companion = cluster.companion("tail", Command::new("tail").arg("-f").arg(file)).unwrap();
        let line = format!("\nowner of {}\n", cluster.directory().display());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        let _ = std::io::stdin().read(&mut [0]);
        return None;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(OWNER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(owner.stdout.take().unwrap());
    let directory = output
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("owner of ").map(PathBuf::from))
        .expect("the owner names its directory");
    Some((owner, directory))
}

fn kill_watchdog_of(directory: &std::path::Path) {
    let name = directory.to_str().unwrap();
    let watchdog = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("pgweir-sandbox-reaper") && line.contains(name)
        })
        .expect("a cluster has a watchdog");
    let pid = watchdog.file_name().into_string().unwrap();
    assert!(Command::new("sh").args(["-c", "kill -9 $0", &pid]).status().unwrap().success());
    wait_until(SOON, "the watchdog is gone", || !support::is_alive(pid.parse().unwrap())).unwrap();
}
