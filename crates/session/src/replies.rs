//! From the server to the client: each reply settles its promise and goes to whoever asked.
//!
//! Invariants: a reply that was not owed ends the session and the server's use; consecutive replies that go to the
//! client unchanged are handed on as one run; rows are never looked into.

use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{BackendTag, Header, TransactionStatus, body, say};

use crate::copy::CopyIn;
use crate::dispatch::Block;
use crate::effect::Step;
use crate::endings::AtRest;
use crate::error::SessionError;
use crate::ledger::{Audience, Owed, Parsed};
use crate::provoked::Heard;
use crate::session::{Pinned, Session, linked};
use crate::terms::PoolMode;

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
    /// The server has the session's settings, or told what a statement returns, and owes nothing: the client's bytes can
    /// be looked at again.
    Prepared,
    /// The server is free: unlink it and give it back.
    Release(AtRest),
    /// As for `Release`; and give these bytes of the client again, before any others.
    Renewed(AtRest, Vec<u8>),
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

/// Replies that go to the client as they came, up to where they were looked at.
struct Run<'a> {
    input: &'a [u8],
    start: usize,
    at: usize,
}

/// What becomes of one reply.
pub(crate) enum Pass {
    Forward,
    /// As `Forward`, a notification that names this process as its sender.
    ForwardFrom(u32),
    Swallow,
    /// As `Swallow`; and what was not told yet belongs to an answer that is given up.
    GiveUp,
    /// The client gets this error instead.
    Instead(Heard),
    /// The end of a step.
    End(AfterReplies, Audience),
    /// As for `End`; and the client hears of this status.
    Ready(TransactionStatus, AfterReplies),
}

impl Pass {
    /// Whether the client gets the reply.
    const fn is_heard(&self) -> bool {
        matches!(
            self,
            Self::Forward | Self::ForwardFrom(_) | Self::End(_, Audience::Client) | Self::Ready(..)
        )
    }
}

/// The most bytes of an error that are looked into.
const ERROR_INSPECTED_MAX: usize = 8 * 1024;
/// The longest command tag or reported setting that a server may send.
const SHORT_REPLY_MAX: usize = 64 * 1024;
/// The process number with which a notification begins.
const SENDER_BYTES: usize = 4;
/// What an idle session's buffers may keep.
const SPARE_BUFFER_MAX: usize = 4 * 1024;
/// Replies held back while nothing of an answer has been shown.
const WITHHELD_MAX: usize = 64 * 1024;

