use super::*;
use crate::console::Privilege;
use crate::error::ConsoleError;
use crate::fake::Fake;
use crate::plan::Plan;
use crate::table::{Kind, Value};

/// PgBouncer's columns in its order: `s` text, `i` int4, `q` int8, `N` numeric, `T` a timestamp sent as text.
/// Behind `|` stand our own.
const COLUMNS: &[(&str, &str)] = &[
    (
        "SHOW DATABASES",
        "name s, host s, port i, database s, force_user s, pool_size i, min_pool_size i, reserve_pool_size i, \
         server_lifetime i, pool_mode s, load_balance_hosts s, max_connections i, current_connections i, \
         max_client_connections i, current_client_connections i, paused i, disabled i",
    ),
    (
        "SHOW POOLS",
        "database s, user s, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, \
         sv_active i, sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, \
         maxwait i, maxwait_us i, pool_mode s, load_balance_hosts s",
    ),
    (
        "SHOW STATS",
        "database s, total_server_assignment_count N, total_xact_count N, total_query_count N, total_received N, \
         total_sent N, total_xact_time N, total_query_time N, total_wait_time N, total_client_parse_count N, \
         total_server_parse_count N, total_bind_count N, total_client_login_count N, \
         avg_server_assignment_count N, avg_xact_count N, avg_query_count N, avg_recv N, avg_sent N, \
         avg_xact_time N, avg_query_time N, avg_wait_time N, avg_client_parse_count N, \
         avg_server_parse_count N, avg_bind_count N, avg_client_login_count N",
    ),
    (
        "SHOW STATS_TOTALS",
        "database s, server_assignment_count N, xact_count N, query_count N, bytes_received N, bytes_sent N, \
         xact_time N, query_time N, wait_time N, client_parse_count N, server_parse_count N, bind_count N, \
         client_login_count N",
    ),
    (
        "SHOW STATS_AVERAGES",
        "database s, server_assignment_count N, xact_count N, query_count N, bytes_received N, bytes_sent N, \
         xact_time N, query_time N, wait_time N, avg_client_parse_count N, avg_server_parse_count N, \
         avg_bind_count N, avg_client_login_count N",
    ),
    ("SHOW TOTALS", "name s, value N"),
    ("SHOW CLIENTS", CONNECTION),
    ("SHOW SERVERS", CONNECTION),
    ("SHOW LISTS", "list s, items i"),
    (
        "SHOW USERS",
        "name s, pool_size s, reserve_pool_size s, pool_mode s, max_user_connections i, current_connections i, \
         max_user_client_connections i, current_client_connections i",
    ),
    ("SHOW CONFIG", "key s, value s, default s, changeable s"),
    ("SHOW STATE", "key s, value s"),
    ("SHOW VERSION", "version s"),
];

const CONNECTION: &str = "type s, user s, database s, replication s, state s, addr s, port i, local_addr s, \
    local_port i, connect_time T, request_time T, wait i, wait_us i, close_needed i, ptr s, link s, remote_pid i, \
    tls s, application_name s, prepared_statements i, id i";

/// What stands behind PgBouncer's columns.
const OURS: &[(&str, &str)] = &[("SHOW CLIENTS", "pin s"), ("SHOW SERVERS", "node s")];

/// Commands that PgBouncer does not have.
const OUR_OWN: &[(&str, &str)] = &[
    ("SHOW NODES", NODES),
    ("SHOW ROUTES", "statement s, kind s, target s, reason s, on_standby q, on_primary q"),
    ("EXPLAIN ROUTE", "name s, value s"),
];

const NODES: &str = "cluster s, name s, address s, role s, health s, serves s, lag_bytes q, staleness_ms q, \
    in_flight i, connections i, weight i, lsn s, timeline q, out s, out_reason s";

fn columns_of(command: &str) -> Vec<String> {
    let plan = Plan::resolve(command, Privilege::Stats).unwrap();
    let shown = |column: &Column| {
        let kind = match column.kind {
            Kind::Int4 => 'i',
            Kind::Int8 => 'q',
            Kind::Numeric => 'N',
            Kind::Text => 's',
        };
        format!("{} {kind}", column.name)
    };
    plan.columns().unwrap().iter().map(shown).collect()
}

