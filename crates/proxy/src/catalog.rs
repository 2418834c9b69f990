//! Keeps the catalog of each database that clients use: read from its primary, and read again when it may have changed.
//!
//! Why its own connections: what a client sets must never change an answer, and no client ever waits for this. Until a
//! catalog is there, or when it cannot be read, only PostgreSQL's own names are known, and the rest goes to the primary.
//! Invariants: a catalog is one snapshot of one primary, dropped when another takes over; the primary spends at most a fifth
//! of a connection's time on it, however often it changes.
//! Absent: what rows mean (`pgweir_sql::Catalog`), and the questions (`catalog::questions`).

mod facts;
mod questions;
pub(crate) mod read;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use pgweir_cluster::NodeId;
use pgweir_config::{CatalogUse, NodeAddress};
use pgweir_sql::{Catalog, CatalogSlot};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Statement};

use crate::cluster::{Cluster, Reach};
use crate::control::{self, ControlError};
use crate::report::CatalogRow;
use facts::Facts;

/// The catalogs of all databases.
#[derive(Default)]
pub(crate) struct Catalogs {
    /// By cluster and database on its servers.
    databases: Mutex<HashMap<(String, String), Weak<DatabaseCatalog>>>,
    next: AtomicU32,
}

/// What the keeper of a catalog is told.
#[derive(Default)]
struct Told {
    /// The catalog may have changed.
    changed: Notify,
    /// Somebody needs the database for himself.
    leave: Notify,
}

/// The catalog of one database, for as long as a pool leads there.
pub(crate) struct DatabaseCatalog {
    pub(crate) slot: Arc<CatalogSlot>,
    cluster: Arc<Cluster>,
    database: String,
    told: Arc<Told>,
    /// Somebody keeps it.
    is_kept: AtomicBool,
    /// For people.
    facts: Mutex<Facts>,
}

impl Catalogs {
    /// The catalog of a database; nobody reads it yet.
    pub(crate) fn of(&self, cluster: &Arc<Cluster>, database: &str) -> Arc<DatabaseCatalog> {
        let mut databases = self.databases.lock();
        let key = (cluster.name.clone(), database.to_owned());
        if let Some(known) = databases.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        databases.retain(|_, catalog| catalog.strong_count() > 0);
        let catalog = Arc::new(DatabaseCatalog {
            slot: Arc::new(CatalogSlot::new(self.next.fetch_add(1, Relaxed))),
            cluster: Arc::clone(cluster),
            database: database.to_owned(),
            told: Arc::default(),
            is_kept: AtomicBool::new(false),
            facts: Mutex::default(),
        });
        databases.insert(key, Arc::downgrade(&catalog));
        catalog
    }

    /// One row for each catalog that is kept.
    pub(crate) fn rows(&self) -> Vec<CatalogRow> {
        let databases = self.databases.lock();
        let all: Vec<_> = databases.values().filter_map(Weak::upgrade).collect();
        drop(databases);
        let kept = all.iter().filter(|database| database.is_kept.load(SeqCst));
        let row = |database: &Arc<DatabaseCatalog>| {
            database.facts.lock().row(&database.cluster.name, &database.database)
        };
        kept.map(row).collect()
    }
}

impl DatabaseCatalog {
    /// A client uses the database: from now on its catalog is kept.
    pub(crate) fn is_used(self: &Arc<Self>) {
        if !self.is_kept.swap(true, SeqCst) {
            tokio::spawn(keep(Arc::downgrade(self), Arc::clone(&self.slot), Arc::clone(&self.told)));
        }
    }

    /// Something was done that may have changed it.
    pub(crate) fn may_have_changed(&self) {
        self.told.changed.notify_one();
    }

    /// Somebody needs the database for himself: the connection to it closes, for a while.
    pub(crate) fn leave(&self) {
        if self.is_kept.load(SeqCst) {
            self.told.leave.notify_one();
        }
    }
}

