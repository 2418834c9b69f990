//! The rows of [`Report`](super::Report): plain data, a copy of what was true at one moment.
//!
//! Why apart from the trait: this file is a flat table that only grows.
//! Absent: behaviour.

use std::time::{Duration, SystemTime};

/// A database as clients name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseRow {
    /// The name that clients use.
    pub name: String,
    /// The hosts of its cluster's nodes, separated by commas.
    pub host: String,
    /// The port of the first node.
    pub port: u16,
    /// The name on the servers.
    pub database: String,
    /// The server user that replaces the client's.
    pub force_user: Option<String>,
    /// Servers a (user, node) pool may hold.
    pub pool_size: u32,
    /// Servers a pool keeps open.
    pub min_pool_size: u32,
    /// Servers a pool may hold beyond its size when clients wait long.
    pub reserve_pool_size: u32,
    /// The age at which a server connection is replaced.
    pub server_lifetime: Duration,
    /// `session`, `transaction` or `statement`, when set for this database.
    pub pool_mode: Option<&'static str>,
    /// How reads are spread over the standbys.
    pub load_balance_hosts: Option<&'static str>,
    /// Most server connections, 0 for no limit.
    pub max_connections: u32,
    /// Server connections now.
    pub current_connections: u32,
    /// Most client connections, 0 for no limit.
    pub max_client_connections: u32,
    /// Client connections now.
    pub current_client_connections: u32,
    /// No server is given out.
    pub paused: bool,
    /// No client is let in.
    pub disabled: bool,
}

/// The pools of one (database, user) pair, summed over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolRow {
    /// The database as clients name it.
    pub database: String,
    /// The user.
    pub user: String,
    /// Clients that hold a server or need none now.
    pub cl_active: u32,
    /// Clients that wait for a server.
    pub cl_waiting: u32,
    /// Cancel requests that were sent to a server.
    pub cl_active_cancel_req: u32,
    /// Cancel requests that were not sent yet.
    pub cl_waiting_cancel_req: u32,
    /// Servers in a client's hands.
    pub sv_active: u32,
    /// Connections that carry a cancel request.
    pub sv_active_cancel: u32,
    /// Servers kept back until a cancel request that may hit them is done.
    pub sv_being_canceled: u32,
    /// Servers ready for the next client.
    pub sv_idle: u32,
    /// Servers that must be checked before the next client.
    pub sv_used: u32,
    /// Servers being checked or reset.
    pub sv_tested: u32,
    /// Servers being dialled.
    pub sv_login: u32,
    /// How long the first client in the queue has waited.
    pub maxwait: Duration,
    /// `session`, `transaction` or `statement`.
    pub pool_mode: &'static str,
    /// How reads are spread over the standbys.
    pub load_balance_hosts: Option<&'static str>,
}

/// What client and server connections have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// Unique among the connections of its side while the process lives.
    pub id: u64,
    /// The user.
    pub user: String,
    /// The database: as the client names it, or on the server.
    pub database: String,
    /// `none`, `logical` or `physical`.
    pub replication: &'static str,
    /// The peer's address, `unix` for a Unix socket.
    pub addr: String,
    /// The peer's port.
    pub port: u16,
    /// Our address, `unix` for a Unix socket.
    pub local_addr: String,
    /// Our port.
    pub local_port: u16,
    /// When the connection was made.
    pub connect_time: SystemTime,
    /// When the last statement began.
    pub request_time: Option<SystemTime>,
    /// How long the present wait has lasted.
    pub wait: Duration,
    /// To be closed as soon as it is free.
    pub close_needed: bool,
    /// The `id` of the connection on the other side that this one is joined with.
    pub link: Option<u64>,
    /// The process id of the server, or of the client behind a Unix socket; 0 when unknown.
    pub remote_pid: u32,
    /// TLS version and cipher; empty without TLS.
    pub tls: String,
    /// The application_name of the client.
    pub application_name: String,
    /// Prepared statements held.
    pub prepared_statements: u32,
}

