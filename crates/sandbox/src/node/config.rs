//! A node's `postgresql.conf`, kept as a map and written anew at each change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use rustix::process::Signal;

use super::{CONFIG_FILE, HBA_FILE, Node, START_WITHIN, Shared, signal};
use crate::{SandboxError, wait_until};

impl Node {
    /// Changes one setting; a running server reloads it before this returns. It stays in force
    /// through restarts and rejoins. Settings that need a restart take effect with the next one.
    pub fn set(&self, name: &str, value: &str) -> Result<(), SandboxError> {
        self.config().insert(name.to_owned(), value.to_owned());
        self.write_config()?;
        let Some(postmaster) = self.postmaster() else { return Ok(()) };
        let loaded = self.query("postgres", CONFIG_LOADED)?;
        signal(&[postmaster], Signal::Hup);
        wait_until(START_WITHIN, &format!("{} reloads its settings", self.name), || {
            self.query("postgres", CONFIG_LOADED).is_ok_and(|now| now != loaded)
        })
    }

    pub(super) fn config(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_config(&self) -> Result<(), SandboxError> {
        let mut text = String::new();
        for (name, value) in self.config().iter() {
            let value = value.replace('\'', "''");
            writeln!(text, "{name} = '{value}'").expect("a String takes everything");
        }
        self.account.write(&self.home().join(CONFIG_FILE), &text)
    }
}

/// Settings for speed, for quick reactions of replication, and for pg_rewind.
pub(super) fn initial(shared: &Shared<'_>, home: &Path, port: u16) -> BTreeMap<String, String> {
    let mut config: BTreeMap<String, String> =
        FIXED_CONFIG.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut set = |name: &str, value: String| config.insert(name.to_owned(), value);
    set("port", port.to_string());
    // How a reader learns which node it reads: a proxy may take a question about `port` itself to the primary.
    set("sandbox.port", port.to_string());
    set("unix_socket_directories", shared.cluster.display().to_string());
    set("hba_file", home.join(HBA_FILE).display().to_string());
    set("cluster_name", home.file_name().map(|name| name.display().to_string()).unwrap_or_default());
    set("password_encryption", shared.settings.hba.password_encryption().to_owned());
    if shared.settings.synchronous {
        set("synchronous_standby_names", "ANY 1 (*)".to_owned());
    }
    if shared.settings.tls.is_some() {
        set("ssl", "on".to_owned());
        set("ssl_cert_file", home.join("server.crt").display().to_string());
        set("ssl_key_file", home.join("server.key").display().to_string());
        set("ssl_ca_file", home.join("ca.crt").display().to_string());
    }
    for (name, value) in &shared.settings.extra_config {
        set(name, value.clone());
    }
    config
}

const FIXED_CONFIG: [(&str, &str); 19] = [
    // Shared memory in files of the data directory goes with the directory, also after kill -9.
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("hot_standby", "on"),
    ("hot_standby_feedback", "on"),
    ("listen_addresses", "127.0.0.1"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("max_connections", "200"),
    ("max_prepared_transactions", "10"),
    ("max_replication_slots", "10"),
    ("max_wal_senders", "10"),
    ("shared_buffers", "64MB"),
    ("synchronous_commit", "on"),
    ("timezone", "UTC"),
    ("wal_keep_size", "256MB"),
    ("wal_level", "replica"),
    ("wal_log_hints", "on"),
    ("wal_receiver_status_interval", "1s"),
    ("wal_receiver_timeout", "10s"),
    ("wal_retrieve_retry_interval", "100ms"),
];
const CONFIG_LOADED: &str = "SELECT pg_conf_load_time()";
