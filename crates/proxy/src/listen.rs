//! Where clients arrive.
//!
//! Invariants: a connection that is not let in within the start-up timeout is closed; what goes wrong with one client is
//! never seen by another.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pgweir_config::ListenSettings;
use pgweir_wire::startup::Replication;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::client::{ClientEntry, NewClient};
use crate::handshake::{Admitted, Arrival, Turned, admit};
use crate::overview::CONSOLES;
use crate::purpose::Purpose;
use crate::report::Report;
use crate::stream::Stream;
use crate::tally::Fault;
use crate::{ConsoleUser, Phase, Proxy, StartError, login, replication};

/// A socket on which clients arrive.
pub(crate) enum Listener {
    Tcp(TcpListener),
    /// With the path to remove at the end.
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "dropped with the listener, which removes the file")] SocketFile,
    ),
}

/// The file of a Unix socket, removed when dropped.
pub(crate) struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Opens every socket that the settings name.
pub(crate) fn bind(settings: &ListenSettings) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for address in &settings.address {
        let wrong = |error| StartError::Listen(address.to_string(), error);
        for resolved in (address.host.as_str(), address.port).to_socket_addrs().map_err(wrong)? {
            let listener = bind_tcp(resolved, settings.backlog.get()).map_err(wrong)?;
            tracing::info!(address = %listener.local_addr().map_err(wrong)?, "listening");
            listeners.push(Listener::Tcp(listener));
        }
    }
    if let Some(dir) = &settings.unix_socket_dir {
        let port = settings.address.first().map_or(6432, |address| address.port);
        let path = dir.join(format!(".s.PGSQL.{port}"));
        let wrong = |error| StartError::Listen(path.display().to_string(), error);
        let listener = bind_unix(&path, settings.unix_socket_mode.bits()).map_err(wrong)?;
        tracing::info!(path = %path.display(), "listening");
        listeners.push(Listener::Unix(listener, SocketFile { path }));
    }
    Ok(listeners)
}

