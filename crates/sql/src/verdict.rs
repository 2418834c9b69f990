//! What the classifier answers: where a text may run, what kind of statement it is, why, and which session
//! state it leaves on its server.
//!
//! Invariant: `Target::Standby` is a proof, never a guess. Absent: nodes, and what a session makes of a verdict.

use crate::{Reason, ShapeId};

/// Everything the classifier knows about one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Where the text may run.
    pub target: Target,
    /// What the text does to the conversation.
    pub kind: Kind,
    /// Why the target is what it is.
    pub reason: Reason,
    /// Session state that the text visibly leaves on the server which runs it.
    pub binds: Option<PinCause>,
    /// Whether it may leave session state that the text does not show.
    pub leaves: Leaves,
    /// Whether its answer may depend on the transaction that it runs in.
    pub depends: Depends,
    /// The shape that it shares with other texts.
    pub shape: ShapeId,
}

/// What a statement's answer may depend on, beside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depends {
    /// On the statement alone: it may run in any transaction, or in one of its own.
    Statement,
    /// On its transaction, or nobody knows.
    Transaction,
}

/// Whether a text may leave session state that it does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaves {
    /// What it leaves, the text shows.
    Nothing,
    /// It runs code of which nobody knows what it does; only the server can tell afterwards.
    Unknown,
}

/// Where a text may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A proven read: any node gives the same answer at the same WAL position.
    Standby,
    /// Needs the primary, or nobody knows.
    Primary,
}

