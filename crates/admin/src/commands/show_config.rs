//! SHOW CONFIG: every setting, then two under PgBouncer's names.
//!
//! Why twice: exporters read `max_client_conn` and `max_user_connections` by name.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Row, Value, text};

pub(super) const SHOW_CONFIG: Command = Command {
    name: "SHOW CONFIG",
    arguments: "",
    action: Action::Rows {
        columns: &[text("key"), text("value"), text("default"), text("changeable")],
        rows: config,
    },
};

/// PgBouncer's name, and ours.
const ALIASES: &[(&str, &str)] =
    &[("max_client_conn", "listen.clients_max"), ("max_user_connections", "pool.user_connections_max")];

fn config(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let settings = asked.report.config();
    let aliased = ALIASES.iter().filter_map(|(theirs, ours)| {
        let setting = settings.iter().find(|setting| setting.key == *ours)?;
        Some((*theirs, setting))
    });
    let named = settings.iter().map(|setting| (setting.key.as_str(), setting));
    let row = |(key, setting): (&str, &pgweir_proxy::report::ConfigRow)| {
        vec![
            key.into(),
            setting.value.as_str().into(),
            setting.default.as_str().into(),
            Value::yes_no(setting.changeable),
        ]
    };
    Ok(named.chain(aliased).map(row).collect())
}
