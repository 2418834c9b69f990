//! What is known about a role: its password, or what PostgreSQL stores in place of one.
//!
//! Why here: the answer may have to be fetched from a server, and a login must not care.
//! Invariants: the file goes before the lookup; whatever fails on the way counts as "no such role"; a role of one
//! cluster is never proved by a secret of another.
//! Absent: proving anything (`pgweir_auth`).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pgweir_auth::{StoredSecret, Users, UsersError};
use pgweir_config::{Config, NodeAddress};

use crate::tls::TlsClient;

mod asker;
mod lookup;
#[cfg(test)]
mod tests;

use lookup::{Lookup, Place};

/// Roles and their secrets. A reload makes another one and forgets what was looked up.
pub struct Secrets {
    users: Users,
    lookup: Option<Lookup>,
}

/// Where the primary of a cluster is reached.
#[derive(Clone)]
pub struct Primary {
    /// Its address.
    pub address: NodeAddress,
    /// How to encrypt.
    pub tls: Arc<TlsClient>,
}

/// Finds the primary of the cluster of this name as it is now, if it has one.
pub type FindPrimary = Arc<dyn Fn(&str) -> Option<Primary> + Send + Sync>;

/// Why the users file cannot be used.
#[derive(Debug)]
pub enum SecretsError {
    /// The file is not in the format of PgBouncer's userlist.txt.
    Malformed(PathBuf, UsersError),
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
}

impl Secrets {
    /// Reads the users file, if there is one, and gets ready to look up the others, if `config` wants that.
    ///
    /// # Errors
    /// The users file is named and cannot be used.
    pub fn load(config: &Arc<Config>, find_primary: FindPrimary) -> Result<Self, SecretsError> {
        let users = match &config.auth.users_file {
            Some(file) => read_users(file.clone())?,
            None => Users::default(),
        };
        let query_user = config.auth.query_user.as_ref();
        Ok(Self { users, lookup: query_user.map(|user| Lookup::new(config, user, find_primary)) })
    }

    /// The secret that the users file holds.
    #[must_use]
    pub fn from_file(&self, user: &str) -> Option<&StoredSecret> {
        self.users.secret(user)
    }

    /// The secret of the file, or else of the cluster that `database` leads to. `None`: no such role, it has no
    /// password, may not log in, or nobody can tell now.
    pub async fn find(&self, user: &str, database: &str) -> Option<StoredSecret> {
        if let Some(secret) = self.users.secret(user) {
            return Some(secret.clone());
        }
        let lookup = self.lookup.as_ref()?;
        lookup.find(Place { cluster: lookup.cluster_of(database)?, database, user }).await
    }
}

fn read_users(file: PathBuf) -> Result<Users, SecretsError> {
    match std::fs::read_to_string(&file) {
        Ok(text) => Users::parse(&text).map_err(|error| SecretsError::Malformed(file, error)),
        Err(error) => Err(SecretsError::Unreadable(file, error)),
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(file, error) => write!(f, "{}: {error}", file.display()),
            Self::Unreadable(file, error) => write!(f, "cannot read {}: {error}", file.display()),
        }
    }
}

impl std::error::Error for SecretsError {}
