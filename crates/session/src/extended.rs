//! The extended query protocol towards the server: Parse, Bind, Describe and Close.
//!
//! Invariants: a statement name of a client never reaches a server, which knows statements by their content; whatever
//! depends on a Parse that an earlier segment's error may have made the server skip, waits for its answer.

use std::sync::Arc;

use pgweir_sql::{Kind, Verdict};
use pgweir_wire::body::{self, BindNames, Parse};
use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{FrontendTag, Header, TransactionStatus, say};

use crate::dispatch::{OpenSegment, Passing};
use crate::effect::{AfterStatement, Event, Step};
use crate::ensure::Ensured;
use crate::error::SessionError;
use crate::failures::ends_failed_block;
use crate::ledger::{Audience, Owed, Parsed};
use crate::lent::Lending;
use crate::names::Judged;
use crate::portals::PORTALS_MAX;
use crate::replies::ReplyRest;
use crate::session::{Advance, Next, Pinned, Session, linked};
use crate::statements::{NameChange, Named, Presence, SETTLED, Statement};
use crate::terms::NodeRole;
use crate::undo::Undo;

impl Session {
    pub(crate) fn parse(&mut self, frame: &[u8], parse: Parse<'_>, step: &mut Step<'_>) -> Advance {
        let done = Advance::By(frame.len());
        if parse.name.is_empty() {
            return if self.parse_unnamed(frame, parse, step) == Ensured::Wait {
                self.wait(step)
            } else {
                done
            };
        }
        let defined = self.statements.named(parse.name).map(|named| named.defined_in);
        if defined.is_some_and(|segment| self.ledger.in_doubt(segment)) || self.ledger.may_keep(parse.name) {
            return self.wait(step);
        }
        if defined.is_some() || self.is_prepared_by_sql(parse.name) {
            self.refuse_parse(&parse, step);
            return done;
        }
        if self.statements.len() >= self.limits.client_statements_max {
            let limit = self.limits.client_statements_max;
            self.provoke("53400", format!("more than {limit} prepared statements"), step);
            return done;
        }
        if self.parse_named(parse, step) == Ensured::Wait { self.wait(step) } else { done }
    }

    fn parse_named(&mut self, parse: Parse<'_>, step: &mut Step<'_>) -> Ensured {
        let verdict = step.classifier.classify(parse.text, self.lexing, Some(self.names.naming()));
        let failed = self.status == TransactionStatus::Failed && !ends_failed_block(verdict.kind);
        if failed && self.ledger.owes_ready() {
            return Ensured::Wait;
        }
        if failed && self.ledger.is_empty() && self.open_segment == OpenSegment::No {
            self.refuse_parse(&parse, step);
            return Ensured::Refused;
        }
        let after = AfterStatement::of(parse.text, verdict);
        if self.refuses_parse(after.as_ref(), step) {
            return Ensured::Refused;
        }
        let after = after.map(Arc::new);
        let statement = Statement::new(&self.namer, &parse, self.judged(verdict), after);
        let statement = Arc::new(self.kept_apart(statement, verdict.kind));
        let id = self.server_id(&statement);
        let presence = linked(&mut self.link).server.statements.touch(id);
        let known = match presence {
            Presence::Since(segment) if self.ledger.in_doubt(segment) => return Ensured::Wait,
            Presence::Yes => true,
            Presence::Since(_) => linked(&mut self.link).server.statements.has(id),
            Presence::No => false,
        };
        // The block may fail before the server would have parsed it.
        if known && self.status == TransactionStatus::InTransaction && self.ledger.owes_ready() {
            return Ensured::Wait;
        }
        if !known && self.lend_to_parse(parse.text, verdict, step) == Lending::Wait {
            return Ensured::Wait;
        }
        self.opens(OpenSegment::Prepared);
        let named = Named { statement: Arc::clone(&statement), defined_in: self.ledger.segment() };
        let change = self.statements.define(parse.name, named);
        self.attempt.renamed(|| change.clone());
        step.events.push(Event::Parsed { on_server: !known });
        if known {
            self.promise_local(say::PARSE_COMPLETE, Some(Box::new(change)), step);
        } else {
            self.write_parse(&statement, id, step);
            let parsed = Parsed::Named(id);
            self.ledger.promise(Owed::Parse(Audience::Client, Some(Box::new(change)), parsed));
        }
        Ensured::Yes
    }

