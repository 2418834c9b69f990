//! What is known about one node, and whether it may serve reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweir_wire::Lsn;

use crate::freshness::Samples;
use crate::health::HealthTrack;
use crate::{
    DownReason, Health, NodeId, NodeLoad, NodeReport, NodeSettings, NodeView, OutReason, ProbeFailure, Role,
    TopologySettings,
};

/// Something seen since the last good probe that this probe could not know of.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    since: Instant,
    about: DoubtAbout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DoubtAbout {
    /// It may have restarted, and may then have replayed less than before: a restarted standby takes connections as soon as
    /// it is consistent.
    Replay,
    /// It said that it is read-only.
    Writes,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) report: NodeReport,
    pub(super) asked_at: Instant,
    answered_at: Instant,
}

/// Up to when a standby holds everything.
#[derive(Clone, Copy, Debug, Default)]
struct Proven {
    fresh_as_of: Option<Instant>,
    flushed_as_of: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) name: Arc<str>,
    weight: u32,
    zone: Option<Arc<str>>,
    configured: Configured,
    load: Arc<NodeLoad>,
    health: HealthTrack,
    seen: Option<Seen>,
    doubt: Option<Doubt>,
    loss_counted_at: Option<Instant>,
    proven: Proven,
    caught_up: CaughtUp,
    term: u32,
    pub(super) verdict: Result<(), OutReason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Configured {
    Yes,
    Removed,
}

/// The hysteresis of age and lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaughtUp {
    Yes,
    /// It was beyond a limit and has not been well below it since.
    NotYet,
}

/// What holds for the whole cluster while its nodes are judged.
pub(super) struct Circumstances<'a> {
    pub(super) settings: &'a TopologySettings,
    pub(super) samples: &'a Samples,
    pub(super) primary: Option<NodeId>,
    pub(super) system_identifier: Option<u64>,
    pub(super) timeline: u32,
    /// Set while there is no primary: the last moment at which anybody is known to have written.
    pub(super) clock_stopped_at: Option<Instant>,
    /// Whether some node was never heard of and may still turn out to be the primary.
    pub(super) awaits_first_answers: bool,
    pub(super) now: Instant,
}

impl Node {
    pub(super) fn new(id: NodeId, settings: NodeSettings) -> Self {
        Self {
            id,
            name: settings.name.into(),
            weight: settings.weight,
            zone: settings.zone.map(Into::into),
            configured: Configured::Yes,
            load: Arc::default(),
            health: HealthTrack::new(),
            seen: None,
            doubt: None,
            loss_counted_at: None,
            proven: Proven::default(),
            caught_up: CaughtUp::Yes,
            term: 1,
            verdict: Err(OutReason::NeverSeen),
        }
    }

    /// Takes new settings, after a removal too: then it starts as a node never seen.
    pub(super) fn configure(&mut self, settings: NodeSettings) {
        if self.is_removed() {
            let (load, term) = (Arc::clone(&self.load), self.term);
            *self = Self { load, term, ..Self::new(self.id, settings) };
        } else {
            self.weight = settings.weight;
            self.zone = settings.zone.map(Into::into);
        }
    }

    pub(super) fn remove(&mut self) {
        self.configured = Configured::Removed;
        self.term += 1;
    }

    pub(super) fn is_removed(&self) -> bool {
        self.configured == Configured::Removed
    }

    pub(super) const fn health(&self) -> Health {
        self.health.health()
    }

    pub(super) const fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    pub(super) fn is_never_seen(&self) -> bool {
        self.health() == Health::Down(DownReason::NeverSeen)
    }

    /// Whether it is known to take writes at this moment, be it the primary or not.
    pub(super) fn claims_writes(&self) -> bool {
        let writable = self.seen.is_some_and(|seen| !seen.report.in_recovery);
        let alive = !self.health().is_down() || self.health.answers();
        writable && alive && !self.is_removed() && !self.doubts(DoubtAbout::Writes)
    }

