//! What a session asks a pool for.

use std::time::{Duration, Instant};

use pgweir_wire::Lsn;

use crate::{NodeId, NodeSet};

/// Which kind of node a demand needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The primary and nothing else.
    Primary,
    /// A node that is fresh enough to read from.
    Read,
}

/// What a lease must satisfy. Every condition is met by proof, never by lack of knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Which kind of node.
    pub access: Access,
    /// A standby must hold everything that was committed before this moment.
    pub fresh_as_of: Option<Instant>,
    /// A standby must have replayed up to here.
    pub floor: Option<Lsn>,
    /// Standbys that were tried already. It never rules the primary out, also not one that was a standby when it was tried.
    pub exclude: NodeSet,
    /// This node or none. It must still be fit, except that the primary may then read whatever `reads_on_primary` says.
    pub only: Option<NodeId>,
    /// A standby's data must be proven to be no older; its cluster's own bound holds as well.
    pub staleness_max: Option<Duration>,
    /// The primary must not read while a standby is fit, also where it takes part in reads.
    pub spares_primary: bool,
}

impl Demand {
    /// A demand without further conditions.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self {
            access,
            fresh_as_of: None,
            floor: None,
            exclude: NodeSet::EMPTY,
            only: None,
            staleness_max: None,
            spares_primary: false,
        }
    }

    /// Whether this node was asked for, or none in particular.
    pub(crate) fn names(&self, node: NodeId) -> bool {
        self.only.is_none_or(|only| only == node)
    }
}
