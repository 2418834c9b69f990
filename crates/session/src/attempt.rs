//! A read that may be sent again: its bytes, and what of its answer has been held back.
//!
//! Why: while the client has been shown nothing, a standby that fails costs it nothing; the same bytes go to another
//! node. Only proven reads are kept here.
//!
//! Invariant: once a byte of the answer is shown, nothing that is in flight is sent again.

use pgweir_cluster::NodeSet;

use crate::statements::NameChange;

/// The segments that went to a standby and are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// The client's bytes of all segments in flight, while `state` is hidden.
    bytes: Vec<u8>,
    /// How many segments are in flight.
    segments: usize,
    /// What the segments in flight did to the client's statement names.
    names: Vec<NameChange>,
    /// Replies that say nothing yet (ParseComplete and the like).
    withheld: Vec<u8>,
    state: State,
    /// Nodes that failed this read.
    pub(crate) tried: NodeSet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The answer may be shown as it comes.
    #[default]
    Open,
    /// Nothing of the answer has been shown.
    Hidden,
}

impl Attempt {
    /// Keeps a segment that is about to be sent; `limit` is the most bytes that are kept.
    pub(crate) fn begin(&mut self, segment: &[u8], limit: usize) {
        if self.segments == 0 {
            self.state = State::Hidden;
        }
        self.segments += 1;
        if self.state == State::Hidden && self.bytes.len() + segment.len() <= limit {
            self.bytes.extend_from_slice(segment);
        } else if self.withheld.is_empty() {
            self.open();
        }
    }

    /// Whether replies are held back, and all that is in flight could be sent again.
    pub(crate) fn is_hidden(&self) -> bool {
        self.state == State::Hidden
    }

    /// A statement name changed meaning by a segment in flight.
    pub(crate) fn renamed(&mut self, change: impl FnOnce() -> NameChange) {
        if self.is_hidden() {
            self.names.push(change());
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

    /// The oldest segment is answered in full.
    pub(crate) fn answered(&mut self) {
        debug_assert!(self.withheld.is_empty(), "held-back replies are shown before their segment ends");
        self.segments = self.segments.saturating_sub(1);
        self.tried = NodeSet::default();
        self.open();
    }

    /// Takes the bytes to send again, and the name changes to undo, newest last.
    pub(crate) fn take(&mut self) -> (Vec<u8>, Vec<NameChange>) {
        self.withheld.clear();
        self.segments = 0;
        self.state = State::Open;
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.names))
    }

    /// Gives an idle session's buffers back when they are larger than `spare_max`.
    pub(crate) fn relax(&mut self, spare_max: usize) {
        if self.bytes.capacity() > spare_max {
            self.bytes = Vec::new();
        }
        if self.withheld.capacity() > spare_max {
            self.withheld = Vec::new();
        }
    }

    fn open(&mut self) {
        self.state = State::Open;
        self.bytes.clear();
        self.names.clear();
    }
}
