//! From the client to the server: each message becomes bytes for the server and a promise in the ledger.
//!
//! Invariant: a message is sent with its promise or not at all; a statement name of a client never reaches a server,
//! which knows statements by their content.

use std::collections::HashMap;
use std::sync::Arc;

use pgweir_sql::{Kind, Reason, Target, Verdict};
use pgweir_wire::body::{self, BindNames, Parse};
use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{FrontendTag, Header, TransactionStatus, say};

use crate::effect::{AfterStatement, Event, PinReason, Step};
use crate::error::SessionError;
use crate::ledger::{Audience, Owed, Provoked};
use crate::segment::{Extent, Segment};
use crate::session::{Advance, Link, Next, NodeRole, Pinned, Session};
use crate::statements::{Statement, StatementId, Unnamed, UnnamedToken};

/// What becomes of the rest of a message that came in part.
#[derive(Debug)]
pub(crate) enum Passing {
    Nothing,
    Forward(usize),
    Swallow(usize),
}

/// Whether the server reads COPY data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyIn {
    No,
    Active,
}

/// What an extended-query segment without its Sync has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenSegment {
    No,
    /// Statements were prepared or described: it can end anywhere without a trace.
    Prepared,
    /// A portal was bound or run.
    Executed,
}

/// Whether a transaction block may have begun that ReadyForQuery has not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Settled,
    Beginning,
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

/// What statements change when they are done, by the name of their portal.
type NamedPortals = HashMap<Box<[u8]>, Arc<AfterStatement>>;

/// What the statements behind the portals change when they are done.
#[derive(Debug, Default)]
pub(crate) struct Portals {
    unnamed: Option<Arc<AfterStatement>>,
    named: Option<Box<NamedPortals>>,
}

impl Portals {
    fn bind(&mut self, portal: &[u8], after: Option<Arc<AfterStatement>>) {
        if portal.is_empty() {
            self.unnamed = after;
        } else if let Some(after) = after {
            self.named.get_or_insert_default().insert(portal.into(), after);
        } else if let Some(named) = &mut self.named {
            named.remove(portal);
        }
    }

    fn after(&self, portal: &[u8]) -> Option<Arc<AfterStatement>> {
        if portal.is_empty() {
            return self.unnamed.clone();
        }
        self.named.as_ref()?.get(portal).cloned()
    }
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
        self.attempt.begin(segment, self.limits.segment_bytes_max);
        let mut at = 0;
        while at < segment.len() {
            match self.forward(&segment[at..], step)? {
                Advance::By(taken) => at += taken,
                Advance::Until(_) => unreachable!("a scanned segment is complete and holds no Terminate"),
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
            if let (b'C', Some(body::Target::Statement(name))) = (header.tag, body::Target::read(body)) {
                self.forget(name);
                step.to_client.extend_from_slice(say::CLOSE_COMPLETE);
            }
            at += header.total();
        }
        if segment.extent == Extent::Ended {
            say::ready_for_query(step.to_client, TransactionStatus::Idle);
        }
        Ok(Advance::By(at))
    }

