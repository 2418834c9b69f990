//! Client traffic in the background: sessions that read and sessions that write until they are told to
//! stop, and a tally of which server answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Instant;

use pgweir_sandbox::{Client, SandboxError};

use super::front::Front;
use super::proof::port_of;

/// What the clients have seen so far. The counts only grow; a phase is the difference of two.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// By the port of the server that answered.
    pub(super) reads: BTreeMap<u16, u64>,
    /// When each server last answered a read.
    pub(super) last_read: BTreeMap<u16, Instant>,
    /// Writes acknowledged.
    pub(super) writes: u64,
    /// Statements and logins that failed, as clients saw it.
    pub(super) errors: u64,
    /// The first of them, in words.
    pub(super) first_error: Option<String>,
}

/// Traffic that runs until [`Traffic::stop`].
#[derive(Default)]
pub(super) struct Traffic {
    tally: Mutex<Tally>,
    stopping: AtomicBool,
}

impl Traffic {
    /// Starts the sessions on threads of `scope`.
    pub(super) fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, front: &'scope Front) {
        for _ in 0..READERS {
            scope.spawn(move || self.session(front, Self::read));
        }
        for _ in 0..WRITERS {
            scope.spawn(move || self.session(front, Self::write));
        }
    }

    /// Lets all sessions end after their present statement.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// What has been seen up to now.
    pub(super) fn tally(&self) -> Tally {
        self.lock().clone()
    }

    /// One client: runs its step again and again, and connects anew after an error, as a pool would.
    fn session(&self, front: &Front, step: fn(&Self, &mut Client) -> Result<(), SandboxError>) {
        let mut connected: Option<Client> = None;
        while !self.stopping.load(Ordering::Relaxed) {
            let done = match connected.as_mut() {
                Some(client) => step(self, client),
                None => front.connect().map(|client| connected = Some(client)),
            };
            if let Err(error) = done {
                connected = None;
                let mut tally = self.lock();
                tally.errors += 1;
                tally.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }

    fn read(&self, client: &mut Client) -> Result<(), SandboxError> {
        let reply = client.query("SELECT current_setting('sandbox.port'), max(number) FROM demo")?;
        let port = port_of(reply.value());
        let mut tally = self.lock();
        *tally.reads.entry(port).or_insert(0) += 1;
        tally.last_read.insert(port, Instant::now());
        Ok(())
    }

    fn write(&self, client: &mut Client) -> Result<(), SandboxError> {
        client.query("INSERT INTO demo (number) VALUES (0)")?;
        self.lock().writes += 1;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Reads answered by all servers.
    pub(super) fn all_reads(&self) -> u64 {
        self.reads.values().sum()
    }

    /// Reads answered by the server on this port.
    pub(super) fn reads_of(&self, port: u16) -> u64 {
        self.reads.get(&port).copied().unwrap_or(0)
    }
}

const READERS: usize = 4;
const WRITERS: usize = 1;
