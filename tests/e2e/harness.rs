//! A cluster with pgweir before it, as a test wants it.
//!
//! Why here: tests say what differs from the plain case, a primary with its standbys behind a pgweir that trusts
//! everybody, and get addresses, clients, metrics and the log.
//! Invariant: when a test ends, pgweir must have logged no panic; when it fails, the log is printed.

mod messages;
mod pgweir;
mod random;
mod setup;
mod traffic;
mod transcript;

use std::net::{Ipv4Addr, SocketAddr};

use pgweir_sandbox::client::{Address, Wire};
use pgweir_sandbox::{Client, Cluster, Node, SandboxError};

pub(crate) use messages::{bind, cancel_request, execute, message, parse, query, startup, sync};
pub(crate) use pgweir::Pgweir;
pub(crate) use random::{Random, seed_from};
pub(crate) use setup::{NodeEntry, Setup, program};
pub(crate) use traffic::{Clients, with_traffic};
pub(crate) use transcript::{ask, difference, without_source};

/// A running cluster and the pgweir before it.
pub(crate) struct Site {
    /// First, so that it ends before the nodes do.
    pub(crate) pgweir: Pgweir,
    pub(crate) cluster: Cluster,
}

impl Site {
    /// A client of pgweir, logged in as `postgres` to the database `postgres`.
    pub(crate) fn connect(&self) -> Client {
        self.try_connect("postgres", "postgres").expect("pgweir lets a client in")
    }

    /// A client of pgweir.
    pub(crate) fn try_connect(&self, user: &str, database: &str) -> Result<Client, SandboxError> {
        Client::connect(&self.pgweir.address(), user, database)
    }

    /// A connection to pgweir on which nothing was said yet.
    pub(crate) fn wire(&self) -> Wire {
        Wire::connect(&self.pgweir.address()).expect("pgweir accepts a connection")
    }

    /// The primary's port, as `SHOW port` says it.
    pub(crate) fn primary_port(&self) -> String {
        self.cluster.primary().port().to_string()
    }

    /// Waits until pgweir sends reads to exactly these nodes, or knows that it must not.
    pub(crate) fn wait_serving(&self, nodes: &[&Node]) {
        let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
        self.wait_for(&format!("pgweir reads from {names:?}"), || {
            self.cluster.standbys().iter().all(|standby| {
                self.pgweir.serves_reads(standby.name()) == Some(names.contains(&standby.name()))
            })
        });
    }

    /// Waits for something that must come true.
    pub(crate) fn wait_for(&self, what: &str, condition: impl FnMut() -> bool) {
        wait_for(what, condition);
    }

    /// Waits until every standby has what was written up to now.
    pub(crate) fn wait_caught_up(&self) {
        self.cluster.wait_caught_up(setup::WITHIN).expect("the standbys catch up");
    }
}

/// Waits for something that must come true.
#[track_caller]
pub(crate) fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    if let Err(error) = pgweir_sandbox::wait_until(setup::WITHIN, what, condition) {
        panic!("{error}");
    }
}

/// The TCP address of a port on this machine.
pub(crate) fn local(port: u16) -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}
