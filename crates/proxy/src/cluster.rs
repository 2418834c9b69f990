//! One cluster: its topology, the snapshot that every decision reads, and where its nodes are reached.
//!
//! Why here: the machine in `pgweir_cluster` decides; this is the lock around it and the swap of its view.
//! Invariant: the view is published before anybody is told of the change that made it.
//! Absent: asking nodes (`monitor`), and server connections (`pool`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use pgweir_cluster::{
    Balance, Change, NODES_MAX, NodeId, NodeSettings, Probe, ProbeFailure, ReadsOnPrimary, RetryBudget,
    TooManyNodes, Topology, TopologySettings, View,
};
use pgweir_config as config;
use pgweir_config::{ClusterSettings, NodeAddress};
use pgweir_session::Notifiers;
use pgweir_sql::Verdict;
use tokio::sync::{Notify, watch};

use crate::dial::{DialBlame, DialError};
use crate::prepared::PreparedTransactions;
use crate::tally::StatementCounts;
use crate::tls::{TlsClient, TlsError, TlsFiles};

/// One primary with its standbys, as this process sees them.
pub(crate) struct Cluster {
    /// Its name in the configuration.
    pub(crate) name: String,
    topology: Mutex<Topology>,
    view: ArcSwap<View>,
    /// The primary of the view.
    primary: watch::Sender<Option<NodeId>>,
    reach: ArcSwap<Reach>,
    /// Told when a standby or the primary came, went or changed.
    changed: Arc<Notify>,
    /// Told when nodes should be asked at once.
    look_again: Notify,
    /// Statements by node, kind and reason.
    counts: Vec<StatementCounts>,
    /// Reads that had to be sent again elsewhere, by the node that failed.
    resent: Vec<AtomicU64>,
    /// How many more may be.
    retries: Mutex<RetryBudget>,
    /// Reads that were not sent again, since too many were.
    not_resent: AtomicU64,
    /// What the primary last said of prepared transactions.
    pub(crate) prepared: ArcSwapOption<PreparedTransactions>,
    /// Who notified by which server.
    pub(crate) notifiers: Arc<Notifiers>,
    /// The nodes that are being watched.
    watched: Mutex<BTreeSet<usize>>,
}

/// How nodes are reached and asked.
pub(crate) struct Reach {
    /// By the index of the node.
    addresses: BTreeMap<usize, NodeAddress>,
    pub(crate) tls: Arc<TlsClient>,
    pub(crate) settings: ClusterSettings,
}

impl Cluster {
    /// A cluster of which nothing is known yet.
    ///
    /// # Errors
    /// The certificates that the settings name cannot be used.
    pub(crate) fn new(
        name: &str,
        settings: &ClusterSettings,
        changed: Arc<Notify>,
    ) -> Result<Self, TlsError> {
        let topology = Topology::new(nodes(settings), topology_settings(settings), Instant::now());
        let view = topology.view();
        Ok(Self {
            name: name.to_owned(),
            reach: ArcSwap::from_pointee(reach(settings, tls(settings)?, &view)),
            view: ArcSwap::new(view),
            primary: watch::Sender::new(None),
            topology: Mutex::new(topology),
            changed,
            look_again: Notify::new(),
            counts: (0..NODES_MAX).map(|_| StatementCounts::default()).collect(),
            resent: (0..NODES_MAX).map(|_| AtomicU64::new(0)).collect(),
            retries: Mutex::new(RetryBudget::new(Instant::now())),
            not_resent: AtomicU64::new(0),
            prepared: ArcSwapOption::empty(),
            notifiers: Arc::default(),
            watched: Mutex::default(),
        })
    }

    /// A reload.
    ///
    /// # Errors
    /// The certificates cannot be used, or there are too many nodes; then nothing has changed.
    pub(crate) fn apply(&self, settings: &ClusterSettings) -> Result<(), ApplyError> {
        let tls = tls(settings).map_err(ApplyError::Tls)?;
        let mut topology = self.topology.lock();
        let changes = topology
            .apply_settings(nodes(settings), topology_settings(settings), Instant::now())
            .map_err(ApplyError::Nodes)?;
        let view = topology.view();
        self.reach.store(Arc::new(reach(settings, tls, &view)));
        self.publish(view);
        drop(topology);
        self.tell(&changes);
        self.changed.notify_one();
        self.look_again.notify_waiters();
        Ok(())
    }

