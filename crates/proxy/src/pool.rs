//! The server connections of one database and role: sockets for the slots that `pgweir_cluster::Pool` hands out.
//!
//! Invariants: a socket is in exactly one place, a client's hands, the idle map, or a grant on its way; every decision and
//! the move of its socket happen under one lock, which is never held while waiting.
//! Absent: who may have a server, and when (`pgweir_cluster::Pool`).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pgweir_auth::ServerCredentials;
use pgweir_cluster::{
    Demand, LastServers, Lease, NodeId, Pool, PoolCounts, PoolEffect, Refusal, ServerId, WaiterId,
};
use pgweir_config::PoolMode;
use pgweir_session::{
    AcceptedSettings, AtRest, NodeRole, Notifier, ProvenStatements, ROUTE_SETTING, Reported, ServerState,
    SettingMap,
};
use tokio::sync::oneshot;

use crate::catalog::DatabaseCatalog;
use crate::cluster::Cluster;
use crate::dial::{DialBlame, DialError, DialTarget, dial, refusal_body};
use crate::hashing::Hashing;
use crate::server::{NewServer, Server, ServerEntry, next_server_id};
use crate::tally::Tally;

/// The server connections of one database and role over all nodes of a cluster.
pub(crate) struct ServerPool {
    /// The database as clients name it.
    pub(crate) database: String,
    /// The role as clients name it.
    pub(crate) user: String,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) settings: ArcSwap<Settings>,
    /// What logs us in to servers: of the last login that proved something.
    pub(crate) credentials: ArcSwap<ServerCredentials>,
    pub(crate) tally: Tally,
    /// Statements that servers of this pool have parsed.
    pub(crate) proven: Arc<ProvenStatements>,
    pub(crate) accepted: Arc<AcceptedSettings>,
    inner: Mutex<Inner>,
    /// What servers report for each set of start-up settings that was seen.
    welcomes: Mutex<HashMap<Arc<SettingMap>, Arc<Reported>>>,
    hashing: Hashing,
    pub(crate) all: Arc<dyn AllPools>,
}

/// What a reload may change.
pub(crate) struct Settings {
    pub(crate) mode: PoolMode,
    pub(crate) pool: pgweir_cluster::PoolSettings,
    pub(crate) connect_timeout: Duration,
    /// What is known of the database's own objects.
    pub(crate) catalog: Arc<DatabaseCatalog>,
    pub(crate) server_database: String,
    pub(crate) server_user: String,
    /// Credentials of the configuration, before those of any login.
    pub(crate) fixed_credentials: Option<ServerCredentials>,
}

/// What a pool asks of all pools.
pub(crate) trait AllPools: Send + Sync {
    /// Whether one more server connection may be opened.
    fn allows(&self, database: &str, user: &str) -> bool;

    /// Closes the connections to a database of the cluster's servers that no client uses.
    fn leave(&self, cluster: &Arc<Cluster>, server_database: &str);
}

struct Inner {
    pool: Pool,
    idle: HashMap<ServerId, Box<Server>>,
    /// Every server that logged in and was not closed.
    known: HashMap<ServerId, Arc<ServerEntry>>,
    waiting: HashMap<WaiterId, oneshot::Sender<Outcome>>,
    effects: Vec<PoolEffect>,
    /// The last error with which servers refused the role or database.
    refused: Option<Arc<Vec<u8>>>,
}

type Outcome = Result<Granted, Denied>;

/// A server in a client's hands.
pub(crate) struct Granted {
    pub(crate) server: Box<Server>,
    pub(crate) role: NodeRole,
    /// It was unused for so long that it must be asked whether it lives.
    pub(crate) check: bool,
}

/// Why there is no server.
#[derive(Clone, Debug)]
pub(crate) enum Denied {
    /// The client's own cancel request.
    Cancelled,
    /// By the rules of the pool.
    Refused(Refusal),
    /// A read asks for a node that there is not.
    NoSuchNode(Arc<str>),
    /// Too many reads are being sent again.
    NoRetry,
    /// The servers refuse the role or database: the body of their error.
    Server(Arc<Vec<u8>>),
}

/// The answer to a demand.
pub(crate) enum Leased {
    Now(Granted),
    Later(Waiting),
    Never(Denied),
}

