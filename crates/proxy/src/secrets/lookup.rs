//! Asks a cluster for a role's secret, once for all who want to know it, and remembers the answer for a while.
//!
//! Invariants: one question at a time about one role, however many of its clients arrive; if the one that asks
//! leaves, the next takes over; what failed is told to those who waited and then forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pgweir_auth::StoredSecret;
use pgweir_config::Config;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::warn;

use super::FindPrimary;
use super::asker::{AskError, Asker, Question};

/// A role where it lives. In which database it is asked for may matter to a query of the operator's own.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) cluster: &'a str,
    /// As the client names it.
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

pub(super) struct Lookup {
    config: Arc<Config>,
    find_primary: FindPrimary,
    /// One for each cluster, so that one which is down keeps nobody out of another.
    askers: BTreeMap<String, Asker>,
    remembered: Mutex<HashMap<Key, Arc<OnceCell<Answer>>>>,
}

/// Cluster, database on the server, role.
type Key = (String, String, String);

struct Answer {
    secret: Option<StoredSecret>,
    until: Instant,
}

impl Lookup {
    pub(super) fn new(config: &Arc<Config>, query_user: &str, find_primary: FindPrimary) -> Self {
        let asker = |name: &String| (name.clone(), Asker::new(config, query_user));
        Self {
            config: Arc::clone(config),
            find_primary,
            askers: config.clusters.keys().map(asker).collect(),
            remembered: Mutex::default(),
        }
    }

    /// The cluster whose roles may connect to `database`. The console has none: there the only cluster counts.
    pub(super) fn cluster_of(&self, database: &str) -> Option<&str> {
        let name = match self.config.route(database) {
            Some(route) => route.cluster,
            None if self.askers.len() == 1 => self.askers.keys().next()?.clone(),
            None => return None,
        };
        self.askers.get_key_value(&name).map(|(name, _)| name.as_str())
    }

    pub(super) async fn find(&self, place: Place<'_>) -> Option<StoredSecret> {
        let database = self.database(place);
        let key = (place.cluster.to_owned(), database.clone(), place.user.to_owned());
        let flight = self.flight(key, Instant::now());
        let answer = flight.get_or_init(|| self.ask(place, database)).await;
        answer.secret.clone()
    }

    /// Where the query runs: roles are those of the whole cluster, so for the console any database will do.
    fn database(&self, place: Place<'_>) -> String {
        let fixed = self.config.auth.query_database.clone();
        let routed = || match place.database {
            database if CONSOLE.contains(&database) => None,
            database => self.config.route(database).map(|route| route.server_database),
        };
        fixed.or_else(routed).unwrap_or_else(|| self.fallback_database(place.cluster).to_owned())
    }

    /// A database that is there when the client's is not.
    fn fallback_database(&self, cluster: &str) -> &str {
        self.config.clusters.get(cluster).map_or("postgres", |settings| &settings.monitor_database)
    }

    /// The question about `key` that is being asked, or was answered lately, or a new one.
    fn flight(&self, key: Key, now: Instant) -> Arc<OnceCell<Answer>> {
        let mut remembered = self.remembered.lock();
        let current = |flight: &Arc<OnceCell<Answer>>| flight.get().is_none_or(|answer| now < answer.until);
        if let Some(flight) = remembered.get(&key).filter(|flight| current(flight)) {
            return Arc::clone(flight);
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, flight| current(flight));
        }
        if remembered.len() >= REMEMBERED_MAX {
            // Someone tries names without end. What is forgotten is asked for again.
            remembered.clear();
        }
        let flight = Arc::new(OnceCell::new());
        remembered.insert(key, Arc::clone(&flight));
        flight
    }

    async fn ask(&self, place: Place<'_>, database: String) -> Answer {
        let asked = match self.ask_in(place, &database).await {
            // The server will say so itself, to a client that has proved who it is.
            Err(AskError::NoSuchDatabase) if self.config.auth.query_database.is_none() => {
                self.ask_in(place, self.fallback_database(place.cluster)).await
            }
            asked => asked,
        };
        let auth = &self.config.auth;
        let (secret, keep) = match asked {
            Ok(Some(secret)) => (Some(secret), auth.query_cache),
            Ok(None) => (None, auth.query_cache_negative),
            Err(error) => {
                warn!(cluster = place.cluster, database, user = place.user, %error, "auth_query failed");
                (None, None)
            }
        };
        Answer { secret, until: Instant::now() + keep.unwrap_or(Duration::ZERO) }
    }

    async fn ask_in(&self, place: Place<'_>, database: &str) -> Result<Option<StoredSecret>, AskError> {
        let asker = self.askers.get(place.cluster).ok_or(AskError::NoPrimary)?;
        let primary = (self.find_primary)(place.cluster).ok_or(AskError::NoPrimary)?;
        asker.ask(&Question { primary: &primary, database, user: place.user }).await
    }
}

/// Answers that are remembered at a time.
const REMEMBERED_MAX: usize = 10_000;
/// Databases of the console, which no server has.
const CONSOLE: [&str; 2] = ["pgweir", "pgbouncer"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[tokio::test]
    async fn names_without_end_fill_nothing() {
        let config = Arc::new(fixtures::config("[auth]\nmethod = \"trust\"", std::path::Path::new("")));
        let lookup = Lookup::new(&config, "looker", Arc::new(|_| None));
        let key = |number: usize| ("main".to_owned(), "shop".to_owned(), number.to_string());
        let now = Instant::now();
        for number in 0..REMEMBERED_MAX {
            let flight = lookup.flight(key(number), now);
            let until = now + Duration::from_secs(if number % 2 == 0 { 1 } else { 60 });
            assert!(flight.set(Answer { secret: None, until }).is_ok());
        }
        // What is out of date goes first.
        let later = now + Duration::from_secs(2);
        lookup.flight(key(REMEMBERED_MAX), later);
        assert_eq!(lookup.remembered.lock().len(), REMEMBERED_MAX / 2 + 1);
        for number in 0..2 * REMEMBERED_MAX {
            lookup.flight(key(REMEMBERED_MAX + number), later);
            assert!(lookup.remembered.lock().len() <= REMEMBERED_MAX);
        }
    }
}
