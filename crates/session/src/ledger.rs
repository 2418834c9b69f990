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
//! Segments are numbered by the ReadyForQuery that ends them. What a segment before the last such end has asked for is
//! in doubt until it is answered: an error in front of it makes the server skip it.
//!
//! Manual: Frontend/Backend Protocol, "Extended Query" and "Pipelining".

use std::collections::VecDeque;
use std::sync::Arc;

use crate::copy::Recount;
use crate::effect::AfterStatement;
use crate::provoked::Heard;
use crate::statements::{NameChange, SegmentNumber, Statement, StatementId, UnnamedToken};
use crate::undo::Undo;

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
    /// BindComplete, of a portal of this named statement.
    Bind(Option<Arc<Statement>>),
    /// CloseComplete; ours closes a statement that the server keeps if the Close is dropped.
    Close(Audience, Option<StatementId>),
    /// ParameterDescription and RowDescription or NoData, of this named statement; of a portal without the first.
    Describe(Option<Arc<Statement>>),
    /// Rows and CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute(Option<Arc<AfterStatement>>),
    /// FunctionCallResponse and ReadyForQuery.
    FunctionCall,
    /// A reply that we make ourselves when its turn comes; on failure the names are put back.
    Local(&'static [u8], Option<Box<NameChange>>),
    /// ParseComplete; on failure the names are put back and the server does not have the statement.
    Parse(Audience, Option<Box<NameChange>>, Parsed),
    /// An error that we provoked, whose text we replace.
    Provoked(Box<Provoked>),
    /// The answer to our question, up to ReadyForQuery; with it, its statement may be parsed.
    Question(Option<StatementId>),
    /// Everything a simple query brings, up to ReadyForQuery.
    SimpleQuery(Audience, Option<Arc<AfterStatement>>),
    /// ParameterDescription and RowDescription or NoData, that tell us what this statement returns.
    Shape(Arc<Statement>, StatementId),
    /// CloseComplete of ours, behind one ReadyForQuery for each Sync that was no part of a COPY's data.
    Recount(Recount),
    /// BindComplete, of a portal of ours in the client's segment.
    OwnBind,
    /// Rows and CommandComplete of that portal.
    OwnExecute,
    /// Everything that a simple query of ours brings behind one of the client's, which hears its ReadyForQuery alone.
    Restored,
    /// ReadyForQuery.
    Sync(Audience),
    /// Not a promise: the client ended its COPY here.
    CopyEnd,
    /// Not a promise: what is taken back if an error makes void what stands next to it.
    Undo(Box<Undo>),
}

/// What a Parse gives the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Named(StatementId),
    Unnamed(UnnamedToken),
    /// A statement that is gone before anybody could use it.
    Passing,
}

/// An error that the client must see in place of the one we provoked.
#[derive(Debug)]
pub(crate) struct Provoked {
    /// The SQLSTATE that we expect; any other error is heard as it is.
    pub(crate) by: &'static str,
    pub(crate) heard: Heard,
}

impl Owed {
    pub(crate) const fn audience(&self) -> Audience {
        match self {
            Self::Close(audience, _)
            | Self::Parse(audience, _, _)
            | Self::SimpleQuery(audience, _)
            | Self::Sync(audience) => *audience,
            Self::Question(_) => Audience::Proxy,
            Self::Bind(_)
            | Self::CopyEnd
            | Self::Describe(_)
            | Self::Execute(_)
            | Self::FunctionCall
            | Self::Local(..)
            | Self::Provoked(_)
            | Self::Restored
            | Self::Undo(_) => Audience::Client,
            Self::OwnBind | Self::OwnExecute | Self::Recount(_) | Self::Shape(..) => Audience::Proxy,
        }
    }

    /// Whether it is told what a statement or portal returns.
    pub(crate) const fn is_description(&self) -> bool {
        matches!(self, Self::Describe(_) | Self::Shape(..))
    }

    /// Whether the reply ends with ReadyForQuery.
    const fn ends_with_ready(&self) -> bool {
        matches!(
            self,
            Self::FunctionCall | Self::Question(_) | Self::Restored | Self::SimpleQuery(..) | Self::Sync(_)
        )
    }

    /// Whether the server may begin to read COPY data for this.
    fn may_copy_in(&self) -> bool {
        match self {
            Self::SimpleQuery(Audience::Client, after) | Self::Execute(after) => {
                after.as_ref().is_some_and(|after| after.may_copy_in())
            }
            _ => false,
        }
    }

    /// Whether what follows must wait for this: it changes what statement names mean, tells whether they may be used, or
    /// how replies are counted.
    fn is_barrier(&self) -> bool {
        match self {
            Self::Recount(_) | Self::Shape(..) => true,
            Self::SimpleQuery(Audience::Client, after) | Self::Execute(after) => {
                after.as_ref().is_some_and(|after| after.is_barrier())
            }
            _ => false,
        }
    }

    /// The name that is there again if this is skipped.
    fn closes(&self) -> Option<&[u8]> {
        match self {
            Self::Local(_, Some(change)) => change.forgets(),
            Self::Undo(undo) => undo.kept_name(),
            _ => None,
        }
    }

