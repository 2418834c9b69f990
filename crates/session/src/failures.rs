//! An error of the server: the client hears it, or another server is asked and it does not.
//!
//! Invariant: only what provably did not run, or what only reads, is sent again.

use pgweir_sql::Kind;
use pgweir_wire::{ErrorFields, SqlState, TransactionStatus, say};

use crate::dispatch::Skipping;
use crate::effect::{Event, Step};
use crate::error::SessionError;
use crate::ledger::{Audience, Owed};
use crate::replies::{AfterReplies, Outcome, Pass};
use crate::session::{Session, linked};
use crate::stale::{Renewal, is_stale};
use crate::terms::NodeRole;

impl Session {
    /// An error: decides whether the client sees it, and drops what the server will not answer any more.
    pub(crate) fn failed(&mut self, body: &[u8], step: &mut Step<'_>) -> Result<Pass, SessionError> {
        let fields = ErrorFields::new(body);
        let head = self.ledger.head();
        if let Some(Owed::SimpleQuery(Audience::Proxy, _)) = head {
            if self.fails_as_told() {
                return Ok(Pass::Swallow);
            }
            // A standby may not know yet what a setting names, such as a role.
            let node_fails = fields.is_fatal() || linked(&mut self.link).role == NodeRole::Standby;
            if (self.is_preparing() || self.attempt.may_move()) && node_fails {
                return Ok(self.send_again());
            }
            self.refused = Some(body.into());
            return Err(SessionError::SettingsRefused);
        }
        if let Some(Owed::Restored) = head {
            if self.status == TransactionStatus::Failed {
                return Ok(Pass::Swallow);
            }
            self.refused = Some(body.into());
            return Err(SessionError::SettingsRefused);
        }
        if is_stale(fields) {
            self.namer.schema_changed();
            match self.renew(step) {
                Renewal::No => {}
                Renewal::Here => return Ok(Pass::GiveUp),
                Renewal::Elsewhere(stale) => {
                    let again = self.send_again();
                    // What the segment named was taken back with it.
                    self.statements.renew(&stale.name, &self.namer);
                    return Ok(again);
                }
            }
        } else if self.attempt.may_move() && node_is_at_fault(fields.sqlstate()) {
            self.learn_from(fields.sqlstate(), step);
            return Ok(self.send_again());
        }
        let instead = self.heard_instead(fields);
        self.outcome = Outcome::Failed;
        let dropped = self.drop_failed();
        self.recount_syncs(dropped.skips, step);
        if dropped.orphaned {
            // What was lent to a simple query could not be parsed: the server skips the query, which has no Sync.
            step.to_server.extend_from_slice(say::SYNC);
            self.ledger.promise(Owed::Sync(Audience::Client));
            self.skipping = Skipping::No;
        }
        step.events.push(Event::ServerError(fields.sqlstate()));
        if fields.is_fatal() {
            return Ok(Pass::End(AfterReplies::ServerEnds, Audience::Client));
        }
        Ok(instead.map_or(Pass::Forward, Pass::Instead))
    }

    /// Leaves the node at hand: another one is asked, and the client does not notice.
    fn send_again(&mut self) -> Pass {
        let link = linked(&mut self.link);
        if link.role == NodeRole::Standby {
            self.attempt.tried.insert(link.node);
        }
        Pass::End(AfterReplies::SendAgain(self.take_back()), Audience::Proxy)
    }
}

/// Whether the error says that this standby cannot answer now, and another node may.
///
/// Manual: Appendix A; Hot Standby, "Handling Query Conflicts".
fn node_is_at_fault(sqlstate: SqlState) -> bool {
    matches!(
        &sqlstate.0,
        b"25006" | b"40001" | b"53300" | b"55000" | b"57P01" | b"57P02" | b"57P03" | b"0A000"
    )
}

/// Whether a failed transaction block takes such a statement.
pub(crate) const fn ends_failed_block(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Commit
            | Kind::CommitAndChain
            | Kind::Empty
            | Kind::PrepareTransaction
            | Kind::Rollback
            | Kind::RollbackAndChain
            | Kind::RollbackTo
    )
}
