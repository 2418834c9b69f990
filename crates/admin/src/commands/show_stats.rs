//! SHOW STATS, STATS_TOTALS, STATS_AVERAGES and TOTALS: the same twelve numbers in PgBouncer's four forms.
//!
//! The mix of prefixes in the names is PgBouncer's own.

use pgweir_proxy::report::{Counters, DatabaseStats};

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Column, Row, Value, numeric, text};

pub(super) const SHOW_STATS: Command =
    Command { name: "SHOW STATS", arguments: "", action: Action::Rows { columns: STATS, rows: stats } };

pub(super) const SHOW_STATS_AVERAGES: Command = Command {
    name: "SHOW STATS_AVERAGES",
    arguments: "",
    action: Action::Rows { columns: STATS_AVERAGES, rows: |asked| Ok(each(asked.report.averages())) },
};

pub(super) const SHOW_STATS_TOTALS: Command = Command {
    name: "SHOW STATS_TOTALS",
    arguments: "",
    action: Action::Rows { columns: STATS_TOTALS, rows: |asked| Ok(each(asked.report.stats())) },
};

pub(super) const SHOW_TOTALS: Command = Command {
    name: "SHOW TOTALS",
    arguments: "",
    action: Action::Rows { columns: &[text("name"), numeric("value")], rows: totals },
};

const STATS: &[Column] = &[
    text("database"),
    numeric("total_server_assignment_count"),
    numeric("total_xact_count"),
    numeric("total_query_count"),
    numeric("total_received"),
    numeric("total_sent"),
    numeric("total_xact_time"),
    numeric("total_query_time"),
    numeric("total_wait_time"),
    numeric("total_client_parse_count"),
    numeric("total_server_parse_count"),
    numeric("total_bind_count"),
    numeric("total_client_login_count"),
    numeric("avg_server_assignment_count"),
    numeric("avg_xact_count"),
    numeric("avg_query_count"),
    numeric("avg_recv"),
    numeric("avg_sent"),
    numeric("avg_xact_time"),
    numeric("avg_query_time"),
    numeric("avg_wait_time"),
    numeric("avg_client_parse_count"),
    numeric("avg_server_parse_count"),
    numeric("avg_bind_count"),
    numeric("avg_client_login_count"),
];

const STATS_TOTALS: &[Column] = &[
    text("database"),
    numeric("server_assignment_count"),
    numeric("xact_count"),
    numeric("query_count"),
    numeric("bytes_received"),
    numeric("bytes_sent"),
    numeric("xact_time"),
    numeric("query_time"),
    numeric("wait_time"),
    numeric("client_parse_count"),
    numeric("server_parse_count"),
    numeric("bind_count"),
    numeric("client_login_count"),
];

const STATS_AVERAGES: &[Column] = &[
    text("database"),
    numeric("server_assignment_count"),
    numeric("xact_count"),
    numeric("query_count"),
    numeric("bytes_received"),
    numeric("bytes_sent"),
    numeric("xact_time"),
    numeric("query_time"),
    numeric("wait_time"),
    numeric("avg_client_parse_count"),
    numeric("avg_server_parse_count"),
    numeric("avg_bind_count"),
    numeric("avg_client_login_count"),
];

/// The names of SHOW TOTALS, in the order of [`numbers`].
const TOTALS: [&str; 12] = [
    "server_assignment_count",
    "xact_count",
    "query_count",
    "client_bytes",
    "server_bytes",
    "xact_time",
    "query_time",
    "wait_time",
    "ps_client_parse_count",
    "ps_server_parse_count",
    "ps_bind_count",
    "client_login_count",
];

fn stats(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let averages = asked.report.averages();
    let average = |database: &str| {
        let found = averages.iter().find(|row| row.database == database);
        found.map_or_else(Counters::default, |row| row.counters.clone())
    };
    let row = |total: DatabaseStats| {
        let mut row = vec![total.database.as_str().into()];
        row.extend(numbers(&total.counters));
        row.extend(numbers(&average(&total.database)));
        row
    };
    Ok(asked.report.stats().into_iter().map(row).collect())
}

fn each(stats: Vec<DatabaseStats>) -> Vec<Row> {
    let row = |stats: DatabaseStats| {
        let mut row = vec![stats.database.into()];
        row.extend(numbers(&stats.counters));
        row
    };
    stats.into_iter().map(row).collect()
}

fn totals(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let sums = |stats: Vec<DatabaseStats>| {
        let mut sums = [0i128; 12];
        for number in stats.iter().flat_map(|row| numbers(&row.counters).into_iter().enumerate()) {
            let (at, Value::Number(number)) = number else { unreachable!("every statistic is a number") };
            sums[at] += number;
        }
        sums
    };
    let named = |prefix: &str, sums: [i128; 12]| -> Vec<Row> {
        let rows = TOTALS.iter().zip(sums);
        rows.map(|(name, sum)| vec![format!("{prefix}_{name}").into(), Value::Number(sum)]).collect()
    };
    let mut rows = named("total", sums(asked.report.stats()));
    rows.extend(named("avg", sums(asked.report.averages())));
    Ok(rows)
}

/// Times in microseconds.
fn numbers(counters: &Counters) -> [Value; 12] {
    [
        counters.server_assignments.into(),
        counters.transactions.into(),
        counters.queries.into(),
        counters.bytes_received.into(),
        counters.bytes_sent.into(),
        Value::micros(counters.transaction_time),
        Value::micros(counters.query_time),
        Value::micros(counters.wait_time),
        counters.client_parses.into(),
        counters.server_parses.into(),
        counters.binds.into(),
        counters.client_logins.into(),
    ]
}
