//! The session's settings (GUCs) as the client set them, apart from any server.
//!
//! Why: in transaction pooling a client's next statement may run on another server, which must then have the same
//! settings. They are kept as a map and replayed as a difference.
//!
//! Invariants: what a rolled-back transaction or savepoint set is forgotten, as in PostgreSQL; SET LOCAL never gets in; what
//! a server reports is kept as it reports it, since `SET datestyle TO ymd` means something else under another value.
//! Absent: knowledge of what a setting means, and of its canonical value: only the server knows. How the difference gets to
//! a server is in `replay`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use pgweir_sql::{Change, Scope, SettingChange};
use pgweir_wire::GucSetting;

use crate::modes::{ISOLATION, transaction_modes};
use crate::server::{Reported, is_settable};

/// How a value was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SettingValue {
    /// One string, whatever is in it: as the start-up packet gave it, or as a server reported it.
    Plain(String),
    /// In a SET statement: the text behind `=` or `TO`, as it was written.
    Sql(String),
    /// A custom setting that is there without a value of its own: SHOW finds it, and finds it empty.
    Defined,
}

/// Settings by their canonical name.
pub type SettingMap = BTreeMap<String, SettingValue>;

/// The settings of one session, with what open transactions and savepoints would undo.
#[derive(Debug)]
pub(crate) struct Settings {
    startup: Arc<SettingMap>,
    committed: Arc<SettingMap>,
    layers: Vec<Layer>,
    /// Those of SET LOCAL that shape parsing. They are never replayed.
    local: SettingMap,
}

