//! From the client to the server: each message becomes bytes for the server and a promise in the ledger.
//!
//! Invariant: a message is sent with its promise or not at all; a statement name of a client never reaches a server,
//! which knows statements by their content.

use std::sync::Arc;

use pgweir_sql::{Kind, PinCause, Reason, Target, Verdict};
use pgweir_wire::body::{self, Parse};
use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{FrontendTag, Header, TransactionStatus, say};

use crate::attempt::InFlight;
use crate::effect::{AfterStatement, Event, HintOutcome, PinReason, Step};
use crate::error::SessionError;
use crate::ledger::{Audience, Owed};
use crate::malformed;
use crate::replies::ReplyRest;
use crate::route::RefusedRoute;
use crate::segment::{Extent, Segment};
use crate::session::{Advance, Next, Session, linked};
use crate::terms::NodeRole;

/// What becomes of the rest of a message that came in part.
#[derive(Debug)]
pub(crate) enum Passing {
    Nothing,
    Forward(usize),
    Swallow(usize),
}

/// What an extended-query segment without its Sync has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OpenSegment {
    No,
    /// Statements were prepared or described: it can end anywhere without a trace.
    Prepared,
    /// A portal was bound or run.
    Executed,
}

/// Whether a transaction block on a standby may have begun or ended of which ReadyForQuery has not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Settled,
    Beginning,
    /// A block on a standby may be over: what follows may need the primary.
    Ending,
}

/// Whether requests are ignored up to the next Sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipping {
    No,
    /// The server ignores them: only the Sync is sent.
    Server,
    /// We refused the segment without a server: we answer the Sync.
    Alone,
}

impl Session {
    /// Passes on, or swallows, the rest of a message that came in part.
    pub(crate) fn pass(&mut self, rest: &[u8], step: &mut Step<'_>) -> usize {
        let (left, swallows) = match self.passing {
            Passing::Nothing => return 0,
            Passing::Forward(left) => (left, false),
            Passing::Swallow(left) => (left, true),
        };
        let taken = left.min(rest.len());
        if !swallows {
            step.to_server.extend_from_slice(&rest[..taken]);
        }
        self.passing = match left - taken {
            0 => Passing::Nothing,
            left if swallows => Passing::Swallow(left),
            left => Passing::Forward(left),
        };
        taken
    }

    /// Sends the segment that was scanned, which a standby may run, and keeps it to be sent again.
    pub(crate) fn dispatch_segment(
        &mut self,
        rest: &[u8],
        step: &mut Step<'_>,
    ) -> Result<Advance, SessionError> {
        let segment = &rest[..self.segment.scanned];
        let answered = !self.ledger.owes_client() && matches!(self.reply_rest, ReplyRest::Nothing);
        let in_flight = if answered { InFlight::Nothing } else { InFlight::Something };
        self.attempt.begin(segment, in_flight, self.limits.segment_bytes_max, step.to_client);
        let mut at = 0;
        while at < segment.len() {
            match self.forward(&segment[at..], step)? {
                Advance::By(taken) => at += taken,
                Advance::Until(_) => {
                    unreachable!("a scanned segment is complete, holds no Terminate, and waits for nothing")
                }
            }
            at += self.pass(&segment[at..], step);
        }
        Ok(Advance::By(at))
    }

    /// Answers a segment that needs no server.
    pub(crate) fn answer_alone(&mut self, rest: &[u8], step: &mut Step<'_>) -> Result<Advance, SessionError> {
        let segment = std::mem::replace(&mut self.segment, Segment::new());
        let mut at = 0;
        while let Some(header) =
            Header::read(&rest[at..segment.scanned]).map_err(SessionError::ClientFrame)?
        {
            let body = &rest[at + HEADER_BYTES..at + header.total()];
            if let (b'P', Some(parse)) = (header.tag, body::Parse::read(body)) {
                self.define_proven(parse, step);
            }
            if let (b'C', Some(body::Target::Statement(name))) = (header.tag, body::Target::read(body)) {
                self.forget(name);
                step.to_client.extend_from_slice(say::CLOSE_COMPLETE);
            }
            at += header.total();
        }
        if segment.extent == Extent::Ended {
            say::ready_for_query(step.to_client, self.status);
        }
        Ok(Advance::By(at))
    }