    /// Sends the next message to the server at hand.
    pub(crate) fn forward(&mut self, rest: &[u8], step: &mut Step<'_>) -> Result<Advance, SessionError> {
        self.segment = Segment::new();
        let Some(header) = Header::read(rest).map_err(SessionError::ClientFrame)? else {
            return Ok(Advance::Until(Next::Input));
        };
        let tag = FrontendTag::from_byte(header.tag).ok_or(SessionError::ClientTag(header.tag))?;
        if self.skipping != Skipping::No {
            return Ok(self.skip(tag, header, step));
        }
        if self.copy_in == CopyIn::Active {
            return Ok(self.copy_message(tag, header));
        }
        match tag {
            FrontendTag::Bind => self.bind(rest, header, step),
            FrontendTag::CopyData => Ok(self.forward_all(header)),
            FrontendTag::CopyDone | FrontendTag::CopyFail => {
                if !self.ledger.is_empty() {
                    self.ledger.promise(Owed::CopyEnd);
                }
                Ok(self.forward_all(header))
            }
            FrontendTag::FunctionCall => {
                self.writes.open = true;
                self.open_segment = OpenSegment::No;
                self.ledger.promise(Owed::FunctionCall);
                Ok(self.forward_all(header))
            }
            FrontendTag::Password => Err(SessionError::ClientTag(header.tag)),
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
        let factor = if named { NAMED_TEXT_FACTOR } else { 1 };
        if header.total() > self.limits.query_bytes_max * factor {
            return self.oversized(tag, rest, header, step);
        }
        let Some(frame) = rest.get(..header.total()) else { return Ok(Advance::Until(Next::Input)) };
        let body = &frame[HEADER_BYTES..];
        let malformed = SessionError::ClientMessage { tag: header.tag };
        match tag {
            FrontendTag::Query => self.query(frame, body::query_text(body).ok_or(malformed)?, step),
            FrontendTag::Parse => self.parse(frame, Parse::read(body).ok_or(malformed)?, step),
            FrontendTag::Describe => self.describe(frame, body::Target::read(body).ok_or(malformed)?, step),
            FrontendTag::Close => self.close(frame, body::Target::read(body).ok_or(malformed)?, step),
            FrontendTag::Execute => {
                let portal = body::executed_portal(body).ok_or(malformed)?;
                step.to_server.extend_from_slice(frame);
                self.ledger.promise(Owed::Execute(self.portals.after(portal)));
                self.open_segment = OpenSegment::Executed;
            }
            FrontendTag::Flush | FrontendTag::Sync if !body.is_empty() => return Err(malformed),
            FrontendTag::Flush => {
                step.to_server.extend_from_slice(frame);
                if self.ledger.is_empty() {
                    self.attempt.show(step.to_client);
                }
            }
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
            FrontendTag::Query => {
                self.pin(PinReason::OversizedText, step);
                self.writes.open = true;
                self.open_segment = OpenSegment::No;
                self.forget_unnamed();
                self.ledger.promise(Owed::SimpleQuery(Audience::Client, None));
                Ok(self.forward_all(header))
            }
            FrontendTag::Parse if rest.get(HEADER_BYTES) == Some(&0) => {
                // Nobody can parse it again elsewhere: the session stays with its server.
                self.pin(PinReason::OversizedText, step);
                self.keep_unnamed(b"", TOO_LONG, None);
                self.ledger.promise(Owed::Parse(Audience::Client, None, None));
                if self.open_segment == OpenSegment::No {
                    self.open_segment = OpenSegment::Prepared;
                }
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

    fn forward_all(&mut self, header: Header) -> Advance {
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
                say::ready_for_query(step.to_client, TransactionStatus::Idle);
                self.skipping = Skipping::No;
            }
            _ => {}
        }
        self.passing = Passing::Swallow(header.total());
        Advance::By(0)
    }

    /// A message while the server reads COPY data. It ignores Sync and Flush, so they are not sent; anything that is
    /// not COPY data makes it give up, without a reply of its own.
    fn copy_message(&mut self, tag: FrontendTag, header: Header) -> Advance {
        match tag {
            FrontendTag::Terminate => return Advance::Until(Next::Goodbye),
            FrontendTag::Flush | FrontendTag::Sync => {
                self.passing = Passing::Swallow(header.total());
                return Advance::By(0);
            }
            FrontendTag::CopyData => {}
            FrontendTag::Bind
            | FrontendTag::Close
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::FunctionCall
            | FrontendTag::Parse
            | FrontendTag::Password
            | FrontendTag::Query => self.copy_in = CopyIn::No,
        }
        self.forward_all(header)
    }

    fn query(&mut self, frame: &[u8], text: &[u8], step: &mut Step<'_>) {
        let verdict = step.classifier.classify(text, self.lexing);
        let mut after = AfterStatement::of(text, verdict.kind);
        self.note_change(after.as_ref());
        self.track(verdict, step);
        self.open_segment = OpenSegment::No;
        self.forget_unnamed();
        if let Some(name) = self.deallocated(after.as_ref()) {
            self.deallocate(&name, step);
            after = None;
        } else {
            step.to_server.extend_from_slice(frame);
        }
        self.ledger.promise(Owed::SimpleQuery(Audience::Client, after.map(Arc::new)));
    }

    /// The name in a DEALLOCATE, if it is one of the protocol's statements.
    fn deallocated(&self, after: Option<&AfterStatement>) -> Option<String> {
        let after = after.filter(|after| after.kind == Kind::Deallocate)?;
        after.name.clone().filter(|name| self.statements.get(name.as_bytes()).is_some())
    }

    /// DEALLOCATE of a statement that servers know by another name: that one is prepared if need be, and dropped.
    fn deallocate(&mut self, name: &str, step: &mut Step<'_>) {
        let Some(statement) = self.statements.get(name.as_bytes()).cloned() else { return };
        self.forget(name.as_bytes());
        let id = self.server_id(&statement);
        let link = linked(&mut self.link);
        let text = if link.server.statements.touch(id) {
            link.server.statements.remove(id);
            [b"DEALLOCATE ", &id.server_name()[..]].concat()
        } else {
            link.server.statements.clear();
            b"DEALLOCATE ALL".to_vec()
        };
        say::query(step.to_server, &text);
    }

    fn parse(&mut self, frame: &[u8], parse: Parse<'_>, step: &mut Step<'_>) {
        let verdict = step.classifier.classify(parse.text, self.lexing);
        let after = AfterStatement::of(parse.text, verdict.kind).map(Arc::new);
        if self.open_segment == OpenSegment::No {
            self.open_segment = OpenSegment::Prepared;
        }
        if parse.name.is_empty() {
            self.keep_unnamed(&frame[HEADER_BYTES + 1..], verdict, after);
            step.to_server.extend_from_slice(frame);
            self.ledger.promise(Owed::Parse(Audience::Client, None, None));
            step.events.push(Event::Parsed { on_server: true });
            return;
        }
        if self.statements.get(parse.name).is_some() {
            let name = String::from_utf8_lossy(parse.name).into_owned();
            return self.provoke("42P05", format!("prepared statement \"{name}\" already exists"), step);
        }
        if self.statements.len() >= self.limits.client_statements_max {
            let limit = self.limits.client_statements_max;
            return self.provoke("53400", format!("more than {limit} prepared statements"), step);
        }
        let statement = Arc::new(Statement::new(&self.namer, parse.text, parse.types, verdict, after));
        let change = self.statements.define(parse.name, Arc::clone(&statement));
        self.attempt.renamed(|| change.clone());
        let id = self.server_id(&statement);
        let known = linked(&mut self.link).server.statements.touch(id);
        step.events.push(Event::Parsed { on_server: !known });
        if known {
            self.promise_local(say::PARSE_COMPLETE, Some(Box::new(change)), step);
        } else {
            self.write_parse(&statement, id, step);
            self.ledger.promise(Owed::Parse(Audience::Client, Some(Box::new(change)), Some(id)));
        }
    }

    fn keep_unnamed(&mut self, definition: &[u8], verdict: Verdict, after: Option<Arc<AfterStatement>>) {
        self.unnamed_count += 1;
        let token = UnnamedToken { session: self.id, count: self.unnamed_count };
        linked(&mut self.link).server.statements.unnamed = Some(token);
        match &mut self.unnamed {
            Some(unnamed) => {
                unnamed.definition.clear();
                unnamed.definition.extend_from_slice(definition);
                (unnamed.verdict, unnamed.after, unnamed.token) = (verdict, after, token);
            }
            None => self.unnamed = Some(Unnamed { definition: definition.to_vec(), verdict, after, token }),
        }
    }

    /// Tells the server to parse a named statement, and to close another if it has too many.
    fn write_parse(&mut self, statement: &Statement, id: StatementId, step: &mut Step<'_>) {
        let limit = self.limits.server_statements_max;
        let evicted = linked(&mut self.link).server.statements.add(id, limit);
        if let Some(evicted) = evicted {
            say::frame(step.to_server, b'C', &[b"S", &evicted.server_name(), b"\0"]);
            self.ledger.promise(Owed::Close(Audience::Proxy, Some(evicted)));
        }
        say::frame(step.to_server, b'P', &[&id.server_name(), b"\0", &statement.definition]);
    }

    /// Makes sure that the server has the statement; answers under which name.
    fn ensure(&mut self, statement: &Statement, step: &mut Step<'_>) -> StatementId {
        let id = self.server_id(statement);
        if !linked(&mut self.link).server.statements.touch(id) {
            self.write_parse(statement, id, step);
            self.ledger.promise(Owed::Parse(Audience::Proxy, None, Some(id)));
        }
        id
    }

    /// Makes sure that the server's unnamed statement is this client's; `false` if the client has none, and an error
    /// is on its way.
    fn ensure_unnamed(&mut self, step: &mut Step<'_>) -> bool {
        let on_server = &mut linked(&mut self.link).server.statements.unnamed;
        match &self.unnamed {
            Some(unnamed) if *on_server == Some(unnamed.token) => true,
            Some(unnamed) => {
                *on_server = Some(unnamed.token);
                say::frame(step.to_server, b'P', &[b"\0", &unnamed.definition]);
                self.ledger.promise(Owed::Parse(Audience::Proxy, None, None));
                true
            }
            None => {
                self.provoke("26000", "unnamed prepared statement does not exist".to_owned(), step);
                false
            }
        }
    }

    fn bind(&mut self, rest: &[u8], header: Header, step: &mut Step<'_>) -> Result<Advance, SessionError> {
        let available = &rest[HEADER_BYTES..rest.len().min(header.total())];
        let Some(names) = BindNames::read(available) else {
            let complete = rest.len() >= header.total() || available.len() > self.limits.query_bytes_max;
            return if complete {
                Err(SessionError::ClientMessage { tag: header.tag })
            } else {
                Ok(Advance::Until(Next::Input))
            };
        };
        step.events.push(Event::Bound);
        self.open_segment = OpenSegment::Executed;
        if names.statement.is_empty() {
            if !self.ensure_unnamed(step) {
                self.passing = Passing::Swallow(header.total());
                return Ok(Advance::By(0));
            }
            let (verdict, after) =
                self.unnamed.as_ref().map(|u| (u.verdict, u.after.clone())).expect("it was ensured");
            self.track(verdict, step);
            self.note_change(after.as_deref());
            self.portals.bind(names.portal, after);
            self.ledger.promise(Owed::Bind);
            return Ok(self.forward_all(header));
        }
        let Some(statement) = self.statements.get(names.statement).cloned() else {
            self.portals.bind(names.portal, None);
            self.ledger.promise(Owed::Bind);
            return Ok(self.forward_all(header));
        };
        let name = self.ensure(&statement, step).server_name();
        self.track(statement.verdict, step);
        self.note_change(statement.after.as_deref());
        self.portals.bind(names.portal, statement.after.clone());
        self.ledger.promise(Owed::Bind);
        let rest_of_body = header.body - names.bytes;
        write_bind_head(step.to_server, names.portal, &name, rest_of_body);
        self.passing = Passing::Forward(rest_of_body);
        Ok(Advance::By(HEADER_BYTES + names.bytes))
    }

    fn describe(&mut self, frame: &[u8], target: body::Target<'_>, step: &mut Step<'_>) {
        if self.open_segment == OpenSegment::No {
            self.open_segment = OpenSegment::Prepared;
        }
        match target {
            body::Target::Portal(_) => step.to_server.extend_from_slice(frame),
            body::Target::Statement(b"") => {
                if !self.ensure_unnamed(step) {
                    return;
                }
                step.to_server.extend_from_slice(frame);
            }
            body::Target::Statement(name) => match self.statements.get(name).cloned() {
                Some(statement) => {
                    let name = self.ensure(&statement, step).server_name();
                    say::frame(step.to_server, b'D', &[b"S", &name, b"\0"]);
                }
                None => step.to_server.extend_from_slice(frame),
            },
        }
        self.ledger.promise(Owed::Describe);
    }

    fn close(&mut self, frame: &[u8], target: body::Target<'_>, step: &mut Step<'_>) {
        if self.open_segment == OpenSegment::No {
            self.open_segment = OpenSegment::Prepared;
        }
        match target {
            body::Target::Statement(name)
                if self.pinned == Pinned::No || self.statements.get(name).is_some() =>
            {
                let change = self.forget(name);
                self.promise_local(say::CLOSE_COMPLETE, change.map(Box::new), step);
            }
            body::Target::Statement(_) | body::Target::Portal(_) => {
                step.to_server.extend_from_slice(frame);
                self.ledger.promise(Owed::Close(Audience::Client, None));
            }
        }
    }

    /// The client closes a statement; servers keep theirs for others.
    pub(crate) fn forget(&mut self, name: &[u8]) -> Option<crate::statements::NameChange> {
        if name.is_empty() {
            self.unnamed = None;
            return None;
        }
        let change = self.statements.forget(name)?;
        self.attempt.renamed(|| change.clone());
        Some(change)
    }

    /// A simple query drops the unnamed statement, on the server too.
    fn forget_unnamed(&mut self) {
        self.unnamed = None;
        if let Some(link) = &mut self.link {
            link.server.statements.unnamed = None;
        }
    }

    /// A reply of our own, in its turn.
    fn promise_local(
        &mut self,
        reply: &'static [u8],
        change: Option<Box<crate::statements::NameChange>>,
        step: &mut Step<'_>,
    ) {
        if self.ledger.is_empty() {
            self.tell_client(reply, step);
        } else {
            self.ledger.promise(Owed::Local(reply, change));
        }
    }

    /// Makes the server fail where we must, so that its transaction fails with it; the client sees our text.
    fn provoke(&mut self, sqlstate: &'static str, message: String, step: &mut Step<'_>) {
        say::frame(step.to_server, b'P', &[b"pgweir_refused\0", b"pgweir refuses\0", b"\0\0"]);
        self.ledger.promise(Owed::Provoked(Box::new(Provoked { sqlstate, message })));
        if self.open_segment == OpenSegment::No {
            self.open_segment = OpenSegment::Prepared;
        }
    }

    /// Keeps the books on a statement that is about to run.
    fn track(&mut self, verdict: Verdict, step: &mut Step<'_>) {
        step.events.push(Event::Dispatched(verdict));
        if let Some(cause) = verdict.binds {
            self.pin(PinReason::Statement(cause), step);
        }
        if let Kind::Begin(_) = verdict.kind {
            self.block = Block::Beginning;
        }
        if linked(&mut self.link).role == NodeRole::Primary && may_write(verdict) {
            self.writes.open = true;
        }
    }
}

/// The verdict on a text that nobody looked into.
const TOO_LONG: Verdict =
    Verdict { target: Target::Primary, kind: Kind::Other, reason: Reason::TextTooLong, binds: None };

/// A named statement must be held to be parsed on other servers: it may be so many times longer than other texts.
const NAMED_TEXT_FACTOR: usize = 16;

/// Bind's header, portal and statement name; `rest` bytes of the client's body follow.
fn write_bind_head(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], rest: usize) {
    let length = u32::try_from(4 + portal.len() + statement.len() + 2 + rest).unwrap_or(u32::MAX);
    out.push(b'B');
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(portal);
    out.push(0);
    out.extend_from_slice(statement);
    out.push(0);
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

/// The link, where only a linked session gets to.
pub(crate) fn linked(link: &mut Option<Link>) -> &mut Link {
    link.as_mut().expect("messages are sent only while linked")
}