    /// Defines a statement that servers are known to accept.
    pub(crate) fn define_proven(&mut self, parse: Parse<'_>, step: &mut Step<'_>) {
        let verdict = step.classifier.classify(parse.text, self.lexing, Some(self.names.naming()));
        let after = AfterStatement::of(parse.text, verdict).map(Arc::new);
        let statement = Statement::new(&self.namer, &parse, self.judged(verdict), after);
        let statement = self.kept_apart(statement, verdict.kind);
        let named = Named { statement: Arc::new(statement), defined_in: SETTLED };
        self.statements.define(parse.name, named);
        step.events.push(Event::Parsed { on_server: false });
        step.to_client.extend_from_slice(say::PARSE_COMPLETE);
    }

    /// A verdict that was just made.
    pub(crate) fn judged(&self, verdict: Verdict) -> Judged {
        Judged::new(verdict, self.names.naming())
    }

    /// What EXECUTE returns is looked up when it is parsed; PREPARE and DEALLOCATE look when they run.
    pub(crate) fn lend_to_parse(&mut self, text: &[u8], verdict: Verdict, step: &mut Step<'_>) -> Lending {
        if matches!(verdict.kind, Kind::Deallocate | Kind::Prepare) {
            return Lending::None;
        }
        self.lend(text, verdict, step)
    }

    pub(crate) fn bind(
        &mut self,
        rest: &[u8],
        header: Header,
        step: &mut Step<'_>,
    ) -> Result<Advance, SessionError> {
        let available = &rest[HEADER_BYTES..rest.len().min(header.total())];
        let Some(names) = BindNames::read(available) else {
            if rest.len() >= header.total() {
                self.promise_error(FrontendTag::Bind);
                return Ok(self.forward_all(header));
            }
            let endless = available.len() > self.limits.query_bytes_max;
            return match endless {
                true => Err(SessionError::ClientMessage { tag: header.tag }),
                false => Ok(Advance::Until(Next::Input)),
            };
        };
        if !names.portal.is_empty() && self.portals.are_full() {
            let message = format!("more than {PORTALS_MAX} portals in one transaction");
            return Ok(self.refuse_bind("53400", message, header, step));
        }
        Ok(if names.statement.is_empty() {
            self.bind_unnamed(names, header, step)
        } else {
            self.bind_named(names, header, step)
        })
    }

    pub(crate) fn refuse_bind(
        &mut self,
        sqlstate: &'static str,
        message: String,
        header: Header,
        step: &mut Step<'_>,
    ) -> Advance {
        self.provoke(sqlstate, message, step);
        self.passing = Passing::Swallow(header.total());
        Advance::By(0)
    }

    fn bind_named(&mut self, names: BindNames<'_>, header: Header, step: &mut Step<'_>) -> Advance {
        if self.ledger.may_keep(names.statement) {
            return self.wait(step);
        }
        let Some((ensured, id, statement)) = self.ensure_named(names.statement, step) else {
            // Only PREPARE can have made it.
            self.writes.open |= linked(&mut self.link).role == NodeRole::Primary;
            self.note_unknown();
            self.may_advance_sequence(step);
            self.promise_bind(names.portal, None, None, step);
            return self.forward_all(header);
        };
        match ensured {
            Ensured::Yes => {}
            Ensured::Wait => return self.wait(step),
            Ensured::Refused => {
                self.passing = Passing::Swallow(header.total());
                return Advance::By(0);
            }
        }
        let verdict =
            statement.judged.now(&statement.definition, self.names.naming(), self.lexing, step.classifier);
        if let Some((sqlstate, message)) = self.refused_on_standby(verdict) {
            return self.refuse_bind(sqlstate, message, header, step);
        }
        if self.lend(statement.text(), verdict, step) == Lending::Wait {
            return self.wait(step);
        }
        if self.asks_for_others_values(verdict) {
            self.discard_values_before_bind(step);
        }
        self.track_running(verdict, &statement.definition, step);
        self.promise_bind(names.portal, statement.after.clone(), Some(statement), step);
        let rest_of_body = header.body - names.bytes;
        let name = id.server_name();
        write_bind_head(step.to_server, names.portal, &name, rest_of_body);
        self.passing = Passing::Forward(rest_of_body);
        Advance::By(HEADER_BYTES + names.bytes)
    }