impl Session {
    /// Takes the next step with the server's bytes, which begin where the last step stopped.
    ///
    /// # Errors
    /// The server broke the protocol, or the session's mode forbids what happened; the session is over.
    pub fn on_server(&mut self, input: &[u8], step: &mut Step<'_>) -> Result<ServerTook, SessionError> {
        let mut run = Run { input, start: 0, at: 0 };
        let then = loop {
            self.pass_reply_on(&mut run, step);
            self.tell_locals(&mut run, step);
            let Some((header, tag)) = self.next_reply(&input[run.at..])? else { break AfterReplies::Input };
            let end = input.len().min(run.at + header.total());
            let pass = self.reply(tag, &input[run.at + HEADER_BYTES..end], step)?;
            if tag == BackendTag::ReadyForQuery && pass.is_heard() && self.has_news() {
                self.tell_run(&mut run, step);
                self.tell_reported(step);
            }
            match pass {
                Pass::Forward => {
                    // What runs on the primary may take long, and tell how it goes on.
                    let runs = tag == BackendTag::NoticeResponse && !self.attempt.may_move();
                    if is_decisive(tag) || runs || self.ledger.is_empty() {
                        self.attempt.show(step.to_client);
                    }
                    self.reply_rest = ReplyRest::Forward(header.total());
                }
                Pass::ForwardFrom(sender) => {
                    self.attempt.show(step.to_client);
                    run.at += HEADER_BYTES;
                    self.tell_run(&mut run, step);
                    self.tell_client(&sender.to_be_bytes(), step);
                    run.at += SENDER_BYTES;
                    run.start = run.at;
                    self.reply_rest = ReplyRest::Forward(header.body - SENDER_BYTES);
                }
                Pass::Swallow => self.reply_rest = ReplyRest::Swallow(header.total()),
                Pass::GiveUp => {
                    run.start = run.at;
                    self.reply_rest = ReplyRest::Swallow(header.total());
                }
                Pass::Instead(heard) => {
                    self.attempt.show(step.to_client);
                    self.tell_run(&mut run, step);
                    heard.say(step.to_client);
                    self.reply_rest = ReplyRest::Swallow(header.total());
                }
                Pass::Ready(status, then) => {
                    self.tell_run(&mut run, step);
                    say::ready_for_query(step.to_client, status);
                    (run.start, run.at) = (end, end);
                    break then;
                }
                Pass::End(then, audience) => {
                    match (&then, audience) {
                        // What was held back of an answer that is given up was never shown.
                        (AfterReplies::SendAgain(_) | AfterReplies::Renewed(..), _) => {}
                        (_, Audience::Proxy) => self.tell_run(&mut run, step),
                        (_, Audience::Client) => {
                            self.attempt.show(step.to_client);
                            run.at = end;
                            self.tell_run(&mut run, step);
                        }
                    }
                    (run.start, run.at) = (end, end);
                    break then;
                }
            }
        };
        self.tell_run(&mut run, step);
        if matches!(then, AfterReplies::Release(_)) {
            self.attempt.relax(SPARE_BUFFER_MAX);
        }
        Ok(ServerTook { bytes: run.at, then })
    }

