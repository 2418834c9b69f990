//! Clients: they write, read back what they wrote, wait, and leave.

use std::time::Duration;

use super::shell::Shell;
use crate::{Access, Demand, LastServers, Lease, NodeId, NodeSet, Refusal, ServerId, WaiterId};

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) state: State,
    wrote_ms: Option<u64>,
    /// Half of the clients are familiar with servers.
    pub(super) last: LastServers,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Resting { until_ms: u64 },
    Waiting { waiter: WaiterId, demand: Demand, since_ms: u64, leaves_ms: u64 },
    Working { server: ServerId, node: usize, access: Access, until_ms: u64 },
}

impl Default for State {
    fn default() -> Self {
        Self::Resting { until_ms: 0 }
    }
}

impl Shell {
    pub(super) fn clients_act(&mut self) {
        let now_ms = self.world.ms;
        for client in 0..self.clients.len() {
            match self.clients[client].state {
                State::Resting { until_ms } if until_ms <= now_ms => self.ask(client),
                State::Working { server, node, access, until_ms } if until_ms <= now_ms => {
                    self.finish(client, server, node, access);
                }
                State::Waiting { waiter, leaves_ms, .. } if leaves_ms <= now_ms => {
                    assert!(self.pool.abandon(waiter), "it has neither been granted nor refused");
                    self.rest(client);
                }
                State::Resting { .. } | State::Working { .. } | State::Waiting { .. } => {}
            }
        }
    }

    fn ask(&mut self, client: usize) {
        let demand = self.demand(client);
        let last = self.clients[client].last.clone();
        let lease = self.pooled(|pool, view, now, out| pool.lease(&demand, &last, view, now, out));
        let now_ms = self.world.ms;
        match lease {
            Lease::Ready { server, node, .. } => {
                self.expect_familiar(server, last.on(node));
                self.work(client, server, node, &demand);
            }
            Lease::Queued(waiter) => {
                let leaves_ms =
                    if self.random.below(5) == 0 { now_ms + self.random.below(800) } else { u64::MAX };
                self.clients[client].state = State::Waiting { waiter, demand, since_ms: now_ms, leaves_ms };
            }
            Lease::Refused(Refusal::QueueFull) => self.rest(client),
            Lease::Refused(refusal) => panic!("{refusal}: {demand:?}"),
        }
    }

    fn demand(&mut self, client: usize) -> Demand {
        if self.random.below(4) == 0 {
            return Demand::new(Access::Primary);
        }
        let fresh_as_of = self.clients[client].wrote_ms.map(|ms| self.at(ms));
        let tried = self.random.below(self.world.nodes.len() as u64) as usize;
        let exclude =
            if self.random.below(8) == 0 { NodeSet::of(NodeId::new(tried)) } else { NodeSet::EMPTY };
        let seen = (self.random.below(8) == 0).then(|| self.view.nodes[tried].replay).flatten();
        let staleness_max =
            (self.random.below(8) == 0).then(|| Duration::from_millis(100 + self.random.below(2_000)));
        let spares_primary = self.random.below(8) == 0;
        let read = Demand::new(Access::Read);
        Demand { fresh_as_of, exclude, floor: seen, staleness_max, spares_primary, ..read }
    }

    pub(super) fn work(&mut self, client: usize, server: ServerId, node: NodeId, demand: &Demand) {
        self.expect_fit(server, node, demand);
        match demand.access {
            Access::Primary => self.writes += 1,
            Access::Read => {
                self.reads += 1;
                self.calm_reads[node.index()] += u64::from(self.calm);
            }
        }
        if client.is_multiple_of(2) {
            self.clients[client].last.had(server, node);
        }
        let until_ms = self.world.ms + self.random.below(100);
        let (node, access) = (node.index(), demand.access);
        self.clients[client].state = State::Working { server, node, access, until_ms };
    }

    fn finish(&mut self, client: usize, server: ServerId, node: usize, access: Access) {
        if access == Access::Primary {
            let bytes = 50 + self.random.below(6000);
            self.clients[client].wrote_ms = Some(self.world.write(node, bytes));
        }
        self.rest(client);
        if self.random.below(20) == 0 {
            self.servers.remove(&server);
            self.pooled(|pool, view, now, out| pool.discard(server, view, now, out));
        } else {
            self.pooled(|pool, view, now, out| pool.give_back(server, view, now, out));
        }
    }

    /// The connection broke under whoever has it.
    pub(super) fn lose(&mut self, server: ServerId) {
        let holds = |state: State| matches!(state, State::Working { server: held, .. } if held == server);
        if let Some(client) = self.clients.iter().position(|client| holds(client.state)) {
            self.rest(client);
        }
        self.pooled(|pool, view, now, out| pool.discard(server, view, now, out));
    }

    pub(super) fn granted(&mut self, waiter: WaiterId, server: ServerId, node: NodeId) {
        let (client, demand) = self.waiting(waiter);
        self.expect_first(waiter, node);
        self.work(client, server, node, &demand);
    }

    pub(super) fn refused(&mut self, waiter: WaiterId, refusal: Refusal) {
        let (client, _) = self.waiting(waiter);
        self.expect_expired(client, refusal);
        self.rest(client);
    }

    fn waiting(&self, waiter: WaiterId) -> (usize, Demand) {
        let found = self.clients.iter().enumerate().find_map(|(index, client)| match client.state {
            State::Waiting { waiter: own, demand, .. } if own == waiter => Some((index, demand)),
            State::Waiting { .. } | State::Resting { .. } | State::Working { .. } => None,
        });
        found.expect("only those who wait are answered")
    }

    fn rest(&mut self, client: usize) {
        let until_ms = self.world.ms + self.random.below(150);
        self.clients[client].state = State::Resting { until_ms };
    }
}
