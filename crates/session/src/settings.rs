//! The session's settings (GUCs) as the client set them, apart from any server.
//!
//! Why: in transaction pooling a client's next statement may run on another server, which must then have the same
//! settings. They are kept as a map and replayed as a difference.
//!
//! Invariants: what a rolled-back transaction or savepoint set is forgotten, as in PostgreSQL; SET LOCAL never gets in.
//! Absent: knowledge of what a setting means, and of its canonical value: only the server knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use pgweir_sql::{Change, Scope, SettingChange};
use pgweir_wire::GucSetting;

/// How a value was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SettingValue {
    /// In the start-up packet: one string, whatever is in it.
    Startup(String),
    /// In a SET statement: the text behind `=` or `TO`, as it was written.
    Sql(String),
}

/// Settings by their canonical name.
pub type SettingMap = BTreeMap<String, SettingValue>;

/// The settings of one session, with what open transactions and savepoints would undo.
#[derive(Debug)]
pub(crate) struct Settings {
    startup: Arc<SettingMap>,
    committed: Values,
    layers: Vec<Layer>,
    /// Those of SET LOCAL that shape parsing. They are never replayed.
    local: SettingMap,
}

/// The settings as the session wants them, and as they are on the server at hand.
///
/// Why two: `RESET` goes back to the start-up value of the client's session, but on the server, which logged in without
/// it, to the server's default.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    wanted: Arc<SettingMap>,
    on_server: Arc<SettingMap>,
}

/// What holds since a savepoint (or, without a name, since the transaction began).
#[derive(Debug)]
struct Layer {
    savepoint: Option<String>,
    values: Values,
}

/// Whether a change can be kept as a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    /// The server must be held: the change cannot be replayed.
    No,
}

impl Settings {
    pub(crate) fn new(startup: Arc<SettingMap>) -> Self {
        let committed = Values { wanted: Arc::clone(&startup), on_server: Arc::clone(&startup) };
        Self { committed, startup, layers: Vec::new(), local: SettingMap::new() }
    }

    /// What the session's server must have now.
    pub(crate) fn current(&self) -> &Arc<SettingMap> {
        &self.values().wanted
    }

    /// What the server at hand has, outside of transactions.
    pub(crate) fn on_server(&self) -> &Arc<SettingMap> {
        &self.committed.on_server
    }

    /// A server was given everything that the session wants.
    pub(crate) fn given(&mut self) {
        self.committed.on_server = Arc::clone(&self.committed.wanted);
    }

    /// Whether a setting is there that makes reads on a standby fail.
    pub(crate) fn needs_primary(&self) -> bool {
        self.current().contains_key("default_transaction_isolation")
    }

    /// A SET or RESET succeeded.
    pub(crate) fn apply(&mut self, change: &SettingChange) -> Kept {
        match &change.change {
            Change::Set { name, .. } | Change::Reset { name } if is_of_transaction(name) => {}
            _ if change.scope == Scope::Local => self.note_local(&change.change),
            Change::Set { name, .. } | Change::Reset { name } if is_identity(name) => return Kept::No,
            Change::Set { name, value } => {
                for map in self.top() {
                    map.insert(name.clone(), SettingValue::Sql(value.clone()));
                }
            }
            Change::Reset { name } => {
                let startup = self.startup.get(name).cloned();
                let [wanted, on_server] = self.top();
                on_server.remove(name);
                match startup {
                    Some(value) => wanted.insert(name.clone(), value),
                    None => wanted.remove(name),
                };
            }
            Change::ResetAll => {
                let startup = SettingMap::clone(&self.startup);
                let [wanted, on_server] = self.top();
                *wanted = startup;
                on_server.clear();
            }
            Change::TransactionDefaults { .. } | Change::Other => return Kept::No,
        }
        Kept::Yes
    }

    /// The settings that decide what a text is parsed into.
    pub(crate) fn parsing(&self) -> impl Iterator<Item = (&String, &SettingValue)> {
        self.current().iter().chain(&self.local).filter(|(name, _)| shapes_parsing(name))
    }

    /// Whether SET LOCAL changed how texts are parsed.
    pub(crate) fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// Whether the end of the transaction may change settings.
    pub(crate) fn has_open_changes(&self) -> bool {
        !self.layers.is_empty() || self.has_local()
    }

    fn note_local(&mut self, change: &Change) {
        let (name, value) = match change {
            Change::Set { name, value } => (name, value.as_str()),
            Change::Reset { name } => (name, "DEFAULT"),
            Change::ResetAll | Change::TransactionDefaults { .. } | Change::Other => return,
        };
        if shapes_parsing(name) {
            self.local.insert(name.clone(), SettingValue::Sql(value.to_owned()));
        }
    }

