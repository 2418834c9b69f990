//! A primary and its standbys, from the first file to the last.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::account::Account;
use crate::directory::ClusterDirectory;
use crate::node::Shared;
use crate::{Binaries, ClusterSettings, Companion, Hba, Node, SandboxError, StopMode, template, wait_until};

/// A running cluster. Dropping it ends its servers and removes its directory.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    primary: Arc<AtomicUsize>,
    /// Last, since the nodes live in it.
    directory: ClusterDirectory,
}

impl Cluster {
    /// Starts a cluster and waits until every node answers and every standby streams.
    pub fn start(binaries: &Binaries, settings: &ClusterSettings) -> Result<Self, SandboxError> {
        let account = Account::find()?;
        let binaries = &binaries.reachable_by(account)?;
        let directory = ClusterDirectory::create(account)?;
        let primary = Arc::new(AtomicUsize::new(0));
        let mut cluster = Self { nodes: Vec::new(), primary: Arc::clone(&primary), directory };
        let path = cluster.directory.path().to_owned();
        let shared = Shared { cluster: &path, binaries, account, settings, primary: &primary };
        for index in 0..=settings.standbys {
            cluster.nodes.push(Node::new(&shared, index)?);
        }
        let data = match settings.own_system_identifier {
            true => Node::initialise(&shared)?,
            false => template::of(binaries, account)?,
        };
        cluster.start_nodes(settings, &data)?;
        cluster.wait_streaming(START_WITHIN)?;
        cluster.set_superuser_password(settings)?;
        Ok(cluster)
    }

    /// The node promoted last, or the first one.
    pub fn primary(&self) -> &Node {
        self.node(self.primary.load(Ordering::SeqCst))
    }

    /// All other nodes, running or not.
    pub fn standbys(&self) -> Vec<&Node> {
        let primary = self.primary.load(Ordering::SeqCst);
        self.nodes.iter().enumerate().filter(|&(index, _)| index != primary).map(|(_, node)| node).collect()
    }

    /// A node by its place; the first primary has place 0.
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The cluster's directory, for further files of the same lifetime.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a process that shall not outlive this cluster, such as a proxy before it. The command must
    /// name a file in [`Self::directory`]. What it prints goes to `NAME.log` there.
    pub fn companion(&self, name: &str, command: &mut Command) -> Result<Companion, SandboxError> {
        Companion::start(self.directory(), name, command)
    }

    /// Waits until every running standby streams from the primary.
    pub fn wait_streaming(&self, within: Duration) -> Result<(), SandboxError> {
        let expected = self.running_standbys().count();
        let streaming = "SELECT count(*) FROM pg_stat_replication \
                         WHERE state = 'streaming' AND application_name ~ '^node[0-9]+$'";
        wait_until(within, &format!("{expected} standbys stream from {}", self.primary().name()), || {
            let count = self.primary().query("postgres", streaming);
            count.is_ok_and(|reply| reply.value() == expected.to_string())
        })
    }

    /// Waits until every running standby has replayed what the primary has written by now.
    pub fn wait_caught_up(&self, within: Duration) -> Result<(), SandboxError> {
        let written = self.primary().query("postgres", "SELECT pg_current_wal_flush_lsn()")?;
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", written.value());
        for standby in self.running_standbys() {
            let what = format!("{} has replayed {}", standby.name(), written.value());
            wait_until(within, &what, || {
                standby.query("postgres", &replayed).is_ok_and(|reply| reply.value() == "t")
            })?;
        }
        Ok(())
    }

    fn running_standbys(&self) -> impl Iterator<Item = &Node> {
        self.standbys().into_iter().filter(|node| node.is_running())
    }

    /// Copies and starts all nodes at the same time.
    fn start_nodes(&self, settings: &ClusterSettings, data: &Path) -> Result<(), SandboxError> {
        let upstream = self.node(0).port();
        thread::scope(|scope| {
            let starts: Vec<_> = self
                .nodes
                .iter()
                .enumerate()
                .map(|(index, node)| {
                    scope.spawn(move || {
                        node.create(settings, data, (index > 0).then_some(upstream))?;
                        node.start()
                    })
                })
                .collect();
            starts.into_iter().try_for_each(|start| start.join().expect("starting a node does not panic"))
        })
    }

    fn set_superuser_password(&self, settings: &ClusterSettings) -> Result<(), SandboxError> {
        if settings.hba == Hba::Trust {
            return Ok(());
        }
        let password = settings.superuser_password.replace('\'', "''");
        self.primary().query("postgres", &format!("ALTER ROLE postgres PASSWORD '{password}'"))?;
        self.wait_caught_up(START_WITHIN)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.begin_stop(StopMode::Immediate);
        }
        for node in &self.nodes {
            if node.wait_ended(STOP_WITHIN).is_err() {
                let _ = node.kill9();
            }
        }
    }
}

const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(10);