    /// Takes the rest of a reply that came in part.
    fn pass_reply_on(&mut self, run: &mut Run<'_>, step: &mut Step<'_>) {
        let here = run.input.len() - run.at;
        match self.reply_rest {
            ReplyRest::Nothing => {}
            ReplyRest::Forward(left) => {
                run.at += left.min(here);
                self.reply_rest =
                    if left > here { ReplyRest::Forward(left - here) } else { ReplyRest::Nothing };
            }
            ReplyRest::Swallow(left) => {
                self.tell_run(run, step);
                run.at += left.min(here);
                run.start = run.at;
                self.reply_rest =
                    if left > here { ReplyRest::Swallow(left - here) } else { ReplyRest::Nothing };
            }
        }
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
            BackendTag::RowDescription if self.ledger.head().is_some_and(Owed::is_description) => {
                header.body.min(SHORT_REPLY_MAX)
            }
            BackendTag::NotificationResponse => header.body.min(SENDER_BYTES),
            BackendTag::DataRow if self.ledger.owes_answer() => header.body.min(SHORT_REPLY_MAX),
            _ => 0,
        };
        Ok((input.len() - HEADER_BYTES >= inspected).then_some((header, tag)))
    }

    /// Tells the client the replies that were looked at.
    fn tell_run(&mut self, run: &mut Run<'_>, step: &mut Step<'_>) {
        self.tell_client(&run.input[run.start..run.at], step);
        run.start = run.at;
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
    fn tell_locals(&mut self, run: &mut Run<'_>, step: &mut Step<'_>) {
        if !matches!(self.reply_rest, ReplyRest::Nothing) {
            return;
        }
        while let Some(Owed::Local(reply, _)) = self.ledger.settle(|owed| matches!(owed, Owed::Local(..))) {
            self.tell_run(run, step);
            self.tell_client(reply, step);
            if self.ledger.is_empty() {
                self.attempt.show(step.to_client);
            }
        }
    }

    fn reply(&mut self, tag: BackendTag, body: &[u8], step: &mut Step<'_>) -> Result<Pass, SessionError> {
        let not_owed = SessionError::ServerReply { tag: tag.byte() };
        if self.link.is_none() {
            return Err(not_owed);
        }
        if self.take_answer(tag, body) {
            return Ok(Pass::Swallow);
        }
        match tag {
            BackendTag::DataRow
            | BackendTag::CopyData
            | BackendTag::CopyDone
            | BackendTag::CopyOutResponse
            | BackendTag::FunctionCallResponse
            | BackendTag::ParameterDescription => self.for_head(not_owed),
            BackendTag::RowDescription if !self.ledger.head().is_some_and(Owed::is_description) => {
                self.for_head(not_owed)
            }
            BackendTag::RowDescription | BackendTag::NoData => {
                self.shape_told(tag, body);
                self.settle(Owed::is_description, not_owed)
            }
            BackendTag::BindComplete => {
                self.settle(|owed| matches!(owed, Owed::Bind(_) | Owed::OwnBind), not_owed)
            }
            BackendTag::CloseComplete | BackendTag::ParseComplete => self.settle_statement(tag, not_owed),
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
            BackendTag::NotificationResponse if self.pinned == Pinned::No => Ok(Pass::Swallow),
            BackendTag::NotificationResponse => self.notified(body).ok_or(not_owed),
            BackendTag::Authentication
            | BackendTag::BackendKeyData
            | BackendTag::CopyBothResponse
            | BackendTag::NegotiateProtocolVersion => Err(not_owed),
        }
    }

    /// A reply that belongs to the oldest promise and does not settle it.
    fn for_head(&self, not_owed: SessionError) -> Result<Pass, SessionError> {
        match self.ledger.head() {
            Some(Owed::Execute(_) | Owed::Describe(_) | Owed::FunctionCall) => Ok(Pass::Forward),
            Some(Owed::SimpleQuery(Audience::Client, _)) => Ok(Pass::Forward),
            Some(
                Owed::SimpleQuery(Audience::Proxy, _) | Owed::OwnExecute | Owed::Restored | Owed::Shape(..),
            ) => Ok(Pass::Swallow),
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
        if let Owed::Bind(Some(statement)) | Owed::Describe(Some(statement)) = &owed {
            statement.was_used();
        }
        Ok(match owed.audience() {
            Audience::Client => Pass::Forward,
            Audience::Proxy => Pass::Swallow,
        })
    }

    /// A statement was parsed or closed.
    fn settle_statement(&mut self, tag: BackendTag, not_owed: SessionError) -> Result<Pass, SessionError> {
        let statements = &mut linked(&mut self.link).server.statements;
        match (tag, self.ledger.head()) {
            (BackendTag::ParseComplete, Some(Owed::Parse(_, _, parsed))) => match parsed {
                Parsed::Named(id) => {
                    self.proven.add(*id);
                    statements.parsed(*id);
                }
                Parsed::Unnamed(token) => statements.parsed_unnamed(*token),
                Parsed::Passing => {}
            },
            (BackendTag::CloseComplete, Some(Owed::Recount(recount))) => {
                let recount = *recount;
                self.recounted(recount);
            }
            (BackendTag::CloseComplete, Some(Owed::Close(_, id))) => {
                if let Some(id) = id {
                    statements.closed(*id);
                }
            }
            _ => return Err(not_owed),
        }
        self.settle(|_| true, not_owed)
    }

    /// A message that answers nothing: the client hears it if it is the one being answered.
    fn aside(&self) -> Pass {
        match self.ledger.head() {
            Some(owed) if owed.audience() == Audience::Client => Pass::Forward,
            // A Sync of ours ends what the client began.
            Some(Owed::Sync(_)) => Pass::Forward,
            Some(_) => Pass::Swallow,
            None if self.pinned == Pinned::No && self.status == TransactionStatus::Idle => Pass::Swallow,
            None => Pass::Forward,
        }
    }

    fn reported_now(&mut self, body: &[u8], not_owed: SessionError) -> Result<Pass, SessionError> {
        let (name, value) = body::parameter_status(body).ok_or(not_owed)?;
        let link = linked(&mut self.link);
        link.server.report(name, value);
        let lexing = link.server.lexing();
        self.read_strings_as(lexing);
        Ok(Pass::Swallow)
    }

    /// A command is done.
    fn completed(
        &mut self,
        tag: BackendTag,
        body: &[u8],
        not_owed: SessionError,
        step: &mut Step<'_>,
    ) -> Result<Pass, SessionError> {
        self.copy_ended();
        let after = match self.ledger.head() {
            Some(Owed::SimpleQuery(Audience::Proxy, _) | Owed::Restored) => return Ok(Pass::Swallow),
            Some(Owed::OwnExecute) => return self.settle(|_| true, not_owed),
            Some(Owed::SimpleQuery(Audience::Client, after) | Owed::Execute(after)) => after.clone(),
            _ => return Err(not_owed),
        };
        self.ledger.settle(|owed| matches!(owed, Owed::Execute(_)));
        if let (Some(after), BackendTag::CommandComplete) = (after, tag) {
            self.statement_done(&after, body, step);
        }
        Ok(Pass::Forward)
    }

    /// ReadyForQuery: the only word that proves rest.
    fn ready(&mut self, body: &[u8], step: &mut Step<'_>) -> Result<Pass, SessionError> {
        let not_owed = SessionError::ServerReply { tag: BackendTag::ReadyForQuery.byte() };
        let &[byte] = body else { return Err(not_owed) };
        let status = TransactionStatus::from_byte(byte).ok_or(not_owed)?;
        if let Some(pass) = self.counted(status, step) {
            return Ok(pass);
        }
        let owed = self.ledger.settle_ready().ok_or(not_owed)?;
        let failed = std::mem::replace(&mut self.outcome, Outcome::Fine) == Outcome::Failed;
        let apart = self.settle_apart(owed.audience(), failed);
        if apart.is_none() {
            self.settle_block(status, owed.audience());
        }
        if self.ledger.is_empty() {
            self.block = Block::Settled;
            self.sharing.settle();
        }
        self.copy_ended();
        self.string_ended(&owed, failed, step);
        if !failed {
            self.restore_behind_string(&owed, step);
        }
        // The client hears the end of what we put behind its query.
        let restores = matches!(self.ledger.head(), Some(Owed::Restored));
        let audience = if restores { Audience::Proxy } else { owed.audience() };
        if audience == Audience::Client {
            self.attempt.show(step.to_client);
            self.attempt.answered();
        }
        if status == TransactionStatus::InTransaction && self.settings.has_open_changes() {
            self.adopt_reported();
        }
        if status == TransactionStatus::Idle {
            let counted = if apart.is_some() { Audience::Proxy } else { audience };
            self.transaction_ended(failed, counted, step);
        } else if self.mode == PoolMode::Statement {
            return Err(SessionError::TransactionInStatementMode);
        }
        if let Some(status) = apart {
            return self.came_back(status).ok_or(not_owed);
        }
        if self.is_prepared() {
            return Ok(Pass::End(AfterReplies::Prepared, audience));
        }
        if let Owed::Question(_) = owed {
            self.conclude(step);
        }
        let held = self.pinned != Pinned::No;
        Ok(match self.proof_of_rest() {
            _ if self.take_back_lent(step) => {
                if audience == Audience::Proxy {
                    Pass::Swallow
                } else {
                    Pass::Forward
                }
            }
            Some(_) if self.must_ask() && !matches!(owed, Owed::Question(_)) => {
                self.ask(step);
                if audience == Audience::Proxy { Pass::Swallow } else { Pass::Forward }
            }
            Some(proof) if self.attempt.is_renewing() => {
                Pass::End(AfterReplies::Renewed(proof, self.attempt.take().bytes), Audience::Proxy)
            }
            Some(proof) if !held => Pass::End(AfterReplies::Release(proof), audience),
            Some(_) | None if audience == Audience::Proxy => Pass::Swallow,
            Some(_) | None => Pass::Forward,
        })
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
