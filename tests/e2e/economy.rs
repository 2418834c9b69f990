//! What a query costs pgweir in the steady state, counted in system calls.

use std::fs;
use std::process::{Command, Stdio};

use pgweir_sandbox::Binaries;

use crate::harness::{Setup, Site};

/// Sixteen clients of pgbench, one read after the other: two receives, two sends and at most one wait for each.
#[test]
fn a_simple_query_takes_two_receives_two_sends_and_at_most_one_wait() {
    let site = Setup::newest().standbys(2).set("cluster.main", "monitor_interval", "\"1s\"").start();
    let binaries = Binaries::newest().unwrap();
    pgbench(&site, &binaries, &["--initialize", "--quiet", "--scale=1"]);
    site.wait_caught_up();
    // Connections, prepared plans and caches are made before anything is counted.
    pgbench(&site, &binaries, &SELECT_ONLY);

    let trace = site.cluster.directory().join("strace");
    let strace = Command::new("strace")
        .args([
            "-f",
            "-c",
            "-U",
            "name,calls",
            "-e",
            "trace=network,read,readv,write,writev,epoll_wait,epoll_pwait",
        ])
        .arg("-o")
        .arg(&trace)
        .args(["-p", &site.pgweir.pid().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed (Debian: apt-get install strace)");
    site.wait_for("strace watches pgweir", || is_traced(&site));
    let queries = pgbench(&site, &binaries, &SELECT_ONLY);
    assert!(Command::new("kill").args(["-INT", &strace.id().to_string()]).status().unwrap().success());
    let printed = strace.wait_with_output().unwrap();
    let counts = fs::read_to_string(&trace).unwrap();
    let per_query = |calls: &[&str]| count(&counts, calls) / queries;
    let (receives, sends, waits) = (
        per_query(&["recvfrom", "read", "readv", "recvmsg"]),
        per_query(&["sendto", "write", "writev", "sendmsg"]),
        per_query(&["epoll_wait", "epoll_pwait"]),
    );
    println!("{receives:.3} receives, {sends:.3} sends, {waits:.3} waits a query\n{counts}");
    let complaints = String::from_utf8_lossy(&printed.stderr);
    assert!(receives > 1.9 && sends > 1.9, "strace has not seen everything: {complaints}\n{counts}");
    // The monitor, the pages and the ends of the connections have a share of a few hundredths.
    assert!(receives <= 2.05 && sends <= 2.05 && waits <= 1.05, "{receives} {sends} {waits}\n{counts}");
}

/// Runs pgbench through pgweir and answers how many transactions it made.
fn pgbench(site: &Site, binaries: &Binaries, arguments: &[&str]) -> f64 {
    let output = Command::new(binaries.tool("pgbench"))
        .args(["--host=127.0.0.1", "--username=postgres"])
        .arg(format!("--port={}", site.pgweir.port()))
        .args(arguments)
        .arg("postgres")
        .output()
        .expect("pgbench is part of PostgreSQL");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let processed =
        printed.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    processed.map_or(0.0, |count| count.split('/').next().unwrap().trim().parse().unwrap())
}

fn is_traced(site: &Site) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", site.pgweir.pid())).unwrap();
    status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
}

/// The sum over the lines of strace's summary that end with one of these names.
fn count(summary: &str, calls: &[&str]) -> f64 {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, count) = (words.next()?, words.next()?);
        calls.contains(&name).then(|| count.parse::<f64>().ok())?
    };
    summary.lines().filter_map(line).sum()
}

const SELECT_ONLY: [&str; 6] =
    ["--no-vacuum", "--select-only", "--protocol=simple", "--client=16", "--jobs=2", "--transactions=1000"];
