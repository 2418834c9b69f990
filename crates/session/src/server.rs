//! What one server connection's session holds, as far as we put it there or were told.
//!
//! Invariant: it travels with the connection from session to session, so it is true for whoever leases it next.

use std::collections::BTreeMap;
use std::sync::Arc;

use pgweir_cluster::NodeId;
use pgweir_sql::Lexing;

use crate::accepted::AcceptedSettings;
use crate::notifiers::Notifier;
use crate::replay;
use crate::sequences::SequenceValues;
use crate::settings::{self, SettingMap};
use crate::statements::{ServerStatements, StatementId};

/// The values of the settings that a server reports (ParameterStatus), by name.
pub type Reported = BTreeMap<Vec<u8>, Vec<u8>>;

/// The state of one server connection, apart from its socket.
#[derive(Debug)]
pub struct ServerState {
    pub(crate) notifier: Notifier,
    pub(crate) settings: Arc<SettingMap>,
    pub(crate) statements: ServerStatements,
    /// Statements that would return here what the client at hand was told, though they are not here yet.
    pub(crate) checked: Vec<StatementId>,
    pub(crate) reported: Arc<Reported>,
    /// Whether something was left here that nothing takes back: only the session that left it may use this server.
    pub(crate) beyond_reset: bool,
    /// What it reported when it logged in, before any session set something.
    pub(crate) defaults: Arc<Reported>,
    /// The session that ran code here which may have set what no catalog shows.
    pub(crate) opaque_of: Option<u64>,
    pub(crate) sequences: SequenceValues,
}

impl ServerState {
    /// The state of a connection that just logged in.
    #[must_use]
    pub fn new(settings: Arc<SettingMap>, mut reported: Reported) -> Self {
        for (name, value) in &mut reported {
            if let Some(always) = said_of_all_nodes(name) {
                *value = always.to_vec();
            }
        }
        let reported = Arc::new(reported);
        Self {
            notifier: Notifier::default(),
            settings,
            statements: ServerStatements::default(),
            checked: Vec::new(),
            defaults: Arc::clone(&reported),
            reported,
            beyond_reset: false,
            opaque_of: None,
            sequences: SequenceValues::default(),
        }
    }

    /// The same, telling those who listen whose notifications it sends.
    #[must_use]
    pub fn with_notifier(self, notifier: Notifier) -> Self {
        Self { notifier, ..self }
    }

    /// The values this server last reported.
    #[must_use]
    pub fn reported(&self) -> &Arc<Reported> {
        &self.reported
    }

    /// How many prepared statements the server keeps for us.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.statements.len()
    }

    /// How this server reads string literals.
    pub(crate) fn lexing(&self) -> Lexing {
        lexing(&self.reported)
    }

    /// The server reported `name`.
    pub(crate) fn report(&mut self, name: &[u8], value: &[u8]) {
        let value = said_of_all_nodes(name).unwrap_or(value);
        if self.reported.get(name).is_none_or(|known| known != value) {
            Arc::make_mut(&mut self.reported).insert(name.to_vec(), value.to_vec());
        }
    }

    /// One simple query that gives it the settings `wants` of a session; `None` if it has them. What another session's
    /// code may have set out of sight is reset.
    pub(crate) fn query_for(&self, session: u64, wants: &Arc<SettingMap>) -> Option<String> {
        if !self.is_opaque_to(session) {
            return replay::difference(&self.settings, wants);
        }
        let kept = settings::after_reset_all(&self.settings);
        Some(["RESET ALL;", &replay::difference(&kept, wants).unwrap_or_default()].concat())
    }

    /// Whether another session's code may have set something here out of sight.
    fn is_opaque_to(&self, session: u64) -> bool {
        self.opaque_of.is_some_and(|of| of != session)
    }

    /// Whether it will take what [`Self::query_for`] gives it, for certain, and read strings afterwards as it does now.
    pub(crate) fn takes(
        &self,
        session: u64,
        wants: &SettingMap,
        node: NodeId,
        accepted: &AcceptedSettings,
    ) -> bool {
        let kept = self.is_opaque_to(session).then(|| settings::after_reset_all(&self.settings));
        let has = kept.as_ref().unwrap_or(&self.settings);
        self.lexing() == lexing(&self.defaults) && accepted.prove(node, has, wants)
    }

    /// DISCARD ALL succeeded.
    pub(crate) fn discard_all(&mut self) {
        self.settings = Arc::default();
        self.statements.clear();
        self.opaque_of = None;
        self.sequences = SequenceValues::Nobodys;
    }
}

pub(crate) fn lexing(reported: &Reported) -> Lexing {
    let off = reported.get(&b"standard_conforming_strings"[..]).is_some_and(|value| value == b"off");
    Lexing { standard_conforming_strings: !off }
}

/// What clients are told of every node alike: a proxy in front of a primary is in no recovery, whoever answers.
fn said_of_all_nodes(name: &[u8]) -> Option<&'static [u8]> {
    (name == b"in_hot_standby").then_some(b"off")
}

/// Whether a reported setting belongs to the session: others follow from the server, or from the session's role.
pub(crate) fn is_settable(name: &[u8]) -> bool {
    !matches!(
        name,
        b"in_hot_standby" | b"integer_datetimes" | b"is_superuser" | b"server_encoding" | b"server_version"
    )
}
