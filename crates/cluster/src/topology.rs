//! What is known about the nodes of one cluster: fed by the monitor and by what sessions notice, published as a [`View`].
//!
//! Freshness while there is no primary: as long as no node is known to take writes, nobody can have written, so the staleness
//! of every standby stands still at the last moment at which writes are known (the last sample of the primary, or the last
//! time a standby was seen to receive more) and reads go on. It runs again with the next primary, and it runs under split
//! brain, where two nodes may be writing. If no primary was ever seen, standbys serve once every node was heard of or given up.
//!
//! Invariants: what a probe says counts only if it was asked after the last doubt about its node; a demoted primary is
//! no primary at once; a node that is in nobody's settings any more keeps its [`NodeId`] for ever.
//!
//! Absent: asking (the shell does), and pools: a `View` is all they get.

mod election;
mod node;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use pgweir_wire::Lsn;

use crate::freshness::{Origin, Samples};
use crate::{
    Change, ChangeKind, NODES_MAX, NodeId, NodeSettings, OutReason, Probe, ProbeFailure, ProbeOutcome,
    TopologySettings, View,
};
use election::Election;
use node::{Circumstances, Node};

/// More nodes than [`NODES_MAX`] over the life of the process, those removed by reloads included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyNodes;

impl fmt::Display for TooManyNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {NODES_MAX} nodes since the start, removed ones included: a restart is needed")
    }
}

impl std::error::Error for TooManyNodes {}

/// What is known about the nodes of one cluster.
#[derive(Debug)]
pub struct Topology {
    nodes: Vec<Node>,
    settings: Arc<TopologySettings>,
    system_identifier: Option<u64>,
    samples: Samples,
    election: Election,
    /// The furthest that any standby has received, and when it was seen to grow.
    received: Option<(Lsn, Instant)>,
    view: Arc<View>,
}

impl Topology {
    /// A topology in which no node has answered yet.
    ///
    /// # Panics
    /// With more than [`NODES_MAX`] nodes.
    #[must_use]
    pub fn new(nodes: Vec<NodeSettings>, settings: TopologySettings, now: Instant) -> Self {
        assert!(nodes.len() <= NODES_MAX, "settings are checked before they get here");
        let number = |(index, settings)| Node::new(NodeId::new(index), settings);
        let settings = Arc::new(settings);
        let view = View { nodes: Vec::new(), primary: None, settings: Arc::clone(&settings), generation: 0 };
        let mut topology = Self {
            nodes: nodes.into_iter().enumerate().map(number).collect(),
            settings,
            system_identifier: None,
            samples: Samples::default(),
            election: Election::Vacant,
            received: None,
            view: Arc::new(view),
        };
        topology.publish(now);
        topology
    }

    /// The present knowledge.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// A probe was answered or failed.
    pub fn on_probe(&mut self, node: NodeId, probe: Probe, now: Instant) -> Vec<Change> {
        let (rise, fall) = (self.settings.rise, self.settings.fall);
        let Some(it) = self.configured(node) else { return Vec::new() };
        let was_writable = it.seen().is_some_and(|seen| !seen.report.in_recovery);
        let mut told = Vec::new();
        match probe.outcome {
            ProbeOutcome::Failed(failure) => it.failed(failure, now, fall),
            ProbeOutcome::Answered(report) => {
                if !it.answered(report, probe.asked_at, probe.answered_at, rise) {
                    return Vec::new();
                }
                if was_writable && report.in_recovery {
                    told.push(Change { node, name: Arc::clone(&it.name), kind: ChangeKind::BecameStandby });
                }
                if report.in_recovery {
                    self.note_received(
                        report.received.unwrap_or_default().max(report.lsn),
                        probe.answered_at,
                    );
                }
            }
        }
        told.extend(self.settle(now));
        told
    }

    /// A connection to the node broke. The monitor's own counts too and must be told at once: until then what a standby proved
    /// before a restart is believed, and it may have come back with less.
    pub fn on_connection_lost(&mut self, node: NodeId, now: Instant) -> Vec<Change> {
        self.on_passing_failure(node, ProbeFailure::Closed, now)
    }

    /// A dial failed. Refused logins say nothing about the node's health and are ignored.
    pub fn on_dial_failed(&mut self, node: NodeId, failure: ProbeFailure, now: Instant) -> Vec<Change> {
        match failure {
            ProbeFailure::AuthenticationFailed | ProbeFailure::Other => Vec::new(),
            ProbeFailure::Closed
            | ProbeFailure::Refused
            | ProbeFailure::Starting
            | ProbeFailure::TimedOut
            | ProbeFailure::Tls => self.on_passing_failure(node, failure, now),
        }
    }

