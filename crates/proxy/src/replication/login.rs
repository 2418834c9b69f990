//! From an admitted client that wants to replicate to its connection to the primary.
//!
//! Invariant: the client is told to be in only when the primary has let us in as the same role, with its settings.

use std::sync::Arc;
use std::time::Duration;

use pgweir_auth::ServerCredentials;
use pgweir_cluster::{NodeId, Refusal};
use pgweir_config::DatabaseSettings;
use pgweir_session::ServerState;
use pgweir_wire::startup::Replication;
use pgweir_wire::{Startup, TransactionStatus, say};

use super::{Direction, READ_BYTES, REPLICATES, Replicating};
use crate::client::{Entered, NewClient};
use crate::dial::{DialBlame, DialError, DialTarget, Dialed, dial, refusal_body};
use crate::handshake::Admitted;
use crate::login::{NoSession, turn_away};
use crate::pool::Denied;
use crate::purpose::{Purpose, Replica};
use crate::server::{NewServer, Server, next_server_id};
use crate::{Proxy, fixed_credentials};

/// The pause after the primary could not be reached.
const DIAL_PAUSE: Duration = Duration::from_millis(100);

/// An admitted client with the server that it replicates from.
pub(crate) async fn log_in(proxy: &Arc<Proxy>, admitted: Admitted) -> Option<Replicating> {
    let Admitted { mut stream, startup, proved, mut unsent, early } = admitted;
    let opened = async {
        let (replica, credentials) = route(proxy, &startup, proved.credentials)?;
        let entered =
            enter(proxy, NewClient::new(&stream, &startup, Purpose::Replication(Box::new(replica))))?;
        let (node, dialed) = open(proxy, &entered, &startup, &credentials).await?;
        Ok((entered, node, dialed))
    };
    let (entered, node, dialed) = match Box::pin(opened).await {
        Ok(opened) => opened,
        Err(no) => {
            turn_away(proxy, &mut stream, unsent, &no).await;
            return None;
        }
    };
    for (name, value) in &dialed.parameters {
        say::parameter_status(&mut unsent, name.as_bytes(), value.as_bytes());
    }
    say::backend_key_data(&mut unsent, &entered.entry.key);
    say::ready_for_query(&mut unsent, TransactionStatus::Idle);
    let cluster = Arc::clone(&entered.entry.purpose.replica()?.cluster);
    let primary = cluster.primary();
    let new = NewServer { id: next_server_id(), node, cluster, key: dialed.key };
    let mut server = Server::new(dialed.stream, ServerState::new(Arc::default(), Default::default()), new);
    server.entry.taken_by(entered.entry.id, std::time::SystemTime::now());
    entered.entry.has(&server.entry);
    entered.entry.is_pinned(Some(REPLICATES));
    proxy.metrics.pins.pinned(REPLICATES);
    Some(Replicating {
        to_client: Direction::with_early(&mut stream, &unsent),
        to_server: Direction::with_early(&mut server.stream, &early),
        client: stream,
        server: Some(server),
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
        entered,
        metrics: Arc::clone(&proxy.metrics),
        primary,
    })
}

fn enter(proxy: &Arc<Proxy>, new: NewClient) -> Result<Entered, NoSession> {
    let clients_max = proxy.config.load().listen.clients_max.get() as usize;
    let (database, user) = (new.purpose.database().to_owned(), new.purpose.user().to_owned());
    let entered = proxy.clients.enter(new, clients_max).ok_or(NoSession::TooMany)?;
    if proxy.has_room(&database, &user) { Ok(entered) } else { Err(NoSession::TooMany) }
}

/// Where the client is led, and how we log in there: as for its statements.
fn route(
    proxy: &Proxy,
    startup: &Startup,
    proved: ServerCredentials,
) -> Result<(Replica, ServerCredentials), NoSession> {
    let config = proxy.config.load();
    let route = match startup.replication {
        Replication::Physical => config.route_physical(&startup.database),
        Replication::Logical | Replication::No => config.route(&startup.database),
    };
    let nowhere = || NoSession::NoDatabase(startup.database.clone());
    let route = route.ok_or_else(nowhere)?;
    let cluster = proxy.clusters.load().get(&route.cluster).cloned().ok_or_else(nowhere)?;
    let credentials = fixed_credentials(&route).unwrap_or(proved);
    let DatabaseSettings { server_database, user, .. } = route;
    let replica = Replica {
        kind: startup.replication,
        database: startup.database.clone(),
        user: startup.user.clone(),
        server_database,
        server_user: user.unwrap_or_else(|| startup.user.clone()),
        cluster,
    };
    Ok((replica, credentials))
}

/// Connects to the primary, within the time that a client may wait for a server connection.
async fn open(
    proxy: &Proxy,
    entered: &Entered,
    startup: &Startup,
    credentials: &ServerCredentials,
) -> Result<(NodeId, Dialed), NoSession> {
    let replica = entered.entry.purpose.replica().ok_or(NoSession::NoAnswer)?;
    let settings = proxy.config.load().pool(&replica.database, &replica.user);
    let mut parameters = vec![("replication", replica.replication())];
    parameters.extend(startup.settings.iter().map(|s| (s.name.as_str(), s.value.as_str())));
    let attempts = async {
        let mut primary = replica.cluster.primary();
        loop {
            let Ok(Some(node)) = primary.wait_for(Option::is_some).await.map(|node| *node) else {
                return Err(NoSession::NoAnswer);
            };
            match dial_node(proxy, replica, node, credentials, &parameters, settings.connect_timeout).await {
                Some(Ok(dialed)) => return Ok((node, dialed)),
                Some(Err(error)) if error.blame() != DialBlame::Node => {
                    let body = refusal_body(error, &replica.server_user);
                    return Err(NoSession::Denied(Denied::Server(Arc::new(body))));
                }
                Some(Err(error)) => replica.cluster.on_dial_failed(node, &error),
                None => {}
            }
            tokio::time::sleep(DIAL_PAUSE).await;
        }
    };
    let limit = if settings.wait_timeout.is_zero() { Duration::MAX } else { settings.wait_timeout };
    let no_primary = || Denied::Refused(Refusal::NoPrimary);
    tokio::time::timeout(limit, attempts).await.unwrap_or_else(|_elapsed| {
        let seen = replica.cluster.view().primary.is_some();
        Err(if seen { NoSession::NoAnswer } else { NoSession::Denied(no_primary()) })
    })
}

/// `None`: the node is configured no more.
async fn dial_node(
    proxy: &Proxy,
    replica: &Replica,
    node: NodeId,
    credentials: &ServerCredentials,
    parameters: &[(&str, &str)],
    timeout: Duration,
) -> Option<Result<Dialed, DialError>> {
    let reach = Arc::clone(&replica.cluster.reach());
    let target = DialTarget {
        address: reach.address(node)?,
        tls: &reach.tls,
        user: &replica.server_user,
        database: &replica.server_database,
        credentials,
        parameters,
        timeout,
        hashing: &proxy.hashing,
    };
    Some(dial(target).await)
}
