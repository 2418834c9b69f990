//! What can go wrong with a cluster on this machine, as facts.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why something in the sandbox failed.
#[derive(Debug)]
pub enum SandboxError {
    /// The server asked for a proof of identity that the sandbox's small client cannot give.
    AuthenticationUnsupported {
        /// The code in the server's Authentication message.
        code: u32,
    },
    /// The other side closed the connection where an answer was due.
    ConnectionClosed,
    /// A server ended although it should run.
    Exited {
        /// The node's name.
        node: String,
        /// The end of its log.
        log: String,
    },
    /// The operating system refused something.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A message that no PostgreSQL server sends.
    Malformed {
        /// What was wrong with it.
        what: &'static str,
    },
    /// No installed PostgreSQL was found.
    NoBinaries,
    /// No free port in the sandbox's range.
    NoFreePort,
    /// PostgreSQL refuses to run as root, and there is no other account to run it.
    NoUnprivilegedAccount,
    /// The account that runs PostgreSQL cannot enter this directory.
    NotTraversable {
        /// The closed directory.
        path: PathBuf,
    },
    /// The server answered with an error.
    Server(Box<ServerError>),
    /// The directory for sockets has a name that is too long for a Unix socket.
    SocketPathTooLong {
        /// The directory.
        path: PathBuf,
    },
    /// A condition did not become true in time.
    TimedOut {
        /// The condition.
        what: String,
        /// How long it was given.
        within: Duration,
    },
    /// A tool of PostgreSQL failed.
    ToolFailed {
        /// Which one.
        tool: String,
        /// What it printed.
        output: String,
    },
}

/// An ErrorResponse of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The detail, if the server gave one.
    pub detail: Option<String>,
    /// The hint, if the server gave one.
    pub hint: Option<String>,
}

impl SandboxError {
    /// The SQLSTATE, when it was the server that refused.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.sqlstate),
            _ => None,
        }
    }

    /// Names what was being done when the system refused.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthenticationUnsupported { code } => {
                write!(f, "the server asks for authentication {code}, which the sandbox's client cannot do")
            }
            Self::ConnectionClosed => write!(f, "the server closed the connection"),
            Self::Exited { node, log } => {
                write!(f, "PostgreSQL node {node} ended. Its log ends with:\n{log}")
            }
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Malformed { what } => write!(f, "malformed message: {what}"),
            Self::NoBinaries => write!(
                f,
                "no installed PostgreSQL found: looked into PGWEIR_PG_BINS, /usr/lib/postgresql/*/bin and pg_config on PATH"
            ),
            Self::NoFreePort => write!(f, "no free port on 127.0.0.1 in the sandbox's range"),
            Self::NoUnprivilegedAccount => write!(
                f,
                "PostgreSQL refuses to run as root, and /etc/passwd has neither postgres nor nobody"
            ),
            Self::NotTraversable { path } => write!(
                f,
                "the account that runs PostgreSQL cannot enter {}: chmod o+x it, or use another directory",
                path.display()
            ),
            Self::Server(error) => write!(f, "{}: {} ({})", error.severity, error.message, error.sqlstate),
            Self::SocketPathTooLong { path } => {
                write!(f, "{} is too long for a Unix socket: set TMPDIR to a shorter path", path.display())
            }
            Self::TimedOut { what, within } => write!(f, "not within {within:?}: {what}"),
            Self::ToolFailed { tool, output } => write!(f, "{tool} failed:\n{output}"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
