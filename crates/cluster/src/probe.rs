//! What the monitor reports about a node.

use std::fmt;
use std::time::Instant;

use pgweir_wire::Lsn;

/// One question to a node and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Just before the question was sent: what the answer says held at this moment or later.
    pub asked_at: Instant,
    /// When the answer, or the failure, was seen.
    pub answered_at: Instant,
    /// What became of it.
    pub outcome: ProbeOutcome,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The node answered.
    Answered(NodeReport),
    /// It did not.
    Failed(ProbeFailure),
}

/// What a node said about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// The timeline that it writes (`pg_walfile_name` of the insert position) or, on a standby, follows: the WAL receiver's
    /// `received_tli`, else the greatest of `pg_control_checkpoint().timeline_id` and
    /// `pg_control_recovery().min_recovery_end_timeline`. The control file alone is late after a promotion.
    pub timeline: u32,
    /// `pg_control_system().system_identifier`.
    pub system_identifier: u64,
    /// Primary: `pg_current_wal_insert_lsn()`. Standby: `pg_last_wal_replay_lsn()`.
    pub lsn: Lsn,
    /// Primary: `pg_current_wal_flush_lsn()`, which no standby gets beyond. Of no account on a standby.
    pub flushed: Lsn,
    /// Standby: `pg_last_wal_receive_lsn()`.
    pub received: Option<Lsn>,
    /// Standby: `pg_is_wal_replay_paused()`.
    pub replay_paused: bool,
    /// `wal_segment_size`, in bytes.
    pub wal_segment_bytes: u64,
}

/// Why a node did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFailure {
    /// It wants another password or user than ours.
    AuthenticationFailed,
    /// The connection broke.
    Closed,
    /// Anything else, such as an unexpected answer.
    Other,
    /// Nobody listens there.
    Refused,
    /// It starts up or shuts down (57P03).
    Starting,
    /// No answer in time.
    TimedOut,
    /// TLS is demanded and it has none, or its certificate is not believed.
    Tls,
}

impl ProbeFailure {
    /// Whether the server process is proven to be gone or not to take connections: no second failure is needed.
    pub(crate) const fn is_conclusive(self) -> bool {
        matches!(self, Self::Refused | Self::Starting)
    }

    /// Whether the server process may have restarted, and so have replayed less than it last said.
    pub(crate) const fn hints_at_restart(self) -> bool {
        matches!(self, Self::Closed | Self::Refused | Self::Starting)
    }
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthenticationFailed => "it does not accept the monitor's user or password",
            Self::Closed => "the connection was closed",
            Self::Other => "the answer made no sense",
            Self::Refused => "the connection was refused",
            Self::Starting => "it is starting up or shutting down",
            Self::TimedOut => "no answer in time",
            Self::Tls => "TLS with it failed, or its certificate is not trusted",
        })
    }
}
