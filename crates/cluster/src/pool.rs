//! The server connections of one database and user over all nodes, and the queue in front of them.
//!
//! Why one machine: the choice of a node and the taking of its slot are one step, so no two sessions pick the last slot.
//!
//! How a lease is met: by an idle server of the node whose turn it is; else by an idle server of another node that is fit,
//! while the first one grows by a dial; else in the queue, with dials for as many waiters as no dial is under way for.
//! Of a node's idle servers a session gets the one that it had last, else the one used last.
//! A server that comes back goes straight to the first waiter that it may serve.
//!
//! Invariants: no idle server and no waiter that it may serve exist together; slots of a node never exceed `size` plus, while
//! somebody waits too long, `reserve_size`; no lease overtakes a waiter that could have had the same server.
//!
//! Absent: sockets. `Dial` and `Close` are effects that the shell carries out; every `Dial` is answered by `dialed` or
//! `dial_failed`. Absent too: timers. The shell calls `tick` a few times a second.

mod queue;
mod slots;
mod upkeep;

use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::balance::Balancer;
use crate::random::Random;
use crate::{Access, Demand, LastServers, NodeId, NodeSet, PoolSettings, Refusal, ServerId, View, WaiterId};
use queue::Queue;
use slots::{Server, ServerState, Slots, Standing};

/// The answer to a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// This server is yours until `give_back` or `discard`.
    Ready {
        /// The server.
        server: ServerId,
        /// Its node.
        node: NodeId,
        /// It was unused for so long that it should be asked whether it lives.
        check: bool,
    },
    /// A [`PoolEffect::Grant`] or [`PoolEffect::Refuse`] will follow, unless `abandon` comes first.
    Queued(WaiterId),
    /// Nothing will follow.
    Refused(Refusal),
}

/// What the shell must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolEffect {
    /// Close this connection; the pool has forgotten it.
    Close {
        /// The server.
        server: ServerId,
        /// Why.
        why: CloseReason,
    },
    /// Open a connection to this node, and answer with `dialed` or `dial_failed`.
    Dial {
        /// The node.
        node: NodeId,
    },
    /// The waiter has this server until `give_back` or `discard`.
    Grant {
        /// The waiter.
        waiter: WaiterId,
        /// The server.
        server: ServerId,
        /// Its node.
        node: NodeId,
        /// It was unused for so long that it should be asked whether it lives.
        check: bool,
    },
    /// The waiter gets nothing.
    Refuse {
        /// The waiter.
        waiter: WaiterId,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a server is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Somebody needs its database for himself.
    DatabaseWanted,
    /// Unused for `idle_timeout`.
    Idle,
    /// Older than `lifetime`.
    Lifetime,
    /// Its node restarted, was demoted, or is no part of the cluster any more.
    NodeChanged,
    /// More are open than the pool may have.
    OverSize,
    /// The pool had forgotten it.
    Unknown,
}

/// How full a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolCounts {
    /// By [`NodeId::index`].
    pub nodes: Vec<NodeCounts>,
    /// Waiters.
    pub waiting: usize,
    /// Since when the first of them waits.
    pub oldest_since: Option<Instant>,
}

/// How full a pool is on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCounts {
    /// The node.
    pub node: NodeId,
    /// Servers that nobody uses.
    pub idle: u32,
    /// Servers that somebody uses.
    pub leased: u32,
    /// Dials in flight.
    pub dialing: u32,
}

