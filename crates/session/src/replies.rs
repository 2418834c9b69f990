//! From the server to the client: each reply settles its promise and goes to whoever asked.
//!
//! Invariants: a reply that was not owed ends the session and the server's use; consecutive replies that go to the
//! client unchanged are handed on as one run; rows are never looked into.

use std::sync::Arc;

use pgweir_sql::{DiscardScope, Kind};
use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::say::{self, Complaint, Severity};
use pgweir_wire::{BackendTag, ErrorFields, Header, SqlState, TransactionStatus, body};

use crate::dispatch::{Block, CopyIn, Portals, Skipping, linked};
use crate::effect::{AfterStatement, Event, PinReason, Step};
use crate::error::SessionError;
use crate::ledger::{Audience, Owed, SkipsUntilSync};
use crate::session::{AtRest, NodeRole, Pinned, PoolMode, Preparing, Session};
use crate::settings::Kept;

/// How much of the server's bytes a step took, and what follows from them.
#[derive(Debug)]
pub struct ServerTook {
    /// Bytes that are done with.
    pub bytes: usize,
    /// What the shell does next.
    pub then: AfterReplies,
}

/// What follows from replies.
#[derive(Debug)]
pub enum AfterReplies {
    /// More bytes of the server.
    Input,
    /// The server has the session's settings: the client's bytes can be looked at again.
    Prepared,
    /// The server is free: unlink it and give it back.
    Release(AtRest),
    /// The node cannot answer: close the server, and give these bytes of the client again, before any others.
    SendAgain(Vec<u8>),
    /// The server ended its session; the client has been told, and its session ends too.
    ServerEnds,
}

/// The rest of a reply that came in part.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplyRest {
    Nothing,
    Forward(usize),
    Swallow(usize),
}

/// Whether an error came since the last ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fine,
    Failed,
}

/// What becomes of one reply.
enum Pass {
    Forward,
    Swallow,
    /// The client gets this error instead.
    Instead(Complaint<'static>, String),
    /// The end of a step.
    End(AfterReplies, Audience),
}

/// The most bytes of an error that are looked into.
const ERROR_INSPECTED_MAX: usize = 8 * 1024;
/// The longest command tag or reported setting that a server may send.
const SHORT_REPLY_MAX: usize = 64 * 1024;
/// Replies held back while nothing of an answer has been shown.
const WITHHELD_MAX: usize = 64 * 1024;

impl Session {
    /// Takes the next step with the server's bytes, which begin where the last step stopped.
    ///
    /// # Errors
    /// The server broke the protocol, or the session's mode forbids what happened; the session is over.
    pub fn on_server(&mut self, input: &[u8], step: &mut Step<'_>) -> Result<ServerTook, SessionError> {
        let mut run = 0;
        let mut at = 0;
        let then = loop {
            match self.reply_rest {
                ReplyRest::Nothing => {}
                ReplyRest::Forward(left) => {
                    let taken = left.min(input.len() - at);
                    at += taken;
                    self.reply_rest =
                        if left > taken { ReplyRest::Forward(left - taken) } else { ReplyRest::Nothing };
                }
                ReplyRest::Swallow(left) => {
                    self.tell_client(&input[run..at], step);
                    let taken = left.min(input.len() - at);
                    at += taken;
                    run = at;
                    self.reply_rest =
                        if left > taken { ReplyRest::Swallow(left - taken) } else { ReplyRest::Nothing };
                }
            }
            let Some((header, tag)) = self.next_reply(&input[at..])? else { break AfterReplies::Input };
            let body = &input[at + HEADER_BYTES..input.len().min(at + header.total())];
            match self.reply(tag, body, step)? {
                Pass::Forward => {
                    if is_decisive(tag) || self.ledger.is_empty() {
                        self.attempt.show(step.to_client);
                    }
                    self.reply_rest = ReplyRest::Forward(header.total());
                    if matches!(self.ledger.head(), Some(Owed::Local(..))) {
                        (at, run) = self.run_ends(input, run, at, step);
                        self.tell_locals(step);
                    }
                }
                Pass::Swallow => self.reply_rest = ReplyRest::Swallow(header.total()),
                Pass::Instead(complaint, message) => {
                    self.attempt.show(step.to_client);
                    self.tell_client(&input[run..at], step);
                    run = at;
                    say::error(step.to_client, &Complaint { message: &message, ..complaint });
                    self.reply_rest = ReplyRest::Swallow(header.total());
                }
                Pass::End(then, Audience::Client) => {
                    self.attempt.show(step.to_client);
                    at += body.len() + HEADER_BYTES;
                    break then;
                }
                Pass::End(then, Audience::Proxy) => {
                    // What was held back of an answer that is given up was never shown.
                    if !matches!(then, AfterReplies::SendAgain(_)) {
                        self.tell_client(&input[run..at], step);
                    }
                    at += body.len() + HEADER_BYTES;
                    run = at;
                    break then;
                }
            }
        };
        self.tell_client(&input[run..at], step);
        if matches!(then, AfterReplies::Release(_)) {
            self.attempt.relax(4096);
        }
        Ok(ServerTook { bytes: at, then })
    }

