//! Counters and histograms of what the relay does.
//!
//! Why here: the relay must count without a lock and without knowing who reads. Labels come from closed sets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use pgweir_session::{HintOutcome, PinReason};
use pgweir_sql::{Kind, PinCause, Reason, Verdict};

use crate::report::{Blame, Bucket, Counters, Histogram};

/// Statements by kind and reason.
#[derive(Default)]
pub(crate) struct StatementCounts {
    cells: std::sync::OnceLock<Box<[AtomicU64]>>,
}

impl StatementCounts {
    /// One statement more.
    pub(crate) fn add(&self, verdict: Verdict) {
        let cells = self
            .cells
            .get_or_init(|| (0..Kind::CODES.len() * Reason::ALL.len()).map(|_| AtomicU64::new(0)).collect());
        cells[verdict.kind.index() * Reason::ALL.len() + verdict.reason as usize].fetch_add(1, Relaxed);
    }

    /// What was counted: kind, reason, count.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let cells = self.cells.get().map_or(&[][..], |cells| cells);
        cells.iter().enumerate().filter_map(|(index, cell)| {
            let count = cell.load(Relaxed);
            let (kind, reason) = (index / Reason::ALL.len(), index % Reason::ALL.len());
            (count > 0).then(|| (Kind::CODES[kind], Reason::ALL[reason].code(), count))
        })
    }
}

/// What one pool has done.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) assignments: AtomicU64,
    pub(crate) transactions: AtomicU64,
    pub(crate) queries: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) transaction_us: AtomicU64,
    pub(crate) query_us: AtomicU64,
    pub(crate) wait_us: AtomicU64,
    pub(crate) client_parses: AtomicU64,
    pub(crate) server_parses: AtomicU64,
    pub(crate) binds: AtomicU64,
    pub(crate) logins: AtomicU64,
}

impl Tally {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Relaxed);
    }

    pub(crate) fn add_time(counter: &AtomicU64, time: Duration) {
        counter.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn read(&self) -> Counters {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let time = |counter: &AtomicU64| Duration::from_micros(counter.load(Relaxed));
        Counters {
            server_assignments: count(&self.assignments),
            transactions: count(&self.transactions),
            queries: count(&self.queries),
            bytes_received: count(&self.received),
            bytes_sent: count(&self.sent),
            transaction_time: time(&self.transaction_us),
            query_time: time(&self.query_us),
            wait_time: time(&self.wait_us),
            client_parses: count(&self.client_parses),
            server_parses: count(&self.server_parses),
            binds: count(&self.binds),
            client_logins: count(&self.logins),
        }
    }
}

/// Upper bounds of the latency buckets, in microseconds.
const BOUNDS_US: [u64; 20] = [
    50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600, 819_200,
    1_638_400, 3_276_800, 6_553_600, 13_107_200, 26_214_400,
];

/// Durations by bucket.
#[derive(Default)]
pub(crate) struct Durations {
    buckets: [AtomicU64; BOUNDS_US.len()],
    beyond: AtomicU64,
    sum_us: AtomicU64,
}

impl Durations {
    pub(crate) fn add(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets.get(bucket).unwrap_or(&self.beyond).fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(crate) fn read(&self) -> Histogram {
        let buckets = BOUNDS_US.iter().zip(&self.buckets);
        Histogram {
            buckets: buckets
                .map(|(bound, count)| Bucket {
                    at_most: Duration::from_micros(*bound),
                    count: count.load(Relaxed),
                })
                .collect(),
            beyond: self.beyond.load(Relaxed),
            sum: Duration::from_micros(self.sum_us.load(Relaxed)),
        }
    }
}

/// Errors that clients were shown, by what went wrong.
macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $blame:ident $code:literal,)*) => {
        /// What clients were told went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
            pub(crate) const ALL: &'static [(Fault, Blame, &'static str)] =
                &[$((Fault::$variant, Blame::$blame, $code),)*];
        }
    };
}

