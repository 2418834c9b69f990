//! What would bind a session to a standby, and so is refused there.
//!
//! Why: only a client's own READ ONLY block brings such a statement to a standby. It would hold that server for the session, and
//! the next write would fail there, with an error that says nothing of its cause.

use pgweir_sql::{CopyDirection, Kind, PinCause, Verdict};
use pgweir_wire::TransactionStatus;

use crate::session::{Pinned, Session};
use crate::terms::NodeRole;

impl Session {
    /// The refusal of a statement that would bind the session to the standby at hand, or that writes while code which no text
    /// shows has bound it.
    pub(crate) fn binds_to_standby(&self, verdict: Verdict) -> Option<String> {
        let link = self.link.as_ref()?;
        if link.role == NodeRole::Primary || self.status == TransactionStatus::Failed {
            return None;
        }
        let writes = matches!(verdict.kind, Kind::Copy(CopyDirection::In) | Kind::Ddl | Kind::Modify);
        match (verdict.binds, self.pinned) {
            (Some(cause), _) => Some(binding(cause)),
            (None, Pinned::By(reason)) if writes && self.status == TransactionStatus::Idle => Some(format!(
                "the session is bound to a standby ({}), where nothing can be written",
                reason.code()
            )),
            (None, _) => None,
        }
    }
}

/// The SQLSTATE of the refusal.
pub(crate) const SQLSTATE: &str = "0A000";

fn binding(cause: PinCause) -> String {
    let what = match cause {
        PinCause::AdvisoryLock => "a session-level advisory lock",
        PinCause::Backup => "a base backup",
        PinCause::Dblink => "a dblink connection",
        PinCause::HoldCursor => "a cursor WITH HOLD",
        PinCause::Listen => "LISTEN",
        PinCause::Load => "LOAD",
        PinCause::MultiDeallocate | PinCause::MultiSet => {
            "a setting of the session in a string of statements"
        }
        PinCause::RandomSeed => "setseed",
        PinCause::Replication => "a replication origin or slot",
        PinCause::SequenceValue => "currval or lastval",
        PinCause::SetConfig => "a setting of the session",
        PinCause::SqlPrepare => "PREPARE",
        PinCause::TemporaryTable => "a temporary object",
    };
    format!(
        "{what} would bind the session to a standby, on which this READ ONLY block runs; use it outside of the block, or begin the block without READ ONLY"
    )
}
