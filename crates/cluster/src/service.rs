//! Why a node serves no reads.

use std::fmt;
use std::time::Duration;

use crate::DownReason;

/// Why a node serves no reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutReason {
    /// It cannot be reached.
    Down(DownReason),
    /// It belongs to another cluster.
    ForeignSystem {
        /// The system identifier of this cluster.
        ours: u64,
        /// The node's.
        theirs: u64,
    },
    /// It lacks too much WAL.
    Lagging {
        /// How much.
        bytes: u64,
        /// The limit: `lag_bytes_max`, or the part of it at which a node returns.
        max: u64,
    },
    /// No answer yet.
    NeverSeen,
    /// It follows, or writes, a timeline that the cluster has left.
    OldTimeline {
        /// The timeline of this cluster.
        ours: u32,
        /// The node's.
        theirs: u32,
    },
    /// It was the primary until a server said that it is read-only; the next probe tells.
    ReadOnlyPrimary,
    /// A reload took it away.
    Removed,
    /// How old it is cannot be known: no position of the primary is as old as what it has replayed.
    ReplayUnknown,
    /// Another node is writable on the same timeline.
    SplitBrain,
    /// It is too old.
    Stale {
        /// How old.
        staleness: Duration,
        /// The limit: `staleness_max`, or the part of it at which a node returns.
        max: Duration,
    },
}

impl OutReason {
    /// A stable word for metrics and the console.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Down(_) => "down",
            Self::ForeignSystem { .. } => "foreign_system",
            Self::Lagging { .. } => "lagging",
            Self::NeverSeen => "never_seen",
            Self::OldTimeline { .. } => "old_timeline",
            Self::ReadOnlyPrimary => "read_only_primary",
            Self::Removed => "removed",
            Self::ReplayUnknown => "replay_unknown",
            Self::SplitBrain => "split_brain",
            Self::Stale { .. } => "stale",
        }
    }
}

impl fmt::Display for OutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(reason) => write!(f, "down: {reason}"),
            Self::ForeignSystem { ours, theirs } => {
                write!(f, "belongs to another cluster: system identifier {theirs}, expected {ours}")
            }
            Self::Lagging { bytes, max } => write!(f, "lacks {bytes} bytes of WAL, at most {max} allowed"),
            Self::NeverSeen => f.write_str("has not answered yet"),
            Self::OldTimeline { ours, theirs } => {
                write!(f, "is on timeline {theirs}, the cluster is on {ours}")
            }
            Self::ReadOnlyPrimary => f.write_str("was the primary but has become read-only"),
            Self::Removed => f.write_str("is no longer configured"),
            Self::ReplayUnknown => f.write_str("has not yet replayed to a known position of the primary"),
            Self::SplitBrain => f.write_str("is writable, and so is another node on the same timeline"),
            Self::Stale { staleness, max } => {
                write!(
                    f,
                    "is {:.1} s old, at most {:.1} s allowed",
                    staleness.as_secs_f64(),
                    max.as_secs_f64()
                )
            }
        }
    }
}
