//! One moment's knowledge about the cluster, as every decision sees it.
//!
//! Invariant: a view only grows older, never wrong: what it says a node *holds* stays true, and what it says about a node's
//! age is computed for the moment of the question. So a decision on a view that is some milliseconds old is safe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweir_wire::Lsn;

use crate::{
    Access, Balance, Demand, Health, NodeId, NodeLoad, NodeSet, OutReason, ReadsOnPrimary, TopologySettings,
};

/// One moment's knowledge about the cluster.
#[derive(Clone, Debug)]
pub struct View {
    /// By [`NodeId::index`]; nodes that a reload removed stay, with [`OutReason::Removed`].
    pub nodes: Vec<NodeView>,
    /// The node that takes writes.
    pub primary: Option<NodeId>,
    /// The settings that this view was made under.
    pub settings: Arc<TopologySettings>,
    /// Grows with each new view; the first is 1.
    pub generation: u64,
}

/// One moment's knowledge about a node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// The node.
    pub id: NodeId,
    /// Its configured name.
    pub name: Arc<str>,
    /// Its configured weight.
    pub weight: u32,
    /// Its configured zone.
    pub zone: Option<Arc<str>>,
    /// What it is, from observation.
    pub role: Role,
    /// Whether it can be reached.
    pub health: Health,
    /// Whether it may serve reads, whatever a demand asks beyond that; if not, why. The primary may as far as it can be
    /// reached; whether it should is `reads_on_primary`.
    pub serves_reads: Result<(), OutReason>,
    /// WAL that it lacks, as of the newest sample of the primary.
    pub lag_bytes: Option<u64>,
    /// It holds all that was committed before this moment.
    pub fresh_as_of: Option<Instant>,
    /// It holds all that the primary had flushed by this moment: its age is counted from here.
    pub flushed_as_of: Option<Instant>,
    /// It has replayed at least up to here; none while that is in doubt.
    pub replay: Option<Lsn>,
    /// What it last said about its replay.
    pub replay_paused: bool,
    /// The timeline that it last spoke of; 0 before it did.
    pub timeline: u32,
    /// The system identifier that it last spoke of; 0 before it did.
    pub system_identifier: u64,
    /// Grows when server connections opened before are of no more use: the process ended, or is no longer the primary.
    pub term: u32,
    /// How busy it is.
    pub load: Arc<NodeLoad>,
    /// Staleness is counted up to this moment while nobody can have written since.
    pub(crate) clock_stopped_at: Option<Instant>,
}

/// What a node is, from observation and never from a name in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes. At most one node has this role.
    Primary,
    /// In recovery, when last heard of.
    Standby,
    /// Never heard of, or writable without being the primary.
    Unknown,
}

/// How old a node's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// At most this.
    Known(Duration),
    /// No bound is proven.
    Unknown,
}

impl NodeView {
    /// How old its data is at `now`; zero for the primary.
    #[must_use]
    pub fn staleness_at(&self, now: Instant) -> Staleness {
        if self.role == Role::Primary {
            return Staleness::Known(Duration::ZERO);
        }
        let until = self.clock_stopped_at.map_or(now, |stopped| stopped.min(now));
        match self.flushed_as_of {
            Some(then) => Staleness::Known(until.saturating_duration_since(then)),
            None => Staleness::Unknown,
        }
    }

    /// Whether it is a standby that may serve this demand at `now`.
    fn serves(&self, demand: &Demand, staleness_max: Duration, now: Instant) -> bool {
        let ruled_out = demand.exclude.contains(self.id) || !demand.names(self.id);
        if self.role != Role::Standby || self.serves_reads.is_err() || ruled_out {
            return false;
        }
        let young = match self.staleness_at(now) {
            Staleness::Known(age) => age <= demand.staleness_max.unwrap_or(staleness_max).min(staleness_max),
            // `serves_reads` has decided on it, but on no bound of the demand's own.
            Staleness::Unknown => demand.staleness_max.is_none(),
        };
        let fresh =
            demand.fresh_as_of.is_none_or(|wanted| self.fresh_as_of.is_some_and(|fresh| fresh >= wanted));
        let floored = demand.floor.is_none_or(|floor| self.replay.is_some_and(|replay| replay >= floor));
        young && fresh && floored
    }

    /// Whether server connections to it should be kept.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        match self.serves_reads {
            Err(
                OutReason::Removed
                | OutReason::ForeignSystem { .. }
                | OutReason::OldTimeline { .. }
                | OutReason::ReadOnlyPrimary
                | OutReason::SplitBrain,
            ) => false,
            Ok(())
            | Err(
                OutReason::Down(_)
                | OutReason::Lagging { .. }
                | OutReason::NeverSeen
                | OutReason::ReplayUnknown
                | OutReason::Stale { .. },
            ) => true,
        }
    }
}

impl View {
    /// One node. `None` only for a node of another topology.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeView> {
        self.nodes.get(node.index())
    }

    /// The node of this name, if one is configured at present.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<NodeId> {
        self.configured().find(|node| *node.name == *name).map(|node| node.id)
    }

    /// The nodes that are configured at present.
    pub fn configured(&self) -> impl Iterator<Item = &NodeView> {
        self.nodes.iter().filter(|node| node.serves_reads != Err(OutReason::Removed))
    }

    /// The nodes that may serve this demand at `now`, busy or not.
    #[must_use]
    pub fn candidates(&self, demand: &Demand, now: Instant) -> NodeSet {
        let primary = self.primary.filter(|&node| demand.names(node)).map_or(NodeSet::EMPTY, NodeSet::of);
        if demand.access == Access::Primary {
            return primary;
        }
        let max = self.settings.staleness_max;
        let mut fit: NodeSet =
            self.nodes.iter().filter(|node| node.serves(demand, max, now)).map(|node| node.id).collect();
        let with_primary = match self.settings.reads_on_primary {
            ReadsOnPrimary::Never => demand.only.is_some(),
            ReadsOnPrimary::WhenNone => fit.is_empty(),
            ReadsOnPrimary::Always => !demand.spares_primary || fit.is_empty(),
        };
        if with_primary {
            primary.iter().for_each(|node| fit.insert(node));
        }
        self.weighty(fit)
    }

    /// A weight of 0 means no reads, unless no other node fits.
    fn weighty(&self, fit: NodeSet) -> NodeSet {
        if self.settings.balance != Balance::Weighted {
            return fit;
        }
        let some: NodeSet =
            fit.iter().filter(|&node| self.node(node).is_some_and(|it| it.weight > 0)).collect();
        if some.is_empty() { fit } else { some }
    }

    /// Whether this node may serve this demand at `now`. The primary may serve a read even where a standby should.
    #[must_use]
    pub fn may_serve(&self, node: NodeId, demand: &Demand, now: Instant) -> bool {
        if self.primary == Some(node) {
            let reads = self.settings.reads_on_primary != ReadsOnPrimary::Never || demand.only.is_some();
            return demand.names(node) && (demand.access == Access::Primary || reads);
        }
        demand.access == Access::Read
            && self.node(node).is_some_and(|it| it.serves(demand, self.settings.staleness_max, now))
    }

    /// Whether any configured node could serve this demand, were it up, fresh and of the right role.
    #[must_use]
    pub fn could_ever_serve(&self, demand: &Demand) -> bool {
        self.configured().any(|node| demand.names(node.id))
    }
}
