//! What an operator is told when the topology changes.

use std::fmt;
use std::sync::Arc;

use crate::{DownReason, NodeId, OutReason};

/// One change of one node, with a text that is fit for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The node.
    pub node: NodeId,
    /// Its configured name.
    pub name: Arc<str>,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is the primary from now on.
    BecamePrimary {
        /// The timeline that it writes.
        timeline: u32,
    },
    /// It is in recovery from now on.
    BecameStandby,
    /// It cannot be reached.
    Down(DownReason),
    /// It serves no reads any more, or for another reason than before.
    LeftService(OutReason),
    /// It was the primary; there is none now.
    NoLongerPrimary,
    /// A reload took it away.
    Removed,
    /// It serves reads again.
    Returned,
    /// It and another node write the same timeline: there is no primary until one of them stops.
    SplitBrain {
        /// The other node's name.
        with: Arc<str>,
    },
    /// It can be reached and serves.
    Up,
}

impl ChangeKind {
    /// Whether service is degraded by it (a warning) or not (a piece of information).
    #[must_use]
    pub const fn is_degradation(&self) -> bool {
        match self {
            Self::Down(_) | Self::LeftService(_) | Self::NoLongerPrimary | Self::SplitBrain { .. } => true,
            Self::BecamePrimary { .. } | Self::BecameStandby | Self::Removed | Self::Returned | Self::Up => {
                false
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}: {}", self.name, self.kind)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BecamePrimary { timeline } => write!(f, "is the primary, on timeline {timeline}"),
            Self::BecameStandby => f.write_str("is a standby"),
            Self::Down(reason) => write!(f, "is down: {reason}"),
            Self::LeftService(reason) => write!(f, "out of service: {reason}"),
            Self::NoLongerPrimary => f.write_str("is no longer the primary; there is none now"),
            Self::Removed => f.write_str("is no longer configured"),
            Self::Returned => f.write_str("serves again"),
            Self::SplitBrain { with } => {
                write!(f, "split brain: it and node {with} are writable on one timeline; writes stop")
            }
            Self::Up => f.write_str("is up"),
        }
    }
}
