//! One PostgreSQL server of a cluster: its files, its process, its life.
//!
//! Invariant: the server's settings lie outside its data directory, since pg_rewind and
//! pg_basebackup replace whatever is inside with another server's.

mod config;
mod processes;
mod replication;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

pub(crate) use processes::{signal, signal_group};

use crate::account::Account;
use crate::client::{Address, Client, Reply};
use crate::settings::ClusterSettings;
use crate::{Binaries, PortLease, SandboxError, template, tool, wait_until};

/// One server. All methods may be called from any thread.
#[derive(Debug)]
pub struct Node {
    name: String,
    index: usize,
    port: PortLease,
    /// The cluster's directory, where the sockets of all nodes lie.
    cluster: PathBuf,
    binaries: Binaries,
    account: Account,
    password: Option<String>,
    config: Mutex<BTreeMap<String, String>>,
    server: Mutex<Option<Child>>,
    /// Which node of the cluster was promoted last.
    primary: Arc<AtomicUsize>,
}

/// How to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for the clients to leave.
    Smart,
    /// Disconnects the clients and shuts down cleanly.
    Fast,
    /// Ends at once, to recover at the next start.
    Immediate,
}

/// What all nodes of a cluster have in common.
pub(crate) struct Shared<'a> {
    pub(crate) cluster: &'a Path,
    pub(crate) binaries: &'a Binaries,
    pub(crate) account: Account,
    pub(crate) settings: &'a ClusterSettings,
    pub(crate) primary: &'a Arc<AtomicUsize>,
}

impl Node {
    /// Takes a port and writes nothing yet.
    pub(crate) fn new(shared: &Shared<'_>, index: usize) -> Result<Self, SandboxError> {
        let name = format!("node{}", index + 1);
        let port = PortLease::take()?;
        let home = shared.cluster.join(&name);
        let config = config::initial(shared, &home, port.number());
        Ok(Self {
            name,
            index,
            port,
            cluster: shared.cluster.to_owned(),
            binaries: shared.binaries.clone(),
            account: shared.account,
            password: (shared.settings.hba != crate::Hba::Trust)
                .then(|| shared.settings.superuser_password.clone()),
            config: Mutex::new(config),
            server: Mutex::new(None),
            primary: Arc::clone(shared.primary),
        })
    }

    /// Makes the node's files: a data directory, as the primary's or as a standby's of `upstream`.
    pub(crate) fn create(
        &self,
        settings: &ClusterSettings,
        data: &Path,
        upstream: Option<u16>,
    ) -> Result<(), SandboxError> {
        let home = self.home();
        fs::create_dir(&home).map_err(SandboxError::io(format!("making {}", home.display())))?;
        self.account.own(&home)?;
        crate::directory::copy_tree(data, &self.data_dir())?;
        self.account.write(&home.join(HBA_FILE), &settings.hba_file())?;
        if let Some(certificate) = &settings.tls {
            self.account.write(&home.join("server.crt"), &certificate.certificate_pem)?;
            self.account.write(&home.join("server.key"), &certificate.key_pem)?;
            self.account.write(&home.join("ca.crt"), &certificate.authority_pem)?;
        }
        match upstream {
            Some(port) => self.become_standby_of(port),
            None => Ok(()),
        }
    }

    /// `node1`, `node2`, and so on; also its `application_name` and `cluster_name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The TCP address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// The directory of its Unix socket, as `host=` for libpq.
    pub fn socket_dir(&self) -> &Path {
        &self.cluster
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home().join("data")
    }

