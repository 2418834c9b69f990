//! When did the primary's WAL stand where a standby's replay stands now?
//!
//! Why so: the age of the last replayed transaction lies when the primary idles, and bytes say nothing about time. A sample
//! says that at `asked_at` the primary's WAL did not reach beyond `lsn`; a standby that has replayed `lsn` therefore
//! holds everything committed before `asked_at`. That is right under idleness (each sample proves it anew), under a paused
//! replay and under a dead WAL receiver alike, and needs nobody's clock but ours.
//!
//! Two positions: what is committed lies before the insert position, which therefore proves that a session reads its own
//! writes. But WAL leaves the primary only once it is flushed, which an open transaction on a quiet primary can put off for
//! many seconds: age and lag are counted from the flushed position, or standbys that lack nothing would look old.
//!
//! Invariant: both `asked_at` and `lsn` strictly grow along the ring, `flushed` never shrinks and never passes `lsn`, and all
//! samples are of one primary and timeline.

use std::collections::VecDeque;
use std::time::Instant;

use pgweir_wire::Lsn;

use crate::{NodeId, NodeReport};

/// Samples kept. Beyond it the older half is thinned out, which only makes standbys that are minutes behind look a little older.
const SAMPLES_MAX: usize = 1024;

/// `XLOG_BLCKSZ`, and the header that every page starts with (`src/include/access/xlog_internal.h`).
const PAGE_BYTES: u64 = 8192;
const SHORT_HEADER_BYTES: u64 = 24;
const LONG_HEADER_BYTES: u64 = 40;

/// Whose WAL the samples are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) node: NodeId,
    pub(crate) system_identifier: u64,
    pub(crate) timeline: u32,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    asked_at: Instant,
    lsn: Lsn,
    flushed: Lsn,
}

#[derive(Debug, Default)]
pub(crate) struct Samples {
    origin: Option<Origin>,
    ring: VecDeque<Sample>,
}

impl Samples {
    pub(crate) const fn origin(&self) -> Option<Origin> {
        self.origin
    }

    /// The primary's newest flushed position.
    pub(crate) fn newest_flushed(&self) -> Option<Lsn> {
        self.ring.back().map(|sample| sample.flushed)
    }

    /// When the primary was last asked with success.
    pub(crate) fn newest_at(&self) -> Option<Instant> {
        self.ring.back().map(|sample| sample.asked_at)
    }

    /// Adds what the primary said. Answers whether all earlier samples became void.
    pub(crate) fn add(&mut self, origin: Origin, asked_at: Instant, report: &NodeReport) -> bool {
        let reset = self.origin != Some(origin);
        if reset {
            self.origin = Some(origin);
            self.ring.clear();
        }
        if self.ring.back().is_some_and(|newest| newest.asked_at >= asked_at) {
            return reset;
        }
        let lsn = end_of_record(report.lsn, report.wal_segment_bytes);
        // A later sample at the same place proves more. One at an earlier place follows a crash that lost unflushed WAL.
        while self.ring.back().is_some_and(|newest| newest.lsn >= lsn) {
            self.ring.pop_back();
        }
        if self.ring.len() == SAMPLES_MAX {
            self.thin_out();
        }
        self.ring.push_back(Sample { asked_at, lsn, flushed: report.flushed.min(lsn) });
        reset
    }

    /// A standby that has replayed this much holds all that was committed before the answer.
    pub(crate) fn fresh_as_of(&self, replay: Lsn) -> Option<Instant> {
        let reached = self.ring.partition_point(|sample| sample.lsn <= replay);
        reached.checked_sub(1).map(|newest| self.ring[newest].asked_at)
    }

    /// A standby that has replayed this much holds all that was flushed before the answer.
    pub(crate) fn flushed_as_of(&self, replay: Lsn) -> Option<Instant> {
        let reached = self.ring.partition_point(|sample| sample.flushed <= replay);
        reached.checked_sub(1).map(|newest| self.ring[newest].asked_at)
    }

    /// Drops the sample of the older half whose gap would be smallest for its age: what is left is spread over the logarithm
    /// of age, so a standby's staleness stays right to a few percent however long it is.
    fn thin_out(&mut self) {
        let Some(newest) = self.newest_at() else { return };
        let at = |place: usize| self.ring[place].asked_at;
        let gap_for_age = |place: usize| {
            let gap = at(place + 1).duration_since(at(place - 1));
            gap.as_secs_f64() / newest.duration_since(at(place - 1)).as_secs_f64()
        };
        let older = 1..self.ring.len() / 2;
        let spare = older.min_by(|&one, &other| gap_for_age(one).total_cmp(&gap_for_age(other)));
        self.ring.remove(spare.unwrap_or(0));
    }

    pub(crate) fn check(&self) {
        assert!(self.ring.len() <= SAMPLES_MAX);
        assert!(self.ring.is_empty() || self.origin.is_some(), "samples belong to a primary");
        for (earlier, later) in self.ring.iter().zip(self.ring.iter().skip(1)) {
            assert!(earlier.asked_at < later.asked_at && earlier.lsn < later.lsn, "samples grow");
            assert!(earlier.flushed <= later.flushed, "what is flushed stays so");
        }
        assert!(
            self.ring.iter().all(|sample| sample.flushed <= sample.lsn),
            "nothing is flushed before it is written"
        );
    }
}

/// Where the last record ends. The insert position exactly on a page boundary counts the next page's header, which a standby
/// does not reach before the next record.
fn end_of_record(insert: Lsn, segment_bytes: u64) -> Lsn {
    let at = insert.bytes();
    let in_segment = if segment_bytes.is_power_of_two() { at % segment_bytes } else { PAGE_BYTES };
    let header = if in_segment == LONG_HEADER_BYTES {
        LONG_HEADER_BYTES
    } else if at % PAGE_BYTES == SHORT_HEADER_BYTES && in_segment > PAGE_BYTES {
        SHORT_HEADER_BYTES
    } else {
        0
    };
    Lsn::new(at - header)
}

#[cfg(test)]
mod tests;
