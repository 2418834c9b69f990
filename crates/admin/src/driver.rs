//! What drivers say to every server before their user says anything, and the answers that keep them content.
//!
//! Why: psycopg opens with BEGIN, JDBC with `SET extra_float_digits`, connection pools ask `SELECT 1`. None of it
//! means anything here, and refusing it would shut those drivers out.
//! Invariant: nothing here reads or changes the proxy.

use pgweir_proxy::report::Report;

use crate::grammar::Word;
use crate::table::{Column, Row, int4, text};

/// An answer that pleases a driver.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// Nothing happened, with the command tag of what did not.
    Nothing(&'static str),
    /// `SELECT 1`: the session is alive.
    One,
    /// The value of a setting that drivers look at.
    Setting(&'static Setting),
    /// SET of a setting without meaning here: accepted, with a NOTICE.
    SetIgnored,
    /// `SELECT version()`.
    Version,
}

/// A setting that drivers look at.
#[derive(Debug)]
pub(crate) struct Setting {
    asked: &'static [&'static str],
    columns: &'static [Column],
    value: &'static str,
}

/// The values are PgBouncer's own.
const SETTINGS: &[Setting] = &[
    Setting { asked: &["CLIENT_ENCODING"], columns: &[text("client_encoding")], value: "UTF-8" },
    Setting { asked: &["DATESTYLE"], columns: &[text("datestyle")], value: "ISO" },
    Setting {
        asked: &["DEFAULT_TRANSACTION_ISOLATION"],
        columns: &[text("default_transaction_isolation")],
        value: "read committed",
    },
    Setting {
        asked: &["STANDARD_CONFORMING_STRINGS"],
        columns: &[text("standard_conforming_strings")],
        value: "on",
    },
    Setting { asked: &["TIMEZONE"], columns: &[text("timezone")], value: "GMT" },
    Setting {
        asked: &["TRANSACTION", "ISOLATION", "LEVEL"],
        columns: &[text("transaction_isolation")],
        value: "read committed",
    },
];

const ONE: &[Column] = &[int4("?column?")];
const VERSION: &[Column] = &[text("version")];

/// What SET may name without effect.
const IGNORED: &[&str] = &[
    "APPLICATION_NAME",
    "BYTEA_OUTPUT",
    "CLIENT_ENCODING",
    "CLIENT_MIN_MESSAGES",
    "DATESTYLE",
    "DEFAULT_TRANSACTION_ISOLATION",
    "DEFAULT_TRANSACTION_READ_ONLY",
    "EXTRA_FLOAT_DIGITS",
    "IDLE_IN_TRANSACTION_SESSION_TIMEOUT",
    "INTERVALSTYLE",
    "LOCK_TIMEOUT",
    "NAMES",
    "SEARCH_PATH",
    "STANDARD_CONFORMING_STRINGS",
    "STATEMENT_TIMEOUT",
    "TIME",
    "TIMEZONE",
    "TRANSACTION",
];

/// First words of statements without effect, and the tags PostgreSQL gives them.
const NOTHINGS: &[(&[&str], &str)] = &[
    (&["BEGIN"], "BEGIN"),
    (&["START", "TRANSACTION"], "START TRANSACTION"),
    (&["COMMIT"], "COMMIT"),
    (&["END"], "COMMIT"),
    (&["ROLLBACK"], "ROLLBACK"),
    (&["ABORT"], "ROLLBACK"),
    (&["CLOSE", "ALL"], "CLOSE CURSOR ALL"),
    (&["DEALLOCATE", "ALL"], "DEALLOCATE ALL"),
    (&["DISCARD", "ALL"], "DISCARD ALL"),
    (&["RESET", "ALL"], "RESET"),
    (&["SELECT", "PG_ADVISORY_UNLOCK_ALL"], "SELECT 0"),
    (&["UNLISTEN", "*"], "UNLISTEN"),
];

/// PostgreSQL's major version that drivers are told, so that they send what any server of today understands.
pub(crate) const SERVER_VERSION: &str = "14.0";

impl Reply {
    /// The answer to `words`, if a driver may have said them.
    ///
    /// Of several statements without effect (asyncpg's pool sends four at once) the last is answered.
    pub(crate) fn find(words: &[Word]) -> Option<Self> {
        let mut statements = words.split(|word| *word == Word::Mark(';')).map(Self::find_one);
        let first = statements.next()??;
        statements.try_fold(first, |before, next| {
            let next = next?;
            (before.columns().is_none() && next.columns().is_none()).then_some(next)
        })
    }

    fn find_one(words: &[Word]) -> Option<Self> {
        let (first, rest) = words.split_first()?;
        if first.is("SET") {
            return set(rest);
        }
        if first.is("SHOW") || first.is("SELECT") {
            let setting = SETTINGS.iter().find(|setting| equal(rest, setting.asked));
            if let Some(reply) = setting.map(Self::Setting).or_else(|| select(rest)) {
                return Some(reply);
            }
        }
        let nothing = NOTHINGS.iter().find(|(start, _)| begins(words, start))?;
        Some(Self::Nothing(nothing.1))
    }

    pub(crate) const fn columns(self) -> Option<&'static [Column]> {
        match self {
            Self::Nothing(_) | Self::SetIgnored => None,
            Self::One => Some(ONE),
            Self::Setting(setting) => Some(setting.columns),
            Self::Version => Some(VERSION),
        }
    }

    pub(crate) fn rows(self, report: &dyn Report) -> Vec<Row> {
        match self {
            Self::Nothing(_) | Self::SetIgnored => Vec::new(),
            Self::One => vec![vec![1u32.into()]],
            Self::Setting(setting) => vec![vec![setting.value.into()]],
            Self::Version => {
                vec![vec![format!("PostgreSQL {SERVER_VERSION} (pgweir {})", report.version()).into()]]
            }
        }
    }

    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Nothing(tag) => tag,
            Self::One | Self::Version => "SELECT 1",
            Self::SetIgnored => "SET",
            Self::Setting(_) => "SHOW",
        }
    }
}

fn set(words: &[Word]) -> Option<Reply> {
    let words = match words {
        [scope, rest @ ..] if scope.is("SESSION") || scope.is("LOCAL") => rest,
        _ => words,
    };
    let (name, value) = words.split_first()?;
    let of_session = name.is("CHARACTERISTICS");
    let known = IGNORED.iter().any(|ignored| name.is(ignored));
    ((known || of_session) && !value.is_empty()).then_some(Reply::SetIgnored)
}

fn select(words: &[Word]) -> Option<Reply> {
    match words {
        [one] if one.is("1") => Some(Reply::One),
        [name, Word::Mark('('), Word::Mark(')')] if name.is("VERSION") || name.is("PG_CATALOG.VERSION") => {
            Some(Reply::Version)
        }
        _ => None,
    }
}

fn begins(words: &[Word], start: &[&str]) -> bool {
    words.len() >= start.len() && words.iter().zip(start).all(|(word, keyword)| word.is(keyword))
}

fn equal(words: &[Word], keywords: &[&str]) -> bool {
    words.len() == keywords.len() && begins(words, keywords)
}