/// A place in the queue. Dropping it gives the place, or the server that was just granted, back.
pub(crate) struct Waiting {
    pool: Arc<ServerPool>,
    pub(crate) waiter: WaiterId,
    outcome: oneshot::Receiver<Outcome>,
    pub(crate) since: Instant,
}

impl ServerPool {
    pub(crate) fn new(
        database: &str,
        user: &str,
        cluster: Arc<Cluster>,
        settings: Settings,
        hashing: Hashing,
        all: Arc<dyn AllPools>,
    ) -> Self {
        let mut seed = [0; 8];
        crate::hashing::fill_random(&mut seed);
        let inner = Inner {
            pool: Pool::new(settings.pool.clone(), u64::from_ne_bytes(seed)),
            idle: HashMap::new(),
            known: HashMap::new(),
            waiting: HashMap::new(),
            effects: Vec::new(),
            refused: None,
        };
        let credentials = settings.fixed_credentials.clone().unwrap_or(ServerCredentials::None);
        Self {
            database: database.to_owned(),
            user: user.to_owned(),
            cluster,
            settings: ArcSwap::from_pointee(settings),
            credentials: ArcSwap::from_pointee(credentials),
            tally: Tally::default(),
            proven: Arc::default(),
            accepted: Arc::default(),
            inner: Mutex::new(inner),
            welcomes: Mutex::default(),
            hashing,
            all,
        }
    }

    /// A reload.
    pub(crate) fn apply(self: &Arc<Self>, settings: Settings) {
        self.with(|inner, view, now| {
            inner.pool.apply_settings(settings.pool.clone(), view, now, &mut inner.effects);
        });
        if let Some(fixed) = &settings.fixed_credentials {
            self.credentials.store(Arc::new(fixed.clone()));
        }
        self.settings.store(Arc::new(settings));
    }

    /// A login proved something that may be used towards servers.
    pub(crate) fn learn_credentials(&self, proved: &ServerCredentials) {
        let useful = !matches!(proved, ServerCredentials::None);
        if useful && self.settings.load().fixed_credentials.is_none() {
            self.credentials.store(Arc::new(proved.clone()));
        }
    }

    /// Asks for a server, preferably one that the session had last.
    pub(crate) fn lease(self: &Arc<Self>, demand: &Demand, last: &LastServers, now: Instant) -> Leased {
        let mut later = None;
        let leased = self.with(|inner, view, _| {
            let lease = inner.pool.lease(demand, last, view, now, &mut inner.effects);
            match lease {
                Lease::Ready { server, node, check } => Ok(inner.take(server, node, check, view)),
                Lease::Queued(waiter) => {
                    let (sender, receiver) = oneshot::channel();
                    inner.waiting.insert(waiter, sender);
                    later = Some((waiter, receiver));
                    Err(None)
                }
                Lease::Refused(refusal) => Err(Some(inner.denied(refusal))),
            }
        });
        match leased {
            Ok(granted) => {
                Tally::add(&self.tally.assignments, 1);
                Leased::Now(granted)
            }
            Err(Some(denied)) => Leased::Never(denied),
            Err(None) => {
                let (waiter, outcome) = later.expect("a queued demand has a place");
                Leased::Later(Waiting { pool: Arc::clone(self), waiter, outcome, since: now })
            }
        }
    }

    /// A server comes back from a session that left it at rest.
    pub(crate) fn give_back(
        self: &Arc<Self>,
        mut server: Box<Server>,
        state: Box<ServerState>,
        _proof: &AtRest,
    ) {
        server.entry.client.store(0, Relaxed);
        server.entry.statements.store(u32::try_from(state.statements()).unwrap_or(u32::MAX), Relaxed);
        server.state = Some(state);
        if server.entry.is_being_canceled() {
            let pool = Arc::clone(self);
            tokio::spawn(async move {
                server.entry.cancels_are_done().await;
                pool.take_in(server);
            });
        } else {
            self.take_in(server);
        }
    }

    fn take_in(self: &Arc<Self>, server: Box<Server>) {
        self.with(|inner, view, now| {
            let id = server.entry.id;
            inner.idle.insert(id, server);
            inner.pool.give_back(id, view, now, &mut inner.effects);
        });
    }

    /// A server is of no more use.
    #[expect(clippy::boxed_local, reason = "servers are handed around in their box")]
    pub(crate) fn discard(self: &Arc<Self>, server: Box<Server>) {
        let id = server.entry.id;
        server.close();
        self.with(|inner, view, now| {
            inner.known.remove(&id);
            inner.pool.discard(id, view, now, &mut inner.effects);
        });
    }

