//! Why a server connection could not be made, and whose affair that is.

use std::fmt;
use std::io;

use pgweir_auth::AuthError;
use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{ErrorFields, SqlState, say};

/// Why a server connection could not be made.
#[derive(Debug)]
pub enum DialError {
    /// The login cannot be completed with what is known about the user, or the server did not prove itself.
    Authentication(AuthError),
    /// The server broke the protocol.
    Protocol(Breach),
    /// The server refused with an error of its own.
    Refused {
        /// The code of the error.
        sqlstate: SqlState,
        /// Its primary message.
        message: String,
        /// The body of the ErrorResponse, to pass on.
        raw: Vec<u8>,
    },
    /// The deadline passed.
    TimedOut,
    /// TLS is demanded and the server has none to offer, or the handshake failed.
    Tls(io::Error),
    /// No connection, or it broke off.
    Unreachable(io::Error),
}

/// How a server broke the protocol during a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A length that no message of a login has.
    InvalidLength,
    /// The body of a message of this type does not add up.
    Malformed(u8),
    /// It reported a transaction, though none was begun.
    NotIdle,
    /// It never came to the end.
    TooMuch,
    /// A message of this type had no place there.
    Unexpected(u8),
}

/// Whom a failed dial speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialBlame {
    /// The node is full, but alive: wait, or use another one.
    Capacity,
    /// This user or database may not log in there: the node is well.
    Login,
    /// The node is not fit to serve.
    Node,
}

impl DialError {
    pub(super) fn refused(body: Vec<u8>) -> Self {
        let fields = ErrorFields::new(&body);
        Self::Refused { sqlstate: fields.sqlstate(), message: fields.message(), raw: body }
    }

    /// Whom this speaks against.
    #[must_use]
    pub fn blame(&self) -> DialBlame {
        match self {
            Self::Authentication(error) => match error.blame() {
                pgweir_auth::Blame::Client | pgweir_auth::Blame::Pgweir => DialBlame::Login,
                pgweir_auth::Blame::Server => DialBlame::Node,
            },
            Self::Refused { sqlstate, .. } => match (&sqlstate.class(), &sqlstate.0) {
                // Starting up, shutting down, crashed, or out of its own means; or no code at all.
                (_, b"57P01" | b"57P02" | b"57P03") | (b"58" | b"XX", _) => DialBlame::Node,
                (b"53", _) => DialBlame::Capacity,
                _ => DialBlame::Login,
            },
            Self::Protocol(_) | Self::TimedOut | Self::Tls(_) | Self::Unreachable(_) => DialBlame::Node,
        }
    }

    /// Whether the server may answer otherwise with or without TLS: `pg_hba.conf` tells the two apart, and a
    /// failed handshake leaves plain text.
    pub(crate) fn depends_on_tls(&self) -> bool {
        match self {
            Self::Refused { sqlstate, .. } => &sqlstate.class() == b"28",
            Self::Tls(_) => true,
            Self::Authentication(_) | Self::Protocol(_) | Self::TimedOut | Self::Unreachable(_) => false,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authentication(error) => write!(f, "login failed: {error}"),
            Self::Protocol(breach) => write!(f, "server broke the protocol: {breach}"),
            Self::Refused { sqlstate, message, .. } => write!(f, "server refused: {sqlstate} {message}"),
            Self::TimedOut => f.write_str("server did not answer in time"),
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::Unreachable(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("server closed the connection")
            }
            Self::Unreachable(error) => write!(f, "server cannot be reached: {error}"),
        }
    }
}

impl std::error::Error for DialError {}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength => f.write_str("impossible message length"),
            Self::Malformed(tag) => write!(f, "malformed message of type 0x{tag:02x}"),
            Self::NotIdle => f.write_str("in a transaction that was never begun"),
            Self::TooMuch => f.write_str("login without end"),
            Self::Unexpected(tag) => write!(f, "message of type 0x{tag:02x} out of place"),
        }
    }
}

/// The body of an ErrorResponse that tells a client why servers do not let it in.
pub(crate) fn refusal_body(error: DialError, user: &str) -> Vec<u8> {
    match error {
        DialError::Refused { raw, .. } => raw,
        DialError::Authentication(error) => {
            let mut frame = Vec::new();
            let message = format!("cannot log in to the server: {}", error.client_text(user));
            let complaint = say::Complaint {
                severity: say::Severity::Fatal,
                sqlstate: error.sqlstate(),
                message: &message,
                hint: None,
            };
            say::error(&mut frame, &complaint);
            frame.split_off(HEADER_BYTES)
        }
        DialError::Protocol(_) | DialError::TimedOut | DialError::Tls(_) | DialError::Unreachable(_) => {
            Vec::new()
        }
    }
}
