//! `pgweir explain`: where each statement of a text goes, and why, by the functions that sessions decide with.
//!
//! Exit status: 0 if all may run on standbys, 1 if one needs the primary, 2 if there is nothing to explain or it fails.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use pgweir_config::Config;
use pgweir_proxy::inspect::{InspectError, Primary};
use pgweir_sql::{Classifier, Explanation, Lexing, Naming, Settings, Target, Wish, explain, parts};
use tokio::runtime::Runtime;

/// What to explain, and as whom.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The statements; without any they are read from standard input.
    sql: Option<String>,
    /// A configuration: its rules hold, and names mean what the primary of its cluster says, which must run.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The database as clients name it.
    #[arg(long, default_value = "postgres")]
    database: String,
    /// The role as clients name it.
    #[arg(long, default_value = "postgres")]
    user: String,
    /// The application_name that the client logs in with.
    #[arg(long)]
    application: Option<String>,
    /// The session's pgweir.route, instead of what a rule says.
    #[arg(long)]
    route: Option<String>,
}

/// Explains what the arguments say.
pub(crate) fn run(arguments: &ExplainArgs) -> ExitCode {
    match explained(arguments) {
        Ok(explanations) => {
            let shown: String = explanations.iter().map(|(text, it)| shown(text, it)).collect();
            print(&shown);
            let needs_primary = explanations.iter().any(|(_, it)| it.target == Target::Primary);
            if needs_primary { ExitCode::from(NEEDS_PRIMARY) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

fn explained(arguments: &ExplainArgs) -> Result<Vec<(String, Explanation)>, String> {
    let text = match &arguments.sql {
        Some(sql) => sql.clone().into_bytes(),
        None => standard_input()?,
    };
    let config = arguments.config.as_deref().map(load).transpose()?;
    let wish = wish(config.as_ref(), arguments)?;
    let naming = config.as_ref().map(|config| naming(config, arguments)).transpose()?.flatten();
    let naming = naming.as_deref();
    let mut classifier = Classifier::new(Settings::default(), 0);
    let lexing = Lexing::default();
    let mut explanations = Vec::new();
    let statements = parts(&text, lexing);
    for part in &statements {
        let explanation = explain(&mut classifier, part, lexing, naming, &wish);
        explanations.push((String::from_utf8_lossy(part).into_owned(), explanation));
    }
    if statements.len() > 1 {
        let together = explain(&mut classifier, &text, lexing, naming, &wish);
        explanations.push(("all of them in one string".to_owned(), together));
    }
    if text.trim_ascii().is_empty() {
        return Err("there is nothing to explain".to_owned());
    }
    Ok(explanations)
}

/// What the session's `pgweir.route` asks for.
fn wish(config: Option<&Config>, arguments: &ExplainArgs) -> Result<Wish, String> {
    let ExplainArgs { database, user, application, route, .. } = arguments;
    let rule = config.and_then(|config| config.reads(database, user, application.as_deref()));
    match route {
        Some(route) => Wish::parse(route).map_err(|fault| format!("--route: {fault}")),
        None => Ok(rule.map_or_else(Wish::default, pgweir_proxy::route::wish)),
    }
}

/// What names mean in the database, as its primary says now.
fn naming(config: &Config, arguments: &ExplainArgs) -> Result<Option<Arc<Naming>>, String> {
    let user = config.route(&arguments.database).and_then(|route| route.user);
    let role = user.unwrap_or_else(|| arguments.user.clone());
    let runtime = runtime()?;
    let asked = async {
        let mut primary = Primary::find(config, &arguments.database).await?;
        primary.naming(&role).await
    };
    runtime.block_on(asked).map_err(|error: InspectError| error.to_string())
}

/// For the few questions of one command.
pub(crate) fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))
}

pub(crate) fn load(path: &Path) -> Result<Config, String> {
    Config::load(path).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

fn standard_input() -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(TEXT_BYTES_MAX).read_to_end(&mut text);
    read.map(|_| text).map_err(|error| format!("standard input cannot be read: {error}"))
}

fn shown(text: &str, explanation: &Explanation) -> String {
    let rows = explanation.rows().into_iter().map(|(name, value)| format!("  {name:8} {value}\n"));
    format!("{}\n{}", text.trim(), rows.collect::<String>())
}

/// Writes to standard output; whoever closes that has read enough.
pub(crate) fn print(text: &str) {
    let _closed = std::io::stdout().lock().write_all(text.as_bytes());
}

const NEEDS_PRIMARY: u8 = 1;
const FAILED: u8 = 2;
const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;
