//! A process that belongs to a cluster, such as the proxy before it: started into the cluster's
//! directory, and ended with it whatever happens to us.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::node::{signal, signal_group};
use crate::{SandboxError, wait_until};

/// A running process. Dropping it kills it, and what it started.
#[derive(Debug)]
pub struct Companion {
    name: String,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Companion {
    /// Starts the process with its output in the file `NAME.log`, out of reach of Ctrl-C. The command
    /// must name a file of the cluster's directory: by that the watchdog knows the process.
    pub(crate) fn start(cluster: &Path, name: &str, command: &mut Command) -> Result<Self, SandboxError> {
        let doing = || format!("starting {name}");
        let log = cluster.join(format!("{name}.log"));
        let output = File::create(&log).map_err(SandboxError::io(doing()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(SandboxError::io(doing()))?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(SandboxError::io(doing()))?;
        let pid_file = cluster.join(format!("{name}.pid"));
        let companion = Self { name: name.to_owned(), child, log, pid_file };
        fs::write(&companion.pid_file, format!("{}\n", companion.pid()))
            .map_err(SandboxError::io(doing()))?;
        Ok(companion)
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        signal(&[self.pid()], Signal::Hup);
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        signal(&[self.pid()], Signal::Term);
    }

    /// Sends SIGSTOP.
    pub fn sigstop(&self) {
        signal(&[self.pid()], Signal::Stop);
    }

    /// Sends SIGCONT.
    pub fn sigcont(&self) {
        signal(&[self.pid()], Signal::Cont);
    }

    /// Waits until it has ended by itself.
    pub fn wait_ended(&mut self, within: Duration) -> Result<ExitStatus, SandboxError> {
        let what = format!("{} ends", self.name);
        wait_until(within, &what, || !self.is_running())?;
        self.child.wait().map_err(SandboxError::io(what))
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        if self.is_running() {
            signal_group(self.pid(), Signal::Kill);
        }
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.pid_file);
    }
}
