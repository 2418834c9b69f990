//! One server connection that has logged in, with what must travel with it from session to session.
//!
//! Invariant: a server that a cancel request may still hit is not given to anybody else.
//!
//! A node that froze, or that the network hides, never closes a connection. So a session that waits for one can be told
//! that its node is given up.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use parking_lot::Mutex;
use pgweir_cluster::{NodeId, ServerId};
use pgweir_session::ServerState;
use pgweir_wire::{BackendKey, say};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::cluster::Cluster;
use crate::stream::Stream;

/// A server connection and what its session holds.
pub(crate) struct Server {
    pub(crate) stream: Stream,
    /// What its session holds; `None` while a client session has it.
    pub(crate) state: Option<Box<ServerState>>,
    pub(crate) entry: Arc<ServerEntry>,
}

/// What others may know of a server connection while somebody uses it.
pub(crate) struct ServerEntry {
    pub(crate) id: ServerId,
    pub(crate) node: NodeId,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) key: Option<BackendKey>,
    pub(crate) connected_at: SystemTime,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) tls: String,
    /// The client that has it; 0: none.
    pub(crate) client: AtomicU64,
    /// When a client last got it, in milliseconds of the Unix epoch.
    pub(crate) leased_at_ms: AtomicU64,
    pub(crate) statements: AtomicU32,
    /// Cancel requests on their way to it.
    cancels: AtomicU32,
    cancels_done: Notify,
    /// Its node went down while the session in `waiting` had it.
    given_up: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

/// What a server entry begins with.
pub(crate) struct NewServer {
    pub(crate) id: ServerId,
    pub(crate) node: NodeId,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) key: Option<BackendKey>,
}

/// A number that no other server connection of this process has.
pub(crate) fn next_server_id() -> ServerId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ServerId(NEXT.fetch_add(1, Relaxed))
}

impl Server {
    pub(crate) fn new(stream: Stream, state: ServerState, new: NewServer) -> Self {
        let local = match &stream {
            Stream::Tcp(tcp) => tcp.local_addr().ok(),
            Stream::Tls(tls) => tls.get_ref().0.local_addr().ok(),
            Stream::Unix(_) => None,
        };
        let entry = ServerEntry {
            id: new.id,
            node: new.node,
            cluster: new.cluster,
            key: new.key,
            connected_at: SystemTime::now(),
            local,
            tls: stream.tls_text(),
            client: AtomicU64::new(0),
            leased_at_ms: AtomicU64::new(0),
            statements: AtomicU32::new(0),
            cancels: AtomicU32::new(0),
            cancels_done: Notify::new(),
            given_up: AtomicBool::new(false),
            waiting: Mutex::new(None),
        };
        Self { stream, state: Some(Box::new(state)), entry: Arc::new(entry) }
    }

    /// Whether the server said something, or went, while nobody used it. No system call in the good case.
    pub(crate) fn is_disturbed(&mut self, context: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        Pin::new(&mut self.stream).poll_read(context, &mut buffer).is_ready()
    }

    /// Says good-bye, as far as the socket takes it at once, and closes.
    pub(crate) fn close(mut self) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let said = Pin::new(&mut self.stream).poll_write(&mut context, say::TERMINATE);
        if let Poll::Ready(Ok(_)) = said {
            let _flushed: Poll<io::Result<()>> = Pin::new(&mut self.stream).poll_flush(&mut context);
        }
    }
}

impl ServerEntry {
    /// A cancel request sets out. The caller holds the lock under which the server is taken from its client.
    pub(crate) fn cancel_begins(&self) {
        self.cancels.fetch_add(1, SeqCst);
    }

    /// The server has dealt with a cancel request, or never got it.
    pub(crate) fn cancel_ends(&self) {
        if self.cancels.fetch_sub(1, SeqCst) == 1 {
            self.cancels_done.notify_waiters();
        }
    }

    /// Whether a cancel request may still hit it.
    pub(crate) fn is_being_canceled(&self) -> bool {
        self.cancels.load(SeqCst) > 0
    }

    /// Waits until no cancel request is on its way. No new one can set out: nobody has the server.
    pub(crate) async fn cancels_are_done(&self) {
        loop {
            let done = self.cancels_done.notified();
            if !self.is_being_canceled() {
                return;
            }
            done.await;
        }
    }

    /// The session that has it wants to know when the node is given up.
    pub(crate) fn waited_for(&self, session: &Waker) {
        self.given_up.store(false, Relaxed);
        *self.waiting.lock() = Some(session.clone());
    }

    /// The node is down: whoever waits for this server should look elsewhere.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, SeqCst);
        if let Some(session) = self.waiting.lock().take() {
            session.wake();
        }
    }

    /// Whether its node went down since a session took it.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed)
    }

    pub(crate) fn taken_by(&self, client: u64, now: SystemTime) {
        self.client.store(client, Relaxed);
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.leased_at_ms.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Drop for ServerEntry {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.cluster.notifiers.forget(self.node, key.process_id);
        }
    }
}