fn rows_of(command: &str) -> Vec<Row> {
    Plan::resolve(command, Privilege::Stats).unwrap().run(&Fake::default()).unwrap().rows
}

fn field(command: &str, row: usize, column: &str) -> Value {
    let at = columns_of(command).iter().position(|shown| shown.split(' ').next() == Some(column));
    rows_of(command)[row][at.unwrap()].clone()
}

fn expected(list: &str) -> Vec<String> {
    let split =
        |list: &str| -> Vec<String> { list.split(", ").map(|column| column.replace(" T", " s")).collect() };
    if list.is_empty() { Vec::new() } else { split(list) }
}

#[test]
fn columns_are_those_of_pgbouncer_and_ours_come_last() {
    for (command, theirs) in COLUMNS {
        let ours = OURS.iter().find(|(name, _)| name == command).map_or("", |(_, columns)| columns);
        assert_eq!(columns_of(command), [expected(theirs), expected(ours)].concat(), "{command}");
    }
    for (command, columns) in OUR_OWN {
        assert_eq!(columns_of(command), expected(columns), "{command}");
    }
}

#[test]
fn every_command_that_shows_rows_has_its_columns_checked() {
    let checked = |name: &str| COLUMNS.iter().chain(OUR_OWN).any(|(listed, _)| *listed == name);
    for command in COMMANDS {
        assert_eq!(matches!(command.action, Action::Rows { .. }), checked(command.name), "{}", command.name);
    }
}

#[test]
fn names_are_distinct_and_help_lists_them_all() {
    let Plan::Command { command, .. } = Plan::resolve("show help", Privilege::Stats).unwrap() else {
        panic!()
    };
    let Action::Tell(tell) = command.action else { panic!() };
    let notices = tell(&Asked { report: &Fake::default(), arguments: &[], text: "" }).unwrap();
    assert_eq!(notices[0].message, "Console usage");
    let detail = notices[0].detail.as_deref().unwrap();
    for (at, command) in COMMANDS.iter().enumerate() {
        assert!(COMMANDS[at + 1..].iter().all(|other| other.name != command.name), "{}", command.name);
        let last = command.name.rsplit(' ').next().unwrap();
        assert!(detail.split_ascii_whitespace().any(|word| word == last), "{last} is missing in {detail}");
    }
}

#[test]
fn a_stats_user_may_show_and_nothing_else() {
    for command in COMMANDS {
        let answer = Plan::resolve(command.name, Privilege::Stats).map(drop);
        let expected = match command.name.starts_with("SHOW ") || command.name == "EXPLAIN ROUTE" {
            true => Ok(()),
            false => Err(ConsoleError::AdminAccessNeeded),
        };
        assert_eq!(answer, expected, "{}", command.name);
        assert!(Plan::resolve(command.name, Privilege::Admin).is_ok(), "{}", command.name);
    }
    assert_eq!(
        Plan::resolve("SET pool_size = 3", Privilege::Stats).map(drop),
        Err(ConsoleError::AdminAccessNeeded)
    );
}

#[test]
fn a_command_takes_no_words_it_does_not_know() {
    for text in ["SHOW POOLS please", "SHOW", "RELOAD now", "SHOW \"POOLS\"", "SHOWPOOLS", "SELECT pools x"] {
        let refused = Plan::resolve(text, Privilege::Admin).map(drop);
        assert_eq!(refused, Err(ConsoleError::InvalidCommand(text.to_owned())), "{text}");
    }
}

#[test]
fn a_long_command_is_quoted_in_part() {
    let Err(ConsoleError::InvalidCommand(text)) = Plan::resolve(&"ö\n".repeat(5_000), Privilege::Admin)
    else {
        panic!()
    };
    assert_eq!(text, format!("{}...", "ö ".repeat(100)));
}