    /// Sends the next message to the server at hand.
    pub(crate) fn forward(&mut self, rest: &[u8], step: &mut Step<'_>) -> Result<Advance, SessionError> {
        self.segment = Segment::new();
        self.send_held(step);
        let Some(header) = Header::read(rest).map_err(SessionError::ClientFrame)? else {
            return Ok(Advance::Until(Next::Input));
        };
        let tag = FrontendTag::from_byte(header.tag).ok_or(SessionError::ClientTag(header.tag))?;
        if self.skipping != Skipping::No {
            return Ok(self.skip(tag, header, step));
        }
        if self.copy_in.is_read() {
            return Ok(self.copy_message(tag, header));
        }
        match tag {
            FrontendTag::Bind => self.bind(rest, header, step),
            FrontendTag::CopyData | FrontendTag::CopyDone | FrontendTag::CopyFail => {
                Ok(self.early_copy_message(tag, header))
            }
            FrontendTag::FunctionCall => {
                self.writes.open = true;
                self.note_unknown();
                self.may_advance_sequence(step);
                self.open_segment = OpenSegment::No;
                self.ledger.promise(Owed::FunctionCall);
                Ok(self.forward_all(header))
            }
            FrontendTag::Password => Err(SessionError::ClientTag(header.tag)),
            // What was asked before is answered, or at least done.
            FrontendTag::Terminate if self.ledger.owes_ready() => Ok(Advance::Until(Next::Replies)),
            FrontendTag::Terminate => Ok(Advance::Until(Next::Goodbye)),
            FrontendTag::Close
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::Flush
            | FrontendTag::Parse
            | FrontendTag::Query
            | FrontendTag::Sync => self.whole_message(tag, rest, header, step),
        }
    }

    /// Messages that are looked at as a whole.
    fn whole_message(
        &mut self,
        tag: FrontendTag,
        rest: &[u8],
        header: Header,
        step: &mut Step<'_>,
    ) -> Result<Advance, SessionError> {
        let named = tag == FrontendTag::Parse && rest.get(HEADER_BYTES).is_some_and(|first| *first != 0);
        malformed::check_length(tag, header)?;
        let factor = if named { NAMED_TEXT_FACTOR } else { 1 };
        if header.total() > self.limits.query_bytes_max * factor {
            return self.oversized(tag, rest, header, step);
        }
        let Some(frame) = rest.get(..header.total()) else { return Ok(Advance::Until(Next::Input)) };
        let body = &frame[HEADER_BYTES..];
        match tag {
            FrontendTag::Query => {
                let Some(text) = body::query_text(body) else { return Ok(self.malformed(tag, frame, step)) };
                return Ok(self.query(frame, text, step));
            }
            FrontendTag::Parse => {
                let Some(parse) = Parse::read(body) else { return Ok(self.malformed(tag, frame, step)) };
                return Ok(self.parse(frame, parse, step));
            }
            FrontendTag::Describe | FrontendTag::Close => {
                let Some(target) = body::Target::read(body) else {
                    return Ok(self.malformed(tag, frame, step));
                };
                if tag == FrontendTag::Describe {
                    return Ok(self.describe(frame, target, step));
                }
                self.close(frame, target, step);
            }
            FrontendTag::Execute => {
                let Some(portal) = body::executed_portal(body) else {
                    return Ok(self.malformed(tag, frame, step));
                };
                step.to_server.extend_from_slice(frame);
                let after = self.after_portal(portal);
                self.may_end_block(after.as_deref());
                self.ledger.promise(Owed::Execute(after.clone()));
                self.restore_behind_execute(after.as_deref(), step);
                self.opens(OpenSegment::Executed);
            }
            FrontendTag::Flush if !body.is_empty() => return Ok(self.malformed(tag, frame, step)),
            FrontendTag::Flush => {
                step.to_server.extend_from_slice(frame);
                if self.ledger.is_empty() {
                    self.attempt.show(step.to_client);
                }
            }
            // Where COPY data is read a Sync is ignored: only the reply tells whether it is.
            FrontendTag::Sync if self.ledger.may_copy_in() => return Ok(self.wait(step)),
            FrontendTag::Sync if !body.is_empty() => return Ok(self.malformed(tag, frame, step)),
            FrontendTag::Sync => {
                step.to_server.extend_from_slice(frame);
                self.ledger.promise(Owed::Sync(Audience::Client));
                self.open_segment = OpenSegment::No;
            }
            FrontendTag::Bind
            | FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::FunctionCall
            | FrontendTag::Password
            | FrontendTag::Terminate => unreachable!("handled by the caller"),
        }
        Ok(Advance::By(frame.len()))
    }

