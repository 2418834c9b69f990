//! Why a client was turned away, and what it is told.
//!
//! Invariant: where PostgreSQL closes without a word, so do we; a stranger learns nothing else.

use std::fmt;
use std::io;

use pgweir_auth::{AuthError, Blame};
use pgweir_wire::StartupError;
use pgweir_wire::say::{self, Complaint, Severity};

/// Why a client was turned away.
#[derive(Debug)]
pub enum Turned {
    /// It did not prove to be this user.
    Authentication {
        /// Whom it said to be.
        user: String,
        /// What went wrong.
        error: AuthError,
    },
    /// It began with TLS, which is not set up here.
    DirectTlsRefused,
    /// It is gone, or closed in the middle of a message.
    Gone(io::Error),
    /// It announced a password of impossible length.
    InvalidLength,
    /// It asked for the wrong thing first.
    Startup(StartupError),
    /// It did not finish in time.
    TimedOut,
    /// TLS is demanded and it came without.
    TlsDemanded,
    /// The TLS handshake failed.
    TlsFailed(io::Error),
    /// Something came in plain text along with the request for encryption: perhaps it was put there.
    Unencrypted(Request),
    /// A message of this type came where an answer to our request for authentication had to.
    Unexpected {
        /// The type byte.
        tag: u8,
        /// Whether that answer belongs to SASL.
        sasl: bool,
    },
}

/// A request for encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// GSSENCRequest.
    GssEnc,
    /// SSLRequest.
    Ssl,
}

impl Turned {
    /// The SQLSTATE, whether or not the client was told.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Authentication { error, .. } => error.sqlstate(),
            Self::Gone(_) => "08006",
            Self::Startup(error) => error.sqlstate(),
            Self::TimedOut => "57014",
            Self::TlsDemanded => "28000",
            Self::DirectTlsRefused
            | Self::InvalidLength
            | Self::TlsFailed(_)
            | Self::Unencrypted(_)
            | Self::Unexpected { .. } => "08P01",
        }
    }

    /// Who has to change something.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Authentication { error, .. } => error.blame(),
            Self::DirectTlsRefused
            | Self::Gone(_)
            | Self::InvalidLength
            | Self::Startup(_)
            | Self::TimedOut
            | Self::TlsDemanded
            | Self::TlsFailed(_)
            | Self::Unencrypted(_)
            | Self::Unexpected { .. } => Blame::Client,
        }
    }

    /// What the client reads; `None` where PostgreSQL closes without a word.
    pub(super) fn client_text(&self) -> Option<String> {
        match self {
            Self::Authentication { user, error } => Some(error.client_text(user)),
            Self::Startup(StartupError::InvalidLength)
            | Self::DirectTlsRefused
            | Self::Gone(_)
            | Self::InvalidLength
            | Self::TimedOut
            | Self::TlsFailed(_) => None,
            Self::Startup(error) => Some(error.to_string()),
            Self::TlsDemanded => Some("connections without TLS are not accepted here".to_owned()),
            Self::Unencrypted(Request::GssEnc) => {
                Some("received unencrypted data after GSSAPI encryption request".to_owned())
            }
            Self::Unencrypted(Request::Ssl) => Some("received unencrypted data after SSL request".to_owned()),
            Self::Unexpected { tag, sasl } => {
                let wanted = if *sasl { "SASL" } else { "password" };
                Some(format!("expected {wanted} response, got message type {tag}"))
            }
        }
    }

    /// The ErrorResponse for the client, if it gets one.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let message = self.client_text()?;
        let hint = match self {
            Self::TlsDemanded => Some("Connect with sslmode=require or stronger."),
            _ => None,
        };
        let (severity, sqlstate) = (Severity::Fatal, self.sqlstate());
        let mut out = Vec::with_capacity(128);
        say::error(&mut out, &Complaint { severity, sqlstate, message: &message, hint });
        Some(out)
    }
}

/// For the log: with the facts that a stranger must not see.
impl fmt::Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authentication { user, error } => write!(f, "login of \"{user}\" failed: {error}"),
            Self::DirectTlsRefused => f.write_str("client began with TLS, which is not set up"),
            Self::Gone(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("client left during its login")
            }
            Self::Gone(error) => write!(f, "client left during its login: {error}"),
            Self::InvalidLength => f.write_str("invalid length of password message"),
            Self::Startup(error) => write!(f, "{error}"),
            Self::TimedOut => f.write_str("client did not log in in time"),
            Self::TlsFailed(error) => write!(f, "TLS handshake failed: {error}"),
            Self::TlsDemanded | Self::Unencrypted(_) | Self::Unexpected { .. } => {
                f.write_str(&self.client_text().unwrap_or_default())
            }
        }
    }
}

impl std::error::Error for Turned {}