/// What holds since a savepoint (or, without a name, since the transaction began).
#[derive(Debug)]
struct Layer {
    savepoint: Option<String>,
    values: Arc<SettingMap>,
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
        Self { committed: Arc::clone(&startup), startup, layers: Vec::new(), local: SettingMap::new() }
    }

    /// The client was told what servers make of its start-up packet.
    pub(crate) fn welcomed(&mut self, reported: &Reported) {
        self.adopt(reported, reported);
        self.startup = Arc::clone(&self.committed);
    }

    /// What the session's server must have now.
    pub(crate) fn current(&self) -> &Arc<SettingMap> {
        self.layers.last().map_or(&self.committed, |layer| &layer.values)
    }

    /// What the server at hand has, outside of transactions.
    pub(crate) fn committed(&self) -> &Arc<SettingMap> {
        &self.committed
    }

    /// Whether a setting is there that makes reads on a standby fail, or may be: a standby refuses serializable transactions.
    pub(crate) fn needs_primary(&self) -> bool {
        let isolation = self.current().get(ISOLATION).and_then(word);
        match isolation.as_deref() {
            None => self.current().contains_key(ISOLATION),
            Some("read uncommitted" | "read committed" | "repeatable read") => false,
            Some(_) => true,
        }
    }

    /// Whether transactions begin as READ COMMITTED; `None`: the session has not said.
    pub(crate) fn reads_committed(&self) -> Option<bool> {
        let value = self.current().get(ISOLATION)?;
        Some(word(value).is_some_and(|level| level == "read committed"))
    }

    /// A SET or RESET succeeded.
    pub(crate) fn apply(&mut self, change: &SettingChange) -> Kept {
        match &change.change {
            Change::Set { name, .. } | Change::Reset { name } if is_of_transaction(name) => {}
            _ if change.scope == Scope::Local => self.note_local(&change.change),
            // What the backslash means depends on a setting that may be another when this is replayed.
            Change::Set { value, .. } if value.contains('\\') => return Kept::No,
            Change::Set { .. } if self.current().len() >= SETTINGS_MAX => return Kept::No,
            Change::Set { name, value } => self.put(name, Some(SettingValue::Sql(value.clone()))),
            Change::Reset { name } => {
                let value = self.startup.get(name).cloned().or_else(|| defined(name));
                self.put(name, value);
            }
            Change::ResetAll => {
                let mut values = SettingMap::clone(&self.startup);
                values.retain(|name, _| !is_identity(name));
                let identity = self.current().iter().filter(|(name, _)| is_identity(name));
                values.extend(identity.map(|(name, value)| (name.clone(), value.clone())));
                keep_defined(self.current(), &mut values);
                *self.top() = values;
            }
            Change::TransactionDefaults { text } => {
                let Some(defaults) = transaction_modes(text) else { return Kept::No };
                for (name, value) in defaults {
                    self.put(name, Some(SettingValue::Plain(value.to_owned())));
                }
            }
            Change::Other => return Kept::No,
        }
        Kept::Yes
    }

    /// Gives a setting a value, or none. Who the session is decides about the role: it is none then.
    fn put(&mut self, name: &str, value: Option<SettingValue>) {
        let top = self.top();
        match value {
            Some(value) => top.insert(name.to_owned(), value),
            None => top.remove(name),
        };
        if name == SESSION_AUTHORIZATION {
            top.remove(ROLE);
        }
    }

    /// The values that the start-up packet gave to what is reset by this.
    pub(crate) fn restored_by<'a>(
        &'a self,
        change: &'a Change,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let resets = move |name: &str| match change {
            Change::Reset { name: reset } => reset == name,
            Change::ResetAll => !is_identity(name),
            Change::Set { .. } | Change::TransactionDefaults { .. } | Change::Other => false,
        };
        self.startup.iter().filter(move |(name, _)| resets(name)).filter_map(|(name, value)| match value {
            SettingValue::Plain(value) => Some((name.as_str(), value.as_str())),
            SettingValue::Sql(_) | SettingValue::Defined => None,
        })
    }

    /// Whether the setting is wanted with just this value.
    pub(crate) fn is_plain(&self, name: &str, value: &str) -> bool {
        matches!(self.current().get(name), Some(SettingValue::Plain(plain)) if plain == value)
    }

    /// The server says what it made of the settings: from now on these values are what the session wants. `defaults` is what
    /// it reported before any session set something; what else differs from it was set in a way that nobody saw.
    pub(crate) fn adopt(&mut self, reported: &Reported, defaults: &Reported) {
        for (name, value) in reported.iter().filter(|(name, _)| is_settable(name)) {
            let (Ok(key), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
                continue;
            };
            let key = match key.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => Cow::Owned(key.to_ascii_lowercase()),
                false => Cow::Borrowed(key),
            };
            let is = || SettingValue::Plain(value.to_owned());
            if let Some(local) = self.local.get_mut(&*key) {
                *local = is();
                continue;
            }
            let adopts = match self.current().get(&*key) {
                Some(SettingValue::Plain(known)) => known != value,
                Some(SettingValue::Defined | SettingValue::Sql(_)) => true,
                None => {
                    self.layers.is_empty()
                        && defaults.get(name).is_some_and(|default| default != value.as_bytes())
                }
            };
            if adopts {
                let values = self.layers.last_mut().map_or(&mut self.committed, |layer| &mut layer.values);
                Arc::make_mut(values).insert(key.into_owned(), is());
            }
        }
    }

    /// The server at hand says what is set in its session, by whatever means; no transaction is open. What it reports of
    /// itself is known.
    pub(crate) fn seen_on_server(&mut self, seen: Vec<(String, String)>, reported: &Reported) {
        let is_reported =
            |name: &str| reported.keys().any(|known| known.eq_ignore_ascii_case(name.as_bytes()));
        let gone = |name: &str, value: &SettingValue| {
            let listed =
                if name == ROLE { word(value).is_none_or(|role| role != "none") } else { is_listed(name) };
            listed && !is_reported(name) && !seen.iter().any(|(there, _)| there == name)
        };
        let gone = self.committed.iter().filter(|(name, value)| gone(name, value));
        let gone: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
        for name in gone {
            Arc::make_mut(&mut self.committed).remove(&name);
        }
        for (name, value) in seen.into_iter().filter(|(name, _)| !is_reported(name)) {
            let known = self.committed.get(&name);
            let same_role =
                name == ROLE && known.and_then(word).is_some_and(|role| role == value.to_ascii_lowercase());
            let value = SettingValue::Plain(value);
            if !same_role && known != Some(&value) {
                Arc::make_mut(&mut self.committed).insert(name, value);
            }
        }
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
        if let Some(defined) = defined(name)
            && !self.current().contains_key(name)
            && self.current().len() < SETTINGS_MAX
        {
            self.top().insert(name.clone(), defined);
        }
    }

    /// DISCARD ALL succeeded.
    pub(crate) fn discard_all(&mut self) {
        let mut values = SettingMap::clone(&self.startup);
        keep_defined(self.current(), &mut values);
        self.committed = Arc::new(values);
        self.local.clear();
        self.layers.clear();
    }

    /// A savepoint begins. Too many are not followed.
    pub(crate) fn savepoint(&mut self, name: &str) -> Kept {
        if self.layers.len() >= LAYERS_MAX {
            return Kept::No;
        }
        let values = Arc::clone(self.current());
        self.layers.push(Layer { savepoint: Some(name.to_owned()), values });
        Kept::Yes
    }

    pub(crate) fn rollback_to(&mut self, name: &str) {
        let Some(at) = self.position(name) else { return };
        let below = at.checked_sub(1).map_or(&self.committed, |below| &self.layers[below].values);
        let mut values = Arc::clone(below);
        keep_defined_in(self.current(), &mut values);
        self.layers.truncate(at + 1);
        self.layers[at].values = values;
    }

    pub(crate) fn release(&mut self, name: &str) {
        let Some(at) = self.position(name) else { return };
        let values = Arc::clone(self.current());
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
        for layer in std::mem::take(&mut self.layers) {
            keep_defined_in(&layer.values, &mut self.committed);
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.layers.iter().rposition(|layer| layer.savepoint.as_deref() == Some(name))
    }

    /// The map that a change goes into: that of the innermost open savepoint.
    fn top(&mut self) -> &mut SettingMap {
        if self.layers.is_empty() {
            let values = Arc::clone(&self.committed);
            self.layers.push(Layer { savepoint: None, values });
        }
        Arc::make_mut(&mut self.layers.last_mut().expect("a layer was just made").values)
    }
}

