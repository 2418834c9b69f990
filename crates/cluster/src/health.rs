//! Whether a node can be reached: one count for probes and for failures seen in passing.
//!
//! Invariant: a single failure that proves nothing never takes a node away, and a node that was down comes back only
//! after several good probes in a row.

use std::fmt;

use crate::ProbeFailure;

/// Whether a node can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last probe was good.
    Up,
    /// Something failed since the last good probe, too little to call it down. It still serves.
    Suspect,
    /// It is not used.
    Down(DownReason),
}

impl Health {
    /// Whether the node is not used.
    #[must_use]
    pub const fn is_down(self) -> bool {
        matches!(self, Self::Down(_))
    }
}

/// Why a node is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// Dials or probes failed, the last one for this reason.
    Failed(ProbeFailure),
    /// It has never answered.
    NeverSeen,
    /// Nothing was heard of it for too long.
    Silent,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::NeverSeen => f.write_str("it has never answered"),
            Self::Silent => f.write_str("nothing was heard of it for too long"),
        }
    }
}

/// Counts towards the next change of health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthTrack {
    health: Health,
    failures: u32,
    successes: u32,
}

impl HealthTrack {
    pub(crate) const fn new() -> Self {
        Self { health: Health::Down(DownReason::NeverSeen), failures: 0, successes: 0 }
    }

    pub(crate) const fn health(&self) -> Health {
        self.health
    }

    /// Whether the last thing heard of the node was a good probe.
    pub(crate) const fn answers(&self) -> bool {
        self.successes > 0
    }

    pub(crate) fn succeeded(&mut self, rise: u32) {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        let back = match self.health {
            Health::Up | Health::Suspect | Health::Down(DownReason::NeverSeen) => true,
            Health::Down(_) => self.successes >= rise,
        };
        if back {
            self.health = Health::Up;
        }
    }

    /// A login went through. It clears a suspicion, but only probes bring a node back.
    pub(crate) fn reached(&mut self) {
        if self.health == Health::Suspect {
            self.health = Health::Up;
            self.failures = 0;
            self.successes = 1;
        }
    }

    pub(crate) fn failed(&mut self, failure: ProbeFailure, fall: u32) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        let down = failure.is_conclusive() || self.failures >= fall;
        self.health = match self.health {
            _ if down => Health::Down(DownReason::Failed(failure)),
            Health::Up | Health::Suspect => Health::Suspect,
            Health::Down(DownReason::NeverSeen) => self.health,
            Health::Down(_) => Health::Down(DownReason::Failed(failure)),
        };
    }

    pub(crate) fn fell_silent(&mut self) {
        self.successes = 0;
        if !self.health.is_down() {
            self.health = Health::Down(DownReason::Silent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> HealthTrack {
        let mut track = HealthTrack::new();
        track.succeeded(2);
        assert_eq!(track.health(), Health::Up, "the first answer ever is enough");
        track
    }

    #[test]
    fn single_failures_between_good_probes_never_take_a_node_away() {
        let mut track = up();
        for _ in 0..20 {
            track.failed(ProbeFailure::TimedOut, 3);
            track.failed(ProbeFailure::Closed, 3);
            assert_eq!(track.health(), Health::Suspect);
            track.succeeded(2);
            assert_eq!(track.health(), Health::Up);
        }
    }

    #[test]
    fn enough_failures_in_a_row_do_and_one_good_probe_does_not_bring_it_back() {
        let mut track = up();
        (0..3).for_each(|_| track.failed(ProbeFailure::TimedOut, 3));
        assert_eq!(track.health(), Health::Down(DownReason::Failed(ProbeFailure::TimedOut)));
        track.succeeded(2);
        assert!(track.health().is_down());
        track.failed(ProbeFailure::Other, 3);
        track.succeeded(2);
        assert!(track.health().is_down(), "the good probes must come in a row");
        track.reached();
        assert!(track.health().is_down(), "a dial alone brings nothing back");
        track.succeeded(2);
        assert_eq!(track.health(), Health::Up);
    }

    #[test]
    fn a_refused_connection_counts_at_once() {
        for failure in [ProbeFailure::Refused, ProbeFailure::Starting] {
            let mut track = up();
            track.failed(failure, 3);
            assert_eq!(track.health(), Health::Down(DownReason::Failed(failure)));
        }
    }

    #[test]
    fn a_node_that_never_answered_is_given_up_after_as_many_failures_as_any() {
        let mut track = HealthTrack::new();
        track.failed(ProbeFailure::TimedOut, 3);
        assert_eq!(track.health(), Health::Down(DownReason::NeverSeen));
        track.failed(ProbeFailure::TimedOut, 3);
        track.failed(ProbeFailure::TimedOut, 3);
        assert_eq!(track.health(), Health::Down(DownReason::Failed(ProbeFailure::TimedOut)));
    }
}
