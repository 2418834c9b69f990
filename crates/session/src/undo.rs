//! What an error takes back of the client's own books: it makes the server skip what is behind it in its segment.
//!
//! Why marks in the ledger: only the replies tell how far the server got, and the ledger is where they are counted.
//! Invariant: what a later message has changed anew is not put back, but what that one would put back is amended.

use std::collections::HashMap;
use std::sync::Arc;

use pgweir_sql::Kind;

use crate::effect::AfterStatement;
use crate::ledger::Owed;
use crate::portals::PortalChange;
use crate::session::Session;
use crate::statements::{Statement, Unnamed, UnnamedToken};

/// What the books said before a message that may be skipped, or fail.
#[derive(Debug)]
pub(crate) enum Undo {
    Portal(PortalChange),
    /// SQL's PREPARE made a statement of this name.
    PreparedBySql(Box<[u8]>),
    Unnamed(UnnamedChange),
}

/// A change of the unnamed statement.
#[derive(Debug)]
pub(crate) struct UnnamedChange {
    number: u64,
    /// The change before it, and what that made it; nothing where that was too long to be kept.
    before: u64,
    was: Option<Unnamed>,
}

/// What one error takes back, gathered newest first.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// From the newest change of the unnamed statement back to what it was before the oldest.
    unnamed: Option<UnnamedChange>,
    /// The oldest change of each portal.
    portals: HashMap<Box<[u8]>, PortalChange>,
    /// The names that SQL's PREPARE gave.
    by_sql: Vec<Box<[u8]>>,
}

impl Undo {
    /// The name of a statement that is there again if this is done.
    pub(crate) fn kept_name(&self) -> Option<&[u8]> {
        match self {
            Self::Portal(_) => None,
            Self::PreparedBySql(name) => Some(name),
            Self::Unnamed(_) => Some(b""),
        }
    }

    /// Bytes of texts that are kept for it.
    pub(crate) fn kept_bytes(&self) -> usize {
        match self {
            Self::Unnamed(change) => change.was.as_ref().map_or(0, |was| was.definition.len()),
            Self::Portal(_) | Self::PreparedBySql(_) => 0,
        }
    }
}

impl Undone {
    pub(crate) fn add(&mut self, undo: Undo) {
        match undo {
            Undo::Portal(change) => {
                let hi = self.portals.get(change.name()).map(PortalChange::segment);
                self.portals.insert(change.name().into(), change.up_to(hi));
            }
            Undo::PreparedBySql(name) => self.by_sql.push(name),
            Undo::Unnamed(change) => self.add_unnamed(change),
        }
    }

    /// A Parse of the unnamed statement failed, or was skipped; then what it was before is added next.
    pub(crate) fn add_parse(&mut self, token: UnnamedToken) {
        self.add_unnamed(UnnamedChange { number: token.count, before: token.count, was: None });
    }

    fn add_unnamed(&mut self, older: UnnamedChange) {
        let number = self.unnamed.as_ref().map_or(older.number, |newer| newer.number);
        self.unnamed = Some(UnnamedChange { number, ..older });
    }
}

impl Session {
    /// Puts back what an error made void.
    pub(crate) fn put_back(&mut self, undone: Undone) {
        let Undone { mut unnamed, mut portals, by_sql } = undone;
        self.portals.forget_statements();
        for name in by_sql {
            self.prepared_by_sql(&String::from_utf8_lossy(&name));
        }
        unnamed = unnamed.and_then(|change| {
            if self.unnamed_change != change.number {
                return Some(change);
            }
            (self.unnamed_change, self.unnamed) = (change.before, change.was);
            None
        });
        portals.retain(|_, change| !self.portals.undo(change));
        if unnamed.is_none() && portals.is_empty() {
            return;
        }
        // Segments behind the error have changed it again, and may have to put it back in their turn.
        for later in self.ledger.undos() {
            match later {
                Undo::Portal(later) => {
                    portals.retain(|_, change| !later.amend(change));
                }
                Undo::PreparedBySql(_) => {}
                Undo::Unnamed(later) => {
                    if let Some(change) = unnamed.take_if(|change| change.number == later.before) {
                        (later.before, later.was) = (change.before, change.was);
                    }
                }
            }
        }
        self.ledger.weigh_undos();
    }

    /// Binds a portal, or closes it, by a message of which this is the promise.
    pub(crate) fn promise_portal(
        &mut self,
        owed: Owed,
        name: &[u8],
        after: Option<Arc<AfterStatement>>,
        of: Option<Arc<Statement>>,
    ) {
        let change = self.portals.bind(name, after, of, self.ledger.segment());
        self.ledger.promise(owed);
        if let Some(change) = change {
            self.ledger.promise(Owed::Undo(Box::new(Undo::Portal(change))));
        }
    }

    /// What the statement changes that a portal runs. Where an error may yet decide which one that is, nothing is known.
    pub(crate) fn after_portal(&mut self, name: &[u8]) -> Option<Arc<AfterStatement>> {
        if self.portals.changed_in(name).is_some_and(|segment| self.ledger.in_doubt(segment)) {
            self.note_unknown();
            return Some(Arc::new(AfterStatement::plain(Kind::Other)));
        }
        self.portals.after(name)
    }

    /// The unnamed statement is about to change, by a message that is promised next.
    pub(crate) fn change_unnamed(&mut self) {
        self.unnamed_count += 1;
        let before = std::mem::replace(&mut self.unnamed_change, self.unnamed_count);
        if self.ledger.may_skip_next() && (self.unnamed.is_some() || self.ledger.keeps_names()) {
            let room = self.limits.query_bytes_max.saturating_sub(self.ledger.kept_bytes());
            let was = self.unnamed.as_ref().filter(|unnamed| unnamed.definition.len() <= room).cloned();
            let change = UnnamedChange { number: self.unnamed_change, before, was };
            self.ledger.promise(Owed::Undo(Box::new(Undo::Unnamed(change))));
        }
        self.attempt.unnamed_changes(&mut self.unnamed);
    }
}