/// The server connections of one database and user.
#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    /// By [`NodeId::index`].
    slots: Vec<Slots>,
    servers: HashMap<ServerId, Server, FixedState>,
    queue: Queue,
    balancer: Balancer,
    random: Random,
    dialing: u32,
    /// The newest view that was seen.
    generation: u64,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(settings: PoolSettings, seed: u64) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            servers: HashMap::with_hasher(FixedState::default()),
            queue: Queue::default(),
            balancer: Balancer::new(seed),
            random: Random::new(!seed),
            dialing: 0,
            generation: 0,
        }
    }

    /// Asks for a server, preferably one of those that the session had `last`. Which node it is, they do not decide.
    pub fn lease(
        &mut self,
        demand: &Demand,
        last: &LastServers,
        view: &View,
        now: Instant,
        out: &mut Vec<PoolEffect>,
    ) -> Lease {
        self.follow(view, now, out);
        let fit = view.candidates(demand, now);
        let idle = self.idle_among(fit);
        let Some(turn) = self.balancer.choose(fit, view).filter(|_| !idle.is_empty()) else {
            return self.wait(demand, fit, view, now, out);
        };
        let node = if idle.contains(turn) {
            turn
        } else {
            self.grow(turn, now, out);
            self.balancer.choose(idle, view).expect("some node has an idle server")
        };
        self.balancer.charge(fit, node, view);
        let (server, check) = self.take_idle(node, last.on(node), now);
        Lease::Ready { server, node, check }
    }

    /// A lease ends; the server is at rest and can be used by anybody.
    pub fn give_back(&mut self, server: ServerId, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        self.follow(view, now, out);
        let Some(it) = self.servers.get_mut(&server) else {
            out.push(PoolEffect::Close { server, why: CloseReason::Unknown });
            return;
        };
        assert_eq!(it.state, ServerState::Leased, "only a leased server can be given back");
        it.state = ServerState::Idle { since: now };
        let (node, it) = (it.node, *it);
        let slots = &mut self.slots[node.index()];
        slots.leased -= 1;
        slots.load.returned();
        slots.idle.push_back(server);
        if let Some(why) = self.why_unusable(&it, now) {
            self.close(server, why, out);
            self.dial_for_waiters(view, now, out);
            return;
        }
        if !self.queue.is_empty() {
            self.serve(view, now, out);
        }
        self.close_if_over_size(server, now, out);
    }

    /// A server is lost or of no more use, leased or idle. A server that the pool does not know is ignored: two tasks may
    /// notice the same loss.
    pub fn discard(&mut self, server: ServerId, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        let known = self.forget(server); // before a new view could grant it
        self.follow(view, now, out);
        if known {
            self.dial_for_waiters(view, now, out);
        }
    }

    /// A dial that [`PoolEffect::Dial`] asked for came up.
    pub fn dialed(
        &mut self,
        node: NodeId,
        server: ServerId,
        view: &View,
        now: Instant,
        out: &mut Vec<PoolEffect>,
    ) {
        self.follow(view, now, out);
        self.end_dial(node);
        let slots = &mut self.slots[node.index()];
        slots.dial_succeeded();
        slots.load.opened();
        slots.idle.push_back(server);
        let shorter_by = self.random.below(100) as u32;
        let mut it = Server::new(node, slots.term, shorter_by, now);
        it.state = ServerState::Idle { since: now };
        let known = self.servers.insert(server, it);
        assert!(known.is_none(), "no server id is used twice");
        match self.why_unusable(&it, now) {
            Some(why) => self.close(server, why, out),
            None => self.serve(view, now, out),
        }
        self.close_if_over_size(server, now, out);
        self.dial_for_waiters(view, now, out);
    }

    /// A dial that [`PoolEffect::Dial`] asked for failed. The node is left alone for a while; waiters stay.
    pub fn dial_failed(&mut self, node: NodeId, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        self.follow(view, now, out);
        self.end_dial(node);
        let jitter = self.random.below(1000) as u32;
        self.slots[node.index()].dial_failed(jitter, now);
        self.dial_for_waiters(view, now, out);
    }

    /// The node does not accept this database or user. When the primary says so, nobody need wait. A standby may not have
    /// heard yet of what was just created: who would read there reads elsewhere.
    pub fn login_refused(&mut self, node: NodeId, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        let refuse = |waiter| PoolEffect::Refuse { waiter, refusal: Refusal::ServersRefuse };
        if view.primary.is_none_or(|primary| primary == node) {
            while !self.queue.is_empty() {
                out.push(refuse(self.queue.pop(0).id));
            }
            return;
        }
        out.extend(self.queue.rule_out(node, view, now).into_iter().map(refuse));
        self.serve(view, now, out);
        self.dial_for_waiters(view, now, out);
    }

    /// The waiter has gone. If it was granted a server in the meantime (the answer is false), that must be given back.
    pub fn abandon(&mut self, waiter: WaiterId) -> bool {
        self.queue.remove(waiter)
    }

    /// How full the pool is.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        let count = |(index, slots): (usize, &Slots)| NodeCounts {
            node: NodeId::new(index),
            idle: slots.idle.len() as u32,
            leased: slots.leased,
            dialing: slots.dialing,
        };
        PoolCounts {
            nodes: self.slots.iter().enumerate().map(count).collect(),
            waiting: self.queue.len(),
            oldest_since: self.queue.oldest(),
        }
    }

    fn wait(
        &mut self,
        demand: &Demand,
        fit: NodeSet,
        view: &View,
        now: Instant,
        out: &mut Vec<PoolEffect>,
    ) -> Lease {
        if !view.could_ever_serve(demand) {
            return Lease::Refused(Refusal::NoNode);
        }
        if self.queue.len() >= self.settings.waiters_max as usize {
            return Lease::Refused(Refusal::QueueFull);
        }
        let waiter = self.queue.push(*demand, fit, now);
        self.dial_for_waiters(view, now, out);
        Lease::Queued(waiter)
    }

    /// Grants idle servers to waiters, in the order of their arrival.
    fn serve(&mut self, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        let mut idle = self.idle_among(NodeSet::ALL);
        while let Some(group) = self.queue.first_of(idle) {
            let (fit, head) = (self.queue.groups()[group].fit, *self.queue.groups()[group].head());
            let able = fit.and(idle).iter().filter(|&node| view.may_serve(node, &head.demand, now)).collect();
            let Some(node) = self.balancer.choose(able, view) else {
                // A node has become too old since the groups were formed. Formed now, they hold.
                self.queue.regroup(view, now);
                continue;
            };
            let waiter = self.queue.pop(group).id;
            self.balancer.charge(fit, node, view);
            let (server, check) = self.take_idle(node, None, now);
            out.push(PoolEffect::Grant { waiter, server, node, check });
            idle = self.idle_among(idle);
        }
    }

    /// The nodes among these that have an idle server.
    fn idle_among(&self, nodes: NodeSet) -> NodeSet {
        let with_idle = self.slots.iter().enumerate().filter(|(_, slots)| !slots.idle.is_empty());
        with_idle.map(|(index, _)| NodeId::new(index)).filter(|&node| nodes.contains(node)).collect()
    }

    fn take_idle(&mut self, node: NodeId, preferred: Option<ServerId>, now: Instant) -> (ServerId, bool) {
        let is_here = |id: &ServerId| self.servers.get(id).is_some_and(|it| it.is_idle() && it.node == node);
        let preferred = preferred.filter(is_here);
        let slots = &mut self.slots[node.index()];
        let server = slots.take_idle(preferred).expect("the node was chosen for its idle server");
        slots.leased += 1;
        slots.load.leased();
        let it = self.servers.get_mut(&server).expect("every idle server is known");
        let check = it.idle_for(now) >= self.settings.check_after_idle;
        it.state = ServerState::Leased;
        (server, check)
    }

    /// Why a server that nobody uses must not be used again.
    fn why_unusable(&self, server: &Server, now: Instant) -> Option<CloseReason> {
        let slots = &self.slots[server.node.index()];
        let beyond_reserve = slots.open() > self.settings.size + self.settings.reserve_size;
        if !server.is_of_term(slots.term) || slots.standing == Standing::Unwanted {
            Some(CloseReason::NodeChanged)
        } else if beyond_reserve {
            Some(CloseReason::OverSize)
        } else {
            server.is_too_old(&self.settings, now).then_some(CloseReason::Lifetime)
        }
    }

    /// A server of the reserve is closed once no waiter takes it.
    fn close_if_over_size(&mut self, server: ServerId, now: Instant, out: &mut Vec<PoolEffect>) {
        let Some(it) = self.servers.get(&server).filter(|it| it.is_idle()) else { return };
        if self.slots[it.node.index()].open() > self.limit(it.node, now) {
            self.close(server, CloseReason::OverSize, out);
        }
    }

    fn close(&mut self, server: ServerId, why: CloseReason, out: &mut Vec<PoolEffect>) {
        let known = self.forget(server);
        debug_assert!(known, "only known servers are closed");
        out.push(PoolEffect::Close { server, why });
    }

    /// Frees the slot of a server. Answers whether there was such a server.
    fn forget(&mut self, server: ServerId) -> bool {
        let Some(it) = self.servers.remove(&server) else { return false };
        let slots = &mut self.slots[it.node.index()];
        slots.load.closed();
        match it.state {
            ServerState::Idle { .. } => slots.idle.retain(|&idle| idle != server),
            ServerState::Leased => {
                slots.leased -= 1;
                slots.load.returned();
            }
        }
        true
    }
}

impl Drop for Pool {
    /// What other pools see as the load of a node must not keep ours.
    fn drop(&mut self) {
        for server in self.servers.values() {
            let load = &self.slots[server.node.index()].load;
            load.closed();
            if server.state == ServerState::Leased {
                load.returned();
            }
        }
    }
}

/// The refusal for a waiter whose time is up.
const fn refusal_of(access: Access, fit: NodeSet) -> Refusal {
    match access {
        _ if !fit.is_empty() => Refusal::WaitedTooLong,
        Access::Primary => Refusal::NoPrimary,
        Access::Read => Refusal::NoStandby,
    }
}

#[cfg(test)]
mod tests;