    /// Whether it is no promise but a mark between promises.
    const fn is_mark(&self) -> bool {
        matches!(self, Self::CopyEnd | Self::Undo(_))
    }

    /// Whether an error in reply to this makes the server skip to the next Sync.
    const fn is_extended(&self) -> bool {
        matches!(
            self,
            Self::Bind(_)
                | Self::Close(..)
                | Self::Describe(_)
                | Self::Execute(_)
                | Self::OwnBind
                | Self::OwnExecute
                | Self::Parse(..)
                | Self::Provoked(_)
                | Self::Shape(..)
        )
    }
}

/// The promises of one server, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    owed: VecDeque<Owed>,
    /// How many promises end with ReadyForQuery.
    readies: u32,
    /// How many promises may begin a COPY IN.
    copies: u32,
    /// How many promises are ParseComplete.
    parses: u32,
    /// How many promises everything else must wait for.
    barriers: u32,
    /// How many promises put a name back when they are skipped.
    closes: u32,
    /// Bytes of texts that are kept to be put back.
    kept_bytes: usize,
    /// How many promises are a Sync's.
    syncs: u32,
    /// How many promises behind the last of them may be settled by an error that makes the server skip.
    open: u32,
    /// How many segments have been ended, ever.
    ended: SegmentNumber,
    flush: Flush,
}

/// Whether the server was told to send what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flush {
    #[default]
    Unasked,
    Asked,
}

