//! The truth: what the nodes really are, hold and say.

use std::fmt;

use pgweir_wire::Lsn;

use crate::random::Random;
use crate::{NodeReport, ProbeFailure, ProbeOutcome};

const PAGE_BYTES: u64 = 8192;
const SEGMENT_BYTES: u64 = 1 << 20;
const SYSTEM: u64 = 77;
const FIRST_LSN: u64 = 3 * SEGMENT_BYTES + 512;

/// What was written on one timeline, and when.
struct History {
    start_lsn: u64,
    writes: Vec<(u64, u64)>,
}

impl History {
    fn lsn_at(&self, ms: u64) -> u64 {
        let written = self.writes.partition_point(|&(at, _)| at <= ms);
        written.checked_sub(1).map_or(self.start_lsn, |last| self.writes[last].1)
    }

    /// The first moment at which more than `lsn` was written.
    fn passed_at(&self, lsn: u64) -> Option<u64> {
        self.writes.get(self.writes.partition_point(|&(_, end)| end <= lsn)).map(|&(at, _)| at)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Alive,
    /// Takes connections and never answers.
    Hung,
    Dead,
    /// Comes back at this moment.
    Starting(u64),
}

pub(super) struct Real {
    pub(super) life: Life,
    /// Grows with each death: connections to an earlier one are gone.
    pub(super) incarnation: u64,
    pub(super) writable: bool,
    pub(super) timeline: u32,
    /// Where replay stands; where the log ends on a primary.
    pub(super) lsn: u64,
    pub(super) delay_ms: u64,
    /// Replay stands still until then.
    paused_until: u64,
    /// Where replay stood, when it moved.
    replayed: Vec<(u64, u64)>,
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { life, incarnation, writable, timeline, lsn, .. } = self;
        write!(f, "{life:?} for the {incarnation}th time, writable: {writable}, {timeline}:{lsn}")
    }
}

impl Real {
    pub(super) fn lsn_at(&self, ms: u64) -> u64 {
        let moved = self.replayed.partition_point(|&(at, _)| at <= ms);
        moved.checked_sub(1).map_or(0, |last| self.replayed[last].1)
    }
}