    /// A message longer than we look into.
    fn oversized(
        &mut self,
        tag: FrontendTag,
        rest: &[u8],
        header: Header,
        step: &mut Step<'_>,
    ) -> Result<Advance, SessionError> {
        match tag {
            FrontendTag::Query if rest.len() < HEADER_BYTES + FIRST_WORD => Ok(Advance::Until(Next::Input)),
            FrontendTag::Query => {
                let bulk = is_bulk(&rest[HEADER_BYTES..]);
                let unfollowed = PinReason::Statement(PinCause::MultiSet);
                self.pin(if bulk { PinReason::OversizedText } else { unfollowed }, step);
                self.note_unknown();
                self.may_advance_sequence(step);
                self.writes.open = true;
                self.open_segment = OpenSegment::No;
                self.forget_unnamed();
                let after = Arc::new(AfterStatement::plain(Kind::Multi));
                self.ledger.promise(Owed::SimpleQuery(Audience::Client, Some(after)));
                Ok(self.forward_all(header))
            }
            FrontendTag::Parse if rest.get(HEADER_BYTES) == Some(&0) => {
                self.parse_oversized(step);
                Ok(self.forward_all(header))
            }
            FrontendTag::Parse if rest.len() <= HEADER_BYTES => Ok(Advance::Until(Next::Input)),
            FrontendTag::Parse => {
                let limit = self.limits.query_bytes_max * NAMED_TEXT_FACTOR;
                self.provoke("54000", format!("prepared statement is longer than {limit} bytes"), step);
                self.passing = Passing::Swallow(header.total());
                Ok(Advance::By(0))
            }
            _ => Err(SessionError::ClientMessage { tag: header.tag }),
        }
    }

    pub(crate) fn forward_all(&mut self, header: Header) -> Advance {
        self.passing = Passing::Forward(header.total());
        Advance::By(0)
    }

    /// Ignores a message behind an error, as the server does; a Sync ends that.
    fn skip(&mut self, tag: FrontendTag, header: Header, step: &mut Step<'_>) -> Advance {
        match (tag, self.skipping) {
            (FrontendTag::Terminate, _) => return Advance::Until(Next::Goodbye),
            (FrontendTag::Sync, Skipping::Server) => {
                step.to_server.extend_from_slice(say::SYNC);
                self.ledger.promise(Owed::Sync(Audience::Client));
                self.open_segment = OpenSegment::No;
                self.skipping = Skipping::No;
            }
            (FrontendTag::Sync, _) => {
                say::ready_for_query(step.to_client, self.status);
                self.skipping = Skipping::No;
            }
            _ => {}
        }
        self.passing = Passing::Swallow(header.total());
        Advance::By(0)
    }

    fn query(&mut self, frame: &[u8], text: &[u8], step: &mut Step<'_>) -> Advance {
        let verdict = step.classifier.classify(text, self.lexing, Some(self.names.naming()));
        if let Some(end) = self.ends_block_first(text, verdict) {
            if !self.ledger.is_empty() {
                return self.wait(step);
            }
            self.move_block(end, step);
            return Advance::Until(Next::Replies);
        }
        let after = AfterStatement::of_string(text, verdict, step.classifier, self.lexing);
        let verdict = Verdict { binds: AfterStatement::binds(after.as_ref(), verdict), ..verdict };
        let borrows = self.borrows(text, verdict);
        let after = if borrows {
            Some(AfterStatement { borrows, ..after.unwrap_or_else(|| AfterStatement::plain(verdict.kind)) })
        } else {
            after
        };
        let discards = self.asks_for_others_values(verdict);
        if (borrows || discards) && !self.ledger.is_empty() {
            return self.wait(step);
        }
        let refused =
            RefusedRoute::find(after.as_ref()).map(|refused| (RefusedRoute::SQLSTATE, refused.message));
        let refused = refused.or_else(|| self.refused_on_standby(verdict));
        if let Some((sqlstate, message)) = refused {
            self.refuse_query(sqlstate, message, step);
            return Advance::By(frame.len());
        }
        let failed = self.status == TransactionStatus::Failed;
        if discards && !failed {
            self.discard_values_before_query(step);
        }
        if borrows && !failed {
            self.lend(text, verdict, step);
        }
        self.track_running(verdict, text, step);
        self.note_change(after.as_ref(), step);
        self.may_end_block(after.as_ref());
        self.open_segment = OpenSegment::No;
        self.forget_unnamed();
        let standby = linked(&mut self.link).role == NodeRole::Standby;
        if failed && standby && verdict.kind == Kind::PrepareTransaction {
            // That is what it does, but a standby does not get that far.
            say::query(step.to_server, b"ROLLBACK");
        } else {
            step.to_server.extend_from_slice(frame);
        }
        let after = after.map(Arc::new);
        self.ledger.promise(Owed::SimpleQuery(Audience::Client, after.clone()));
        self.restore_behind_query(after.as_deref(), step);
        Advance::By(frame.len())
    }

