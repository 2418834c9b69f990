//! The server connections of one node in one pool.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Health, NodeId, NodeLoad, NodeView, PoolSettings, ServerId};

/// The first pause after a failed dial; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// The longest pause. Short, because a node that is known to be down is not dialled anyhow.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// One server connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) node: NodeId,
    pub(super) state: ServerState,
    born: Instant,
    /// The node's term at its birth.
    term: u32,
    /// By how many thousandths its life is shorter than the limit, so that servers opened together do not end together.
    shorter_by: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    Idle { since: Instant },
    Leased,
}

impl Server {
    pub(super) const fn new(node: NodeId, term: u32, shorter_by: u32, now: Instant) -> Self {
        Self { node, state: ServerState::Leased, born: now, term, shorter_by }
    }

    pub(super) const fn is_of_term(&self, term: u32) -> bool {
        self.term == term
    }

    pub(super) fn is_too_old(&self, settings: &PoolSettings, now: Instant) -> bool {
        let limit = settings.lifetime - settings.lifetime / 1000 * self.shorter_by;
        !settings.lifetime.is_zero() && now.saturating_duration_since(self.born) >= limit
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, ServerState::Idle { .. })
    }

    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        match self.state {
            ServerState::Idle { since } => now.saturating_duration_since(since),
            ServerState::Leased => Duration::ZERO,
        }
    }
}

/// What one pool has on one node.
#[derive(Debug)]
pub(super) struct Slots {
    /// The one used last is at the back, and is used next by whoever prefers none.
    pub(super) idle: VecDeque<ServerId>,
    pub(super) leased: u32,
    pub(super) dialing: u32,
    pub(super) term: u32,
    pub(super) load: Arc<NodeLoad>,
    pub(super) standing: Standing,
    dial_failures: u32,
    dial_again_at: Option<Instant>,
}

/// What the last view said of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Dialable,
    Down,
    /// Not even open servers are kept.
    Unwanted,
}

impl Standing {
    pub(super) fn of(node: &NodeView) -> Self {
        match node.health {
            _ if !node.is_wanted() => Self::Unwanted,
            Health::Down(_) => Self::Down,
            Health::Up | Health::Suspect => Self::Dialable,
        }
    }
}

impl Slots {
    pub(super) const fn new(load: Arc<NodeLoad>, term: u32) -> Self {
        Self {
            idle: VecDeque::new(),
            leased: 0,
            dialing: 0,
            term,
            load,
            standing: Standing::Down,
            dial_failures: 0,
            dial_again_at: None,
        }
    }

    /// Takes the idle server that is preferred, or the one used last. Looks through as many as the pool has on the node.
    pub(super) fn take_idle(&mut self, preferred: Option<ServerId>) -> Option<ServerId> {
        let place = preferred.and_then(|server| self.idle.iter().rposition(|&idle| idle == server));
        match place {
            Some(place) => self.idle.remove(place),
            None => self.idle.pop_back(),
        }
    }

    /// Slots in use, dials in flight included.
    pub(super) fn open(&self) -> u32 {
        self.idle.len() as u32 + self.leased + self.dialing
    }

    pub(super) fn may_dial(&self, now: Instant) -> bool {
        self.standing == Standing::Dialable && self.dial_again_at.is_none_or(|at| now >= at)
    }

    pub(super) fn dial_succeeded(&mut self) {
        self.forgive();
    }

    /// `jitter` is below 1000.
    pub(super) fn dial_failed(&mut self, jitter: u32, now: Instant) {
        let pause = BACKOFF_FIRST.saturating_mul(1 << self.dial_failures.min(10)).min(BACKOFF_MAX);
        self.dial_failures += 1;
        self.dial_again_at = Some(now + pause - pause / 4000 * jitter);
    }

    /// The node came back: what failed before says nothing now.
    pub(super) fn forgive(&mut self) {
        self.dial_failures = 0;
        self.dial_again_at = None;
    }
}
