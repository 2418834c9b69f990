//! The console through real clients: what monitoring of PgBouncer reads, who may look, who may change.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use pgweir_sandbox::{Client, Cluster, SandboxError};

use crate::harness::{Setup, Site};
use crate::programs::{Finished, Login, Running, from_environment, script, tool};

#[test]
fn every_show_has_the_columns_of_pgbouncer() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    client.query("SELECT 1").expect("pgweir answers");
    for (command, columns) in COLUMNS {
        let rows = show(&site, command);
        let header = rows.stdout.lines().next().unwrap_or_default();
        // What we add stands behind theirs, since people read by position.
        let added = header.strip_prefix(*columns);
        assert!(added.is_some_and(|added| added.is_empty() || added.starts_with('|')), "{command}: {header}");
    }
    assert!(show(&site, "VERSION").stdout.lines().nth(1).is_some_and(|version| version.contains("pgweir")));
    // What the exporter's driver says at start-up means nothing here, and does no harm.
    let exporter = [("user", "postgres"), ("database", "pgbouncer"), ("extra_float_digits", "2")];
    let mut exporter =
        Client::connect_with(&site.pgweir.address(), &exporter, None).expect("the exporter is let in");
    for command in ["STATS", "LISTS", "CONFIG", "VERSION", "DATABASES", "POOLS", "STATS_TOTALS", "CLIENTS"] {
        exporter.query(&format!("SHOW {command};")).expect("it is shown");
    }
    let help = psql(&site, "postgres", "SHOW HELP").finish();
    assert!(COLUMNS.iter().all(|(command, _)| help.stderr.contains(command)), "{help}");
    assert!(help.stderr.contains("NODES") && help.stderr.contains("RELOAD"), "{help}");
}

#[test]
fn the_rows_tell_what_happens() {
    let site = Setup::newest().standbys(1).set("pool", "size", "7").start();
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int)").expect("pgweir answers");
    client.query("BEGIN").expect("pgweir answers");
    client.query("INSERT INTO t VALUES (1)").expect("pgweir answers");

    let pool = &table(&site, "POOLS")[0];
    assert_eq!((pool["database"].as_str(), pool["user"].as_str()), ("postgres", "postgres"), "{pool:?}");
    assert_eq!((pool["cl_active"].as_str(), pool["sv_active"].as_str()), ("1", "1"), "{pool:?}");
    assert_eq!(pool["pool_mode"], "transaction");
    let databases = table(&site, "DATABASES");
    let database = databases.iter().find(|row| row["name"] == "postgres").expect("it is in use");
    assert_eq!(database["pool_size"], "7", "{database:?}");
    let clients = table(&site, "CLIENTS");
    let busy = clients.iter().find(|row| row["database"] == "postgres").expect("a client is connected");
    assert_eq!((busy["state"].as_str(), busy["addr"].as_str()), ("active", "127.0.0.1"), "{busy:?}");
    let console: Vec<_> = clients.iter().filter(|row| row["database"] == "pgweir").collect();
    assert_eq!((console.len(), console[0]["state"].as_str()), (1, "active"), "the console sees itself");
    let database = databases.iter().find(|row| row["name"] == "pgweir").expect("the console is a database");
    assert_eq!(database["current_client_connections"], "1", "{database:?}");
    let servers = table(&site, "SERVERS");
    let server = servers.iter().find(|row| row["state"] == "active").expect("a server is in use");
    assert_eq!(server["port"], site.primary_port(), "{server:?}");
    assert_eq!((&busy["link"], &server["link"]), (&server["ptr"], &busy["ptr"]), "each names the other");
    let pid = site.cluster.primary().query("postgres", IN_TRANSACTION).expect("it answers");
    assert_eq!(server["remote_pid"], pid.value(), "{server:?}");

    let lists = table(&site, "LISTS");
    let used = lists.iter().find(|row| row["list"] == "used_clients").expect("it is listed");
    assert_eq!(used["items"], "1", "the console takes no client's place");

    client.query("COMMIT").expect("pgweir answers");
    let totals = table(&site, "STATS_TOTALS");
    let total = totals.iter().find(|row| row["database"] == "postgres").expect("it is in use");
    assert_eq!((total["query_count"].as_str(), total["xact_count"].as_str()), ("4", "2"), "{total:?}");
    let nodes = table(&site, "NODES");
    let roles: Vec<(&str, &str)> = nodes.iter().map(|n| (n["role"].as_str(), n["health"].as_str())).collect();
    assert_eq!(roles, [("primary", "up"), ("standby", "up")]);
    let config = table(&site, "CONFIG");
    assert!(config.iter().any(|row| row["value"] == "7" && row["default"] == "20"), "the pool's size");

    site.cluster.standbys()[0].kill9().expect("the standby is killed");
    site.wait_serving(&[]);
    let standby = &table(&site, "NODES")[1];
    assert!(!standby["out_reason"].is_empty() && standby["health"] != "up", "{standby:?}");
}