    /// The next reply, if enough of it is there to be judged.
    fn next_reply(&self, input: &[u8]) -> Result<Option<(Header, BackendTag)>, SessionError> {
        let Some(header) = Header::read(input).map_err(SessionError::ServerFrame)? else { return Ok(None) };
        let unknown = SessionError::ServerReply { tag: header.tag };
        let tag = BackendTag::from_byte(header.tag).ok_or(unknown)?;
        let inspected = match tag {
            BackendTag::CommandComplete | BackendTag::ParameterStatus | BackendTag::ReadyForQuery => {
                if header.body > SHORT_REPLY_MAX {
                    return Err(unknown);
                }
                header.body
            }
            BackendTag::ErrorResponse => header.body.min(ERROR_INSPECTED_MAX),
            _ => 0,
        };
        Ok((input.len() - HEADER_BYTES >= inspected).then_some((header, tag)))
    }

    /// Puts the run, with the part of the current reply that is here, before what we say ourselves.
    fn run_ends(&mut self, input: &[u8], run: usize, at: usize, step: &mut Step<'_>) -> (usize, usize) {
        let ReplyRest::Forward(total) = self.reply_rest else { return (at, run) };
        let end = input.len().min(at + total);
        self.reply_rest = match at + total - end {
            0 => ReplyRest::Nothing,
            left => ReplyRest::Forward(left),
        };
        self.tell_client(&input[run..end], step);
        (end, end)
    }

    /// Gives the client bytes, or holds them back while nothing has been shown.
    pub(crate) fn tell_client(&mut self, bytes: &[u8], step: &mut Step<'_>) {
        if bytes.is_empty() {
            return;
        }
        if self.attempt.is_hidden() {
            self.attempt.withhold(bytes, WITHHELD_MAX, step.to_client);
        } else {
            step.to_client.extend_from_slice(bytes);
        }
    }

    /// Makes the replies of our own whose turn has come.
    fn tell_locals(&mut self, step: &mut Step<'_>) {
        while let Some(Owed::Local(reply, _)) = self.ledger.settle(|owed| matches!(owed, Owed::Local(..))) {
            self.tell_client(reply, step);
        }
        if self.ledger.is_empty() {
            self.attempt.show(step.to_client);
        }
    }

