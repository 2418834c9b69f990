//! What one server connection's session holds, as far as we put it there or were told.
//!
//! Invariant: it travels with the connection from session to session, so it is true for whoever leases it next.

use std::collections::BTreeMap;
use std::sync::Arc;

use pgweir_sql::Lexing;

use crate::settings::SettingMap;
use crate::statements::ServerStatements;

/// The values of the settings that a server reports (ParameterStatus), by name.
pub type Reported = BTreeMap<Vec<u8>, Vec<u8>>;

/// The state of one server connection, apart from its socket.
#[derive(Debug)]
pub struct ServerState {
    pub(crate) settings: Arc<SettingMap>,
    pub(crate) statements: ServerStatements,
    pub(crate) reported: Arc<Reported>,
    /// Whether something was left here that nothing takes back: only the session that left it may use this server.
    pub(crate) beyond_reset: bool,
}

impl ServerState {
    /// The state of a connection that just logged in.
    #[must_use]
    pub fn new(settings: Arc<SettingMap>, reported: Reported) -> Self {
        Self { settings, statements: ServerStatements::default(), reported: Arc::new(reported), beyond_reset: false }
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
        let off = self.reported.get(&b"standard_conforming_strings"[..]).is_some_and(|value| value == b"off");
        Lexing { standard_conforming_strings: !off }
    }

    /// The server reported `name`.
    pub(crate) fn report(&mut self, name: &[u8], value: &[u8]) {
        Arc::make_mut(&mut self.reported).insert(name.to_vec(), value.to_vec());
    }

    /// DISCARD ALL succeeded.
    pub(crate) fn discard_all(&mut self) {
        self.settings = Arc::default();
        self.statements.clear();
    }
}