fn bind_tcp(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// A socket file that nobody answers on is left over from a process that was killed.
fn bind_unix(path: &PathBuf, mode: u32) -> io::Result<UnixListener> {
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Takes clients until the process is told to end.
pub(crate) async fn accept(proxy: Arc<Proxy>, listener: Listener) {
    let mut phase = proxy.phase.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = accept_one(&listener) => accepted,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        };
        match accepted {
            Ok(stream) => begin(&proxy, stream),
            Err(error) => {
                // Out of file descriptors, most likely: others must leave first.
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections in the middle of their login for each client that may be connected.
const LOGINS_PER_CLIENT: u64 = 2;

async fn accept_one(listener: &Listener) -> io::Result<Stream> {
    match listener {
        Listener::Tcp(tcp) => loop {
            let (socket, _) = tcp.accept().await?;
            // A peer that is gone already is no trouble of ours.
            if let Ok(stream) = Stream::tcp(socket) {
                return Ok(stream);
            }
        },
        Listener::Unix(unix, _) => unix.accept().await.map(|(socket, _)| Stream::Unix(socket)),
    }
}

/// Gives a connection a task of its own.
fn begin(proxy: &Arc<Proxy>, stream: Stream) {
    let limit = u64::from(proxy.config.load().listen.clients_max.get()) * LOGINS_PER_CLIENT;
    if proxy.logging_in.load(Relaxed) >= limit {
        proxy.metrics.faults.add(Fault::Limit);
        return;
    }
    let guard = LoggingIn::begin(proxy);
    tokio::spawn(arrive(Arc::clone(proxy), stream, guard));
}

/// Counts a connection in the middle of its login.
struct LoggingIn(Arc<Proxy>);

impl LoggingIn {
    fn begin(proxy: &Arc<Proxy>) -> Self {
        proxy.logging_in.fetch_add(1, Relaxed);
        Self(Arc::clone(proxy))
    }
}

impl Drop for LoggingIn {
    fn drop(&mut self) {
        self.0.logging_in.fetch_sub(1, Relaxed);
    }
}

/// From the first byte to a running session, which gets a task of its own so that this one's memory goes.
async fn arrive(proxy: Arc<Proxy>, stream: Stream, guard: LoggingIn) {
    let gate = proxy.gate.load_full();
    match Box::pin(admit(stream, &gate)).await {
        Ok(Arrival::Cancel { key, stream }) => {
            let deadline = proxy.config.load().pool.connect_timeout;
            Box::pin(proxy.clients.cancel(&key, deadline)).await;
            // Clients wait for this close to know that the cancel was dealt with.
            drop(stream);
        }
        Ok(Arrival::Client(admitted)) => {
            drop(gate);
            match console_user(&proxy, &admitted) {
                None => {
                    run(&proxy, admitted).await;
                    drop(guard);
                }
                Some(user) => {
                    drop(guard);
                    console(&proxy, admitted, user).await;
                }
            }
        }
        Err(turned) => turned_away(&proxy, &turned),
    }
}

async fn run(proxy: &Arc<Proxy>, admitted: Box<Admitted>) {
    match admitted.startup.replication {
        Replication::No => {
            let Some(relay) = Box::pin(login::log_in(proxy, *admitted)).await else { return };
            start(proxy, &relay.entry(), relay.run());
        }
        Replication::Logical | Replication::Physical => {
            let Some(stream) = Box::pin(replication::log_in(proxy, *admitted)).await else { return };
            start(proxy, &stream.entry(), stream.run());
        }
    }
}

fn start(proxy: &Proxy, entry: &ClientEntry, session: impl Future<Output = ()> + Send + 'static) {
    let metrics = Arc::clone(&proxy.metrics);
    let session = tokio::spawn(session);
    entry.runs_in(session.abort_handle());
    tokio::spawn(async move {
        if let Err(error) = session.await
            && error.is_panic()
        {
            metrics.faults.add(Fault::Panic);
            tracing::error!("a session ended by a bug in pgweir");
        }
    });
}

/// Whether the client wants the console, and as whom. `Some(None)`: it may not.
fn console_user(proxy: &Proxy, admitted: &Admitted) -> Option<Option<ConsoleUser>> {
    if !CONSOLES.contains(&admitted.startup.database.as_str()) {
        return None;
    }
    let config = proxy.config.load();
    let listed = |users: &[String]| users.contains(&admitted.startup.user);
    Some(if listed(&config.admin.users) {
        Some(ConsoleUser::Admin)
    } else if listed(&config.admin.stats_users) {
        Some(ConsoleUser::Stats)
    } else {
        None
    })
}

async fn console(proxy: &Arc<Proxy>, mut admitted: Box<Admitted>, user: Option<ConsoleUser>) {
    if let Some(user) = user {
        let report: Arc<dyn Report> = Arc::clone(proxy) as Arc<dyn Report>;
        let startup = &admitted.startup;
        let purpose = Purpose::Console { database: startup.database.clone(), user: startup.user.clone() };
        let new = NewClient::new(&admitted.stream, startup, purpose);
        let _entered = proxy.clients.enter(new, usize::MAX);
        return (proxy.console)(admitted, user, report).await;
    }
    proxy.metrics.faults.add(Fault::Authentication);
    let mut words = std::mem::take(&mut admitted.unsent);
    let complaint = pgweir_wire::say::Complaint {
        severity: pgweir_wire::say::Severity::Fatal,
        sqlstate: "42501",
        message: "not allowed: the console is for admin.users and admin.stats_users",
        hint: None,
    };
    pgweir_wire::say::error(&mut words, &complaint);
    use tokio::io::AsyncWriteExt;
    let last = async {
        admitted.stream.write_all(&words).await?;
        admitted.stream.shutdown().await
    };
    let _told = tokio::time::timeout(Duration::from_secs(5), last).await;
}

fn turned_away(proxy: &Proxy, turned: &Turned) {
    let fault = match turned.sqlstate() {
        "28P01" | "28000" => Fault::Authentication,
        _ => Fault::Handshake,
    };
    proxy.metrics.faults.add(fault);
    tracing::debug!(%turned, "a client was turned away");
}