    /// The present knowledge.
    pub(crate) fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.view.load()
    }

    /// The primary, for those who wait for it or for another one.
    pub(crate) fn primary(&self) -> watch::Receiver<Option<NodeId>> {
        self.primary.subscribe()
    }

    /// How nodes are reached.
    pub(crate) fn reach(&self) -> arc_swap::Guard<Arc<Reach>> {
        self.reach.load()
    }

    /// The configured nodes that nobody watches yet; the caller does from now on.
    pub(crate) fn take_unwatched(&self) -> Vec<NodeId> {
        let mut watched = self.watched.lock();
        let reach = self.reach();
        let nodes = self.view().nodes.iter().map(|node| node.id).collect::<Vec<_>>();
        nodes
            .into_iter()
            .filter(|node| reach.address(*node).is_some() && watched.insert(node.index()))
            .collect()
    }

    /// Where the node is reached; `None` ends its watch, until a reload brings the node back.
    pub(crate) fn watched_address(&self, node: NodeId) -> Option<NodeAddress> {
        let mut watched = self.watched.lock();
        let address = self.reach().address(node).cloned();
        if address.is_none() {
            watched.remove(&node.index());
        }
        address
    }

    /// Nodes should be asked at once.
    pub(crate) fn look_again(&self) {
        self.look_again.notify_waiters();
    }

    /// Waits until nodes should be asked at once.
    pub(crate) fn asked_again(&self) -> tokio::sync::futures::Notified<'_> {
        self.look_again.notified()
    }

    /// A node was asked.
    pub(crate) fn on_probe(&self, node: NodeId, probe: Probe) {
        self.learn(|topology, now| topology.on_probe(node, probe, now));
    }

    /// A server connection to the node broke.
    pub(crate) fn on_connection_lost(&self, node: NodeId) {
        self.learn(|topology, now| topology.on_connection_lost(node, now));
        self.look_again.notify_waiters();
    }

    /// A dial came up.
    pub(crate) fn on_dial_ok(&self, node: NodeId) {
        self.learn(|topology, now| topology.on_dial_ok(node, now));
    }

    /// A dial failed.
    pub(crate) fn on_dial_failed(&self, node: NodeId, error: &DialError) {
        if let Some(failure) = failure(error) {
            self.learn(|topology, now| topology.on_dial_failed(node, failure, now));
            self.look_again.notify_waiters();
        }
    }

    /// Time passed.
    pub(crate) fn tick(&self) {
        self.learn(Topology::tick);
    }

    /// A statement was sent to the node.
    pub(crate) fn count(&self, node: NodeId, verdict: Verdict) {
        self.counts[node.index()].add(verdict);
    }

    /// Statements by kind and reason that went to the node.
    pub(crate) fn counts(&self, node: NodeId) -> &StatementCounts {
        &self.counts[node.index()]
    }

    /// A read that the node could not answer is sent again elsewhere.
    pub(crate) fn count_resent(&self, node: NodeId) {
        self.resent[node.index()].fetch_add(1, Relaxed);
    }

    /// Reads that the node could not answer and that were sent again elsewhere.
    pub(crate) fn resent(&self, node: NodeId) -> u64 {
        self.resent[node.index()].load(Relaxed)
    }

    /// Whether one more read may be sent again now; one that may not is counted.
    pub(crate) fn may_resend(&self, now: Instant) -> bool {
        let Some(per_second) = self.reach().settings.resent_per_second_max else { return true };
        let may = self.retries.lock().take(per_second.get(), now);
        self.not_resent.fetch_add(u64::from(!may), Relaxed);
        may
    }

    /// Reads that were not sent again.
    pub(crate) fn not_resent(&self) -> u64 {
        self.not_resent.load(Relaxed)
    }

    fn learn(&self, lesson: impl FnOnce(&mut Topology, Instant) -> Vec<Change>) {
        let mut topology = self.topology.lock();
        let changes = lesson(&mut topology, Instant::now());
        let view = topology.view();
        if view.generation != self.view.load().generation {
            self.publish(view);
        }
        drop(topology);
        if !changes.is_empty() {
            self.tell(&changes);
            self.changed.notify_one();
        }
    }

    /// Called with the lock on the topology held, so that no older view comes after a newer one.
    fn publish(&self, view: Arc<View>) {
        let primary = view.primary;
        self.view.store(view);
        self.primary.send_if_modified(|before| std::mem::replace(before, primary) != primary);
    }

    fn tell(&self, changes: &[Change]) {
        for change in changes {
            if change.kind.is_degradation() {
                tracing::warn!(cluster = self.name, node = %change.name, "{change}");
            } else {
                tracing::info!(cluster = self.name, node = %change.name, "{change}");
            }
        }
    }
}