    fn reply(&mut self, tag: BackendTag, body: &[u8], step: &mut Step<'_>) -> Result<Pass, SessionError> {
        self.ledger.skip_copy_ends();
        let not_owed = SessionError::ServerReply { tag: tag.byte() };
        match tag {
            BackendTag::DataRow
            | BackendTag::CopyData
            | BackendTag::CopyDone
            | BackendTag::CopyOutResponse
            | BackendTag::FunctionCallResponse
            | BackendTag::ParameterDescription => self.for_head(not_owed),
            BackendTag::RowDescription => self
                .ledger
                .settle(|owed| matches!(owed, Owed::Describe))
                .map_or_else(|| self.for_head(not_owed), |_| Ok(Pass::Forward)),
            BackendTag::NoData => self.settle(|owed| matches!(owed, Owed::Describe), not_owed),
            BackendTag::ParseComplete => self.settle(|owed| matches!(owed, Owed::Parse(..)), not_owed),
            BackendTag::BindComplete => self.settle(|owed| matches!(owed, Owed::Bind), not_owed),
            BackendTag::CloseComplete => self.settle(|owed| matches!(owed, Owed::Close(..)), not_owed),
            BackendTag::PortalSuspended => self.settle(|owed| matches!(owed, Owed::Execute(_)), not_owed),
            BackendTag::CommandComplete | BackendTag::EmptyQueryResponse => {
                self.completed(tag, body, not_owed, step)
            }
            BackendTag::CopyInResponse => {
                let ended = self.ledger.copy_in_begun();
                self.copy_in = if ended { CopyIn::No } else { CopyIn::Active };
                self.for_head(not_owed)
            }
            BackendTag::ErrorResponse => self.failed(body, step),
            BackendTag::ReadyForQuery => self.ready(body, step),
            BackendTag::ParameterStatus => self.reported_now(body, not_owed),
            BackendTag::NoticeResponse => Ok(self.aside()),
            BackendTag::NotificationResponse => {
                Ok(if self.pinned == Pinned::No { Pass::Swallow } else { Pass::Forward })
            }
            BackendTag::Authentication
            | BackendTag::BackendKeyData
            | BackendTag::CopyBothResponse
            | BackendTag::NegotiateProtocolVersion => Err(not_owed),
        }
    }

    /// A reply that belongs to the oldest promise and does not settle it.
    fn for_head(&self, not_owed: SessionError) -> Result<Pass, SessionError> {
        match self.ledger.head() {
            Some(Owed::Execute(_) | Owed::Describe | Owed::FunctionCall) => Ok(Pass::Forward),
            Some(Owed::SimpleQuery(Audience::Client, _)) => Ok(Pass::Forward),
            Some(Owed::SimpleQuery(Audience::Proxy, _)) => Ok(Pass::Swallow),
            _ => Err(not_owed),
        }
    }

    /// A reply that settles the oldest promise.
    fn settle(
        &mut self,
        expected: impl FnOnce(&Owed) -> bool,
        not_owed: SessionError,
    ) -> Result<Pass, SessionError> {
        let owed = self.ledger.settle(expected).ok_or(not_owed)?;
        Ok(match owed.audience() {
            Audience::Client => Pass::Forward,
            Audience::Proxy => Pass::Swallow,
        })
    }

    /// A message that answers nothing: the client hears it if it is the one being answered.
    fn aside(&self) -> Pass {
        match self.ledger.head() {
            Some(owed) if owed.audience() == Audience::Client => Pass::Forward,
            Some(_) => Pass::Swallow,
            None if self.pinned == Pinned::No && self.status == TransactionStatus::Idle => Pass::Swallow,
            None => Pass::Forward,
        }
    }

    fn reported_now(&mut self, body: &[u8], not_owed: SessionError) -> Result<Pass, SessionError> {
        let (name, value) = body::parameter_status(body).ok_or(not_owed)?;
        let link = linked(&mut self.link);
        link.server.report(name, value);
        self.lexing = link.server.lexing();
        Ok(self.aside())
    }

    /// A command is done.
    fn completed(
        &mut self,
        tag: BackendTag,
        body: &[u8],
        not_owed: SessionError,
        step: &mut Step<'_>,
    ) -> Result<Pass, SessionError> {
        self.copy_in = CopyIn::No;
        let after = match self.ledger.head() {
            Some(Owed::SimpleQuery(Audience::Proxy, _)) => return Ok(Pass::Swallow),
            Some(Owed::SimpleQuery(Audience::Client, after) | Owed::Execute(after)) => after.clone(),
            _ => return Err(not_owed),
        };
        self.ledger.settle(|owed| matches!(owed, Owed::Execute(_)));
        if let (Some(after), BackendTag::CommandComplete) = (after, tag) {
            self.apply(&after, body, step);
        }
        Ok(Pass::Forward)
    }

