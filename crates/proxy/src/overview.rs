//! What the proxy tells about itself: fills the rows of [`Report`] from pools, clients and clusters.
//!
//! Invariant: one lock at a time, each for as long as a copy takes.

mod connections;
mod explained;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use pgweir_cluster::{Health, Role, Staleness};
use pgweir_config::NodeAddress;

use crate::client::ClientEntry;
use crate::cluster::Cluster;
use crate::pool::ServerPool;
use crate::report::{
    CatalogRow, ClientRow, ClusterRow, ConfigRow, Counters, DatabaseRow, DatabaseStats, ErrorCount,
    ExplainedRow, HintCount, Latencies, Lists, NodeHealth, NodeRole, NodeRow, Out, PinCount, PoolRow,
    PreparedRow, QueryCount, Readiness, Report, RouteRow, ServerRow, ShutdownMode, UserRow, Whose,
};
use crate::server::ServerEntry;
use crate::{Phase, Proxy};
use connections::{client_row, replication_row, server_row};

/// Totals at the beginning of this and the last period, for averages.
#[derive(Default)]
pub(crate) struct Periods {
    began: Option<Instant>,
    before: BTreeMap<String, Counters>,
    averages: BTreeMap<String, Counters>,
}

/// PgBouncer's `stats_period`.
const PERIOD: Duration = Duration::from_secs(60);

impl Periods {
    /// Closes the period when it is over.
    pub(crate) fn pulse(&mut self, proxy: &Proxy) {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        if now - began < PERIOD {
            return;
        }
        let totals = totals(proxy);
        let nothing = Counters::default();
        self.averages = totals
            .iter()
            .map(|(name, total)| {
                let before = self.before.get(name).unwrap_or(&nothing);
                (name.clone(), total.averages_since(before, now - began))
            })
            .collect();
        self.before = totals;
        self.began = Some(now);
    }
}

fn totals(proxy: &Proxy) -> BTreeMap<String, Counters> {
    let mut totals: BTreeMap<String, Counters> = BTreeMap::new();
    for pool in proxy.all_pools() {
        let own = pool.tally.read();
        let sum = totals.entry(pool.database.clone()).or_default();
        sum.server_assignments += own.server_assignments;
        sum.transactions += own.transactions;
        sum.queries += own.queries;
        sum.bytes_received += own.bytes_received;
        sum.bytes_sent += own.bytes_sent;
        sum.transaction_time += own.transaction_time;
        sum.query_time += own.query_time;
        sum.wait_time += own.wait_time;
        sum.client_parses += own.client_parses;
        sum.server_parses += own.server_parses;
        sum.binds += own.binds;
        sum.client_logins += own.client_logins;
    }
    totals
}

