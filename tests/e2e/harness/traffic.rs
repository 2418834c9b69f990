//! Clients in the background that read and write until they are told to stop, and what they saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use pgweir_sandbox::{Client, Node, SandboxError};

use super::{Site, wait_for};

/// Running clients.
pub(crate) struct Traffic {
    seen: Mutex<Seen>,
    stopping: AtomicBool,
}

/// What the clients have seen so far. The counts only grow; a phase is the difference of two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Reads by the node that answered.
    pub(crate) reads: BTreeMap<String, u64>,
    /// When each node last answered a read.
    pub(crate) last_read: BTreeMap<String, Instant>,
    /// Writes acknowledged.
    pub(crate) writes: u64,
    /// What went wrong while reading.
    pub(crate) read_errors: Vec<String>,
    /// What went wrong while writing.
    pub(crate) write_errors: Vec<String>,
}

/// Runs readers and writers while `act` does, and answers what they saw.
pub(crate) fn with_traffic(site: &Site, clients: Clients, act: impl FnOnce(&Traffic)) -> Seen {
    site.connect().query("CREATE TABLE IF NOT EXISTS traffic (number int, port text)").unwrap();
    site.wait_caught_up();
    let traffic = Traffic { seen: Mutex::default(), stopping: AtomicBool::new(false) };
    thread::scope(|scope| {
        let stop = StopAtTheEnd(&traffic);
        for _ in 0..clients.readers {
            scope.spawn(|| traffic.session(site, Job::Read));
        }
        for _ in 0..clients.writers {
            scope.spawn(|| traffic.session(site, Job::Write));
        }
        wait_for("traffic flows", || {
            let seen = traffic.seen();
            (clients.readers == 0 || seen.all_reads() > 0) && (clients.writers == 0 || seen.writes > 0)
        });
        act(&traffic);
        drop(stop);
    });
    traffic.seen()
}

/// How many clients.
#[derive(Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) readers: usize,
    pub(crate) writers: usize,
}

#[derive(Clone, Copy)]
enum Job {
    Read,
    Write,
}

impl Traffic {
    /// What has been seen up to now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until that many more reads were answered.
    pub(crate) fn wait_reads(&self, more: u64) {
        let before = self.seen().all_reads();
        wait_for(&format!("{more} more reads"), || self.seen().all_reads() >= before + more);
    }

    /// Waits until that many more writes were acknowledged.
    pub(crate) fn wait_writes(&self, more: u64) {
        let before = self.seen().writes;
        wait_for(&format!("{more} more writes"), || self.seen().writes >= before + more);
    }

    /// Waits until the node answers reads again.
    pub(crate) fn wait_reads_of(&self, node: &Node) {
        let before = self.seen().reads_of(node);
        let what = format!("{} answers reads", node.name());
        wait_for(&what, || self.seen().reads_of(node) > before);
    }

    /// One client: runs its step again and again, and connects anew after an error, as a pool would.
    fn session(&self, site: &Site, job: Job) {
        let mut connected: Option<Client> = None;
        while !self.stopping.load(Ordering::Relaxed) {
            let done = match (connected.as_mut(), job) {
                (Some(client), Job::Read) => self.read(client),
                (Some(client), Job::Write) => self.write(client),
                (None, _) => site.try_connect("postgres", "postgres").map(|client| connected = Some(client)),
            };
            if let Err(error) = done {
                connected = None;
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                match job {
                    Job::Read => seen.read_errors.push(error.to_string()),
                    Job::Write => seen.write_errors.push(error.to_string()),
                }
            }
        }
    }

    fn read(&self, client: &mut Client) -> Result<(), SandboxError> {
        let reply = client.query("SELECT current_setting('sandbox.port'), max(number) FROM traffic")?;
        let port = reply.value().to_owned();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last_read.insert(port.clone(), Instant::now());
        *seen.reads.entry(port).or_insert(0) += 1;
        Ok(())
    }

    fn write(&self, client: &mut Client) -> Result<(), SandboxError> {
        client.query("INSERT INTO traffic VALUES (0, current_setting('port'))")?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).writes += 1;
        Ok(())
    }
}

impl Seen {
    /// Reads answered by all nodes.
    pub(crate) fn all_reads(&self) -> u64 {
        self.reads.values().sum()
    }

    /// Reads answered by the node.
    pub(crate) fn reads_of(&self, node: &Node) -> u64 {
        self.reads.get(&node.port().to_string()).copied().unwrap_or(0)
    }

    /// When the node last answered a read.
    pub(crate) fn last_read_of(&self, node: &Node) -> Option<Instant> {
        self.last_read.get(&node.port().to_string()).copied()
    }
}

/// Also when the test fails, or the scope would wait for the clients forever.
struct StopAtTheEnd<'a>(&'a Traffic);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }
}
