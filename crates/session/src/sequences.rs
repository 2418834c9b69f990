//! What `currval` and `lastval` answer lives in the server that ran `nextval`, and no catalog shows it.
//!
//! Why not pin every writer: almost nobody asks. A server remembers whose sequence values it may have; a session that asks
//! one with another's values has them discarded first, so that it gets its own or PostgreSQL's error, never another's. Once
//! a client of a pool has asked, sessions of that pool hold their server from the first statement on that may advance a
//! sequence.
//! Absent: `currval` in the bodies of functions, which no text shows.

use pgweir_sql::{PinCause, Verdict};
use pgweir_wire::say;

use crate::effect::{PinReason, Step};
use crate::ledger::{Audience, Owed, Parsed};
use crate::question::Doubt;
use crate::server::ServerState;
use crate::session::{Pinned, Session, linked};
use crate::terms::NodeRole;

/// Whose sequence values a server may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SequenceValues {
    #[default]
    Nobodys,
    Of(u64),
    /// Of several sessions.
    Mixed,
}

impl SequenceValues {
    /// The session ran something that may advance a sequence.
    fn and(self, session: u64) -> Self {
        match self {
            Self::Nobodys => Self::Of(session),
            Self::Of(of) if of == session => self,
            Self::Of(_) | Self::Mixed => Self::Mixed,
        }
    }

    /// Whether there may be some that are not the session's.
    pub(crate) fn has_others(self, session: u64) -> bool {
        match self {
            Self::Nobodys => false,
            Self::Of(of) => of != session,
            Self::Mixed => true,
        }
    }
}

impl Session {
    /// Something is about to run that may advance a sequence, unless it is on a standby.
    pub(crate) fn may_advance_sequence(&mut self, step: &mut Step<'_>) {
        let link = linked(&mut self.link);
        if link.role == NodeRole::Standby {
            return;
        }
        link.server.sequences = link.server.sequences.and(self.id);
        if self.proven.are_sequences_read() {
            self.pin(PinReason::Statement(PinCause::SequenceValue), step);
        }
    }

    /// The query that prepares a server, for a session of a pool in which sequence values are asked for.
    pub(crate) fn without_others_values(
        &self,
        server: &mut ServerState,
        query: Option<String>,
    ) -> Option<String> {
        if !self.proven.are_sequences_read() || !server.sequences.has_others(self.id) {
            return query;
        }
        server.sequences = SequenceValues::Nobodys;
        Some([DISCARD, ";", &query.unwrap_or_default()].concat())
    }

    /// Whether the server at hand must discard others' sequence values before it runs this. Notes that somebody asks.
    pub(crate) fn asks_for_others_values(&self, verdict: Verdict) -> bool {
        if verdict.binds != Some(PinCause::SequenceValue) {
            return false;
        }
        self.proven.read_sequences();
        self.link.as_ref().is_some_and(|link| link.server.sequences.has_others(self.id))
    }

    /// In front of a simple query, with nothing outstanding.
    pub(crate) fn discard_values_before_query(&mut self, step: &mut Step<'_>) {
        say::query(step.to_server, DISCARD.as_bytes());
        self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
        linked(&mut self.link).server.sequences = SequenceValues::Nobodys;
    }

    /// In front of a Bind. The unnamed statement and portal may be in use.
    pub(crate) fn discard_values_before_bind(&mut self, step: &mut Step<'_>) {
        let close = |kind: &'static [u8], step: &mut Step<'_>| {
            say::frame(step.to_server, b'C', &[kind, OWN, b"\0"]);
            Owed::Close(Audience::Proxy, None)
        };
        let closed = close(b"S", step);
        self.ledger.promise(closed);
        say::frame(step.to_server, b'P', &[OWN, b"\0", DISCARD.as_bytes(), b"\0\0\0"]);
        self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Passing));
        say::frame(step.to_server, b'B', &[OWN, b"\0", OWN, b"\0", &[0; 6]]);
        self.ledger.promise(Owed::OwnBind);
        say::frame(step.to_server, b'E', &[OWN, b"\0", &[0; 4]]);
        self.ledger.promise(Owed::OwnExecute);
        for kind in [&b"P"[..], b"S"] {
            let closed = close(kind, step);
            self.ledger.promise(closed);
        }
        // Should it be skipped, drop_failed says so.
        linked(&mut self.link).server.sequences = SequenceValues::Nobodys;
    }

    /// The client's DISCARD SEQUENCES is done. What was sent behind it may advance one again.
    pub(crate) fn sequences_discarded(&mut self, step: &mut Step<'_>) {
        linked(&mut self.link).server.sequences = SequenceValues::Of(self.id);
        if self.pinned == Pinned::By(PinReason::Statement(PinCause::SequenceValue)) {
            self.unpin(step);
            // There may be reasons of less weight: the server is asked.
            self.inquiry.doubt = Doubt::Yes;
            self.pin(PinReason::Unasked, step);
        }
    }
}

const DISCARD: &str = "DISCARD SEQUENCES";
/// The name of our statement and portal.
const OWN: &[u8] = b"pgweir_own";
