//! How busy a node is, over all pools.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counters of one node, shared by all pools. Each pool adds and takes away only what is its own.
#[derive(Debug, Default)]
pub struct NodeLoad {
    in_flight: AtomicU32,
    open: AtomicU32,
}

impl NodeLoad {
    /// Leases that are out.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Server connections that are open.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    pub(crate) fn leased(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn returned(&self) {
        let before = self.in_flight.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a lease ends once");
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self) {
        let before = self.open.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a server closes once");
    }
}
