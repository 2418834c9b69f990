//! One PostgreSQL server of a cluster: its files, its process, its life.
//!
//! Invariant: the server's settings lie outside its data directory, since pg_rewind and
//! pg_basebackup replace whatever is inside with another server's.

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
        let config = initial_config(shared, &home, port.number());
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

    /// Changes one setting; a running server reloads it before this returns. It stays in force
    /// through restarts and rejoins. Settings that need a restart take effect with the next one.
    pub fn set(&self, name: &str, value: &str) -> Result<(), SandboxError> {
        self.config().insert(name.to_owned(), value.to_owned());
        self.write_config()?;
        let Some(postmaster) = self.postmaster() else { return Ok(()) };
        let loaded = self.query("postgres", CONFIG_LOADED)?;
        signal(&[postmaster], Signal::Hup);
        wait_until(START_WITHIN, &format!("{} reloads its settings", self.name), || {
            self.query("postgres", CONFIG_LOADED).is_ok_and(|now| now != loaded)
        })
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

    fn config(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_config(&self) -> Result<(), SandboxError> {
        let mut text = String::new();
        for (name, value) in self.config().iter() {
            let value = value.replace('\'', "''");
            writeln!(text, "{name} = '{value}'").expect("a String takes everything");
        }
        self.account.write(&self.home().join(CONFIG_FILE), &text)
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

/// Settings for speed, for quick reactions of replication, and for pg_rewind.
fn initial_config(shared: &Shared<'_>, home: &Path, port: u16) -> BTreeMap<String, String> {
    let mut config: BTreeMap<String, String> =
        FIXED_CONFIG.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut set = |name: &str, value: String| config.insert(name.to_owned(), value);
    set("port", port.to_string());
    set("unix_socket_directories", shared.cluster.display().to_string());
    set("hba_file", home.join(HBA_FILE).display().to_string());
    set("cluster_name", home.file_name().map(|name| name.display().to_string()).unwrap_or_default());
    set("password_encryption", shared.settings.hba.password_encryption().to_owned());
    if shared.settings.synchronous {
        set("synchronous_standby_names", "ANY 1 (*)".to_owned());
    }
    if shared.settings.tls.is_some() {
        set("ssl", "on".to_owned());
        set("ssl_cert_file", home.join("server.crt").display().to_string());
        set("ssl_key_file", home.join("server.key").display().to_string());
        set("ssl_ca_file", home.join("ca.crt").display().to_string());
    }
    for (name, value) in &shared.settings.extra_config {
        set(name, value.clone());
    }
    config
}

const FIXED_CONFIG: [(&str, &str); 19] = [
    // Shared memory in files of the data directory goes with the directory, also after kill -9.
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("hot_standby", "on"),
    ("hot_standby_feedback", "on"),
    ("listen_addresses", "127.0.0.1"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("max_connections", "200"),
    ("max_prepared_transactions", "10"),
    ("max_replication_slots", "10"),
    ("max_wal_senders", "10"),
    ("shared_buffers", "64MB"),
    ("synchronous_commit", "on"),
    ("timezone", "UTC"),
    ("wal_keep_size", "256MB"),
    ("wal_level", "replica"),
    ("wal_log_hints", "on"),
    ("wal_receiver_status_interval", "1s"),
    ("wal_receiver_timeout", "10s"),
    ("wal_retrieve_retry_interval", "100ms"),
];
const CONFIG_FILE: &str = "postgresql.conf";
const HBA_FILE: &str = "pg_hba.conf";
const LOG_FILE: &str = "log";
const LOG_TAIL_BYTES: usize = 2000;
const CONFIG_LOADED: &str = "SELECT pg_conf_load_time()";
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);
const QUERY_WITHIN: Duration = Duration::from_secs(60);
