//! A primary with two standbys, and pgweir before them when the tests go through it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgweir_sandbox::client::Address;
use pgweir_sandbox::{Binaries, Client, Cluster, ClusterSettings, Companion, PortLease, wait_until};

use crate::Way;

/// A running cluster and the port where the tests connect as `postgres`.
pub(crate) struct Site {
    /// First, so that it ends before the nodes do.
    pgweir: Option<(Companion, PortLease)>,
    cluster: Cluster,
}

impl Site {
    /// Starts everything and waits until pgweir reads from both standbys.
    pub(crate) fn start(binaries: &Binaries, way: Way) -> Self {
        let mut settings = ClusterSettings::with_standbys(STANDBYS);
        for (name, value) in SERVER_SETTINGS {
            settings = settings.config(name, value);
        }
        let cluster = Cluster::start(binaries, &settings).expect("the cluster starts");
        let pgweir = (way == Way::ThroughPgweir).then(|| start_pgweir(&cluster));
        let site = Self { pgweir, cluster };
        if site.pgweir.is_some() {
            site.wait_serving();
        }
        site
    }

    pub(crate) fn port(&self) -> u16 {
        self.pgweir.as_ref().map_or_else(|| self.cluster.primary().port(), |(_, port)| port.number())
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Runs statements on the primary itself, each on its own.
    pub(crate) fn prepare(&self, statements: &[String]) {
        let mut client = self.cluster.primary().connect("postgres").expect("the primary answers");
        for statement in statements {
            client.query(statement).expect("the primary prepares a suite's database");
        }
    }

    /// A directory for a suite's files that the server may write to as well.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let directory = self.cluster.directory().join(name);
        fs::create_dir_all(&directory).expect("the cluster's directory takes more");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("we made it");
        directory
    }

    /// Runs a program of a suite to its end: what it printed, and whether it succeeded. One that hangs is ended.
    pub(crate) fn run(&self, name: &str, mut command: Command, within: Duration) -> (String, bool) {
        let mut running = self.cluster.companion(name, &mut command).expect("the suite's program starts");
        let succeeded = running.wait_ended(within).is_ok_and(|status| status.success());
        (running.log(), succeeded)
    }

    /// Copies the logs of pgweir and the nodes to where they outlive the cluster.
    pub(crate) fn keep_logs(&self, directory: &Path) {
        fs::create_dir_all(directory).expect("the directory of the results can be made");
        for node in self.cluster.nodes() {
            let log = node.data_dir().with_file_name("log");
            fs::copy(log, directory.join(format!("{}.log", node.name()))).expect("the node has a log");
        }
        if let Some((pgweir, _)) = &self.pgweir {
            fs::write(directory.join("pgweir.log"), pgweir.log()).expect("the directory takes files");
        }
    }

    fn wait_serving(&self) {
        let console = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port())));
        let serving = || {
            let nodes =
                Client::connect(&console, "postgres", "pgweir").and_then(|mut c| c.query("SHOW NODES"));
            let serves = |row: &Vec<Option<String>>| row.iter().flatten().any(|cell| cell == "reads");
            nodes.is_ok_and(|nodes| nodes.rows.iter().filter(|row| serves(row)).count() == STANDBYS)
        };
        wait_until(START_WITHIN, "pgweir reads from both standbys", serving).expect("pgweir starts");
    }
}

/// A command with nothing of our environment that could reach PostgreSQL.
pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
    command
}

/// The part of a configuration that says where the nodes are.
pub(crate) fn nodes(cluster: &Cluster) -> String {
    let mut settings = String::new();
    for node in cluster.nodes() {
        let (address, name) = (node.address(), node.name());
        settings += &format!("[[cluster.main.node]]\naddress = \"{address}\"\nname = \"{name}\"\n");
    }
    settings
}

/// With its defaults, but for who may log in: transaction mode, reads split, consistency `session`.
fn start_pgweir(cluster: &Cluster) -> (Companion, PortLease) {
    let port = PortLease::take().expect("there is a free port");
    let mut settings = format!(
        "[listen]\naddress = \"127.0.0.1:{}\"\n[auth]\nmethod = \"trust\"\n[admin]\nusers = [\"postgres\"]\n",
        port.number()
    );
    settings += &nodes(cluster);
    let file = cluster.directory().join("proxy.toml");
    fs::write(&file, settings).expect("the cluster's directory takes files");
    let mut command = Command::new(std::env::var_os("PGWEIR_BIN").expect("`./dev conformance` names pgweir"));
    command.arg("run").arg(&file).env("RUST_BACKTRACE", "1");
    (cluster.companion("pgweir", &mut command).expect("pgweir starts"), port)
}

const STANDBYS: usize = 2;
const START_WITHIN: Duration = Duration::from_secs(60);

/// As PostgreSQL's own test of the suite with a standby has them (027_stream_regress.pl): nothing on a standby may
/// keep the primary's VACUUM from its work, or plans change, and no read on a standby is cancelled.
const SERVER_SETTINGS: [(&str, &str); 4] = [
    ("hot_standby_feedback", "off"),
    ("max_standby_streaming_delay", "600s"),
    ("synchronize_seqscans", "off"),
    ("max_prepared_transactions", "10"),
];