    /// Writes into the books what a finished statement changed.
    fn apply(&mut self, after: &AfterStatement, command_tag: &[u8], step: &mut Step<'_>) {
        let name = after.name.as_deref();
        match (after.kind, name) {
            (Kind::Set | Kind::Reset, _) => {
                let kept = after.setting.as_ref().map_or(Kept::No, |change| self.settings.apply(change));
                if kept == Kept::No {
                    self.pin(PinReason::Setting, step);
                }
            }
            (Kind::Savepoint, Some(name)) => self.settings.savepoint(name),
            (Kind::RollbackTo, Some(name)) => self.settings.rollback_to(name),
            (Kind::ReleaseSavepoint, Some(name)) => self.settings.release(name),
            (Kind::Commit | Kind::CommitAndChain | Kind::PrepareTransaction, _) => {
                if command_tag.starts_with(b"ROLLBACK") {
                    self.settings.rollback();
                } else {
                    self.settings.commit();
                }
            }
            (Kind::Rollback | Kind::RollbackAndChain, _) => self.settings.rollback(),
            (Kind::Discard(DiscardScope::All), _) => {
                self.settings.discard_all();
                self.statements.clear();
                self.unnamed = None;
                linked(&mut self.link).server.discard_all();
                self.unpin(step);
            }
            (Kind::Deallocate, None) => {
                self.statements.clear();
                linked(&mut self.link).server.statements.clear();
            }
            (Kind::Ddl, _) => self.namer.schema_changed(),
            _ => {}
        }
    }

    /// An error: decides whether the client sees it, and drops what the server will not answer any more.
    fn failed(&mut self, body: &[u8], step: &mut Step<'_>) -> Result<Pass, SessionError> {
        let fields = ErrorFields::new(body);
        let head = self.ledger.head();
        if let Some(Owed::SimpleQuery(Audience::Proxy, _)) = head {
            self.refused = Some(body.to_vec());
            return Err(SessionError::SettingsRefused);
        }
        if is_stale_statement(fields) {
            self.namer.schema_changed();
        }
        let link = linked(&mut self.link);
        if link.role == NodeRole::Standby && self.attempt.is_hidden() && node_is_at_fault(fields.sqlstate()) {
            let node = link.node;
            self.attempt.tried.insert(node);
            let bytes = self.take_back();
            return Ok(Pass::End(AfterReplies::SendAgain(bytes), Audience::Proxy));
        }
        let instead = match head {
            Some(Owed::Provoked(provoked)) => Some((provoked.sqlstate, provoked.message.clone())),
            _ => None,
        };
        self.copy_in = CopyIn::No;
        self.outcome = Outcome::Failed;
        self.drop_failed();
        step.events.push(Event::ServerError(fields.sqlstate()));
        if fields.is_fatal() {
            return Ok(Pass::End(AfterReplies::ServerEnds, Audience::Client));
        }
        Ok(instead.map_or(Pass::Forward, |(sqlstate, message)| {
            Pass::Instead(Complaint { severity: Severity::Error, sqlstate, message: "", hint: None }, message)
        }))
    }

    /// Drops the promises that an error makes void, and undoes what they would have named.
    fn drop_failed(&mut self) {
        let Self { ledger, statements, unnamed, link, .. } = self;
        let server = &mut linked(link).server.statements;
        let skips = ledger.fail(|owed| match owed {
            Owed::Parse(_, change, id) => {
                if let Some(change) = change {
                    statements.undo(*change);
                }
                match id {
                    Some(id) => server.remove(id),
                    None => {
                        server.unnamed = None;
                        *unnamed = None;
                    }
                }
            }
            Owed::Local(_, Some(change)) => statements.undo(*change),
            Owed::Close(Audience::Proxy, Some(id)) => {
                // The server still has it, one more than the limit says.
                server.add(id, usize::MAX);
            }
            Owed::Bind
            | Owed::Close(..)
            | Owed::CopyEnd
            | Owed::Describe
            | Owed::Execute(_)
            | Owed::FunctionCall
            | Owed::Local(_, None)
            | Owed::Provoked(_)
            | Owed::SimpleQuery(..)
            | Owed::Sync(_) => {}
        });
        if skips == SkipsUntilSync::Yes {
            self.skipping = Skipping::Server;
        }
    }

