//! The sections that have names: clusters with their nodes, databases, users.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::NodeAddress;
use crate::choice::{Balance, CatalogUse, Consistency, PoolMode, ReadsOnPrimary, TlsMode, TransactionReads};
use crate::quantity::ByteCount;
use crate::route::Route;
use crate::secret::Secret;
use crate::section::section;
use crate::setting::Override;
use crate::settings::at_least_one;

section! {
    /// One primary with its standbys. Which node is the primary is observed, not configured.
    ClusterSettings "cluster.NAME" {
        /// How a node is chosen for a read among those that qualify.
        reload balance: Balance = Balance::RoundRobin;
        /// What a session's reads are promised: its own writes and no step back, or only the bounds below.
        reload consistency: Consistency = Consistency::Session;
        /// A standby whose data is older serves no reads.
        reload staleness_max: Duration = Duration::from_secs(10);
        /// A standby that is further behind in WAL serves no reads; 0B: no such bound.
        reload lag_bytes_max: Option<ByteCount> = None;
        /// Whether the primary serves reads that a standby could serve.
        reload reads_on_primary: ReadsOnPrimary = ReadsOnPrimary::WhenNone;
        /// Where the reads of a transaction block go that may write; until_write: in READ COMMITTED those before its first
        /// write to a standby, if they cannot tell the difference. They lock nothing on the primary.
        reload transaction_reads: TransactionReads = TransactionReads::Primary;
        /// Reads a second that are sent again because their standby failed; the next one gets 53400 (configuration limit
        /// exceeded); 0: no limit.
        reload resent_per_second_max: Option<NonZeroU32> = Some(at_least_one(1000));
        /// Whether monitor_user reads in each database that clients use what its functions, views and types do, so that more
        /// reads are known as such; off: what uses the user's functions or types goes to the primary.
        reload catalog: CatalogUse = CatalogUse::Read;
        /// TLS towards the nodes, as libpq's sslmode.
        reload tls_mode: TlsMode = TlsMode::Prefer;
        /// Authorities in PEM that sign the nodes' certificates (verify-ca and verify-full).
        reload tls_ca: Option<PathBuf> = None;
        /// Certificate in PEM that is shown to the nodes.
        reload tls_cert: Option<PathBuf> = None;
        /// Private key of tls_cert in PEM.
        reload tls_key: Option<PathBuf> = None;
        /// Role that watches the nodes; pg_monitor is enough.
        reload monitor_user: String = "postgres".to_owned();
        /// Password of monitor_user.
        reload monitor_password: Option<Secret<String>> = None;
        /// File that holds the password of monitor_user.
        reload monitor_password_file: Option<PathBuf> = None;
        /// Database that monitor_user connects to.
        reload monitor_database: String = "postgres".to_owned();
        /// How often each node is asked for its role and WAL position.
        reload monitor_interval: Duration = Duration::from_millis(200);
        /// An answer that takes longer counts as none.
        reload monitor_timeout: Duration = Duration::from_secs(1);
        /// Failures in a row after which a node is down.
        reload fall: NonZeroU32 = at_least_one(3);
        /// Answers in a row after which a node is up again.
        reload rise: NonZeroU32 = at_least_one(2);
        /// The log warns of a prepared transaction that is older; 0s: never.
        reload prepared_transaction_age_warn: Option<Duration> = Some(Duration::from_secs(300));
    }
    + /// The nodes, in the order of the file, which means nothing.
    nodes: Vec<NodeSettings>
}

section! {
    /// One PostgreSQL server of a cluster.
    NodeSettings "cluster.NAME.node" {
        /// Where it is reached (required).
        reload address: NodeAddress = NodeAddress::Tcp { host: "127.0.0.1".to_owned(), port: 5432 };
        /// What it is called in metrics, logs and on the console; empty: its address.
        reload name: String = String::new();
        /// Its share of the reads with balance = "weighted"; 0: none.
        reload weight: u32 = 1;
        /// Where it stands, for people.
        reload zone: Option<String> = None;
    }
}

section! {
    /// What clients call a database, and what differs there. The name `*` stands for all others.
    /// Without any such section every database leads to the only cluster.
    DatabaseOverrides "database.NAME" {
        /// The cluster that has it; empty: the only one.
        reload cluster: Option<String> = None;
        /// Its name on the servers; empty: the same.
        reload server_database: Option<String> = None;
        /// Role for all server connections; empty: the client's own.
        reload user: Option<String> = None;
        /// Password of user.
        reload password: Option<Secret<String>> = None;
        /// File that holds the password of user.
        reload password_file: Option<PathBuf> = None;
        /// What `pgweir.route` is when a session begins; empty: `auto`.
        reload route: Option<Route> = None;
        /// Instead of pool.database_connections_max.
        reload connections_max: Override<Option<NonZeroU32>> = Override::Inherited;
        /// Instead of pool.mode.
        reload pool_mode: Override<PoolMode> = Override::Inherited;
        /// Instead of pool.size.
        reload pool_size: Override<NonZeroU32> = Override::Inherited;
        /// Instead of pool.min_size.
        reload pool_min_size: Override<u32> = Override::Inherited;
        /// Instead of pool.reserve_size.
        reload pool_reserve_size: Override<u32> = Override::Inherited;
        /// Instead of pool.wait_timeout.
        reload wait_timeout: Override<Duration> = Override::Inherited;
        /// Instead of pool.idle_transaction_timeout.
        reload idle_transaction_timeout: Override<Option<Duration>> = Override::Inherited;
        /// Instead of pool.query_timeout.
        reload query_timeout: Override<Option<Duration>> = Override::Inherited;
    }
}

section! {
    /// What differs for a role. It goes before `[database.NAME]`, which goes before `[pool]`.
    UserOverrides "user.NAME" {
        /// What `pgweir.route` is when a session begins; empty: as the database says.
        reload route: Option<Route> = None;
        /// Instead of pool.user_connections_max.
        reload connections_max: Override<Option<NonZeroU32>> = Override::Inherited;
        /// Instead of pool.mode.
        reload pool_mode: Override<PoolMode> = Override::Inherited;
        /// Instead of pool.size.
        reload pool_size: Override<NonZeroU32> = Override::Inherited;
        /// Instead of pool.min_size.
        reload pool_min_size: Override<u32> = Override::Inherited;
        /// Instead of pool.reserve_size.
        reload pool_reserve_size: Override<u32> = Override::Inherited;
        /// Instead of pool.wait_timeout.
        reload wait_timeout: Override<Duration> = Override::Inherited;
        /// Instead of pool.idle_transaction_timeout.
        reload idle_transaction_timeout: Override<Option<Duration>> = Override::Inherited;
        /// Instead of pool.client_idle_timeout.
        reload client_idle_timeout: Override<Option<Duration>> = Override::Inherited;
        /// Instead of pool.query_timeout.
        reload query_timeout: Override<Option<Duration>> = Override::Inherited;
    }
}

section! {
    /// What differs for clients that give this application_name when they log in. It goes before `[user.NAME]`.
    ApplicationOverrides "application.NAME" {
        /// What `pgweir.route` is when a session begins; empty: as the role or the database says.
        reload route: Option<Route> = None;
    }
}

/// Where a client's database leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// The name that the client asked for.
    pub name: String,
    /// A key of [`Config::clusters`](crate::Config::clusters).
    pub cluster: String,
    /// The name on the servers.
    pub server_database: String,
    /// The role for all server connections; `None`: the client's own.
    pub user: Option<String>,
    /// The password of `user`.
    pub password: Option<Secret<String>>,
}
