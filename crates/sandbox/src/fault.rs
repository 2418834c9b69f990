//! A TCP proxy that misbehaves on demand: what a bad network does to one node.
//!
//! Invariants: a fault set with [`FaultProxy::set`] holds for all bytes that are forwarded after the
//! call returns, on old connections too. Two threads serve a connection, and connections are bounded.
//!
//! Absent: knowledge of what passes through, and packet loss (TCP would hide it).

mod relay;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use relay::{Connection, Slot};

use crate::{PortLease, SandboxError, wait_until};

/// A proxy on a port of 127.0.0.1 before one server.
#[derive(Debug)]
pub struct FaultProxy {
    port: PortLease,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Forwards everything.
    Pass,
    /// Forwards each piece this much later, in both directions.
    Delay(Duration),
    /// Closes a connection after it has forwarded this many more bytes in this direction.
    CutAfter {
        /// Which bytes count.
        direction: Direction,
        /// How many of them still pass.
        bytes: u64,
    },
    /// Accepts connections and forwards nothing; open ones freeze. What was held back passes later.
    BlackHole,
    /// Forwards each byte in a write of its own.
    OneByte,
    /// Refuses new connections. Open ones go on.
    Refuse,
}

/// The way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// What has passed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: usize,
    /// Bytes forwarded to the server.
    pub bytes_to_server: u64,
    /// Bytes forwarded to clients.
    pub bytes_to_client: u64,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    connections: AtomicU64,
    open: AtomicUsize,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
}

#[derive(Debug)]
struct State {
    fault: Fault,
    /// Counts the faults set, so that byte counts start anew with each.
    generation: u64,
    acceptor: Acceptor,
    open: Vec<Weak<Connection>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acceptor {
    Listening,
    Refusing,
    /// The proxy is being dropped.
    Ending,
}

impl FaultProxy {
    /// Starts forwarding to `target`.
    pub fn start(target: SocketAddr) -> Result<Self, SandboxError> {
        let port = PortLease::take()?;
        let listener = listen(port.number()).map_err(SandboxError::io("listening"))?;
        let shared = Arc::new(Shared {
            target,
            state: Mutex::new(State {
                fault: Fault::Pass,
                generation: 0,
                acceptor: Acceptor::Listening,
                open: Vec::new(),
            }),
            changed: Condvar::new(),
            connections: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            bytes_to_server: AtomicU64::new(0),
            bytes_to_client: AtomicU64::new(0),
        });
        let acceptor = {
            let (shared, port) = (Arc::clone(&shared), port.number());
            thread::Builder::new()
                .name("fault-proxy".to_owned())
                .spawn(move || accept(&shared, listener, port))
                .map_err(SandboxError::io("starting a thread"))?
        };
        Ok(Self { port, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// The port of [`Self::address`].
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Changes what happens, from now on and on open connections too.
    pub fn set(&self, fault: Fault) -> Result<(), SandboxError> {
        {
            let mut state = self.shared.state();
            state.fault = fault;
            state.generation += 1;
        }
        self.shared.changed.notify_all();
        if fault == Fault::Refuse {
            self.wake_acceptor();
        }
        let wanted = if fault == Fault::Refuse { Acceptor::Refusing } else { Acceptor::Listening };
        wait_until(SWITCH_WITHIN, &format!("the fault proxy is {wanted:?}"), || {
            self.shared.state().acceptor == wanted
        })
    }

    /// Resets (RST) all open connections, on both sides.
    pub fn reset_all(&self) {
        for connection in self.shared.state().open.drain(..).filter_map(|weak| weak.upgrade()) {
            connection.reset();
        }
        self.shared.changed.notify_all();
    }

    /// What has passed so far.
    pub fn counters(&self) -> FaultCounters {
        FaultCounters {
            connections: self.shared.connections.load(Ordering::Relaxed),
            open: self.shared.open.load(Ordering::Relaxed),
            bytes_to_server: self.shared.bytes_to_server.load(Ordering::Relaxed),
            bytes_to_client: self.shared.bytes_to_client.load(Ordering::Relaxed),
        }
    }

    /// The acceptor sleeps in `accept`; a connection is what wakes it.
    fn wake_acceptor(&self) {
        let _ = TcpStream::connect(self.address());
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.state().acceptor = Acceptor::Ending;
        self.reset_all();
        self.wake_acceptor();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(shared: &Arc<Shared>, listener: TcpListener, port: u16) {
    let mut listener = Some(listener);
    loop {
        // Waiting is done with the state unlocked, deciding with it locked.
        let accepted = listener.as_ref().map(TcpListener::accept);
        let mut state = shared.state();
        if state.acceptor != Acceptor::Ending && state.fault == Fault::Refuse {
            drop(listener.take());
            state.acceptor = Acceptor::Refusing;
        }
        while state.acceptor == Acceptor::Refusing && state.fault == Fault::Refuse {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match state.acceptor {
            Acceptor::Ending => return,
            Acceptor::Refusing => {
                let Ok(again) = listen(port) else { return };
                listener = Some(again);
                state.acceptor = Acceptor::Listening;
            }
            Acceptor::Listening => {
                drop(state);
                if let Some(Ok((client, _))) = accepted {
                    serve(shared, client);
                }
            }
        }
    }
}

/// Starts the threads of one connection, unless there are too many.
fn serve(shared: &Arc<Shared>, client: TcpStream) {
    shared.connections.fetch_add(1, Ordering::Relaxed);
    if shared.open.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
        return;
    }
    let slot = Slot::take(shared);
    // If there is no thread to be had, the client sees its connection closed.
    let _ =
        thread::Builder::new().name("fault-proxy-relay".to_owned()).spawn(move || relay::run(client, slot));
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

const CONNECTIONS_MAX: usize = 512;
const SWITCH_WITHIN: Duration = Duration::from_secs(10);
