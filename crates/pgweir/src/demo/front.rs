//! pgweir itself, run as a user would run it: a settings file, a process, an address.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgweir_sandbox::client::Address;
use pgweir_sandbox::{Client, Cluster, Companion, PortLease, SandboxError, wait_until};

use super::{DemoError, WEIGHTS};

/// A running pgweir before a cluster.
pub(super) struct Front {
    companion: Companion,
    clients: PortLease,
    http: PortLease,
    settings_file: PathBuf,
}

impl Front {
    /// Starts pgweir and waits until it serves reads from every standby.
    pub(super) fn start(cluster: &Cluster) -> Result<Self, DemoError> {
        let (clients, http) = (PortLease::take()?, PortLease::take()?);
        let settings_file = cluster.directory().join("proxy.toml");
        fs::write(&settings_file, settings(cluster, clients.number(), http.number()))
            .map_err(|source| DemoError::Io { doing: "writing proxy.toml", source })?;
        let program = std::env::current_exe()
            .map_err(|source| DemoError::Io { doing: "finding our own program", source })?;
        let companion = cluster.companion("pgweir", Command::new(program).arg("run").arg(&settings_file))?;
        let mut front = Self { companion, clients, http, settings_file };
        front.wait_ready(cluster)?;
        Ok(front)
    }

    pub(super) fn port(&self) -> u16 {
        self.clients.number()
    }

    pub(super) fn http(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http.number()).into()
    }

    pub(super) fn settings_file(&self) -> &Path {
        &self.settings_file
    }

    /// Connects as an application does.
    pub(super) fn connect(&self) -> Result<Client, SandboxError> {
        let address = Address::Tcp((Ipv4Addr::LOCALHOST, self.port()).into());
        Client::connect(&address, "postgres", "postgres")
    }

    /// Whether pgweir's metrics say that it sends reads to this node.
    pub(super) fn serves_reads(&self, node: &str) -> bool {
        let Some((200, metrics)) = self.get("/metrics") else { return false };
        let label = format!("node=\"{node}\"");
        let mut samples = metrics.lines().filter(|line| line.starts_with("pgweir_node_serves_reads{"));
        samples.any(|line| line.contains(&label) && line.ends_with(" 1"))
    }

    pub(super) fn expect_running(&mut self) -> Result<(), DemoError> {
        if self.companion.is_running() {
            return Ok(());
        }
        Err(DemoError::Front { what: "ended".to_owned(), log: self.companion.log() })
    }

    fn wait_ready(&mut self, cluster: &Cluster) -> Result<(), DemoError> {
        let waited = wait_until(READY_WITHIN, "pgweir reads from all standbys", || {
            let ready = matches!(self.get("/readyz"), Some((200, _)))
                && cluster.standbys().iter().all(|standby| self.serves_reads(standby.name()));
            ready || !self.companion.is_running()
        });
        self.expect_running()?;
        waited.map_err(|error| DemoError::Front {
            what: format!("is not ready ({error})"),
            log: self.companion.log(),
        })
    }

    /// The status and body of a page; `None` when pgweir does not answer.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.http()).ok()?;
        stream.set_read_timeout(Some(PAGE_WITHIN)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
    }
}

/// The settings file. It lists nodes without their roles: pgweir finds those out.
fn settings(cluster: &Cluster, clients: u16, http: u16) -> String {
    let mut text = format!(
        r#"# Written by `pgweir demo`.
[listen]
address = "127.0.0.1:{clients}"
drain_timeout = "2s"

[auth]
method = "trust"

[admin]
users = ["postgres"]
http_address = "127.0.0.1:{http}"

[cluster.main]
balance = "weighted"
staleness_max = "{}ms"
monitor_interval = "100ms"
"#,
        STALENESS_MAX.as_millis()
    );
    for (node, weight) in cluster.nodes().iter().zip(WEIGHTS) {
        let (address, name) = (node.address(), node.name());
        write!(
            text,
            "\n[[cluster.main.node]]\naddress = \"{address}\"\nname = \"{name}\"\nweight = {weight}\n"
        )
        .expect("a String takes everything");
    }
    text
}

/// How old a standby's data may be before it serves no reads.
pub(super) const STALENESS_MAX: Duration = Duration::from_secs(2);
const READY_WITHIN: Duration = Duration::from_secs(30);
const PAGE_WITHIN: Duration = Duration::from_secs(5);
