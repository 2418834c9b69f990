//! The one question of our own: what does this server's session hold that its next user must not get?
//!
//! Why: a pin must end when its cause ends, and code that no text shows (functions, DO, DDL) may leave state behind. Only
//! the server's own catalogs tell, so a session at rest asks them before it lets go of a server of which it is not sure.
//! The client does not wait for the answer: it has had its ReadyForQuery, and only its next request comes behind it.
//! Invariants: every name in the question is qualified, so that no `search_path` can bend it; a question that fails holds
//! the server, and is asked again. Absent: what no catalog shows, which are custom settings (see
//! [`crate::ServerState`]), LOAD, the random seed, and what sequences answered.

use std::sync::Arc;

use pgweir_sql::{Kind, Leaves, PinCause, Reason, Target, Verdict};
use pgweir_wire::{BackendTag, ErrorFields, say};

use crate::effect::{PinReason, Step};
use crate::ledger::Owed;
use crate::session::{Pinned, Session, linked};
use crate::statements::{Presence, StatementId};

/// What is not known of the server at hand, and what it has said of it so far.
#[derive(Debug, Default)]
pub(crate) struct Inquiry {
    pub(crate) doubt: Doubt,
    found: Option<PinReason>,
    settings: Vec<(String, String)>,
    failed: bool,
}

/// Whether something ran that may have left state on the server, or ended it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Doubt {
    #[default]
    No,
    Yes,
}

impl Session {
    /// A statement is about to run: notes whether the server must be asked afterwards.
    pub(crate) fn note_doubt(&mut self, verdict: Verdict) {
        let shown = verdict.binds.is_some_and(PinCause::is_shown);
        if verdict.leaves == Leaves::Unknown {
            linked(&mut self.link).server.opaque_of = Some(self.id);
        }
        if verdict.leaves == Leaves::Unknown || shown || (self.pinned != Pinned::No && may_end_pin(verdict)) {
            self.inquiry.doubt = Doubt::Yes;
        }
    }

    /// Something is about to run of which nothing is known.
    pub(crate) fn note_unknown(&mut self) {
        linked(&mut self.link).server.opaque_of = Some(self.id);
        self.inquiry.doubt = Doubt::Yes;
    }

    /// Whether a server at rest must be asked before it can go, or be held for a reason that is over.
    pub(crate) fn must_ask(&self) -> bool {
        let useful = match self.pinned {
            Pinned::No => true,
            Pinned::By(reason) => reason.is_shown(),
        };
        self.inquiry.doubt == Doubt::Yes && useful
    }

    /// Asks. The statement stays on the server.
    pub(crate) fn ask(&mut self, step: &mut Step<'_>) {
        self.inquiry = Inquiry::default();
        let id = StatementId::QUESTION;
        let statements = &mut linked(&mut self.link).server.statements;
        statements.touch(id);
        let parsing = (!statements.has(id)).then_some(id);
        if parsing.is_some() {
            self.make_room(id, step);
            say::frame(step.to_server, b'P', &[&id.server_name(), b"\0", QUESTION.as_bytes(), b"\0\0\0"]);
        }
        say::frame(step.to_server, b'B', &[b"\0", &id.server_name(), b"\0\0\0\0\0\0\0"]);
        say::frame(step.to_server, b'E', &[b"\0\0\0\0\0"]);
        step.to_server.extend_from_slice(say::SYNC);
        self.ledger.promise(Owed::Question(parsing));
    }

    /// A reply to the question, ReadyForQuery aside; `false` if it is none.
    pub(crate) fn take_answer(&mut self, tag: BackendTag, body: &[u8]) -> bool {
        let Some(Owed::Question(parsing)) = self.ledger.head() else { return false };
        let parsing = *parsing;
        let statements = &mut linked(&mut self.link).server.statements;
        match tag {
            BackendTag::ParseComplete => {
                if let Some(id) = parsing {
                    statements.parsed(id);
                }
            }
            BackendTag::DataRow => self.inquiry.row(body),
            BackendTag::ErrorResponse => {
                // What the session may have had there is lost: the client must know.
                if ErrorFields::new(body).is_fatal() {
                    return false;
                }
                if let Some(id) = parsing
                    && statements.touch(id) != Presence::Yes
                {
                    statements.remove(id);
                }
                self.inquiry.failed = true;
            }
            BackendTag::BindComplete | BackendTag::CommandComplete => {}
            _ => return false,
        }
        true
    }