    /// A good probe. Answers whether it told something: one asked before the last doubt, or out of order, does not.
    pub(super) fn answered(
        &mut self,
        report: NodeReport,
        asked_at: Instant,
        answered_at: Instant,
        rise: u32,
    ) -> bool {
        let too_old = self.doubt.is_some_and(|doubt| asked_at < doubt.since)
            || self.seen.is_some_and(|seen| asked_at < seen.asked_at);
        if too_old {
            return false;
        }
        // A replay that went back is one: the process restarted unnoticed.
        let is_another_history = self.seen.is_none_or(|seen| {
            report.lsn < seen.report.lsn
                || report.in_recovery != seen.report.in_recovery
                || report.timeline != seen.report.timeline
                || report.system_identifier != seen.report.system_identifier
        });
        if is_another_history {
            self.proven = Proven::default();
        }
        if report.in_recovery && self.seen.is_some_and(|seen| !seen.report.in_recovery) {
            self.term += 1;
        }
        self.doubt = None;
        self.seen = Some(Seen { report, asked_at, answered_at });
        self.health.succeeded(rise);
        true
    }

    /// A bad probe, or a failure seen in passing.
    pub(super) fn failed(&mut self, failure: ProbeFailure, now: Instant, fall: u32) {
        let was_down = self.health().is_down();
        self.health.failed(failure, fall);
        if failure.hints_at_restart() {
            self.begin_doubt(DoubtAbout::Replay, now);
        }
        if failure.is_conclusive() && !was_down {
            self.term += 1;
        }
    }

    /// Many connections break at once when a server dies or an operator ends sessions: they count as one failure.
    pub(super) fn lost(&mut self, failure: ProbeFailure, now: Instant, settings: &TopologySettings) {
        let counted = self
            .loss_counted_at
            .is_some_and(|at| now.saturating_duration_since(at) < settings.probe_interval);
        if counted && !failure.is_conclusive() {
            self.begin_doubt(DoubtAbout::Replay, now);
            return;
        }
        self.loss_counted_at = Some(now);
        self.failed(failure, now, settings.fall);
    }

    pub(super) fn reached(&mut self) {
        self.health.reached();
    }

    pub(super) fn said_read_only(&mut self, now: Instant) {
        self.begin_doubt(DoubtAbout::Writes, now);
    }

    pub(super) fn note_silence(&mut self, now: Instant, fresh_for: Duration) {
        if self.seen.is_some_and(|seen| now.saturating_duration_since(seen.answered_at) > fresh_for) {
            self.health.fell_silent();
        }
    }

    /// It was the primary and is not, though it can be reached.
    pub(super) fn lost_primacy(&mut self) {
        self.term += 1;
    }

    /// All samples of the primary became void, and with them what they proved.
    pub(super) fn forget_freshness(&mut self) {
        self.proven = Proven::default();
    }

    fn begin_doubt(&mut self, about: DoubtAbout, now: Instant) {
        let about = if self.doubts(DoubtAbout::Writes) { DoubtAbout::Writes } else { about };
        self.doubt = Some(Doubt { since: now, about });
        self.proven = Proven::default();
    }

    fn doubts(&self, about: DoubtAbout) -> bool {
        self.doubt.is_some_and(|doubt| doubt.about == about)
    }

    fn replay(&self) -> Option<Lsn> {
        let seen = self.seen.filter(|seen| seen.report.in_recovery && self.doubt.is_none());
        seen.map(|seen| seen.report.lsn)
    }

    /// Decides anew whether it may serve reads.
    pub(super) fn judge(&mut self, with: &Circumstances<'_>) {
        self.prove_freshness(with.samples);
        self.verdict = self.judge_identity(with).and_then(|()| self.judge_freshness(with));
    }

    /// What was proven stays so until something puts it in doubt, even where the samples behind it are thinned out.
    fn prove_freshness(&mut self, samples: &Samples) {
        let same_history = samples.origin().zip(self.seen).is_some_and(|(origin, seen)| {
            origin.timeline == seen.report.timeline
                && origin.system_identifier == seen.report.system_identifier
        });
        if let Some(replay) = self.replay().filter(|_| same_history) {
            let Proven { fresh_as_of, flushed_as_of } = &mut self.proven;
            *fresh_as_of = (*fresh_as_of).max(samples.fresh_as_of(replay));
            *flushed_as_of = (*flushed_as_of).max(samples.flushed_as_of(replay));
        }
    }

