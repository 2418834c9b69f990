//! Who is connected, what they do, and the way to cancel it.
//!
//! Why here: a cancel request comes over another connection and must reach exactly the statement it was meant for. The
//! lock around [`Doing`] is what decides: under it a server is taken up, let go, or aimed at.
//! Invariant: once a client has let a server go, no cancel request of that client can set out for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use pgweir_cluster::WaiterId;
use pgweir_session::PinReason;
use pgweir_wire::say::{self, Complaint, Severity};
use pgweir_wire::{BackendKey, CancelKey, Startup};
use tokio::task::AbortHandle;

use crate::dial::send_cancel;
use crate::hashing::fill_random;
use crate::purpose::Purpose;
use crate::server::ServerEntry;
use crate::stream::Stream;

/// One client as others may see it.
pub(crate) struct ClientEntry {
    pub(crate) id: u64,
    pub(crate) key: BackendKey,
    pub(crate) purpose: Purpose,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) tls: String,
    pub(crate) application_name: String,
    pub(crate) connected_at: SystemTime,
    pub(crate) statements: AtomicU32,
    /// When it last did something, in milliseconds of the Unix epoch.
    pub(crate) active_at_ms: AtomicU64,
    doing: Mutex<Doing>,
    life: Mutex<Life>,
}

/// What a client does.
#[derive(Clone)]
pub(crate) enum Doing {
    /// Nothing that needs a server.
    Idle,
    /// It waits for a server.
    Waiting(WaiterId),
    /// It has a server.
    Active(Arc<ServerEntry>, Option<PinReason>),
}

#[derive(Default)]
struct Life {
    task: Option<AbortHandle>,
    farewell: Option<Farewell>,
}

/// What a client is told when its session is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub(crate) sqlstate: &'static str,
    pub(crate) message: &'static str,
}

impl Farewell {
    /// The message that says so.
    pub(crate) fn message_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Self { sqlstate, message } = self;
        say::error(&mut bytes, &Complaint { severity: Severity::Fatal, sqlstate, message, hint: None });
        bytes
    }
}

/// The proxy is going down.
pub(crate) const SHUTTING_DOWN: Farewell =
    Farewell { sqlstate: "57P01", message: "terminating connection due to administrator command" };
/// Another node is the primary now; whoever replicates connects again and gets to it.
pub(crate) const PRIMARY_CHANGED: Farewell =
    Farewell { sqlstate: "57P01", message: "terminating connection because the primary server has changed" };
/// `pool.client_idle_timeout`.
pub(crate) const IDLE_TOO_LONG: Farewell =
    Farewell { sqlstate: "57P05", message: "terminating connection due to idle-session timeout" };
/// `pool.idle_transaction_timeout`.
pub(crate) const IDLE_IN_TRANSACTION: Farewell =
    Farewell { sqlstate: "25P03", message: "terminating connection due to idle-in-transaction timeout" };

impl ClientEntry {
    pub(crate) fn begins_to_wait(&self, waiter: WaiterId) {
        *self.doing.lock() = Doing::Waiting(waiter);
    }

    pub(crate) fn has(&self, server: &Arc<ServerEntry>) {
        *self.doing.lock() = Doing::Active(Arc::clone(server), None);
    }

    /// It holds its server for this reason, or not any more.
    pub(crate) fn is_pinned(&self, reason: Option<PinReason>) {
        let client = self.id;
        match reason {
            Some(reason) => {
                tracing::debug!(client, reason = reason.code(), "the session holds its server");
            }
            None => tracing::debug!(client, "the session holds its server no more"),
        }
        if let Doing::Active(_, pin) = &mut *self.doing.lock() {
            *pin = reason;
        }
    }

    pub(crate) fn is_idle(&self) {
        *self.doing.lock() = Doing::Idle;
    }

    pub(crate) fn doing(&self) -> Doing {
        self.doing.lock().clone()
    }

    pub(crate) fn touched(&self) {
        self.active_at_ms.store(epoch_ms(SystemTime::now()), Relaxed);
    }

    /// How long it has done nothing.
    pub(crate) fn quiet_for(&self) -> Duration {
        let since = self.active_at_ms.load(Relaxed);
        Duration::from_millis(epoch_ms(SystemTime::now()).saturating_sub(since))
    }

    /// Ends the session from outside.
    pub(crate) fn end(&self, farewell: Farewell) {
        let mut life = self.life.lock();
        if life.farewell.is_none() {
            life.farewell = Some(farewell);
            if let Some(task) = life.task.take() {
                task.abort();
            }
        }
    }

    pub(crate) fn farewell(&self) -> Option<Farewell> {
        self.life.lock().farewell
    }

    pub(crate) fn runs_in(&self, task: AbortHandle) {
        let mut life = self.life.lock();
        if life.farewell.is_some() {
            task.abort();
        } else {
            life.task = Some(task);
        }
    }
}

fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Everybody who is connected, by the process number of their key.
#[derive(Default)]
pub(crate) struct Clients {
    connected: Mutex<Connected>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct Connected {
    by_process: HashMap<u32, Arc<ClientEntry>>,
    /// Those that the limit on clients does not count.
    unlimited: usize,
}

impl Connected {
    fn limited(&self) -> usize {
        self.by_process.len() - self.unlimited
    }
}

/// What an entry is made of.
pub(crate) struct NewClient {
    pub(crate) purpose: Purpose,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) tls: String,
    pub(crate) application_name: String,
    /// The length of the cancel key: 4, or 32 from protocol 3.2 on.
    pub(crate) secret_bytes: usize,
}

impl NewClient {
    /// An admitted client.
    pub(crate) fn new(stream: &Stream, startup: &Startup, purpose: Purpose) -> Self {
        let (peer, local) = match stream {
            Stream::Tcp(tcp) => (tcp.peer_addr().ok(), tcp.local_addr().ok()),
            Stream::Tls(tls) => (tls.get_ref().0.peer_addr().ok(), tls.get_ref().0.local_addr().ok()),
            Stream::Unix(_) => (None, None),
        };
        Self {
            purpose,
            peer,
            local,
            tls: stream.tls_text(),
            application_name: startup.setting("application_name").unwrap_or_default().to_owned(),
            secret_bytes: if startup.minor >= 2 { 32 } else { 4 },
        }
    }
}

impl Clients {
    /// Enters a client under a key that nobody else has, unless there are as many as may be. The entry goes when the answer
    /// is dropped.
    pub(crate) fn enter(self: &Arc<Self>, new: NewClient, clients_max: usize) -> Option<Entered> {
        let id = self.next_id.fetch_add(1, Relaxed) + 1;
        let mut connected = self.connected.lock();
        if !new.purpose.is_limited() {
            connected.unlimited += 1;
        } else if connected.limited() >= clients_max {
            return None;
        }
        let by_process = &mut connected.by_process;
        let process_id = loop {
            let mut bytes = [0; 4];
            fill_random(&mut bytes);
            let candidate = u32::from_ne_bytes(bytes) >> 1;
            if candidate > 0 && !by_process.contains_key(&candidate) {
                break candidate;
            }
        };
        let mut secret = vec![0; new.secret_bytes];
        fill_random(&mut secret);
        let entry = Arc::new(ClientEntry {
            id,
            key: BackendKey { process_id, secret },
            purpose: new.purpose,
            peer: new.peer,
            local: new.local,
            tls: new.tls,
            application_name: new.application_name,
            connected_at: SystemTime::now(),
            statements: AtomicU32::new(0),
            active_at_ms: AtomicU64::new(epoch_ms(SystemTime::now())),
            doing: Mutex::new(Doing::Idle),
            life: Mutex::default(),
        });
        by_process.insert(process_id, Arc::clone(&entry));
        Some(Entered { clients: Arc::clone(self), entry })
    }

    pub(crate) fn all(&self) -> Vec<Arc<ClientEntry>> {
        self.connected.lock().by_process.values().cloned().collect()
    }

    /// How many there are, the console's own left out.
    pub(crate) fn len(&self) -> usize {
        self.connected.lock().limited()
    }

    /// How many there are that a process which is to end waits for.
    pub(crate) fn waited_for(&self) -> usize {
        let connected = self.connected.lock();
        connected.by_process.values().filter(|entry| entry.purpose.is_waited_for()).count()
    }

    /// Cancels what the owner of the key does now, and answers when that has been dealt with. A wrong key does nothing,
    /// and nobody is told.
    pub(crate) async fn cancel(&self, key: &CancelKey, deadline: Duration) {
        let entry = self.connected.lock().by_process.get(&key.process_id).cloned();
        let Some(entry) = entry.filter(|entry| same_secret(&entry.key.secret, &key.secret)) else {
            tracing::debug!("a cancel request with an unknown key");
            return;
        };
        let server = {
            let doing = entry.doing.lock();
            match &*doing {
                Doing::Idle => return,
                Doing::Waiting(waiter) => {
                    let waiter = *waiter;
                    drop(doing);
                    if let Some(pool) = entry.purpose.pool() {
                        pool.cancel_waiting(waiter);
                    }
                    return;
                }
                Doing::Active(server, _) => {
                    server.cancel_begins();
                    Arc::clone(server)
                }
            }
        };
        let aim = Aim(server);
        let reach = Arc::clone(&aim.0.cluster.reach());
        if let (Some(key), Some(address)) = (&aim.0.key, reach.address(aim.0.node))
            && let Err(error) = send_cancel(address, &reach.tls, key, deadline).await
        {
            tracing::debug!(%error, "a cancel request did not reach its server");
        }
    }
}

/// A cancel request on its way; over when dropped.
struct Aim(Arc<ServerEntry>);

impl Drop for Aim {
    fn drop(&mut self) {
        self.0.cancel_ends();
    }
}

/// Compares in a time that does not depend on where the keys differ.
fn same_secret(ours: &[u8], theirs: &[u8]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// A client's place in the registry.
pub(crate) struct Entered {
    clients: Arc<Clients>,
    pub(crate) entry: Arc<ClientEntry>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut connected = self.clients.connected.lock();
        connected.by_process.remove(&self.entry.key.process_id);
        if !self.entry.purpose.is_limited() {
            connected.unlimited -= 1;
        }
    }
}
