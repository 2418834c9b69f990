//! The processes of a server: finding them, freezing them, killing them.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::Node;
use crate::SandboxError;

impl Node {
    /// The server's process numbers: the postmaster first, then its children.
    pub fn pids(&self) -> Vec<u32> {
        let Some(postmaster) = self.postmaster() else { return Vec::new() };
        let mut pids = vec![postmaster];
        pids.extend(children_of(postmaster));
        pids
    }

    /// Kills the postmaster and all its children at once, as a power failure would.
    pub fn kill9(&self) -> Result<(), SandboxError> {
        let Some(postmaster) = self.postmaster() else { return Ok(()) };
        // A stopped postmaster starts no more children, so the list below is whole.
        signal(&[postmaster], Signal::Stop);
        signal(&self.pids(), Signal::Kill);
        self.wait_ended(super::STOP_WITHIN)?;
        self.free_shared_memory();
        Ok(())
    }

    /// Freezes the whole server: connections stay open and nothing answers.
    pub fn sigstop(&self) {
        if let Some(postmaster) = self.postmaster() {
            signal(&[postmaster], Signal::Stop);
            signal(&children_of(postmaster), Signal::Stop);
        }
    }

    /// Lets a frozen server go on.
    pub fn sigcont(&self) {
        signal(&self.pids(), Signal::Cont);
    }

    /// The postmaster's process number, if it lives.
    pub(super) fn postmaster(&self) -> Option<u32> {
        let mut server = self.server();
        let child = server.as_mut()?;
        match child.try_wait() {
            Ok(None) => Some(child.id()),
            Ok(Some(_)) | Err(_) => {
                *server = None;
                None
            }
        }
    }

    /// Removes the System V segment that a killed server leaves behind. Its number is the second word
    /// of the seventh line of `postmaster.pid`.
    fn free_shared_memory(&self) {
        let lock_file = fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap_or_default();
        let segment = lock_file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        if let Some(segment) = segment {
            // Best effort: the segment is 56 bytes, and the next start frees it as well.
            let _ = Command::new("ipcrm").args(["-m", segment]).output();
        }
    }
}

/// Sends a signal to each process; those that are gone already do not matter.
pub(crate) fn signal(pids: &[u32], signal: Signal) {
    for &pid in pids {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Sends a signal to a process that leads a group, and to the others in the group.
pub(crate) fn signal_group(leader: u32, signal: Signal) {
    if let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(leader, signal);
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| parent_of(pid) == Some(parent))
        .collect()
}

/// The fourth field of `/proc/PID/stat`; the second is a name that may hold spaces and parentheses.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
