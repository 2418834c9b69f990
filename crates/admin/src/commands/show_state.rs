//! SHOW STATE: whether the proxy as a whole is active or paused. It is never suspended.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Row, Value, text};

pub(super) const SHOW_STATE: Command = Command {
    name: "SHOW STATE",
    arguments: "",
    action: Action::Rows { columns: &[text("key"), text("value")], rows: state },
};

fn state(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let databases = asked.report.databases();
    let paused = !databases.is_empty() && databases.iter().all(|database| database.paused);
    let states = [("active", !paused), ("paused", paused), ("suspended", false)];
    Ok(states.into_iter().map(|(key, truth)| vec![key.into(), Value::yes_no(truth)]).collect())
}
