//! SHOW CLIENTS and SHOW SERVERS: PgBouncer's columns, which both share, and one of ours behind them.

use pgweir_proxy::report::{ClientState, ConnectionRow, ServerState};

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::table::{Column, Row, Value, int4, text};
use crate::timestamp::timestamp;

pub(super) const SHOW_CLIENTS: Command = Command {
    name: "SHOW CLIENTS",
    arguments: "",
    action: Action::Rows { columns: &with(text("pin")), rows: clients },
};

pub(super) const SHOW_SERVERS: Command = Command {
    name: "SHOW SERVERS",
    arguments: "",
    action: Action::Rows { columns: &with(text("node")), rows: servers },
};

const fn with(own: Column) -> [Column; 22] {
    [
        text("type"),
        text("user"),
        text("database"),
        text("replication"),
        text("state"),
        text("addr"),
        int4("port"),
        text("local_addr"),
        int4("local_port"),
        text("connect_time"),
        text("request_time"),
        int4("wait"),
        int4("wait_us"),
        int4("close_needed"),
        text("ptr"),
        text("link"),
        int4("remote_pid"),
        text("tls"),
        text("application_name"),
        int4("prepared_statements"),
        int4("id"),
        own,
    ]
}

fn clients(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let row = |client: pgweir_proxy::report::ClientRow| {
        let sides = Sides { kind: "C", own: "client", other: "server" };
        connection(sides, client_state(client.state), client.connection, client.pin.into())
    };
    Ok(asked.report.clients().into_iter().map(row).collect())
}

fn servers(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let row = |server: pgweir_proxy::report::ServerRow| {
        let sides = Sides { kind: "S", own: "server", other: "client" };
        connection(sides, server_state(server.state), server.connection, server.node.into())
    };
    Ok(asked.report.servers().into_iter().map(row).collect())
}

/// Which side a connection is on. Ids are unique on one side only, so `ptr` and `link` name the side too.
struct Sides {
    kind: &'static str,
    own: &'static str,
    other: &'static str,
}

fn connection(sides: Sides, state: &'static str, connection: ConnectionRow, own: Value) -> Row {
    let link = connection.link.map(|id| format!("{}:{id}", sides.other));
    vec![
        sides.kind.into(),
        connection.user.into(),
        connection.database.into(),
        connection.replication.into(),
        state.into(),
        connection.addr.into(),
        connection.port.into(),
        connection.local_addr.into(),
        connection.local_port.into(),
        timestamp(connection.connect_time).into(),
        connection.request_time.map(timestamp).into(),
        connection.wait.as_secs().into(),
        connection.wait.subsec_micros().into(),
        connection.close_needed.into(),
        format!("{}:{}", sides.own, connection.id).into(),
        link.unwrap_or_default().into(),
        connection.remote_pid.into(),
        connection.tls.into(),
        connection.application_name.into(),
        connection.prepared_statements.into(),
        connection.id.into(),
        own,
    ]
}

const fn client_state(state: ClientState) -> &'static str {
    match state {
        ClientState::Active => "active",
        ClientState::ActiveCancelRequest => "active_cancel_req",
        ClientState::Idle => "idle",
        ClientState::Waiting => "waiting",
        ClientState::WaitingCancelRequest => "waiting_cancel_req",
    }
}

const fn server_state(state: ServerState) -> &'static str {
    match state {
        ServerState::Active => "active",
        ServerState::ActiveCancel => "active_cancel",
        ServerState::BeingCanceled => "being_canceled",
        ServerState::Idle => "idle",
        ServerState::New => "new",
        ServerState::Tested => "tested",
        ServerState::Used => "used",
    }
}
