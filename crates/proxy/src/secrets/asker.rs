//! The few connections over which one cluster is asked for secrets.
//!
//! Why its own: a login must not wait for a slot of a pool that is full of clients, and what a client sets at
//! start-up must never reach the session in which the query runs.
//! Invariant: as many questions at a time as there are permits; the search path is `pg_catalog` and nothing else.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use pgweir_auth::StoredSecret;
use pgweir_config::{Config, NodeAddress};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};

use super::Primary;
use crate::control::{self, ControlError};
use crate::dial::DialError;

pub(super) struct Asker {
    query: String,
    login: tokio_postgres::Config,
    deadline: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<Line>>,
}

/// What is to be found out, and where.
pub(super) struct Question<'a> {
    pub(super) primary: &'a Primary,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// A connection that is ready to ask.
struct Line {
    address: NodeAddress,
    database: String,
    client: Client,
    query: Statement,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// The answer has more than one row.
    Ambiguous,
    /// The server cannot be reached.
    Dial(DialError),
    /// The cluster has no primary now.
    NoPrimary,
    /// The database in which to ask does not exist.
    NoSuchDatabase,
    /// The answer is about another role.
    OtherRole,
    /// The server refuses, or went away.
    Postgres(tokio_postgres::Error),
    /// The answer is late.
    TimedOut,
}

impl Asker {
    pub(super) fn new(config: &Config, query_user: &str) -> Self {
        let mut login = tokio_postgres::Config::new();
        login.user(query_user).application_name("pgweir auth_query").options("-c search_path=pg_catalog");
        if let Some(password) = &config.auth.query_password {
            login.password(password.reveal());
        }
        let permits = usize::try_from(config.auth.query_pool_size.get()).unwrap_or(usize::MAX);
        Self {
            query: config.auth.query.clone(),
            login,
            deadline: config.pool.connect_timeout,
            permits: Semaphore::new(permits.min(Semaphore::MAX_PERMITS)),
            idle: Mutex::default(),
        }
    }

    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Option<StoredSecret>, AskError> {
        let asked = timeout(self.deadline, Box::pin(self.ask_when_permitted(question)));
        asked.await.unwrap_or(Err(AskError::TimedOut))
    }

    async fn ask_when_permitted(&self, question: &Question<'_>) -> Result<Option<StoredSecret>, AskError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        if let Some(line) = self.take_idle(question) {
            match line.ask(question.user).await {
                // It had died while it lay idle.
                Err(AskError::Postgres(_)) if line.client.is_closed() => {}
                answer => return self.keep(line, answer),
            }
        }
        let line = self.connect(question).await?;
        let answer = line.ask(question.user).await;
        self.keep(line, answer)
    }

    /// A connection that fits. Those to a former primary go.
    fn take_idle(&self, question: &Question<'_>) -> Option<Line> {
        let mut idle = self.idle.lock();
        idle.retain(|line| line.address == question.primary.address && !line.client.is_closed());
        let fits = idle.iter().position(|line| line.database == question.database)?;
        Some(idle.swap_remove(fits))
    }

    fn keep<T>(&self, line: Line, answer: Result<T, AskError>) -> Result<T, AskError> {
        let mut idle = self.idle.lock();
        if !line.client.is_closed() {
            if idle.len() >= IDLE_MAX {
                idle.remove(0);
            }
            idle.push(line);
        }
        answer
    }

    async fn connect(&self, question: &Question<'_>) -> Result<Line, AskError> {
        let Primary { address, tls } = question.primary;
        let mut login = self.login.clone();
        login.dbname(question.database);
        let (client, connection) = match control::connect(address, tls, &login).await {
            Ok(opened) => opened,
            Err(ControlError::Dial(error)) => return Err(AskError::Dial(error)),
            Err(ControlError::Postgres(error)) => return Err(ask_error(error)),
        };
        // Ends when the client is dropped; what goes wrong there, the client's requests tell.
        tokio::spawn(async move {
            let _outcome = connection.await;
        });
        let query = client.prepare(&self.query).await.map_err(ask_error)?;
        Ok(Line { address: address.clone(), database: question.database.to_owned(), client, query })
    }
}

impl Line {
    async fn ask(&self, user: &str) -> Result<Option<StoredSecret>, AskError> {
        let rows = self.client.query(&self.query, &[&user]).await.map_err(ask_error)?;
        let row = match &rows[..] {
            [] => return Ok(None),
            [row] => row,
            [_, _, ..] => return Err(AskError::Ambiguous),
        };
        if row.try_get::<_, Option<&str>>(0).map_err(ask_error)? != Some(user) {
            return Err(AskError::OtherRole);
        }
        Ok(row.try_get::<_, Option<&str>>(1).map_err(ask_error)?.map(StoredSecret::parse))
    }
}

fn ask_error(error: tokio_postgres::Error) -> AskError {
    match error.code() {
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => AskError::NoSuchDatabase,
        Some(_) | None => AskError::Postgres(error),
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous => f.write_str("the query returns more than one row"),
            Self::Dial(error) => write!(f, "{error}"),
            Self::NoPrimary => f.write_str("the cluster has no primary now"),
            Self::NoSuchDatabase => f.write_str("the database to ask in does not exist"),
            Self::OtherRole => f.write_str("the query returns another role than the one asked for"),
            Self::Postgres(error) => f.write_str(&control::said(error)),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

/// Connections kept open for the next question, over all databases of a cluster.
const IDLE_MAX: usize = 16;
