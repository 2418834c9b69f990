//! The names of the kinds of statement, for metrics, the console and documents.
//!
//! Invariant: a name, once published, keeps its meaning.

use crate::{CopyDirection, Kind};

impl Kind {
    /// Every name, by [`Kind::index`].
    pub const CODES: [&'static str; 36] = [
        "empty",
        "begin",
        "commit",
        "rollback",
        "savepoint",
        "prepare_transaction",
        "commit_prepared",
        "rollback_prepared",
        "set",
        "reset",
        "set_transaction",
        "show",
        "discard",
        "deallocate",
        "prepare",
        "execute",
        "listen",
        "unlisten",
        "notify",
        "declare",
        "fetch",
        "move",
        "close",
        "copy_in",
        "copy_out",
        "load",
        "lock",
        "query",
        "modify",
        "ddl",
        "call",
        "do",
        "explain",
        "vacuum",
        "other",
        "multi",
    ];

    /// The name of this kind; kinds that differ only for a session share one.
    pub fn code(self) -> &'static str {
        Self::CODES[self.index()]
    }

    /// The place of its name.
    pub fn index(self) -> usize {
        match self {
            Kind::Empty => 0,
            Kind::Begin(_) => 1,
            Kind::Commit | Kind::CommitAndChain => 2,
            Kind::Rollback | Kind::RollbackAndChain => 3,
            Kind::Savepoint | Kind::RollbackTo | Kind::ReleaseSavepoint => 4,
            Kind::PrepareTransaction => 5,
            Kind::CommitPrepared => 6,
            Kind::RollbackPrepared => 7,
            Kind::Set => 8,
            Kind::Reset => 9,
            Kind::SetTransaction => 10,
            Kind::Show => 11,
            Kind::Discard(_) => 12,
            Kind::Deallocate => 13,
            Kind::Prepare => 14,
            Kind::Execute => 15,
            Kind::Listen => 16,
            Kind::Unlisten => 17,
            Kind::Notify => 18,
            Kind::Declare => 19,
            Kind::Fetch => 20,
            Kind::Move => 21,
            Kind::ClosePortal => 22,
            Kind::Copy(CopyDirection::In) => 23,
            Kind::Copy(CopyDirection::Out) => 24,
            Kind::Load => 25,
            Kind::Lock => 26,
            Kind::Query => 27,
            Kind::Modify => 28,
            Kind::Ddl => 29,
            Kind::Call => 30,
            Kind::Do => 31,
            Kind::Explain => 32,
            Kind::Vacuum => 33,
            Kind::Other => 34,
            Kind::Multi => 35,
        }
    }
}
