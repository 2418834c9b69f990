//! The commands of the console: one row here and one file in `commands/` for each.
//!
//! Invariants: names are unique; a command that changes something is `Change`, which only admins may run.

use pgweir_proxy::report::Report;

use crate::error::ConsoleError;
use crate::grammar::Word;
use crate::table::{Column, Row};

mod explain_route;
mod reload;
mod show_config;
mod show_connections;
mod show_databases;
mod show_help;
mod show_lists;
mod show_nodes;
mod show_pools;
mod show_routes;
mod show_state;
mod show_stats;
mod show_users;
mod show_version;
mod shutdown;

pub(crate) use explain_route::{EXPLAIN_ROUTE, arguments as explain_route_arguments};
pub(crate) use show_nodes::{health, role};

/// Every command, in the order of SHOW HELP.
pub(crate) const COMMANDS: &[&Command] = &[
    &show_help::SHOW_HELP,
    &show_connections::SHOW_CLIENTS,
    &show_config::SHOW_CONFIG,
    &show_databases::SHOW_DATABASES,
    &show_lists::SHOW_LISTS,
    &show_nodes::SHOW_NODES,
    &show_pools::SHOW_POOLS,
    &show_routes::SHOW_ROUTES,
    &show_connections::SHOW_SERVERS,
    &show_state::SHOW_STATE,
    &show_stats::SHOW_STATS,
    &show_stats::SHOW_STATS_AVERAGES,
    &show_stats::SHOW_STATS_TOTALS,
    &show_stats::SHOW_TOTALS,
    &show_users::SHOW_USERS,
    &show_version::SHOW_VERSION,
    &EXPLAIN_ROUTE,
    &reload::RELOAD,
    &shutdown::SHUTDOWN,
];

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its words in capitals.
    pub(crate) name: &'static str,
    /// What may follow, as SHOW HELP prints it; empty when nothing may.
    pub(crate) arguments: &'static str,
    pub(crate) action: Action,
}

impl Command {
    /// The tag of its CommandComplete.
    pub(crate) fn tag(&self) -> &'static str {
        self.name.split(' ').next().unwrap_or(self.name)
    }
}

/// What a command does.
#[derive(Debug)]
pub(crate) enum Action {
    /// Changes something: for admins.
    Change(fn(&Asked<'_>) -> Result<Vec<Notice>, ConsoleError>),
    /// Shows rows.
    Rows { columns: &'static [Column], rows: fn(&Asked<'_>) -> Result<Vec<Row>, ConsoleError> },
    /// Shows words.
    Tell(fn(&Asked<'_>) -> Result<Vec<Notice>, ConsoleError>),
}

/// What a command is given.
pub(crate) struct Asked<'a> {
    pub(crate) report: &'a dyn Report,
    /// The words behind the name.
    pub(crate) arguments: &'a [Word],
    /// The beginning of the command, for messages.
    pub(crate) text: &'a str,
}

/// A message beside the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
}

impl Notice {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None }
    }
}

#[cfg(test)]
mod tests;
