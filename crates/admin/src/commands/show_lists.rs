//! SHOW LISTS: how many of each thing exist. What pgweir does not have stands there as 0, for exporters.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Row, int4, text};

pub(super) const SHOW_LISTS: Command = Command {
    name: "SHOW LISTS",
    arguments: "",
    action: Action::Rows { columns: &[text("list"), int4("items")], rows: lists },
};

fn lists(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let lists = asked.report.lists();
    let items = [
        ("databases", lists.databases),
        ("users", lists.users),
        ("peers", 0),
        ("pools", lists.pools),
        ("peer_pools", 0),
        ("free_clients", lists.free_clients),
        ("used_clients", lists.used_clients),
        ("login_clients", lists.login_clients),
        ("free_servers", lists.free_servers),
        ("used_servers", lists.used_servers),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ];
    Ok(items.into_iter().map(|(list, count)| vec![list.into(), count.into()]).collect())
}
