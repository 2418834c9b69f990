//! Real PostgreSQL clusters on this machine: a primary and its streaming standbys, started from
//! whatever binaries are installed, broken on purpose, and gone without a trace afterwards.
//!
//! Why: promises about replication are only worth something when a real server keeps or breaks
//! them. The demo, the tests and the benches all use these clusters.
//!
//! Invariants: a cluster's processes and its directory end with its [`Cluster`], also after a panic
//! and also when our own process is killed. Two clusters never share a port or a directory.
//!
//! Absent: an async runtime (a test of the proxy owns its runtime), any knowledge of the proxy, and
//! use in the server path. Only caches outlive a run: one initialised data directory a version,
//! below the system's directory for temporary files.

mod account;
mod binaries;
mod certificate;
pub mod client;
mod cluster;
mod companion;
mod directory;
mod error;
mod fault;
mod node;
mod port;
mod settings;
mod template;
mod tool;
mod wait;

pub use binaries::Binaries;
pub use certificate::{Authority, Certificate};
pub use client::Client;
pub use cluster::Cluster;
pub use companion::Companion;
pub use error::{SandboxError, ServerError};
pub use fault::{Direction, Fault, FaultCounters, FaultProxy};
pub use node::{Node, StopMode};
pub use port::PortLease;
pub use settings::{ClusterSettings, Hba};
pub use wait::wait_until;