faults! {
    /// The client broke the protocol before it was let in.
    Handshake = Client "handshake",
    /// Wrong password or unknown user.
    Authentication = Client "authentication",
    /// The client broke the protocol of its session.
    ClientProtocol = Client "protocol",
    /// The client asked for what there is not.
    ClientRequest = Client "request",
    /// A server broke the protocol.
    ServerProtocol = Server "protocol",
    /// A server went away in the middle of something.
    ServerLost = Server "lost",
    /// A server could not be reached or refused.
    ServerRefused = Server "refused",
    /// An error of a server that was passed on.
    ServerError = Server "error",
    /// No server became free in time, or the queue was full.
    Waited = Configuration "wait",
    /// No node could serve.
    NoNode = Server "no_node",
    /// A limit on clients or time.
    Limit = Configuration "limit",
    /// No such database here.
    NoDatabase = Client "no_database",
    /// A panic.
    Panic = Proxy "panic",
}

/// Counts of [`Fault`]s.
#[derive(Default)]
pub(crate) struct FaultCounts {
    cells: [AtomicU64; Fault::ALL.len()],
}

impl FaultCounts {
    pub(crate) fn add(&self, fault: Fault) {
        self.cells[fault as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (Blame, &'static str, u64)> {
        Fault::ALL
            .iter()
            .map(|(fault, blame, code)| (*blame, *code, self.cells[*fault as usize].load(Relaxed)))
    }
}

/// Statements with hints, by what became of them.
#[derive(Default)]
pub(crate) struct HintCounts {
    cells: [AtomicU64; 3],
}

impl HintCounts {
    pub(crate) fn add(&self, outcome: HintOutcome) {
        self.cells[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let codes = [
            (HintOutcome::Followed, "followed"),
            (HintOutcome::Ignored, "ignored"),
            (HintOutcome::Overruled, "overruled"),
        ];
        codes.into_iter().map(|(outcome, code)| (code, self.cells[outcome as usize].load(Relaxed)))
    }
}

/// Sessions that hold their server, by reason.
#[derive(Default)]
pub(crate) struct PinCounts {
    cells: [(AtomicU64, AtomicU64); PIN_REASONS],
}

const PIN_REASONS: usize = PinCause::ALL.len() + 4;

fn pin_index(reason: PinReason) -> usize {
    match reason {
        PinReason::Statement(cause) => {
            PinCause::ALL.iter().position(|it| *it == cause).expect("ALL names every cause")
        }
        PinReason::OversizedText => PIN_REASONS - 4,
        PinReason::Setting => PIN_REASONS - 3,
        PinReason::SessionMode => PIN_REASONS - 2,
        PinReason::Unasked => PIN_REASONS - 1,
    }
}

impl PinCounts {
    pub(crate) fn pinned(&self, reason: PinReason) {
        let (now, total) = &self.cells[pin_index(reason)];
        now.fetch_add(1, Relaxed);
        total.fetch_add(1, Relaxed);
    }

    pub(crate) fn unpinned(&self, reason: PinReason) {
        self.cells[pin_index(reason)].0.fetch_sub(1, Relaxed);
    }

    /// Reason, sessions now, times ever.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let causes = PinCause::ALL.iter().map(|cause| PinReason::Statement(*cause));
        let others =
            [PinReason::OversizedText, PinReason::Setting, PinReason::SessionMode, PinReason::Unasked];
        causes.chain(others).map(|reason| {
            let (now, total) = &self.cells[pin_index(reason)];
            (reason.code(), now.load(Relaxed), total.load(Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_bucket() {
        let it = Durations::default();
        for us in [1, 50, 51, 30_000_000] {
            it.add(Duration::from_micros(us));
        }
        let read = it.read();
        assert_eq!((read.buckets[0].count, read.buckets[1].count, read.beyond), (2, 1, 1));
    }

    #[test]
    fn every_pin_reason_has_a_place_of_its_own() {
        let it = PinCounts::default();
        let codes: std::collections::BTreeSet<_> = it.read().map(|(code, _, _)| code).collect();
        assert_eq!(codes.len(), PIN_REASONS);
    }
}