    /// DISCARD ALL succeeded.
    pub(crate) fn discard_all(&mut self) {
        self.local.clear();
        self.layers.clear();
        self.committed = Values { wanted: Arc::clone(&self.startup), on_server: Arc::default() };
    }

    pub(crate) fn savepoint(&mut self, name: &str) {
        let values = self.values().clone();
        self.layers.push(Layer { savepoint: Some(name.to_owned()), values });
    }

    pub(crate) fn rollback_to(&mut self, name: &str) {
        let Some(at) = self.position(name) else { return };
        let below = at.checked_sub(1).map_or(&self.committed, |below| &self.layers[below].values);
        let values = below.clone();
        self.layers.truncate(at + 1);
        self.layers[at].values = values;
    }

    pub(crate) fn release(&mut self, name: &str) {
        let Some(at) = self.position(name) else { return };
        let values = self.values().clone();
        self.layers.truncate(at);
        match self.layers.last_mut() {
            Some(layer) => layer.values = values,
            None => self.layers.push(Layer { savepoint: None, values }),
        }
    }

    pub(crate) fn commit(&mut self) {
        self.local.clear();
        if let Some(layer) = self.layers.pop() {
            self.committed = layer.values;
            self.layers.clear();
        }
    }

    pub(crate) fn rollback(&mut self) {
        self.local.clear();
        self.layers.clear();
    }

    fn values(&self) -> &Values {
        self.layers.last().map_or(&self.committed, |layer| &layer.values)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.layers.iter().rposition(|layer| layer.savepoint.as_deref() == Some(name))
    }

    /// The maps that a change goes into, wanted and on the server: those of the innermost open savepoint.
    fn top(&mut self) -> [&mut SettingMap; 2] {
        if self.layers.is_empty() {
            let values = self.committed.clone();
            self.layers.push(Layer { savepoint: None, values });
        }
        let values = &mut self.layers.last_mut().expect("a layer was just made").values;
        [Arc::make_mut(&mut values.wanted), Arc::make_mut(&mut values.on_server)]
    }
}

/// Whether a change of settings may change what a text is parsed into.
pub(crate) fn changes_parsing(change: &Change) -> bool {
    match change {
        Change::Set { name, .. } | Change::Reset { name } => shapes_parsing(name),
        Change::ResetAll | Change::Other => true,
        Change::TransactionDefaults { .. } => false,
    }
}

/// Settings under which a text may be parsed into something else: they decide how literals are read and what names mean.
fn shapes_parsing(name: &str) -> bool {
    matches!(
        name,
        "array_nulls"
            | "backslash_quote"
            | "client_encoding"
            | "datestyle"
            | "default_text_search_config"
            | "intervalstyle"
            | "lc_monetary"
            | "search_path"
            | "standard_conforming_strings"
            | "timezone"
            | "timezone_abbreviations"
            | "transform_null_equals"
            | "xmloption"
    )
}

/// Settings that stand for an identity cannot be replayed by name.
fn is_identity(name: &str) -> bool {
    matches!(name, "role" | "session_authorization")
}

/// Settings that end with the running transaction, however they are set.
fn is_of_transaction(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable")
}

/// The settings of a start-up packet.
#[must_use]
pub fn startup_settings(settings: &[GucSetting]) -> SettingMap {
    let pairs = settings.iter();
    pairs.map(|s| (s.name.to_ascii_lowercase(), SettingValue::Startup(s.value.clone()))).collect()
}

/// One simple query that takes a server from the settings `has` to the settings `wants`; `None` if they are equal.
pub(crate) fn difference(has: &Arc<SettingMap>, wants: &Arc<SettingMap>) -> Option<String> {
    if Arc::ptr_eq(has, wants) || has == wants {
        return None;
    }
    let mut query = String::new();
    for name in has.keys().filter(|name| !wants.contains_key(*name)) {
        let _ = write!(query, "RESET {};", quoted_name(name));
    }
    for (name, value) in wants.iter().filter(|(name, value)| has.get(*name) != Some(value)) {
        let _ = match value {
            SettingValue::Startup(value) => {
                write!(query, "SELECT pg_catalog.set_config({},{},false);", literal(name), literal(value))
            }
            SettingValue::Sql(value) => write!(query, "SET {} TO {value};", quoted_name(name)),
        };
    }
    Some(query)
}

/// A custom setting's name has dots, each part an identifier.
fn quoted_name(name: &str) -> String {
    let parts: Vec<String> =
        name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    parts.join(".")
}

/// A literal that reads the same whatever `standard_conforming_strings` is.
fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests;
