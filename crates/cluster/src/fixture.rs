//! A cluster under a virtual clock, for unit tests: nodes say what the test tells them to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweir_wire::Lsn;

use crate::{
    Change, NodeId, NodeReport, NodeSettings, Probe, ProbeFailure, ProbeOutcome, Topology, TopologySettings,
    View,
};

pub(crate) const SYSTEM: u64 = 7_000_000_000_000_000_001;
pub(crate) const SEGMENT_BYTES: u64 = 16 << 20;

pub(crate) struct Cluster {
    pub(crate) topology: Topology,
    now: Instant,
}

impl Cluster {
    /// Nodes named `a`, `b`, `c`, ... with these weights.
    pub(crate) fn new(weights: &[u32], settings: TopologySettings) -> Self {
        let now = Instant::now();
        let nodes =
            weights.iter().zip('a'..).map(|(&weight, name)| named(&name.to_string(), weight)).collect();
        Self { topology: Topology::new(nodes, settings, now), now }
    }

    /// A primary `a` and standbys that have everything.
    pub(crate) fn ready(weights: &[u32], settings: TopologySettings) -> Self {
        let mut cluster = Self::new(weights, settings);
        cluster.all_caught_up(1000);
        cluster
    }

    pub(crate) fn all_caught_up(&mut self, lsn: u64) {
        self.primary(0, lsn);
        (1..self.topology.view().nodes.len()).for_each(|node| drop(self.standby(node, lsn)));
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn pass(&mut self, ms: u64) -> Vec<Change> {
        self.now += Duration::from_millis(ms);
        let changes = self.topology.tick(self.now);
        self.topology.check();
        changes
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.topology.view()
    }

    pub(crate) fn primary(&mut self, node: usize, lsn: u64) -> Vec<String> {
        self.says(node, writable(1, lsn))
    }

    pub(crate) fn standby(&mut self, node: usize, lsn: u64) -> Vec<String> {
        self.says(node, in_recovery(1, lsn))
    }

    pub(crate) fn says(&mut self, node: usize, report: NodeReport) -> Vec<String> {
        self.probe(node, ProbeOutcome::Answered(report))
    }

    pub(crate) fn fails(&mut self, node: usize, failure: ProbeFailure) -> Vec<String> {
        self.probe(node, ProbeOutcome::Failed(failure))
    }

    fn probe(&mut self, node: usize, outcome: ProbeOutcome) -> Vec<String> {
        let probe = Probe { asked_at: self.now, answered_at: self.now, outcome };
        let changes = self.topology.on_probe(NodeId::new(node), probe, self.now);
        self.topology.check();
        texts(&changes)
    }

    /// Why the node is out of service, as the code for metrics; `in` if it is not.
    pub(crate) fn service(&self, node: usize) -> &'static str {
        self.view().nodes[node].serves_reads.map_or_else(|reason| reason.code(), |()| "in")
    }

    /// The name of the primary.
    pub(crate) fn primary_name(&self) -> Option<String> {
        let view = self.view();
        view.primary.map(|node| view.nodes[node.index()].name.to_string())
    }
}

pub(crate) fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

pub(crate) fn named(name: &str, weight: u32) -> NodeSettings {
    NodeSettings { name: name.to_owned(), weight, zone: None }
}

pub(crate) fn writable(timeline: u32, lsn: u64) -> NodeReport {
    NodeReport {
        in_recovery: false,
        timeline,
        system_identifier: SYSTEM,
        lsn: Lsn::new(lsn),
        flushed: Lsn::new(lsn),
        received: None,
        replay_paused: false,
        wal_segment_bytes: SEGMENT_BYTES,
    }
}

pub(crate) fn in_recovery(timeline: u32, lsn: u64) -> NodeReport {
    NodeReport { in_recovery: true, received: Some(Lsn::new(lsn)), ..writable(timeline, lsn) }
}
