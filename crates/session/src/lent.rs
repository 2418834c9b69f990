//! The protocol's statements, lent to SQL under the names that their client gave them.
//!
//! Why: in PostgreSQL one name means one statement, whether Parse or PREPARE made it. Servers know the protocol's
//! statements by other names, so a text with EXECUTE, DEALLOCATE or PREPARE in it would not find them. Instead of changing
//! the text, which would shift the positions in its errors, what it may name is parsed under the client's own names in
//! front of it, and closed behind it.
//! A statement that cannot be parsed any more is an error of the text that needs it, by the extended protocol one message
//! sooner than in PostgreSQL.
//! Invariant: no name of a client is left on a server that is given back.

use std::collections::BTreeSet;
use std::sync::Arc;

use pgweir_sql::{Kind, Target, Verdict};
use pgweir_wire::{TransactionStatus, say};

use crate::effect::Step;
use crate::ledger::{Audience, Owed, Parsed};
use crate::session::Session;
use crate::statements::{SegmentNumber, Statement};

/// Names on the server at hand that are the client's own.
#[derive(Debug, Default)]
pub(crate) struct OwnNames {
    /// Lent, and in which segment.
    lent: Vec<(String, SegmentNumber)>,
    /// Made by SQL's PREPARE, as far as its texts show.
    by_sql: BTreeSet<String>,
}

/// Whether a text finds the statements that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lending {
    /// It names none of the protocol's.
    None,
    Lent,
    /// Only the replies that are outstanding tell which there are.
    Wait,
}

impl Session {
    /// Whether a simple query names statements of the protocol.
    pub(crate) fn borrows(&self, text: &[u8], verdict: Verdict) -> bool {
        !self.lendable(text, verdict).is_empty()
    }

    /// Lends what a text names that goes to the server next.
    pub(crate) fn lend(&mut self, text: &[u8], verdict: Verdict, step: &mut Step<'_>) -> Lending {
        let lendable = self.lendable(text, verdict);
        if lendable.is_empty() {
            return Lending::None;
        }
        // In a failed block the server refuses the text before it looks for names, so nothing of ours may fail first.
        match self.status {
            TransactionStatus::Failed => return Lending::None,
            TransactionStatus::InTransaction if self.ledger.owes_ready() => return Lending::Wait,
            TransactionStatus::Idle | TransactionStatus::InTransaction => {}
        }
        let in_doubt = |name: &String| {
            let named = self.statements.named(name.as_bytes());
            named.is_some_and(|named| self.ledger.in_doubt(named.defined_in))
        };
        if lendable.iter().any(|(name, _)| in_doubt(name)) {
            return Lending::Wait;
        }
        let segment = self.ledger.segment();
        for (name, statement) in lendable {
            if self.own_names.lent.contains(&(name.clone(), segment)) {
                continue;
            }
            // An earlier segment may have left it there.
            self.close_own(&name, step);
            say::frame(step.to_server, b'P', &[name.as_bytes(), b"\0", &statement.definition]);
            self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Passing));
            self.own_names.lent.retain(|(lent, _)| *lent != name);
            self.own_names.lent.push((name, segment));
        }
        Lending::Lent
    }

    /// Closes what was lent, when everything is answered. Answers whether there was something.
    pub(crate) fn take_back_lent(&mut self, step: &mut Step<'_>) -> bool {
        if self.own_names.lent.is_empty() || !self.ledger.is_empty() {
            return false;
        }
        for (name, _) in std::mem::take(&mut self.own_names.lent) {
            self.close_own(&name, step);
        }
        step.to_server.extend_from_slice(say::SYNC);
        self.ledger.promise(Owed::Sync(Audience::Proxy));
        true
    }

    pub(crate) fn has_lent(&self) -> bool {
        !self.own_names.lent.is_empty()
    }

    /// The client closes a statement: what was lent of it must not be found under its name.
    pub(crate) fn close_lent(&mut self, name: &[u8], step: &mut Step<'_>) {
        let lent = self.own_names.lent.iter().find(|(lent, _)| lent.as_bytes() == name);
        if let Some((name, _)) = lent {
            let name = name.clone();
            self.close_own(&name, step);
        }
    }

    fn close_own(&mut self, name: &str, step: &mut Step<'_>) {
        say::frame(step.to_server, b'C', &[b"S", name.as_bytes(), b"\0"]);
        self.ledger.promise(Owed::Close(Audience::Proxy, None));
    }

    /// The protocol's statements that the text may name. A proven read names none: its words only look like it.
    fn lendable(&self, text: &[u8], verdict: Verdict) -> Vec<(String, Arc<Statement>)> {
        let reads = verdict.target == Target::Standby;
        if self.statements.len() == 0 || reads || !may_name_statements(verdict.kind) {
            return Vec::new();
        }
        let mut names = pgweir_sql::statement_names(text);
        names.sort_unstable();
        names.dedup();
        let known = names.into_iter().filter_map(|name| {
            let statement = Arc::clone(self.statements.get(name.as_bytes())?);
            Some((name, statement))
        });
        known.collect()
    }

    /// SQL's PREPARE is done.
    pub(crate) fn prepared_by_sql(&mut self, name: &str) {
        if self.own_names.by_sql.len() < BY_SQL_MAX {
            self.own_names.by_sql.insert(name.to_owned());
        }
    }

    /// A statement is gone, or all of them are.
    pub(crate) fn dropped_by_sql(&mut self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.own_names.by_sql.remove(name)),
            None => self.own_names.by_sql.clear(),
        }
    }

    /// Whether SQL's PREPARE made a statement of this name on the server at hand.
    pub(crate) fn is_prepared_by_sql(&self, name: &[u8]) -> bool {
        str::from_utf8(name).is_ok_and(|name| self.own_names.by_sql.contains(name))
    }

    /// The statement, of which every server has its own: what it means depends on what its client's names mean.
    pub(crate) fn kept_apart(&self, mut statement: Statement, kind: Kind) -> Statement {
        let text = statement.text();
        if may_name_statements(kind) && !pgweir_sql::statement_names(text).is_empty() {
            statement.keep_apart(self.namer.salt_of_session(self.id, 0));
        }
        statement
    }
}

/// Whether statements of this kind may name prepared ones.
pub(crate) const fn may_name_statements(kind: Kind) -> bool {
    matches!(kind, Kind::Ddl | Kind::Deallocate | Kind::Execute | Kind::Explain | Kind::Multi | Kind::Prepare)
}

/// Names of SQL's PREPARE that are remembered; a Parse of another that is there gets the server's own error.
const BY_SQL_MAX: usize = 1_000;