/// Savepoints that are followed in one transaction.
const LAYERS_MAX: usize = 10_000;
/// Settings that one session may have before it keeps its server.
const SETTINGS_MAX: usize = 500;

/// A custom setting, once it was named, stays: without a value it is empty.
fn defined(name: &str) -> Option<SettingValue> {
    name.contains('.').then_some(SettingValue::Defined)
}

/// Custom settings that were there stay there, whatever becomes of their values.
fn keep_defined(before: &SettingMap, values: &mut SettingMap) {
    for name in before.keys().filter(|name| name.contains('.')) {
        values.entry(name.clone()).or_insert(SettingValue::Defined);
    }
}

fn keep_defined_in(before: &SettingMap, values: &mut Arc<SettingMap>) {
    if before.keys().any(|name| name.contains('.') && !values.contains_key(name)) {
        keep_defined(before, Arc::make_mut(values));
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
            | "role"
            | "search_path"
            | "session_authorization"
            | "standard_conforming_strings"
            | "timezone"
            | "timezone_abbreviations"
            | "transform_null_equals"
            | "xmloption"
    )
}

/// Settings that say who the session is. RESET ALL leaves them alone.
pub(crate) fn is_identity(name: &str) -> bool {
    matches!(name, ROLE | SESSION_AUTHORIZATION)
}

/// Whose rights the session has.
pub(crate) const ROLE: &str = "role";
/// Who the session is: it may take any role of this one's.
pub(crate) const SESSION_AUTHORIZATION: &str = "session_authorization";

/// A value that is one word or string, in lower case.
fn word(value: &SettingValue) -> Option<String> {
    match value {
        SettingValue::Plain(text) => Some(text.to_ascii_lowercase()),
        SettingValue::Sql(text) => Some(text.trim_matches('\'').to_ascii_lowercase()),
        SettingValue::Defined => None,
    }
}

/// What is left of a server's settings after RESET ALL.
pub(crate) fn after_reset_all(settings: &SettingMap) -> Arc<SettingMap> {
    let kept = settings.iter().filter_map(|(name, value)| {
        let kept = is_identity(name).then(|| value.clone()).or_else(|| defined(name));
        Some((name.clone(), kept?))
    });
    Arc::new(kept.collect())
}

/// Whether servers list the setting among those that a session has set. Custom ones they do not.
fn is_listed(name: &str) -> bool {
    !is_identity(name) && !name.contains('.') && name != "seed"
}

/// Settings that end with the running transaction, however they are set.
fn is_of_transaction(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable")
}

/// The settings of a start-up packet.
#[must_use]
pub fn startup_settings(settings: &[GucSetting]) -> SettingMap {
    let pairs = settings.iter();
    pairs.map(|s| (s.name.to_ascii_lowercase(), SettingValue::Plain(s.value.clone()))).collect()
}

#[cfg(test)]
mod tests;
