//! Every metric: a flat table with one row each.
//!
//! Invariants: names begin with `pgweir_` and end with their unit; a counter's name ends with `_total`.

use std::time::{SystemTime, UNIX_EPOCH};

use pgweir_proxy::report::{
    Blame, CatalogRow, ClusterRow, Counters, DatabaseStats, ErrorCount, HintCount, Histogram, Latencies,
    Lists, NodeHealth, NodeRole, NodeRow, PinCount, PoolRow, PreparedRow, QueryCount, Readiness, Report,
};
use prometheus::proto::MetricType;

use crate::commands::{health, role};

/// One metric.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) labels: &'static [&'static str],
    pub(super) samples: for<'a> fn(&'a Seen) -> Vec<Sample<'a>>,
}

/// One series of a metric: a value for each of its labels, and the reading.
pub(super) struct Sample<'a> {
    pub(super) labels: Vec<String>,
    pub(super) reading: Reading<'a>,
}

pub(super) enum Reading<'a> {
    Histogram(&'a Histogram),
    Number(f64),
}

/// What the proxy said at the moment of the scrape.
pub(super) struct Seen {
    version: String,
    started_at: SystemTime,
    readiness: Readiness,
    nodes: Vec<NodeRow>,
    pools: Vec<PoolRow>,
    prepared: Vec<PreparedRow>,
    clusters: Vec<ClusterRow>,
    catalogs: Vec<CatalogRow>,
    stats: Vec<DatabaseStats>,
    lists: Lists,
    queries: Vec<QueryCount>,
    errors: Vec<ErrorCount>,
    latencies: Latencies,
    hints: Vec<HintCount>,
    pins: Vec<PinCount>,
}

impl Seen {
    pub(super) fn read(report: &dyn Report) -> Self {
        Self {
            version: report.version().to_owned(),
            started_at: report.started_at(),
            readiness: report.readiness(),
            nodes: report.nodes(),
            pools: report.pools(),
            prepared: report.prepared_transactions(),
            clusters: report.clusters(),
            catalogs: report.catalogs(),
            stats: report.stats(),
            lists: report.lists(),
            queries: report.queries(),
            errors: report.errors(),
            latencies: report.latencies(),
            hints: report.hints(),
            pins: report.pins(),
        }
    }
}

