//! SHOW USERS, as PgBouncer shows it: the sizes are text, and empty when nothing is set for the user.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Column, Row, int4, text};

pub(super) const SHOW_USERS: Command =
    Command { name: "SHOW USERS", arguments: "", action: Action::Rows { columns: COLUMNS, rows: users } };

const COLUMNS: &[Column] = &[
    text("name"),
    text("pool_size"),
    text("reserve_pool_size"),
    text("pool_mode"),
    int4("max_user_connections"),
    int4("current_connections"),
    int4("max_user_client_connections"),
    int4("current_client_connections"),
];

fn users(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let shown = |size: Option<u32>| size.map(|size| size.to_string()).into();
    let row = |user: pgweir_proxy::report::UserRow| {
        vec![
            user.name.into(),
            shown(user.pool_size),
            shown(user.reserve_pool_size),
            user.pool_mode.into(),
            user.max_user_connections.into(),
            user.current_connections.into(),
            user.max_user_client_connections.into(),
            user.current_client_connections.into(),
        ]
    };
    Ok(asked.report.users().into_iter().map(row).collect())
}
