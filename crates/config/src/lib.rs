//! `proxy.toml` to checked settings, with the place of every mistake.
//!
//! Why here: a mistake in a file should be told before it becomes a behaviour, with its line, its column and what to
//! write instead; and all mistakes at once. That rules out derived deserialisation, which stops at the first.
//! Invariants: a [`Config`] that came out of [`Config::parse`] holds no contradiction that this crate knows of;
//! `Default` of a section is the only place where a default is written; a password is never printed.
//! Absent: any other crate of the workspace (the shell turns these plain types into theirs), sockets, reloading.

mod address;
mod check;
mod choice;
mod cluster;
mod describe;
mod diagnostic;
mod fault;
mod quantity;
mod read;
mod route;
mod secret;
mod section;
mod setting;
mod settings;
mod suggest;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

pub use address::{ListenAddress, NodeAddress};
pub use choice::{
    AuthMethod, Balance, CatalogUse, Consistency, LogFormat, LogLevel, PoolMode, ReadsOnPrimary, TlsMode,
    TransactionReads,
};
pub use cluster::{
    ApplicationOverrides, ClusterSettings, DatabaseOverrides, DatabaseSettings, NodeSettings, UserOverrides,
};
pub use describe::{Change, Described};
pub use diagnostic::{ConfigErrors, Diagnostic, Severity};
pub use fault::{AddressFault, Exposure, Fault, Quantity};
pub use quantity::ByteCount;
pub use route::Route;
pub use secret::Secret;
pub use section::{Key, SectionKeys};
pub use setting::{FileMode, Override};
pub use settings::{AdminSettings, AuthSettings, LimitSettings, ListenSettings, LogSettings, PoolSettings};

/// Everything that `proxy.toml` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[listen]`.
    pub listen: ListenSettings,
    /// `[auth]`.
    pub auth: AuthSettings,
    /// `[admin]`.
    pub admin: AdminSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[pool]`.
    pub pool: PoolSettings,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[cluster.NAME]`, at least one in a parsed file.
    pub clusters: BTreeMap<String, ClusterSettings>,
    /// `[database.NAME]`.
    pub databases: BTreeMap<String, DatabaseOverrides>,
    /// `[user.NAME]`.
    pub users: BTreeMap<String, UserOverrides>,
    /// `[application.NAME]`.
    pub applications: BTreeMap<String, ApplicationOverrides>,
}

/// A good configuration, with what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Things to tell the operator; none of them prevents a start.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// Reads and checks a file. Relative paths in it start at the file's folder.
    pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
        let base_dir = path.parent().unwrap_or(Path::new(""));
        read::read(&text, base_dir, &path.display().to_string())
    }

    /// Checks a text. Relative paths in it start at `base_dir`; the files that it names must exist.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Loaded, ConfigErrors> {
        read::read(text, base_dir, "proxy.toml")
    }

    /// Every key that exists, with its default and meaning, in the order of the shipped file.
    pub fn sections() -> Vec<SectionKeys> {
        describe::sections()
    }

    /// Where the database that a client names leads; `None`: there is no such database here.
    pub fn route(&self, database: &str) -> Option<DatabaseSettings> {
        let nothing = DatabaseOverrides::default();
        let overrides = if self.databases.is_empty() { &nothing } else { self.overrides(database)? };
        let only = || self.clusters.keys().next().filter(|_| self.clusters.len() == 1);
        Some(DatabaseSettings {
            name: database.to_owned(),
            cluster: overrides.cluster.as_ref().or_else(only)?.clone(),
            server_database: overrides.server_database.clone().unwrap_or_else(|| database.to_owned()),
            user: overrides.user.clone(),
            password: overrides.password.clone(),
        })
    }

    /// Where a physical replication connection leads. It is bound to no database, and what clients put in its place (libpq's own
    /// say `replication`) need not be one: without a route it leads to the only cluster.
    pub fn route_physical(&self, database: &str) -> Option<DatabaseSettings> {
        self.route(database).or_else(|| {
            let cluster = self.clusters.keys().next().filter(|_| self.clusters.len() == 1)?;
            let (name, server_database) = (database.to_owned(), database.to_owned());
            Some(DatabaseSettings {
                name,
                cluster: cluster.clone(),
                server_database,
                user: None,
                password: None,
            })
        })
    }

    /// The pool settings for a database and role: the role's own go before the database's, these before `[pool]`.
    /// `min_size` never exceeds `size` nor a limit on connections, whatever the mixture.
    pub fn pool(&self, database: &str, user: &str) -> PoolSettings {
        let mut pool = self.pool.clone();
        if let Some(own) = self.overrides(database) {
            own.apply(&mut pool);
        }
        if let Some(own) = self.users.get(user) {
            own.apply(&mut pool);
        }
        let limits = [Some(pool.size), pool.database_connections_max, pool.user_connections_max];
        let least = limits.into_iter().flatten().min().map_or(u32::MAX, NonZeroU32::get);
        pool.min_size = pool.min_size.min(least);
        pool
    }

    /// Where the reads of a client's session go to begin with: the application's own rule goes before the role's, this before
    /// the database's. A rule for a node that the database's cluster does not have asks for nothing there.
    pub fn reads(&self, database: &str, user: &str, application: Option<&str>) -> Option<&Route> {
        let cluster = self.route(database).and_then(|route| self.clusters.get(&route.cluster));
        let there = |route: &&Route| match route {
            Route::Node(name) => cluster.is_some_and(|cluster| cluster.has_node(name)),
            Route::Auto | Route::Primary | Route::Standby => true,
        };
        let of_application = application.and_then(|name| self.applications.get(name)?.route.as_ref());
        let of_user = self.users.get(user).and_then(|user| user.route.as_ref());
        let of_database = self.overrides(database).and_then(|database| database.route.as_ref());
        [of_application, of_user, of_database].into_iter().flatten().find(there)
    }

    /// `[database.NAME]`, or `[database."*"]`.
    fn overrides(&self, database: &str) -> Option<&DatabaseOverrides> {
        self.databases.get(database).or_else(|| self.databases.get(ANY_DATABASE))
    }
}

impl ClusterSettings {
    pub(crate) fn has_node(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.name == name)
    }
}

impl DatabaseOverrides {
    fn apply(&self, pool: &mut PoolSettings) {
        self.connections_max.apply(&mut pool.database_connections_max);
        self.pool_mode.apply(&mut pool.mode);
        self.pool_size.apply(&mut pool.size);
        self.pool_min_size.apply(&mut pool.min_size);
        self.pool_reserve_size.apply(&mut pool.reserve_size);
        self.wait_timeout.apply(&mut pool.wait_timeout);
        self.idle_transaction_timeout.apply(&mut pool.idle_transaction_timeout);
        self.query_timeout.apply(&mut pool.query_timeout);
    }
}

impl UserOverrides {
    fn apply(&self, pool: &mut PoolSettings) {
        self.connections_max.apply(&mut pool.user_connections_max);
        self.pool_mode.apply(&mut pool.mode);
        self.pool_size.apply(&mut pool.size);
        self.pool_min_size.apply(&mut pool.min_size);
        self.pool_reserve_size.apply(&mut pool.reserve_size);
        self.wait_timeout.apply(&mut pool.wait_timeout);
        self.idle_transaction_timeout.apply(&mut pool.idle_transaction_timeout);
        self.client_idle_timeout.apply(&mut pool.client_idle_timeout);
        self.query_timeout.apply(&mut pool.query_timeout);
    }
}

/// The name of the section that holds for all databases without one.
const ANY_DATABASE: &str = "*";
