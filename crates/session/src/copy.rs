//! COPY to the server: its data, and what a client sends among them.
//!
//! Why it is not counted as anything else: while a server reads COPY data it ignores a Sync, and once the COPY has failed it
//! answers one. At which byte it failed only the server knows. So a Sync among the data is sent, and when the COPY turns out
//! to have failed, a Close of ours is sent behind, whose reply tells how many ReadyForQuery came before it.
//! Absent: other messages among the data. A server that still reads hangs up on them; one that does not has said what it
//! will, and the session ends if it says more.
//!
//! Manual: Message Flow, "COPY Operations".

use pgweir_wire::{FrontendTag, Header, TransactionStatus, say};

use crate::dispatch::{Passing, Skipping};
use crate::effect::{Event, Step};
use crate::ledger::{Audience, Owed, SkipsUntilSync};
use crate::replies::Pass;
use crate::session::{Advance, Next, Session};

/// Whether the server reads COPY data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyIn {
    No,
    Active,
    /// It does, and was sent a Sync, which it ignores unless the COPY has failed.
    Synced,
    /// The client has ended such a COPY: how often the server says that it is ready depends on how it ended.
    InDoubt,
    /// Such a COPY has failed amid a message of the client's, whose rest comes before anything of ours.
    Failed(SkipsUntilSync),
}

/// How many of the client's Syncs the server answers whose COPY has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recount {
    /// The first ReadyForQuery is one too many: it answers a Sync of ours.
    AllButOne,
    /// That one came; no other is there so far.
    AllButThat,
    All,
}

impl CopyIn {
    /// Whether what the client sends is COPY data.
    pub(crate) const fn is_read(self) -> bool {
        matches!(self, Self::Active | Self::Synced)
    }

    /// Whether a Sync was sent of which nobody knows whether it is answered.
    const fn has_sync(self) -> bool {
        matches!(self, Self::Synced | Self::InDoubt)
    }
}

impl Session {
    /// A message while the server reads COPY data. It ignores Flush, so that is not sent; anything that does not belong to a
    /// COPY makes it give up.
    pub(crate) fn copy_message(&mut self, tag: FrontendTag, header: Header) -> Advance {
        match tag {
            FrontendTag::Terminate => return Advance::Until(Next::Goodbye),
            FrontendTag::Flush => {
                self.passing = Passing::Swallow(header.total());
                return Advance::By(0);
            }
            FrontendTag::Sync => self.copy_in = CopyIn::Synced,
            FrontendTag::CopyData => {}
            FrontendTag::CopyDone | FrontendTag::CopyFail => {
                self.copy_in = if self.copy_in.has_sync() { CopyIn::InDoubt } else { CopyIn::No };
                if matches!(self.ledger.head(), Some(Owed::Execute(_))) {
                    self.ledger.promise(Owed::CopyEnd);
                }
            }
            FrontendTag::Bind
            | FrontendTag::Close
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::FunctionCall
            | FrontendTag::Parse
            | FrontendTag::Password
            | FrontendTag::Query => self.copy_in = CopyIn::No,
        }
        self.forward_all(header)
    }

    /// COPY data sent blindly, before the server asked for it. Without any COPY under way servers ignore it.
    pub(crate) fn early_copy_message(&mut self, tag: FrontendTag, header: Header) -> Advance {
        if !self.ledger.has_copy() {
            self.passing = Passing::Swallow(header.total());
            return Advance::By(0);
        }
        if tag != FrontendTag::CopyData {
            self.ledger.promise(Owed::CopyEnd);
        }
        self.forward_all(header)
    }

    /// Whether the next message must wait until it is known how a COPY ended. The Sync that ends its segment need not.
    pub(crate) fn waits_for_copy(&self, rest: &[u8]) -> bool {
        self.copy_in == CopyIn::InDoubt
            && (self.ledger.owes_ready() || rest.first() != Some(&FrontendTag::Sync.byte()))
    }

    /// A server that may have been reading COPY data said that something failed, and the promises that this makes void are
    /// dropped: has it tell how many Syncs it answers.
    pub(crate) fn recount_syncs(&mut self, skips: SkipsUntilSync, step: &mut Step<'_>) {
        let in_doubt = std::mem::replace(&mut self.copy_in, CopyIn::No).has_sync();
        if !in_doubt {
            return;
        }
        let recount = match (skips, self.ledger.head()) {
            (SkipsUntilSync::Yes, _) => Recount::AllButOne,
            (SkipsUntilSync::No, Some(Owed::Sync(_))) => {
                self.ledger.settle_ready();
                Recount::All
            }
            (SkipsUntilSync::No, _) => Recount::All,
        };
        self.skipping = Skipping::No;
        self.ledger.promise(Owed::Recount(recount));
        self.ledger.promise(Owed::Sync(Audience::Proxy));
        self.copy_in = CopyIn::Failed(skips);
        self.ask_for_recount(step);
    }

    /// Sends what the server counts by, if nothing of the client's is in its way.
    pub(crate) fn ask_for_recount(&mut self, step: &mut Step<'_>) {
        let CopyIn::Failed(skips) = self.copy_in else { return };
        if !matches!(self.passing, Passing::Nothing) {
            return;
        }
        if skips == SkipsUntilSync::Yes {
            step.to_server.extend_from_slice(say::SYNC);
        }
        say::frame(step.to_server, b'C', &[b"S", NOBODYS, b"\0"]);
        step.to_server.extend_from_slice(say::SYNC);
        self.copy_in = CopyIn::No;
    }

    /// The COPY under way is over, or the whole query that it was a part of.
    pub(crate) fn copy_ended(&mut self) {
        if !matches!(self.copy_in, CopyIn::Failed(_)) {
            self.copy_in = CopyIn::No;
        }
    }

    /// ReadyForQuery, if it is one of those that are counted.
    pub(crate) fn counted(&mut self, status: TransactionStatus, step: &mut Step<'_>) -> Option<Pass> {
        let recount = self.ledger.recount()?;
        let pass = match *recount {
            Recount::AllButOne => {
                *recount = Recount::AllButThat;
                Pass::Swallow
            }
            Recount::AllButThat | Recount::All => {
                *recount = Recount::All;
                Pass::Forward
            }
        };
        self.status = status;
        if status == TransactionStatus::Idle && matches!(pass, Pass::Forward) {
            step.events.push(Event::TransactionEnded);
        }
        Some(pass)
    }

    /// The server has answered all of them.
    pub(crate) fn recounted(&mut self, recount: Recount) {
        if recount == Recount::AllButThat {
            // The client has yet to send the Sync up to which its messages are skipped.
            self.skipping = Skipping::Server;
        }
    }
}

/// A statement that is nobody's.
const NOBODYS: &[u8] = b"pgweir_nobodys";
