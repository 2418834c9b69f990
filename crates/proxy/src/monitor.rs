//! Asks every node a few times a second who it is and where its WAL stands.
//!
//! Why its own connections: what a client sets must never change an answer, and a full pool must never silence one.
//! Invariants: one question at a time to a node; a question has a deadline, after which its connection is dropped.
//! Absent: judgement (`pgweir_cluster::Topology`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweir_cluster::{NodeId, NodeReport, Probe, ProbeFailure, ProbeOutcome};
use pgweir_config::NodeAddress;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::cluster::{Cluster, Reach, failure};
use crate::control::{self, ControlError};
use crate::prepared::PreparedWatch;

/// Watches one node until the configuration has no such node any more.
pub(crate) async fn watch(cluster: Arc<Cluster>, node: NodeId) {
    let (mut line, mut prepared) = (None, PreparedWatch::default());
    loop {
        let Some(address) = cluster.watched_address(node) else { return };
        let reach = Arc::clone(&cluster.reach());
        let again = cluster.asked_again();
        let asked_at = Instant::now();
        let asked = timeout(reach.settings.monitor_timeout, ask(&cluster, node, &mut line, &reach, &address));
        let outcome = asked.await.unwrap_or(Err(ProbeFailure::TimedOut));
        let outcome = match outcome {
            Ok(report) => ProbeOutcome::Answered(report),
            Err(failure) => {
                line = None;
                ProbeOutcome::Failed(failure)
            }
        };
        let answered_at = Instant::now();
        cluster.on_probe(node, Probe { asked_at, answered_at, outcome });
        if cluster.view().primary == Some(node) && prepared.is_due(answered_at) {
            look_for_prepared(&cluster, &mut prepared, &mut line, &reach).await;
        }
        let rest = reach.settings.monitor_interval.saturating_sub(answered_at - asked_at);
        // Asked again at once after a failure seen in passing, but never without a pause.
        tokio::time::sleep(rest.min(PAUSE_MIN)).await;
        let _either = timeout(rest.saturating_sub(PAUSE_MIN), again).await;
    }
}

/// Asks the primary for prepared transactions. An answer that does not come costs the connection, like any other.
async fn look_for_prepared(
    cluster: &Cluster,
    prepared: &mut PreparedWatch,
    line: &mut Option<Line>,
    reach: &Reach,
) {
    let Some(Line { client, .. }) = line else { return };
    let age_warn = reach.settings.prepared_transaction_age_warn;
    let asked = prepared.ask(&cluster.name, client, age_warn);
    match timeout(reach.settings.monitor_timeout, asked).await {
        Ok(Ok(seen)) => cluster.prepared.store(Some(Arc::new(seen))),
        Ok(Err(error)) => tracing::debug!(%error, "prepared transactions are not known"),
        Err(_elapsed) => *line = None,
    }
}

/// The least time between two questions to a node.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// A connection over which one node is asked.
struct Line {
    address: NodeAddress,
    client: Client,
}

async fn ask(
    cluster: &Arc<Cluster>,
    node: NodeId,
    line: &mut Option<Line>,
    reach: &Reach,
    address: &NodeAddress,
) -> Result<NodeReport, ProbeFailure> {
    if line.as_ref().is_none_or(|line| line.client.is_closed() || line.address != *address) {
        *line =
            Some(Line { address: address.clone(), client: connect(cluster, node, reach, address).await? });
    }
    let client = &line.as_ref().expect("it was just made").client;
    let rows = client.simple_query(QUESTION).await.map_err(|error| probe_failure(&error))?;
    let row = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.and_then(report).ok_or(ProbeFailure::Other)
}

async fn connect(
    cluster: &Arc<Cluster>,
    node: NodeId,
    reach: &Reach,
    address: &NodeAddress,
) -> Result<Client, ProbeFailure> {
    let settings = &reach.settings;
    let options = "-c search_path=pg_catalog -c datestyle=ISO";
    let login = control::monitor_login(settings, &settings.monitor_database, "pgweir monitor", options);
    let (client, connection) = match control::connect(address, &reach.tls, &login).await {
        Ok(opened) => opened,
        Err(ControlError::Dial(error)) => {
            tracing::debug!(%error, "the monitor cannot connect");
            return Err(failure(&error).unwrap_or(ProbeFailure::Other));
        }
        Err(ControlError::Postgres(error)) => return Err(probe_failure(&error)),
    };
    let cluster = Arc::clone(cluster);
    // Ends when the client is dropped. What breaks it is known at once, not with the next question: a standby that restarted
    // may have replayed less than it last said.
    tokio::spawn(async move {
        if connection.await.is_err() {
            cluster.on_connection_lost(node);
        }
    });
    Ok(client)
}

fn probe_failure(error: &tokio_postgres::Error) -> ProbeFailure {
    match error.code() {
        Some(&SqlState::CANNOT_CONNECT_NOW) => ProbeFailure::Starting,
        Some(&SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN) => ProbeFailure::Closed,
        Some(code) if code.code().starts_with("28") || code.code() == "3D000" => {
            tracing::debug!(%error, "the monitor is not let in");
            ProbeFailure::AuthenticationFailed
        }
        Some(_) => {
            tracing::debug!(%error, "the monitor's question failed");
            ProbeFailure::Other
        }
        None => ProbeFailure::Closed,
    }
}

fn report(row: &SimpleQueryRow) -> Option<NodeReport> {
    Some(NodeReport {
        in_recovery: row.get(0)? == "t",
        system_identifier: row.get(1)?.parse().ok()?,
        timeline: row.get(2)?.parse().ok()?,
        lsn: row.get(3)?.parse().ok()?,
        flushed: row.get(4)?.parse().ok()?,
        received: row.get(5).and_then(|lsn| lsn.parse().ok()),
        replay_paused: row.get(6)? == "t",
        wal_segment_bytes: row.get(7)?.parse().ok()?,
    })
}

/// Functions of WAL fail on the other kind of node, hence the CASEs. Manual: System Administration Functions,
/// "Recovery Control Functions" and "Backup Control Functions"; "Control Data Functions".
const QUESTION: &str = "\
SELECT r.in_recovery,
       (SELECT c.system_identifier FROM pg_catalog.pg_control_system() c),
       CASE WHEN r.in_recovery THEN
         coalesce((SELECT w.received_tli FROM pg_catalog.pg_stat_get_wal_receiver() w),
                  greatest((SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c),
                           (SELECT c.min_recovery_end_timeline FROM pg_catalog.pg_control_recovery() c)))
       ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))
            ::pg_catalog.bit(32)::pg_catalog.int4 END,
       CASE WHEN r.in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_insert_lsn() END,
       CASE WHEN r.in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_flush_lsn() END,
       CASE WHEN r.in_recovery THEN pg_catalog.pg_last_wal_receive_lsn() END,
       CASE WHEN r.in_recovery THEN pg_catalog.pg_is_wal_replay_paused() ELSE false END,
       (SELECT c.bytes_per_wal_segment FROM pg_catalog.pg_control_init() c)
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery) r";
