//! Connections for questions of our own (the monitor's, the lookup's): the same ways in as for clients' servers, with
//! tokio-postgres speaking on them.
//!
//! Invariant: a server that answers otherwise with or without TLS gets the attempts that libpq would make.

use std::fmt;

use pgweir_config::{ClusterSettings, NodeAddress};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls};

use crate::dial::{DialError, attempts, open};
use crate::stream::Stream;
use crate::tls::{Attempt, TlsClient};

/// A client, and what must be driven for it to get answers.
pub(crate) type Opened = (Client, Connection<Stream, NoTlsStream>);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ControlError {
    /// The server cannot be reached.
    Dial(DialError),
    /// The server refuses the login, or went away.
    Postgres(tokio_postgres::Error),
}

impl ControlError {
    fn depends_on_tls(&self) -> bool {
        match self {
            Self::Dial(error) => error.depends_on_tls(),
            Self::Postgres(error) => error.code().is_some_and(|code| code.code().starts_with("28")),
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Postgres(error) => f.write_str(&said(error)),
        }
    }
}

/// What the server said, or else what happened.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => format!("{} {}", refusal.code().code(), refusal.message()),
        None => error.to_string(),
    }
}

/// A login of the cluster's monitor.
pub(crate) fn monitor_login(
    settings: &ClusterSettings,
    database: &str,
    application_name: &str,
    options: &str,
) -> Config {
    let mut login = Config::new();
    login.user(&settings.monitor_user).dbname(database).application_name(application_name).options(options);
    if let Some(password) = &settings.monitor_password {
        login.password(password.reveal());
    }
    login
}

/// Connects and logs in. Cancel safe: dropping the future closes the connection.
pub(crate) async fn connect(
    address: &NodeAddress,
    tls: &TlsClient,
    login: &Config,
) -> Result<Opened, ControlError> {
    let (last, earlier) = attempts(address, tls);
    for attempt in earlier {
        match connect_once(address, tls, *attempt, login).await {
            Err(error) if error.depends_on_tls() => {}
            outcome => return outcome,
        }
    }
    connect_once(address, tls, last, login).await
}

async fn connect_once(
    address: &NodeAddress,
    tls: &TlsClient,
    attempt: Attempt,
    login: &Config,
) -> Result<Opened, ControlError> {
    let stream = open(address, tls, attempt).await.map_err(ControlError::Dial)?;
    // The stream is encrypted already where that is wanted.
    let mut login = login.clone();
    login.ssl_mode(SslMode::Disable);
    login.connect_raw(stream, NoTls).await.map_err(ControlError::Postgres)
}
