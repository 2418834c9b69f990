//! Settings of a model backend.

use std::collections::BTreeMap;

/// The one setting that the model reports.
const REPORTED: &str = "application_name";

#[derive(Clone, Debug)]
pub(in crate::tests) struct Gucs {
    startup: BTreeMap<String, String>,
    session: BTreeMap<String, String>,
    local: BTreeMap<String, String>,
    reported: String,
}

impl Gucs {
    pub(super) fn new(startup: &[(&str, &str)]) -> Self {
        let startup: BTreeMap<String, String> =
            startup.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reported = startup.get(REPORTED).cloned().unwrap_or_default();
        Self { session: startup.clone(), startup, local: BTreeMap::new(), reported }
    }

    pub(super) fn show(&self, name: &str) -> String {
        self.local.get(name).or_else(|| self.session.get(name)).cloned().unwrap_or_default()
    }

    /// What is set for the session, apart from transactions.
    pub(in crate::tests) fn session(&self) -> &BTreeMap<String, String> {
        &self.session
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        if name.starts_with("transaction_") {
            return self.set_local(name, value);
        }
        self.local.remove(name);
        self.session.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn set_local(&mut self, name: &str, value: &str) {
        self.local.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn reset(&mut self, name: &str) {
        self.local.remove(name);
        match self.startup.get(name) {
            Some(value) => self.session.insert(name.to_owned(), value.clone()),
            None => self.session.remove(name),
        };
    }

    pub(super) fn reset_all(&mut self) {
        self.local.clear();
        self.session = self.startup.clone();
    }

    pub(super) fn end_transaction(&mut self) {
        self.local.clear();
    }

    /// Goes back to what was, but does not forget what was reported.
    pub(super) fn restore(&mut self, before: &Self) {
        self.session = before.session.clone();
        self.local = before.local.clone();
    }

    /// What must be reported now.
    pub(super) fn changed(&mut self) -> Option<(&'static str, String)> {
        let now = self.show(REPORTED);
        if now == self.reported {
            return None;
        }
        self.reported = now.clone();
        Some((REPORTED, now))
    }
}