/// Keeps the catalog until no pool leads to the database any more, or its clients are gone: then the connection closes, for
/// it would be in the way of DROP DATABASE.
async fn keep(database: Weak<DatabaseCatalog>, slot: Arc<CatalogSlot>, told: Arc<Told>) {
    let mut keeper = Keeper::default();
    while let Some(database) = database.upgrade() {
        if keeper.is_alone(Arc::strong_count(&slot) - KEEPERS) {
            slot.set(None);
            database.is_kept.store(false, SeqCst);
            // Whoever came in this moment saw that it was kept.
            if Arc::strong_count(&slot) == KEEPERS || database.is_kept.swap(true, SeqCst) {
                return;
            }
        }
        let pause = tokio::select! {
            biased;
            () = told.leave.notified() => keeper.leave(&database),
            pause = keeper.look(&database) => pause,
        };
        drop(database);
        // Changes come in bursts; and the primary has other things to do.
        let rest = async {
            tokio::time::sleep(pause.least).await;
            let _either = timeout(pause.most.saturating_sub(pause.least), told.changed.notified()).await;
        };
        tokio::select! {
            () = told.leave.notified() => told.leave.notify_one(),
            () = rest => {}
        }
    }
    slot.set(None);
}

/// What the keeper knows.
#[derive(Default)]
struct Keeper {
    line: Option<Line>,
    /// The primary whose catalog is in the slot, and that catalog's fingerprint.
    known: Option<(NodeId, String)>,
    /// When the catalog was last known to be true.
    confirmed: Option<Instant>,
    /// Looks that failed since.
    failures: u32,
    /// When it is over unless a client comes.
    ends: Option<Instant>,
}

/// A connection to the primary.
struct Line {
    address: NodeAddress,
    client: Client,
    fingerprint: Statement,
}

/// How long to wait before the next look.
struct Pause {
    least: Duration,
    most: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
enum LookError {
    Control(ControlError),
    NoPrimary,
    TimedOut,
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(error) => error.fmt(f),
            Self::NoPrimary => f.write_str("the cluster has no primary now"),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

impl Keeper {
    /// Whether so many clients have been none for long.
    fn is_alone(&mut self, clients: usize) -> bool {
        let now = Instant::now();
        let ends = self.ends.filter(|_| clients == 0).unwrap_or(now + KEPT_ALONE);
        self.ends = Some(ends);
        now >= ends
    }

    /// Looks whether the catalog changed, and reads it if so.
    async fn look(&mut self, database: &DatabaseCatalog) -> Pause {
        let reach = Arc::clone(&database.cluster.reach());
        if reach.settings.catalog == CatalogUse::Off {
            self.drop_catalog(database);
            return Pause { least: LEAST_PAUSE, most: POLL };
        }
        let primary = database.cluster.view().primary;
        if primary.is_some() && self.known.as_ref().is_some_and(|(node, _)| Some(*node) != primary) {
            self.drop_catalog(database);
        }
        let began = Instant::now();
        let outcome = match primary {
            Some(node) => timeout(READ_TIMEOUT, self.ask(database, &reach, node))
                .await
                .unwrap_or(Err(LookError::TimedOut)),
            None => Err(LookError::NoPrimary),
        };
        let took = began.elapsed();
        match outcome {
            Ok(()) => {
                self.confirmed = Some(began);
                database.facts.lock().confirmed(began);
                self.failures = 0;
                let least = (took * REST).clamp(LEAST_PAUSE, REST_MAX);
                Pause { least, most: least.max(POLL) }
            }
            Err(error) => {
                self.failed(database, &error);
                let least = RETRY * 2_u32.pow(self.failures.min(RETRY_DOUBLINGS));
                Pause { least, most: least.max(POLL) }
            }
        }
    }

