//! The ledger of promises: what a server still owes, in order, and to whom.
//!
//! Why: one bug class dominates every pooler, losing count of the replies that a server still owes after an error in
//! a pipeline. Here every message that must be answered adds exactly one [`Owed`], and every reply settles by rule.
//! A question of our own is a promise like any other, with [`Audience::Proxy`].
//!
//! Invariants: replies settle in the order of the promises; an error in an extended-query segment drops every promise
//! up to the next Sync, simple queries among them, as the server does; an empty ledger is not rest (a segment may be
//! open): only ReadyForQuery proves rest.
//!
//! Manual: Frontend/Backend Protocol, "Extended Query" and "Pipelining".

use std::collections::VecDeque;
use std::sync::Arc;

use crate::effect::AfterStatement;
use crate::statements::{NameChange, StatementId};

/// Who hears the replies to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The client sent the message.
    Client,
    /// We asked for ourselves; the client never sees the reply.
    Proxy,
}

/// One promise of a server (or, for `Local`, of ours) to answer.
#[derive(Debug)]
pub(crate) enum Owed {
    /// BindComplete.
    Bind,
    /// CloseComplete; ours closes a statement that the server keeps if the Close is dropped.
    Close(Audience, Option<StatementId>),
    /// ParameterDescription and RowDescription or NoData; of a portal without the first.
    Describe,
    /// Rows and CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute(Option<Arc<AfterStatement>>),
    /// FunctionCallResponse and ReadyForQuery.
    FunctionCall,
    /// A reply that we make ourselves when its turn comes; on failure the names are put back.
    Local(&'static [u8], Option<Box<NameChange>>),
    /// ParseComplete; on failure the names are put back and the server does not have the statement.
    Parse(Audience, Option<Box<NameChange>>, Option<StatementId>),
    /// An error that we provoked, whose text we replace.
    Provoked(Box<Provoked>),
    /// Everything a simple query brings, up to ReadyForQuery.
    SimpleQuery(Audience, Option<Arc<AfterStatement>>),
    /// ReadyForQuery.
    Sync(Audience),
    /// Not a promise: the client ended its COPY here.
    CopyEnd,
}

/// An error that the client must see in place of the one we provoked.
#[derive(Debug)]
pub(crate) struct Provoked {
    pub(crate) sqlstate: &'static str,
    pub(crate) message: String,
}

impl Owed {
    pub(crate) const fn audience(&self) -> Audience {
        match self {
            Self::Close(audience, _)
            | Self::Parse(audience, _, _)
            | Self::SimpleQuery(audience, _)
            | Self::Sync(audience) => *audience,
            Self::Bind
            | Self::CopyEnd
            | Self::Describe
            | Self::Execute(_)
            | Self::FunctionCall
            | Self::Local(..)
            | Self::Provoked(_) => Audience::Client,
        }
    }

    /// Whether the reply ends with ReadyForQuery.
    const fn ends_with_ready(&self) -> bool {
        matches!(self, Self::Sync(_) | Self::SimpleQuery(..) | Self::FunctionCall)
    }

    /// Whether an error in reply to this makes the server skip to the next Sync.
    const fn is_extended(&self) -> bool {
        matches!(
            self,
            Self::Bind
                | Self::Close(..)
                | Self::Describe
                | Self::Execute(_)
                | Self::Parse(..)
                | Self::Provoked(_)
        )
    }
}

/// The promises of one server, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    owed: VecDeque<Owed>,
}

