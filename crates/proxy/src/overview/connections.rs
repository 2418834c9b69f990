//! Rows of single connections, of clients and of servers.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use pgweir_config::NodeAddress;

use crate::client::{ClientEntry, Doing};
use crate::purpose::Purpose;
use crate::report::{ClientRow, ClientState, ConnectionRow, ServerRow, ServerState};
use crate::server::ServerEntry;

pub(super) fn client_row(entry: &ClientEntry) -> ClientRow {
    let doing = entry.doing();
    let (state, link, pin) = match &doing {
        Doing::Idle if matches!(entry.purpose, Purpose::Console { .. }) => (ClientState::Active, None, None),
        Doing::Idle => (ClientState::Idle, None, None),
        Doing::Waiting(_) => (ClientState::Waiting, None, None),
        Doing::Active(server, pin) => (ClientState::Active, Some(server.id.0), *pin),
    };
    let address = |address: Option<std::net::SocketAddr>| match address {
        Some(address) => (address.ip().to_string(), address.port()),
        None => ("unix".to_owned(), 0),
    };
    let ((addr, port), (local_addr, local_port)) = (address(entry.peer), address(entry.local));
    ClientRow {
        connection: ConnectionRow {
            id: entry.id,
            user: entry.purpose.user().to_owned(),
            database: entry.purpose.database().to_owned(),
            replication: entry.purpose.replication(),
            addr,
            port,
            local_addr,
            local_port,
            connect_time: entry.connected_at,
            request_time: from_epoch_ms(entry.active_at_ms.load(Relaxed)),
            wait: if state == ClientState::Waiting { entry.quiet_for() } else { Duration::ZERO },
            close_needed: false,
            link,
            remote_pid: entry.key.process_id,
            tls: entry.tls.clone(),
            application_name: entry.application_name.clone(),
            prepared_statements: entry.statements.load(Relaxed),
        },
        state,
        pin: pin.map(pgweir_session::PinReason::code),
    }
}

fn from_epoch_ms(ms: u64) -> Option<SystemTime> {
    (ms > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
}

/// The server of a client that replicates; it is in no pool.
pub(super) fn replication_row(client: &ClientEntry) -> Option<ServerRow> {
    let replica = client.purpose.replica()?;
    let Doing::Active(server, _) = client.doing() else { return None };
    Some(server_row(&replica.server_database, &replica.server_user, client.purpose.replication(), &server))
}

pub(super) fn server_row(
    database: &str,
    user: &str,
    replication: &'static str,
    entry: &ServerEntry,
) -> ServerRow {
    let reach = entry.cluster.reach();
    let (addr, port) = match reach.address(entry.node) {
        Some(NodeAddress::Tcp { host, port }) => (host.clone(), *port),
        Some(NodeAddress::Unix { port, .. }) => ("unix".to_owned(), *port),
        None => (String::new(), 0),
    };
    let client = entry.client.load(Relaxed);
    let node = entry.cluster.view().node(entry.node).map(|node| node.name.to_string());
    let state = match (entry.is_being_canceled(), client) {
        (true, 0) => ServerState::BeingCanceled,
        (_, 0) => ServerState::Idle,
        (_, _) => ServerState::Active,
    };
    ServerRow {
        connection: ConnectionRow {
            id: entry.id.0,
            user: user.to_owned(),
            database: database.to_owned(),
            replication,
            addr,
            port,
            local_addr: entry.local.map_or_else(|| "unix".to_owned(), |local| local.ip().to_string()),
            local_port: entry.local.map_or(0, |local| local.port()),
            connect_time: entry.connected_at,
            request_time: from_epoch_ms(entry.leased_at_ms.load(Relaxed)),
            wait: Duration::ZERO,
            close_needed: false,
            link: (client > 0).then_some(client),
            remote_pid: entry.key.as_ref().map_or(0, |key| key.process_id),
            tls: entry.tls.clone(),
            application_name: String::new(),
            prepared_statements: entry.statements.load(Relaxed),
        },
        state,
        node: node.unwrap_or_default(),
    }
}
