//! What a client's connection is for.
//!
//! Why here: those who look at clients (the console, limits, a drain) must tell these apart; the tasks that serve them know
//! which they are.

use std::sync::Arc;

use pgweir_wire::startup::Replication;

use crate::cluster::Cluster;
use crate::pool::ServerPool;

/// What a client's connection is for.
pub(crate) enum Purpose {
    /// To look into the proxy itself.
    Console {
        /// The console by the name that the client gave it.
        database: String,
        /// The role.
        user: String,
    },
    /// Replication, on a server connection of its own.
    Replication(Box<Replica>),
    /// Statements, on servers of this pool.
    Statements(Arc<ServerPool>),
}

/// Who replicates from where.
pub(crate) struct Replica {
    pub(crate) kind: Replication,
    /// The database and the role as the client names them.
    pub(crate) database: String,
    pub(crate) user: String,
    /// What the server is told.
    pub(crate) server_database: String,
    pub(crate) server_user: String,
    pub(crate) cluster: Arc<Cluster>,
}

impl Replica {
    /// The value of the start-up parameter `replication`.
    pub(crate) fn replication(&self) -> &'static str {
        match self.kind {
            Replication::Logical => "database",
            Replication::Physical => "true",
            Replication::No => "false",
        }
    }
}

impl Purpose {
    /// The database as the client names it.
    pub(crate) fn database(&self) -> &str {
        match self {
            Self::Console { database, .. } => database,
            Self::Replication(replica) => &replica.database,
            Self::Statements(pool) => &pool.database,
        }
    }

    /// The role as the client names it.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Console { user, .. } => user,
            Self::Replication(replica) => &replica.user,
            Self::Statements(pool) => &pool.user,
        }
    }

    /// The pool that it takes servers from.
    pub(crate) fn pool(&self) -> Option<&Arc<ServerPool>> {
        match self {
            Self::Console { .. } | Self::Replication(_) => None,
            Self::Statements(pool) => Some(pool),
        }
    }

    /// Who replicates from where, if it does.
    pub(crate) fn replica(&self) -> Option<&Replica> {
        match self {
            Self::Console { .. } | Self::Statements(_) => None,
            Self::Replication(replica) => Some(replica),
        }
    }

    /// The kind of replication, by PgBouncer's names.
    pub(crate) fn replication(&self) -> &'static str {
        match self.replica().map_or(Replication::No, |replica| replica.kind) {
            Replication::Logical => "logical",
            Replication::Physical => "physical",
            Replication::No => "none",
        }
    }

    /// Whether a process that is to end waits for such clients: a stream has no end to wait for, and the console is no
    /// client's.
    pub(crate) fn is_waited_for(&self) -> bool {
        match self {
            Self::Console { .. } | Self::Replication(_) => false,
            Self::Statements(_) => true,
        }
    }

    /// The console is there for an operator when nobody else gets in any more: it counts towards no limit.
    pub(crate) fn is_limited(&self) -> bool {
        match self {
            Self::Console { .. } => false,
            Self::Replication(_) | Self::Statements(_) => true,
        }
    }
}