    /// Somebody needs the database for himself. What its servers report may be otherwise afterwards.
    pub(crate) fn close_unused(self: &Arc<Self>) {
        self.with(|inner, _, _| inner.pool.close_unused(&mut inner.effects));
        self.forget_welcomes();
    }

    /// Time passed, or the cluster changed.
    pub(crate) fn tick(self: &Arc<Self>) {
        self.with(|inner, view, now| {
            inner.pool.tick(view, now, &mut inner.effects);
            if view.nodes.iter().any(|node| node.health.is_down()) {
                let is_down = |server: &&Arc<ServerEntry>| {
                    view.node(server.node).is_some_and(|node| node.health.is_down())
                };
                inner.known.values().filter(is_down).for_each(|server| server.give_up());
            }
        });
    }

    /// A client cancels its own waiting.
    pub(crate) fn cancel_waiting(self: &Arc<Self>, waiter: WaiterId) {
        let mut inner = self.inner.lock();
        if inner.pool.abandon(waiter)
            && let Some(sender) = inner.waiting.remove(&waiter)
        {
            let _gone = sender.send(Err(Denied::Cancelled));
        }
    }

    /// Whether it ever gave a server to anybody.
    pub(crate) fn was_used(&self) -> bool {
        self.tally.assignments.load(Relaxed) > 0
    }

    pub(crate) fn counts(&self) -> PoolCounts {
        self.inner.lock().pool.counts()
    }

    /// Every server connection.
    pub(crate) fn servers(&self) -> Vec<Arc<ServerEntry>> {
        self.inner.lock().known.values().cloned().collect()
    }

    pub(crate) fn connections(&self) -> usize {
        let inner = self.inner.lock();
        let counts = inner.pool.counts();
        counts.nodes.iter().map(|node| (node.idle + node.leased + node.dialing) as usize).sum()
    }

    /// What servers report under these start-up settings, if that is known.
    pub(crate) fn welcome(&self, settings: &Arc<SettingMap>) -> Option<Arc<Reported>> {
        self.welcomes.lock().get(settings).cloned()
    }

    pub(crate) fn learn_welcome(&self, settings: Arc<SettingMap>, reported: Arc<Reported>) {
        let mut welcomes = self.welcomes.lock();
        if welcomes.len() >= WELCOMES_MAX {
            welcomes.clear();
        }
        welcomes.insert(settings, reported);
    }

    /// What servers report may have changed with the primary.
    pub(crate) fn forget_welcomes(&self) {
        self.welcomes.lock().clear();
    }

