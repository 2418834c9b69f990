//! Runs one of PostgreSQL's tools to its end.

use std::process::Command;

use crate::SandboxError;

/// What the tool printed, or, if it failed, an error with all of its complaints.
pub(crate) fn run(tool: &str, mut command: Command) -> Result<String, SandboxError> {
    let output = command.output().map_err(SandboxError::io(format!("running {tool}")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let output = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
    Err(SandboxError::ToolFailed { tool: tool.to_owned(), output })
}
