//! SHOW DATABASES, as PgBouncer shows it.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Column, Row, int4, text};

pub(super) const SHOW_DATABASES: Command = Command {
    name: "SHOW DATABASES",
    arguments: "",
    action: Action::Rows { columns: COLUMNS, rows: databases },
};

const COLUMNS: &[Column] = &[
    text("name"),
    text("host"),
    int4("port"),
    text("database"),
    text("force_user"),
    int4("pool_size"),
    int4("min_pool_size"),
    int4("reserve_pool_size"),
    int4("server_lifetime"),
    text("pool_mode"),
    text("load_balance_hosts"),
    int4("max_connections"),
    int4("current_connections"),
    int4("max_client_connections"),
    int4("current_client_connections"),
    int4("paused"),
    int4("disabled"),
];

fn databases(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let row = |database: pgweir_proxy::report::DatabaseRow| {
        vec![
            database.name.into(),
            database.host.into(),
            database.port.into(),
            database.database.into(),
            database.force_user.into(),
            database.pool_size.into(),
            database.min_pool_size.into(),
            database.reserve_pool_size.into(),
            database.server_lifetime.as_secs().into(),
            database.pool_mode.into(),
            database.load_balance_hosts.into(),
            database.max_connections.into(),
            database.current_connections.into(),
            database.max_client_connections.into(),
            database.current_client_connections.into(),
            database.paused.into(),
            database.disabled.into(),
        ]
    };
    Ok(asked.report.databases().into_iter().map(row).collect())
}