    async fn ask(
        &mut self,
        database: &DatabaseCatalog,
        reach: &Reach,
        node: NodeId,
    ) -> Result<(), LookError> {
        let address = reach.address(node).ok_or(LookError::NoPrimary)?;
        if self.line.as_ref().is_none_or(|line| line.client.is_closed() || line.address != *address) {
            self.line = Some(connect(database, reach, address).await.map_err(LookError::Control)?);
        }
        let line = self.line.as_mut().expect("it was just made");
        let began = Instant::now();
        let failed = |error| LookError::Control(ControlError::Postgres(error));
        let fingerprint = read::fingerprint(line).await.map_err(failed)?;
        if self.known.as_ref().is_some_and(|(_, known)| *known == fingerprint) {
            return Ok(());
        }
        let (fingerprint, rows) = read::rows(&mut line.client, &line.fingerprint).await.map_err(failed)?;
        // Thousands of bodies are judged: not on a thread that serves clients.
        let built = tokio::task::spawn_blocking(move || Catalog::new(&rows)).await;
        let catalog = built.map_err(|_| LookError::NoPrimary)?;
        tracing::debug!(
            cluster = database.cluster.name,
            database = database.database,
            took = ?began.elapsed(),
            size = ?catalog.size(),
            "the catalog was read"
        );
        if database.cluster.view().primary != Some(node) {
            return Err(LookError::NoPrimary);
        }
        database.facts.lock().read(catalog.size(), began.elapsed());
        database.slot.set(Some(Arc::new(catalog)));
        self.known = Some((node, fingerprint));
        Ok(())
    }

    fn failed(&mut self, database: &DatabaseCatalog, error: &LookError) {
        self.line = None;
        let no_primary = matches!(error, LookError::NoPrimary);
        // Without a primary nothing changes. With one that cannot be asked, anything may have.
        let is_old = self.confirmed.is_none_or(|confirmed| confirmed.elapsed() > TRUSTED_FOR);
        if is_old && !no_primary {
            self.drop_catalog(database);
        }
        if no_primary {
            return;
        }
        self.failures += 1;
        database.facts.lock().failed();
        if self.failures == 1 {
            tracing::warn!(
                cluster = database.cluster.name,
                database = database.database,
                %error,
                "the catalog cannot be read: what uses functions or types of the database's own goes to the primary"
            );
        }
    }

    /// Goes out of the way of whoever needs the database for himself. Without clients there is no coming back.
    fn leave(&mut self, database: &DatabaseCatalog) -> Pause {
        self.drop_catalog(database);
        self.ends = Some(Instant::now());
        Pause { least: AWAY, most: AWAY }
    }

    fn drop_catalog(&mut self, database: &DatabaseCatalog) {
        self.line = None;
        if self.known.take().is_some() {
            database.facts.lock().dropped();
            database.slot.set(None);
        }
    }
}

async fn connect(
    database: &DatabaseCatalog,
    reach: &Reach,
    address: &NodeAddress,
) -> Result<Line, ControlError> {
    let options = "-c statement_timeout=30s -c datestyle=ISO";
    let login = control::monitor_login(&reach.settings, &database.database, "pgweir catalog", options);
    let (client, connection) = control::connect(address, &reach.tls, &login).await?;
    // Ends when the client is dropped; what goes wrong there, the client's requests tell.
    tokio::spawn(async move {
        let _outcome = connection.await;
    });
    let fingerprint = read::prepare(&client).await.map_err(ControlError::Postgres)?;
    Ok(Line { address: address.clone(), client, fingerprint })
}

/// How often a change that did not pass through here is looked for.
const POLL: Duration = Duration::from_secs(2);
/// The least time between two looks.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
/// After a look of one second, no other for so many.
const REST: u32 = 4;
/// The most time between two looks, however long they take.
const REST_MAX: Duration = Duration::from_secs(20);
/// After a failure.
const RETRY: Duration = Duration::from_millis(500);
/// How often the time after a failure is doubled.
const RETRY_DOUBLINGS: u32 = 5;
/// A look that takes longer has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a catalog is kept without a client.
const KEPT_ALONE: Duration = Duration::from_secs(60);
/// How long the catalog's connection stays away after the last wish for the database.
const AWAY: Duration = Duration::from_secs(1);
/// Those who hold a slot besides its clients: the database and its keeper.
const KEEPERS: usize = 2;
/// How long a catalog is believed while the primary cannot be asked.
const TRUSTED_FOR: Duration = Duration::from_secs(60);
