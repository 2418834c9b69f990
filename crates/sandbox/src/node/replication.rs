//! What a node does as a member of its cluster: follow, lag, take over, come back.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Node, StopMode};
use crate::{SandboxError, tool, wait_until};

impl Node {
    /// Makes a standby the primary and waits until it takes writes. The other nodes are told nothing:
    /// see [`Node::stream_from`] and [`Node::rejoin`].
    pub fn promote(&self) -> Result<(), SandboxError> {
        self.query("postgres", "SELECT pg_promote()")?;
        wait_until(REPLAY_WITHIN, &format!("{} is promoted", self.name), || {
            self.query("postgres", "SELECT pg_is_in_recovery()").is_ok_and(|reply| reply.value() == "f")
        })?;
        self.primary.store(self.index, Ordering::SeqCst);
        Ok(())
    }

    /// Turns a former primary, running or dead, into a standby of `primary`: pg_rewind takes back what
    /// only this node has.
    pub fn rejoin(&self, primary: &Node) -> Result<(), SandboxError> {
        self.stop(StopMode::Fast)?;
        // pg_rewind learns the new timeline from the primary's last checkpoint.
        primary.query("postgres", "CHECKPOINT")?;
        let mut command = self.account.command(&self.binaries.tool("pg_rewind"), &self.cluster);
        command
            .arg("--no-sync")
            .arg("--target-pgdata")
            .arg(self.data_dir())
            .arg("--source-server")
            .arg(format!("{} dbname=postgres", primary.socket_conninfo()));
        tool::run("pg_rewind", command)?;
        self.become_standby_of(primary.port())?;
        self.start()
    }

    /// Throws the node's data away and makes it a standby of `primary` by a fresh base backup.
    pub fn rebuild(&self, primary: &Node) -> Result<(), SandboxError> {
        self.stop(StopMode::Immediate)?;
        fs::remove_dir_all(self.data_dir()).map_err(SandboxError::io("removing a data directory"))?;
        let mut command = self.account.command(&self.binaries.tool("pg_basebackup"), &self.cluster);
        command.args(["--no-sync", "--checkpoint=fast", "--wal-method=stream", "--pgdata"]);
        command.arg(self.data_dir()).arg("--dbname").arg(primary.socket_conninfo());
        tool::run("pg_basebackup", command)?;
        self.become_standby_of(primary.port())?;
        self.start()
    }

    /// Points a standby at another upstream: a node's port, or that of a fault proxy before it.
    pub fn stream_from(&self, port: u16) -> Result<(), SandboxError> {
        self.set("primary_conninfo", &self.primary_conninfo(port))
    }

    /// Stops replay on a standby, which goes on receiving, and waits until it stands still.
    pub fn pause_replay(&self) -> Result<(), SandboxError> {
        self.query("postgres", "SELECT pg_wal_replay_pause()")?;
        let state = match self.binaries.major {
            // Before version 14 a pause counts from the request on.
            ..14 => "SELECT CASE WHEN pg_is_wal_replay_paused() THEN 'paused' END",
            14.. => "SELECT pg_get_wal_replay_pause_state()",
        };
        wait_until(REPLAY_WITHIN, &format!("{} pauses its replay", self.name), || {
            self.query("postgres", state).is_ok_and(|reply| reply.value() == "paused")
        })
    }

    /// Lets a paused standby replay again.
    pub fn resume_replay(&self) -> Result<(), SandboxError> {
        self.query("postgres", "SELECT pg_wal_replay_resume()").map(drop)
    }

    /// Makes a standby replay each commit this long after it happened.
    pub fn set_apply_delay(&self, delay: Duration) -> Result<(), SandboxError> {
        self.set("recovery_min_apply_delay", &format!("{}ms", delay.as_millis()))
    }

    /// Whether the server is in recovery, that is, a standby.
    pub fn is_standby(&self) -> Result<bool, SandboxError> {
        Ok(self.query("postgres", "SELECT pg_is_in_recovery()")?.value() == "t")
    }

    /// Writes down, for the next start, that this node is a standby of the server on `port`.
    pub(super) fn become_standby_of(&self, port: u16) -> Result<(), SandboxError> {
        let conninfo = self.primary_conninfo(port);
        self.config().insert("primary_conninfo".to_owned(), conninfo);
        self.account.write(&self.data_dir().join("standby.signal"), "")
    }

    fn primary_conninfo(&self, port: u16) -> String {
        format!("host=127.0.0.1 port={port} user=postgres application_name={} sslmode=disable", self.name)
    }

    fn socket_conninfo(&self) -> String {
        format!("host={} port={} user=postgres", self.cluster.display(), self.port())
    }
}

const REPLAY_WITHIN: Duration = Duration::from_secs(60);