impl Reach {
    /// Where the node is reached; `None` once a reload removed it.
    pub(crate) fn address(&self, node: NodeId) -> Option<&NodeAddress> {
        self.addresses.get(&node.index())
    }
}

/// Why a cluster keeps its settings.
#[derive(Debug)]
pub(crate) enum ApplyError {
    /// More nodes than one process can know.
    Nodes(TooManyNodes),
    /// A certificate cannot be used.
    Tls(TlsError),
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nodes(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

pub(crate) fn tls(settings: &ClusterSettings) -> Result<TlsClient, TlsError> {
    let files = TlsFiles {
        authority: settings.tls_ca.clone(),
        certificate: settings.tls_cert.clone(),
        key: settings.tls_key.clone(),
    };
    TlsClient::load(settings.tls_mode, &files)
}

fn reach(settings: &ClusterSettings, tls: TlsClient, view: &View) -> Reach {
    let named = |name: &str| settings.nodes.iter().find(|node| node_name(node) == name);
    let addresses = view
        .nodes
        .iter()
        .filter_map(|node| Some((node.id.index(), named(&node.name)?.address.clone())))
        .collect();
    Reach { addresses, tls: Arc::new(tls), settings: settings.clone() }
}

pub(crate) fn node_name(node: &config::NodeSettings) -> String {
    if node.name.is_empty() { node.address.to_string() } else { node.name.clone() }
}

fn nodes(settings: &ClusterSettings) -> Vec<NodeSettings> {
    let nodes = settings.nodes.iter();
    nodes
        .map(|node| NodeSettings { name: node_name(node), weight: node.weight, zone: node.zone.clone() })
        .collect()
}

fn topology_settings(settings: &ClusterSettings) -> TopologySettings {
    TopologySettings {
        staleness_max: settings.staleness_max,
        lag_bytes_max: settings.lag_bytes_max.map(config::ByteCount::bytes),
        fall: settings.fall.get(),
        rise: settings.rise.get(),
        probe_interval: settings.monitor_interval,
        probe_fresh_for: (settings.monitor_timeout + settings.monitor_interval).max(PROBE_FRESH_MIN),
        reads_on_primary: match settings.reads_on_primary {
            config::ReadsOnPrimary::Never => ReadsOnPrimary::Never,
            config::ReadsOnPrimary::WhenNone => ReadsOnPrimary::WhenNone,
            config::ReadsOnPrimary::Always => ReadsOnPrimary::Always,
        },
        balance: match settings.balance {
            config::Balance::RoundRobin => Balance::RoundRobin,
            config::Balance::Random => Balance::Random,
            config::Balance::Weighted => Balance::Weighted,
            config::Balance::LeastInFlight => Balance::LeastInFlight,
        },
        ..TopologySettings::default()
    }
}

/// A node that was silent for this long is down, however short the interval.
const PROBE_FRESH_MIN: Duration = Duration::from_secs(3);

/// What a failed dial says of the node; `None` where it says nothing.
pub(crate) fn failure(error: &DialError) -> Option<ProbeFailure> {
    if error.blame() != DialBlame::Node {
        return None;
    }
    Some(match error {
        DialError::TimedOut => ProbeFailure::TimedOut,
        DialError::Unreachable(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            ProbeFailure::Refused
        }
        // The socket of a server that is not there.
        DialError::Unreachable(error) if error.kind() == std::io::ErrorKind::NotFound => {
            ProbeFailure::Refused
        }
        DialError::Unreachable(_) => ProbeFailure::Closed,
        DialError::Refused { sqlstate, .. } if &sqlstate.0 == b"57P03" => ProbeFailure::Starting,
        DialError::Authentication(_) => ProbeFailure::AuthenticationFailed,
        DialError::Tls(_) => ProbeFailure::Tls,
        DialError::Protocol(_) | DialError::Refused { .. } => ProbeFailure::Other,
    })
}