    pub(crate) fn promise_bind(
        &mut self,
        portal: &[u8],
        after: Option<Arc<AfterStatement>>,
        of: Option<Arc<Statement>>,
        step: &mut Step<'_>,
    ) {
        step.events.push(Event::Bound);
        self.opens(OpenSegment::Executed);
        self.note_change(after.as_deref(), step);
        self.promise_portal(Owed::Bind(of.clone()), portal, after, of);
    }

    pub(crate) fn describe(
        &mut self,
        frame: &[u8],
        target: body::Target<'_>,
        step: &mut Step<'_>,
    ) -> Advance {
        let ensured = match target {
            body::Target::Statement(name) if self.ledger.may_keep(name) => return self.wait(step),
            body::Target::Portal(name) => {
                step.to_server.extend_from_slice(frame);
                self.opens(OpenSegment::Prepared);
                self.ledger.promise(Owed::Describe(self.portals.statement(name)));
                return Advance::By(frame.len());
            }
            body::Target::Statement(b"") => Some((self.ensure_unnamed(step), None)),
            body::Target::Statement(name) => {
                self.ensure_named(name, step).map(|(ensured, id, statement)| (ensured, Some((id, statement))))
            }
        };
        let of = match ensured {
            Some((Ensured::Wait, _)) => return self.wait(step),
            Some((Ensured::Refused, _)) => return Advance::By(frame.len()),
            Some((Ensured::Yes, Some((id, statement)))) => {
                say::frame(step.to_server, b'D', &[b"S", &id.server_name(), b"\0"]);
                Some(statement)
            }
            Some((Ensured::Yes, None)) | None => {
                step.to_server.extend_from_slice(frame);
                None
            }
        };
        self.opens(OpenSegment::Prepared);
        self.ledger.promise(Owed::Describe(of));
        Advance::By(frame.len())
    }

    pub(crate) fn close(&mut self, frame: &[u8], target: body::Target<'_>, step: &mut Step<'_>) {
        self.opens(OpenSegment::Prepared);
        match target {
            body::Target::Statement(name)
                if name.is_empty() || self.pinned == Pinned::No || self.statements.get(name).is_some() =>
            {
                self.close_lent(name, step);
                let change = self.forget(name);
                self.promise_local(say::CLOSE_COMPLETE, change.map(Box::new), step);
            }
            body::Target::Portal(name) => {
                step.to_server.extend_from_slice(frame);
                self.promise_portal(Owed::Close(Audience::Client, None), name, None, None);
            }
            body::Target::Statement(name) => {
                step.to_server.extend_from_slice(frame);
                self.ledger.promise(Owed::Close(Audience::Client, None));
                if self.is_prepared_by_sql(name) {
                    self.dropped_by_sql(Some(&String::from_utf8_lossy(name)));
                    self.ledger.promise(Owed::Undo(Box::new(Undo::PreparedBySql(name.into()))));
                }
            }
        }
    }

    /// The client closes a statement; servers keep theirs for others.
    pub(crate) fn forget(&mut self, name: &[u8]) -> Option<NameChange> {
        if name.is_empty() {
            self.close_unnamed();
            return None;
        }
        let change = self.statements.forget(name)?;
        self.attempt.renamed(|| change.clone());
        Some(change)
    }

    /// A reply of our own, in its turn.
    fn promise_local(&mut self, reply: &'static [u8], change: Option<Box<NameChange>>, step: &mut Step<'_>) {
        if self.ledger.is_empty() && matches!(self.reply_rest, ReplyRest::Nothing) {
            self.tell_client(reply, step);
        } else {
            self.ledger.promise(Owed::Local(reply, change));
        }
    }

    /// A segment without its Sync has done at least this.
    pub(crate) fn opens(&mut self, open: OpenSegment) {
        self.open_segment = self.open_segment.max(open);
    }
}

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
