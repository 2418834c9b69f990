//! Buffers and the classifier that all sessions of one thread share while one of them takes a step.
//!
//! Invariant: whoever borrows finds the buffers empty, whatever ended the borrower before, a panic included: what was meant
//! for one client is never sent to another.

use std::cell::RefCell;
use std::time::Instant;

use pgweir_session::{Event, Step};
use pgweir_sql::Classifier;

/// What every step borrows from its thread.
pub(crate) struct Scratch {
    pub(super) read: Box<[u8]>,
    pub(super) to_client: Vec<u8>,
    pub(super) to_server: Vec<u8>,
    pub(super) events: Vec<Event>,
    classifier: Classifier,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Bytes of one read: larger than most messages, so that a read usually drains the socket.
const READ_BYTES: usize = 64 * 1024;
/// What the outgoing buffers of a thread may keep.
const SCRATCH_KEPT: usize = 1024 * 1024;

impl Scratch {
    fn new() -> Self {
        let mut seed = [0; 8];
        crate::hashing::fill_random(&mut seed);
        Self {
            read: vec![0; READ_BYTES].into_boxed_slice(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            events: Vec::new(),
            classifier: Classifier::new(pgweir_sql::Settings::default(), u64::from_ne_bytes(seed))
                .counting(crate::shapes::table()),
        }
    }

    /// Makes good what a borrower left that ended in the middle of a step.
    fn restore(&mut self) {
        if self.read.is_empty() {
            self.read = vec![0; READ_BYTES].into_boxed_slice();
        }
        empty(&mut self.to_client);
        empty(&mut self.to_server);
        self.events.clear();
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.to_client.is_empty() && self.to_server.is_empty()
    }

    /// Borrows what a session step needs.
    pub(crate) fn step(&mut self, now: Instant) -> Step<'_> {
        Step {
            now,
            classifier: &mut self.classifier,
            to_client: &mut self.to_client,
            to_server: &mut self.to_server,
            events: &mut self.events,
        }
    }

    /// The bytes that the last step wrote for the server.
    pub(crate) fn take_to_server(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.to_server)
    }
}

/// Borrows this thread's buffers.
pub(crate) fn with_scratch<T>(act: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.restore();
        act(scratch)
    })
}

/// Empties a buffer, and gives its memory back when it grew large.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > SCRATCH_KEPT {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn nobody_gets_what_a_panic_left() {
        let ends_badly = AssertUnwindSafe(|| {
            with_scratch(|scratch| {
                scratch.to_client.extend_from_slice(b"secret");
                scratch.to_server.extend_from_slice(b"secret");
                let _read = std::mem::take(&mut scratch.read);
                panic!("in the middle of a step");
            })
        });
        assert!(catch_unwind(ends_badly).is_err());
        with_scratch(|scratch| {
            assert!(scratch.to_client.is_empty() && scratch.to_server.is_empty());
            assert_eq!(scratch.read.len(), READ_BYTES);
        });
    }
}
