//! Statements that a server parsed before a schema changed: `cached plan must not change result type`.
//!
//! Why: servers share statements among clients, so a client can meet a server that parsed its text before the change,
//! although the client itself parsed it after. PostgreSQL refuses such a statement when it is bound or described, before
//! anything of it ran. Where the client cannot have relied on the old result, the segment is sent again with the statement
//! parsed anew, and the client does not notice.
//! A client that was told what its statement returns gets PostgreSQL's error, as it would without us, unless it asks to be
//! told again for each portal; drivers that know the error prepare again, under a name that is new to all servers.
//!
//! Invariants: nothing is sent again of which something was shown, or behind which something was sent; the server goes
//! back only when it said that it is at rest.
//! Absent: statements of pinned sessions, which nobody shares; SQL's EXECUTE; segments of a block behind its first.

use std::sync::Arc;

use pgweir_wire::body::{self, BindNames};
use pgweir_wire::{ErrorFields, TransactionStatus, say};

use crate::dispatch::{OpenSegment, Skipping};
use crate::effect::{Event, Step};
use crate::frames::Frames;
use crate::ledger::{Audience, Owed};
use crate::provoked::STALE_ROUTINE;
use crate::replies::ReplyRest;
use crate::segment::{Extent, Names};
use crate::session::{Pinned, Preparing, Session, linked};
use crate::statements::Statement;
use crate::terms::NodeRole;

/// What becomes of a segment that met a stale statement.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// The client gets the error.
    No,
    /// It is sent again when the server is at rest, which is asked for.
    Here,
    /// It is sent again at once, to another server, and this statement is parsed anew there: the one at hand has more to
    /// answer than it is worth to wait for.
    Elsewhere(Arc<Statement>),
}

/// Whether the error says that a prepared statement would now return other columns, since a schema changed.
pub(crate) fn is_stale(fields: ErrorFields<'_>) -> bool {
    &fields.sqlstate().0 == b"0A000" && fields.routine() == Some(STALE_ROUTINE.as_bytes())
}

impl Session {
    /// Keeps the segment that is about to be sent to the primary, if it may meet a stale statement and be sent again.
    pub(crate) fn keep_for_renewal(&mut self, rest: &[u8], step: &mut Step<'_>) {
        let segment = &self.segment;
        let whole = matches!(segment.extent, Extent::Ended | Extent::Flushed);
        if !whole || segment.names == Names::None || segment.scanned > self.limits.segment_bytes_max {
            return;
        }
        let fresh = self.link.as_ref().is_some_and(|link| link.role == NodeRole::Primary)
            && self.pinned == Pinned::No
            && self.skipping == Skipping::No
            && self.open_segment == OpenSegment::No
            && (self.status == TransactionStatus::Idle || self.held.is_begun())
            && !self.attempt.is_hidden()
            && !self.ledger.owes_client()
            && matches!(self.reply_rest, ReplyRest::Nothing);
        if fresh {
            self.send_held(step);
            self.attempt.begin_fixed(&rest[..self.segment.scanned]);
        }
    }

    /// The oldest promise met a stale statement: has it parsed anew, if the client cannot tell.
    pub(crate) fn renew(&mut self, step: &mut Step<'_>) -> Renewal {
        let Some(Owed::Bind(Some(stale)) | Owed::Describe(Some(stale))) = self.ledger.head() else {
            return Renewal::No;
        };
        let stale = Arc::clone(stale);
        let kept = self.attempt.is_hidden() && self.pinned == Pinned::No;
        if !kept || stale.is_used() && !tells_again(self.attempt.bytes(), &stale.name) {
            return Renewal::No;
        }
        if self.ledger.owes_several() || self.has_lent() {
            return Renewal::Elsewhere(stale);
        }
        let ended = self.ledger.owes_ready();
        self.drop_failed();
        let bytes = self.take_back();
        self.statements.renew(&stale.name, &self.namer);
        if !ended {
            step.to_server.extend_from_slice(say::SYNC);
        }
        self.ledger.promise(Owed::Sync(Audience::Proxy));
        let link = linked(&mut self.link);
        if self.held.is_begun() {
            say::query(step.to_server, b"ROLLBACK");
            self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
            link.server.statements.forget_unnamed();
        }
        link.preparing = Preparing::Leaving;
        self.attempt.renew(bytes);
        step.events.push(Event::Renewed);
        Renewal::Here
    }
}

/// Whether each use of the statement in this segment tells the client what it returns.
pub(crate) fn tells_again(segment: &[u8], statement: &[u8]) -> bool {
    let mut untold: Option<&[u8]> = None;
    for (tag, body) in Frames(segment) {
        match tag {
            b'B' => {
                let Some(names) = BindNames::read(body) else { return false };
                if untold.is_some() {
                    return false;
                }
                if names.statement == statement {
                    if !has_one_format(&body[names.bytes..]) {
                        return false;
                    }
                    untold = Some(names.portal);
                }
            }
            b'D' => match body::Target::read(body) {
                Some(body::Target::Portal(portal)) if untold == Some(portal) => untold = None,
                Some(_) => {}
                None => return false,
            },
            b'E' if untold.is_some() => return false,
            _ => {}
        }
    }
    untold.is_none()
}

/// Whether a Bind, behind its names, asks for at most one format of results: it may be that of any number of columns.
///
/// Manual: Message Formats, "Bind".
fn has_one_format(rest: &[u8]) -> bool {
    let read = || {
        let (formats, rest) = rest.split_first_chunk::<2>()?;
        let mut rest = rest.get(usize::from(u16::from_be_bytes(*formats)) * 2..)?;
        let (values, behind) = rest.split_first_chunk::<2>()?;
        rest = behind;
        for _ in 0..u16::from_be_bytes(*values) {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            // NULL has a length of -1, and no bytes.
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            rest = behind.get(length..)?;
        }
        rest.first_chunk::<2>().map(|results| u16::from_be_bytes(*results))
    };
    read().is_some_and(|results| results <= 1)
}