/// What a text is, as far as the conversation with the client depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Whitespace, comments and semicolons only.
    Empty,
    /// `BEGIN`, `START TRANSACTION`.
    Begin(BeginMode),
    /// `COMMIT`, `END`.
    Commit,
    /// `COMMIT AND CHAIN`.
    CommitAndChain,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `ROLLBACK AND CHAIN`.
    RollbackAndChain,
    /// `SAVEPOINT x`.
    Savepoint,
    /// `ROLLBACK TO x`.
    RollbackTo,
    /// `RELEASE x`.
    ReleaseSavepoint,
    /// `PREPARE TRANSACTION 'x'`.
    PrepareTransaction,
    /// `COMMIT PREPARED 'x'`.
    CommitPrepared,
    /// `ROLLBACK PREPARED 'x'`.
    RollbackPrepared,
    /// `SET x = …`, `SET LOCAL x = …`, `SET SESSION CHARACTERISTICS …`.
    Set,
    /// `RESET x`.
    Reset,
    /// `SET TRANSACTION …`: belongs to the open block only.
    SetTransaction,
    /// `SHOW x`.
    Show,
    /// `DISCARD …`.
    Discard(DiscardScope),
    /// `DEALLOCATE x`.
    Deallocate,
    /// `PREPARE x AS …`.
    Prepare,
    /// `EXECUTE x`.
    Execute,
    /// `LISTEN x`.
    Listen,
    /// `UNLISTEN x`.
    Unlisten,
    /// `NOTIFY x`.
    Notify,
    /// `DECLARE x CURSOR …`.
    Declare,
    /// `FETCH … x`.
    Fetch,
    /// `MOVE … x`.
    Move,
    /// SQL's `CLOSE x`.
    ClosePortal,
    /// `COPY …`.
    Copy(CopyDirection),
    /// `LOAD 'x'`.
    Load,
    /// `LOCK TABLE x`.
    Lock,
    /// `SELECT`, `VALUES`, `TABLE`, `WITH` whatever its end.
    Query,
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`.
    Modify,
    /// `CREATE`, `ALTER`, `DROP` and their like.
    Ddl,
    /// `CALL f()`.
    Call,
    /// `DO $$…$$`.
    Do,
    /// `EXPLAIN …`.
    Explain,
    /// `VACUUM`: refuses to run inside a transaction block.
    Vacuum,
    /// None of the above, or not understood.
    Other,
    /// More than one statement that is not empty.
    Multi,
}

/// What a `BEGIN` asked for; `None` is the session's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BeginMode {
    /// `READ ONLY` or `READ WRITE`.
    pub read_only: Option<bool>,
    /// `ISOLATION LEVEL …`.
    pub isolation: Option<Isolation>,
    /// `[NOT] DEFERRABLE`.
    pub deferrable: Option<bool>,
}

/// A transaction isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// `READ UNCOMMITTED`, which PostgreSQL runs as read committed.
    ReadUncommitted,
    /// `READ COMMITTED`.
    ReadCommitted,
    /// `REPEATABLE READ`.
    RepeatableRead,
    /// `SERIALIZABLE`, which a standby refuses.
    Serializable,
}

/// What a `DISCARD` throws away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiscardScope {
    /// The whole session state.
    All,
    /// Cached plans.
    Plans,
    /// Sequence state (`currval`, `lastval`).
    Sequences,
    /// Temporary tables.
    Temporary,
}

/// Which way a `COPY` moves rows, seen from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyDirection {
    /// `COPY … FROM`.
    In,
    /// `COPY … TO`.
    Out,
}

/// Session state that a text visibly leaves on the server which runs it. Conservative: a text may be said to
/// leave state that it does not leave, never the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PinCause {
    /// A session-level advisory lock (`pg_advisory_lock`, `pg_try_advisory_lock`).
    AdvisoryLock,
    /// A base backup that belongs to the session (`pg_backup_start`).
    Backup,
    /// A connection kept by `dblink_connect`.
    Dblink,
    /// A cursor `WITH HOLD`.
    HoldCursor,
    /// `LISTEN`.
    Listen,
    /// `LOAD`ed library.
    Load,
    /// `DEALLOCATE` within a string of several statements that cannot be followed.
    MultiDeallocate,
    /// `SET`, `RESET` or `DISCARD` within a string of several statements that cannot be followed.
    MultiSet,
    /// The random number sequence chosen by `setseed`.
    RandomSeed,
    /// A replication origin or temporary replication slot held by the session; or it is a replication connection.
    Replication,
    /// `currval` or `lastval`: the answer lives in the server that ran `nextval`.
    SequenceValue,
    /// `set_config(…)` whose last argument is not the literal `true`, or `SET` within a `DO` body.
    SetConfig,
    /// SQL-level `PREPARE x AS …`.
    SqlPrepare,
    /// A temporary table, view, sequence or other object in `pg_temp`.
    TemporaryTable,
}

impl PinCause {
    /// Every cause, for closed metric labels and documents.
    pub const ALL: [PinCause; 14] = [
        PinCause::AdvisoryLock,
        PinCause::Backup,
        PinCause::Dblink,
        PinCause::HoldCursor,
        PinCause::Listen,
        PinCause::Load,
        PinCause::MultiDeallocate,
        PinCause::MultiSet,
        PinCause::RandomSeed,
        PinCause::Replication,
        PinCause::SequenceValue,
        PinCause::SetConfig,
        PinCause::SqlPrepare,
        PinCause::TemporaryTable,
    ];

    /// Whether the server's catalogs show the state, so that its end can be seen there.
    pub const fn is_shown(self) -> bool {
        match self {
            PinCause::AdvisoryLock
            | PinCause::HoldCursor
            | PinCause::Listen
            | PinCause::SqlPrepare
            | PinCause::TemporaryTable => true,
            PinCause::Backup
            | PinCause::Dblink
            | PinCause::Load
            | PinCause::MultiDeallocate
            | PinCause::MultiSet
            | PinCause::RandomSeed
            | PinCause::Replication
            | PinCause::SequenceValue
            | PinCause::SetConfig => false,
        }
    }

    /// Whether `DISCARD ALL` leaves it where it is, so that only the end of the connection takes it back.
    pub const fn outlives_discard(self) -> bool {
        match self {
            PinCause::Backup
            | PinCause::Dblink
            | PinCause::Load
            | PinCause::RandomSeed
            | PinCause::Replication => true,
            PinCause::AdvisoryLock
            | PinCause::HoldCursor
            | PinCause::Listen
            | PinCause::MultiDeallocate
            | PinCause::MultiSet
            | PinCause::SequenceValue
            | PinCause::SetConfig
            | PinCause::SqlPrepare
            | PinCause::TemporaryTable => false,
        }
    }

    /// The stable name, for logs, metrics and the console.
    pub fn code(self) -> &'static str {
        match self {
            PinCause::AdvisoryLock => "advisory_lock",
            PinCause::Backup => "backup",
            PinCause::Dblink => "dblink",
            PinCause::HoldCursor => "hold_cursor",
            PinCause::Listen => "listen",
            PinCause::Load => "load",
            PinCause::MultiDeallocate => "multi_deallocate",
            PinCause::MultiSet => "multi_set",
            PinCause::RandomSeed => "random_seed",
            PinCause::Replication => "replication",
            PinCause::SequenceValue => "sequence_value",
            PinCause::SetConfig => "set_config",
            PinCause::SqlPrepare => "sql_prepare",
            PinCause::TemporaryTable => "temporary_table",
        }
    }
}
