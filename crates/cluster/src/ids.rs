//! Names of nodes, servers and waiters, so that no other number can be taken for one.

/// How many nodes one process can know, those that a reload removed included: a [`NodeSet`] is one word.
pub const NODES_MAX: usize = 64;

/// One PostgreSQL server process, by its place in the topology. Never given to another node while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u16);

impl NodeId {
    /// The node at this place of [`View::nodes`](crate::View).
    ///
    /// # Panics
    /// When `index` is not below [`NODES_MAX`].
    #[must_use]
    pub const fn new(index: usize) -> Self {
        assert!(index < NODES_MAX, "a node's index fits a NodeSet");
        Self(index as u16)
    }

    /// Its place in [`View::nodes`](crate::View).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One server connection. The shell numbers them and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// One place in a pool's queue. Numbered in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// A set of nodes in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct NodeSet(u64);

impl NodeSet {
    /// No node at all.
    pub const EMPTY: Self = Self(0);

    /// Every node there can be.
    pub const ALL: Self = Self(u64::MAX);

    /// Just this node.
    #[must_use]
    pub const fn of(node: NodeId) -> Self {
        Self(1 << node.0)
    }

    /// Adds a node.
    pub const fn insert(&mut self, node: NodeId) {
        self.0 |= 1 << node.0;
    }

    /// Whether the node is in it.
    #[must_use]
    pub const fn contains(self, node: NodeId) -> bool {
        self.0 & (1 << node.0) != 0
    }

    /// Every node that there may be, without this one.
    #[must_use]
    pub const fn all_but(node: NodeId) -> Self {
        Self(!(1 << node.0))
    }

    /// Whether no node is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many nodes are in it.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The nodes that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The nodes that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The nodes, lowest first.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let lowest = rest.trailing_zeros() as u16; // at most 63
            rest &= rest - 1;
            Some(NodeId(lowest))
        })
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut set = Self::EMPTY;
        nodes.into_iter().for_each(|node| set.insert(node));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lists_its_nodes_lowest_first() {
        let nodes = [NodeId::new(63), NodeId::new(0), NodeId::new(7)];
        let set: NodeSet = nodes.into_iter().collect();
        assert_eq!(set.iter().map(NodeId::index).collect::<Vec<_>>(), [0, 7, 63]);
        assert_eq!(set.len(), 3);
        assert!(set.contains(NodeId::new(7)) && !set.contains(NodeId::new(8)));
        assert_eq!(set.and(NodeSet::of(NodeId::new(7))), NodeSet::of(NodeId::new(7)));
        assert!(NodeSet::EMPTY.iter().next().is_none());
    }
}
