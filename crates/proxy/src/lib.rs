//! Sockets, TLS, tasks and time: the shell around the pure crates.
//!
//! Why one crate: everything that waits is here, and nothing that decides. A client's way through it: `listen` accepts,
//! `handshake` admits, `login` welcomes, `relay` serves; `pool` and `dial` bring servers, `monitor` watches nodes.
//! Invariants: no lock is held while waiting; a panic ends one session; every queue and buffer has a bound.
//! Absent: what SQL means, which node may serve, how a password is proved, and what the console looks like.

mod catalog;
mod client;
mod cluster;
mod control;
mod deadlines;
pub mod dial;
#[cfg(test)]
mod fixtures;
pub mod handshake;
pub mod hashing;
mod inbox;
pub mod inspect;
mod listen;
mod login;
mod metrics;
mod monitor;
mod overview;
mod pool;
mod prepared;
mod purpose;
mod relay;
mod replication;
pub mod report;
pub mod route;
pub mod secrets;
mod server;
mod shapes;
pub mod stream;
mod tally;
pub mod tls;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pgweir_auth::{Password, ServerCredentials};
use pgweir_config::{Config, ConfigErrors, DatabaseSettings};
use pgweir_session::StatementNamer;
use tokio::sync::{Notify, watch};

use crate::catalog::Catalogs;
use crate::client::Clients;
use crate::cluster::{ApplyError, Cluster};
use crate::handshake::{Admitted, Gate};
use crate::hashing::Hashing;
use crate::metrics::Metrics;
use crate::pool::{AllPools, ServerPool};
use crate::purpose::Purpose;
use crate::report::{Report, ShutdownMode};
use crate::secrets::{FindPrimary, Primary, Secrets, SecretsError};
use crate::tls::TlsError;

/// The proxy: everything that lives as long as the process.
pub struct Proxy {
    pub(crate) config: ArcSwap<Config>,
    path: Option<PathBuf>,
    /// For calls that come through [`Report`], which has no shared pointer.
    pub(crate) itself: std::sync::Weak<Proxy>,
    pub(crate) gate: ArcSwap<Gate>,
    clusters: Arc<ArcSwap<Clusters>>,
    pools: Mutex<HashMap<PoolKey, Arc<ServerPool>>>,
    catalogs: Catalogs,
    pub(crate) clients: Arc<Clients>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) namer: Arc<StatementNamer>,
    hashing: Hashing,
    pub(crate) console: Console,
    pub(crate) started_at: SystemTime,
    pub(crate) logging_in: AtomicU64,
    /// Told when a cluster changed.
    changed: Arc<Notify>,
    pub(crate) periods: Mutex<overview::Periods>,
    pub(crate) phase: watch::Sender<Phase>,
}

type Clusters = HashMap<String, Arc<Cluster>>;
type PoolKey = (String, String);

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    Ending(ShutdownMode),
    /// Idle clients are sent away, busy ones when they are done.
    Draining,
}

/// Who a console user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleUser {
    /// In `admin.users`.
    Admin,
    /// In `admin.stats_users`.
    Stats,
}

/// Serves one console session; given by the binary, since the console knows the proxy and not the other way round.
pub type Console = Arc<
    dyn Fn(Box<Admitted>, ConsoleUser, Arc<dyn Report>) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send
        + Sync,
>;

