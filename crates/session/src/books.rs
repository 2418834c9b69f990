//! What replies change in the session's own books: settings, statement names, what was written.
//!
//! Invariant: a change is written down when the server says that it is done, and taken back when it says that it is not.

use std::sync::Arc;

use pgweir_sql::{DiscardScope, Kind};

use crate::dispatch::{OpenSegment, Skipping};
use crate::effect::{AfterStatement, Event, PinReason, Step};
use crate::ledger::{Audience, Owed, Parsed, SkipsUntilSync};
use crate::portals::Portals;
use crate::question::Inquiry;
use crate::sequences::SequenceValues;
use crate::session::{Session, linked};
use crate::settings::Kept;
use crate::undo::Undone;

/// What an error did to the promises behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    /// A simple query was dropped, which the server will not answer.
    pub(crate) orphaned: bool,
    pub(crate) skips: SkipsUntilSync,
}

impl Session {
    /// Writes into the books what a finished statement changed.
    pub(crate) fn apply(&mut self, after: &AfterStatement, command_tag: &[u8], step: &mut Step<'_>) {
        let name = after.name.as_deref();
        match (after.kind, name) {
            (Kind::Set | Kind::Reset, _) => {
                let kept = after.setting.as_ref().map_or(Kept::No, |change| self.settings.apply(change));
                self.hold_unless(kept, step);
            }
            (Kind::Savepoint, Some(name)) => {
                let kept = self.settings.savepoint(name);
                self.hold_unless(kept, step);
            }
            (Kind::RollbackTo, Some(name)) => self.settings.rollback_to(name),
            (Kind::ReleaseSavepoint, Some(name)) => self.settings.release(name),
            (Kind::Commit | Kind::CommitAndChain | Kind::PrepareTransaction, _) => {
                if command_tag.starts_with(b"ROLLBACK") {
                    self.settings.rollback();
                } else {
                    self.settings.commit();
                }
            }
            (Kind::Rollback | Kind::RollbackAndChain, _) => self.settings.rollback(),
            (Kind::Discard(DiscardScope::Sequences), _) => self.sequences_discarded(step),
            (Kind::Discard(DiscardScope::All), _) => {
                self.settings.discard_all();
                self.statements.clear();
                linked(&mut self.link).server.discard_all();
                self.inquiry = Inquiry::default();
                self.dropped_by_sql(None);
                self.unpin(step);
            }
            (Kind::Prepare, Some(name)) => self.prepared_by_sql(name),
            (Kind::Deallocate, Some(name)) => {
                self.forget(name.as_bytes());
                self.dropped_by_sql(Some(name));
            }
            (Kind::Deallocate, None) => {
                self.dropped_by_sql(None);
                self.statements.clear();
                linked(&mut self.link).server.statements.clear();
            }
            (Kind::Ddl, _) => self.namer.schema_changed(),
            _ => {}
        }
    }

    fn hold_unless(&mut self, kept: Kept, step: &mut Step<'_>) {
        if kept == Kept::No {
            self.pin(PinReason::Setting, step);
        }
    }

    /// Drops the promises that an error makes void, and undoes what they would have changed.
    pub(crate) fn drop_failed(&mut self) -> Dropped {
        let mut orphaned = false;
        let mut undone = Undone::default();
        let (dropped, skips) = self.ledger.fail();
        for owed in dropped {
            let server = &mut linked(&mut self.link).server;
            match owed {
                Owed::Parse(audience, change, parsed) => {
                    if let Some(change) = change {
                        self.statements.undo(*change);
                    }
                    match parsed {
                        Parsed::Named(id) => server.statements.remove(id),
                        Parsed::Unnamed(token) => {
                            server.statements.not_parsed_unnamed(token);
                            // One that we asked for is the client's as much as before.
                            if audience == Audience::Client {
                                undone.add_parse(token);
                            }
                        }
                        Parsed::Passing => {}
                    }
                }
                Owed::Local(_, Some(change)) => self.statements.undo(*change),
                Owed::Close(Audience::Proxy, Some(id)) => server.statements.not_closed(id),
                Owed::SimpleQuery(_, after) => orphaned |= after.is_some_and(|after| after.borrows),
                Owed::OwnExecute => server.sequences = SequenceValues::Mixed,
                Owed::Undo(undo) => undone.add(*undo),
                Owed::Bind(_)
                | Owed::Close(..)
                | Owed::CopyEnd
                | Owed::Describe(_)
                | Owed::Execute(_)
                | Owed::FunctionCall
                | Owed::Local(_, None)
                | Owed::OwnBind
                | Owed::Provoked(_)
                | Owed::Question(_)
                | Owed::Recount(_)
                | Owed::Restored
                | Owed::Shape(..)
                | Owed::Sync(_) => {}
            }
        }
        self.put_back(undone);
        if skips == SkipsUntilSync::Yes {
            self.skipping = Skipping::Server;
        }
        Dropped { orphaned, skips }
    }

    /// The server is in no transaction: what was set is kept or forgotten, and what was written counts.
    pub(crate) fn transaction_ended(&mut self, failed: bool, audience: Audience, step: &mut Step<'_>) {
        // A string may have committed some before it ended.
        let known = &linked(&mut self.link).server.settings;
        let changed = self.settings.has_open_changes() || !Arc::ptr_eq(known, self.settings.committed());
        if failed {
            self.settings.rollback();
        } else {
            self.settings.commit();
        }
        if changed || self.has_news() {
            self.adopt_reported();
        }
        let (link, settings) = (linked(&mut self.link), self.settings.committed());
        if !Arc::ptr_eq(&link.server.settings, settings) {
            if link.server.settings != *settings {
                self.accepted.add(link.node, settings);
            }
            link.server.settings = Arc::clone(settings);
        }
        if self.writes.open {
            self.writes.last = Some(step.now);
        }
        if self.ledger.is_empty() && self.open_segment == OpenSegment::No {
            self.portals = Portals::default();
            self.writes.open = false;
        }
        if audience == Audience::Client {
            step.events.push(Event::TransactionEnded);
        }
    }
}
