//! Everything that can go wrong on the console, and how PostgreSQL would say it.
//!
//! Invariant: a variant holds facts; the words and the SQLSTATE are chosen here, in one place.

use std::fmt;

use pgweir_wire::FrameError;
use pgweir_wire::say::Severity;

/// Why the console refuses something. Always the client's fault, except for [`ReloadFailed`](Self::ReloadFailed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleError {
    /// The command changes something and the user may only look.
    AdminAccessNeeded,
    /// A portal of this name is open.
    DuplicatePortal(String),
    /// A statement of this name is prepared.
    DuplicateStatement(String),
    /// The text is no command.
    InvalidCommand(String),
    /// A length word below 4.
    InvalidLength(FrameError),
    /// A message whose fields do not add up.
    InvalidMessage,
    /// A message longer than the console reads.
    MessageTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// No portal of this name is open.
    NoPortal(String),
    /// No statement of this name is prepared.
    NoStatement(String),
    /// EXPLAIN ROUTE has no answer, and why.
    NotExplained(String),
    /// Bind brought parameters, and no command has any.
    Parameters {
        /// How many it brought.
        given: usize,
        /// The statement they were meant for.
        statement: String,
    },
    /// The new configuration was not taken.
    ReloadFailed(String),
    /// Bind asks for formats that do not match the columns.
    ResultFormats {
        /// Formats asked for.
        given: usize,
        /// Columns there are.
        columns: usize,
    },
    /// More portals than the console keeps.
    TooManyPortals,
    /// More prepared statements than the console keeps.
    TooManyStatements,
    /// A message type that no client sends.
    UnknownMessage(u8),
    /// Neither text nor binary.
    UnsupportedFormat(i16),
    /// A function call by its number.
    UnsupportedFunctionCall,
    /// SET of something that neither drivers nor the console know.
    UnsupportedSetting(String),
}

impl ConsoleError {
    /// The five-character code. Manual: Appendix A, "PostgreSQL Error Codes".
    #[must_use]
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::AdminAccessNeeded => "42501",
            Self::DuplicatePortal(_) => "42P03",
            Self::DuplicateStatement(_) => "42P05",
            Self::InvalidCommand(_) => "42601",
            Self::NotExplained(_) => "22023",
            Self::InvalidLength(_)
            | Self::InvalidMessage
            | Self::Parameters { .. }
            | Self::ResultFormats { .. }
            | Self::UnknownMessage(_) => "08P01",
            Self::MessageTooLong { .. } | Self::TooManyPortals | Self::TooManyStatements => "54000",
            Self::NoPortal(_) => "34000",
            Self::NoStatement(_) => "26000",
            Self::ReloadFailed(_) => "F0000",
            Self::UnsupportedFormat(_) => "22023",
            Self::UnsupportedFunctionCall => "0A000",
            Self::UnsupportedSetting(_) => "42704",
        }
    }

    /// Whether the session goes on: it cannot when the next message's beginning is unknown.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::InvalidLength(_) | Self::MessageTooLong { .. } | Self::UnknownMessage(_) => Severity::Fatal,
            Self::AdminAccessNeeded
            | Self::DuplicatePortal(_)
            | Self::DuplicateStatement(_)
            | Self::InvalidCommand(_)
            | Self::InvalidMessage
            | Self::NoPortal(_)
            | Self::NoStatement(_)
            | Self::NotExplained(_)
            | Self::Parameters { .. }
            | Self::ReloadFailed(_)
            | Self::ResultFormats { .. }
            | Self::TooManyPortals
            | Self::TooManyStatements
            | Self::UnsupportedFormat(_)
            | Self::UnsupportedFunctionCall
            | Self::UnsupportedSetting(_) => Severity::Error,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnsupportedSetting(_) => Some("Change the configuration file and use RELOAD."),
            _ => None,
        }
    }
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdminAccessNeeded => f.write_str("admin access needed"),
            Self::DuplicatePortal(name) => write!(f, "cursor \"{name}\" already exists"),
            Self::DuplicateStatement(name) => write!(f, "prepared statement \"{name}\" already exists"),
            Self::InvalidCommand(text) => write!(f, "invalid command '{text}', use SHOW HELP;"),
            Self::InvalidLength(frame) => write!(f, "{frame}"),
            Self::InvalidMessage => f.write_str("invalid message format"),
            Self::MessageTooLong { bytes } => {
                write!(f, "a message of {bytes} bytes is too long for the console")
            }
            Self::NotExplained(why) => f.write_str(why),
            Self::NoPortal(name) => write!(f, "portal \"{name}\" does not exist"),
            Self::NoStatement(name) => write!(f, "prepared statement \"{name}\" does not exist"),
            Self::Parameters { given, statement } => write!(
                f,
                "bind message supplies {given} parameters, but prepared statement \"{statement}\" requires 0"
            ),
            Self::ReloadFailed(why) => {
                write!(f, "RELOAD failed, the old configuration stays in force: {why}")
            }
            Self::ResultFormats { given, columns } => {
                write!(f, "bind message has {given} result formats but query has {columns} columns")
            }
            Self::TooManyPortals => f.write_str("too many open portals on the console"),
            Self::TooManyStatements => f.write_str("too many prepared statements on the console"),
            Self::UnknownMessage(tag) => write!(f, "invalid frontend message type {tag}"),
            Self::UnsupportedFormat(code) => write!(f, "unsupported format code: {code}"),
            Self::UnsupportedFunctionCall => f.write_str("the console has no function calls"),
            Self::UnsupportedSetting(name) => write!(f, "the console cannot set \"{name}\""),
        }
    }
}

impl std::error::Error for ConsoleError {}
