//! Decides which node may serve a demand, and which of its slots.
//!
//! Why here: choosing a node and taking a slot must be one step, or two sessions pick the last slot; and what is known about
//! a node must be one snapshot, or a read goes to a standby that has just been found too old.
//!
//! [`Topology`] (one a cluster) learns from probes and from failures seen in passing, and publishes an immutable [`View`].
//! [`Pool`] (one a database and user) owns the slots of every node and the queue in front of them; it asks the `View`.
//!
//! Invariants:
//! - A decision never names a node that fails the [`Demand`]: what is not proven counts as not so.
//! - There is at most one primary, and none while two nodes claim to be it.
//! - Waiters are served in the order in which they came, among those that a freed slot may serve.
//!
//! Absent: SQL, bytes, sockets, clocks and randomness. `now` and seeds are arguments, dials and closes are effects.

mod balance;
mod budget;
mod change;
mod demand;
mod freshness;
mod health;
mod ids;
mod last;
mod load;
mod pool;
mod probe;
mod random;
mod refusal;
mod service;
mod settings;
mod topology;
mod view;

pub use budget::RetryBudget;
pub use change::{Change, ChangeKind};
pub use demand::{Access, Demand};
pub use health::{DownReason, Health};
pub use ids::{NODES_MAX, NodeId, NodeSet, ServerId, WaiterId};
pub use last::LastServers;
pub use load::NodeLoad;
pub use pool::{CloseReason, Lease, NodeCounts, Pool, PoolCounts, PoolEffect};
pub use probe::{NodeReport, Probe, ProbeFailure, ProbeOutcome};
pub use refusal::Refusal;
pub use service::OutReason;
pub use settings::{Balance, NodeSettings, PoolSettings, ReadsOnPrimary, TopologySettings};
pub use topology::{TooManyNodes, Topology};
pub use view::{NodeView, Role, Staleness, View};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod sim;
