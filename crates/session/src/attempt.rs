//! A segment that may be sent again: its bytes, and what of its answer has been held back.
//!
//! Why: while the client has been shown nothing, a standby that fails costs it nothing; the same bytes go to another
//! node. Only proven reads may move so. What else is kept is sent again only if the server refused to begin it, since it
//! had prepared a statement before a schema changed (`stale.rs`).
//!
//! Invariant: once a byte of the answer is shown, nothing that is in flight is sent again.

use pgweir_cluster::NodeSet;

use crate::segment::Needs;
use crate::statements::{NameChange, Unnamed};

/// The segments that were sent, may be sent again, and are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// The client's bytes of all segments in flight, while `state` is not open.
    bytes: Vec<u8>,
    /// How many bytes at the end of those have not been sent; of a segment that cannot move.
    unsent: u32,
    /// What the segments in flight did to the client's statement names.
    names: Vec<NameChange>,
    /// What the client's unnamed statement was before the segments in flight; else a buffer for the next one.
    unnamed: Option<Unnamed>,
    unnamed_is: Kept,
    /// Replies that say nothing yet (ParseComplete and the like).
    withheld: Vec<u8>,
    state: State,
    /// Nodes that failed this read.
    pub(crate) tried: NodeSet,
    pub(crate) needs: Needs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The answer may be shown as it comes.
    #[default]
    Open,
    /// Nothing of the answer has been shown; any node may be asked.
    Movable,
    /// Nothing of the answer has been shown; only a server that refused to begin may be asked again.
    Fixed,
    /// Nothing is in flight: what is kept is given again once the server at hand is at rest.
    Renewing,
}

/// What the unnamed statement of an attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    Spare,
    /// What it was before the segments in flight.
    Before,
}

/// Whether something that was sent earlier is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InFlight {
    Nothing,
    Something,
}

/// What is taken back from a server that will not answer.
#[derive(Debug)]
pub(crate) struct TakenBack {
    /// The client's bytes, to be sent again.
    pub(crate) bytes: Vec<u8>,
    /// The name changes to undo, newest last.
    pub(crate) names: Vec<NameChange>,
    /// What the unnamed statement was, if it changed.
    pub(crate) unnamed: Option<Option<Unnamed>>,
}

impl Attempt {
    /// Keeps a segment that is about to be sent; `limit` is the most bytes that are kept.
    pub(crate) fn begin(&mut self, segment: &[u8], in_flight: InFlight, limit: usize, out: &mut Vec<u8>) {
        if in_flight == InFlight::Nothing {
            self.show(out);
            self.state = State::Movable;
        }
        if self.state == State::Movable && self.bytes.len() + segment.len() <= limit {
            self.bytes.extend_from_slice(segment);
        } else {
            self.show(out);
        }
    }

    /// Keeps a segment that is about to be sent, message by message, while nothing else is in flight.
    pub(crate) fn begin_fixed(&mut self, segment: &[u8]) {
        debug_assert!(!self.is_hidden(), "what was kept before is answered");
        self.state = State::Fixed;
        self.bytes.extend_from_slice(segment);
        self.unsent = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    }

    /// So many bytes of the client are about to be sent, or were.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.unsent = self.unsent.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Something is sent next. Behind a segment that cannot move it would be lost if that was sent again.
    pub(crate) fn goes_on(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Fixed && self.unsent == 0 {
            self.show(out);
        }
    }

    /// Whether replies are held back.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(self.state, State::Movable | State::Fixed)
    }

    /// Whether replies are held back, and all that is in flight could be asked of another node.
    pub(crate) fn may_move(&self) -> bool {
        self.state == State::Movable
    }

    /// Keeps what was taken back until the server at hand is at rest.
    pub(crate) fn renew(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
        self.state = State::Renewing;
    }

    pub(crate) fn is_renewing(&self) -> bool {
        self.state == State::Renewing
    }

    /// The bytes of the segments in flight.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// No standby can answer this.
    pub(crate) fn needs_primary(&mut self) {
        self.needs = Needs::Primary;
    }

    /// A statement name changed meaning by a segment in flight.
    pub(crate) fn renamed(&mut self, change: impl FnOnce() -> NameChange) {
        if self.is_hidden() {
            self.names.push(change());
        }
    }

    /// The unnamed statement is about to change by a segment in flight. It gets another buffer to be written in.
    pub(crate) fn unnamed_changes(&mut self, unnamed: &mut Option<Unnamed>) {
        if self.is_hidden() && self.unnamed_is == Kept::Spare {
            self.unnamed_is = Kept::Before;
            std::mem::swap(&mut self.unnamed, unnamed);
        }
    }

    /// Keeps replies that say nothing yet; `limit` is the most bytes that are held back.
    pub(crate) fn withhold(&mut self, bytes: &[u8], limit: usize, out: &mut Vec<u8>) {
        self.withheld.extend_from_slice(bytes);
        if self.withheld.len() > limit {
            self.show(out);
        }
    }

    /// The answer is about to be shown: gives what was held back.
    pub(crate) fn show(&mut self, out: &mut Vec<u8>) {
        if self.is_hidden() {
            out.append(&mut self.withheld);
            self.open();
        }
    }

    /// A segment is answered in full.
    pub(crate) fn answered(&mut self) {
        debug_assert!(self.withheld.is_empty(), "held-back replies are shown before their segment ends");
        self.tried = NodeSet::default();
        self.needs = Needs::Nothing;
        self.open();
    }

    /// Takes everything back that was not shown.
    pub(crate) fn take(&mut self) -> TakenBack {
        self.withheld.clear();
        self.state = State::Open;
        let before = std::mem::take(&mut self.unnamed_is) == Kept::Before;
        TakenBack {
            bytes: std::mem::take(&mut self.bytes),
            names: std::mem::take(&mut self.names),
            unnamed: before.then(|| self.unnamed.take()),
        }
    }

    /// Gives an idle session's buffers back when they are larger than `spare_max`.
    pub(crate) fn relax(&mut self, spare_max: usize) {
        if self.bytes.capacity() > spare_max {
            self.bytes = Vec::new();
        }
        if self.withheld.capacity() > spare_max {
            self.withheld = Vec::new();
        }
        if self.unnamed.as_ref().is_some_and(|unnamed| unnamed.definition.capacity() > spare_max) {
            self.unnamed = None;
        }
    }

    fn open(&mut self) {
        self.state = State::Open;
        self.unnamed_is = Kept::Spare;
        self.bytes.clear();
        self.names.clear();
    }
}