    /// The binaries that it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// A connection string for the superuser over TCP, for libpq and most drivers.
    pub fn connection_string(&self, database: &str) -> String {
        let mut text = format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port());
        if let Some(password) = &self.password {
            write!(text, " password={password}").expect("a String takes everything");
        }
        text
    }

    /// Starts the server, if it does not run, and waits until it answers.
    pub fn start(&self) -> Result<(), SandboxError> {
        if !self.is_running() {
            self.spawn()?;
        }
        self.wait_ready(START_WITHIN)
    }

    /// Ends the server and waits until it is gone.
    pub fn stop(&self, mode: StopMode) -> Result<(), SandboxError> {
        self.begin_stop(mode);
        self.wait_ended(STOP_WITHIN)
    }

    /// Ends the server cleanly and starts it again.
    pub fn restart(&self) -> Result<(), SandboxError> {
        self.stop(StopMode::Fast)?;
        self.start()
    }

    /// Whether the server's process lives.
    pub fn is_running(&self) -> bool {
        self.postmaster().is_some()
    }

    /// Whether the server accepts a connection and answers a query.
    pub fn is_ready(&self) -> bool {
        self.query("postgres", "SELECT 1").is_ok()
    }

    /// Waits until [`Self::is_ready`]; fails at once, with the end of the log, if the server ends.
    pub fn wait_ready(&self, within: Duration) -> Result<(), SandboxError> {
        let what = format!("{} is ready", self.name);
        let waited = wait_until(within, &what, || self.is_ready() || !self.is_running());
        match waited {
            Ok(()) if self.is_running() => Ok(()),
            Ok(()) => Err(SandboxError::Exited { node: self.name.clone(), log: self.log_tail() }),
            Err(_) => {
                let what = format!("{what}. Its log ends with:\n{}", self.log_tail());
                Err(SandboxError::TimedOut { what, within })
            }
        }
    }

    /// A connection as superuser over the Unix socket, which needs no password.
    pub fn connect(&self, database: &str) -> Result<Client, SandboxError> {
        let socket = self.cluster.join(format!(".s.PGSQL.{}", self.port()));
        Client::connect(&Address::Unix(socket), "postgres", database)
    }

    /// Runs a query on a connection of its own.
    pub fn query(&self, database: &str, sql: &str) -> Result<Reply, SandboxError> {
        let mut client = self.connect(database)?;
        client.set_timeout(QUERY_WITHIN)?;
        client.query(sql)
    }

    /// Runs a script with the installation's psql: rows as lines, columns divided by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, SandboxError> {
        let mut command = self.account.command(&self.binaries.tool("psql"), &self.cluster);
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                database,
                "-c",
                sql,
            ])
            .arg("-h")
            .arg(&self.cluster)
            .args(["-p", &self.port().to_string()]);
        tool::run("psql", command).map(|printed| printed.trim_end().to_owned())
    }

    /// The last lines that the server logged.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.home().join(LOG_FILE)).unwrap_or_default();
        let end = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        String::from_utf8_lossy(end).into_owned()
    }

    /// Runs initdb for a cluster that wants its own system identifier.
    pub(crate) fn initialise(shared: &Shared<'_>) -> Result<PathBuf, SandboxError> {
        let place = shared.cluster.join("template");
        template::initialise(shared.binaries, shared.account, &place)?;
        Ok(place)
    }

    /// Starts the server's process in a process group of its own, out of reach of Ctrl-C.
    pub(crate) fn spawn(&self) -> Result<(), SandboxError> {
        self.write_config()?;
        let doing = || format!("starting {}", self.name);
        let log = File::options().create(true).append(true).open(self.home().join(LOG_FILE));
        let log = log.map_err(SandboxError::io(doing()))?;
        let mut command = self.account.command(&self.binaries.tool("postgres"), &self.home());
        command
            .arg("-D")
            .arg(self.data_dir())
            .arg(format!("--config-file={}", self.home().join(CONFIG_FILE).display()))
            .stdout(log.try_clone().map_err(SandboxError::io(doing()))?)
            .stderr(log)
            .process_group(0);
        let child = command.spawn().map_err(SandboxError::io(doing()))?;
        *self.server() = Some(child);
        Ok(())
    }

    /// Asks the server to end, and waits for nothing.
    pub(crate) fn begin_stop(&self, mode: StopMode) {
        if let Some(postmaster) = self.postmaster() {
            signal(&[postmaster], mode.signal());
            self.sigcont();
        }
    }

    pub(crate) fn wait_ended(&self, within: Duration) -> Result<(), SandboxError> {
        wait_until(within, &format!("{} ends", self.name), || !self.is_running())
    }

    fn home(&self) -> PathBuf {
        self.cluster.join(&self.name)
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::Term,
            Self::Fast => Signal::Int,
            Self::Immediate => Signal::Quit,
        }
    }
}

const CONFIG_FILE: &str = "postgresql.conf";
const HBA_FILE: &str = "pg_hba.conf";
const LOG_FILE: &str = "log";
const LOG_TAIL_BYTES: usize = 2000;
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);
const QUERY_WITHIN: Duration = Duration::from_secs(60);
