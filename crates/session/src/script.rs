//! A simple query of several statements: what each of them changes in the books, applied when it is done.
//!
//! Why: an error in the middle stops the string. What was done before it counts if a COMMIT of the string made it so, and
//! the server says which statements were done by one CommandComplete for each.
//! Invariant: where the completions are not those of the statements we saw, the server is held, since nobody knows what it
//! has. Absent: what the changes are.

use pgweir_sql::{Classifier, Kind, Lexing, PinCause, Target, Verdict};

use crate::effect::{AfterStatement, PinReason, Step};
use crate::ledger::Owed;
use crate::session::Session;

impl AfterStatement {
    /// The books' share of a string of statements; `None` for a string that has none.
    pub(crate) fn of_string(
        text: &[u8],
        verdict: Verdict,
        classifier: &mut Classifier,
        lexing: Lexing,
    ) -> Option<Self> {
        if verdict.kind != Kind::Multi || verdict.target == Target::Standby {
            return Self::of(text, verdict);
        }
        let cut = pgweir_sql::statements(text, lexing).unwrap_or_default();
        let parts = cut.into_iter().map(|range| {
            let statement = &text[range];
            let verdict = classifier.classify(statement, lexing, None);
            Self::of(statement, verdict).unwrap_or_else(|| Self::plain(verdict.kind))
        });
        Some(Self { parts: parts.collect(), ..Self::plain(Kind::Multi) })
    }

    /// What the statement binds its session with, now that its parts are followed.
    pub(crate) fn binds(after: Option<&Self>, verdict: Verdict) -> Option<PinCause> {
        let followed = after.is_some_and(|after| !after.parts.is_empty());
        verdict
            .binds
            .filter(|cause| !(followed && matches!(cause, PinCause::MultiSet | PinCause::MultiDeallocate)))
    }

    /// Whether the statement may end with this command tag.
    fn ends_with(&self, tag: &[u8]) -> bool {
        let expected: &[&str] = match self.kind {
            Kind::Begin(_) => &["BEGIN", "START TRANSACTION"],
            Kind::Commit | Kind::CommitAndChain => &["COMMIT", "ROLLBACK"],
            Kind::Deallocate => &["DEALLOCATE"],
            Kind::Discard(_) => &["DISCARD"],
            Kind::Prepare => &["PREPARE"],
            Kind::PrepareTransaction => &["PREPARE TRANSACTION", "ROLLBACK"],
            Kind::ReleaseSavepoint => &["RELEASE"],
            Kind::Reset => &["RESET"],
            Kind::Rollback | Kind::RollbackAndChain | Kind::RollbackTo => &["ROLLBACK"],
            Kind::Savepoint => &["SAVEPOINT"],
            Kind::Set | Kind::SetTransaction => &["SET"],
            _ => return true,
        };
        expected.iter().any(|expected| tag.starts_with(expected.as_bytes()))
    }
}

impl Session {
    /// A statement is done: by itself, or as the next one of its string.
    pub(crate) fn statement_done(&mut self, after: &AfterStatement, tag: &[u8], step: &mut Step<'_>) {
        if after.parts.is_empty() {
            return self.apply(after, tag, step);
        }
        let part = after.parts.get(self.string_done).filter(|part| part.ends_with(tag));
        self.string_done += 1;
        match part {
            Some(part) => self.apply(part, tag, step),
            None => self.pin(PinReason::Statement(PinCause::MultiSet), step),
        }
    }

    /// ReadyForQuery: a string that did not fail is done to its last statement.
    pub(crate) fn string_ended(&mut self, owed: &Owed, failed: bool, step: &mut Step<'_>) {
        let done = std::mem::take(&mut self.string_done);
        if let Owed::SimpleQuery(_, Some(after)) = owed
            && !after.parts.is_empty()
            && !failed
            && done != after.parts.len()
        {
            self.pin(PinReason::Statement(PinCause::MultiSet), step);
        }
    }
}