    /// A statement is sent that may end a block on a standby: what follows it may need the primary.
    fn may_end_block(&mut self, after: Option<&AfterStatement>) {
        let standby = linked(&mut self.link).role == NodeRole::Standby;
        if standby && after.is_some_and(|after| may_end_block(after.kind)) {
            self.block = Block::Ending;
        }
    }

    /// Waits for replies, and sees to it that they come.
    pub(crate) fn wait(&mut self, step: &mut Step<'_>) -> Advance {
        if self.ledger.wants_flush() {
            step.to_server.extend_from_slice(FLUSH);
        }
        Advance::Until(Next::Replies)
    }

    /// Keeps the books on a statement that is about to run.
    pub(crate) fn track(
        &mut self,
        verdict: Verdict,
        (reason, hinted): (Reason, Option<HintOutcome>),
        step: &mut Step<'_>,
    ) {
        step.events.push(Event::Dispatched(Verdict { reason, ..verdict }));
        step.events.extend(hinted.map(Event::Hinted));
        self.note_doubt(verdict);
        if let Some(cause) = verdict.binds {
            self.pin(PinReason::Statement(cause), step);
            linked(&mut self.link).server.beyond_reset |= cause.outlives_discard();
        }
        match (linked(&mut self.link).role, verdict.kind) {
            (NodeRole::Primary, _) if may_write(verdict) => {
                self.writes.open = true;
                self.may_advance_sequence(step);
                self.note_notifier();
            }
            (NodeRole::Primary, Kind::Notify) => self.note_notifier(),
            (NodeRole::Primary, _) => {}
            (NodeRole::Standby, Kind::Begin(_)) => self.block = Block::Beginning,
            (NodeRole::Standby, _) => {}
        }
    }
}

/// Flush, towards a server.
const FLUSH: &[u8] = b"H\0\0\0\x04";

/// A named statement must be held to be parsed on other servers: it may be so many times longer than other texts.
const NAMED_TEXT_FACTOR: usize = 16;

/// Bytes of a long text that tell what it begins with.
const FIRST_WORD: usize = 16;

/// Whether a long text begins as one that changes rows. Others may be scripts that change settings out of sight.
fn is_bulk(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let verbs = [&b"insert "[..], b"update ", b"delete ", b"merge "];
    verbs.iter().any(|verb| text.get(..verb.len()).is_some_and(|word| word.eq_ignore_ascii_case(verb)))
}

/// Whether a transaction block may be over when the statement is done.
const fn may_end_block(kind: Kind) -> bool {
    matches!(kind, Kind::Commit | Kind::Multi | Kind::Other | Kind::PrepareTransaction | Kind::Rollback)
}

/// Whether the statement may leave something that the session's later reads must see.
fn may_write(verdict: Verdict) -> bool {
    verdict.target == Target::Primary
        && !matches!(
            verdict.kind,
            Kind::Begin(_)
                | Kind::Commit
                | Kind::CommitAndChain
                | Kind::Rollback
                | Kind::RollbackAndChain
                | Kind::Savepoint
                | Kind::RollbackTo
                | Kind::ReleaseSavepoint
                | Kind::Set
                | Kind::Reset
                | Kind::SetTransaction
                | Kind::Show
                | Kind::Discard(_)
                | Kind::Deallocate
                | Kind::Prepare
                | Kind::Listen
                | Kind::Unlisten
                | Kind::Notify
                | Kind::Declare
                | Kind::ClosePortal
                | Kind::Lock
                | Kind::Empty
        )
}
