//! RELOAD: reads the configuration again. PgBouncer keeps silent about a bad file; this does not.

use super::{Action, Asked, Command, Notice};
use crate::error::ConsoleError;

pub(super) const RELOAD: Command = Command { name: "RELOAD", arguments: "", action: Action::Change(reload) };

fn reload(asked: &Asked<'_>) -> Result<Vec<Notice>, ConsoleError> {
    let messages = asked.report.reload().map_err(ConsoleError::ReloadFailed)?;
    Ok(messages.into_iter().map(Notice::new).collect())
}
