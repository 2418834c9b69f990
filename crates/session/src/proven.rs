//! Statements that a server of the pool has parsed without an error, for all sessions of the pool; and whether these ask
//! for sequence values.
//!
//! Why: a client that prepares what others have prepared needs no server for it. A driver that prepares while it blocks (and
//! with it the transactions of its other connections, which hold the servers that it waits for) would otherwise wait for
//! itself.
//!
//! Invariants: a statement is told by its text, its parameter types, the settings that shape parsing and the schema's
//! generation, so what is proven for one session holds for another; bounded, and forgotten whole when full.
//! Absent: what else may have happened to its tables. A change that pgweir did not see shows when the statement is bound.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::statements::StatementId;

/// Statements that servers of one database and role have parsed.
#[derive(Debug, Default)]
pub struct ProvenStatements {
    ids: Mutex<HashSet<StatementId>>,
    sequences_read: AtomicBool,
}

impl ProvenStatements {
    /// A server parsed it.
    pub(crate) fn add(&self, id: StatementId) {
        let mut ids = self.lock();
        if ids.len() >= PROVEN_MAX {
            ids.clear();
        }
        ids.insert(id);
    }

    pub(crate) fn contains(&self, id: StatementId) -> bool {
        self.lock().contains(&id)
    }

    /// A client asked for what a sequence answered before.
    pub(crate) fn read_sequences(&self) {
        self.sequences_read.store(true, Relaxed);
    }

    /// Whether clients of the pool ask for what a sequence answered before.
    pub(crate) fn are_sequences_read(&self) -> bool {
        self.sequences_read.load(Relaxed)
    }

    /// Held for one look; a panic elsewhere leaves a set that is as good as before.
    fn lock(&self) -> MutexGuard<'_, HashSet<StatementId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Statements that are remembered, at 16 bytes each and the set's share.
const PROVEN_MAX: usize = 10_000;