    /// A dial went through.
    pub fn on_dial_ok(&mut self, node: NodeId, now: Instant) -> Vec<Change> {
        let Some(it) = self.configured(node) else { return Vec::new() };
        it.reached();
        self.settle_if_changed(now)
    }

    /// The primary answered 25006 to a statement that no setting of the session made read-only: it may have been demoted. It is
    /// not used for writes before a probe that is asked from now on says that it is writable.
    pub fn on_read_only_error(&mut self, node: NodeId, now: Instant) -> Vec<Change> {
        if self.election.primary() != Some(node) {
            return Vec::new();
        }
        let Some(it) = self.configured(node) else { return Vec::new() };
        it.said_read_only(now);
        self.settle(now)
    }

    /// Time passed: standbys age and silent nodes go down. To be called at least once a probe interval.
    pub fn tick(&mut self, now: Instant) -> Vec<Change> {
        self.settle_if_changed(now)
    }

    /// A reload. Nodes are matched by name; those of no name in `nodes` are removed.
    ///
    /// # Errors
    /// [`TooManyNodes`]; then nothing has changed.
    pub fn apply_settings(
        &mut self,
        nodes: Vec<NodeSettings>,
        settings: TopologySettings,
        now: Instant,
    ) -> Result<Vec<Change>, TooManyNodes> {
        let known = |settings: &NodeSettings| self.nodes.iter().any(|node| *node.name == *settings.name);
        let fresh = nodes.iter().filter(|settings| !known(settings)).count();
        if self.nodes.len() + fresh > NODES_MAX {
            return Err(TooManyNodes);
        }
        self.settings = Arc::new(settings);
        let mut changes = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| !node.is_removed()) {
            if !nodes.iter().any(|settings| *settings.name == *node.name) {
                node.remove();
                changes.push(Change {
                    node: node.id,
                    name: Arc::clone(&node.name),
                    kind: ChangeKind::Removed,
                });
            }
        }
        for settings in nodes {
            match self.nodes.iter_mut().find(|node| *node.name == *settings.name) {
                Some(node) => node.configure(settings),
                None => self.nodes.push(Node::new(NodeId::new(self.nodes.len()), settings)),
            }
        }
        changes.extend(self.settle(now));
        Ok(changes)
    }

    /// Asserts what must always hold.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn check(&self) {
        self.samples.check();
        assert_eq!(self.view.primary, self.election.primary());
        assert_eq!(self.view.nodes.len(), self.nodes.len());
        let writable = self.view.nodes.iter().filter(|node| node.role == crate::Role::Primary);
        assert_eq!(writable.map(|node| node.id).collect::<Vec<_>>(), Vec::from_iter(self.view.primary));
        for (node, view) in self.nodes.iter().zip(&self.view.nodes) {
            assert!(view.serves_reads.is_err() || !node.is_removed(), "a removed node serves nothing");
            assert!(
                view.serves_reads.is_err() || !view.health.is_down(),
                "a node that is down serves nothing"
            );
            assert!(view.fresh_as_of.is_none() || view.replay.is_some(), "freshness follows from replay");
        }
    }

    fn configured(&mut self, node: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(node.index()).filter(|node| !node.is_removed())
    }

    fn on_passing_failure(&mut self, node: NodeId, failure: ProbeFailure, now: Instant) -> Vec<Change> {
        let settings = Arc::clone(&self.settings);
        let Some(it) = self.configured(node) else { return Vec::new() };
        it.lost(failure, now, &settings);
        self.settle(now)
    }

    fn note_received(&mut self, lsn: Lsn, now: Instant) {
        if self.received.is_none_or(|(furthest, _)| lsn > furthest) {
            self.received = Some((lsn, now));
        }
    }

    /// Draws all conclusions, publishes them, and tells what changed.
    fn settle(&mut self, now: Instant) -> Vec<Change> {
        let changes = self.conclude(now);
        self.publish(now);
        changes
    }

    fn settle_if_changed(&mut self, now: Instant) -> Vec<Change> {
        let changes = self.conclude(now);
        let health_changed =
            || self.nodes.iter().zip(&self.view.nodes).any(|(node, view)| node.health() != view.health);
        if !changes.is_empty() || health_changed() {
            self.publish(now);
        }
        changes
    }

    fn conclude(&mut self, now: Instant) -> Vec<Change> {
        let silent_after = self.settings.probe_fresh_for;
        self.nodes.iter_mut().for_each(|node| node.note_silence(now, silent_after));
        self.system_identifier = election::system_identifier(&self.nodes, self.system_identifier);
        let timeline = election::timeline(&self.nodes, self.system_identifier);
        let election = election::elect(&self.nodes, self.system_identifier, timeline);
        let mut changes = self.succeed(election, timeline);
        self.sample();
        changes.extend(self.judge(now));
        changes
    }

    /// Takes the outcome of an election.
    fn succeed(&mut self, election: Election, timeline: u32) -> Vec<Change> {
        let before = std::mem::replace(&mut self.election, election);
        if before == election {
            return Vec::new();
        }
        if let Some(old) = before.primary()
            && !self.nodes[old.index()].health().is_down()
        {
            self.nodes[old.index()].lost_primacy();
        }
        let change =
            |node: NodeId, kind| Change { node, name: Arc::clone(&self.nodes[node.index()].name), kind };
        let mut changes = Vec::new();
        if let (Some(old), None) = (before.primary(), election.primary()) {
            changes.push(change(old, ChangeKind::NoLongerPrimary));
        }
        match election {
            Election::Primary(node) => changes.push(change(node, ChangeKind::BecamePrimary { timeline })),
            Election::Split(one, other) => {
                let with = Arc::clone(&self.nodes[other.index()].name);
                changes.push(change(one, ChangeKind::SplitBrain { with }));
            }
            Election::Vacant => {}
        }
        changes
    }

    fn sample(&mut self) {
        let Some(node) = self.election.primary() else { return };
        let Some(seen) = self.nodes[node.index()].seen() else { return };
        let report = &seen.report;
        let origin = Origin { node, system_identifier: report.system_identifier, timeline: report.timeline };
        if self.samples.add(origin, seen.asked_at, report) {
            self.nodes.iter_mut().for_each(Node::forget_freshness);
            self.received = None;
        }
    }

    fn judge(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut nodes = std::mem::take(&mut self.nodes);
        let with = self.circumstances(&nodes, now);
        for node in &mut nodes {
            let before = node.verdict;
            node.judge(&with);
            if let Some(kind) = change_of_verdict(before, node.verdict) {
                changes.push(Change { node: node.id, name: Arc::clone(&node.name), kind });
            }
        }
        self.nodes = nodes;
        changes
    }

    fn circumstances<'a>(&'a self, nodes: &[Node], now: Instant) -> Circumstances<'a> {
        Circumstances {
            settings: &self.settings,
            samples: &self.samples,
            primary: self.election.primary(),
            system_identifier: self.system_identifier,
            timeline: election::timeline(nodes, self.system_identifier),
            clock_stopped_at: match self.election {
                Election::Vacant => self.samples.newest_at().max(self.received.map(|(_, at)| at)),
                Election::Primary(_) | Election::Split(..) => None,
            },
            awaits_first_answers: nodes.iter().any(|node| !node.is_removed() && node.is_never_seen()),
            now,
        }
    }

    fn publish(&mut self, now: Instant) {
        let with = self.circumstances(&self.nodes, now);
        let nodes = self.nodes.iter().map(|node| node.view(&with)).collect();
        let primary = self.election.primary();
        let settings = Arc::clone(&self.settings);
        self.view = Arc::new(View { nodes, primary, settings, generation: self.view.generation + 1 });
    }
}

/// What to tell about a node whose verdict went from `before` to `after`. Numbers in a reason are not news.
fn change_of_verdict(before: Result<(), OutReason>, after: Result<(), OutReason>) -> Option<ChangeKind> {
    match (before, after) {
        (Ok(()), Ok(())) => None,
        (Err(OutReason::NeverSeen | OutReason::Down(_)), Ok(())) => Some(ChangeKind::Up),
        (Err(_), Ok(())) => Some(ChangeKind::Returned),
        (Err(before), Err(after)) if before.code() == after.code() => None,
        (_, Err(OutReason::Down(reason))) => Some(ChangeKind::Down(reason)),
        (_, Err(OutReason::Removed | OutReason::NeverSeen)) => None, // told as a removal, or nothing to tell
        (_, Err(reason)) => Some(ChangeKind::LeftService(reason)),
    }
}

#[cfg(test)]
mod tests;