fn database_stats(rows: BTreeMap<String, Counters>) -> Vec<DatabaseStats> {
    rows.into_iter().map(|(database, counters)| DatabaseStats { database, counters }).collect()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Report for Proxy {
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn started_at(&self) -> SystemTime {
        self.started_at
    }

    fn databases(&self) -> Vec<DatabaseRow> {
        let config = self.config.load();
        let mut names: BTreeSet<String> =
            config.databases.keys().filter(|name| *name != "*").cloned().collect();
        names.extend(self.all_pools().iter().map(|pool| pool.database.clone()));
        let clients = self.clients.all();
        let consoles = CONSOLES.iter().map(|name| self.console_row(name, &clients));
        names.iter().filter_map(|name| self.database_row(name, &clients)).chain(consoles).collect()
    }

    fn pools(&self) -> Vec<PoolRow> {
        let clients = self.clients.all();
        let mut rows: Vec<PoolRow> = self.all_pools().iter().map(|pool| pool_row(pool, &clients)).collect();
        rows.sort_by(|a, b| (&a.database, &a.user).cmp(&(&b.database, &b.user)));
        rows
    }

    fn clients(&self) -> Vec<ClientRow> {
        let mut rows: Vec<ClientRow> = self.clients.all().iter().map(|entry| client_row(entry)).collect();
        rows.sort_by_key(|row| row.connection.id);
        rows
    }

    fn servers(&self) -> Vec<ServerRow> {
        let mut rows = Vec::new();
        for pool in self.all_pools() {
            let settings = pool.settings.load();
            let of_pool = |entry: &Arc<ServerEntry>| {
                server_row(&settings.server_database, &settings.server_user, "none", entry)
            };
            rows.extend(pool.servers().iter().map(of_pool));
        }
        rows.extend(self.clients.all().iter().filter_map(|client| replication_row(client)));
        rows.sort_by_key(|row| row.connection.id);
        rows
    }

    fn users(&self) -> Vec<UserRow> {
        let config = self.config.load();
        let pools = self.all_pools();
        let clients = self.clients.all();
        let mut names: BTreeSet<&str> = config.users.keys().map(String::as_str).collect();
        names.extend(pools.iter().map(|pool| pool.user.as_str()));
        names.extend(clients.iter().map(|client| client.purpose.user()));
        let row = |name: &&str| {
            let own = config.pool("*", name);
            let named = config.users.contains_key(*name);
            UserRow {
                name: (*name).to_owned(),
                pool_size: named.then_some(own.size.get()),
                reserve_pool_size: named.then_some(own.reserve_size),
                pool_mode: named.then_some(own.mode.as_str()),
                max_user_connections: own.user_connections_max.map_or(0, |max| max.get()),
                current_connections: number(
                    pools.iter().filter(|pool| pool.user == **name).map(|pool| pool.connections()).sum(),
                ),
                max_user_client_connections: 0,
                current_client_connections: number(
                    clients.iter().filter(|c| c.purpose.user() == *name).count(),
                ),
            }
        };
        names.iter().map(row).collect()
    }

    fn nodes(&self) -> Vec<NodeRow> {
        let now = Instant::now();
        self.all_clusters().iter().flat_map(|cluster| node_rows(cluster, now)).collect()
    }

    fn clusters(&self) -> Vec<ClusterRow> {
        let row = |cluster: &Arc<Cluster>| ClusterRow {
            cluster: cluster.name.clone(),
            reads_not_resent: cluster.not_resent(),
        };
        self.all_clusters().iter().map(row).collect()
    }

    fn prepared_transactions(&self) -> Vec<PreparedRow> {
        let now = Instant::now();
        let row = |cluster: &Arc<Cluster>| {
            let seen = cluster.prepared.load_full()?.as_of(now)?;
            let oldest = seen.oldest.unwrap_or_default();
            Some(PreparedRow { cluster: cluster.name.clone(), count: seen.count, oldest })
        };
        self.all_clusters().iter().filter_map(row).collect()
    }

    fn catalogs(&self) -> Vec<CatalogRow> {
        self.catalogs.rows()
    }

    fn lists(&self) -> Lists {
        let pools = self.all_pools();
        let counts: Vec<_> = pools.iter().flat_map(|pool| pool.counts().nodes).collect();
        let used = number(self.clients.len());
        let replicating = self.clients.all().iter().filter_map(|client| replication_row(client)).count();
        Lists {
            databases: number(pools.iter().map(|pool| &pool.database).collect::<BTreeSet<_>>().len()),
            users: number(pools.iter().map(|pool| &pool.user).collect::<BTreeSet<_>>().len()),
            pools: number(pools.len()),
            used_clients: used,
            login_clients: u32::try_from(self.logging_in.load(Relaxed)).unwrap_or(u32::MAX),
            free_clients: self.config.load().listen.clients_max.get().saturating_sub(used),
            free_servers: counts.iter().map(|node| node.idle).sum(),
            used_servers: counts.iter().map(|node| node.leased).sum::<u32>() + number(replicating),
        }
    }

    fn config(&self) -> Vec<ConfigRow> {
        let described = self.config.load().describe();
        let row = |it: pgweir_config::Described| ConfigRow {
            key: it.key,
            value: it.value,
            default: it.default,
            changeable: it.reloadable,
        };
        described.into_iter().map(row).collect()
    }

    fn stats(&self) -> Vec<DatabaseStats> {
        database_stats(totals(self))
    }

    fn averages(&self) -> Vec<DatabaseStats> {
        database_stats(self.periods.lock().averages.clone())
    }

    fn queries(&self) -> Vec<QueryCount> {
        let mut rows = Vec::new();
        for cluster in self.all_clusters() {
            for node in &cluster.view().nodes {
                rows.extend(cluster.counts(node.id).read().map(|(kind, reason, count)| QueryCount {
                    cluster: cluster.name.clone(),
                    node: node.name.to_string(),
                    kind,
                    reason,
                    count,
                }));
            }
        }
        rows
    }

    fn errors(&self) -> Vec<ErrorCount> {
        self.metrics.faults.read().map(|(blame, code, count)| ErrorCount { blame, code, count }).collect()
    }

    fn latencies(&self) -> Latencies {
        Latencies { query: self.metrics.queries.read(), wait: self.metrics.waits.read() }
    }

    fn explain(&self, whose: &Whose<'_>, text: &str) -> Result<Vec<ExplainedRow>, String> {
        self.explained(whose, text)
    }

    fn routes(&self) -> Vec<RouteRow> {
        crate::shapes::most_frequent()
    }

    fn hints(&self) -> Vec<HintCount> {
        self.metrics.hints.read().map(|(outcome, count)| HintCount { outcome, count }).collect()
    }

    fn pins(&self) -> Vec<PinCount> {
        let pins = self.metrics.pins.read();
        pins.map(|(reason, sessions, total)| PinCount { reason, sessions, total }).collect()
    }

    fn readiness(&self) -> Readiness {
        if *self.phase.borrow() != Phase::Serving {
            return Readiness::NotReady("shutting down".to_owned());
        }
        let mut reasons = Vec::new();
        for cluster in self.all_clusters() {
            let view = cluster.view();
            if view.primary.is_some() || view.nodes.iter().any(|node| node.serves_reads.is_ok()) {
                return Readiness::Ready;
            }
            let out = view
                .nodes
                .iter()
                .filter_map(|node| Some(format!("{}: {}", node.name, node.serves_reads.as_ref().err()?)));
            reasons.extend(out);
        }
        Readiness::NotReady(reasons.join("; "))
    }

    fn reload(&self) -> Result<Vec<String>, String> {
        let this = self.itself.upgrade().ok_or_else(|| "shutting down".to_owned())?;
        this.reload_file().map_err(|error| error.to_string())
    }

    fn shutdown(&self, mode: ShutdownMode) {
        self.phase.send_replace(Phase::Ending(mode));
    }
}

impl Proxy {
    fn database_row(&self, name: &str, clients: &[Arc<ClientEntry>]) -> Option<DatabaseRow> {
        let config = self.config.load();
        let route = config.route(name)?;
        let cluster = config.clusters.get(&route.cluster)?;
        let own = config.pool(name, "");
        let host = |address: &NodeAddress| match address {
            NodeAddress::Tcp { host, .. } => host.clone(),
            NodeAddress::Unix { dir, .. } => dir.display().to_string(),
        };
        let port = cluster.nodes.first().map_or(0, |node| match &node.address {
            NodeAddress::Tcp { port, .. } | NodeAddress::Unix { port, .. } => *port,
        });
        let pools = self.all_pools();
        let connections =
            pools.iter().filter(|pool| pool.database == name).map(|pool| pool.connections()).sum();
        Some(DatabaseRow {
            name: name.to_owned(),
            host: cluster.nodes.iter().map(|node| host(&node.address)).collect::<Vec<_>>().join(","),
            port,
            database: route.server_database,
            force_user: route.user,
            pool_size: own.size.get(),
            min_pool_size: own.min_size,
            reserve_pool_size: own.reserve_size,
            server_lifetime: own.lifetime.unwrap_or_default(),
            pool_mode: Some(own.mode.as_str()),
            load_balance_hosts: Some(cluster.balance.as_str()),
            max_connections: own.database_connections_max.map_or(0, |max| max.get()),
            current_connections: number(connections),
            max_client_connections: 0,
            current_client_connections: number(clients_of(name, clients)),
            paused: false,
            disabled: false,
        })
    }

    /// The console has no servers: it is here for its clients.
    fn console_row(&self, name: &str, clients: &[Arc<ClientEntry>]) -> DatabaseRow {
        DatabaseRow {
            name: name.to_owned(),
            port: self.config.load().listen.address.first().map_or(0, |address| address.port),
            database: name.to_owned(),
            pool_mode: Some("statement"),
            current_client_connections: number(clients_of(name, clients)),
            ..DatabaseRow::default()
        }
    }
}

fn clients_of(database: &str, clients: &[Arc<ClientEntry>]) -> usize {
    clients.iter().filter(|client| client.purpose.database() == database).count()
}

/// The databases of the console.
pub(crate) const CONSOLES: [&str; 2] = ["pgbouncer", "pgweir"];

fn pool_row(pool: &Arc<ServerPool>, clients: &[Arc<ClientEntry>]) -> PoolRow {
    let counts = pool.counts();
    let own = clients
        .iter()
        .filter(|client| client.purpose.pool().is_some_and(|own| Arc::ptr_eq(own, pool)))
        .count();
    let canceled = pool.servers().iter().filter(|server| server.is_being_canceled()).count();
    PoolRow {
        database: pool.database.clone(),
        user: pool.user.clone(),
        cl_active: number(own.saturating_sub(counts.waiting)),
        cl_waiting: number(counts.waiting),
        sv_active: counts.nodes.iter().map(|node| node.leased).sum(),
        sv_being_canceled: number(canceled),
        sv_idle: counts.nodes.iter().map(|node| node.idle).sum(),
        sv_login: counts.nodes.iter().map(|node| node.dialing).sum(),
        maxwait: counts.oldest_since.map_or(Duration::ZERO, |since| since.elapsed()),
        pool_mode: pool.settings.load().mode.as_str(),
        load_balance_hosts: Some(pool.cluster.reach().settings.balance.as_str()),
        ..PoolRow::default()
    }
}

fn node_rows(cluster: &Arc<Cluster>, now: Instant) -> Vec<NodeRow> {
    let view = Arc::clone(&cluster.view());
    let reach = cluster.reach();
    let row = |node: &pgweir_cluster::NodeView| {
        let address = reach.address(node.id)?.to_string();
        Some(NodeRow {
            cluster: cluster.name.clone(),
            name: node.name.to_string(),
            address,
            role: match node.role {
                Role::Primary => NodeRole::Primary,
                Role::Standby => NodeRole::Standby,
                Role::Unknown => NodeRole::Unknown,
            },
            health: match node.health {
                Health::Up => NodeHealth::Up,
                Health::Suspect => NodeHealth::Suspect,
                Health::Down(_) => NodeHealth::Down,
            },
            out: node.serves_reads.as_ref().err().map(|why| Out { code: why.code(), text: why.to_string() }),
            lag_bytes: node.lag_bytes,
            staleness: match node.staleness_at(now) {
                Staleness::Known(age) => Some(age),
                Staleness::Unknown => None,
            },
            lsn: node.replay.map(|lsn| lsn.to_string()),
            timeline: (node.timeline > 0).then_some(node.timeline),
            in_flight: node.load.in_flight(),
            connections: node.load.open(),
            weight: node.weight,
            reads_resent: cluster.resent(node.id),
        })
    };
    view.nodes.iter().filter_map(row).collect()
}
