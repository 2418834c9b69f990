use std::time::{Duration, Instant};

use super::*;
use crate::fixture::{Cluster, in_recovery, writable};
use crate::{Balance, ProbeFailure, ReadsOnPrimary, TopologySettings};

mod queueing;
mod rules;

const READ: Demand = Demand::new(Access::Read);
const WRITE: Demand = Demand::new(Access::Primary);

/// A pool before a virtual cluster, and a shell that answers dials when the test says so.
struct Pooled {
    cluster: Cluster,
    pool: Pool,
    effects: Vec<PoolEffect>,
    next_server: u64,
}

impl Pooled {
    /// Primary `a` and as many standbys, all caught up.
    fn new(standbys: usize, settings: PoolSettings) -> Self {
        Self::on(Cluster::ready(&vec![1; standbys + 1], TopologySettings::default()), settings)
    }

    fn on(cluster: Cluster, settings: PoolSettings) -> Self {
        Self { cluster, pool: Pool::new(settings, 1), effects: Vec::new(), next_server: 0 }
    }

    fn lease(&mut self, demand: &Demand) -> Lease {
        self.lease_again(demand, &LastServers::default())
    }

    fn lease_again(&mut self, demand: &Demand, last: &LastServers) -> Lease {
        let (view, now) = (self.cluster.view(), self.cluster.now());
        let lease = self.pool.lease(demand, last, &view, now, &mut self.effects);
        self.pool.check(&view, now);
        lease
    }

    /// A lease that must be ready: the server and the index of its node.
    fn ready(&mut self, demand: &Demand) -> (ServerId, usize) {
        match self.lease(demand) {
            Lease::Ready { server, node, .. } => (server, node.index()),
            other => panic!("{other:?}, {:?}", self.pool.counts()),
        }
    }

    fn queued(&mut self, demand: &Demand) -> WaiterId {
        match self.lease(demand) {
            Lease::Queued(waiter) => waiter,
            other => panic!("{other:?}, {:?}", self.pool.counts()),
        }
    }

    fn queue_up(&mut self, count: usize, demand: &Demand) {
        for _ in 0..count {
            self.queued(demand);
        }
    }

    fn event(
        &mut self,
        event: impl FnOnce(&mut Pool, &View, Instant, &mut Vec<PoolEffect>),
    ) -> Vec<PoolEffect> {
        let (view, now) = (self.cluster.view(), self.cluster.now());
        event(&mut self.pool, &view, now, &mut self.effects);
        self.pool.check(&view, now);
        std::mem::take(&mut self.effects)
    }

    fn give_back(&mut self, server: ServerId) -> Vec<PoolEffect> {
        self.event(|pool, view, now, out| pool.give_back(server, view, now, out))
    }

    fn discard(&mut self, server: ServerId) -> Vec<PoolEffect> {
        self.event(|pool, view, now, out| pool.discard(server, view, now, out))
    }

    fn dialed(&mut self, node: usize) -> (ServerId, Vec<PoolEffect>) {
        let server = ServerId(self.next_server);
        self.next_server += 1;
        (server, self.event(|pool, view, now, out| pool.dialed(NodeId::new(node), server, view, now, out)))
    }

    fn dial_failed(&mut self, node: usize) -> Vec<PoolEffect> {
        self.event(|pool, view, now, out| pool.dial_failed(NodeId::new(node), view, now, out))
    }

    fn login_refused(&mut self, node: usize) -> Vec<PoolEffect> {
        let failed = self.dial_failed(node);
        let refused =
            self.event(|pool, view, now, out| pool.login_refused(NodeId::new(node), view, now, out));
        [failed, refused].concat()
    }

    fn tick(&mut self, ms: u64) -> Vec<PoolEffect> {
        self.cluster.pass(ms);
        self.event(Pool::tick)
    }

    /// The nodes of the dials asked for since the last look.
    fn dials(&mut self) -> Vec<usize> {
        dials(&std::mem::take(&mut self.effects))
    }

    /// Opens servers on a node until it has so many idle ones, by leasing and giving back.
    fn open(&mut self, node: usize, count: usize) -> Vec<ServerId> {
        let demand = match node {
            0 => WRITE,
            node => Demand { only: Some(NodeId::new(node)), ..READ },
        };
        let mut servers = Vec::new();
        for _ in 0..count {
            self.queued(&demand);
            assert_eq!(self.dials(), [node]);
            servers.push(self.dialed(node).0);
        }
        for &server in servers.iter().rev() {
            assert!(self.give_back(server).is_empty());
        }
        servers
    }

    fn load(&self, node: usize) -> (u32, u32) {
        let load = &self.cluster.view().nodes[node].load;
        (load.open(), load.in_flight())
    }
}

fn dials(effects: &[PoolEffect]) -> Vec<usize> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            PoolEffect::Dial { node } => Some(node.index()),
            PoolEffect::Close { .. } | PoolEffect::Grant { .. } | PoolEffect::Refuse { .. } => None,
        })
        .collect()
}

fn granted(effects: &[PoolEffect]) -> Vec<(WaiterId, usize)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            PoolEffect::Grant { waiter, node, .. } => Some((*waiter, node.index())),
            PoolEffect::Close { .. } | PoolEffect::Dial { .. } | PoolEffect::Refuse { .. } => None,
        })
        .collect()
}

fn closed(effects: &[PoolEffect]) -> Vec<(ServerId, CloseReason)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            PoolEffect::Close { server, why } => Some((*server, *why)),
            PoolEffect::Dial { .. } | PoolEffect::Grant { .. } | PoolEffect::Refuse { .. } => None,
        })
        .collect()
}

fn refused(effects: &[PoolEffect]) -> Vec<(WaiterId, Refusal)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            PoolEffect::Refuse { waiter, refusal } => Some((*waiter, *refusal)),
            PoolEffect::Close { .. } | PoolEffect::Dial { .. } | PoolEffect::Grant { .. } => None,
        })
        .collect()
}

fn sized(size: u32) -> PoolSettings {
    PoolSettings { size, ..PoolSettings::default() }
}

#[test]
fn every_refusal_has_a_sqlstate_and_a_text() {
    let table = [
        (Refusal::NoNode, "57P03", "no such server is configured"),
        (Refusal::NoPrimary, "57P03", "there is no primary server at the moment"),
        (Refusal::NoStandby, "57P03", "no server is fresh enough to read from at the moment"),
        (Refusal::QueueFull, "53300", "too many clients wait for a server connection already"),
        (Refusal::ServersRefuse, "08004", "the servers refuse connections to this database by this user"),
        (Refusal::WaitedTooLong, "53300", "no server connection became free in time"),
    ];
    for (refusal, sqlstate, text) in table {
        assert_eq!((refusal.sqlstate(), refusal.to_string().as_str()), (sqlstate, text));
    }
}
