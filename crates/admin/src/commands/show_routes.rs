//! SHOW ROUTES: what came most often, by shape, with where it went and why.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Row, Value, int8, text};

pub(super) const SHOW_ROUTES: Command = Command {
    name: "SHOW ROUTES",
    arguments: "",
    action: Action::Rows {
        columns: &[
            text("statement"),
            text("kind"),
            text("target"),
            text("reason"),
            int8("on_standby"),
            int8("on_primary"),
        ],
        rows: routes,
    },
};

fn routes(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let rows = asked.report.routes().into_iter().map(|row| {
        vec![
            row.statement.into(),
            row.kind.into(),
            row.target.into(),
            row.reason.into(),
            Value::Number(row.on_standby.into()),
            Value::Number(row.on_primary.into()),
        ]
    });
    Ok(rows.collect())
}
