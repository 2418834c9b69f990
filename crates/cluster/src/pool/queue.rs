//! Who waits, and for which nodes.
//!
//! Why groups: a freed slot must find the first waiter that it may serve without walking past thousands that it may not.
//! Waiters that the same nodes may serve stand in one group, so only heads are compared.
//!
//! Invariants: within a group ids grow from front to back, and so do the times of arrival; no group is empty, none has the
//! same nodes as another. Groups hold what was true when they were last formed: a head is checked again before it is served.

use std::collections::VecDeque;
use std::time::Instant;

use crate::{Demand, NodeId, NodeSet, View, WaiterId};

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) id: WaiterId,
    pub(super) demand: Demand,
    pub(super) since: Instant,
}

/// The waiters that exactly these nodes may serve; none may serve those of the empty set, for the time being.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) fit: NodeSet,
    waiters: VecDeque<Waiter>,
}

impl Group {
    /// The one that came first.
    pub(super) fn head(&self) -> &Waiter {
        self.waiters.front().expect("no group is empty")
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    groups: Vec<Group>,
    len: usize,
    next_id: u64,
}

impl Queue {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(super) fn push(&mut self, demand: Demand, fit: NodeSet, now: Instant) -> WaiterId {
        let id = WaiterId(self.next_id);
        self.next_id += 1;
        self.insert(Waiter { id, demand, since: now }, fit);
        id
    }

    fn insert(&mut self, waiter: Waiter, fit: NodeSet) {
        self.len += 1;
        match self.groups.iter_mut().find(|group| group.fit == fit) {
            Some(group) => group.waiters.push_back(waiter),
            None => self.groups.push(Group { fit, waiters: VecDeque::from([waiter]) }),
        }
    }

    /// The group whose head came first, among those that one of these nodes may serve.
    pub(super) fn first_of(&self, nodes: NodeSet) -> Option<usize> {
        let servable = self.groups.iter().enumerate().filter(|(_, group)| !group.fit.and(nodes).is_empty());
        servable.min_by_key(|(_, group)| group.head().id).map(|(index, _)| index)
    }

    /// Takes the head of a group.
    pub(super) fn pop(&mut self, group: usize) -> Waiter {
        let waiter = self.groups[group].waiters.pop_front().expect("no group is empty");
        self.drop_if_empty(group);
        waiter
    }

    /// Takes a waiter out, wherever it stands. Answers whether it was there.
    pub(super) fn remove(&mut self, id: WaiterId) -> bool {
        for group in 0..self.groups.len() {
            let waiters = &mut self.groups[group].waiters;
            if let Ok(place) = waiters.binary_search_by_key(&id, |waiter| waiter.id) {
                waiters.remove(place);
                self.drop_if_empty(group);
                return true;
            }
        }
        false
    }

    /// Forms the groups anew from what `view` says.
    pub(super) fn regroup(&mut self, view: &View, now: Instant) {
        let mut waiters: Vec<Waiter> = self.groups.drain(..).flat_map(|group| group.waiters).collect();
        waiters.sort_unstable_by_key(|waiter| waiter.id);
        self.len = 0;
        for waiter in waiters {
            self.insert(waiter, view.candidates(&waiter.demand, now));
        }
    }

    /// Rules a standby out for all who wait for it. Answers who is left without any node; they are out of the queue.
    pub(super) fn rule_out(&mut self, node: NodeId, view: &View, now: Instant) -> Vec<WaiterId> {
        let mut stranded = Vec::new();
        for group in self.groups.iter_mut().filter(|group| group.fit.contains(node)) {
            for waiter in &mut group.waiters {
                waiter.demand.exclude.insert(node);
                if view.candidates(&waiter.demand, now).is_empty() {
                    stranded.push(waiter.id);
                }
            }
        }
        for &waiter in &stranded {
            self.remove(waiter);
        }
        self.regroup(view, now);
        stranded
    }

    /// When the one that waits longest came, among those that this node may serve.
    pub(super) fn oldest_for(&self, node: NodeId) -> Option<Instant> {
        self.groups.iter().filter(|group| group.fit.contains(node)).map(|group| group.head().since).min()
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.groups.iter().map(|group| group.head().since).min()
    }

    /// A group whose head came at or before this moment.
    pub(super) fn waiting_since(&self, moment: Instant) -> Option<usize> {
        self.groups.iter().position(|group| group.head().since <= moment)
    }

    fn drop_if_empty(&mut self, group: usize) {
        self.len -= 1;
        if self.groups[group].waiters.is_empty() {
            self.groups.swap_remove(group);
        }
    }

    pub(super) fn check(&self) {
        assert_eq!(self.len, self.groups.iter().map(Group::len).sum::<usize>());
        for (place, group) in self.groups.iter().enumerate() {
            assert!(self.groups[..place].iter().all(|other| other.fit != group.fit), "one group a set");
            let pairs = group.waiters.iter().zip(group.waiters.iter().skip(1));
            assert!(!group.waiters.is_empty());
            pairs.for_each(|(a, b)| assert!(a.id < b.id && a.since <= b.since, "first come, first"));
        }
    }
}
