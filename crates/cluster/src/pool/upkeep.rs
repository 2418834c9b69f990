//! What a pool does between leases: dials, closes, refuses, and follows the topology.

use std::time::Instant;

use super::slots::{Server, Slots, Standing};
use super::{CloseReason, Pool, PoolEffect, refusal_of};
use crate::{NODES_MAX, NodeId, NodeSet, PoolSettings, ServerId, View};

impl Pool {
    /// Time passed. To be called a few times a second, and when the view's primary or a node's health changed.
    pub fn tick(&mut self, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        self.follow(view, now, out);
        self.refuse_expired(now, out);
        self.close_surplus(view, now, out);
        self.dial_for_waiters(view, now, out);
        self.dial_for_minimum(view, now, out);
    }

    /// A reload. Servers beyond the new limits are closed: idle ones now, leased ones when they come back.
    pub fn apply_settings(
        &mut self,
        settings: PoolSettings,
        view: &View,
        now: Instant,
        out: &mut Vec<PoolEffect>,
    ) {
        self.settings = settings;
        self.tick(view, now, out);
    }

    /// Somebody needs the database for himself: all servers that nobody uses are closed.
    pub fn close_unused(&mut self, out: &mut Vec<PoolEffect>) {
        for node in (0..self.slots.len()).map(NodeId::new) {
            self.close_idle(node, |_| Some(CloseReason::DatabaseWanted), out);
        }
    }

