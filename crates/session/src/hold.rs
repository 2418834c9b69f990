//! The choice between the node at hand and another: each segment is seen whole before any of it is sent.
//!
//! Invariant: what is not proven to only read never goes to a standby, unless the client's own READ ONLY block, or what
//! pins the session, is there.

use pgweir_cluster::Access;
use pgweir_wire::{FrontendTag, Header, TransactionStatus, say};

use crate::dispatch::{Block, OpenSegment, Passing, Skipping};
use crate::effect::Step;
use crate::error::SessionError;
use crate::held::Held;
use crate::ledger::{Audience, Owed};
use crate::segment::{Extent, Known, Names, Needs, Proof, Segment};
use crate::session::{Advance, Next, Preparing, Session, linked};
use crate::shapes::{Check, Checks};
use crate::terms::PoolMode;

impl Session {
    /// Looks at the next segment as a whole, and sends it if the server at hand may have it.
    pub(crate) fn hold(&mut self, rest: &[u8], step: &mut Step<'_>) -> Result<Advance, SessionError> {
        if self.skipping != Skipping::No {
            return self.forward(rest, step);
        }
        if self.segment.scanned == 0 && is_left_over(rest) {
            let Some(header) = Header::read(rest).map_err(SessionError::ClientFrame)? else {
                return Ok(Advance::Until(Next::Input));
            };
            self.passing = Passing::Swallow(header.total());
            return Ok(Advance::By(0));
        }
        if self.segment.is_doubtful() {
            // Replies may have settled since what its statements are.
            self.segment = Segment::new();
        }
        self.route.follow(self.settings.current());
        // A failed block takes no Parse.
        let answers = self.link.is_none() && self.status != TransactionStatus::Failed;
        let salt = if answers { Some(self.salt()) } else { None };
        let room = self.limits.client_statements_max.saturating_sub(self.statements.len()).min(1);
        let proof = salt.map(|salt| Proof { namer: &self.namer, salt, proven: &self.proven, room });
        let mut known = Known {
            classifier: step.classifier,
            lexing: self.lexing,
            naming: self.names.naming(),
            wish: &self.route.wish,
            statements: &self.statements,
            unnamed: self.unnamed.as_ref(),
            ledger: &self.ledger,
            server: self.link.as_ref().map(|link| &link.server.statements),
            proof,
            transaction_reads: self.transaction_reads,
            bytes_max: self.limits.query_bytes_max,
        };
        match self.segment.scan(rest, &mut known)? {
            Extent::Open => return Ok(Advance::Until(self.while_open())),
            Extent::Goodbye if self.ledger.owes_ready() => return Ok(Advance::Until(Next::Replies)),
            Extent::Goodbye => return Ok(Advance::Until(Next::Goodbye)),
            Extent::Ended | Extent::Flushed | Extent::TooLong => {}
        }
        if self.link.is_none()
            && let Some(advance) = self.answer_block(rest, step)
        {
            return Ok(advance);
        }
        let needs = self.needs_with_block(rest, step).max(self.session_needs()).max(self.attempt.needs);
        match (&self.link, needs) {
            (None, Needs::Nothing) => self.answer_alone(rest, step),
            (None, Needs::Read) => Ok(Advance::Until(Next::Lease(self.read_demand()))),
            (None, Needs::Primary) => Ok(Advance::Until(Next::Lease(self.demand(Access::Primary)))),
            (Some(link), Needs::Nothing | Needs::Read)
                if self.block == Block::Settled && link.wants.covers(&self.segment.wants) =>
            {
                if self.segment.is_doubtful() && self.ledger.owes_ready() {
                    return Ok(Advance::Until(Next::Replies));
                }
                let named = self.segment.names == Names::Some;
                if named && self.check_segment(&rest[..self.segment.scanned], step) == Check::Asked {
                    return Ok(self.wait(step));
                }
                self.checks = Checks::Done;
                let sent = self.dispatch_segment(rest, step);
                self.checks = Checks::Each;
                sent
            }
            (Some(_), _) => Ok(self.leave_when_answered(step)),
        }
    }

    /// What a segment waits for whose end has not come. One that surely needs the primary, and is too long to be sent again, is
    /// not held any longer: what fails early in it is told early, and it takes no memory.
    fn while_open(&self) -> Next {
        let long = self.segment.scanned > self.limits.segment_bytes_max;
        let sure = self.segment.needs == Needs::Primary && matches!(self.held, Held::No);
        match self.link {
            None if long && sure => Next::Lease(self.demand(Access::Primary)),
            _ => Next::Input,
        }
    }

    /// In pool mode `session` the first server serves everything; and reads on a standby fail with some settings.
    fn session_needs(&self) -> Needs {
        let primary = self.mode == PoolMode::Session || self.settings.needs_primary();
        if self.segment.needs > Needs::Nothing && primary { Needs::Primary } else { Needs::Nothing }
    }

    /// The next segment cannot run on this standby: ends what is open there, or waits for its replies.
    fn leave_when_answered(&mut self, step: &mut Step<'_>) -> Advance {
        if self.ledger.is_empty() {
            self.leave_standby(step);
        }
        Advance::Until(Next::Replies)
    }

    /// ReadyForQuery: whether the server was only being given settings, or asked, and is done with that.
    pub(crate) fn is_prepared(&mut self) -> bool {
        let link = linked(&mut self.link);
        let prepared = match link.preparing {
            Preparing::Settings => true,
            Preparing::Checking => self.ledger.is_empty(),
            Preparing::Leaving | Preparing::No => false,
        };
        if prepared || self.ledger.is_empty() {
            link.preparing = Preparing::No;
        }
        let lexing = link.server.lexing();
        self.read_strings_as(lexing);
        prepared
    }

    /// Ends what is open on a standby; what comes next is looked at when it has answered.
    pub(crate) fn leave_standby(&mut self, step: &mut Step<'_>) {
        step.to_server.extend_from_slice(say::SYNC);
        self.ledger.promise(Owed::Sync(Audience::Proxy));
        self.open_segment = OpenSegment::No;
        let link = self.link.as_mut().expect("only a linked session leaves its server");
        link.preparing = Preparing::Leaving;
    }
}

/// Whether the next message is left over from a COPY that failed. Servers ignore those.
fn is_left_over(rest: &[u8]) -> bool {
    let tag = rest.first().and_then(|byte| FrontendTag::from_byte(*byte));
    matches!(tag, Some(FrontendTag::CopyData | FrontendTag::CopyDone | FrontendTag::CopyFail))
}
