//! Which server a session had last on each node.
//!
//! Why: there its settings and statements are in place already, and what a backend keeps for itself is the session's own.
//! Absent: any claim. The server may be closed or in other hands by now; the pool knows.

use crate::{NodeId, ServerId};

/// The servers that one session had last, one a node.
#[derive(Clone, Debug, Default)]
pub struct LastServers {
    /// By [`NodeId::index`].
    by_node: Vec<Option<ServerId>>,
}

impl LastServers {
    /// The session has this server now.
    pub fn had(&mut self, server: ServerId, node: NodeId) {
        if self.by_node.len() <= node.index() {
            self.by_node.resize(node.index() + 1, None);
        }
        self.by_node[node.index()] = Some(server);
    }

    /// The server that it had last on this node.
    #[must_use]
    pub fn on(&self, node: NodeId) -> Option<ServerId> {
        self.by_node.get(node.index()).copied().flatten()
    }
}
