//! Bytes to frames, and PostgreSQL's vocabulary.
//!
//! Why its own crate: every other crate speaks of frames, tags, positions in the log and transaction status,
//! and none of them should need a socket or a query parser for it.
//!
//! Invariants: bytes from a peer are only ever read through checked slices, so no input can panic; a view never
//! reads past the frame it was made for; text is bytes (a client encoding need not be UTF-8).
//!
//! Absent: what a statement means, who is connected, and any decoding of rows.

pub mod body;
pub mod fields;
pub mod frame;
pub mod lsn;
pub mod say;
pub mod startup;
pub mod tag;

pub use fields::ErrorFields;
pub use frame::{FrameError, Header};
pub use lsn::{InvalidLsn, Lsn};
pub use startup::{CancelKey, FirstPacket, GucSetting, Startup, StartupError};
pub use tag::{BackendTag, FrontendTag};

/// What a server says of its session in ReadyForQuery.
///
/// Manual: Message Formats, "ReadyForQuery".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// `I`: not in a transaction block.
    Idle,
    /// `T`: in a transaction block.
    InTransaction,
    /// `E`: in a failed transaction block; everything is refused until it ends.
    Failed,
}

impl TransactionStatus {
    /// The status that `byte` stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// The byte that stands for this status.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// A five-character SQLSTATE. Manual: Appendix A, "PostgreSQL Error Codes".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// The code as text; `?????` where a peer sent bytes that are not ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("?????")
    }

    /// The first two characters: the class of the error.
    #[must_use]
    pub fn class(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl std::fmt::Debug for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a server told us to cancel its session with. Manual: Message Formats, "BackendKeyData".
#[derive(Clone, PartialEq, Eq)]
pub struct BackendKey {
    /// The server process.
    pub process_id: u32,
    /// 4 bytes in protocol 3.0, 4 to 256 in 3.2.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackendKey({}, ***)", self.process_id)
    }
}
