//! A read that may be sent again: its bytes, and what of its answer has been held back.
//!
//! Why: while the client has been shown nothing, a standby that fails costs it nothing; the same bytes go to another
//! node. Only proven reads are kept here.
//!
//! Invariant: once a byte of the answer is shown, nothing that is in flight is sent again.

use pgweir_cluster::NodeSet;

use crate::segment::Needs;
use crate::statements::{NameChange, Unnamed};

/// The segments that went to a standby and are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// The client's bytes of all segments in flight, while `state` is hidden.
    bytes: Vec<u8>,
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
    /// Nothing of the answer has been shown.
    Hidden,
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
            self.state = State::Hidden;
        }
        if self.state == State::Hidden && self.bytes.len() + segment.len() <= limit {
            self.bytes.extend_from_slice(segment);
        } else {
            self.show(out);
        }
    }

    /// Whether replies are held back, and all that is in flight could be sent again.
    pub(crate) fn is_hidden(&self) -> bool {
        self.state == State::Hidden
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
        if self.state == State::Hidden {
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