#[test]
fn a_session_that_holds_its_server_is_seen_with_its_reason() {
    let setup = Setup::newest().set("log", "level", "\"debug\"");
    let by_statement = [
        ("LISTEN c", "listen"),
        ("CREATE TEMP TABLE mine (n int)", "temporary_table"),
        ("SELECT pg_advisory_lock(1)", "advisory_lock"),
        ("PREPARE p AS SELECT 1", "sql_prepare"),
        ("LOAD 'plpgsql'", "load"),
    ];
    let site = setup.start();
    for (statement, reason) in by_statement {
        let mut client = site.connect();
        client.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        see_pin(&site, reason);
        client.close().expect("it says goodbye");
        site.wait_for("it is gone", || table(&site, "CLIENTS").iter().all(|row| row["pin"].is_empty()));
        assert_eq!(
            site.pgweir.metric("pgweir_pinned_sessions", &[("reason", reason)]),
            Some(0.0),
            "{reason}"
        );
    }
    let site = setup.set("pool", "mode", "\"session\"").start();
    let _first = site.connect();
    see_pin(&site, "session_mode");
}

/// On the console, in the metrics and in the log.
#[track_caller]
fn see_pin(site: &Site, reason: &str) {
    let mut pinned = Vec::new();
    site.wait_for(&format!("{reason} is on the console"), || {
        pinned = table(site, "CLIENTS");
        pinned.retain(|row| row["pin"] == reason);
        !pinned.is_empty()
    });
    let count = |metric: &str| site.pgweir.metric(metric, &[("reason", reason)]);
    assert_eq!(
        (count("pgweir_pinned_sessions"), count("pgweir_pins_total")),
        (Some(1.0), Some(1.0)),
        "{reason}"
    );
    let logged = format!("client={} reason=\"{reason}\"", pinned[0]["id"]);
    assert!(site.pgweir.log().contains(&logged), "{logged} is not logged");
}

const IN_TRANSACTION: &str = "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'";

#[test]
fn only_admins_change_anything_and_strangers_see_nothing() {
    let setup = Setup::newest().set("admin", "stats_users", "[\"watcher\"]").set("log", "level", "\"debug\"");
    let mut site = setup.start();
    for command in ["RELOAD", "SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS", "SET clients_max = 5"] {
        psql(&site, "watcher", command).finish_anyhow().failed_with("admin access needed");
    }
    assert!(psql(&site, "watcher", "SHOW POOLS").finish().stdout.contains("cl_active"));
    for database in ["pgweir", "pgbouncer"] {
        let Err(SandboxError::Server(refused)) = site.try_connect("stranger", database) else {
            panic!("a stranger is let in")
        };
        assert_eq!((refused.severity.as_str(), refused.sqlstate.as_str()), ("FATAL", "42501"), "{refused:?}");
        site.try_connect("postgres", database).expect("an admin is let in");
    }

    fs::write(site.pgweir.settings_file(), setup.clone().set("pool", "size", "9").text_for(&site))
        .expect("the file is written");
    psql(&site, "postgres", "RELOAD").finish();
    assert!(table(&site, "CONFIG").iter().any(|row| row["value"] == "9"));
    let broken = setup.text_for(&site).replace("[pool]", "[pol]").replace("drain_timeout", "drain_timeot");
    fs::write(site.pgweir.settings_file(), broken).expect("the file is written");
    psql(&site, "postgres", "RELOAD").finish_anyhow().failed_with("drain_timeot");
    assert!(table(&site, "CONFIG").iter().any(|row| row["value"] == "9"), "the old settings stay");

    psql(&site, "postgres", "NONSENSE").finish_anyhow().failed_with("use SHOW HELP");
    let ended = psql(&site, "postgres", "SHUTDOWN").finish_anyhow();
    assert!(site.pgweir.wait_ended().success(), "{ended}");
}

