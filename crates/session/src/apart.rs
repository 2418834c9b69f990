//! Reads of a block that a standby runs by themselves, before the block's first write.
//!
//! Why: many applications put everything into blocks, and most blocks only read. In READ COMMITTED each statement has a
//! snapshot of its own, so a read that cannot tell in which transaction it runs may run in another one. With
//! `transaction_reads = "until_write"` such reads go to a standby, one by one; the block itself begins on the primary with
//! the first statement that is anything else, and stays there.
//!
//! Invariants: no server knows of a block as long as its reads run apart, so nothing of it need be ended anywhere; all of them run
//! on one standby, for the next statement must not see less than the last; a read that fails fails the block.
//! Absent: locks. A read that runs apart locks nothing on the primary.

use pgweir_cluster::NodeSet;
use pgweir_sql::{Isolation, hints};
use pgweir_wire::{TransactionStatus, say};

use crate::effect::Step;
use crate::held::{Begin, Held, RanApart};
use crate::ledger::Audience;
use crate::replies::{AfterReplies, Pass};
use crate::route::Tied;
use crate::segment::{Extent, Needs};
use crate::session::{Session, linked};
use crate::terms::{NodeRole, TransactionReads};

impl Session {
    /// Whether the segment that was scanned may run on a standby apart from the block that the client began.
    pub(crate) fn may_run_apart(&self, begin: &Begin) -> bool {
        let same_node = match begin.apart {
            RanApart::Nothing => true,
            RanApart::Reads(node) => !self.attempt.tried.contains(node) && self.segment.wants.node.is_none(),
            RanApart::Failed => false,
        };
        self.transaction_reads == TransactionReads::UntilWrite
            && self.segment.needs == Needs::Read
            && same_node
            && hints(&begin.text).is_none()
            && self.segment.extent == Extent::Ended
            && self.segment.wants.tied == Tied::No
            && self.reads_committed(begin)
    }

    /// Whether each statement of the block has a snapshot of its own.
    fn reads_committed(&self, begin: &Begin) -> bool {
        match begin.mode.isolation {
            Some(level) => level == Isolation::ReadCommitted,
            None => self.settings.reads_committed().unwrap_or_else(|| self.names.naming().reads_committed()),
        }
    }

    /// The segment at hand goes to a standby that is not to know of the block.
    pub(crate) fn goes_apart(&mut self) -> bool {
        let standby = self.link.as_ref().is_some_and(|link| link.role == NodeRole::Standby);
        if !standby || self.block_reads_only() != Some(false) {
            return false;
        }
        if let Held::Begun(begin) = std::mem::take(&mut self.held) {
            self.held = Held::Apart(begin);
        }
        true
    }

    /// Standbys that must not run the next read of the block: the last one ran elsewhere.
    pub(crate) fn read_elsewhere(&self) -> NodeSet {
        match &self.held {
            Held::Begun(begin) => match begin.apart {
                RanApart::Reads(node) => NodeSet::all_but(node),
                RanApart::Nothing | RanApart::Failed => NodeSet::EMPTY,
            },
            Held::No | Held::Apart(_) | Held::Sent(_) | Held::Failed(_) => NodeSet::EMPTY,
        }
    }

    /// Begins the block on the primary, in the state in which it is for the client. Behind reads it takes a snapshot, so that what
    /// must come before any query fails; behind an error it fails.
    pub(crate) fn say_begin(begin: &Begin, step: &mut Step<'_>) {
        let behind: &[u8] = match begin.apart {
            RanApart::Nothing => b"",
            RanApart::Reads(_) => b";VALUES (1)",
            RanApart::Failed => b";ROLLBACK TO SAVEPOINT pgweir_a_read_failed",
        };
        match behind {
            b"" => say::query(step.to_server, &begin.text),
            // The line ends what may be a comment.
            _ => say::query(step.to_server, &[without_end(&begin.text), b"\n", behind].concat()),
        }
    }

    /// Whether the server at hand is about to say that a block fails which has failed for the client already.
    pub(crate) fn fails_as_told(&self) -> bool {
        matches!(&self.held, Held::Sent(begin) if begin.apart == RanApart::Failed)
    }

    /// ReadyForQuery of a server that ran a read apart: what the client hears in its place.
    pub(crate) fn settle_apart(&mut self, audience: Audience, failed: bool) -> Option<TransactionStatus> {
        if audience == Audience::Proxy || !self.held.is_apart() {
            return None;
        }
        let node = linked(&mut self.link).node;
        self.held.ran_apart(if failed { RanApart::Failed } else { RanApart::Reads(node) });
        self.status = self.held.status();
        Some(self.status)
    }

    /// The server that ran a read apart goes back.
    pub(crate) fn came_back(&self, status: TransactionStatus) -> Option<Pass> {
        Some(Pass::Ready(status, AfterReplies::Release(self.proof_of_rest()?)))
    }
}

impl Held {
    /// A read of the block is under way on a standby.
    pub(crate) const fn is_apart(&self) -> bool {
        matches!(self, Self::Apart(_))
    }

    /// What the client takes a block for that no server has.
    pub(crate) fn status(&self) -> TransactionStatus {
        match self {
            Self::Begun(begin) if begin.apart == RanApart::Failed => TransactionStatus::Failed,
            Self::Begun(_) | Self::Apart(_) | Self::Sent(_) => TransactionStatus::InTransaction,
            Self::Failed(_) => TransactionStatus::Failed,
            Self::No => TransactionStatus::Idle,
        }
    }

    fn ran_apart(&mut self, what: RanApart) {
        *self = match std::mem::take(self) {
            Self::Apart(mut begin) => {
                begin.apart = what;
                Self::Begun(begin)
            }
            other => other,
        };
    }
}

/// A statement without what may end it.
fn without_end(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|byte| !matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n'));
    &text[..last.map_or(0, |at| at + 1)]
}
