//! Lets a client in: from the first byte of a connection to the proof of who it is.
//!
//! Why here: everything a stranger can say to us is said in this module.
//! Invariants: phases consume themselves (`Negotiating`, then `Authenticating`, then [`Admitted`]), so a second
//! start-up message or password cannot be expressed; a stranger has 10,000 bytes a message, one deadline for
//! everything, and no buffer that is larger; what came before a TLS handshake is never taken for what came under it.
//! Absent: which databases exist, limits on clients, and the welcome that follows AuthenticationOk.

use std::sync::Arc;
use std::time::Duration;

use pgweir_auth::{Method, MockKey, Proved};
use pgweir_config::{AuthMethod, Config, TlsMode};
use pgweir_wire::{CancelKey, Startup};
use tokio::time::timeout;

use crate::hashing::{Hashing, fill_random};
use crate::secrets::Secrets;
use crate::stream::Stream;
use crate::tls::{TlsError, TlsFiles, TlsServer};

mod authenticate;
mod negotiate;
#[cfg(test)]
mod tests;
mod turned;

pub use turned::{Request, Turned};

/// What every arriving client is measured by. A reload makes another one.
pub struct Gate {
    method: Method,
    tls: Option<TlsServer>,
    tls_demanded: bool,
    secrets: Arc<Secrets>,
    startup_timeout: Duration,
    mock: Arc<MockKey>,
    hashing: Hashing,
}

/// What a connection turned out to be.
pub enum Arrival {
    /// A client with proof of who it is.
    Client(Box<Admitted>),
    /// A request to cancel what another connection runs. The connection that brought it is closed when
    /// `stream` is dropped, which is the only answer there is.
    Cancel {
        /// The key that the other connection was given.
        key: CancelKey,
        /// The connection of the request: keep it until the statement is dealt with, since clients wait for that.
        stream: Stream,
    },
}

/// A client that has proved who it is and was not told so yet.
pub struct Admitted {
    /// The connection.
    pub stream: Stream,
    /// What the client asked for.
    pub startup: Startup,
    /// Who it is, and what that lets us prove to servers.
    pub proved: Proved,
    /// Messages up to AuthenticationOk that are still to be written, so that they share a write with the welcome.
    pub unsent: Vec<u8>,
    /// What the client sent behind its last message of the login, to be read before the socket is.
    pub early: Vec<u8>,
}

impl Gate {
    /// Reads the certificates that `config` names.
    ///
    /// # Errors
    /// A file that is named and cannot be used.
    pub fn new(config: &Config, secrets: Arc<Secrets>, hashing: Hashing) -> Result<Self, TlsError> {
        let mut key = [0; 32];
        fill_random(&mut key);
        Self::with_mock(config, secrets, hashing, Arc::new(MockKey::new(key)))
    }

    /// A gate by a changed configuration. What an unknown user is asked stays the same, so that a reload does not
    /// tell who is unknown.
    ///
    /// # Errors
    /// A file that is named and cannot be used.
    pub fn reloaded(&self, config: &Config, secrets: Arc<Secrets>) -> Result<Self, TlsError> {
        Self::with_mock(config, secrets, self.hashing.clone(), Arc::clone(&self.mock))
    }

    fn with_mock(
        config: &Config,
        secrets: Arc<Secrets>,
        hashing: Hashing,
        mock: Arc<MockKey>,
    ) -> Result<Self, TlsError> {
        let listen = &config.listen;
        let files = TlsFiles {
            authority: listen.tls_ca.clone(),
            certificate: listen.tls_cert.clone(),
            key: listen.tls_key.clone(),
        };
        let demanded = matches!(listen.tls_mode, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull);
        Ok(Self {
            method: method(config.auth.method),
            tls: TlsServer::load(listen.tls_mode, &files)?,
            tls_demanded: demanded,
            secrets,
            startup_timeout: listen.startup_timeout,
            mock,
            hashing,
        })
    }
}

fn method(configured: AuthMethod) -> Method {
    match configured {
        AuthMethod::Trust => Method::Trust,
        AuthMethod::Password => Method::Password,
        AuthMethod::Md5 => Method::Md5,
        AuthMethod::ScramSha256 => Method::ScramSha256,
    }
}

/// Finds out who is at the other end of `stream`. Cancel safe: dropping the future closes the connection.
///
/// # Errors
/// Why the client was turned away. It was told what PostgreSQL would have told it.
pub async fn admit(stream: Stream, gate: &Gate) -> Result<Arrival, Turned> {
    match timeout(gate.startup_timeout, Box::pin(arrive(stream, gate))).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Turned::TimedOut),
    }
}

async fn arrive(stream: Stream, gate: &Gate) -> Result<Arrival, Turned> {
    match negotiate::negotiate(stream, gate).await? {
        negotiate::Outcome::Cancel { key, stream } => Ok(Arrival::Cancel { key, stream }),
        negotiate::Outcome::Login(login) => login.prove(gate).await.map(Box::new).map(Arrival::Client),
    }
}
