//! What the shell does: asks nodes, dials, notices losses, and carries effects out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::STEP_MS;
use super::clients::Client;
use super::world::{Life, World};
use crate::fixture::named;
use crate::random::Random;
use crate::{
    NodeId, Pool, PoolEffect, PoolSettings, Probe, ProbeFailure, ProbeOutcome, ServerId, Topology,
    TopologySettings, View,
};

const NODES: usize = 4;
const CLIENTS: usize = 16;
const PROBE_TIMEOUT_MS: u64 = 400;

struct Pending {
    node: usize,
    asked_ms: u64,
    answered_ms: u64,
    outcome: Option<ProbeOutcome>,
}

struct Dial {
    node: usize,
    ends_ms: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Opened {
    pub(super) node: usize,
    pub(super) incarnation: u64,
}

pub(super) struct Shell {
    pub(super) world: World,
    pub(super) topology: Topology,
    pub(super) pool: Pool,
    pub(super) settings: (TopologySettings, PoolSettings),
    pub(super) view: Arc<View>,
    pub(super) servers: HashMap<ServerId, Opened>,
    pub(super) clients: Vec<Client>,
    pub(super) random: Random,
    /// The highest timeline that any probe has told of.
    pub(super) timeline_told: u32,
    /// Since when every probe was answered.
    pub(super) answered_since_ms: Vec<u64>,
    /// Leases of reads by node since the misfortunes ended.
    pub(super) calm_reads: [u64; NODES],
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// Leases of the server that the client had last.
    pub(super) familiar: u64,
    start: Instant,
    /// The incarnations that the monitor's own connections lead to.
    watched: Vec<u64>,
    probes: Vec<Pending>,
    dials: Vec<Dial>,
    next_server: u64,
    pub(super) calm: bool,
    digest: u64,
}

impl Shell {
    pub(super) fn new(seed: u64, topology: TopologySettings, pool: PoolSettings) -> Self {
        let start = Instant::now();
        let nodes = (0..NODES).map(|node| named(&format!("n{node}"), 1 + node as u32)).collect();
        let settings = (topology.clone(), pool.clone());
        let topology = Topology::new(nodes, topology, start);
        Self {
            world: World::new(seed, NODES),
            view: topology.view(),
            topology,
            pool: Pool::new(pool, seed),
            settings,
            servers: HashMap::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            random: Random::new(seed ^ 0xABCD),
            timeline_told: 0,
            answered_since_ms: vec![u64::MAX; NODES],
            calm_reads: [0; NODES],
            reads: 0,
            writes: 0,
            familiar: 0,
            start,
            watched: vec![0; NODES],
            probes: Vec::new(),
            dials: Vec::new(),
            next_server: 0,
            calm: false,
            digest: 0,
        }
    }

    pub(super) fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    pub(super) fn ms_of(&self, at: Instant) -> u64 {
        at.duration_since(self.start).as_millis() as u64
    }

    pub(super) fn now(&self) -> Instant {
        self.at(self.world.ms)
    }

    pub(super) const fn leases_of_reads(&self) -> u64 {
        self.reads
    }

    pub(super) const fn leases_of_writes(&self) -> u64 {
        self.writes
    }

    pub(super) const fn promotions(&self) -> u64 {
        self.world.promotions
    }

    /// Equal for equal histories.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.world.heal();
    }

    pub(super) fn step(&mut self) {
        self.world.advance(STEP_MS);
        if !self.calm && self.random.below(25) == 0 {
            self.world.misfortune();
        }
        if self.calm {
            (0..NODES).for_each(|node| self.world.rejoin(node));
        }
        self.notice_losses();
        self.probe();
        self.topology.tick(self.now());
        self.refresh();
        self.end_dials();
        if self.world.ms.is_multiple_of(5 * STEP_MS) {
            self.pooled(Pool::tick);
        }
        self.clients_act();
        self.check();
    }

    /// Runs one call of the pool and carries its effects out.
    pub(super) fn pooled<T>(
        &mut self,
        call: impl FnOnce(&mut Pool, &View, Instant, &mut Vec<PoolEffect>) -> T,
    ) -> T {
        let (view, now, mut effects) = (Arc::clone(&self.view), self.now(), Vec::new());
        let answer = call(&mut self.pool, &view, now, &mut effects);
        for effect in effects {
            self.carry_out(effect);
        }
        answer
    }

    fn carry_out(&mut self, effect: PoolEffect) {
        self.note(&effect);
        match effect {
            PoolEffect::Close { server, .. } => drop(self.servers.remove(&server)),
            PoolEffect::Dial { node } => {
                let takes = (1 + self.random.below(5)) * STEP_MS;
                self.dials.push(Dial { node: node.index(), ends_ms: self.world.ms + takes });
            }
            PoolEffect::Grant { waiter, server, node, .. } => self.granted(waiter, server, node),
            PoolEffect::Refuse { waiter, refusal } => self.refused(waiter, refusal),
        }
    }

