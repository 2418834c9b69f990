//! A proxy that exists only in tests: one cluster with a primary, a good standby and a late one.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgweir_proxy::report::*;

/// What tests may change and look at.
pub(crate) struct Fake {
    pub(crate) readiness: Readiness,
    pub(crate) reload: Result<Vec<String>, String>,
    pub(crate) shutdowns: Mutex<Vec<ShutdownMode>>,
    pub(crate) clients: u64,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            readiness: Readiness::Ready,
            reload: Ok(vec!["listen.address needs a restart".to_owned()]),
            shutdowns: Mutex::default(),
            clients: 2,
        }
    }
}

/// 2026-11-22 10:05:09 UTC.
pub(crate) const STARTED: Duration = Duration::from_secs(1_795_341_909);

fn node(name: &str, role: NodeRole) -> NodeRow {
    NodeRow {
        cluster: "main".to_owned(),
        name: name.to_owned(),
        address: format!("{name}.example:5432"),
        role,
        health: NodeHealth::Up,
        out: None,
        lag_bytes: Some(0),
        staleness: Some(Duration::from_millis(150)),
        lsn: Some("16/B374D848".to_owned()),
        timeline: Some(3),
        in_flight: 2,
        connections: 5,
        weight: 1,
        reads_resent: 6,
    }
}

fn connection(id: u64) -> ConnectionRow {
    ConnectionRow {
        id,
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        replication: "none",
        addr: "10.1.1.7".to_owned(),
        port: 40_000,
        local_addr: "10.1.1.1".to_owned(),
        local_port: 6_432,
        connect_time: UNIX_EPOCH + STARTED,
        request_time: None,
        wait: Duration::from_micros(2_000_300),
        close_needed: false,
        link: Some(id + 100),
        remote_pid: 0,
        tls: "TLSv1.3/TLS_AES_256_GCM_SHA384".to_owned(),
        application_name: "shop web".to_owned(),
        prepared_statements: 3,
    }
}

impl Report for Fake {
    fn version(&self) -> &str {
        "9.8.7"
    }

    fn started_at(&self) -> SystemTime {
        UNIX_EPOCH + STARTED
    }

    fn databases(&self) -> Vec<DatabaseRow> {
        vec![DatabaseRow {
            name: "shop".to_owned(),
            host: "10.0.0.1,10.0.0.2".to_owned(),
            port: 5_432,
            database: "shop".to_owned(),
            pool_size: 20,
            server_lifetime: Duration::from_secs(3_600),
            load_balance_hosts: Some("round_robin"),
            ..DatabaseRow::default()
        }]
    }

    fn pools(&self) -> Vec<PoolRow> {
        vec![PoolRow {
            database: "shop".to_owned(),
            user: "ann \"the\\first\"".to_owned(),
            cl_active: 4,
            cl_waiting: 1,
            sv_active: 4,
            sv_idle: 6,
            maxwait: Duration::from_micros(1_500_000),
            pool_mode: "transaction",
            ..PoolRow::default()
        }]
    }

    fn clients(&self) -> Vec<ClientRow> {
        let row =
            |id| ClientRow { connection: connection(id), state: ClientState::Waiting, pin: Some("listen") };
        (1..=self.clients).map(row).collect()
    }

    fn servers(&self) -> Vec<ServerRow> {
        vec![ServerRow { connection: connection(101), state: ServerState::Idle, node: "n1".to_owned() }]
    }

    fn users(&self) -> Vec<UserRow> {
        vec![UserRow { name: "ann".to_owned(), pool_size: Some(5), ..UserRow::default() }]
    }

    fn nodes(&self) -> Vec<NodeRow> {
        let late = NodeRow {
            out: Some(Out { code: "stale", text: "12 s behind, at most 10 s allowed".to_owned() }),
            lag_bytes: Some(77_000_000_000),
            staleness: None,
            ..node("n3", NodeRole::Standby)
        };
        vec![node("n1", NodeRole::Primary), node("n2", NodeRole::Standby), late]
    }

