//! What the whole process counts, apart from pools and nodes.

use crate::tally::{Durations, FaultCounts, HintCounts, PinCounts};

/// Counters of the process.
#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) faults: FaultCounts,
    pub(crate) hints: HintCounts,
    pub(crate) pins: PinCounts,
    /// From the dispatch of a request to the end of its answer.
    pub(crate) queries: Durations,
    /// From the wish for a server to its grant.
    pub(crate) waits: Durations,
}
