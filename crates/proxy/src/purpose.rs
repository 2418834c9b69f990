//! What a client's connection is for.
//!
//! Why here: those who look at clients (the console, limits, a drain) must tell these apart; the tasks that serve them know
//! which they are.

use std::sync::Arc;

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
    /// Statements, on servers of this pool.
    Statements(Arc<ServerPool>),
}

impl Purpose {
    /// The database as the client names it.
    pub(crate) fn database(&self) -> &str {
        match self {
            Self::Console { database, .. } => database,
            Self::Statements(pool) => &pool.database,
        }
    }

    /// The role as the client names it.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Console { user, .. } => user,
            Self::Statements(pool) => &pool.user,
        }
    }

    /// The pool that it takes servers from.
    pub(crate) fn pool(&self) -> Option<&Arc<ServerPool>> {
        match self {
            Self::Console { .. } => None,
            Self::Statements(pool) => Some(pool),
        }
    }

    /// The console is there for an operator when nobody else gets in any more: it counts towards no limit.
    pub(crate) fn is_limited(&self) -> bool {
        match self {
            Self::Console { .. } => false,
            Self::Statements(_) => true,
        }
    }
}
