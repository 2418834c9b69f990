//! RESET of what the client's start-up packet set.
//!
//! Why: in PostgreSQL the start-up value is what RESET goes back to. Servers log in without it, so theirs is another, and
//! each RESET is followed by a SET of ours. It goes out right behind, in the same transaction; the client sees neither it
//! nor what was in force between the two.
//!
//! Absent: a RESET in a string of several statements has its SET behind the whole string, so what follows in the string sees
//! the server's value.

use pgweir_sql::{Change, DiscardScope, Kind, Scope};
use pgweir_wire::say;

use crate::effect::{AfterStatement, Step};
use crate::ledger::{Audience, Owed, Parsed};
use crate::replay::{Lasting, assignment};
use crate::session::{Session, linked};

impl Session {
    /// Behind a simple query: the ReadyForQuery that the client hears is that of ours.
    pub(crate) fn restore_behind_query(&mut self, after: Option<&AfterStatement>, step: &mut Step<'_>) {
        if let Some(text) = self.restoring(after) {
            say::query(step.to_server, text.as_bytes());
            self.ledger.promise(Owed::Restored);
        }
    }

    /// Behind an Execute.
    pub(crate) fn restore_behind_execute(&mut self, after: Option<&AfterStatement>, step: &mut Step<'_>) {
        let Some(text) = self.restoring(after) else { return };
        // The client's unnamed statement is parsed again when it is used again.
        linked(&mut self.link).server.statements.forget_unnamed();
        say::frame(step.to_server, b'P', &[b"\0", text.as_bytes(), b"\0\0\0"]);
        self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Passing));
        say::frame(step.to_server, b'B', &[b"\0\0", &[0; 6]]);
        self.promise_portal(Owed::OwnBind, b"", None, None);
        say::frame(step.to_server, b'E', &[b"\0", &[0; 4]]);
        self.ledger.promise(Owed::OwnExecute);
        if after.is_some_and(|after| after.kind == Kind::Discard(DiscardScope::All)) {
            // It was committed at once: an error later in the segment must not undo what is ours.
            step.to_server.extend_from_slice(say::SYNC);
            self.ledger.promise(Owed::Sync(Audience::Proxy));
        }
    }

    /// Behind a string of several statements, when it is done: only then is it known which of them counted.
    pub(crate) fn restore_behind_string(&mut self, owed: &Owed, step: &mut Step<'_>) {
        let Owed::SimpleQuery(Audience::Client, Some(after)) = owed else { return };
        if let Some(text) = self.restoring_parts(&after.parts) {
            debug_assert!(self.ledger.is_empty(), "nothing was sent behind a string that resets");
            say::query(step.to_server, text.as_bytes());
            self.ledger.promise(Owed::Restored);
        }
    }

    fn restoring_parts(&self, parts: &[AfterStatement]) -> Option<String> {
        let changes = parts.iter().filter_map(|part| part.setting.as_ref()).map(|setting| &setting.change);
        let mut values: Vec<(&str, &str)> =
            changes.flat_map(|change| self.settings.restored_by(change)).collect();
        values.retain(|(name, value)| self.settings.is_plain(name, value));
        values.dedup();
        let calls = values.into_iter().map(|(name, value)| assignment(name, value, Lasting::Session));
        let calls: Vec<String> = calls.collect();
        (!calls.is_empty()).then(|| format!("SELECT {}", calls.join(",")))
    }

    /// The statement that gives a session its start-up values back which another took.
    fn restoring(&self, after: Option<&AfterStatement>) -> Option<String> {
        let after = after?;
        let (change, lasting) = match (after.kind, &after.setting) {
            (Kind::Set | Kind::Reset, Some(setting)) if setting.scope == Scope::Local => {
                (&setting.change, Lasting::Transaction)
            }
            (Kind::Set | Kind::Reset, Some(setting)) => (&setting.change, Lasting::Session),
            (Kind::Discard(DiscardScope::All), _) => (&Change::ResetAll, Lasting::Session),
            _ => return None,
        };
        let calls: Vec<String> =
            self.settings.restored_by(change).map(|(name, value)| assignment(name, value, lasting)).collect();
        (!calls.is_empty()).then(|| format!("SELECT {}", calls.join(",")))
    }
}
