//! Plain settings. The `config` crate fills them; the defaults are written here and nowhere else.

use std::time::Duration;

/// One configured node. Nodes are matched by name when the settings are reloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// What logs, metrics and the console call it; unique in the cluster.
    pub name: String,
    /// Its share of reads under [`Balance::Weighted`].
    pub weight: u32,
    /// Where it stands, for operators; no choice depends on it yet.
    pub zone: Option<String>,
}

/// Whether the primary serves reads that a standby could serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadsOnPrimary {
    /// Not even when no standby qualifies: reads then wait.
    Never,
    /// Only when no standby qualifies. A busy standby still qualifies.
    #[default]
    WhenNone,
    /// As one more node among the standbys.
    Always,
}

/// How one of several qualifying nodes is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Balance {
    /// Each in turn, whatever the weights.
    #[default]
    RoundRobin,
    /// Any, with equal chances.
    Random,
    /// In turn, as often as the weights say, evenly mixed.
    Weighted,
    /// The one with the fewest leases over all pools.
    LeastInFlight,
}

/// How nodes are judged. A change takes effect at once.
#[derive(Clone, Debug, PartialEq)]
pub struct TopologySettings {
    /// A standby that is older than this serves nothing.
    pub staleness_max: Duration,
    /// A standby that lacks more WAL than this serves nothing.
    pub lag_bytes_max: Option<u64>,
    /// A standby that left for its age or lag returns at or below this part of the limit.
    pub return_fraction: f64,
    /// Failed probes in a row after which a node is down. A refused connection needs only one.
    pub fall: u32,
    /// Good probes in a row after which a node that was down is up.
    pub rise: u32,
    /// How often each node is asked. Losses seen in passing count once in this time.
    pub probe_interval: Duration,
    /// A node whose last good probe is older than this is down.
    pub probe_fresh_for: Duration,
    /// Whether the primary serves reads.
    pub reads_on_primary: ReadsOnPrimary,
    /// How one of several qualifying nodes is chosen.
    pub balance: Balance,
}

impl Default for TopologySettings {
    fn default() -> Self {
        Self {
            staleness_max: Duration::from_secs(10),
            lag_bytes_max: None,
            return_fraction: 0.5,
            fall: 3,
            rise: 2,
            probe_interval: Duration::from_millis(200),
            probe_fresh_for: Duration::from_secs(3),
            reads_on_primary: ReadsOnPrimary::default(),
            balance: Balance::default(),
        }
    }
}

/// Limits of one pool. Sizes are per node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Servers open on one node at most, dials in flight included.
    pub size: u32,
    /// Servers kept open on each serving node.
    pub min_size: u32,
    /// Servers beyond `size` that may be opened once a waiter has waited for `reserve_after`.
    pub reserve_size: u32,
    /// See `reserve_size`.
    pub reserve_after: Duration,
    /// A waiter is refused after this long; zero: never.
    pub wait_timeout: Duration,
    /// Waiters at most; one more is refused at once.
    pub waiters_max: u32,
    /// Dials in flight at most, over all nodes of this pool.
    pub dials_in_flight_max: u32,
    /// A server older than this is closed when nobody uses it; zero: never.
    pub lifetime: Duration,
    /// A server unused for this long is closed, down to `min_size`; zero: never.
    pub idle_timeout: Duration,
    /// A server unused for this long is asked whether it lives before it is used.
    pub check_after_idle: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            size: 20,
            min_size: 0,
            reserve_size: 0,
            reserve_after: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(30),
            waiters_max: 10_000,
            dials_in_flight_max: 4,
            lifetime: Duration::from_secs(3600),
            idle_timeout: Duration::from_secs(600),
            check_after_idle: Duration::from_secs(30),
        }
    }
}
