//! Chooses one of several nodes that are equally fit.
//!
//! Choice and account are two steps: the account is charged to the node that *served*. Where the chosen node had no slot
//! and another stepped in, the chosen one is next. So shares come out right over time, at warm-up too.
//!
//! Invariant: an account stays within [`CREDIT_MAX`] rounds, so that a node which was away does not get a burst.

use crate::random::Random;
use crate::{Balance, NodeId, NodeSet, View};

/// How many rounds of its share a node can be ahead or behind.
const CREDIT_MAX: i64 = 4;

/// The accounts of one pool.
#[derive(Debug)]
pub(crate) struct Balancer {
    /// By [`NodeId::index`]: what the node is owed, in units of weight (nginx's smooth weighted round robin).
    credit: Vec<i64>,
    random: Random,
}

impl Balancer {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { credit: Vec::new(), random: Random::new(seed) }
    }

    /// The node whose turn it is. `None` only for the empty set.
    pub(crate) fn choose(&mut self, among: NodeSet, view: &View) -> Option<NodeId> {
        if among.len() <= 1 {
            return among.iter().next();
        }
        self.credit.resize(self.credit.len().max(view.nodes.len()), 0);
        match view.settings.balance {
            Balance::Random => {
                let place = self.random.below(among.len() as u64) as usize;
                among.iter().nth(place)
            }
            Balance::RoundRobin | Balance::Weighted => self.most_owed(among, view),
            Balance::LeastInFlight => {
                let in_flight = |node: NodeId| view.nodes[node.index()].load.in_flight();
                let least = among.iter().map(in_flight).min()?;
                self.most_owed(among.iter().filter(|&node| in_flight(node) == least).collect(), view)
            }
        }
    }

    /// `served`, one of `fit`, takes a lease.
    pub(crate) fn charge(&mut self, fit: NodeSet, served: NodeId, view: &View) {
        if fit.len() <= 1 {
            return;
        }
        self.credit.resize(self.credit.len().max(view.nodes.len()), 0);
        let round: i64 = fit.iter().map(|node| share(node, view)).sum();
        let bound = CREDIT_MAX * round;
        for node in fit.iter() {
            let paid = if node == served { round } else { 0 };
            let credit = &mut self.credit[node.index()];
            *credit = (*credit + share(node, view) - paid).clamp(-bound, bound);
        }
    }

    fn most_owed(&self, among: NodeSet, view: &View) -> Option<NodeId> {
        let owed = |node: NodeId| self.credit[node.index()] + share(node, view);
        among.iter().reduce(|best, node| if owed(node) > owed(best) { node } else { best })
    }
}

fn share(node: NodeId, view: &View) -> i64 {
    match view.settings.balance {
        Balance::Weighted => i64::from(view.nodes[node.index()].weight),
        Balance::LeastInFlight | Balance::Random | Balance::RoundRobin => 1,
    }
}

#[cfg(test)]
mod tests;
