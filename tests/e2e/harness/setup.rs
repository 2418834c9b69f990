//! What a test wants: which PostgreSQL, how many standbys, which settings of pgweir.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use pgweir_sandbox::{Binaries, Cluster, ClusterSettings};

use super::{Pgweir, Site};

/// A site to start. Values of settings are written as in the file: text in quotes.
#[derive(Clone)]
pub(crate) struct Setup {
    binaries: Binaries,
    cluster: ClusterSettings,
    /// By section, then key.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    weights: Vec<u32>,
}

/// A node as pgweir's settings name it.
#[derive(Clone, Debug)]
pub(crate) struct NodeEntry {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) weight: u32,
}

impl Setup {
    /// On the newest PostgreSQL that is installed.
    pub(crate) fn newest() -> Self {
        Self::on(&Binaries::newest().expect("PostgreSQL is installed"))
    }

    /// On this PostgreSQL.
    pub(crate) fn on(binaries: &Binaries) -> Self {
        let setup = Self {
            binaries: binaries.clone(),
            cluster: ClusterSettings::default(),
            settings: BTreeMap::new(),
            weights: Vec::new(),
        };
        setup
            .set("listen", "drain_timeout", "\"2s\"")
            .set("auth", "method", "\"trust\"")
            .set("admin", "users", "[\"postgres\"]")
            .set("cluster.main", "monitor_interval", "\"50ms\"")
    }

    /// How many standbys, besides the primary.
    pub(crate) fn standbys(mut self, standbys: usize) -> Self {
        self.cluster.standbys = standbys;
        self
    }

    /// Changes the servers.
    pub(crate) fn servers(mut self, change: impl FnOnce(&mut ClusterSettings)) -> Self {
        change(&mut self.cluster);
        self
    }

    /// Sets one key of pgweir's, such as `("pool", "size", "5")` or `("auth", "method", "\"md5\"")`.
    pub(crate) fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        self.settings.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// The nodes' weights, in their order; 1 where none is given.
    pub(crate) fn weights(mut self, weights: &[u32]) -> Self {
        self.weights = weights.to_vec();
        self
    }

    /// Starts both and waits until pgweir knows the primary and reads from every standby.
    pub(crate) fn start(&self) -> Site {
        let cluster = self.cluster();
        let site = self.before(cluster);
        site.wait_serving(&site.cluster.standbys());
        site
    }

    /// Starts the cluster alone.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::start(&self.binaries, &self.cluster).expect("the cluster starts")
    }

    /// Starts pgweir before a cluster and waits until it is ready.
    pub(crate) fn before(&self, cluster: Cluster) -> Site {
        let site = self.before_unready(cluster, |nodes| nodes);
        site.pgweir.wait_ready();
        site
    }

    /// Starts pgweir before a cluster, with the entries of its nodes changed, and waits for nothing.
    pub(crate) fn before_unready(
        &self,
        cluster: Cluster,
        change: impl FnOnce(Vec<NodeEntry>) -> Vec<NodeEntry>,
    ) -> Site {
        let nodes = change(self.entries(&cluster));
        let pgweir = Pgweir::start(&cluster, |clients, http| self.text(clients, http, &nodes));
        Site { pgweir, cluster }
    }

    /// pgweir's settings for this site as a file's text, for a reload with changes.
    pub(crate) fn text_for(&self, site: &Site) -> String {
        self.text(site.pgweir.port(), site.pgweir.http_port(), &self.entries(&site.cluster))
    }

    /// The nodes of a cluster as entries.
    pub(crate) fn entries(&self, cluster: &Cluster) -> Vec<NodeEntry> {
        let weights = self.weights.iter().copied().chain(std::iter::repeat(1));
        let entry = |(node, weight): (&pgweir_sandbox::Node, u32)| NodeEntry {
            address: node.address().to_string(),
            name: node.name().to_owned(),
            weight,
        };
        cluster.nodes().iter().zip(weights).map(entry).collect()
    }

    /// A settings file.
    pub(crate) fn text(&self, clients: u16, http: u16, nodes: &[NodeEntry]) -> String {
        let mut settings = self.settings.clone();
        let mut set = |section: &str, key: &str, value: String| {
            settings.entry(section.to_owned()).or_default().entry(key.to_owned()).or_insert(value);
        };
        set("listen", "address", format!("\"127.0.0.1:{clients}\""));
        set("admin", "http_address", format!("\"127.0.0.1:{http}\""));
        let mut text = String::new();
        for (section, keys) in &settings {
            writeln!(text, "[{section}]").expect("a String takes everything");
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").expect("a String takes everything");
            }
        }
        for NodeEntry { address, name, weight } in nodes {
            write!(
                text,
                "\n[[cluster.main.node]]\naddress = \"{address}\"\nname = \"{name}\"\nweight = {weight}\n"
            )
            .expect("a String takes everything");
        }
        text
    }
}

/// The program under test: `PGWEIR_BIN`, or what lies beside this test in the target directory.
pub(crate) fn program() -> PathBuf {
    let program = std::env::var_os("PGWEIR_BIN").map_or_else(beside_this_test, PathBuf::from);
    assert!(
        fs::exists(&program).is_ok_and(|exists| exists),
        "{} does not exist: run `cargo build --package pgweir`, or set PGWEIR_BIN",
        program.display()
    );
    program
}

fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows this test's file");
    test.ancestors().nth(2).expect("tests lie in a directory of a profile's directory").join("pgweir")
}

/// Far longer than anything takes that a test waits for.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
