//! The sections that exist once. Their defaults stand here and nowhere else.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::ListenAddress;
use crate::choice::{AuthMethod, LogFormat, LogLevel, PoolMode, TlsMode};
use crate::quantity::ByteCount;
use crate::secret::Secret;
use crate::section::section;
use crate::setting::FileMode;

/// A number that is written in this crate and is not zero.
pub(crate) const fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("defaults are written here and are not zero")
}

section! {
    /// Where clients arrive, and how many may.
    ListenSettings "listen" {
        /// TCP address and port to listen on; several are a list.
        restart address: Vec<ListenAddress> = vec![ListenAddress { host: "0.0.0.0".to_owned(), port: 6432 }];
        /// Directory for a Unix socket named after the first port; empty: no Unix socket.
        restart unix_socket_dir: Option<PathBuf> = None;
        /// Who may use the Unix socket, as for chmod.
        restart unix_socket_mode: FileMode = FileMode::new(0o777);
        /// Connections that the kernel holds until they are accepted.
        restart backlog: NonZeroU32 = at_least_one(1024);
        /// Clients at a time; the next one gets 53300 (too many connections).
        reload clients_max: NonZeroU32 = at_least_one(1000);
        /// A client must have logged in by then.
        reload startup_timeout: Duration = Duration::from_secs(15);
        /// How long SIGTERM waits for clients to finish.
        reload drain_timeout: Duration = Duration::from_secs(30);
        /// TLS towards clients; prefer: when the client asks and a certificate is given; verify-*: client certificates.
        reload tls_mode: TlsMode = TlsMode::Prefer;
        /// Certificate chain in PEM.
        reload tls_cert: Option<PathBuf> = None;
        /// Private key of tls_cert in PEM.
        reload tls_key: Option<PathBuf> = None;
        /// Authorities in PEM that sign client certificates (verify-ca and verify-full).
        reload tls_ca: Option<PathBuf> = None;
        /// Threads that relay; 0: one for each core.
        restart workers: Option<NonZeroU32> = None;
    }
}

section! {
    /// How clients prove who they are.
    AuthSettings "auth" {
        /// What is asked of a client.
        reload method: AuthMethod = AuthMethod::ScramSha256;
        /// Roles and secrets in the format of PgBouncer's userlist.txt.
        reload users_file: Option<PathBuf> = None;
        /// Role that asks the primary for the secrets of roles that users_file lacks; empty: nobody asks.
        reload query_user: Option<String> = None;
        /// Password of query_user.
        reload query_password: Option<Secret<String>> = None;
        /// File that holds the password of query_user.
        reload query_password_file: Option<PathBuf> = None;
        /// Database in which query runs; empty: the one that the client asks for.
        reload query_database: Option<String> = None;
        /// Returns name and secret of the role $1; no row or NULL: refused.
        reload query: String = LOOKUP.to_owned();
        /// Connections for query, for each database.
        reload query_pool_size: NonZeroU32 = at_least_one(2);
        /// How long a secret that was found is remembered; 0s: not at all.
        reload query_cache: Option<Duration> = Some(Duration::from_secs(30));
        /// How long it is remembered that a role has none; 0s: not at all.
        reload query_cache_negative: Option<Duration> = Some(Duration::from_secs(5));
    }
}

/// Only roles that may log in, and whose password has not expired.
const LOOKUP: &str = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END \
                      FROM pg_catalog.pg_authid WHERE rolname=$1 AND rolcanlogin";

section! {
    /// Who may look in, and change things.
    AdminSettings "admin" {
        /// Roles that may do everything on the console (database pgweir or pgbouncer).
        reload users: Vec<String> = Vec::new();
        /// Roles that may only SHOW.
        reload stats_users: Vec<String> = Vec::new();
        /// Address for /metrics, /healthz and /readyz, such as 127.0.0.1:9632; empty: none.
        restart http_address: Option<ListenAddress> = None;
    }
}

section! {
    /// What is written to standard error.
    LogSettings "log" {
        /// For people or for machines.
        restart format: LogFormat = LogFormat::Plain;
        /// The least severe lines that are written.
        reload level: LogLevel = LogLevel::Info;
    }
}

section! {
    /// Server connections: a pool for each database, role and node.
    PoolSettings "pool" {
        /// When a server connection goes back to its pool.
        reload mode: PoolMode = PoolMode::Transaction;
        /// Server connections of a pool.
        reload size: NonZeroU32 = at_least_one(20);
        /// Server connections that a pool keeps open once it exists.
        reload min_size: u32 = 0;
        /// More server connections, for clients that wait longer than reserve_after.
        reload reserve_size: u32 = 0;
        /// The wait after which the reserve is used.
        reload reserve_after: Duration = Duration::from_secs(5);
        /// Server connections for one database, over all roles and nodes; 0: no limit.
        reload database_connections_max: Option<NonZeroU32> = None;
        /// Server connections for one role, over all databases and nodes; 0: no limit.
        reload user_connections_max: Option<NonZeroU32> = None;
        /// Clients that wait for one database and role; the next one gets 53300 (too many connections).
        reload waiters_max: NonZeroU32 = at_least_one(10_000);
        /// A client that waited so long for a server connection gets an error.
        reload wait_timeout: Duration = Duration::from_secs(30);
        /// A server connection must be ready by then.
        reload connect_timeout: Duration = Duration::from_secs(5);
        /// Server connections of a pool that are opened at the same time.
        reload dials_in_flight_max: NonZeroU32 = at_least_one(4);
        /// Server connections unused for so long are closed; 0s: never.
        reload idle_timeout: Option<Duration> = Some(Duration::from_secs(600));
        /// Server connections older than this are closed when they are free; 0s: never.
        reload lifetime: Option<Duration> = Some(Duration::from_secs(3600));
        /// A server connection unused for so long is tested before it serves again.
        reload check_after_idle: Duration = Duration::from_secs(30);
        /// A client that leaves a transaction open for so long is disconnected; 0s: never.
        reload idle_transaction_timeout: Option<Duration> = None;
        /// A client that says nothing for so long is disconnected; 0s: never.
        reload client_idle_timeout: Option<Duration> = None;
        /// A statement that runs for so long is cancelled; 0s: never.
        reload query_timeout: Option<Duration> = None;
    }
}

section! {
    /// Bounds on what one client can make pgweir hold.
    LimitSettings "limits" {
        /// Query text held to find out where it may run; longer texts are streamed to the primary.
        reload query_bytes_max: ByteCount = ByteCount::new(1 << 20);
        /// Requests kept so that a read can be tried again on another node; longer ones are not.
        reload segment_bytes_max: ByteCount = ByteCount::new(64 << 10);
        /// Prepared statements of a client.
        reload client_statements_max: NonZeroU32 = at_least_one(10_000);
        /// Prepared statements on a server connection; the least recently used one is closed.
        reload server_statements_max: NonZeroU32 = at_least_one(1000);
        /// Requests of a client without a reply; then reading from it pauses.
        reload pipeline_depth_max: NonZeroU32 = at_least_one(100_000);
    }
}