    /// The server has answered: the pin is what it says.
    pub(crate) fn conclude(&mut self, step: &mut Step<'_>) {
        let answer = std::mem::take(&mut self.inquiry);
        if answer.failed {
            self.inquiry.doubt = Doubt::Yes;
            return self.pin(PinReason::Unasked, step);
        }
        let server = &mut linked(&mut self.link).server;
        self.settings.seen_on_server(answer.settings, &server.reported);
        server.settings = Arc::clone(self.settings.committed());
        // An unnamed statement too long to be kept is on this server alone.
        let alone = self.unnamed.as_ref().is_some_and(|unnamed| unnamed.judged.is_unseen());
        let found = answer.found.or(alone.then_some(PinReason::OversizedText));
        match found {
            None => self.unpin(step),
            Some(reason) if self.pinned == Pinned::By(reason) => {}
            Some(reason) => {
                self.unpin(step);
                self.pin(reason, step);
            }
        }
    }
}

impl Inquiry {
    /// One row: what there is, and its value.
    fn row(&mut self, body: &[u8]) {
        let Some((what, value)) = columns(body) else {
            self.failed = true;
            return;
        };
        let state = |cause| Some(PinReason::Statement(cause));
        let reason = match what {
            "advisory_lock" => state(PinCause::AdvisoryLock),
            "hold_cursor" => state(PinCause::HoldCursor),
            "listen" => state(PinCause::Listen),
            "replication" => state(PinCause::Replication),
            "sql_prepare" => state(PinCause::SqlPrepare),
            "temporary_table" => state(PinCause::TemporaryTable),
            // The role, or any other.
            setting => {
                self.settings.push((setting.to_ascii_lowercase(), value.to_owned()));
                None
            }
        };
        self.found = self.found.or(reason);
    }
}

/// The two columns of a DataRow.
fn columns(body: &[u8]) -> Option<(&str, &str)> {
    let (first, rest) = column(body.strip_prefix(&[0, 2])?)?;
    let (second, rest) = column(rest)?;
    rest.is_empty().then_some((first, second))
}

fn column(body: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((str::from_utf8(value).ok()?, rest))
}

/// Whether the statement may end what holds a server: a function that leaves nothing may well take something away.
fn may_end_pin(verdict: Verdict) -> bool {
    match verdict.kind {
        Kind::Call
        | Kind::ClosePortal
        | Kind::Ddl
        | Kind::Deallocate
        | Kind::Discard(_)
        | Kind::Do
        | Kind::Execute
        | Kind::Unlisten => true,
        Kind::Multi => verdict.target == Target::Primary,
        _ => matches!(
            verdict.reason,
            Reason::FunctionBody
                | Reason::FunctionLock
                | Reason::FunctionSession
                | Reason::FunctionUnknown
                | Reason::FunctionVolatile
                | Reason::FunctionWrite
        ),
    }
}

/// Manual: System Catalogs and System Views; 2615 is `pg_namespace`.
const QUESTION: &str = "\
SELECT 'listen'::pg_catalog.text, ''::pg_catalog.text \
WHERE EXISTS (SELECT FROM pg_catalog.pg_listening_channels()) \
UNION ALL SELECT 'temporary_table', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
WHERE d.refclassid OPERATOR(pg_catalog.=) 2615::pg_catalog.oid \
AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) \
UNION ALL SELECT 'hold_cursor', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_cursor() AS c WHERE c.is_holdable) \
UNION ALL SELECT 'advisory_lock', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_lock_status() AS l \
WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) \
UNION ALL SELECT 'sql_prepare', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() AS p \
WHERE NOT pg_catalog.starts_with(p.name, 'pgweir_')) \
UNION ALL SELECT 'replication', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_get_replication_slots() AS r \
WHERE r.temporary AND r.active_pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) \
UNION ALL SELECT 'role', pg_catalog.current_setting('role') \
WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none' \
UNION ALL SELECT s.name, s.setting FROM pg_catalog.pg_show_all_settings() AS s \
WHERE s.source OPERATOR(pg_catalog.=) 'session' \
AND NOT pg_catalog.starts_with(s.name, 'transaction_')";
