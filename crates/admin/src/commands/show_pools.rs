//! SHOW POOLS, as PgBouncer shows it.
//!
//! Invariant: one row for each (database, user). Exporters make that pair the key of a series, and a second row
//! for another node would fail their whole scrape; nodes have SHOW NODES.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Column, Row, int4, text};

pub(super) const SHOW_POOLS: Command =
    Command { name: "SHOW POOLS", arguments: "", action: Action::Rows { columns: COLUMNS, rows: pools } };

const COLUMNS: &[Column] = &[
    text("database"),
    text("user"),
    int4("cl_active"),
    int4("cl_waiting"),
    int4("cl_active_cancel_req"),
    int4("cl_waiting_cancel_req"),
    int4("sv_active"),
    int4("sv_active_cancel"),
    int4("sv_being_canceled"),
    int4("sv_idle"),
    int4("sv_used"),
    int4("sv_tested"),
    int4("sv_login"),
    int4("maxwait"),
    int4("maxwait_us"),
    text("pool_mode"),
    text("load_balance_hosts"),
];

fn pools(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let row = |pool: pgweir_proxy::report::PoolRow| {
        vec![
            pool.database.into(),
            pool.user.into(),
            pool.cl_active.into(),
            pool.cl_waiting.into(),
            pool.cl_active_cancel_req.into(),
            pool.cl_waiting_cancel_req.into(),
            pool.sv_active.into(),
            pool.sv_active_cancel.into(),
            pool.sv_being_canceled.into(),
            pool.sv_idle.into(),
            pool.sv_used.into(),
            pool.sv_tested.into(),
            pool.sv_login.into(),
            pool.maxwait.as_secs().into(),
            pool.maxwait.subsec_micros().into(),
            pool.pool_mode.into(),
            pool.load_balance_hosts.into(),
        ]
    };
    Ok(asked.report.pools().into_iter().map(row).collect())
}