/// One client connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// The connection.
    pub connection: ConnectionRow,
    /// What it does now.
    pub state: ClientState,
    /// Why it holds its server, when it is pinned.
    pub pin: Option<&'static str>,
}

/// One server connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// The connection.
    pub connection: ConnectionRow,
    /// What it does now.
    pub state: ServerState,
    /// The node it leads to.
    pub node: String,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// It holds a server.
    Active,
    /// Its cancel request was sent to a server.
    ActiveCancelRequest,
    /// It asks for nothing.
    Idle,
    /// It waits for a server.
    Waiting,
    /// Its cancel request waits to be sent.
    WaitingCancelRequest,
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// A client holds it.
    Active,
    /// It carries a cancel request.
    ActiveCancel,
    /// It is kept back until a cancel request that may hit it is done.
    BeingCanceled,
    /// It is ready for the next client.
    Idle,
    /// It is being dialled.
    New,
    /// It is being checked or reset.
    Tested,
    /// It must be checked before the next client.
    Used,
}

/// One user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRow {
    /// The user's name.
    pub name: String,
    /// Pool size, when set for this user.
    pub pool_size: Option<u32>,
    /// Reserve size, when set for this user.
    pub reserve_pool_size: Option<u32>,
    /// `session`, `transaction` or `statement`, when set for this user.
    pub pool_mode: Option<&'static str>,
    /// Most server connections, 0 for no limit.
    pub max_user_connections: u32,
    /// Server connections now.
    pub current_connections: u32,
    /// Most client connections, 0 for no limit.
    pub max_user_client_connections: u32,
    /// Client connections now.
    pub current_client_connections: u32,
}

/// One node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name, unique in its cluster.
    pub name: String,
    /// Where it is dialled.
    pub address: String,
    /// What it was seen to be.
    pub role: NodeRole,
    /// Whether it answers.
    pub health: NodeHealth,
    /// Why no read is sent to it; `None` when reads are.
    pub out: Option<Out>,
    /// How much WAL it has yet to replay; `None` when unknown.
    pub lag_bytes: Option<u64>,
    /// How old its newest data may be; `None` when unknown.
    pub staleness: Option<Duration>,
    /// Where its WAL stands: insert position of a primary, replay position of a standby.
    pub lsn: Option<String>,
    /// Its timeline.
    pub timeline: Option<u32>,
    /// Servers on it in the hands of clients.
    pub in_flight: u32,
    /// Server connections to it.
    pub connections: u32,
    /// Its share of the reads relative to other nodes.
    pub weight: u32,
    /// Reads that it failed to answer and that were sent again elsewhere, since the start.
    pub reads_resent: u64,
}

/// One cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRow {
    /// Its name.
    pub cluster: String,
    /// Reads whose standby failed and that were not sent again, since too many were.
    pub reads_not_resent: u64,
}

/// The prepared transactions of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedRow {
    /// The cluster's name.
    pub cluster: String,
    /// How many wait for their second phase.
    pub count: u64,
    /// How long the oldest has waited; zero when there is none.
    pub oldest: Duration,
}

/// What is known of the names in one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRow {
    /// The cluster's name.
    pub cluster: String,
    /// The database on its servers.
    pub database: String,
    /// How long ago it was last known to be true; `None`: nothing is known.
    pub age: Option<Duration>,
    /// Of each kind, from a closed set, so many are known.
    pub objects: Vec<(&'static str, u64)>,
    /// The memory that it takes.
    pub memory_bytes: u64,
    /// How often it was read.
    pub reads: u64,
    /// How long that took, all together.
    pub read_time: Duration,
    /// How often the primary could not be asked.
    pub errors: u64,
}

/// What a node was seen to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It takes writes.
    Primary,
    /// It is in recovery.
    Standby,
    /// It was never seen.
    Unknown,
}

/// Whether a node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeHealth {
    /// It does not answer.
    Down,
    /// It failed lately, but not often enough to be given up.
    Suspect,
    /// It answers.
    Up,
}

/// Why a node is sent no reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// The reason's code, from a closed set.
    pub code: &'static str,
    /// The reason in words.
    pub text: String,
}