pub(super) const FAMILIES: &[Family] = &[
    gauge("pgweir_build_info", "Always 1; the label is the version.", &["version"], |seen| {
        vec![sample([&seen.version], 1.0)]
    }),
    gauge("pgweir_start_time_seconds", "When this process began to serve, as Unix time.", &[], |seen| {
        let since = seen.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        vec![sample([], since.as_secs_f64())]
    }),
    gauge("pgweir_ready", "1 when at least one node serves.", &[], |seen| {
        vec![sample([], truth(seen.readiness == Readiness::Ready))]
    }),
    // Nodes
    gauge("pgweir_node_role", "1 for the role the node was seen in.", &["cluster", "node", "role"], |seen| {
        states(
            &seen.nodes,
            &[NodeRole::Primary, NodeRole::Standby, NodeRole::Unknown],
            |node| node.role,
            role,
        )
    }),
    gauge("pgweir_node_health", "1 for the node's health.", &["cluster", "node", "health"], |seen| {
        states(
            &seen.nodes,
            &[NodeHealth::Up, NodeHealth::Suspect, NodeHealth::Down],
            |node| node.health,
            health,
        )
    }),
    gauge("pgweir_node_serves_reads", "1 when reads are sent to the node.", NODE, |seen| {
        nodes(seen, |node| Some(truth(node.out.is_none())))
    }),
    gauge("pgweir_node_out", "1 for the reason why no reads are sent to the node.", NODE_REASON, |seen| {
        let out = |node: &NodeRow| Some(sample([&node.cluster, &node.name, node.out.as_ref()?.code], 1.0));
        seen.nodes.iter().filter_map(out).collect()
    }),
    gauge(
        "pgweir_node_lag_bytes",
        "WAL that the node has yet to replay; left out when unknown.",
        NODE,
        |seen| nodes(seen, |node| node.lag_bytes.map(number)),
    ),
    gauge(
        "pgweir_node_staleness_seconds",
        "How old the newest data on the node may be; left out when unknown.",
        NODE,
        |seen| nodes(seen, |node| node.staleness.map(|age| age.as_secs_f64())),
    ),
    gauge("pgweir_node_in_flight", "Servers on the node in the hands of clients.", NODE, |seen| {
        nodes(seen, |node| Some(node.in_flight.into()))
    }),
    gauge("pgweir_node_connections", "Server connections to the node.", NODE, |seen| {
        nodes(seen, |node| Some(node.connections.into()))
    }),
    gauge("pgweir_node_weight", "The node's share of reads relative to other nodes.", NODE, |seen| {
        nodes(seen, |node| Some(node.weight.into()))
    }),
    counter(
        "pgweir_node_reads_resent_total",
        "Reads that the node failed to answer and that were sent again elsewhere.",
        NODE,
        |seen| nodes(seen, |node| Some(number(node.reads_resent))),
    ),
    // Clusters
    counter(
        "pgweir_reads_not_resent_total",
        "Reads whose standby failed and that were not sent again, since too many were.",
        &["cluster"],
        |seen| {
            let row = |row: &ClusterRow| sample([&row.cluster], number(row.reads_not_resent));
            seen.clusters.iter().map(row).collect()
        },
    ),
    gauge(
        "pgweir_prepared_transactions",
        "Transactions that wait for COMMIT PREPARED or ROLLBACK PREPARED; left out when unknown.",
        &["cluster"],
        |seen| seen.prepared.iter().map(|row| sample([&row.cluster], number(row.count))).collect(),
    ),
    gauge(
        "pgweir_prepared_transaction_oldest_seconds",
        "How long the oldest prepared transaction waits; 0 when there is none.",
        &["cluster"],
        |seen| seen.prepared.iter().map(|row| sample([&row.cluster], row.oldest.as_secs_f64())).collect(),
    ),
    counter(
        "pgweir_queries_total",
        "Statements sent to the node, by kind and by the reason for which they went there.",
        &["cluster", "node", "kind", "reason"],
        |seen| {
            let row = |query: &QueryCount| {
                sample([&query.cluster, &query.node, query.kind, query.reason], number(query.count))
            };
            seen.queries.iter().map(row).collect()
        },
    ),
    // Catalogs
    gauge(
        "pgweir_catalog_age_seconds",
        "Time since the database's catalog was last known to be true; left out when it is not known.",
        CATALOG,
        |seen| catalogs(seen, |catalog| catalog.age.map(|age| age.as_secs_f64())),
    ),
    gauge(
        "pgweir_catalog_objects",
        "Functions, operators, relations and types known.",
        CATALOG_KIND,
        |seen| {
            let row = |catalog: &CatalogRow| -> Vec<Sample<'static>> {
                let series = |(kind, count): &(&'static str, u64)| {
                    sample([&catalog.cluster, &catalog.database, kind], number(*count))
                };
                catalog.objects.iter().map(series).collect()
            };
            seen.catalogs.iter().flat_map(row).collect()
        },
    ),
    gauge("pgweir_catalog_bytes", "Memory that the database's catalog takes.", CATALOG, |seen| {
        catalogs(seen, |catalog| Some(number(catalog.memory_bytes)))
    }),
    counter("pgweir_catalog_reads_total", "Times that the database's catalog was read.", CATALOG, |seen| {
        catalogs(seen, |catalog| Some(number(catalog.reads)))
    }),
    counter("pgweir_catalog_read_seconds_total", "Time that reading it took.", CATALOG, |seen| {
        catalogs(seen, |catalog| Some(catalog.read_time.as_secs_f64()))
    }),
    counter("pgweir_catalog_errors_total", "Times that the primary could not be asked.", CATALOG, |seen| {
        catalogs(seen, |catalog| Some(number(catalog.errors)))
    }),
    // Pools
    gauge("pgweir_pool_clients", "Clients of the pool by state.", POOL_STATE, |seen| {
        pool_states(seen, |pool| {
            vec![
                ("active", pool.cl_active),
                ("waiting", pool.cl_waiting),
                ("active_cancel_req", pool.cl_active_cancel_req),
                ("waiting_cancel_req", pool.cl_waiting_cancel_req),
            ]
        })
    }),
    gauge("pgweir_pool_servers", "Servers of the pool by state.", POOL_STATE, |seen| {
        pool_states(seen, |pool| {
            vec![
                ("active", pool.sv_active),
                ("active_cancel", pool.sv_active_cancel),
                ("being_canceled", pool.sv_being_canceled),
                ("idle", pool.sv_idle),
                ("used", pool.sv_used),
                ("tested", pool.sv_tested),
                ("login", pool.sv_login),
            ]
        })
    }),
    gauge(
        "pgweir_pool_maxwait_seconds",
        "How long the first client in the pool's queue has waited.",
        &["database", "user"],
        |seen| {
            let row = |pool: &PoolRow| sample([&pool.database, &pool.user], pool.maxwait.as_secs_f64());
            seen.pools.iter().map(row).collect()
        },
    ),
    // Databases
    counter("pgweir_database_server_assignments_total", "Servers given to clients.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.server_assignments))
    }),
    counter("pgweir_database_transactions_total", "Transactions.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.transactions))
    }),
    counter("pgweir_database_queries_total", "Statements.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.queries))
    }),
    counter("pgweir_database_received_bytes_total", "Bytes from clients.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.bytes_received))
    }),
    counter("pgweir_database_sent_bytes_total", "Bytes to clients.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.bytes_sent))
    }),
    counter("pgweir_database_transaction_seconds_total", "Time in transactions.", DATABASE, |seen| {
        databases(seen, |counters| counters.transaction_time.as_secs_f64())
    }),
    counter("pgweir_database_query_seconds_total", "Time in statements.", DATABASE, |seen| {
        databases(seen, |counters| counters.query_time.as_secs_f64())
    }),
    counter("pgweir_database_wait_seconds_total", "Time waited for a server.", DATABASE, |seen| {
        databases(seen, |counters| counters.wait_time.as_secs_f64())
    }),
    counter("pgweir_database_client_parses_total", "Parse messages from clients.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.client_parses))
    }),
    counter("pgweir_database_server_parses_total", "Parse messages to servers.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.server_parses))
    }),
    counter("pgweir_database_binds_total", "Bind messages.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.binds))
    }),
    counter("pgweir_database_client_logins_total", "Logins of clients.", DATABASE, |seen| {
        databases(seen, |counters| number(counters.client_logins))
    }),
    // The whole
    gauge("pgweir_clients", "Client connections by state.", &["state"], |seen| {
        let lists = seen.lists;
        vec![sample(["logged_in"], lists.used_clients.into()), sample(["login"], lists.login_clients.into())]
    }),
    gauge("pgweir_clients_free", "Clients for which there is still room.", &[], |seen| {
        vec![sample([], seen.lists.free_clients.into())]
    }),
    gauge("pgweir_servers", "Server connections by state.", &["state"], |seen| {
        let lists = seen.lists;
        vec![sample(["used"], lists.used_servers.into()), sample(["free"], lists.free_servers.into())]
    }),
    histogram("pgweir_query_duration_seconds", "How long servers took to answer.", |seen| {
        one(&seen.latencies.query)
    }),
    histogram("pgweir_wait_duration_seconds", "How long clients waited for a server.", |seen| {
        one(&seen.latencies.wait)
    }),
    counter("pgweir_errors_total", "Errors that clients were shown, by who is at fault.", ERROR, |seen| {
        let row = |error: &ErrorCount| sample([blame(error.blame), error.code], number(error.count));
        seen.errors.iter().map(row).collect()
    }),
    gauge("pgweir_pinned_sessions", "Sessions bound to one server, by reason.", &["reason"], |seen| {
        seen.pins.iter().map(|pin| sample([pin.reason], number(pin.sessions))).collect()
    }),
    counter("pgweir_hints_total", "Statements with hints, by what became of them.", &["outcome"], |seen| {
        seen.hints.iter().map(|hint| sample([hint.outcome], number(hint.count))).collect()
    }),
    counter("pgweir_pins_total", "Times that a session was bound to one server.", &["reason"], |seen| {
        seen.pins.iter().map(|pin| sample([pin.reason], number(pin.total))).collect()
    }),
];

