//! SHUTDOWN: ends the process, at once or when it is no longer in use.

use pgweir_proxy::report::ShutdownMode;

use super::{Action, Asked, Command, Notice};
use crate::error::ConsoleError;

pub(super) const SHUTDOWN: Command = Command {
    name: "SHUTDOWN",
    arguments: "[WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]",
    action: Action::Change(shutdown),
};

fn shutdown(asked: &Asked<'_>) -> Result<Vec<Notice>, ConsoleError> {
    let mode = match asked.arguments {
        [] => ShutdownMode::Immediate,
        [wait] if wait.is("WAIT_FOR_CLIENTS") => ShutdownMode::WaitForClients,
        [wait] if wait.is("WAIT_FOR_SERVERS") => ShutdownMode::WaitForServers,
        _ => return Err(ConsoleError::InvalidCommand(asked.text.to_owned())),
    };
    asked.report.shutdown(mode);
    Ok(Vec::new())
}
