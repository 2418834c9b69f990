//! Who sent a notification: clients know each other by the process numbers that they got from us when they logged in, and
//! a notification names the server that sent it.
//!
//! Why: a client that listens tells its own notifications by its own number.
//! Invariant: a session is told that a notification is its own only of what the server sent that it holds.
//! Bounded by the server connections, since each that closes is forgotten.
//! Absent: certainty about others. A notification is on its way for a moment, in which another client's write may come to
//! the same server: then that client is named. What came from beside us keeps its server's number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgweir_cluster::NodeId;

use crate::replies::Pass;
use crate::session::{Session, linked};

/// The clients that last notified by the servers of one cluster.
#[derive(Debug, Default)]
pub struct Notifiers {
    /// The client's process number, by the server's.
    clients: Mutex<HashMap<(NodeId, u32), u32>>,
}

impl Notifiers {
    /// A server connection is closed.
    pub fn forget(&self, node: NodeId, server: u32) {
        self.lock().remove(&(node, server));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(NodeId, u32), u32>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One server connection as a sender of notifications.
#[derive(Debug, Default)]
pub struct Notifier {
    /// The number of its process.
    server: Option<u32>,
    /// The client that is known to have written here last.
    client: Option<u32>,
    all: Arc<Notifiers>,
}

impl Notifier {
    /// A connection that nobody used yet; `server` is the number of its process.
    #[must_use]
    pub fn new(server: Option<u32>, all: &Arc<Notifiers>) -> Self {
        Self { server, client: None, all: Arc::clone(all) }
    }

    /// A client is about to write here.
    fn used_by(&mut self, node: NodeId, client: u32) {
        if let Some(server) = self.server.filter(|_| self.client != Some(client)) {
            self.client = Some(client);
            self.all.lock().insert((node, server), client);
        }
    }

    /// Whom the client that holds this connection is told as the sender of a notification by `sender`.
    fn name(&self, node: NodeId, client: u32, sender: u32) -> u32 {
        if self.server == Some(sender) {
            return client;
        }
        let other = self.all.lock().get(&(node, sender)).copied();
        other.filter(|other| *other != client).unwrap_or(sender)
    }
}

impl Session {
    /// A statement is about to run that may notify.
    pub(crate) fn note_notifier(&mut self) {
        let link = linked(&mut self.link);
        link.server.notifier.used_by(link.node, self.process_id);
    }

    /// What becomes of a notification; `None` if it is none. Only who listens gets any, and who listens holds his server.
    pub(crate) fn notified(&self, body: &[u8]) -> Option<Pass> {
        let link = self.link.as_ref()?;
        let sender = u32::from_be_bytes(*body.first_chunk()?);
        Some(Pass::ForwardFrom(link.server.notifier.name(link.node, self.process_id, sender)))
    }
}
