//! SHOW NODES: every node with its role, its health, how far behind it is, and why it serves no reads.

use pgweir_proxy::report::{NodeHealth, NodeRole, NodeRow};

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Column, Row, int4, int8, text};

pub(super) const SHOW_NODES: Command =
    Command { name: "SHOW NODES", arguments: "", action: Action::Rows { columns: COLUMNS, rows: nodes } };

const COLUMNS: &[Column] = &[
    text("cluster"),
    text("name"),
    text("address"),
    text("role"),
    text("health"),
    text("serves"),
    int8("lag_bytes"),
    int8("staleness_ms"),
    int4("in_flight"),
    int4("connections"),
    int4("weight"),
    text("lsn"),
    int8("timeline"),
    text("out"),
    text("out_reason"),
];

fn nodes(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let row = |node: NodeRow| {
        let serves = serves(&node);
        let (code, reason) = node.out.map(|out| (out.code, out.text)).unzip();
        let staleness_ms = node.staleness.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        vec![
            node.cluster.into(),
            node.name.into(),
            node.address.into(),
            role(node.role).into(),
            health(node.health).into(),
            serves.into(),
            node.lag_bytes.into(),
            staleness_ms.into(),
            node.in_flight.into(),
            node.connections.into(),
            node.weight.into(),
            node.lsn.into(),
            node.timeline.into(),
            code.into(),
            reason.into(),
        ]
    };
    Ok(asked.report.nodes().into_iter().map(row).collect())
}

fn serves(node: &NodeRow) -> &'static str {
    match (node.role, node.out.is_none()) {
        _ if node.health == NodeHealth::Down => "nothing",
        (NodeRole::Primary, true) => "reads, writes",
        (NodeRole::Primary, false) => "writes",
        (NodeRole::Standby | NodeRole::Unknown, true) => "reads",
        (NodeRole::Standby | NodeRole::Unknown, false) => "nothing",
    }
}

pub(crate) const fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Primary => "primary",
        NodeRole::Standby => "standby",
        NodeRole::Unknown => "unknown",
    }
}

pub(crate) const fn health(health: NodeHealth) -> &'static str {
    match health {
        NodeHealth::Down => "down",
        NodeHealth::Suspect => "suspect",
        NodeHealth::Up => "up",
    }
}
