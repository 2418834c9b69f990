//! A server has what the client prepared, wherever it was prepared: what it lacks it is told to parse first.
//!
//! Invariant: whatever depends on a Parse or Close that may yet be skipped waits for its answer.

use std::sync::Arc;

use pgweir_wire::say;

use crate::effect::Step;
use crate::ledger::{Audience, Owed, Parsed};
use crate::session::{Session, linked};
use crate::shapes::Check;
use crate::statements::{Presence, Statement, StatementId};

/// Whether the server will have a statement when it reads what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ensured {
    Yes,
    /// Only the replies that are outstanding tell.
    Wait,
    /// The client has no such statement; an error is on its way.
    Refused,
}

impl Session {
    /// Tells the server to parse a named statement, and to close another if it has too many.
    pub(crate) fn write_parse(&mut self, statement: &Statement, id: StatementId, step: &mut Step<'_>) {
        self.make_room(id, step);
        say::frame(step.to_server, b'P', &[&id.server_name(), b"\0", &statement.definition]);
    }

    /// The server is about to parse a statement: tells it to close another if it has too many.
    pub(crate) fn make_room(&mut self, id: StatementId, step: &mut Step<'_>) {
        let limit = self.limits.server_statements_max;
        let segment = self.ledger.segment();
        let server = &mut linked(&mut self.link).server;
        server.checked.retain(|checked| *checked != id);
        let evicted = server.statements.add(id, segment, limit);
        if let Some(evicted) = evicted {
            say::frame(step.to_server, b'C', &[b"S", &evicted.server_name(), b"\0"]);
            self.ledger.promise(Owed::Close(Audience::Proxy, Some(evicted)));
        }
    }

    /// Makes sure that the server has the statement; answers under which name.
    fn ensure(&mut self, statement: &Arc<Statement>, step: &mut Step<'_>) -> (Ensured, StatementId) {
        let id = self.server_id(statement);
        let before = self.id_before_pin(statement);
        let statements = &mut linked(&mut self.link).server.statements;
        if let Some(before) = before
            && statements.touch(id) == Presence::No
            && statements.has(before)
        {
            return match statements.touch(before) {
                Presence::Since(segment) if self.ledger.in_doubt(segment) => (Ensured::Wait, before),
                _ => (Ensured::Yes, before),
            };
        }
        match statements.touch(id) {
            Presence::Yes => return (Ensured::Yes, id),
            Presence::Since(segment) if self.ledger.in_doubt(segment) => return (Ensured::Wait, id),
            Presence::Since(_) if statements.has(id) => return (Ensured::Yes, id),
            Presence::Since(_) | Presence::No => {}
        }
        if self.check_shape(statement, id, step) == Check::Asked {
            return (Ensured::Wait, id);
        }
        self.write_parse(statement, id, step);
        self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Named(id)));
        (Ensured::Yes, id)
    }

    /// Makes sure that the server's unnamed statement is this client's.
    pub(crate) fn ensure_unnamed(&mut self, step: &mut Step<'_>) -> Ensured {
        let Some(unnamed) = &self.unnamed else {
            if self.ledger.may_keep(b"") {
                return Ensured::Wait;
            }
            self.provoke("26000", "unnamed prepared statement does not exist".to_owned(), step);
            return Ensured::Refused;
        };
        let statements = &mut linked(&mut self.link).server.statements;
        match statements.unnamed(unnamed.token) {
            Presence::Since(segment) if self.ledger.in_doubt(segment) => return Ensured::Wait,
            Presence::Yes | Presence::Since(_) => return Ensured::Yes,
            Presence::No if self.ledger.may_keep(b"") => return Ensured::Wait,
            Presence::No => {}
        }
        statements.add_unnamed(unnamed.token, self.ledger.segment());
        say::frame(step.to_server, b'P', &[b"\0", &unnamed.definition]);
        self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Unnamed(unnamed.token)));
        Ensured::Yes
    }

    /// Makes sure that the server has what a client knows by this name; `None` if the client knows nothing by it.
    pub(crate) fn ensure_named(
        &mut self,
        name: &[u8],
        step: &mut Step<'_>,
    ) -> Option<(Ensured, StatementId, Arc<Statement>)> {
        let named = self.statements.named(name)?;
        let statement = Arc::clone(&named.statement);
        if self.ledger.in_doubt(named.defined_in) {
            return Some((Ensured::Wait, statement.id, statement));
        }
        let statement = if statement.is_outdated() {
            if self.outdated(name, step) == Ensured::Refused {
                return Some((Ensured::Refused, statement.id, statement));
            }
            Arc::clone(self.statements.get(name)?)
        } else {
            statement
        };
        let (ensured, id) = self.ensure(&statement, step);
        Some((ensured, id, statement))
    }
}
