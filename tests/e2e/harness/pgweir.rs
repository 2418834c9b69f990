//! A running pgweir: its addresses, its settings file, its pages, its log, its memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use pgweir_sandbox::client::Address;
use pgweir_sandbox::{Cluster, Companion, PortLease};

use super::setup::{WITHIN, program};
use super::{local, wait_for};

/// A running pgweir. Dropping it ends it, and fails the test if it has panicked.
pub(crate) struct Pgweir {
    companion: Companion,
    clients: PortLease,
    http: PortLease,
    settings_file: PathBuf,
}

impl Pgweir {
    /// Starts it with settings made for its two ports, and waits for nothing.
    pub(super) fn start(cluster: &Cluster, settings: impl FnOnce(u16, u16) -> String) -> Self {
        let take = || PortLease::take().expect("there is a free port");
        let (clients, http) = (take(), take());
        let settings_file = cluster.directory().join("proxy.toml");
        fs::write(&settings_file, settings(clients.number(), http.number())).expect("the file is written");
        let mut command = Command::new(program());
        command.arg("run").arg(&settings_file).env("RUST_BACKTRACE", "1");
        let companion = cluster.companion("pgweir", &mut command).expect("pgweir starts");
        Self { companion, clients, http, settings_file }
    }

    /// The port for clients.
    pub(crate) fn port(&self) -> u16 {
        self.clients.number()
    }

    /// The port for HTTP.
    pub(crate) fn http_port(&self) -> u16 {
        self.http.number()
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> Address {
        local(self.port())
    }

    /// Where the settings are.
    pub(crate) fn settings_file(&self) -> &Path {
        &self.settings_file
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.companion.pid()
    }

    /// The process, to signal it.
    pub(crate) fn process(&mut self) -> &mut Companion {
        &mut self.companion
    }

    /// Waits until it says that it is ready.
    pub(crate) fn wait_ready(&self) {
        wait_for("pgweir is ready", || matches!(self.page("/readyz"), Some((200, _))));
    }

    /// Asks it to read its settings again, and waits for nothing.
    pub(crate) fn hang_up(&self) {
        self.companion.hang_up();
    }

    /// Waits until the process has ended.
    pub(crate) fn wait_ended(&mut self) -> ExitStatus {
        self.companion.wait_ended(WITHIN).expect("pgweir ends")
    }

    /// Writes other settings and waits until they are in force.
    pub(crate) fn reload(&self, settings: &str) {
        fs::write(&self.settings_file, settings).expect("the file is written");
        let reloads = || self.log().matches("the configuration was reloaded").count();
        let before = reloads();
        self.hang_up();
        wait_for("pgweir reloads its settings", || reloads() > before);
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        self.companion.log()
    }

    /// The status and body of a page; `None` when pgweir does not answer.
    pub(crate) fn page(&self, path: &str) -> Option<(u16, String)> {
        let mut stream =
            TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.http_port()))).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: pgweir\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The sum of a metric's samples that have all these labels; `None` when there is no such sample.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (_, page) = self.page("/metrics")?;
        let has = |line: &str| labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")));
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            ((labels.is_empty() || labels.starts_with('{')) && has(labels))
                .then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Whether it sends reads to the node; `None` when it knows none of that name.
    pub(crate) fn serves_reads(&self, node: &str) -> Option<bool> {
        self.metric("pgweir_node_serves_reads", &[("node", node)]).map(|value| value == 1.0)
    }

    /// The memory that it has in use now, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory that it ever had in use, in bytes.
    pub(crate) fn resident_peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("pgweir runs");
        let line = status.lines().find(|line| line.starts_with(field)).expect("Linux reports memory");
        let kilobytes = line.split_whitespace().nth(1).expect("a number follows");
        kilobytes.parse::<u64>().expect("a number follows") * 1024
    }
}

impl Drop for Pgweir {
    fn drop(&mut self) {
        let log = self.log();
        let panicked = log.contains("panicked at");
        if std::thread::panicking() || panicked {
            let start = log.len().saturating_sub(LOG_SHOWN);
            eprintln!("--- pgweir's log\n{}", log.get(start..).unwrap_or(&log));
        }
        assert!(std::thread::panicking() || !panicked, "pgweir panicked");
    }
}

/// What of the log is printed when a test fails.
const LOG_SHOWN: usize = 20_000;
