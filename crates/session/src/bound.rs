//! What is refused on a standby.
//!
//! Why: only a client's own READ ONLY block brings such a statement to a standby. What would bind the session would hold that
//! server for it, and the next write would fail there, with an error that says nothing of its cause. And what no block takes
//! gets the answer that a block on the primary gives.

use pgweir_sql::{CopyDirection, Kind, PinCause, Verdict};
use pgweir_wire::TransactionStatus;

use crate::session::{Pinned, Session};
use crate::terms::NodeRole;

impl Session {
    /// The SQLSTATE and text with which the standby at hand is not given a statement: it would bind the session to it, or
    /// writes while code which no text shows has bound it, or cannot run in a block.
    pub(crate) fn refused_on_standby(&self, verdict: Verdict) -> Option<(&'static str, String)> {
        let link = self.link.as_ref()?;
        if link.role == NodeRole::Primary || self.status == TransactionStatus::Failed {
            return None;
        }
        let writes = matches!(verdict.kind, Kind::Copy(CopyDirection::In) | Kind::Ddl | Kind::Modify);
        match (verdict.binds, self.pinned) {
            (Some(cause), _) => Some((UNSUPPORTED, binding(cause))),
            (None, _) if verdict.kind == Kind::Vacuum && self.status == TransactionStatus::InTransaction => {
                Some(("25001", "VACUUM cannot run inside a transaction block".to_owned()))
            }
            (None, Pinned::By(reason)) if writes && self.status == TransactionStatus::Idle => {
                let code = reason.code();
                let text =
                    format!("the session is bound to a standby ({code}), where nothing can be written");
                Some((UNSUPPORTED, text))
            }
            (None, _) => None,
        }
    }
}

/// What pgweir does not do: `feature_not_supported`.
const UNSUPPORTED: &str = "0A000";

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