const CATALOG: &[&str] = &["cluster", "database"];
const CATALOG_KIND: &[&str] = &["cluster", "database", "kind"];
const DATABASE: &[&str] = &["database"];
const ERROR: &[&str] = &["blame", "code"];
const NODE: &[&str] = &["cluster", "node"];
const NODE_REASON: &[&str] = &["cluster", "node", "reason"];
const POOL_STATE: &[&str] = &["database", "user", "state"];

type Samples = for<'a> fn(&'a Seen) -> Vec<Sample<'a>>;

const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: Samples,
) -> Family {
    Family { name, help, kind: MetricType::GAUGE, labels, samples }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: Samples,
) -> Family {
    Family { name, help, kind: MetricType::COUNTER, labels, samples }
}

const fn histogram(name: &'static str, help: &'static str, samples: Samples) -> Family {
    Family { name, help, kind: MetricType::HISTOGRAM, labels: &[], samples }
}

fn sample<const N: usize>(labels: [&str; N], value: f64) -> Sample<'static> {
    Sample { labels: labels.map(str::to_owned).to_vec(), reading: Reading::Number(value) }
}

fn one(histogram: &Histogram) -> Vec<Sample<'_>> {
    vec![Sample { labels: Vec::new(), reading: Reading::Histogram(histogram) }]
}

