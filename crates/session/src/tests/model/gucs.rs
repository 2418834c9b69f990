//! Settings of a model backend.

use std::collections::BTreeMap;

use crate::Reported;

/// The settings that the model reports, as it spells them, with their defaults.
const REPORTED: [(&str, &str); 5] = [
    ("application_name", ""),
    ("DateStyle", "ISO, MDY"),
    ("default_transaction_read_only", "off"),
    ("session_authorization", "login"),
    ("standard_conforming_strings", "on"),
];

#[derive(Clone, Debug)]
pub(in crate::tests) struct Gucs {
    startup: BTreeMap<String, String>,
    session: BTreeMap<String, String>,
    local: BTreeMap<String, String>,
    reported: Reported,
}

impl Gucs {
    pub(super) fn new(startup: &[(&str, &str)]) -> Self {
        let none = BTreeMap::new();
        let mut gucs =
            Self { session: none.clone(), startup: none.clone(), local: none, reported: Reported::new() };
        for (name, value) in startup {
            gucs.set(name, value);
        }
        gucs.startup = gucs.session.clone();
        let _told = gucs.changed();
        gucs
    }

    pub(super) fn show(&self, name: &str) -> String {
        let default = || {
            let known = REPORTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.map(|(_, default)| (*default).to_owned())
        };
        let set = self.local.get(name).or_else(|| self.session.get(name)).cloned();
        set.or_else(default).unwrap_or_default()
    }

    /// What is set for the session, apart from transactions.
    pub(in crate::tests) fn session(&self) -> &BTreeMap<String, String> {
        &self.session
    }

    /// What was reported last.
    pub(in crate::tests) fn reported(&self) -> &Reported {
        &self.reported
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        if name.starts_with("transaction_") {
            return self.set_local(name, value);
        }
        let value = self.canonical(name, value);
        self.local.remove(name);
        self.session.insert(name.to_owned(), value);
        self.changed_identity(name);
    }

    /// Who the session is decides about its role.
    fn changed_identity(&mut self, name: &str) {
        if name == "session_authorization" {
            self.local.remove("role");
            self.session.remove("role");
        }
    }

    /// As whom statements run.
    pub(super) fn identity(&self) -> String {
        let (session, role) = (self.show("session_authorization"), self.show("role"));
        if session == "login" && role.is_empty() { String::new() } else { format!(" by {session} {role}") }
    }

    pub(super) fn set_local(&mut self, name: &str, value: &str) {
        let value = self.canonical(name, value);
        self.local.insert(name.to_owned(), value);
    }

    /// A date style has two parts, and keeps the one that is not named.
    fn canonical(&self, name: &str, value: &str) -> String {
        if name != "datestyle" {
            return value.to_owned();
        }
        let before = self.show(name);
        let (mut style, mut order) = before.split_once(", ").expect("it has two parts");
        for part in value.split(", ") {
            if matches!(part, "MDY" | "YMD") {
                order = part;
            } else {
                style = part;
            }
        }
        format!("{style}, {order}")
    }

    pub(super) fn reset(&mut self, name: &str) {
        self.local.remove(name);
        match self.startup.get(name) {
            Some(value) => self.session.insert(name.to_owned(), value.clone()),
            None => self.session.remove(name),
        };
        self.changed_identity(name);
    }

    pub(super) fn reset_local(&mut self, name: &str) {
        let value = self.startup.get(name).cloned().unwrap_or_default();
        self.local.insert(name.to_owned(), value);
    }

    pub(super) fn reset_all(&mut self) {
        let identity = |name: &String| matches!(&name[..], "role" | "session_authorization");
        self.local.retain(|name, _| identity(name));
        let kept: Vec<_> = self
            .session
            .iter()
            .filter(|(name, _)| identity(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        self.session = self.startup.clone();
        self.session.extend(kept);
    }

    pub(super) fn discard_all(&mut self) {
        self.reset_all();
        self.reset("session_authorization");
    }

    pub(super) fn end_transaction(&mut self) {
        self.local.clear();
    }

    /// Goes back to what was, but does not forget what was reported.
    pub(super) fn restore(&mut self, before: &Self) {
        self.session = before.session.clone();
        self.local = before.local.clone();
    }

    /// What must be reported now, in the order of PostgreSQL.
    pub(super) fn changed(&mut self) -> Vec<(&'static str, String)> {
        let mut changed = Vec::new();
        for (name, _) in REPORTED {
            let now = self.show(&name.to_ascii_lowercase());
            if self.reported.get(name.as_bytes()).is_none_or(|was| *was != now.as_bytes()) {
                self.reported.insert(name.as_bytes().to_vec(), now.clone().into_bytes());
                changed.push((name, now));
            }
        }
        changed
    }
}
