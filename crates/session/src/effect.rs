//! What a session tells the shell, and what a finished statement changes in the session's own books.

use std::time::Instant;

use pgweir_sql::{CopyDirection, DiscardScope, Kind, PinCause, SettingChange, Target, Verdict};
use pgweir_wire::SqlState;

/// What a session needs while it takes one step: the time, the classifier of this thread, and where bytes go.
pub struct Step<'a> {
    /// The time of this step, read once by the shell.
    pub now: Instant,
    /// The classifier of this worker.
    pub classifier: &'a mut pgweir_sql::Classifier,
    /// Bytes for the client are appended here.
    pub to_client: &'a mut Vec<u8>,
    /// Bytes for the server are appended here.
    pub to_server: &'a mut Vec<u8>,
    /// What happened, for counters and logs; the shell empties it.
    pub events: &'a mut Vec<Event>,
}

/// Something worth counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A statement went to the server.
    Dispatched(Verdict),
    /// The statement just counted had hints.
    Hinted(HintOutcome),
    /// A Parse came from the client; `true` if it had to go to the server.
    Parsed {
        /// Whether the server had to parse it, or knew it already.
        on_server: bool,
    },
    /// A Bind came from the client.
    Bound,
    /// The session now holds its server.
    Pinned(PinReason),
    /// The session no longer holds its server.
    Unpinned,
    /// A statement went to the server that needs this database for itself.
    NeedsAlone(Box<str>),
    /// A transaction (or an autocommitted statement) ended.
    TransactionEnded,
    /// A server had parsed a statement before a schema changed: it is parsed anew, and the client does not notice.
    Renewed,
    /// A standby refused as a write what was taken for a read.
    StandbyRefused,
    /// An error of the server was passed on.
    ServerError(SqlState),
}

/// What became of a statement's hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintOutcome {
    /// They hold.
    Followed,
    /// Some mean nothing.
    Ignored,
    /// The statement is no proven read, so it goes to the primary.
    Overruled,
}

/// Why a session holds its server beyond the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinReason {
    /// The statement left state on the server.
    Statement(PinCause),
    /// A query text too long to look into.
    OversizedText,
    /// A setting that cannot be replayed on another server.
    Setting,
    /// The pool mode is `session`.
    SessionMode,
    /// The server did not answer what state it holds.
    Unasked,
}

impl PinReason {
    /// A stable label for metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Statement(cause) => cause.code(),
            Self::OversizedText => "oversized_text",
            Self::Setting => "setting",
            Self::SessionMode => "session_mode",
            Self::Unasked => "unasked",
        }
    }

    /// Whether the server can tell when the reason is over.
    pub(crate) const fn is_shown(self) -> bool {
        match self {
            Self::Statement(cause) => cause.is_shown(),
            Self::OversizedText | Self::Unasked => true,
            Self::Setting | Self::SessionMode => false,
        }
    }
}

/// What a statement changes in the session's books once the server says that it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AfterStatement {
    pub(crate) kind: Kind,
    pub(crate) setting: Option<SettingChange>,
    pub(crate) name: Option<String>,
    /// Whether it names statements of the protocol, which are lent to it.
    pub(crate) borrows: bool,
    /// What the statements of a string change, in order; empty for one statement, and where nobody can tell.
    pub(crate) parts: Box<[AfterStatement]>,
}

impl AfterStatement {
    /// The books' share of `text`; `None` for the ordinary statement, which has none.
    pub(crate) fn of(text: &[u8], verdict: Verdict) -> Option<Self> {
        let kind = verdict.kind;
        let plain = Self::plain(kind);
        match kind {
            Kind::Set | Kind::Reset => Some(Self { setting: pgweir_sql::setting_change(text), ..plain }),
            Kind::Savepoint | Kind::RollbackTo | Kind::ReleaseSavepoint => {
                Some(Self { name: pgweir_sql::savepoint_name(text), ..plain })
            }
            Kind::Prepare => Some(Self { name: pgweir_sql::prepared_name(text), ..plain }),
            Kind::Deallocate => {
                let name = match pgweir_sql::deallocated(text) {
                    Some(pgweir_sql::Deallocated::Name(name)) => Some(name),
                    Some(pgweir_sql::Deallocated::All) | None => None,
                };
                Some(Self { name, ..plain })
            }
            Kind::Begin(_)
            | Kind::Commit
            | Kind::CommitAndChain
            | Kind::Rollback
            | Kind::RollbackAndChain
            | Kind::PrepareTransaction
            | Kind::Discard(_) => Some(plain),
            Kind::Ddl => Some(Self { name: pgweir_sql::database_alone(text), ..plain }),
            _ => plain.may_copy_in().then_some(plain).filter(|_| verdict.target == Target::Primary),
        }
    }

    /// A statement of which the kind is all there is to know.
    pub(crate) fn plain(kind: Kind) -> Self {
        Self { kind, setting: None, name: None, borrows: false, parts: Box::default() }
    }

    /// The databases that the statement needs for itself.
    pub(crate) fn alone(&self) -> impl Iterator<Item = &str> {
        let ddl = self.parts.iter().chain([self]).filter(|it| it.kind == Kind::Ddl);
        ddl.filter_map(|it| it.name.as_deref())
    }

    /// Whether the server may begin to read COPY data for it.
    pub(crate) const fn may_copy_in(&self) -> bool {
        matches!(self.kind, Kind::Copy(CopyDirection::In) | Kind::Multi | Kind::Other)
    }

    /// Whether it takes settings back to what they were.
    fn is_reset(&self) -> bool {
        let change = self.setting.as_ref().map(|setting| &setting.change);
        matches!(change, Some(pgweir_sql::Change::Reset { .. } | pgweir_sql::Change::ResetAll))
    }

    /// Whether it changes what statement names mean, so that requests behind it must wait until it is done.
    pub(crate) fn is_barrier(&self) -> bool {
        self.borrows
            || matches!(self.kind, Kind::Deallocate | Kind::Discard(DiscardScope::All) | Kind::Prepare)
            || self.parts.iter().any(|part| part.is_reset() || part.is_barrier())
    }
}
