//! Under which name a server knows a client's prepared statement.
//!
//! Why not by text and types alone: a text is parsed under settings. `timestamptz '2024-01-01'` is a moment that depends on
//! `TimeZone`, fixed when the statement is parsed, so a client must not be given what another's settings made of its text.
//! Invariant: what may have been parsed under settings that we do not know is shared with nobody.

use std::sync::Arc;

use pgweir_sql::{DiscardScope, Kind};

use crate::effect::{AfterStatement, Event, PinReason, Step};
use crate::session::{Pinned, Session};
use crate::settings::{self, SettingMap};
use crate::statements::{Salt, Statement, StatementId};

/// What a session's statements are salted with.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// The salt of these settings, so that it is not computed for each Bind.
    known: Option<(Arc<SettingMap>, Salt)>,
    change: Change,
    changes: u64,
}

/// Whether a statement that changes how texts are parsed was sent and its outcome is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Change {
    #[default]
    None,
    UnderWay,
}

impl Sharing {
    /// Everything that was sent is answered.
    pub(crate) fn settle(&mut self) {
        self.change = Change::None;
    }
}

impl Session {
    /// The name under which the server at hand has the statement, if it has it.
    pub(crate) fn server_id(&mut self, statement: &Statement) -> StatementId {
        statement.id.under(self.salt())
    }

    /// A statement is about to run that does this when it is done.
    pub(crate) fn note_change(&mut self, after: Option<&AfterStatement>, step: &mut Step<'_>) {
        let alone = after.into_iter().flat_map(AfterStatement::alone);
        step.events.extend(alone.map(|database| Event::NeedsAlone(database.into())));
        if after.is_some_and(|after| self.changes_parsing(after)) {
            self.sharing.change = Change::UnderWay;
            self.sharing.changes += 1;
        }
    }

    /// The name under which the server at hand may have the statement from before something held the session there that says
    /// nothing about how texts are parsed.
    pub(crate) fn id_before_pin(&self, statement: &Statement) -> Option<StatementId> {
        let Pinned::By(PinReason::Statement(cause)) = self.pinned else { return None };
        let known = cause.is_shown() && self.sharing.change == Change::None;
        known.then(|| statement.id.under(self.namer.salt_of_settings(self.settings.parsing())))
    }

    pub(crate) fn salt(&mut self) -> Salt {
        let alone = match self.pinned {
            Pinned::No | Pinned::By(PinReason::SessionMode) => false,
            Pinned::By(_) => true,
        };
        if alone || self.sharing.change == Change::UnderWay {
            return self.namer.salt_of_session(self.id, self.sharing.changes);
        }
        if self.settings.has_local() {
            return self.namer.salt_of_settings(self.settings.parsing());
        }
        let current = self.settings.current();
        match &self.sharing.known {
            Some((of, salt)) if Arc::ptr_eq(of, current) => *salt,
            _ => {
                let salt = self.namer.salt_of_settings(self.settings.parsing());
                self.sharing.known = Some((Arc::clone(current), salt));
                salt
            }
        }
    }

    fn changes_parsing(&self, after: &AfterStatement) -> bool {
        match after.kind {
            Kind::Set | Kind::Reset => {
                after.setting.as_ref().is_none_or(|setting| settings::changes_parsing(&setting.change))
            }
            Kind::Multi => after.parts.iter().any(|part| self.changes_parsing(part)),
            Kind::Discard(scope) => scope == DiscardScope::All && self.settings.parsing().next().is_some(),
            Kind::Commit
            | Kind::CommitAndChain
            | Kind::PrepareTransaction
            | Kind::Rollback
            | Kind::RollbackAndChain
            | Kind::RollbackTo => self.settings.has_open_changes(),
            _ => false,
        }
    }
}
