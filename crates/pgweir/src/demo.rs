//! `pgweir demo`: a primary, two standbys and pgweir on free ports of this machine, so that anybody can
//! see reads and writes part within a minute, and `--check`: the same, judged while nodes fail.
//!
//! Invariant: everything that was started ends with this process, however it ends.
//!
//! Absent: any shortcut into the proxy. Every observation is one that a user can make: rows that name
//! the server they came from, and pgweir's own metrics.

mod check;
mod front;
mod proof;
mod traffic;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Binaries, Cluster, ClusterSettings, SandboxError};

use front::Front;

/// What the demo can be asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct DemoArgs {
    /// Prove it under failures (kill -9 of a standby, paused replay), print a table, and exit 0 or 1.
    #[arg(long)]
    pub(crate) check: bool,
    /// Major version of PostgreSQL to use, of those installed; the newest by default.
    #[arg(long, value_name = "MAJOR")]
    pub(crate) postgres: Option<u32>,
}

/// Runs the demo to its end.
pub(crate) fn run(args: DemoArgs) -> ExitCode {
    match demo(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(format_args!("demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Why the demo could not do its part; a promise that pgweir breaks is a row in a table instead.
#[derive(Debug)]
enum DemoError {
    /// pgweir ended, or did not become ready.
    Front { what: String, log: String },
    /// The operating system refused something.
    Io { doing: &'static str, source: io::Error },
    /// PostgreSQL, or a query through pgweir, failed.
    Sandbox(SandboxError),
    /// No PostgreSQL of this version is installed.
    NoSuchMajor { major: u32 },
}

/// Starts everything, proves the main job, and then either checks it or waits for Ctrl-C.
fn demo(args: &DemoArgs) -> Result<bool, DemoError> {
    let started = Instant::now();
    let binaries = match args.postgres {
        Some(major) => Binaries::of_major(major).ok_or(DemoError::NoSuchMajor { major })?,
        None => Binaries::newest()?,
    };
    say(format_args!("Starting PostgreSQL {} (a primary, two standbys) and pgweir ...", binaries.version));
    let cluster = Cluster::start(&binaries, &ClusterSettings::with_standbys(WEIGHTS.len() - 1))?;
    let mut front = Front::start(&cluster)?;
    say(format_args!("Ready after {:.1} s.\n", started.elapsed().as_secs_f64()));
    let proved = proof::run(&cluster, &front)?;
    if args.check {
        return Ok(check::run(&cluster, &front)? && proved);
    }
    invite(&cluster, &front);
    wait_for_interrupt(&mut front)?;
    say(format_args!("\nStopping everything ..."));
    Ok(proved)
}

fn invite(cluster: &Cluster, front: &Front) {
    let psql = cluster.primary().binaries().tool("psql");
    let connect = |database: &str| {
        format!("{} 'host=127.0.0.1 port={} user=postgres dbname={database}'", psql.display(), front.port())
    };
    say(format_args!("\nTry it:       {}", connect("postgres")));
    say(format_args!("              SELECT current_setting('sandbox.port');   -- ask a few times"));
    say(format_args!("Console:      {} -c 'SHOW NODES'", connect("pgweir")));
    say(format_args!("Metrics:      http://{}/metrics", front.http()));
    say(format_args!("Settings:     {}", front.settings_file().display()));
    say(format_args!("\nCtrl-C stops everything."));
}

/// Returns when somebody asks us to stop (SIGINT or SIGTERM); fails when pgweir ends before.
fn wait_for_interrupt(front: &mut Front) -> Result<(), DemoError> {
    let io_error = |source| DemoError::Io { doing: "waiting for Ctrl-C", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_error)?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(io_error)?;
        let mut look = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(io_error),
                _ = terminate.recv() => return Ok(()),
                _ = look.tick() => front.expect_running()?,
            }
        }
    })
}

/// Prints one line. A closed standard output is no reason to stop.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Front { what, log } => write!(f, "pgweir {what}. Its log:\n{log}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Sandbox(error) => error.fmt(f),
            Self::NoSuchMajor { major } => write!(f, "PostgreSQL {major} is not installed"),
        }
    }
}

impl From<SandboxError> for DemoError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}

/// The weight of each node. The primary's counts for nothing as long as standbys serve the reads.
const WEIGHTS: [u32; 3] = [1, 1, 2];
