//! How a session gets over what ends: a demand that was not met, a server that is lost, the client's good-bye.

use pgweir_cluster::NodeSet;
use pgweir_wire::say::{self, Complaint, Severity};
use pgweir_wire::{Header, TransactionStatus};

use crate::copy::CopyIn;
use crate::dispatch::{Block, OpenSegment, Passing, Skipping};
use crate::effect::Step;
use crate::error::SessionError;
use crate::ledger::{Audience, Owed};
use crate::lent::OwnNames;
use crate::portals::Portals;
use crate::question::Inquiry;
use crate::replies::{Outcome, ReplyRest};
use crate::segment::{Begins, Extent, Segment};
use crate::session::{Pinned, Preparing, Session};
use crate::terms::{NodeRole, Refusal};

/// Proof that a server is at rest: idle, with nothing owed and no segment open.
#[derive(Debug)]
pub struct AtRest(());

/// What the loss of a server means.
#[derive(Debug)]
pub enum OnServerLost {
    /// Nothing was owed.
    Unnoticed,
    /// These bytes of the client must be given again, before any others.
    SendAgain(Vec<u8>),
    /// The client must be told, and the session ends.
    Fatal(SessionError),
}

/// What to do with the server when the client is gone.
#[derive(Debug)]
pub enum AtTheEnd {
    /// It can serve another session.
    GiveBack(AtRest),
    /// It can once the reset that was just written has been answered.
    ResetFirst,
    /// It must be closed.
    Discard,
    /// There is none.
    NoServer,
}

impl Session {
    /// Answers the request that could not get a server, and goes on behind it. `input` is what `on_client` was given.
    /// Answers how many bytes are done with.
    pub fn refuse(&mut self, input: &[u8], refusal: &Refusal, step: &mut Step<'_>) -> usize {
        let complaint = Complaint {
            severity: Severity::Error,
            sqlstate: refusal.sqlstate,
            message: &refusal.message,
            hint: None,
        };
        say::error(step.to_client, &complaint);
        self.fail_held();
        self.attempt.tried = NodeSet::EMPTY;
        let segment = std::mem::replace(&mut self.segment, Segment::new());
        match (segment.extent, segment.begins) {
            (Extent::Ended, Begins::Simple) => say::ready_for_query(step.to_client, self.status),
            (Extent::Ended, Begins::Extended) if input[..segment.scanned].ends_with(say::SYNC) => {
                say::ready_for_query(step.to_client, self.status);
            }
            (Extent::TooLong, begins) => self.swallow_long(&input[segment.scanned..], begins, step),
            (Extent::Ended | Extent::Open | Extent::Flushed | Extent::Goodbye, _) => {
                self.skipping = Skipping::Alone;
            }
        }
        segment.scanned
    }

    /// A message too long to hold is refused: its rest is swallowed.
    fn swallow_long(&mut self, rest: &[u8], begins: Begins, step: &mut Step<'_>) {
        let Ok(Some(header)) = Header::read(rest) else { return };
        self.passing = Passing::Swallow(header.total());
        if begins == Begins::Simple && header.tag == b'Q' {
            say::ready_for_query(step.to_client, self.status);
        } else {
            self.skipping = Skipping::Alone;
        }
    }

    /// The server's connection is gone.
    pub fn on_server_lost(&mut self) -> OnServerLost {
        let Some(link) = &self.link else {
            // It was taken away before it had answered a question of ours.
            self.ledger.clear();
            return OnServerLost::Unnoticed;
        };
        if self.attempt.is_renewing() {
            return OnServerLost::SendAgain(self.take_back());
        }
        if link.role == NodeRole::Standby && (self.attempt.may_move() || self.is_preparing()) {
            self.attempt.tried.insert(link.node);
            return OnServerLost::SendAgain(self.take_back());
        }
        if self.is_preparing() {
            // Nothing of the client's was sent. Another connection to the same primary may well live.
            return OnServerLost::SendAgain(self.take_back());
        }
        // What we alone have asked is asked again elsewhere.
        let leaving =
            matches!(link.preparing, Preparing::Checking | Preparing::Leaving) && self.ledger.is_ours();
        let traceless = (self.ledger.is_empty() || leaving)
            && self.status == TransactionStatus::Idle
            && self.open_segment < OpenSegment::Executed
            && self.skipping != Skipping::Server
            && self.pinned == Pinned::No
            && matches!(self.reply_rest, ReplyRest::Nothing);
        if traceless {
            // What was prepared is prepared again wherever it is used.
            self.ledger.clear();
            self.open_segment = OpenSegment::No;
            // Whoever waits for a server to be left need wait no longer.
            return if leaving { OnServerLost::SendAgain(Vec::new()) } else { OnServerLost::Unnoticed };
        }
        OnServerLost::Fatal(SessionError::ServerLost)
    }

