//! From the text of a command to what it will do, and to what came of it.
//!
//! Invariant: a plan exists only for what its session may do, so running one needs no second check. Default deny:
//! a command that is not made of rows or words to read is for admins.

use pgweir_proxy::report::Report;

use crate::commands::{Action, Asked, COMMANDS, Command, EXPLAIN_ROUTE, Notice, explain_route_arguments};
use crate::console::Privilege;
use crate::driver;
use crate::error::ConsoleError;
use crate::grammar::{self, Word};
use crate::table::{Column, Row};

/// What a text will do.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Command { command: &'static Command, arguments: Vec<Word>, text: String },
    Driver(driver::Reply),
    Empty,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) notices: Vec<Notice>,
    pub(crate) rows: Vec<Row>,
    pub(crate) tag: &'static str,
}

impl Plan {
    /// The plan for `text`, if there is one and a session with `privilege` may run it.
    pub(crate) fn resolve(text: &str, privilege: Privilege) -> Result<Self, ConsoleError> {
        if let Some(arguments) = explain_route_arguments(text) {
            return Ok(Self::Command { command: &EXPLAIN_ROUTE, arguments, text: excerpt(text) });
        }
        let words = grammar::words(text).ok_or_else(|| invalid(text))?;
        if words.is_empty() {
            return Ok(Self::Empty);
        }
        if let Some(reply) = driver::Reply::find(&words) {
            return Ok(Self::Driver(reply));
        }
        if let Some((command, arguments)) = find(&words) {
            let allowed = match (privilege, &command.action) {
                (Privilege::Admin, _) | (Privilege::Stats, Action::Rows { .. } | Action::Tell(_)) => true,
                (Privilege::Stats, Action::Change(_)) => false,
            };
            if !allowed {
                return Err(ConsoleError::AdminAccessNeeded);
            }
            if command.arguments.is_empty() && !arguments.is_empty() {
                return Err(invalid(text));
            }
            return Ok(Self::Command { command, arguments: arguments.to_vec(), text: excerpt(text) });
        }
        Err(refusal(&words, text, privilege))
    }

    /// The columns of its rows; `None` when it returns none.
    pub(crate) fn columns(&self) -> Option<&'static [Column]> {
        match self {
            Self::Command { command, .. } => match command.action {
                Action::Rows { columns, .. } => Some(columns),
                Action::Change(_) | Action::Tell(_) => None,
            },
            Self::Driver(reply) => reply.columns(),
            Self::Empty => None,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, report: &dyn Report) -> Result<Outcome, ConsoleError> {
        match self {
            Self::Command { command, arguments, text } => {
                let asked = Asked { report, arguments, text };
                let tag = command.tag();
                match command.action {
                    Action::Change(change) => {
                        tracing::info!(command = command.name, "console command");
                        Ok(Outcome { notices: change(&asked)?, rows: Vec::new(), tag })
                    }
                    Action::Rows { rows, .. } => {
                        Ok(Outcome { notices: Vec::new(), rows: rows(&asked)?, tag })
                    }
                    Action::Tell(tell) => Ok(Outcome { notices: tell(&asked)?, rows: Vec::new(), tag }),
                }
            }
            Self::Driver(reply) => {
                let notices = match reply {
                    driver::Reply::SetIgnored => vec![Notice::new("SET ignored")],
                    driver::Reply::Nothing(_)
                    | driver::Reply::One
                    | driver::Reply::Setting(_)
                    | driver::Reply::Version => Vec::new(),
                };
                Ok(Outcome { notices, rows: reply.rows(report), tag: reply.tag() })
            }
            Self::Empty => Ok(Outcome::default()),
        }
    }
}

/// The command that `words` name, and the words behind its name. `SELECT x` is `SHOW x`.
fn find(words: &[Word]) -> Option<(&'static Command, &[Word])> {
    let named = |command: &&'static Command| {
        let mut name = command.name.split(' ').enumerate();
        name.all(|(at, keyword)| {
            let alias = at == 0 && keyword == "SHOW";
            words.get(at).is_some_and(|word| word.is(keyword) || (alias && word.is("SELECT")))
        })
    };
    let length = |command: &Command| command.name.split(' ').count();
    let command = COMMANDS.iter().copied().filter(named).max_by_key(|command| length(command))?;
    Some((command, &words[length(command)..]))
}

/// Why there is no plan for `words`. A stats user learns of nothing but SHOW.
fn refusal(words: &[Word], text: &str, privilege: Privilege) -> ConsoleError {
    match words {
        [set, name, ..] if set.is("SET") => match (privilege, name.name()) {
            (Privilege::Admin, Some(name)) => ConsoleError::UnsupportedSetting(excerpt(name)),
            (Privilege::Stats, _) => ConsoleError::AdminAccessNeeded,
            (Privilege::Admin, None) => invalid(text),
        },
        _ => invalid(text),
    }
}

fn invalid(text: &str) -> ConsoleError {
    ConsoleError::InvalidCommand(excerpt(text))
}

/// The beginning of `text`, without line ends, so that a log line or a message stays readable.
fn excerpt(text: &str) -> String {
    let text = text.trim_ascii();
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT_CHARS).collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        short.push_str("...");
    }
    short
}

const EXCERPT_CHARS: usize = 200;