/// How many of each thing exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Databases.
    pub databases: u32,
    /// Users.
    pub users: u32,
    /// (database, user) pairs with a pool.
    pub pools: u32,
    /// Clients that have logged in.
    pub used_clients: u32,
    /// Clients in the middle of their login.
    pub login_clients: u32,
    /// Clients for which there is still room.
    pub free_clients: u32,
    /// Servers that no client holds.
    pub free_servers: u32,
    /// Servers in the hands of clients.
    pub used_servers: u32,
}

/// One setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigRow {
    /// Its full key, as `pool.size`.
    pub key: String,
    /// The value in force; a secret's value never appears here.
    pub value: String,
    /// The value when nothing is set.
    pub default: String,
    /// A reload puts a change in force.
    pub changeable: bool,
}

/// What one database has seen: totals or averages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseStats {
    /// The database as clients name it.
    pub database: String,
    /// The numbers.
    pub counters: Counters,
}

/// The numbers of PgBouncer's statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that a server was given to a client.
    pub server_assignments: u64,
    /// Transactions.
    pub transactions: u64,
    /// Statements.
    pub queries: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
    /// Time that servers spent in transactions.
    pub transaction_time: Duration,
    /// Time that servers spent on statements.
    pub query_time: Duration,
    /// Time that clients waited for a server.
    pub wait_time: Duration,
    /// Parse messages from clients.
    pub client_parses: u64,
    /// Parse messages to servers.
    pub server_parses: u64,
    /// Bind messages.
    pub binds: u64,
    /// Logins of clients.
    pub client_logins: u64,
}

/// Statements that went to one node for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryCount {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// The kind of statement, from a closed set.
    pub kind: &'static str,
    /// Why it went there, from a closed set.
    pub reason: &'static str,
    /// How many, since the start.
    pub count: u64,
}

/// Errors that clients were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// Who is at fault.
    pub blame: Blame,
    /// What went wrong, from a closed set.
    pub code: &'static str,
    /// How many, since the start.
    pub count: u64,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client broke a rule.
    Client,
    /// The configuration or a limit in it.
    Configuration,
    /// The proxy itself: a bug.
    Proxy,
    /// A server, or the way to it.
    Server,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// From the last byte of a statement to the first byte of its answer, or as near as the relay can tell.
    pub query: Histogram,
    /// From the wish for a server to its grant.
    pub wait: Histogram,
}

/// Counts by duration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// In ascending order of `at_most`; each event is counted in one bucket only.
    pub buckets: Vec<Bucket>,
    /// Events longer than the last bucket allows.
    pub beyond: u64,
    /// All durations added up.
    pub sum: Duration,
}

/// One step of a [`Histogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The longest duration counted here.
    pub at_most: Duration,
    /// Events counted here and in no lower bucket.
    pub count: u64,
}

/// Statements of one shape that went where they went for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// What they have in common, without any string.
    pub statement: String,
    /// What they are, from a closed set.
    pub kind: &'static str,
    /// `standby` or `primary`: where they may go.
    pub target: &'static str,
    /// Why, from a closed set.
    pub reason: &'static str,
    /// How many of them standbys ran.
    pub on_standby: u64,
    /// How many of them the primary ran.
    pub on_primary: u64,
}

/// The client whose text is explained, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whose<'a> {
    /// The database that it names; `None`: the only one that there is.
    pub database: Option<&'a str>,
    /// Its role; `None`: one that uses the database.
    pub user: Option<&'a str>,
    /// Its application_name at login.
    pub application: Option<&'a str>,
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedRow {
    /// What is told.
    pub name: &'static str,
    /// What it is.
    pub value: String,
}

/// Statements whose hints came to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintCount {
    /// What became of them, from a closed set.
    pub outcome: &'static str,
    /// How many, since the start.
    pub count: u64,
}

/// Sessions pinned for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinCount {
    /// The reason, from a closed set.
    pub reason: &'static str,
    /// Sessions pinned now.
    pub sessions: u64,
    /// Times that a session was pinned, since the start.
    pub total: u64,
}