    /// ReadyForQuery: the only word that proves rest.
    fn ready(&mut self, body: &[u8], step: &mut Step<'_>) -> Result<Pass, SessionError> {
        let not_owed = SessionError::ServerReply { tag: BackendTag::ReadyForQuery.byte() };
        let &[byte] = body else { return Err(not_owed) };
        let status = TransactionStatus::from_byte(byte).ok_or(not_owed)?;
        let audience = self.ledger.settle_ready().ok_or(not_owed)?.audience();
        // The end of a COPY that the client sent before it knew that the COPY had begun.
        self.ledger.skip_copy_ends();
        self.status = status;
        self.block = Block::Settled;
        self.copy_in = CopyIn::No;
        if self.ledger.is_empty() {
            self.sharing.settle();
        }
        let failed = std::mem::replace(&mut self.outcome, Outcome::Fine) == Outcome::Failed;
        if audience == Audience::Client {
            self.attempt.show(step.to_client);
            self.attempt.answered();
        }
        if status == TransactionStatus::Idle {
            self.transaction_ended(failed, audience, step);
        } else if self.mode == PoolMode::Statement {
            return Err(SessionError::TransactionInStatementMode);
        }
        let link = linked(&mut self.link);
        if link.preparing == Preparing::Settings {
            link.preparing = Preparing::No;
            self.lexing = link.server.lexing();
            return Ok(Pass::End(AfterReplies::Prepared, audience));
        }
        link.preparing = Preparing::No;
        let held = self.pinned != Pinned::No;
        Ok(match self.proof_of_rest() {
            Some(proof) if !held => Pass::End(AfterReplies::Release(proof), audience),
            Some(_) | None if audience == Audience::Proxy => Pass::Swallow,
            Some(_) | None => Pass::Forward,
        })
    }

    /// The server is in no transaction: what was set is kept or forgotten, and what was written counts.
    fn transaction_ended(&mut self, failed: bool, audience: Audience, step: &mut Step<'_>) {
        if failed {
            self.settings.rollback();
        } else {
            self.settings.commit();
        }
        let current = Arc::clone(self.settings.current());
        linked(&mut self.link).server.settings = current;
        self.portals = Portals::default();
        if self.writes.open {
            self.writes.open = false;
            self.writes.last = Some(step.now);
        }
        if audience == Audience::Client {
            step.events.push(Event::TransactionEnded);
        }
    }
}

/// Whether this reply shows the client something that cannot be taken back.
const fn is_decisive(tag: BackendTag) -> bool {
    !matches!(
        tag,
        BackendTag::BindComplete
            | BackendTag::CloseComplete
            | BackendTag::NoData
            | BackendTag::NoticeResponse
            | BackendTag::ParameterDescription
            | BackendTag::ParameterStatus
            | BackendTag::ParseComplete
            | BackendTag::RowDescription
    )
}

/// Whether the error says that a prepared statement would now return other columns, since a schema changed: clients
/// that know of this prepare it again.
fn is_stale_statement(fields: ErrorFields<'_>) -> bool {
    &fields.sqlstate().0 == b"0A000" && fields.routine() == Some(b"RevalidateCachedQuery")
}

/// Whether the error says that this standby cannot answer now, and another node may.
///
/// Manual: Appendix A; Hot Standby, "Handling Query Conflicts".
fn node_is_at_fault(sqlstate: SqlState) -> bool {
    matches!(
        &sqlstate.0,
        b"25006" | b"40001" | b"53300" | b"55000" | b"57P01" | b"57P02" | b"57P03" | b"0A000"
    )
}