    /// Asserts what must always hold.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn check(&self, view: &View, now: Instant) {
        self.queue.check();
        let dialing: u32 = self.slots.iter().map(|slots| slots.dialing).sum();
        assert_eq!(dialing, self.dialing);
        let held: usize = self.slots.iter().map(|slots| slots.idle.len() + slots.leased as usize).sum();
        assert_eq!(held, self.servers.len());
        for (index, slots) in self.slots.iter().enumerate() {
            let node = NodeId::new(index);
            let idle = |id: &ServerId| {
                self.servers.get(id).is_some_and(|it: &Server| it.node == node && it.is_idle())
            };
            assert!(slots.idle.iter().all(idle), "idle servers are known");
            let leased = self.servers.values().filter(|it| it.node == node && !it.is_idle()).count();
            assert_eq!(leased, slots.leased as usize);
        }
        let idle = self.idle_among(NodeSet::ALL);
        for group in self.queue.groups().iter().filter(|_| view.generation == self.generation) {
            let able = |node: &NodeId| view.may_serve(*node, &group.head().demand, now);
            assert!(!group.fit.and(idle).iter().any(|node| able(&node)), "no waiter beside a server for it");
        }
    }

    /// The servers that nobody uses.
    #[cfg(test)]
    pub(crate) fn idle_servers(&self) -> Vec<ServerId> {
        self.slots.iter().flat_map(|slots| slots.idle.iter().copied()).collect()
    }

    /// Takes notice of a new view. A view that is older than the last one changes nothing.
    pub(super) fn follow(&mut self, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        if view.generation <= self.generation {
            return;
        }
        self.generation = view.generation;
        for node in &view.nodes {
            if self.slots.len() == node.id.index() {
                self.slots.push(Slots::new(node.load.clone(), node.term));
            }
            let slots = &mut self.slots[node.id.index()];
            let standing = Standing::of(node);
            if std::mem::replace(&mut slots.standing, standing) != standing {
                slots.forgive();
            }
            if std::mem::replace(&mut slots.term, node.term) != node.term || standing == Standing::Unwanted {
                self.close_idle(node.id, |_| Some(CloseReason::NodeChanged), out);
            }
        }
        if !self.queue.is_empty() {
            self.queue.regroup(view, now);
            self.serve(view, now, out);
            self.dial_for_waiters(view, now, out);
        }
    }

    /// The slots that a node may have at this moment.
    pub(super) fn limit(&self, node: NodeId, now: Instant) -> u32 {
        let patience = self.settings.reserve_after;
        let waits_long = |since: Instant| now.saturating_duration_since(since) >= patience;
        match self.settings.reserve_size {
            reserve if reserve > 0 && self.queue.oldest_for(node).is_some_and(waits_long) => {
                self.settings.size + reserve
            }
            _ => self.settings.size,
        }
    }

    /// One dial for a node that was to serve and had no idle server, unless one is under way.
    pub(super) fn grow(&mut self, node: NodeId, now: Instant, out: &mut Vec<PoolEffect>) {
        if self.slots[node.index()].dialing == 0 && self.has_room(node, now) {
            self.dial(node, out);
        }
    }

    /// As many dials as there are waiters that no dial is under way for, as far as the limits allow.
    pub(super) fn dial_for_waiters(&mut self, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        while self.dialing < self.settings.dials_in_flight_max
            && let Some(node) = self.wanted_dial(view, now)
        {
            self.dial(node, out);
        }
    }

    /// The node to dial for the group that came first among those with more waiters than dials and a node with room.
    fn wanted_dial(&mut self, view: &View, now: Instant) -> Option<NodeId> {
        let mut under_way = [0; NODES_MAX];
        self.slots.iter().zip(&mut under_way).for_each(|(slots, dials)| *dials = slots.dialing as usize);
        let mut first: Option<(_, NodeSet)> = None;
        for group in self.queue.groups() {
            let mut uncovered = group.len();
            for node in group.fit.iter() {
                let covered = uncovered.min(under_way[node.index()]);
                under_way[node.index()] -= covered;
                uncovered -= covered;
            }
            let came_first = first.is_none_or(|(id, _)| group.head().id < id);
            let room: NodeSet = group.fit.iter().filter(|&node| self.has_room(node, now)).collect();
            if uncovered > 0 && came_first && !room.is_empty() {
                first = Some((group.head().id, room));
            }
        }
        let (_, room) = first?;
        let dialing = |node: NodeId| self.slots[node.index()].dialing;
        let fewest = room.iter().map(dialing).min()?;
        let least_dialed = room.iter().filter(|&node| dialing(node) == fewest).collect();
        self.balancer.choose(least_dialed, view)
    }

    fn has_room(&self, node: NodeId, now: Instant) -> bool {
        let slots = &self.slots[node.index()];
        self.dialing < self.settings.dials_in_flight_max
            && slots.may_dial(now)
            && slots.open() < self.limit(node, now)
    }

    fn dial(&mut self, node: NodeId, out: &mut Vec<PoolEffect>) {
        self.slots[node.index()].dialing += 1;
        self.dialing += 1;
        out.push(PoolEffect::Dial { node });
    }

    pub(super) fn end_dial(&mut self, node: NodeId) {
        let slots = &mut self.slots[node.index()];
        assert!(slots.dialing > 0, "every dial ends once");
        slots.dialing -= 1;
        self.dialing -= 1;
    }

    fn refuse_expired(&mut self, now: Instant, out: &mut Vec<PoolEffect>) {
        if self.settings.wait_timeout.is_zero() {
            return;
        }
        let Some(moment) = now.checked_sub(self.settings.wait_timeout) else { return };
        while let Some(group) = self.queue.waiting_since(moment) {
            let fit = self.queue.groups()[group].fit;
            let waiter = self.queue.pop(group);
            let refusal = refusal_of(waiter.demand.access, fit);
            out.push(PoolEffect::Refuse { waiter: waiter.id, refusal });
        }
    }

    /// Closes what is too old, unused for too long, or beyond the size.
    fn close_surplus(&mut self, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        let settings = self.settings.clone();
        for node in view.nodes.iter().map(|node| node.id) {
            let limit = self.limit(node, now);
            let mut open = self.slots[node.index()].open();
            let why_close = |server: &Server| {
                let unused =
                    !settings.idle_timeout.is_zero() && server.idle_for(now) >= settings.idle_timeout;
                let why = if open > limit {
                    CloseReason::OverSize
                } else if server.is_too_old(&settings, now) {
                    CloseReason::Lifetime
                } else if unused && open > settings.min_size {
                    CloseReason::Idle
                } else {
                    return None;
                };
                open -= 1;
                Some(why)
            };
            self.close_idle(node, why_close, out);
        }
    }

    /// Closes those idle servers of a node that `why` names a reason for; it sees the longest unused first.
    fn close_idle(
        &mut self,
        node: NodeId,
        mut why: impl FnMut(&Server) -> Option<CloseReason>,
        out: &mut Vec<PoolEffect>,
    ) {
        let Self { slots, servers, .. } = self;
        let slots = &mut slots[node.index()];
        slots.idle.retain(|server| {
            let it = servers.get(server).expect("every idle server is known");
            let Some(why) = why(it) else { return true };
            servers.remove(server);
            slots.load.closed();
            out.push(PoolEffect::Close { server: *server, why });
            false
        });
    }

    fn dial_for_minimum(&mut self, view: &View, now: Instant, out: &mut Vec<PoolEffect>) {
        let min_size = self.settings.min_size;
        for node in view.nodes.iter().filter(|node| node.serves_reads.is_ok()).map(|node| node.id) {
            while self.slots[node.index()].open() < min_size && self.has_room(node, now) {
                self.dial(node, out);
            }
        }
    }
}
