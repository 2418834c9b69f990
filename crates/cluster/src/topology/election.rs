//! Who is the primary, from what the nodes said.
//!
//! Invariant: the primary is writable, of this cluster, and on the highest timeline that any node of it last spoke of, nodes
//! that are down included: a node that comes back on an older timeline lacks commits that the cluster acknowledged.

use super::node::Node;
use crate::NodeId;

/// Who takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    Primary(NodeId),
    /// Nobody.
    Vacant,
    /// Two nodes write one timeline.
    Split(NodeId, NodeId),
}

impl Election {
    pub(super) const fn primary(self) -> Option<NodeId> {
        match self {
            Self::Primary(node) => Some(node),
            Self::Vacant | Self::Split(..) => None,
        }
    }
}

/// The system identifier that most nodes have; the present one where that decides nothing.
pub(super) fn system_identifier(nodes: &[Node], present: Option<u64>) -> Option<u64> {
    let of =
        |node: &Node| node.seen().filter(|_| !node.is_removed()).map(|seen| seen.report.system_identifier);
    let votes = |system: u64| nodes.iter().filter(|node| of(node) == Some(system)).count();
    let mut chosen = present;
    for system in nodes.iter().filter_map(of) {
        if chosen.is_none_or(|chosen| votes(system) > votes(chosen)) {
            chosen = Some(system);
        }
    }
    chosen
}

/// The highest timeline of this cluster; 0 before any node has answered.
pub(super) fn timeline(nodes: &[Node], system: Option<u64>) -> u32 {
    let of_ours = |node: &Node| {
        node.seen().filter(|seen| Some(seen.report.system_identifier) == system).map(|s| s.report.timeline)
    };
    nodes.iter().filter(|node| !node.is_removed()).filter_map(of_ours).max().unwrap_or(0)
}

pub(super) fn elect(nodes: &[Node], system: Option<u64>, timeline: u32) -> Election {
    let claims = |node: &&Node| {
        node.claims_writes()
            && node.seen().is_some_and(|seen| {
                Some(seen.report.system_identifier) == system && seen.report.timeline == timeline
            })
    };
    let mut claimants = nodes.iter().filter(claims);
    match (claimants.next(), claimants.next()) {
        (Some(one), Some(other)) => Election::Split(one.id, other.id),
        (Some(one), None) if !one.health().is_down() => Election::Primary(one.id),
        (Some(_) | None, _) => Election::Vacant,
    }
}