impl Ledger {
    pub(crate) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.owed.len()
    }

    pub(crate) fn promise(&mut self, owed: Owed) {
        self.owed.push_back(owed);
    }

    pub(crate) fn head(&self) -> Option<&Owed> {
        self.owed.front()
    }

    /// Takes the oldest promise if `expected` says that the reply at hand settles it.
    pub(crate) fn settle(&mut self, expected: impl FnOnce(&Owed) -> bool) -> Option<Owed> {
        if self.owed.front().is_some_and(expected) { self.owed.pop_front() } else { None }
    }

    /// Takes the oldest promise if it ends with ReadyForQuery.
    pub(crate) fn settle_ready(&mut self) -> Option<Owed> {
        self.settle(Owed::ends_with_ready)
    }

    /// Applies an error to the oldest promise: in an extended-query segment every promise up to the next Sync is
    /// dropped and handed to `dropped`, newest first, so that name changes can be undone in order.
    ///
    /// Answers whether a Sync is still to come from the client (the server skips until it gets one).
    pub(crate) fn fail(&mut self, mut dropped: impl FnMut(Owed)) -> SkipsUntilSync {
        if !self.owed.front().is_some_and(Owed::is_extended) {
            return SkipsUntilSync::No;
        }
        let sync = self.owed.iter().position(|o| matches!(o, Owed::Sync(_)));
        let mut gone: Vec<Owed> = self.owed.drain(..sync.unwrap_or(self.owed.len())).collect();
        while let Some(owed) = gone.pop() {
            dropped(owed);
        }
        if sync.is_some() { SkipsUntilSync::No } else { SkipsUntilSync::Yes }
    }

    /// The server entered COPY IN for the oldest promise: it ignores every Sync it reads until the COPY ends.
    ///
    /// Answers whether the client has ended the COPY already.
    pub(crate) fn copy_in_begun(&mut self) -> bool {
        let end = self.owed.iter().position(|o| matches!(o, Owed::CopyEnd));
        let until = end.unwrap_or(self.owed.len());
        let mut at = 0;
        self.owed.retain(|owed| {
            let inside = at > 0 && at < until;
            at += 1;
            !(inside && matches!(owed, Owed::Sync(_)))
        });
        end.is_some()
    }

    /// Drops the marks of a COPY's end that stand in front: they are no promises.
    pub(crate) fn skip_copy_ends(&mut self) {
        while matches!(self.owed.front(), Some(Owed::CopyEnd)) {
            self.owed.pop_front();
        }
    }

    /// Gives up every promise, newest first.
    pub(crate) fn clear(&mut self, mut dropped: impl FnMut(Owed)) {
        while let Some(owed) = self.owed.pop_back() {
            dropped(owed);
        }
    }
}

/// Whether the server now ignores everything up to a Sync that the client has not sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SkipsUntilSync {
    No,
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(owed: impl IntoIterator<Item = Owed>) -> Ledger {
        Ledger { owed: owed.into_iter().collect() }
    }

    #[test]
    fn an_error_drops_up_to_the_sync() {
        let mut it = ledger([
            Owed::Bind,
            Owed::Execute(None),
            Owed::SimpleQuery(Audience::Client, None),
            Owed::Sync(Audience::Client),
            Owed::Bind,
        ]);
        let mut dropped = 0;
        assert_eq!(it.fail(|_| dropped += 1), SkipsUntilSync::No);
        assert_eq!((dropped, it.len()), (3, 2));
        assert!(it.settle_ready().is_some());
    }

    #[test]
    fn an_error_without_sync_skips() {
        let mut it = ledger([Owed::Parse(Audience::Client, None, None), Owed::Bind]);
        assert_eq!(it.fail(|_| ()), SkipsUntilSync::Yes);
        assert!(it.is_empty());
    }

    #[test]
    fn an_error_of_a_simple_query_drops_nothing() {
        let mut it = ledger([Owed::SimpleQuery(Audience::Client, None), Owed::Bind]);
        assert_eq!(it.fail(|_| panic!("nothing is dropped")), SkipsUntilSync::No);
        assert_eq!(it.len(), 2);
    }

    #[test]
    fn copy_in_swallows_the_syncs_before_its_end() {
        let mut it = ledger([
            Owed::Execute(None),
            Owed::Sync(Audience::Client),
            Owed::CopyEnd,
            Owed::Sync(Audience::Client),
        ]);
        assert!(it.copy_in_begun());
        assert_eq!(it.len(), 3);
        let mut open = ledger([Owed::Execute(None), Owed::Sync(Audience::Client)]);
        assert!(!open.copy_in_begun());
        assert_eq!(open.len(), 1);
    }
}