    /// Takes a step under the lock and carries out what follows from it.
    fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut Inner, &pgweir_cluster::View, Instant) -> T) -> T {
        let mut inner = self.inner.lock();
        let view = self.cluster.view();
        let now = Instant::now();
        let result = act(&mut inner, &view, now);
        let mut closed = Vec::new();
        while !inner.effects.is_empty() {
            for effect in std::mem::take(&mut inner.effects) {
                self.carry_out(effect, &mut inner, &view, now, &mut closed);
            }
        }
        drop(inner);
        closed.into_iter().for_each(Server::close);
        result
    }

    fn carry_out(
        self: &Arc<Self>,
        effect: PoolEffect,
        inner: &mut Inner,
        view: &pgweir_cluster::View,
        now: Instant,
        closed: &mut Vec<Server>,
    ) {
        match effect {
            PoolEffect::Close { server, why } => {
                inner.known.remove(&server);
                closed.extend(inner.idle.remove(&server).map(|server| *server));
                tracing::debug!(
                    database = self.database,
                    user = self.user,
                    ?why,
                    "a server connection is closed"
                );
            }
            PoolEffect::Dial { node } => {
                tokio::spawn(Arc::clone(self).dial(node));
            }
            PoolEffect::Grant { waiter, server, node, check } => {
                let granted = inner.take(server, node, check, view);
                let sender = inner.waiting.remove(&waiter).expect("a waiter is granted once");
                if let Err(Ok(granted)) = sender.send(Ok(granted)) {
                    inner.idle.insert(server, granted.server);
                    inner.pool.give_back(server, view, now, &mut inner.effects);
                } else {
                    Tally::add(&self.tally.assignments, 1);
                }
            }
            PoolEffect::Refuse { waiter, refusal } => {
                let denied = inner.denied(refusal);
                if let Some(sender) = inner.waiting.remove(&waiter) {
                    let _gone = sender.send(Err(denied));
                }
            }
        }
    }

    /// Opens a connection to the node and puts it into the pool.
    async fn dial(self: Arc<Self>, node: NodeId) {
        let outcome = self.log_in(node).await;
        match outcome {
            Ok(server) => {
                self.cluster.on_dial_ok(node);
                self.with(|inner, view, now| {
                    let id = server.entry.id;
                    inner.refused = None;
                    inner.known.insert(id, Arc::clone(&server.entry));
                    inner.idle.insert(id, server);
                    inner.pool.dialed(node, id, view, now, &mut inner.effects);
                });
            }
            Err(failed) => self.dial_failed(node, failed),
        }
    }

    async fn log_in(&self, node: NodeId) -> Result<Box<Server>, Option<DialError>> {
        if !self.all.allows(&self.database, &self.user) {
            return Err(None);
        }
        let reach = Arc::clone(&self.cluster.reach());
        let address = reach.address(node).ok_or(None)?;
        let (settings, credentials) = (self.settings.load_full(), self.credentials.load_full());
        let target = DialTarget {
            address,
            tls: &reach.tls,
            user: &settings.server_user,
            database: &settings.server_database,
            credentials: &credentials,
            // So that SHOW finds it in sessions that never set it.
            parameters: &[(ROUTE_SETTING, "auto")],
            timeout: settings.connect_timeout,
            hashing: &self.hashing,
        };
        let dialed = Box::pin(dial(target)).await.map_err(Some)?;
        let reported =
            dialed.parameters.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes()));
        let process_id = dialed.key.as_ref().map(|key| key.process_id);
        let notifier = Notifier::new(process_id, &self.cluster.notifiers);
        let state = ServerState::new(Arc::default(), reported.collect()).with_notifier(notifier);
        let id = next_server_id();
        let new = NewServer { id, node, cluster: Arc::clone(&self.cluster), key: dialed.key };
        Ok(Box::new(Server::new(dialed.stream, state, new)))
    }

    fn dial_failed(self: &Arc<Self>, node: NodeId, failed: Option<DialError>) {
        if let Some(error) = &failed {
            let name = self.cluster.view().node(node).map(|node| Arc::clone(&node.name));
            tracing::debug!(database = self.database, user = self.user, node = name.as_deref(), %error, "a dial failed");
            self.cluster.on_dial_failed(node, error);
        }
        let refused = failed
            .filter(|error| error.blame() == DialBlame::Login)
            .map(|error| Arc::new(refusal_body(error, &self.settings.load().server_user)));
        self.with(|inner, view, now| {
            inner.pool.dial_failed(node, view, now, &mut inner.effects);
            if refused.is_some() {
                inner.refused = refused;
                inner.pool.login_refused(node, view, now, &mut inner.effects);
            }
        });
    }
}

impl Inner {
    fn take(&mut self, server: ServerId, node: NodeId, check: bool, view: &pgweir_cluster::View) -> Granted {
        let server = self.idle.remove(&server).expect("a server that is given out is idle");
        let role = if view.primary == Some(node) { NodeRole::Primary } else { NodeRole::Standby };
        Granted { server, role, check }
    }

    fn denied(&self, refusal: Refusal) -> Denied {
        match (refusal, &self.refused) {
            (Refusal::ServersRefuse, Some(body)) => Denied::Server(Arc::clone(body)),
            _ => Denied::Refused(refusal),
        }
    }
}

impl Waiting {
    /// Whether the wait is over.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let gone = Err(Denied::Refused(Refusal::WaitedTooLong));
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.unwrap_or(gone))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        {
            let mut inner = self.pool.inner.lock();
            if inner.pool.abandon(self.waiter) {
                inner.waiting.remove(&self.waiter);
                return;
            }
        }
        // Granted in the same moment: the server was not used, so it is at rest.
        if let Ok(Ok(granted)) = self.outcome.try_recv() {
            self.pool.take_in(granted.server);
        }
    }
}

/// Sets of start-up settings whose answers are remembered.
const WELCOMES_MAX: usize = 1000;
