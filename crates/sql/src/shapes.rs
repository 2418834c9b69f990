//! Counts statements by their shape: what all texts have in common that differ only in what routing cannot see.
//!
//! Why a table for each thread: counting costs a few nanoseconds and takes no lock; whoever wants to see the counts adds up
//! the tables.
//! Invariants: one thread counts in a table, any may read it; [`SHAPES_MAX`] shapes are kept, and a shape that comes often is not
//! driven out by others that come once. A shape that comes back after it was dropped begins at 1.
//! Absent: strings of any text.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use foldhash::quality::FixedState;

use crate::{Kind, Reason, Target, Verdict};

/// Which shape a text has: the same number for the same normal form. Short, since sessions keep many; two shapes in four billion
/// are counted as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShapeId(u32);

impl ShapeId {
    /// Of texts that have no normal form.
    pub const NONE: Self = Self(0);

    pub(crate) fn of(normal: &[u8]) -> Self {
        Self((FixedState::with_seed(0).hash_one(normal) as u32).max(1))
    }
}

/// Statements by shape, counted by one thread.
#[derive(Debug)]
pub struct ShapeCounts {
    slots: Box<[Slot]>,
    /// By slot. Locked to change what a slot stands for, and to read.
    texts: Mutex<Box<[String]>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Of the shape and the reason; 0: empty.
    id: AtomicU64,
    on_standby: AtomicU64,
    on_primary: AtomicU64,
    kind: AtomicU32,
    reason: AtomicU32,
    /// How many others must come before it is dropped.
    stays: AtomicU32,
}

/// Statements of one shape and one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeCount {
    /// The shape as text.
    pub text: String,
    /// What its statements are.
    pub kind: &'static str,
    /// Why they went where they went.
    pub reason: Reason,
    /// Statements that standbys ran.
    pub on_standby: u64,
    /// Statements that the primary ran.
    pub on_primary: u64,
}

impl Default for ShapeCounts {
    fn default() -> Self {
        Self {
            slots: (0..SHAPES_MAX).map(|_| Slot::default()).collect(),
            texts: Mutex::new(vec![String::new(); SHAPES_MAX].into_boxed_slice()),
        }
    }
}

impl ShapeCounts {
    /// One statement more, which such a node runs. `text` makes the shape's text, should it be new here.
    pub(crate) fn count(&self, verdict: &Verdict, node: Target, text: impl FnOnce() -> Option<String>) {
        if verdict.shape == ShapeId::NONE {
            return;
        }
        let id = id(verdict);
        let Some(slot) = self.find(id).or_else(|| self.take_in(id, verdict, text)) else { return };
        slot.stays.store((slot.stays.load(Relaxed) + 1).min(STAYS_MAX), Relaxed);
        match node {
            Target::Standby => slot.on_standby.fetch_add(1, Relaxed),
            Target::Primary => slot.on_primary.fetch_add(1, Relaxed),
        };
    }

    /// What was counted, in no order.
    pub fn read(&self) -> Vec<ShapeCount> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots.iter().zip(&**texts).filter(|(slot, _)| slot.id.load(Relaxed) != 0);
        slots
            .map(|(slot, text)| ShapeCount {
                text: text.clone(),
                kind: Kind::CODES[slot.kind.load(Relaxed) as usize],
                reason: Reason::ALL[slot.reason.load(Relaxed) as usize],
                on_standby: slot.on_standby.load(Relaxed),
                on_primary: slot.on_primary.load(Relaxed),
            })
            .collect()
    }

    fn find(&self, id: u64) -> Option<&Slot> {
        self.slots[set(id)].iter().find(|slot| slot.id.load(Relaxed) == id)
    }

    /// Gives a new shape a slot, unless those that are there come too often to go.
    fn take_in(&self, id: u64, verdict: &Verdict, text: impl FnOnce() -> Option<String>) -> Option<&Slot> {
        let at = set(id).min_by_key(|at| self.slots[*at].stays.load(Relaxed))?;
        let slot = &self.slots[at];
        let stays = slot.stays.load(Relaxed);
        if stays > 0 {
            slot.stays.store(stays - 1, Relaxed);
            return None;
        }
        let text = text()?;
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts[at] = text;
        slot.on_standby.store(0, Relaxed);
        slot.on_primary.store(0, Relaxed);
        slot.kind.store(verdict.kind.index() as u32, Relaxed);
        slot.reason.store(verdict.reason as u32, Relaxed);
        slot.id.store(id, Relaxed);
        Some(slot)
    }
}

/// A shape with its reason: texts of one shape may go different ways, by their hints.
fn id(verdict: &Verdict) -> u64 {
    FixedState::with_seed(0).hash_one((verdict.shape, verdict.reason)).max(1)
}

/// The slots that one of them may have.
fn set(id: u64) -> std::ops::Range<usize> {
    let first = (id as usize % (SHAPES_MAX / WAYS)) * WAYS;
    first..first + WAYS
}

/// Shapes that a table keeps.
const SHAPES_MAX: usize = 512;
/// Slots that one shape may have.
const WAYS: usize = 8;
/// So many others must come, at the most, before a shape is dropped.
const STAYS_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Classifier, Lexing, Settings};

    fn counted(texts: impl Iterator<Item = String>) -> Vec<ShapeCount> {
        let counts = Arc::new(ShapeCounts::default());
        let mut classifier = Classifier::new(Settings::default(), 7).counting(Arc::clone(&counts));
        for text in texts {
            let verdict = classifier.classify(text.as_bytes(), Lexing::default(), None);
            classifier.count(&verdict, verdict.target, text.as_bytes(), Lexing::default());
        }
        let mut rows = counts.read();
        rows.sort_by_key(|row| std::cmp::Reverse(row.on_standby + row.on_primary));
        rows
    }

    #[test]
    fn texts_of_one_shape_are_counted_together_without_their_strings() {
        let keys =
            (0..100).map(|key| format!("/* {key} */ SELECT a FROM t WHERE b = {key} AND c = 'secret'"));
        let writes = (0..10).map(|key| format!("SET app.key TO 'secret{key}'"));
        let rows = counted(keys.chain(writes));
        let row = &rows[0];
        assert_eq!(row.text, "select a from t where b = 0 and c = ''");
        assert_eq!((row.kind, row.reason, row.on_standby, row.on_primary), ("query", Reason::Read, 100, 0));
        assert!(
            rows[1..].iter().all(|row| row.text == "set app.key to ''" && row.on_primary == 1),
            "{rows:?}"
        );
        assert!(counted(["SELECT 'open".to_owned()].into_iter()).is_empty());
    }

    #[test]
    fn what_comes_often_is_not_driven_out_by_what_comes_once() {
        let once = (0..5_000).map(|number| format!("SELECT a{number} FROM t"));
        let texts = once.flat_map(|text| [text, "SELECT hot FROM t".to_owned()]);
        let rows = counted(texts);
        assert_eq!(rows.len(), SHAPES_MAX);
        assert_eq!((rows[0].text.as_str(), rows[0].on_standby), ("select hot from t", 5_000));
    }
}
