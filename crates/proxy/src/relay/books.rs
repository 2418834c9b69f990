//! What a session's steps are counted as.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use pgweir_session::{Event, HintOutcome};
use pgweir_sql::{Kind, Target, Verdict};

use super::room::Claim;
use super::{Relay, Scratch};
use crate::tally::{Fault, Tally};

/// When things began, and what is due when they end.
#[derive(Default)]
pub(super) struct Clock {
    pub(super) query: Option<Instant>,
    pub(super) transaction: Option<Instant>,
    catalog: Catalog,
    claim: Option<Claim>,
}

/// Whether the transaction may change the database's catalog.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Catalog {
    #[default]
    Same,
    MayChange,
}

impl Relay {
    /// Counts what the last step did.
    pub(super) fn told(&mut self, scratch: &mut Scratch) {
        let tally = &self.pool.tally;
        for event in scratch.events.drain(..) {
            match event {
                Event::Dispatched(verdict) => {
                    Tally::add(&tally.queries, 1);
                    if may_change_catalog(verdict) {
                        self.clock.catalog = Catalog::MayChange;
                    }
                    if let Some(server) = &self.server {
                        server.entry.cluster.count(server.entry.node, verdict);
                    }
                }
                Event::Hinted(outcome) => {
                    self.metrics.hints.add(outcome);
                    if outcome == HintOutcome::Ignored {
                        tracing::debug!("a hint means nothing and is ignored");
                    }
                }
                Event::Parsed { on_server } => {
                    Tally::add(&tally.client_parses, 1);
                    Tally::add(&tally.server_parses, u64::from(on_server));
                    let statements = u32::try_from(self.session.prepared_statements()).unwrap_or(u32::MAX);
                    self.entered.entry.statements.store(statements, Relaxed);
                }
                Event::Bound => Tally::add(&tally.binds, 1),
                Event::Pinned(reason) => {
                    self.metrics.pins.pinned(reason);
                    self.pinned = Some(reason);
                    self.entered.entry.is_pinned(Some(reason));
                }
                Event::Unpinned => {
                    if let Some(reason) = self.pinned.take() {
                        self.metrics.pins.unpinned(reason);
                    }
                    self.entered.entry.is_pinned(None);
                }
                Event::NeedsAlone(database) => self.clock.claim = Some(Claim::new(&self.pool, database)),
                Event::TransactionEnded => {
                    Tally::add(&tally.transactions, 1);
                    self.clock.claim.take_if(|_| !self.session.is_busy());
                    if std::mem::take(&mut self.clock.catalog) == Catalog::MayChange {
                        self.pool.settings.load().catalog.may_have_changed();
                    }
                    self.entered.entry.touched();
                    if let Some(began) = self.clock.transaction.take() {
                        Tally::add_time(&tally.transaction_us, began.elapsed());
                    }
                }
                Event::Renewed | Event::StandbyRefused => {
                    self.pool.settings.load().catalog.may_have_changed()
                }
                Event::ServerError(sqlstate) => {
                    self.metrics.faults.add(Fault::ServerError);
                    if let Some(server) = &self.server
                        && &sqlstate.0 == b"25006"
                    {
                        // A primary that refuses to write may be one no longer.
                        server.entry.cluster.look_again();
                    }
                }
            }
        }
    }
}

/// Whether the text may create, change or drop what the catalog knows.
fn may_change_catalog(verdict: Verdict) -> bool {
    verdict.target == Target::Primary
        && matches!(
            verdict.kind,
            Kind::Call | Kind::Ddl | Kind::Do | Kind::Execute | Kind::Multi | Kind::Other
        )
}
