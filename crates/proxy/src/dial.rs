//! Makes a connection to a server: socket, TLS, login, and everything up to the first ReadyForQuery.
//!
//! Why here: whoever gets a [`Dialed`] can send a query at once; no half-made connection leaves this module.
//! Invariants: every message of the server is bounded in size, all of them together too, and the whole by one
//! deadline; nothing that came before a TLS handshake is believed after it; the server is not believed to have let
//! us in before `pgweir_auth` agrees.
//! Absent: protocol 3.2. Its longer cancel keys protect a key on the way to a client, and ours stays here.

use std::io;
use std::time::Duration;

use pgweir_auth::ServerCredentials;
use pgweir_config::NodeAddress;
use pgweir_wire::{BackendKey, CancelKey, say};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::hashing::Hashing;
use crate::stream::Stream;
use crate::tls::{Attempt, TlsClient};

mod error;
mod login;
#[cfg(test)]
mod tests;

pub(crate) use error::refusal_body;
pub use error::{Breach, DialBlame, DialError};

/// Where to connect, and as whom.
#[derive(Clone, Copy)]
pub struct DialTarget<'a> {
    /// The server.
    pub address: &'a NodeAddress,
    /// How to encrypt.
    pub tls: &'a TlsClient,
    /// The role to log in as.
    pub user: &'a str,
    /// The database.
    pub database: &'a str,
    /// What we know to prove that we are `user`.
    pub credentials: &'a ServerCredentials,
    /// Further start-up parameters.
    pub parameters: &'a [(&'a str, &'a str)],
    /// Time for everything together.
    pub timeout: Duration,
    /// Where passwords become keys.
    pub hashing: &'a Hashing,
}

/// A server that waits for its first query. Its transaction status is idle.
#[derive(Debug)]
pub struct Dialed {
    /// The connection, with nothing left to read.
    pub stream: Stream,
    /// What the server reported of its settings, in order; the last mention of a name counts.
    pub parameters: Vec<(String, String)>,
    /// The key to cancel statements with, if the server gave one.
    pub key: Option<BackendKey>,
}

/// Connects and logs in.
///
/// # Errors
/// What kept us out. Cancel safe: dropping the future closes the connection.
pub async fn dial(target: DialTarget<'_>) -> Result<Dialed, DialError> {
    match timeout(target.timeout, Box::pin(dial_in_turn(target))).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(DialError::TimedOut),
    }
}

async fn dial_in_turn(target: DialTarget<'_>) -> Result<Dialed, DialError> {
    let (last, earlier) = attempts(target.address, target.tls);
    for attempt in earlier {
        match dial_once(&target, *attempt).await {
            Err(error) if error.depends_on_tls() => {}
            outcome => return outcome,
        }
    }
    dial_once(&target, last).await
}

async fn dial_once(target: &DialTarget<'_>, attempt: Attempt) -> Result<Dialed, DialError> {
    let stream = open(target.address, target.tls, attempt).await?;
    login::log_in(stream, target).await
}

/// Asks a server to cancel what the session of `key` runs, and waits until the server has done so, which it shows
/// by closing. Encrypted as far as `tls` demands.
///
/// # Errors
/// The request could not be sent, or the server did not close in time.
pub async fn send_cancel(
    address: &NodeAddress,
    tls: &TlsClient,
    key: &BackendKey,
    deadline: Duration,
) -> io::Result<()> {
    let sent = timeout(deadline, async {
        let mut stream = open_any(address, tls).await.map_err(io_error)?;
        let mut request = Vec::with_capacity(32);
        let key = CancelKey { process_id: key.process_id, secret: key.secret.clone() };
        say::cancel_request(&mut request, &key);
        stream.write_all(&request).await?;
        stream.flush().await?;
        // Nothing is ever said here: the first thing to come is the end, or a reset.
        let _closed = stream.read_u8().await;
        Ok(())
    });
    sent.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// Opens a connection on which nothing was said yet but the wish for TLS.
async fn open_any(address: &NodeAddress, tls: &TlsClient) -> Result<Stream, DialError> {
    let (last, earlier) = attempts(address, tls);
    for attempt in earlier {
        match open(address, tls, *attempt).await {
            Err(error) if error.depends_on_tls() => {}
            outcome => return outcome,
        }
    }
    open(address, tls, last).await
}

/// The last attempt to connect, and those before it.
pub(crate) fn attempts(address: &NodeAddress, tls: &TlsClient) -> (Attempt, &'static [Attempt]) {
    let attempts = tls.attempts(matches!(address, NodeAddress::Unix { .. }));
    let (last, earlier) = attempts.split_last().expect("every mode has an attempt");
    (*last, earlier)
}

/// Opens a connection in one way, on which nothing was said yet but the wish for TLS.
pub(crate) async fn open(
    address: &NodeAddress,
    tls: &TlsClient,
    attempt: Attempt,
) -> Result<Stream, DialError> {
    let (host, port) = match address {
        NodeAddress::Tcp { host, port } => (host.as_str(), *port),
        NodeAddress::Unix { dir, port } => {
            let path = dir.join(format!(".s.PGSQL.{port}"));
            return UnixStream::connect(path).await.map(Stream::Unix).map_err(DialError::Unreachable);
        }
    };
    let socket = TcpStream::connect((host, port)).await.map_err(DialError::Unreachable)?;
    let stream = Stream::tcp(socket).map_err(DialError::Unreachable)?;
    match (attempt, stream) {
        (Attempt::Preferred | Attempt::Required, Stream::Tcp(socket)) => {
            encrypt(socket, host, tls, attempt).await
        }
        (_, stream) => Ok(stream),
    }
}

async fn encrypt(
    mut socket: TcpStream,
    host: &str,
    tls: &TlsClient,
    attempt: Attempt,
) -> Result<Stream, DialError> {
    let mut request = Vec::with_capacity(8);
    say::ssl_request(&mut request);
    socket.write_all(&request).await.map_err(DialError::Unreachable)?;
    // One byte and no more: what was said in plain text must not be taken for something said under TLS.
    match socket.read_u8().await.map_err(DialError::Unreachable)? {
        b'S' => tls.connect(socket, host).await.map_err(DialError::Tls),
        b'N' if attempt == Attempt::Preferred => Ok(Stream::Tcp(socket)),
        b'N' => Err(DialError::Tls(io::Error::other("the server does not offer TLS"))),
        // An error said in plain text can come from anyone; it is not passed on.
        b'E' => {
            Err(DialError::Tls(io::Error::other("the server answered the request for TLS with an error")))
        }
        other => Err(DialError::Protocol(Breach::Unexpected(other))),
    }
}

fn io_error(error: DialError) -> io::Error {
    match error {
        DialError::Tls(error) | DialError::Unreachable(error) => error,
        other => io::Error::other(other),
    }
}