    /// Whether the server at hand is being prepared: nothing of the client's has been sent yet.
    #[must_use]
    pub fn is_preparing(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.preparing == Preparing::Settings)
    }

    /// Whether the client was sent a part of a message: nothing but its rest may follow.
    #[must_use]
    pub fn is_amid_a_reply(&self) -> bool {
        matches!(self.reply_rest, ReplyRest::Forward(_))
    }

    /// Whether replies are outstanding for which the server needs nothing more of the client.
    #[must_use]
    pub fn will_be_answered(&self) -> bool {
        !self.ledger.is_empty()
            && self.open_segment == OpenSegment::No
            && self.copy_in == CopyIn::No
            && !matches!(self.passing, Passing::Forward(_))
    }

    /// Whether all that the server at hand was asked can be asked of another one, and the client will not notice.
    #[must_use]
    pub fn can_ask_elsewhere(&self) -> bool {
        let standby = self.link.as_ref().is_some_and(|link| link.role == NodeRole::Standby);
        standby && !self.ledger.is_empty() && self.attempt.may_move()
    }

    /// Undoes everything that is in flight on a server that will not answer.
    pub(crate) fn take_back(&mut self) -> Vec<u8> {
        self.ledger.clear();
        let back = self.attempt.take();
        for change in back.names.into_iter().rev() {
            self.statements.undo(change);
        }
        if let Some(unnamed) = back.unnamed {
            self.unnamed = unnamed;
        }
        self.reset_flow();
        self.held.take_back();
        if self.held.is_begun() {
            self.status = self.held.status();
        }
        back.bytes
    }

    /// Forgets where a conversation with a server stood.
    fn reset_flow(&mut self) {
        self.passing = Passing::Nothing;
        self.copy_in = CopyIn::No;
        self.open_segment = OpenSegment::No;
        self.skipping = Skipping::No;
        self.segment = Segment::new();
        self.reply_rest = ReplyRest::Nothing;
        self.block = Block::Settled;
        self.outcome = Outcome::Fine;
        self.string_done = 0;
        self.inquiry = Inquiry::default();
        self.own_names = OwnNames::default();
        self.status = TransactionStatus::Idle;
        self.portals = Portals::default();
        self.settings.rollback();
        self.sharing.settle();
        self.writes.open = false;
    }

    /// The body of the error with which a server refused the session's settings, if that is why the session ended.
    pub fn take_refused(&mut self) -> Option<Vec<u8>> {
        self.refused.take().map(Vec::from)
    }

    /// The client is gone: says what becomes of the server, and writes the reset it may need.
    pub fn at_the_end(&mut self, step: &mut Step<'_>) -> AtTheEnd {
        if self.link.is_none() {
            return AtTheEnd::NoServer;
        }
        let Some(proof) = self.proof_of_rest() else { return AtTheEnd::Discard };
        match self.pinned {
            Pinned::No => AtTheEnd::GiveBack(proof),
            Pinned::By(_) if self.is_beyond_reset() => AtTheEnd::Discard,
            Pinned::By(_) => {
                say::query(step.to_server, b"DISCARD ALL");
                self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
                self.pinned = Pinned::No;
                self.inquiry = Inquiry::default();
                AtTheEnd::ResetFirst
            }
        }
    }

    /// The reset of [`AtTheEnd::ResetFirst`] was answered: the server is as new.
    pub fn was_reset(&mut self) {
        self.settings.discard_all();
        if let Some(link) = &mut self.link {
            link.server.discard_all();
        }
    }

    /// Idle with nothing owed and no segment open: the only place where rest is proven. Of a block that is held back the server
    /// does not know.
    pub(crate) fn proof_of_rest(&self) -> Option<AtRest> {
        let rests = self.ledger.is_empty()
            && !self.has_lent()
            && (self.status == TransactionStatus::Idle || self.held.is_unknown_to_server())
            && self.open_segment == OpenSegment::No
            && self.copy_in == CopyIn::No
            && !matches!(self.passing, Passing::Forward(_))
            && matches!(self.reply_rest, ReplyRest::Nothing)
            && self.skipping == Skipping::No;
        rests.then_some(AtRest(()))
    }
}