pub(super) struct World {
    pub(super) ms: u64,
    pub(super) nodes: Vec<Real>,
    pub(super) promotions: u64,
    histories: Vec<History>,
    random: Random,
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize) -> Self {
        let node = |index| Real {
            life: Life::Alive,
            incarnation: 0,
            writable: index == 0,
            timeline: 1,
            lsn: FIRST_LSN,
            delay_ms: 0,
            paused_until: 0,
            replayed: vec![(0, FIRST_LSN)],
        };
        Self {
            ms: 0,
            nodes: (0..nodes).map(node).collect(),
            promotions: 0,
            histories: vec![History { start_lsn: FIRST_LSN, writes: Vec::new() }],
            random: Random::new(seed),
        }
    }

    pub(super) fn timeline(&self) -> u32 {
        self.histories.len() as u32
    }

    /// The end of the log of `timeline` at `ms`.
    pub(super) fn written_by(&self, timeline: u32, ms: u64) -> u64 {
        self.histories[timeline as usize - 1].lsn_at(ms)
    }

    /// How old data up to `lsn` of `timeline` is.
    pub(super) fn age_of(&self, timeline: u32, lsn: u64) -> u64 {
        let passed = self.histories[timeline as usize - 1].passed_at(lsn);
        passed.map_or(0, |at| self.ms.saturating_sub(at))
    }

    /// Writes on a primary, between this step and the next, and says when. Ends of records avoid page headers, and like page
    /// boundaries.
    pub(super) fn write(&mut self, node: usize, bytes: u64) -> u64 {
        let at = self.ms + super::STEP_MS / 2;
        let real = &mut self.nodes[node];
        assert!(real.writable, "a server that takes no writes was given one");
        let mut end = real.lsn + bytes;
        if bytes.is_multiple_of(3) {
            end = end.next_multiple_of(PAGE_BYTES);
        } else if end % PAGE_BYTES <= 40 {
            end += 48;
        }
        real.lsn = end;
        self.histories[real.timeline as usize - 1].writes.push((at, end));
        at
    }

    pub(super) fn advance(&mut self, step_ms: u64) {
        self.ms += step_ms;
        let (now, newest) = (self.ms, self.timeline());
        for real in &mut self.nodes {
            if real.life == Life::Starting(now) {
                real.life = Life::Alive;
            }
            if real.writable || !matches!(real.life, Life::Alive | Life::Hung) || now < real.paused_until {
                continue;
            }
            // A standby follows a promotion unless it has replayed what the new timeline does not hold.
            while real.timeline < newest && real.lsn <= self.histories[real.timeline as usize].start_lsn {
                real.timeline += 1;
            }
            let written =
                self.histories[real.timeline as usize - 1].lsn_at(now.saturating_sub(real.delay_ms));
            if written > real.lsn {
                real.lsn = written;
                real.replayed.push((now, written));
            }
        }
    }

    /// What a node says if it is asked now.
    pub(super) fn answer(&self, node: usize) -> ProbeOutcome {
        let real = &self.nodes[node];
        match real.life {
            Life::Dead => return ProbeOutcome::Failed(ProbeFailure::Refused),
            Life::Starting(_) => return ProbeOutcome::Failed(ProbeFailure::Starting),
            Life::Hung => return ProbeOutcome::Failed(ProbeFailure::TimedOut),
            Life::Alive => {}
        }
        let header = match real.lsn {
            lsn if lsn % SEGMENT_BYTES == 0 => 40,
            lsn if lsn % PAGE_BYTES == 0 => 24,
            _ => 0,
        };
        let insert = real.lsn + if real.writable { header } else { 0 };
        let received = self.written_by(real.timeline, self.ms).max(real.lsn);
        ProbeOutcome::Answered(NodeReport {
            in_recovery: !real.writable,
            timeline: real.timeline,
            system_identifier: SYSTEM,
            lsn: Lsn::new(insert),
            flushed: Lsn::new(real.lsn),
            received: (!real.writable).then(|| Lsn::new(received)),
            replay_paused: self.ms < real.paused_until,
            wal_segment_bytes: SEGMENT_BYTES,
        })
    }

    /// One random misfortune.
    pub(super) fn misfortune(&mut self) {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let now = self.ms;
        match self.random.below(10) {
            0 | 1 => self.kill(node),
            2 | 3 => self.restart(node),
            4 => self.nodes[node].paused_until = now + self.random.below(5000),
            5 | 6 => self.nodes[node].delay_ms = [0, 0, 100, 1200, 4000][self.random.below(5) as usize],
            7 => self.toggle_hang(node),
            8 => self.promote(node),
            _ => self.rejoin(node),
        }
    }

    fn kill(&mut self, node: usize) {
        let real = &mut self.nodes[node];
        if real.life != Life::Dead {
            real.life = Life::Dead;
            real.incarnation += 1;
        }
    }

    /// A standby comes back behind where it was; a primary as what it was, even if another was promoted meanwhile.
    fn restart(&mut self, node: usize) {
        self.kill(node);
        let lost = self.random.below(20_000);
        let until = self.ms + self.random.below(50) * super::STEP_MS;
        let paused = until + self.random.below(500);
        let real = &mut self.nodes[node];
        real.life = Life::Starting(until + super::STEP_MS);
        if !real.writable {
            let start = self.histories[real.timeline as usize - 1].start_lsn;
            real.lsn = real.lsn.saturating_sub(lost).max(start);
            real.paused_until = paused;
            real.replayed.push((self.ms, real.lsn));
        }
    }

    fn toggle_hang(&mut self, node: usize) {
        let real = &mut self.nodes[node];
        real.life = match real.life {
            Life::Alive => Life::Hung,
            Life::Hung => Life::Alive,
            other => other,
        };
    }

    /// Promotes a standby of the newest timeline; the old primary may well be alive.
    fn promote(&mut self, node: usize) {
        let timeline = self.timeline();
        let real = &mut self.nodes[node];
        if real.life == Life::Alive && !real.writable && real.timeline == timeline {
            self.promotions += 1;
            self.histories.push(History { start_lsn: real.lsn, writes: Vec::new() });
            real.writable = true;
            real.timeline += 1;
            self.write(node, 100);
        }
    }

    /// An old primary, or a standby that went astray, is rewound and follows the newest timeline.
    pub(super) fn rejoin(&mut self, node: usize) {
        let (timeline, until) = (self.timeline(), self.ms + 10 * super::STEP_MS);
        if self.nodes[node].timeline == timeline {
            return;
        }
        self.kill(node);
        let start = self.histories[timeline as usize - 1].start_lsn;
        let real = &mut self.nodes[node];
        (real.writable, real.timeline, real.lsn, real.life) = (false, timeline, start, Life::Starting(until));
        real.replayed.push((self.ms, start));
    }

    /// Ends all misfortune: every node is alive and follows the newest primary.
    pub(super) fn heal(&mut self) {
        for node in 0..self.nodes.len() {
            self.rejoin(node);
            let until = self.ms + 10 * super::STEP_MS;
            let real = &mut self.nodes[node];
            (real.delay_ms, real.paused_until) = (0, 0);
            match real.life {
                Life::Hung => real.life = Life::Alive,
                Life::Dead => real.life = Life::Starting(until),
                Life::Alive | Life::Starting(_) => {}
            }
        }
    }
}