/// Why the proxy does not start, or keeps its settings.
#[derive(Debug)]
pub enum StartError {
    /// A cluster's settings cannot be used.
    Cluster(String, String),
    /// The file is wrong.
    Config(ConfigErrors),
    /// Nobody can be let in by these settings.
    Gate(TlsError),
    /// An address cannot be listened on.
    Listen(String, std::io::Error),
    /// The users file cannot be used.
    Secrets(SecretsError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(name, error) => write!(f, "cluster {name}: {error}"),
            Self::Config(errors) => errors.fmt(f),
            Self::Gate(error) => error.fmt(f),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Secrets(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl Proxy {
    /// A proxy that serves nobody yet. `path` is the file to read again on a reload.
    ///
    /// # Errors
    /// Files that the settings name cannot be used.
    pub fn new(config: Config, path: Option<PathBuf>, console: Console) -> Result<Arc<Self>, StartError> {
        let changed = Arc::new(Notify::new());
        let mut clusters = Clusters::new();
        for (name, settings) in &config.clusters {
            let cluster = Cluster::new(name, settings, Arc::clone(&changed))
                .map_err(|error| StartError::Cluster(name.clone(), error.to_string()))?;
            clusters.insert(name.clone(), Arc::new(cluster));
        }
        let clusters = Arc::new(ArcSwap::from_pointee(clusters));
        let hashing = Hashing::new(std::thread::available_parallelism().map_or(1, usize::from));
        let config = Arc::new(config);
        let secrets = Secrets::load(&config, find_primary(&clusters)).map_err(StartError::Secrets)?;
        let gate = Gate::new(&config, Arc::new(secrets), hashing.clone()).map_err(StartError::Gate)?;
        Ok(Arc::new_cyclic(|itself| Self {
            config: ArcSwap::new(config),
            path,
            itself: itself.clone(),
            gate: ArcSwap::from_pointee(gate),
            clusters,
            pools: Mutex::default(),
            catalogs: Catalogs::default(),
            clients: Arc::default(),
            metrics: Arc::default(),
            namer: Arc::default(),
            hashing,
            console,
            started_at: SystemTime::now(),
            logging_in: AtomicU64::new(0),
            changed,
            periods: Mutex::default(),
            phase: watch::Sender::new(Phase::Serving),
        }))
    }

    /// Serves until the process is told to end and its clients are gone.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub async fn serve(self: Arc<Self>) -> Result<(), StartError> {
        let listeners = listen::bind(&self.config.load().listen)?;
        for cluster in self.clusters.load().values() {
            watch_nodes(cluster);
        }
        tokio::spawn(upkeep(Arc::clone(&self)));
        let mut accepting = tokio::task::JoinSet::new();
        for listener in listeners {
            accepting.spawn(listen::accept(Arc::clone(&self), listener));
        }
        self.wait_for_the_end().await;
        // Each takes the file of its socket away as it ends.
        accepting.join_all().await;
        Ok(())
    }

    /// Stops taking clients; idle ones are sent away, busy ones when their transaction ends, all at the deadline.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Reads the configuration again. What it says of the addresses to listen on needs a restart.
    ///
    /// # Errors
    /// The file or what it names is wrong; then everything stays as it was.
    pub fn reload_file(self: &Arc<Self>) -> Result<Vec<String>, StartError> {
        let Some(path) = &self.path else { return Ok(vec!["there is no configuration file".to_owned()]) };
        let loaded = Config::load(path).map_err(StartError::Config)?;
        let old = self.config.load_full();
        let new = Arc::new(loaded.config);
        let secrets = Secrets::load(&new, find_primary(&self.clusters)).map_err(StartError::Secrets)?;
        let gate = self.gate.load().reloaded(&new, Arc::new(secrets)).map_err(StartError::Gate)?;
        self.apply_clusters(&new)?;
        self.gate.store(Arc::new(gate));
        self.config.store(Arc::clone(&new));
        for pool in self.all_pools() {
            match self.pool_settings(&pool.database, &pool.user) {
                Some((settings, _)) => pool.apply(settings),
                None => pool.forget_welcomes(),
            }
        }
        let mut messages: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        for change in Config::diff(&old, &new) {
            let when = if change.reloadable { "" } else { " (needs a restart)" };
            messages.push(format!("{}: {} -> {}{when}", change.key, change.old, change.new));
        }
        Ok(messages)
    }

    fn apply_clusters(&self, new: &Config) -> Result<(), StartError> {
        let old = self.clusters.load_full();
        let mut clusters = Clusters::new();
        for (name, settings) in &new.clusters {
            let wrong = |error: String| StartError::Cluster(name.clone(), error);
            let cluster = match old.get(name) {
                Some(cluster) => {
                    cluster.apply(settings).map_err(|error: ApplyError| wrong(error.to_string()))?;
                    watch_nodes(cluster);
                    Arc::clone(cluster)
                }
                None => {
                    let cluster = Arc::new(
                        Cluster::new(name, settings, Arc::clone(&self.changed))
                            .map_err(|error| wrong(error.to_string()))?,
                    );
                    watch_nodes(&cluster);
                    cluster
                }
            };
            clusters.insert(name.clone(), cluster);
        }
        self.clusters.store(Arc::new(clusters));
        Ok(())
    }

    /// The pool of a database and role; `None` if there is no such database here.
    pub(crate) fn pool(self: &Arc<Self>, database: &str, user: &str) -> Option<Arc<ServerPool>> {
        let key = (database.to_owned(), user.to_owned());
        if let Some(pool) = self.pools.lock().get(&key) {
            return Some(Arc::clone(pool));
        }
        let (settings, cluster) = self.pool_settings(database, user)?;
        let all: Arc<dyn AllPools> = Arc::new(PoolsOf { proxy: Arc::downgrade(self) });
        let pool = ServerPool::new(database, user, cluster, settings, self.hashing.clone(), all);
        let mut pools = self.pools.lock();
        Some(Arc::clone(pools.entry(key).or_insert_with(|| Arc::new(pool))))
    }

    fn pool_settings(&self, database: &str, user: &str) -> Option<(pool::Settings, Arc<Cluster>)> {
        let config = self.config.load();
        let route = config.route(database)?;
        let cluster = Arc::clone(self.clusters.load().get(&route.cluster)?);
        let own = config.pool(database, user);
        let fixed_credentials = fixed_credentials(&route);
        let settings = pool::Settings {
            mode: own.mode,
            pool: pgweir_cluster::PoolSettings {
                size: own.size.get(),
                min_size: own.min_size,
                reserve_size: own.reserve_size,
                reserve_after: own.reserve_after,
                wait_timeout: own.wait_timeout,
                waiters_max: own.waiters_max.get(),
                dials_in_flight_max: own.dials_in_flight_max.get(),
                lifetime: own.lifetime.unwrap_or_default(),
                idle_timeout: own.idle_timeout.unwrap_or_default(),
                check_after_idle: own.check_after_idle,
            },
            connect_timeout: own.connect_timeout,
            catalog: self.catalogs.of(&cluster, &route.server_database),
            server_database: route.server_database,
            server_user: route.user.unwrap_or_else(|| user.to_owned()),
            fixed_credentials,
        };
        Some((settings, cluster))
    }

    pub(crate) fn all_pools(&self) -> Vec<Arc<ServerPool>> {
        self.pools.lock().values().cloned().collect()
    }

    /// Drops pools that never gave a server to anybody: names of roles and databases that servers refuse cost nothing.
    fn forget_unused_pools(&self) {
        let in_use =
            |pool: &Arc<ServerPool>| Arc::strong_count(pool) > 1 || pool.was_used() || pool.connections() > 0;
        self.pools.lock().retain(|_, pool| in_use(pool));
    }

    pub(crate) fn all_clusters(&self) -> Vec<Arc<Cluster>> {
        let mut clusters: Vec<_> = self.clusters.load().values().cloned().collect();
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        clusters
    }

    /// Whether the limits on server connections are kept, with the one that is about to be opened.
    pub(crate) fn has_room(&self, database: &str, user: &str) -> bool {
        let settings = self.config.load().pool(database, user);
        let count = |pooled: &dyn Fn(&ServerPool) -> bool, replicates: &dyn Fn(&Purpose) -> bool| {
            let pools = self.all_pools();
            let clients = self.clients.all();
            pools.iter().filter(|pool| pooled(pool)).map(|pool| pool.connections()).sum::<usize>()
                + clients
                    .iter()
                    .filter(|it| it.purpose.replica().is_some() && replicates(&it.purpose))
                    .count()
        };
        let of_database =
            || count(&|pool| pool.database == database, &|purpose| purpose.database() == database);
        let of_user = || count(&|pool| pool.user == user, &|purpose| purpose.user() == user);
        settings.database_connections_max.is_none_or(|limit| of_database() <= limit.get() as usize)
            && settings.user_connections_max.is_none_or(|limit| of_user() <= limit.get() as usize)
    }

    async fn wait_for_the_end(&self) {
        let mut phase = self.phase.subscribe();
        let ending = phase.wait_for(|phase| *phase != Phase::Serving).await;
        let how = ending.map_or(Phase::Draining, |phase| *phase);
        tracing::info!(clients = self.clients.len(), "no more clients are taken");
        let deadline = tokio::time::Instant::now() + self.config.load().listen.drain_timeout;
        loop {
            let over = match how {
                Phase::Ending(ShutdownMode::Immediate) => true,
                Phase::Ending(ShutdownMode::WaitForServers) => self.servers_in_use() == 0,
                Phase::Ending(ShutdownMode::WaitForClients) => self.clients.waited_for() == 0,
                Phase::Draining | Phase::Serving => {
                    self.send_idle_away();
                    self.clients.waited_for() == 0 || tokio::time::Instant::now() >= deadline
                }
            };
            let immediate = *phase.borrow() == Phase::Ending(ShutdownMode::Immediate);
            if over || immediate {
                break;
            }
            let _changed = tokio::time::timeout(DRAIN_STEP, phase.changed()).await;
        }
        for entry in self.clients.all() {
            entry.end(client::SHUTTING_DOWN);
        }
        // The aborted tasks say their last words while they are dropped.
        for _ in 0..LAST_STEPS {
            if self.clients.len() == 0 {
                break;
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }

    fn servers_in_use(&self) -> usize {
        let pools = self.all_pools();
        pools.iter().flat_map(|pool| pool.counts().nodes).map(|node| node.leased as usize).sum()
    }

    fn send_idle_away(&self) {
        for entry in self.clients.all() {
            if matches!(entry.doing(), client::Doing::Idle) {
                entry.end(client::SHUTTING_DOWN);
            }
        }
    }
}

/// Credentials of the configuration, where it names the role.
pub(crate) fn fixed_credentials(route: &DatabaseSettings) -> Option<ServerCredentials> {
    let plain = |text: &str| ServerCredentials::Plain(Password::new(text));
    route.user.as_ref()?;
    Some(route.password.as_ref().map_or(ServerCredentials::None, |password| plain(password.reveal())))
}

/// All pools, as one of them sees them.
struct PoolsOf {
    proxy: std::sync::Weak<Proxy>,
}

impl AllPools for PoolsOf {
    fn allows(&self, database: &str, user: &str) -> bool {
        self.proxy.upgrade().is_some_and(|proxy| proxy.has_room(database, user))
    }

    fn leave(&self, cluster: &Arc<Cluster>, server_database: &str) {
        let Some(proxy) = self.proxy.upgrade() else { return };
        for pool in proxy.all_pools() {
            let settings = pool.settings.load();
            if Arc::ptr_eq(&pool.cluster, cluster) && settings.server_database == server_database {
                settings.catalog.leave();
                pool.close_unused();
            }
        }
    }
}

fn find_primary(clusters: &Arc<ArcSwap<Clusters>>) -> FindPrimary {
    let clusters = Arc::clone(clusters);
    Arc::new(move |name: &str| {
        let cluster = Arc::clone(clusters.load().get(name)?);
        let primary = cluster.view().primary?;
        let reach = cluster.reach();
        Some(Primary { address: reach.address(primary)?.clone(), tls: Arc::clone(&reach.tls) })
    })
}

/// Watches the nodes of a cluster that are not watched yet.
fn watch_nodes(cluster: &Arc<Cluster>) {
    for node in cluster.take_unwatched() {
        tokio::spawn(monitor::watch(Arc::clone(cluster), node));
    }
}

/// What must be done a few times a second, whether anything happens or not.
async fn upkeep(proxy: Arc<Proxy>) {
    let mut pulse = tokio::time::interval(PULSE);
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut primaries = HashMap::new();
    loop {
        tokio::select! {
            _ = pulse.tick() => {}
            () = proxy.changed.notified() => {}
        }
        for cluster in proxy.all_clusters() {
            cluster.tick();
            let primary = cluster.view().primary;
            let before = primaries.insert(cluster.name.clone(), primary);
            if before.is_some_and(|before| before != primary) {
                let pools = proxy.all_pools();
                pools
                    .iter()
                    .filter(|pool| pool.cluster.name == cluster.name)
                    .for_each(|p| p.forget_welcomes());
            }
        }
        proxy.all_pools().iter().for_each(ServerPool::tick);
        proxy.forget_unused_pools();
        proxy.periods.lock().pulse(&proxy);
    }
}

/// How often pools and topologies are looked after.
const PULSE: Duration = Duration::from_millis(100);
/// How often a drain looks whether it is over.
const DRAIN_STEP: Duration = Duration::from_millis(20);
/// Steps that aborted sessions get to say their last words.
const LAST_STEPS: usize = 50;