#[test]
fn pools_show_the_wait_as_seconds_and_the_rest_in_microseconds() {
    assert_eq!(field("SHOW POOLS", 0, "maxwait"), Value::Number(1));
    assert_eq!(field("SHOW POOLS", 0, "maxwait_us"), Value::Number(500_000));
    assert_eq!(field("SHOW POOLS", 0, "sv_idle"), Value::Number(6));
}

#[test]
fn connections_show_times_links_and_states() {
    assert_eq!(field("SHOW CLIENTS", 1, "connect_time"), "2026-11-22 10:05:09 UTC".into());
    assert_eq!(field("SHOW CLIENTS", 1, "request_time"), Value::Null);
    assert_eq!(field("SHOW CLIENTS", 1, "state"), "waiting".into());
    assert_eq!(field("SHOW CLIENTS", 0, "link"), field("SHOW SERVERS", 0, "ptr"));
    assert_eq!(field("SHOW SERVERS", 0, "node"), "n1".into());
}

#[test]
fn statistics_count_in_microseconds_and_join_averages() {
    assert_eq!(field("SHOW STATS", 0, "total_query_time"), Value::Number(1_500_000));
    assert_eq!(field("SHOW STATS", 0, "avg_query_count"), Value::Number(42));
    assert_eq!(field("SHOW STATS_TOTALS", 0, "query_count"), Value::Number(123_456_789_012));
    assert_eq!(field("SHOW STATS_AVERAGES", 0, "query_count"), Value::Number(42));
    let totals = rows_of("SHOW TOTALS");
    assert_eq!(totals.len(), 24);
    assert_eq!(totals[2], [Value::from("total_query_count"), Value::Number(123_456_789_012)]);
    assert_eq!(totals[14], [Value::from("avg_query_count"), Value::Number(42)]);
}

#[test]
fn nodes_say_what_they_serve_and_why_not() {
    let shown = |row, column| field("SHOW NODES", row, column);
    assert_eq!(shown(0, "serves"), "reads, writes".into());
    assert_eq!(shown(1, "serves"), "reads".into());
    assert_eq!((shown(2, "serves"), shown(2, "out")), ("nothing".into(), "stale".into()));
    assert_eq!(shown(2, "out_reason"), "12 s behind, at most 10 s allowed".into());
    assert_eq!((shown(1, "staleness_ms"), shown(2, "staleness_ms")), (Value::Number(150), Value::Null));
}

#[test]
fn exporters_find_what_they_look_for() {
    let lists: Vec<Value> = rows_of("SHOW LISTS").into_iter().map(|row| row[0].clone()).collect();
    let names = "databases users peers pools peer_pools free_clients used_clients login_clients free_servers \
                 used_servers dns_names dns_zones dns_queries dns_pending";
    assert_eq!(lists, names.split_ascii_whitespace().map(Value::from).collect::<Vec<_>>());
    let config = rows_of("SHOW CONFIG");
    assert!(config.contains(&["max_client_conn", "500", "1000", "yes"].map(Value::from).to_vec()));
    assert_eq!(rows_of("SHOW VERSION"), [["pgweir 9.8.7".into()]]);
}

#[test]
fn a_text_is_explained_as_it_stands_and_a_refusal_is_told() {
    let rows = rows_of("EXPLAIN ROUTE FOR shop SELECT 'it''s \"open");
    assert_eq!(rows, [vec![Value::from("shape"), Value::from("SELECT 'it''s \"open")]]);
    let run = |text: &str| Plan::resolve(text, Privilege::Stats).unwrap().run(&Fake::default()).map(drop);
    let nowhere = "there is no database \"nowhere\"".to_owned();
    assert_eq!(run("EXPLAIN ROUTE FOR nowhere SELECT 1"), Err(ConsoleError::NotExplained(nowhere)));
    assert!(
        matches!(run("EXPLAIN ROUTE ;"), Ok(()))
            && matches!(run("EXPLAIN ROUTE"), Err(ConsoleError::InvalidCommand(_)))
    );
}