#[test]
fn psycopg_and_asyncpg_and_jdbc_can_look_at_the_console() {
    let (python, java) = (from_environment("PGWEIR_PYTHON"), from_environment("PGWEIR_JAVA"));
    let driver = from_environment("PGWEIR_JDBC");
    let site = Setup::newest().standbys(1).set("auth", "users_file", "\"users.txt\"").set(
        "auth",
        "method",
        "\"scram-sha-256\"",
    );
    let cluster = site.cluster();
    fs::write(cluster.directory().join("users.txt"), "\"postgres\" \"secret\"\n")
        .expect("the file is written");
    let site = site.before(cluster);
    site.wait_serving(&site.cluster.standbys());
    // A pool, so that there is something to see.
    let login = Login { password: "secret", ..Login::superuser(site.pgweir.port()) };
    tool(&site.cluster, "psql", &login, &["-c", "SELECT 1"]).finish();
    let console = login.clone().database("pgbouncer");
    for name in ["console_psycopg.py", "console_asyncpg.py"] {
        let mut command = Command::new(&python);
        command.arg("-B").arg(script(name));
        console.apply(&mut command);
        Running::start(site.cluster.directory(), name, command).finish();
    }
    let mut command = Command::new(java);
    command.arg("-cp").arg(driver).arg(script("ConsoleClient.java"));
    command.arg(format!("jdbc:postgresql://127.0.0.1:{}/pgbouncer", site.pgweir.port()));
    command.args([console.user, console.password]);
    Running::start(site.cluster.directory(), "jdbc", command).finish();
    let wrong = Login { password: "wrong", ..console };
    tool(&site.cluster, "psql", &wrong, &["-c", "SHOW POOLS"])
        .finish_anyhow()
        .failed_with("password authentication failed");
}

fn psql(site: &Site, user: &str, command: &str) -> Running {
    console(&site.cluster, &Login { user, ..Login::superuser(site.pgweir.port()) }, command)
}

fn console(cluster: &Cluster, login: &Login<'_>, command: &str) -> Running {
    tool(cluster, "psql", &login.clone().database("pgweir"), &["-XA", "-P", "footer=off", "-c", command])
}

fn show(site: &Site, what: &str) -> Finished {
    psql(site, "postgres", &format!("SHOW {what}")).finish()
}

/// The rows of a SHOW, each by the names of its columns.
fn table(site: &Site, what: &str) -> Vec<BTreeMap<String, String>> {
    let shown = show(site, what);
    let mut lines = shown.stdout.lines();
    let names: Vec<&str> = lines.next().expect("a header comes first").split('|').collect();
    let row =
        |line: &str| names.iter().map(|n| (*n).to_owned()).zip(line.split('|').map(str::to_owned)).collect();
    lines.map(row).collect()
}

/// PgBouncer's columns, in its order.
const COLUMNS: &[(&str, &str)] = &[
    (
        "CLIENTS",
        "type|user|database|replication|state|addr|port|local_addr|local_port|connect_time|request_time|wait|wait_us|\
         close_needed|ptr|link|remote_pid|tls|application_name|prepared_statements|id",
    ),
    ("CONFIG", "key|value|default|changeable"),
    (
        "DATABASES",
        "name|host|port|database|force_user|pool_size|min_pool_size|reserve_pool_size|server_lifetime|pool_mode|\
         load_balance_hosts|max_connections|current_connections|max_client_connections|current_client_connections|\
         paused|disabled",
    ),
    ("LISTS", "list|items"),
    (
        "POOLS",
        "database|user|cl_active|cl_waiting|cl_active_cancel_req|cl_waiting_cancel_req|sv_active|sv_active_cancel|\
         sv_being_canceled|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|pool_mode|load_balance_hosts",
    ),
    (
        "SERVERS",
        "type|user|database|replication|state|addr|port|local_addr|local_port|connect_time|request_time|wait|wait_us|\
         close_needed|ptr|link|remote_pid|tls|application_name|prepared_statements|id",
    ),
    (
        "STATS",
        "database|total_server_assignment_count|total_xact_count|total_query_count|total_received|total_sent|\
         total_xact_time|total_query_time|total_wait_time|total_client_parse_count|total_server_parse_count|\
         total_bind_count|total_client_login_count|avg_server_assignment_count|avg_xact_count|avg_query_count|\
         avg_recv|avg_sent|avg_xact_time|avg_query_time|avg_wait_time|avg_client_parse_count|\
         avg_server_parse_count|avg_bind_count|avg_client_login_count",
    ),
    (
        "STATS_TOTALS",
        "database|server_assignment_count|xact_count|query_count|bytes_received|bytes_sent|xact_time|query_time|\
         wait_time|client_parse_count|server_parse_count|bind_count|client_login_count",
    ),
    ("VERSION", "version"),
];
