//! The unnamed statement: the client's, and whose the server has.
//!
//! Invariants: it changes as the server's would, for which each Parse of it, each simple query and each Close counts, also
//! one that fails, unless an error makes the server skip it; where an error may yet do so, what it was is kept.

use std::sync::Arc;

use pgweir_sql::{Kind, Verdict};
use pgweir_wire::Header;
use pgweir_wire::body::{BindNames, Parse};
use pgweir_wire::frame::HEADER_BYTES;

use crate::dispatch::{OpenSegment, Passing};
use crate::effect::{AfterStatement, Event, PinReason, Step};
use crate::ensure::Ensured;
use crate::ledger::{Audience, Owed, Parsed};
use crate::lent::{Lending, may_name_statements};
use crate::names::{Judged, TOO_LONG};
use crate::route::Running;
use crate::session::{Advance, Session, linked};
use crate::statements::{Unnamed, UnnamedToken, text_of};

impl Session {
    pub(crate) fn parse_unnamed(&mut self, frame: &[u8], parse: Parse<'_>, step: &mut Step<'_>) -> Ensured {
        let verdict = step.classifier.classify(parse.text, self.lexing, Some(self.names.naming()));
        let after = AfterStatement::of(parse.text, verdict);
        if self.refuses_parse(after.as_ref(), step) {
            return Ensured::Refused;
        }
        if self.lend_to_parse(parse.text, verdict, step) == Lending::Wait {
            return Ensured::Wait;
        }
        let token = self.keep_unnamed(&frame[HEADER_BYTES + 1..], self.judged(verdict), after.map(Arc::new));
        step.to_server.extend_from_slice(frame);
        self.opens(OpenSegment::Prepared);
        self.ledger.promise(Owed::Parse(Audience::Client, None, Parsed::Unnamed(token)));
        step.events.push(Event::Parsed { on_server: true });
        Ensured::Yes
    }

    fn keep_unnamed(
        &mut self,
        definition: &[u8],
        judged: Judged,
        after: Option<Arc<AfterStatement>>,
    ) -> UnnamedToken {
        let token = self.define_unnamed(definition, judged, after);
        linked(&mut self.link).server.statements.add_unnamed(token, self.ledger.segment());
        token
    }

    /// The client has this unnamed statement now; no server has it.
    pub(crate) fn define_unnamed(
        &mut self,
        definition: &[u8],
        judged: Judged,
        after: Option<Arc<AfterStatement>>,
    ) -> UnnamedToken {
        self.change_unnamed();
        let token = UnnamedToken { session: self.id, count: self.unnamed_count };
        match &mut self.unnamed {
            Some(unnamed) => {
                unnamed.definition.clear();
                unnamed.definition.extend_from_slice(definition);
                (unnamed.judged, unnamed.after, unnamed.token) = (judged, after, token);
            }
            None => self.unnamed = Some(Unnamed { definition: definition.to_vec(), judged, after, token }),
        }
        token
    }

    /// An unnamed statement too long to be kept: nobody can parse it again elsewhere, so the session stays.
    pub(crate) fn parse_oversized(&mut self, step: &mut Step<'_>) {
        self.pin(PinReason::OversizedText, step);
        let token = self.keep_unnamed(
            b"",
            Judged::unseen(TOO_LONG),
            Some(Arc::new(AfterStatement::plain(Kind::Other))),
        );
        self.ledger.promise(Owed::Parse(Audience::Client, None, Parsed::Unnamed(token)));
        self.opens(OpenSegment::Prepared);
    }

    pub(crate) fn bind_unnamed(
        &mut self,
        names: BindNames<'_>,
        header: Header,
        step: &mut Step<'_>,
    ) -> Advance {
        match self.ensure_unnamed(step) {
            Ensured::Yes => {}
            Ensured::Wait => return self.wait(step),
            Ensured::Refused => {
                self.passing = Passing::Swallow(header.total());
                return Advance::By(0);
            }
        }
        let unnamed = self.unnamed.as_ref().expect("it was ensured");
        let after = unnamed.after.clone();
        let verdict =
            unnamed.judged.now(&unnamed.definition, self.names.naming(), self.lexing, step.classifier);
        let running = Running::new(verdict, &unnamed.definition, self.link.as_ref(), self.lexing);
        let told = self.route.judge(self.settings.current(), &running, step.classifier);
        if let Some((sqlstate, message)) = self.refused_on_standby(verdict) {
            return self.refuse_bind(sqlstate, message, header, step);
        }
        if self.lends_to_unnamed(verdict, step) == Lending::Wait {
            return self.wait(step);
        }
        if self.asks_for_others_values(verdict) {
            self.discard_values_before_bind(step);
        }
        self.track(verdict, told, step);
        self.promise_bind(names.portal, after, None, step);
        self.forward_all(header)
    }

    fn lends_to_unnamed(&mut self, verdict: Verdict, step: &mut Step<'_>) -> Lending {
        if !may_name_statements(verdict.kind) {
            return Lending::None;
        }
        let text = self.unnamed.as_ref().map(|unnamed| text_of(&unnamed.definition).to_vec());
        self.lend(&text.unwrap_or_default(), verdict, step)
    }

    /// The client has none any more. Servers may keep it.
    pub(crate) fn close_unnamed(&mut self) {
        self.change_unnamed();
        self.unnamed = None;
    }

    /// A simple query drops the unnamed statement, on the server too.
    pub(crate) fn forget_unnamed(&mut self) {
        self.close_unnamed();
        if let Some(link) = &mut self.link {
            link.server.statements.forget_unnamed();
        }
    }
}