impl Ledger {
    pub(crate) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.owed.len()
    }

    /// Whether all that is owed is owed to us.
    pub(crate) fn is_ours(&self) -> bool {
        self.owed.iter().all(|owed| owed.audience() == Audience::Proxy)
    }

    /// Whether something of the client's is under way: a replay of its settings, the first thing on a server, is not.
    pub(crate) fn owes_client(&self) -> bool {
        !(self.owed.iter().all(|owed| matches!(owed, Owed::SimpleQuery(Audience::Proxy, _))))
    }

    pub(crate) fn promise(&mut self, owed: Owed) {
        self.count(&owed, |counter| *counter += 1);
        self.kept_bytes += kept_bytes(&owed);
        match owed {
            Owed::Sync(_) => (self.syncs, self.open) = (self.syncs + 1, 0),
            _ => self.open += u32::from(owed.is_extended()),
        }
        self.ended += SegmentNumber::from(owed.ends_with_ready());
        self.flush = Flush::Unasked;
        self.owed.push_back(owed);
    }

    pub(crate) fn head(&self) -> Option<&Owed> {
        self.owed.front()
    }

    /// The number of the segment that is being sent.
    pub(crate) const fn segment(&self) -> SegmentNumber {
        self.ended
    }

    /// Whether the segment of this number is sent but not answered in full, so that parts of it may yet be skipped.
    pub(crate) const fn in_doubt(&self, segment: SegmentNumber) -> bool {
        segment < self.ended && segment + self.readies as SegmentNumber >= self.ended
    }

    /// Whether a Close of this name may yet be skipped, by an error in its segment, while what comes next is not.
    pub(crate) fn may_keep(&self, name: &[u8]) -> bool {
        if self.closes == 0 || self.readies == 0 {
            return false;
        }
        let ended = self.owed.iter().rposition(Owed::ends_with_ready).unwrap_or(0);
        self.owed.range(..ended).any(|owed| owed.closes() == Some(name))
    }

    /// Whether an error may make the server skip what is sent next.
    pub(crate) const fn may_skip_next(&self) -> bool {
        self.open > 0
    }

    /// Whether an error may put names back that are gone.
    pub(crate) const fn keeps_names(&self) -> bool {
        self.closes > 0
    }

    /// What errors may put back, oldest first.
    pub(crate) fn undos(&mut self) -> impl Iterator<Item = &mut Undo> {
        self.owed
            .iter_mut()
            .filter_map(|owed| if let Owed::Undo(undo) = owed { Some(&mut **undo) } else { None })
    }

    /// What is kept was changed.
    pub(crate) fn weigh_undos(&mut self) {
        self.kept_bytes = self.owed.iter().map(kept_bytes).sum();
    }

    /// Bytes of texts that are kept to be put back.
    pub(crate) const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Whether a ReadyForQuery is owed: then the server answers what was sent before it without being asked to.
    pub(crate) const fn owes_ready(&self) -> bool {
        self.readies > 0
    }

    /// Whether the replies to several segments are owed.
    pub(crate) const fn owes_several(&self) -> bool {
        self.readies > 1
    }

    /// Whether the last that was asked is our own question.
    pub(crate) fn owes_answer(&self) -> bool {
        matches!(self.owed.back(), Some(Owed::Question(_)))
    }

    /// Whether everything else must wait for replies.
    pub(crate) const fn has_barrier(&self) -> bool {
        self.barriers > 0
    }

    /// Whether the server must be told to send what it owes, since nothing that was sent makes it do so. Asks for it once.
    pub(crate) fn wants_flush(&mut self) -> bool {
        let unasked = std::mem::replace(&mut self.flush, Flush::Asked) == Flush::Unasked;
        unasked && self.owed.back().is_some_and(|owed| !owed.ends_with_ready())
    }

    /// Whether a Parse is not answered.
    pub(crate) const fn has_parse(&self) -> bool {
        self.parses > 0
    }

    /// Whether the server may begin to read COPY data, or does.
    pub(crate) const fn has_copy(&self) -> bool {
        self.copies > 0
    }

    /// Whether the server may begin to read COPY data that the client has not ended.
    pub(crate) fn may_copy_in(&self) -> bool {
        let mut newest_first = self.owed.iter().rev();
        self.copies > 0
            && newest_first
                .find(|owed| matches!(owed, Owed::CopyEnd) || owed.may_copy_in())
                .is_some_and(|owed| !matches!(owed, Owed::CopyEnd))
    }

    /// Takes the oldest promise if `expected` says that the reply at hand settles it.
    pub(crate) fn settle(&mut self, expected: impl FnOnce(&Owed) -> bool) -> Option<Owed> {
        if !self.owed.front().is_some_and(expected) {
            return None;
        }
        let owed = self.pop_front();
        self.skip_marks();
        owed
    }

    /// What is counted by the oldest promise.
    pub(crate) fn recount(&mut self) -> Option<&mut Recount> {
        match self.owed.front_mut() {
            Some(Owed::Recount(recount)) => Some(recount),
            _ => None,
        }
    }

    /// Takes the oldest promise if it ends with ReadyForQuery.
    pub(crate) fn settle_ready(&mut self) -> Option<Owed> {
        self.settle(Owed::ends_with_ready)
    }

    /// Applies an error to the oldest promise: in an extended-query segment every promise up to the next Sync is
    /// dropped and answered, newest first, so that changes can be undone in order.
    ///
    /// Answers too whether a Sync is still to come from the client (the server skips until it gets one).
    pub(crate) fn fail(&mut self) -> (Vec<Owed>, SkipsUntilSync) {
        if !self.owed.front().is_some_and(Owed::is_extended) {
            return (Vec::new(), SkipsUntilSync::No);
        }
        let sync = self.owed.iter().position(|o| matches!(o, Owed::Sync(_)));
        let mut dropped: Vec<Owed> =
            std::iter::from_fn(|| self.pop_front()).take(sync.unwrap_or(usize::MAX)).collect();
        dropped.reverse();
        // A Sync of our own ended the segment for the server, not for the client.
        match self.owed.front() {
            Some(Owed::Sync(Audience::Client)) => (dropped, SkipsUntilSync::No),
            _ => (dropped, SkipsUntilSync::Yes),
        }
    }

    /// The server entered COPY IN for the oldest promise: it ignores every Sync it reads until the COPY ends.
    ///
    /// Answers whether the client has ended the COPY already.
    pub(crate) fn copy_in_begun(&mut self) -> bool {
        let end = self.owed.iter().position(|o| matches!(o, Owed::CopyEnd));
        if let Some(end) = end {
            self.owed.remove(end);
        }
        let until = end.unwrap_or(self.owed.len());
        for at in (1..until).rev().filter(|at| matches!(self.owed[*at], Owed::Sync(_))).collect::<Vec<_>>() {
            self.owed.remove(at);
            self.readies -= 1;
            self.syncs -= 1;
        }
        let open = self.owed.iter().rev().take_while(|owed| !matches!(owed, Owed::Sync(_)));
        self.open = open.map(|owed| u32::from(owed.is_extended())).sum();
        end.is_some()
    }

    /// Gives up every promise.
    pub(crate) fn clear(&mut self) {
        *self = Self { ended: self.ended, ..Self::default() };
    }

    fn pop_front(&mut self) -> Option<Owed> {
        let owed = self.owed.pop_front()?;
        self.count(&owed, |counter| *counter -= 1);
        self.kept_bytes -= kept_bytes(&owed);
        match owed {
            Owed::Sync(_) => self.syncs -= 1,
            _ if self.syncs == 0 => self.open -= u32::from(owed.is_extended()),
            _ => {}
        }
        Some(owed)
    }

    /// Drops the marks that stand in front: they are no promises.
    fn skip_marks(&mut self) {
        while self.owed.front().is_some_and(Owed::is_mark) {
            self.pop_front();
        }
    }

    fn count(&mut self, owed: &Owed, change: impl Fn(&mut u32)) {
        if owed.ends_with_ready() {
            change(&mut self.readies);
        }
        if owed.may_copy_in() {
            change(&mut self.copies);
        }
        if matches!(owed, Owed::Parse(..)) {
            change(&mut self.parses);
        }
        if owed.is_barrier() {
            change(&mut self.barriers);
        }
        if owed.closes().is_some() {
            change(&mut self.closes);
        }
    }
}

fn kept_bytes(owed: &Owed) -> usize {
    if let Owed::Undo(undo) = owed { undo.kept_bytes() } else { 0 }
}

/// Whether the server now ignores everything up to a Sync that the client has not sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SkipsUntilSync {
    No,
    Yes,
}

#[cfg(test)]
mod tests;
