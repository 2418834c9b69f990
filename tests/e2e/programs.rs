//! Programs that tests run as a user would: psql, pgbench, Python, Java.
//!
//! Invariant: a program that hangs is ended, and then its test fails with all that it printed.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use pgweir_sandbox::{Cluster, wait_until};

/// Who logs in where, in libpq's environment variables.
#[derive(Clone, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) database: &'a str,
}

/// A program that is over.
pub(crate) struct Finished {
    name: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Running {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl<'a> Login<'a> {
    /// The superuser, who needs no password where everybody is trusted.
    pub(crate) fn superuser(port: u16) -> Self {
        Self { host: "127.0.0.1", port, user: "postgres", password: "", database: "postgres" }
    }

    /// The same in another database.
    pub(crate) fn database(self, database: &'a str) -> Self {
        Self { database, ..self }
    }

    /// Has the program log in this way, whatever the environment of the tests says.
    pub(crate) fn apply(&self, command: &mut Command) {
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("PG") && !name.starts_with("PGWEIR"))
        {
            command.env_remove(name);
        }
        command
            .env("PGHOST", self.host)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", self.user)
            .env("PGPASSWORD", self.password)
            .env("PGDATABASE", self.database)
            .env("PGCONNECT_TIMEOUT", "20")
            .env("PGGSSENCMODE", "disable");
    }
}

/// Starts a program of the cluster's PostgreSQL installation.
pub(crate) fn tool(cluster: &Cluster, name: &str, login: &Login<'_>, arguments: &[&str]) -> Running {
    let mut command = Command::new(cluster.primary().binaries().tool(name));
    command.args(arguments);
    login.apply(&mut command);
    Running::start(cluster.directory(), name, command)
}

/// Asks psql for the rows of a query, as lines with `|` between the columns.
pub(crate) fn psql(cluster: &Cluster, login: &Login<'_>, query: &str) -> Finished {
    tool(cluster, "psql", login, &["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query]).finish()
}

/// A file of `tests/clients`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// A path that the environment must name; without it the test cannot be run, and must not pass.
pub(crate) fn from_environment(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => {
            panic!("{variable} is not set: run this test by `./dev test`, which installs what is missing")
        }
    }
}

impl Running {
    /// Starts it, with its output in files of `directory`.
    pub(crate) fn start(directory: &Path, name: &str, mut command: Command) -> Self {
        let unique = (0..)
            .map(|number| directory.join(format!("{name}-{number}.out")))
            .find(|path| !path.exists())
            .expect("there are enough numbers");
        let (stdout, stderr) = (unique.clone(), unique.with_extension("err"));
        let create = |path: &Path| File::create(path).expect("the cluster's directory takes files");
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{name} ({}) does not start: {error}", command.get_program().display())
            });
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} is there to be interrupted", self.name);
    }

    /// Waits for its end, whatever that is.
    #[track_caller]
    pub(crate) fn finish_anyhow(mut self) -> Finished {
        let mut status = None;
        let waited = wait_until(PATIENCE, &format!("{} ends", self.name), || {
            status = self.child.try_wait().expect("our own child can be waited for");
            status.is_some()
        });
        let finished = Finished {
            name: self.name.clone(),
            status: status.unwrap_or_default(),
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        };
        assert!(waited.is_ok(), "{finished} is not over after {PATIENCE:?}");
        finished
    }

    /// Waits for its end, which must be a success.
    #[track_caller]
    pub(crate) fn finish(self) -> Finished {
        let finished = self.finish_anyhow();
        assert!(finished.status.success(), "{finished} failed");
        finished
    }
}

impl Finished {
    /// What it printed, without the last line end.
    pub(crate) fn printed(&self) -> &str {
        self.stdout.trim_end_matches('\n')
    }

    /// Asserts that it failed with this word in its complaint.
    #[track_caller]
    pub(crate) fn failed_with(&self, complaint: &str) {
        assert!(
            !self.status.success() && self.stderr.contains(complaint),
            "{self} should fail with {complaint:?}"
        );
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({})\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.name, self.status, self.stdout, self.stderr
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Far longer than any program takes here.
const PATIENCE: Duration = Duration::from_secs(120);
