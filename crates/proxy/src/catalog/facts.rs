//! What is told of one database's catalog.

use std::time::Duration;

use pgweir_sql::CatalogSize;
use tokio::time::Instant;

use crate::report::CatalogRow;

/// How a database's catalog is kept.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// How much is known; `None`: nothing is.
    size: Option<CatalogSize>,
    /// When the catalog was last known to be true.
    confirmed: Option<Instant>,
    reads: u64,
    read_time: Duration,
    errors: u64,
}

impl Facts {
    /// The catalog was read, and this took so long.
    pub(super) fn read(&mut self, size: CatalogSize, took: Duration) {
        self.size = Some(size);
        self.reads += 1;
        self.read_time += took;
    }

    /// It was true at this time.
    pub(super) fn confirmed(&mut self, at: Instant) {
        self.confirmed = Some(at);
    }

    /// The primary could not be asked.
    pub(super) fn failed(&mut self) {
        self.errors += 1;
    }

    /// It is believed no longer.
    pub(super) fn dropped(&mut self) {
        self.size = None;
    }

    pub(super) fn row(&self, cluster: &str, database: &str) -> CatalogRow {
        let size = self.size.as_ref();
        CatalogRow {
            cluster: cluster.to_owned(),
            database: database.to_owned(),
            age: size.and(self.confirmed).map(|at| at.elapsed()),
            objects: size.map_or_else(Vec::new, |size| {
                let counts = [
                    ("function", size.functions),
                    ("operator", size.operators),
                    ("relation", size.relations),
                    ("type", size.types),
                ];
                counts.map(|(kind, count)| (kind, count as u64)).to_vec()
            }),
            memory_bytes: size.map_or(0, |size| size.memory_bytes as u64),
            reads: self.reads,
            read_time: self.read_time,
            errors: self.errors,
        }
    }
}
