//! Directories: one for each cluster, which never outlives its owner, and the caches beside them.
//!
//! Three things remove a cluster's directory and end what runs in it. Dropping the cluster, which is
//! the ordinary way. A watchdog, a small shell that waits for the end of a pipe which only we hold,
//! when our process was killed. And the next cluster that anybody starts, when the watchdog was
//! killed too: a directory whose lock nobody holds is a leftover.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::SandboxError;
use crate::account::Account;

/// A cluster's directory. The nodes must be stopped before it is dropped.
#[derive(Debug)]
pub(crate) struct ClusterDirectory {
    path: PathBuf,
    _lock: File,
    watchdog: Child,
    /// Its end tells the watchdog that we are gone.
    alive: Option<ChildStdin>,
}

impl ClusterDirectory {
    /// Makes a fresh directory that `account` owns, after removing what killed runs left behind.
    pub(crate) fn create(account: Account) -> Result<Self, SandboxError> {
        let root = root(account)?;
        remove_leftovers(&root);
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", process::id(), CREATED.fetch_add(1, Ordering::Relaxed));
        let unnamed = root.join(format!("new-{name}"));
        let path = root.join(format!("{CLUSTER}{name}"));
        let doing = || format!("making {}", path.display());
        // The lock is taken before the directory gets its name, so a named one without lock is dead.
        fs::create_dir_all(&unnamed).map_err(SandboxError::io(doing()))?;
        let lock = File::create(unnamed.join(LOCK)).map_err(SandboxError::io(doing()))?;
        lock.lock().map_err(SandboxError::io(doing()))?;
        open_to_all(&unnamed)?;
        account.own(&unnamed)?;
        fs::rename(&unnamed, &path).map_err(SandboxError::io(doing()))?;
        let mut watchdog = reaper(&path, "watch")
            .stdin(Stdio::piped())
            .spawn()
            .map_err(SandboxError::io("starting the watchdog"))?;
        let alive = watchdog.stdin.take();
        Ok(Self { path, _lock: lock, watchdog, alive })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ClusterDirectory {
    fn drop(&mut self) {
        // The watchdog does the work in either case, so its path is the one that is always tested.
        drop(self.alive.take());
        let _ = self.watchdog.wait();
    }
}

/// The directory below which everything of this user lies.
pub(crate) fn root(account: Account) -> Result<PathBuf, SandboxError> {
    let uid = rustix::process::geteuid().as_raw();
    let root = env::temp_dir().join(format!("pgweir-sandbox-{uid}"));
    fs::create_dir_all(&root).map_err(SandboxError::io(format!("making {}", root.display())))?;
    open_to_all(&root)?;
    match account.closed_ancestor(&root) {
        Some(path) => Err(SandboxError::NotTraversable { path }),
        None if root.as_os_str().len() > ROOT_LENGTH_MAX => {
            Err(SandboxError::SocketPathTooLong { path: root })
        }
        None => Ok(root),
    }
}

/// A directory that is made once and then kept for later runs. Processes that want it at the same
/// time wait for the one that makes it; a half-made one is made again.
pub(crate) fn cached(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), SandboxError>,
) -> Result<PathBuf, SandboxError> {
    let root = root(Account::find()?)?;
    let (place, unfinished) = (root.join(name), root.join(format!("{name}.unfinished")));
    let doing = || format!("making {}", place.display());
    if place.is_dir() {
        return Ok(place);
    }
    let lock = File::create(root.join(format!("{name}.lock"))).map_err(SandboxError::io(doing()))?;
    lock.lock().map_err(SandboxError::io(doing()))?;
    if place.is_dir() {
        return Ok(place);
    }
    let _ = fs::remove_dir_all(&unfinished);
    make(&unfinished)?;
    fs::rename(&unfinished, &place).map_err(SandboxError::io(doing()))?;
    Ok(place)
}

/// Copies a directory with owners and modes, sharing its blocks where the file system can.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<(), SandboxError> {
    let output = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .args([from, to])
        .output()
        .map_err(SandboxError::io("running cp"))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(SandboxError::ToolFailed { tool: "cp".to_owned(), output })
}

/// Removes the directories, and ends the servers, whose owners are gone.
fn remove_leftovers(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(CLUSTER) && is_abandoned(&entry.path()) {
            let _ = reaper(&entry.path(), "now").stdin(Stdio::null()).status();
        }
    }
}

fn is_abandoned(cluster: &Path) -> bool {
    // A directory without its lock file is being removed by somebody else right now, or was.
    File::open(cluster.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

/// The shell that ends all servers of a cluster and removes its directory, `now` or when its
/// standard input ends. It sits in a process group of its own, out of reach of Ctrl-C.
fn reaper(cluster: &Path, when: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", include_str!("reap.sh"), "pgweir-sandbox-reaper", when])
        .arg(cluster)
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

fn open_to_all(directory: &Path) -> Result<(), SandboxError> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
        .map_err(SandboxError::io(format!("opening {}", directory.display())))
}

const CLUSTER: &str = "cluster-";
const LOCK: &str = "lock";
/// A Unix socket's path has at most 107 bytes; `/cluster-PID-N/.s.PGSQL.PORT` follows the root.
const ROOT_LENGTH_MAX: usize = 65;