    fn clusters(&self) -> Vec<ClusterRow> {
        vec![ClusterRow { cluster: "main".to_owned(), reads_not_resent: 5 }]
    }

    fn catalogs(&self) -> Vec<CatalogRow> {
        let known = CatalogRow {
            cluster: "main".to_owned(),
            database: "shop".to_owned(),
            age: Some(Duration::from_millis(1_500)),
            objects: vec![("function", 3000), ("relation", 70)],
            memory_bytes: 65_536,
            reads: 4,
            read_time: Duration::from_millis(250),
            errors: 1,
        };
        let age = None;
        vec![CatalogRow { database: "new".to_owned(), age, objects: Vec::new(), ..known.clone() }, known]
    }

    fn prepared_transactions(&self) -> Vec<PreparedRow> {
        vec![PreparedRow { cluster: "main".to_owned(), count: 3, oldest: Duration::from_millis(61_500) }]
    }

    fn lists(&self) -> Lists {
        Lists {
            databases: 1,
            users: 1,
            pools: 1,
            used_clients: 5,
            free_servers: 6,
            used_servers: 4,
            ..Lists::default()
        }
    }

    fn config(&self) -> Vec<ConfigRow> {
        let row = |key: &str, value: &str| ConfigRow {
            key: key.to_owned(),
            value: value.to_owned(),
            default: "1000".to_owned(),
            changeable: true,
        };
        vec![row("listen.clients_max", "500"), row("pool.size", "20")]
    }

    fn stats(&self) -> Vec<DatabaseStats> {
        let counters = Counters {
            queries: 123_456_789_012,
            bytes_sent: u64::MAX,
            query_time: Duration::from_millis(1_500),
            ..Counters::default()
        };
        vec![DatabaseStats { database: "shop".to_owned(), counters }]
    }

    fn averages(&self) -> Vec<DatabaseStats> {
        let counters = Counters { queries: 42, ..Counters::default() };
        vec![DatabaseStats { database: "shop".to_owned(), counters }]
    }

    fn queries(&self) -> Vec<QueryCount> {
        vec![QueryCount {
            cluster: "main".to_owned(),
            node: "n2".to_owned(),
            kind: "read",
            reason: "select",
            count: 9,
        }]
    }

    fn errors(&self) -> Vec<ErrorCount> {
        vec![ErrorCount { blame: Blame::Client, code: "bad_startup", count: 2 }]
    }

    fn latencies(&self) -> Latencies {
        let buckets = [(1, 5), (10, 3)];
        let buckets =
            buckets.map(|(ms, count)| Bucket { at_most: Duration::from_millis(ms), count }).to_vec();
        let query = Histogram { buckets, beyond: 2, sum: Duration::from_millis(70) };
        Latencies { query, wait: Histogram::default() }
    }

    fn explain(&self, whose: &Whose<'_>, text: &str) -> Result<Vec<ExplainedRow>, String> {
        match whose.database {
            Some("nowhere") => Err("there is no database \"nowhere\"".to_owned()),
            _ => Ok(vec![ExplainedRow { name: "shape", value: text.to_owned() }]),
        }
    }

    fn routes(&self) -> Vec<RouteRow> {
        vec![RouteRow {
            statement: "select 0".to_owned(),
            kind: "query",
            target: "standby",
            reason: "read",
            on_standby: 7,
            on_primary: 1,
        }]
    }

    fn hints(&self) -> Vec<HintCount> {
        vec![HintCount { outcome: "followed", count: 9 }]
    }

    fn pins(&self) -> Vec<PinCount> {
        vec![PinCount { reason: "listen", sessions: 1, total: 8 }]
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    fn reload(&self) -> Result<Vec<String>, String> {
        self.reload.clone()
    }

    fn shutdown(&self, mode: ShutdownMode) {
        self.shutdowns.lock().unwrap().push(mode);
    }
}
