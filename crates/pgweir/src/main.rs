//! The program: reads the command line and starts what it asks for.
//!
//! Absent: logic. Each subcommand is a few lines around a crate.

mod audit;
mod check;
mod demo;
mod explain;
mod health;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// PostgreSQL proxy: pools connections, sends writes to the primary and reads to healthy standbys.
#[derive(Parser)]
#[command(name = "pgweir", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve clients as the configuration says.
    Run {
        /// The configuration.
        config: PathBuf,
    },
    /// Say what is wrong with a configuration.
    Check {
        /// The configuration.
        config: PathBuf,
    },
    /// Say where statements go and why; exits with 1 if one needs the primary.
    Explain(explain::ExplainArgs),
    /// Say which statements that ran on a primary would move to standbys, from pg_stat_statements.
    Audit(audit::AuditArgs),
    /// Start a primary, two standbys and pgweir on this machine, and show them at work.
    Demo(demo::DemoArgs),
    /// Ask a running pgweir whether it is ready; exits with 1 if not.
    Health {
        /// The address of its HTTP side (admin.http_address).
        #[arg(long, default_value = "127.0.0.1:9632")]
        address: String,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Check { config } => check::check(&config),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Health { address } => health::health(&address),
    }
}