fn nodes(seen: &Seen, value: fn(&NodeRow) -> Option<f64>) -> Vec<Sample<'static>> {
    let row = |node: &NodeRow| Some(sample([&node.cluster, &node.name], value(node)?));
    seen.nodes.iter().filter_map(row).collect()
}

fn catalogs(seen: &Seen, value: fn(&CatalogRow) -> Option<f64>) -> Vec<Sample<'static>> {
    let row = |catalog: &CatalogRow| Some(sample([&catalog.cluster, &catalog.database], value(catalog)?));
    seen.catalogs.iter().filter_map(row).collect()
}

/// One series for each of the states that a node may be in: 1 for the one it is in, 0 for the others.
fn states<T: Copy + PartialEq>(
    nodes: &[NodeRow],
    all: &[T],
    state: fn(&NodeRow) -> T,
    name: fn(T) -> &'static str,
) -> Vec<Sample<'static>> {
    let row = |node: &NodeRow| -> Vec<Sample<'static>> {
        let series = |each: &T| sample([&node.cluster, &node.name, name(*each)], truth(state(node) == *each));
        all.iter().map(series).collect()
    };
    nodes.iter().flat_map(row).collect()
}

fn pool_states(seen: &Seen, counts: fn(&PoolRow) -> Vec<(&'static str, u32)>) -> Vec<Sample<'static>> {
    let row = |pool: &PoolRow| -> Vec<Sample<'static>> {
        let series = |(state, count): (&str, u32)| sample([&pool.database, &pool.user, state], count.into());
        counts(pool).into_iter().map(series).collect()
    };
    seen.pools.iter().flat_map(row).collect()
}

fn databases(seen: &Seen, value: fn(&Counters) -> f64) -> Vec<Sample<'static>> {
    seen.stats.iter().map(|row| sample([&row.database], value(&row.counters))).collect()
}

const fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Client => "client",
        Blame::Configuration => "configuration",
        Blame::Proxy => "proxy",
        Blame::Server => "server",
    }
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Exact up to 2^53, which is as far as Prometheus counts.
fn number(count: u64) -> f64 {
    count as f64
}
