//! What clients were told that their statements return.
//!
//! Why: PostgreSQL refuses a prepared statement whose columns have changed (`cached plan must not change result type`), for
//! its client reads rows by what it was told when it prepared. A server that has to parse the statement for the first time
//! knows of no change, and its rows would be read wrongly. So it is asked first what the statement returns there, as an
//! unnamed one, in a round trip of its own; if that is something else, the client gets PostgreSQL's error.
//! A client that asks with each portal, as libpq does, is told anyway; a statement that no client was told of cannot lie.
//!
//! Invariant: what a client was told of a statement is what it gets, or an error.
//! Absent: named portals, whose columns nobody remembers; columns that changed behind our back between the Parse of one
//! client and that of another, which then share a statement.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use pgweir_wire::body::{self, BindNames};
use pgweir_wire::{BackendTag, say};

use crate::dispatch::OpenSegment;
use crate::effect::Step;
use crate::ensure::Ensured;
use crate::frames::Frames;
use crate::ledger::{Audience, Owed, Parsed};
use crate::session::{Preparing, Session, linked};
use crate::stale::tells_again;
use crate::statements::{Statement, StatementId};

/// Columns by name and type, as a number that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(u64);

impl Shape {
    /// Reads a RowDescription or NoData. Formats do not count, and where a column comes from.
    ///
    /// Manual: Message Formats, "RowDescription".
    pub(crate) fn of(tag: BackendTag, body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        if tag == BackendTag::RowDescription {
            body.get(..2).hash(&mut hasher);
            let mut rest = body.get(2..).unwrap_or_default();
            while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                let (name, column) = rest.split_at(end + 1);
                name.hash(&mut hasher);
                // Table and number there; type; its length; its modifier; format.
                column.get(6..10).hash(&mut hasher);
                column.get(12..16).hash(&mut hasher);
                rest = column.get(18..).unwrap_or_default();
            }
        }
        Self(hasher.finish() | 1)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// Which statements are checked that a server does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    /// Each, when it is used.
    Each,
    /// None: those of the whole segment were.
    Done,
}

/// Whether a client's statement may be parsed by the server at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Fine,
    /// The server is being asked what it returns there.
    Asked,
}

impl Session {
    /// The server at hand does not have this statement: looks whether it would return there what the client was told.
    pub(crate) fn check_shape(
        &mut self,
        statement: &Arc<Statement>,
        id: StatementId,
        step: &mut Step<'_>,
    ) -> Check {
        let server = &mut linked(&mut self.link).server;
        let sure = self.checks == Checks::Done || server.checked.contains(&id);
        if statement.told().is_none() || sure {
            return Check::Fine;
        }
        if self.attempt.is_hidden() && tells_again(self.attempt.bytes(), &statement.name) {
            return Check::Fine;
        }
        say::frame(step.to_server, b'P', &[b"\0", &statement.definition]);
        self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Passing));
        say::frame(step.to_server, b'D', &[b"S\0"]);
        self.ledger.promise(Owed::Shape(Arc::clone(statement), id));
        linked(&mut self.link).server.statements.forget_unnamed();
        if self.open_segment == OpenSegment::No {
            linked(&mut self.link).preparing = Preparing::Checking;
            step.to_server.extend_from_slice(say::SYNC);
            self.ledger.promise(Owed::Sync(Audience::Proxy));
        }
        Check::Asked
    }

    /// Checks what the statements of a whole segment return that the standby at hand does not have.
    pub(crate) fn check_segment(&mut self, segment: &[u8], step: &mut Step<'_>) -> Check {
        for (tag, body) in Frames(segment) {
            let name = match tag {
                b'B' => BindNames::read(body).map(|names| names.statement),
                b'D' => match body::Target::read(body) {
                    Some(body::Target::Statement(name)) => Some(name),
                    Some(body::Target::Portal(_)) | None => None,
                },
                _ => None,
            };
            let Some(statement) = name.and_then(|name| self.statements.get(name)).map(Arc::clone) else {
                continue;
            };
            if statement.told().is_none() || statement.is_outdated() {
                continue;
            }
            let id = self.server_id(&statement);
            let has = linked(&mut self.link).server.statements.has(id);
            if !has
                && !tells_again(segment, &statement.name)
                && self.check_shape(&statement, id, step) == Check::Asked
            {
                return Check::Asked;
            }
        }
        Check::Fine
    }

    /// What a statement returns was told: to the client, or to us.
    pub(crate) fn shape_told(&mut self, tag: BackendTag, body: &[u8]) {
        match self.ledger.head() {
            // It stays what it is, or the server says so: libpq asks each time, and hashing would cost it each time.
            Some(Owed::Describe(Some(statement))) if statement.told().is_none() => {
                statement.was_told(Shape::of(tag, body));
            }
            Some(Owed::Shape(statement, id)) => {
                if statement.told() == Some(Shape::of(tag, body).number()) {
                    linked(&mut self.link).server.checked.push(*id);
                } else {
                    statement.outdate();
                    self.namer.schema_changed();
                }
            }
            _ => {}
        }
    }

    /// The client's statement returns something else now: a client that asks each time gets it anew, another the error.
    pub(crate) fn outdated(&mut self, name: &[u8], step: &mut Step<'_>) -> Ensured {
        if self.attempt.is_hidden() && tells_again(self.attempt.bytes(), name) {
            self.statements.renew_one(name, &self.namer);
            return Ensured::Yes;
        }
        self.provoke_stale(step);
        Ensured::Refused
    }
}
