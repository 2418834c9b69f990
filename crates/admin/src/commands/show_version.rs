//! SHOW VERSION: exactly one column, which exporters keep as a label.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Row, text};

pub(super) const SHOW_VERSION: Command = Command {
    name: "SHOW VERSION",
    arguments: "",
    action: Action::Rows { columns: &[text("version")], rows: version },
};

fn version(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    Ok(vec![vec![format!("pgweir {}", asked.report.version()).into()]])
}
