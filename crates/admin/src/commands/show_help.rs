//! SHOW HELP: the commands, in the form of PgBouncer's, a NOTICE with a DETAIL and no rows.

use super::{Action, Asked, COMMANDS, Command, Notice};
use crate::error::ConsoleError;

pub(super) const SHOW_HELP: Command =
    Command { name: "SHOW HELP", arguments: "", action: Action::Tell(help) };

fn help(_: &Asked<'_>) -> Result<Vec<Notice>, ConsoleError> {
    let shown: Vec<&str> = COMMANDS.iter().filter_map(|command| command.name.strip_prefix("SHOW ")).collect();
    let mut detail = String::new();
    for line in shown.chunks(6) {
        let lead = if detail.is_empty() { "\n\tSHOW " } else { "\n\t     | " };
        detail.push_str(lead);
        detail.push_str(&line.join(" | "));
    }
    for command in COMMANDS.iter().filter(|command| !command.name.starts_with("SHOW ")) {
        detail.push_str("\n\t");
        detail.push_str(command.name);
        if !command.arguments.is_empty() {
            detail.push(' ');
            detail.push_str(command.arguments);
        }
    }
    Ok(vec![Notice { message: "Console usage".to_owned(), detail: Some(detail) }])
}
