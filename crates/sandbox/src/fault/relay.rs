//! One connection through the fault proxy: two threads, one for each direction.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{Acceptor, Direction, Fault, Shared};

/// Both sockets of a connection. They close when the last of its threads ends.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Nothing is to be forwarded any more.
    over: AtomicBool,
    slot: Slot,
}

/// One of the proxy's connections, counted while it lives.
#[derive(Debug)]
pub(super) struct Slot(Arc<Shared>);

/// How many bytes one direction has forwarded under one fault.
#[derive(Default)]
struct Progress {
    generation: u64,
    bytes: u64,
}

/// Connects to the server and forwards in both directions until one side is done.
pub(super) fn run(client: TcpStream, slot: Slot) {
    let Ok(connection) = Connection::open(client, slot) else { return };
    let other = Arc::clone(&connection);
    let back = thread::Builder::new()
        .name("fault-proxy-relay".to_owned())
        .spawn(move || other.relay(Direction::ToClient));
    if back.is_ok() {
        connection.relay(Direction::ToServer);
    }
}

impl Slot {
    pub(super) fn take(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    fn open(client: TcpStream, slot: Slot) -> io::Result<Arc<Self>> {
        let server = TcpStream::connect_timeout(&slot.0.target, CONNECT_WITHIN)?;
        for socket in [&client, &server] {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(WRITE_SLICE))?;
        }
        let shared = Arc::clone(&slot.0);
        let connection = Arc::new(Self { client, server, over: AtomicBool::new(false), slot });
        let mut state = shared.state();
        if state.acceptor == Acceptor::Ending {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        state.open.retain(|open| open.strong_count() > 0);
        state.open.push(Arc::downgrade(&connection));
        Ok(connection)
    }

    /// Ends the connection so that both sides see a reset. Closing with linger 0 sends RST, and
    /// shutting down the reading half wakes our threads without sending anything before.
    pub(super) fn reset(&self) {
        self.over.store(true, Ordering::SeqCst);
        for socket in [&self.client, &self.server] {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Read);
        }
    }

    fn relay(&self, direction: Direction) {
        let (mut from, to) = match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        };
        let mut progress = Progress::default();
        let mut buffer = [0; BUFFER_BYTES];
        let end = loop {
            match from.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(length) => match self.forward(&buffer[..length], to, direction, &mut progress) {
                    Ok(()) => {}
                    Err(error) => break Err(error),
                },
                Err(error) => break Err(error),
            }
        };
        // An end is news too: a black hole keeps it to itself.
        let end = end.and_then(|()| self.permission().map(drop));
        match end {
            Ok(()) => drop(to.shutdown(Shutdown::Write)),
            Err(_) if !self.is_over() => self.shut_down(),
            Err(_) => {}
        }
    }

    fn forward(
        &self,
        bytes: &[u8],
        to: &TcpStream,
        direction: Direction,
        progress: &mut Progress,
    ) -> io::Result<()> {
        let (fault, generation) = self.permission()?;
        if progress.generation != generation {
            *progress = Progress { generation, bytes: 0 };
        }
        let left = match fault {
            Fault::CutAfter { direction: counted, bytes } if counted == direction => {
                bytes.saturating_sub(progress.bytes)
            }
            _ => u64::MAX,
        };
        let passing = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let piece = if fault == Fault::OneByte { 1 } else { passing.max(1) };
        for piece in bytes[..passing].chunks(piece) {
            // Before they are written: who has received them finds them counted.
            let counter = match direction {
                Direction::ToServer => &self.slot.0.bytes_to_server,
                Direction::ToClient => &self.slot.0.bytes_to_client,
            };
            counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
            self.write(piece, to)?;
            progress.bytes += piece.len() as u64;
        }
        if left <= bytes.len() as u64 { Err(ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Waits until the present fault lets bytes pass, and says which fault and which count of it.
    fn permission(&self) -> io::Result<(Fault, u64)> {
        let shared = &self.slot.0;
        let arrived = Instant::now();
        let mut state = shared.state();
        loop {
            if self.is_over() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            state = match state.fault {
                Fault::BlackHole => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Fault::Delay(delay) if arrived.elapsed() < delay => {
                    let rest = delay.saturating_sub(arrived.elapsed());
                    let waited = shared.changed.wait_timeout(state, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                fault => return Ok((fault, state.generation)),
            };
        }
    }

    /// Writes all bytes, looking up now and then whether the connection is over.
    fn write(&self, mut bytes: &[u8], mut to: &TcpStream) -> io::Result<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_timeout(&error) && !self.is_over() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends the connection in order, on both sides.
    fn shut_down(&self) {
        // Under the lock, or the other thread could miss the news between looking and waiting.
        let _state = self.slot.0.state();
        self.over.store(true, Ordering::SeqCst);
        for socket in [&self.client, &self.server] {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.slot.0.changed.notify_all();
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

const BUFFER_BYTES: usize = 16 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a write may block before it looks whether its connection is over.
const WRITE_SLICE: Duration = Duration::from_millis(100);
