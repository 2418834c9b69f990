//! What goes wrong in a session, and the four answers each error gives: blame, SQLSTATE, the client's text, and what
//! becomes of the connections (all of these end the client's session; a server in doubt is never used again).

use std::fmt;

use pgweir_wire::FrameError;

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client broke the protocol or a rule.
    Client,
    /// The server broke the protocol or went away.
    Server,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The client sent a message with an impossible length.
    ClientFrame(FrameError),
    /// The client sent a message that does not add up.
    ClientMessage {
        /// Its type byte.
        tag: u8,
    },
    /// The client sent a message type that does not exist, or not here.
    ClientTag(u8),
    /// The server sent a message with an impossible length.
    ServerFrame(FrameError),
    /// The server went away with replies outstanding or a transaction open.
    ServerLost,
    /// The server sent a message that was not owed.
    ServerReply {
        /// Its type byte.
        tag: u8,
    },
    /// A setting that the session has cannot be given to another server.
    SettingsRefused,
    /// A transaction block in pool mode `statement`.
    TransactionInStatementMode,
}

impl SessionError {
    /// Every kind of error, one example each.
    pub const EXAMPLES: [Self; 8] = [
        Self::ClientFrame(FrameError { tag: b'Q', length: 3 }),
        Self::ClientMessage { tag: b'B' },
        Self::ClientTag(b'?'),
        Self::ServerFrame(FrameError { tag: b'D', length: -1 }),
        Self::ServerLost,
        Self::ServerReply { tag: b'Z' },
        Self::SettingsRefused,
        Self::TransactionInStatementMode,
    ];

    /// Who is at fault.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::ClientFrame(_)
            | Self::ClientMessage { .. }
            | Self::ClientTag(_)
            | Self::TransactionInStatementMode => Blame::Client,
            Self::ServerFrame(_) | Self::ServerLost | Self::ServerReply { .. } | Self::SettingsRefused => {
                Blame::Server
            }
        }
    }

    /// The SQLSTATE the client gets.
    #[must_use]
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::ClientFrame(_) | Self::ClientMessage { .. } | Self::ClientTag(_) => "08P01",
            Self::ServerFrame(_) | Self::ServerReply { .. } | Self::ServerLost => "08006",
            Self::SettingsRefused => "08000",
            Self::TransactionInStatementMode => "0A000",
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientFrame(_) => f.write_str("invalid message length"),
            Self::ClientMessage { .. } => f.write_str("invalid message format"),
            Self::ClientTag(tag) => write!(f, "invalid frontend message type {tag}"),
            Self::ServerFrame(_) | Self::ServerReply { .. } => {
                f.write_str("the server broke the protocol; its connection was closed")
            }
            Self::ServerLost => f.write_str("the connection to the server was lost"),
            Self::SettingsRefused => f.write_str("the session's settings were refused by another server"),
            Self::TransactionInStatementMode => {
                f.write_str("transaction blocks not allowed in statement pooling mode")
            }
        }
    }
}

impl std::error::Error for SessionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_answers() {
        let rows: Vec<String> =
            SessionError::EXAMPLES.iter().map(|e| format!("{:?} {} {e}", e.blame(), e.sqlstate())).collect();
        assert_eq!(
            rows,
            [
                "Client 08P01 invalid message length",
                "Client 08P01 invalid message format",
                "Client 08P01 invalid frontend message type 63",
                "Server 08006 the server broke the protocol; its connection was closed",
                "Server 08006 the connection to the server was lost",
                "Server 08006 the server broke the protocol; its connection was closed",
                "Server 08000 the session's settings were refused by another server",
                "Client 0A000 transaction blocks not allowed in statement pooling mode",
            ]
        );
    }
}
