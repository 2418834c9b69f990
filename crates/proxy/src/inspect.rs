//! Questions to the primary of a configured cluster, without a running proxy: for `pgweir explain` and `pgweir audit`.
//!
//! Why here: nodes are reached as the monitor reaches them, by its role and with its TLS.
//! Invariant: nothing is written; every answer has a deadline.
//! Absent: what the answers mean.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgweir_config::{CatalogUse, ClusterSettings, Config, NodeAddress};
use pgweir_sql::{Catalog, CatalogSlot, Naming, SearchPath};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::catalog;
use crate::cluster::{node_name, tls};
use crate::control::{self, ControlError};
use crate::tls::{TlsClient, TlsError};

/// A connection to the primary.
#[derive(Debug)]
pub struct Primary {
    /// The node's name in the configuration.
    pub node: String,
    /// The database on the server.
    pub database: String,
    client: Client,
    catalog: CatalogUse,
}

/// What `pg_stat_statements` knows of one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementUse {
    /// The text, with parameters in place of literals; `None` if the role may not see it.
    pub text: Option<String>,
    /// How often it ran.
    pub calls: u64,
    /// How long it ran, all calls together.
    pub time: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum InspectError {
    /// The primary answered with an error, or went away.
    Asked(tokio_postgres::Error),
    /// The configuration leads nowhere with this database.
    NoDatabase(String),
    /// The database has no such extension.
    NoExtension(String),
    /// No node is a primary: what each of them said.
    NoPrimary(Vec<String>),
    /// Files for TLS cannot be used.
    Tls(TlsError),
    /// The primary took too long.
    TooLate,
}

impl Primary {
    /// Finds the primary of the cluster that has this database of clients.
    ///
    /// # Errors
    /// There is no such database, or no primary that lets the monitor's role in.
    pub async fn find(config: &Config, database: &str) -> Result<Self, InspectError> {
        let nowhere = || InspectError::NoDatabase(database.to_owned());
        let route = config.route(database).ok_or_else(nowhere)?;
        let settings = config.clusters.get(&route.cluster).ok_or_else(nowhere)?;
        let tls = tls(settings).map_err(InspectError::Tls)?;
        let mut complaints = Vec::new();
        for node in &settings.nodes {
            let name = node_name(node);
            let found = timeout(PATIENCE, ask_role(&node.address, &tls, settings, &route.server_database));
            match found.await {
                Ok(Ok((client, false))) => {
                    let (database, catalog) = (route.server_database, settings.catalog);
                    return Ok(Self { node: name, database, client, catalog });
                }
                Ok(Ok((_, true))) => complaints.push(format!("{name}: is a standby")),
                Ok(Err(error)) => complaints.push(format!("{name}: {error}")),
                Err(_) => complaints.push(format!("{name}: no answer within {PATIENCE:?}")),
            }
        }
        Err(InspectError::NoPrimary(complaints))
    }

    /// What ran in the database, as `pg_stat_statements` counted it; what functions ran themselves is left out.
    ///
    /// # Errors
    /// The extension is missing, not loaded, or too old.
    pub async fn statements(&self) -> Result<Vec<StatementUse>, InspectError> {
        timeout(PATIENCE, self.ask_statements()).await.unwrap_or(Err(InspectError::TooLate))
    }

    /// What names mean in the database to a session with the default search path, logged in to servers by this role;
    /// `None` if the configuration says that nobody looks.
    ///
    /// # Errors
    /// The monitor's role may not read the catalog, or it takes too long.
    pub async fn naming(&mut self, role: &str) -> Result<Option<Arc<Naming>>, InspectError> {
        if self.catalog == CatalogUse::Off {
            return Ok(None);
        }
        let slot = CatalogSlot::new(0);
        slot.set(Some(Arc::new(self.catalog().await?)));
        Ok(Some(slot.naming(SearchPath::Default, role)))
    }

    /// What the database's own objects do.
    ///
    /// # Errors
    /// The monitor's role may not read the catalog, or it takes too long.
    pub async fn catalog(&mut self) -> Result<Catalog, InspectError> {
        let read = async {
            let fingerprint = catalog::read::prepare(&self.client).await?;
            catalog::read::rows(&mut self.client, &fingerprint).await
        };
        let read = timeout(PATIENCE, read).await;
        let (_, rows) = read.map_err(|_| InspectError::TooLate)?.map_err(InspectError::Asked)?;
        Ok(Catalog::new(&rows))
    }

    async fn ask_statements(&self) -> Result<Vec<StatementUse>, InspectError> {
        let schema = self.client.query_opt(SCHEMA, &[]).await.map_err(InspectError::Asked)?;
        let missing = || InspectError::NoExtension(self.database.clone());
        let schema: String = schema.ok_or_else(missing)?.get(0);
        let question = STATEMENTS.replace("SCHEMA", &schema);
        let rows = self.client.query(&question, &[]).await.map_err(InspectError::Asked)?;
        let read = |row: &tokio_postgres::Row| StatementUse {
            text: row.get::<_, Option<String>>(0).filter(|text| text != HIDDEN),
            calls: u64::try_from(row.get::<_, i64>(1)).unwrap_or_default(),
            time: Duration::try_from_secs_f64(row.get::<_, f64>(2) / 1000.0).unwrap_or_default(),
        };
        Ok(rows.iter().map(read).collect())
    }
}

/// A connection to a node, and whether it is in recovery.
async fn ask_role(
    address: &NodeAddress,
    tls: &TlsClient,
    settings: &ClusterSettings,
    database: &str,
) -> Result<(Client, bool), ControlError> {
    // A path in the start-up packet would hide the role's own, which decides what names mean.
    let login = control::monitor_login(settings, database, "pgweir", "");
    let (client, connection) = control::connect(address, tls, &login).await?;
    tokio::spawn(connection);
    client.batch_execute("SET search_path TO pg_catalog").await.map_err(ControlError::Postgres)?;
    let asked = client.query_one("SELECT pg_catalog.pg_is_in_recovery()", &[]).await;
    let row = asked.map_err(ControlError::Postgres)?;
    Ok((client, row.get(0)))
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(error) => write!(f, "the primary says: {}", control::said(error)),
            Self::NoDatabase(name) => write!(f, "the configuration has no database \"{name}\""),
            Self::NoExtension(database) => write!(
                f,
                "database \"{database}\" has no extension pg_stat_statements: add it to shared_preload_libraries, \
                 restart, and run CREATE EXTENSION pg_stat_statements there"
            ),
            Self::NoPrimary(complaints) => write!(f, "no node is a primary: {}", complaints.join("; ")),
            Self::Tls(error) => error.fmt(f),
            Self::TooLate => write!(f, "no answer within {PATIENCE:?}"),
        }
    }
}

impl std::error::Error for InspectError {}

/// How long one node may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the extension's view is.
const SCHEMA: &str = "\
SELECT pg_catalog.quote_ident(n.nspname)
  FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
 WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'";

/// `toplevel` is there from version 1.9 (PostgreSQL 14) on.
const STATEMENTS: &str = "\
SELECT s.query, s.calls, s.total_exec_time
  FROM SCHEMA.pg_stat_statements s
 WHERE s.dbid OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
                                       WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
   AND COALESCE(pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'toplevel', 'true')
       OPERATOR(pg_catalog.<>) 'false'
 ORDER BY s.total_exec_time DESC";

/// What stands in place of a text that the role may not see.
const HIDDEN: &str = "<insufficient privilege>";