    fn note(&mut self, effect: &PoolEffect) {
        let (kind, id) = match effect {
            PoolEffect::Close { server, .. } => (1, server.0),
            PoolEffect::Dial { node } => (2, node.index() as u64),
            PoolEffect::Grant { waiter, .. } => (3, waiter.0),
            PoolEffect::Refuse { waiter, .. } => (4, waiter.0),
        };
        for word in [self.world.ms, kind, id] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn refresh(&mut self) {
        self.topology.check();
        self.view = self.topology.view();
    }

    /// The sockets of dead nodes close, the monitor's too; now and then an operator ends a session.
    fn notice_losses(&mut self) {
        let mut lost: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, opened)| opened.incarnation != self.world.nodes[opened.node].incarnation)
            .map(|(&server, opened)| (server, opened.node))
            .collect();
        lost.sort_unstable();
        if self.random.below(200) == 0 {
            lost.extend(self.servers.iter().map(|(&server, opened)| (server, opened.node)).min());
        }
        for node in 0..NODES {
            let incarnation = self.world.nodes[node].incarnation;
            if std::mem::replace(&mut self.watched[node], incarnation) != incarnation {
                self.answered_since_ms[node] = u64::MAX;
                self.topology.on_connection_lost(NodeId::new(node), self.now());
                self.refresh();
            }
        }
        for (server, node) in lost {
            if self.servers.remove(&server).is_some() {
                self.answered_since_ms[node] = u64::MAX;
                self.topology.on_connection_lost(NodeId::new(node), self.now());
                self.refresh();
                self.lose(server);
            }
        }
    }

    fn probe(&mut self) {
        if self.world.ms.is_multiple_of(10 * STEP_MS) {
            for node in 0..NODES {
                if !self.probes.iter().any(|pending| pending.node == node) {
                    let takes = self.random.below(3) * STEP_MS;
                    let asked_ms = self.world.ms;
                    self.probes.push(Pending {
                        node,
                        asked_ms,
                        answered_ms: asked_ms + takes,
                        outcome: None,
                    });
                }
            }
        }
        let now_ms = self.world.ms;
        for pending in &mut self.probes {
            // Said at one moment between question and answer.
            if pending.outcome.is_none() && (now_ms == pending.answered_ms || self.random.below(2) == 0) {
                let outcome = self.world.answer(pending.node);
                if outcome == ProbeOutcome::Failed(ProbeFailure::TimedOut) {
                    pending.answered_ms = now_ms + PROBE_TIMEOUT_MS;
                    self.answered_since_ms[pending.node] = u64::MAX;
                }
                pending.outcome = Some(outcome);
            }
        }
        let (done, rest) =
            std::mem::take(&mut self.probes).into_iter().partition(|it| it.answered_ms <= now_ms);
        self.probes = rest;
        for Pending { node, asked_ms, answered_ms, outcome } in done {
            let outcome = outcome.expect("decided at the answer at the latest");
            self.heard(node, asked_ms, &outcome);
            let probe = Probe { asked_at: self.at(asked_ms), answered_at: self.at(answered_ms), outcome };
            self.topology.on_probe(NodeId::new(node), probe, self.now());
            self.refresh();
        }
    }

    fn heard(&mut self, node: usize, asked_ms: u64, outcome: &ProbeOutcome) {
        match outcome {
            ProbeOutcome::Answered(report) => {
                self.timeline_told = self.timeline_told.max(report.timeline);
                self.answered_since_ms[node] = self.answered_since_ms[node].min(asked_ms);
            }
            ProbeOutcome::Failed(_) => self.answered_since_ms[node] = u64::MAX,
        }
    }

    fn end_dials(&mut self) {
        let now_ms = self.world.ms;
        let (done, rest) =
            std::mem::take(&mut self.dials).into_iter().partition(|dial| dial.ends_ms <= now_ms);
        self.dials = rest;
        for Dial { node, .. } in done {
            let id = NodeId::new(node);
            let failure = match self.world.nodes[node].life {
                Life::Alive => None,
                Life::Dead => Some(ProbeFailure::Refused),
                Life::Hung => Some(ProbeFailure::TimedOut),
                Life::Starting(_) => Some(ProbeFailure::Starting),
            };
            if let Some(failure) = failure {
                self.topology.on_dial_failed(id, failure, self.now());
                self.refresh();
                self.pooled(|pool, view, now, out| pool.dial_failed(id, view, now, out));
            } else {
                self.topology.on_dial_ok(id, self.now());
                self.refresh();
                let server = ServerId(self.next_server);
                self.next_server += 1;
                let incarnation = self.world.nodes[node].incarnation;
                self.servers.insert(server, Opened { node, incarnation });
                self.pooled(|pool, view, now, out| pool.dialed(id, server, view, now, out));
            }
        }
    }
}