    /// Everything but how old its data is.
    fn judge_identity(&self, with: &Circumstances<'_>) -> Result<(), OutReason> {
        if self.is_removed() {
            return Err(OutReason::Removed);
        }
        match self.health() {
            Health::Down(DownReason::NeverSeen) => return Err(OutReason::NeverSeen),
            Health::Down(reason) => return Err(OutReason::Down(reason)),
            Health::Up | Health::Suspect => {}
        }
        let report = self.seen.ok_or(OutReason::NeverSeen)?.report;
        if let Some(ours) = with.system_identifier.filter(|&ours| ours != report.system_identifier) {
            return Err(OutReason::ForeignSystem { ours, theirs: report.system_identifier });
        }
        if report.timeline < with.timeline {
            return Err(OutReason::OldTimeline { ours: with.timeline, theirs: report.timeline });
        }
        if report.in_recovery || with.primary == Some(self.id) {
            Ok(())
        } else if self.doubts(DoubtAbout::Writes) {
            Err(OutReason::ReadOnlyPrimary)
        } else {
            Err(OutReason::SplitBrain)
        }
    }

    /// Age and lag of a standby, with hysteresis.
    fn judge_freshness(&mut self, with: &Circumstances<'_>) -> Result<(), OutReason> {
        if with.primary == Some(self.id) {
            return Ok(());
        }
        if self.replay().is_none() && self.verdict.is_ok() {
            return Ok(()); // it serves what needs no proof until the next probe tells
        }
        let over = self.beyond(with, 1.0);
        let reason = match self.caught_up {
            _ if over.is_some() => over,
            CaughtUp::Yes => None,
            CaughtUp::NotYet => self.beyond(with, with.settings.return_fraction),
        };
        self.caught_up = if reason.is_some() { CaughtUp::NotYet } else { CaughtUp::Yes };
        match reason {
            Some(reason) => Err(reason),
            None if self.proven.flushed_as_of.is_some() => Ok(()),
            None if with.samples.origin().is_none() && !with.awaits_first_answers => Ok(()),
            None => Err(OutReason::ReplayUnknown),
        }
    }

    /// Which limit it is beyond, if each is multiplied by `part`.
    fn beyond(&self, with: &Circumstances<'_>, part: f64) -> Option<OutReason> {
        let max = with.settings.staleness_max.mul_f64(part);
        let until = with.clock_stopped_at.map_or(with.now, |stopped| stopped.min(with.now));
        let staleness = self.proven.flushed_as_of.map(|then| until.saturating_duration_since(then));
        if let Some(staleness) = staleness.filter(|&age| age > max) {
            return Some(OutReason::Stale { staleness, max });
        }
        let max = with.settings.lag_bytes_max.map(|max| (max as f64 * part) as u64)?;
        let bytes = self.lag_bytes(with.samples).filter(|&lag| lag > max)?;
        Some(OutReason::Lagging { bytes, max })
    }

    fn lag_bytes(&self, samples: &Samples) -> Option<u64> {
        Some(samples.newest_flushed()?.bytes_since(self.replay()?))
    }

    pub(super) fn view(&self, with: &Circumstances<'_>) -> NodeView {
        let report = self.seen.map(|seen| seen.report);
        let is_primary = with.primary == Some(self.id);
        NodeView {
            id: self.id,
            name: Arc::clone(&self.name),
            weight: self.weight,
            zone: self.zone.clone(),
            role: match report {
                Some(report) if report.in_recovery => Role::Standby,
                Some(_) if is_primary => Role::Primary,
                Some(_) | None => Role::Unknown,
            },
            health: self.health(),
            serves_reads: self.verdict,
            lag_bytes: if is_primary { Some(0) } else { self.lag_bytes(with.samples) },
            fresh_as_of: self.proven.fresh_as_of,
            flushed_as_of: self.proven.flushed_as_of,
            replay: self.replay(),
            replay_paused: report.is_some_and(|report| report.replay_paused),
            timeline: report.map_or(0, |report| report.timeline),
            system_identifier: report.map_or(0, |report| report.system_identifier),
            term: self.term,
            load: Arc::clone(&self.load),
            clock_stopped_at: with.clock_stopped_at,
        }
    }
}
