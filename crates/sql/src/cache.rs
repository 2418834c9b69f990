//! Remembers verdicts by text, exactly as written or in normal form, and by what its names mean.
//!
//! Bounded by entries and by the length of a text; when full, CLOCK evicts what was not asked for of late. A
//! text is taken in only when it comes a second time, so a stream of texts that never repeat evicts nothing.
//! Invariant: keys are compared byte by byte; a hash that collides is a miss, never a wrong verdict. What names mean is a
//! number, 0 for PostgreSQL's own alone: verdicts of a meaning that is gone are no more asked for, and so evicted.

use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;

use crate::Verdict;

/// A bounded map from text to verdict.
pub(crate) struct Cache {
    hash: SeedableRandomState,
    /// Positions in `entries`.
    table: HashTable<u32>,
    entries: Vec<Entry>,
    entries_max: usize,
    /// Where the next eviction starts to look.
    hand: usize,
    /// Fingerprints of texts that came once.
    seen_once: Vec<u32>,
}

/// Where a text is looked up.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    hash: u64,
    naming: u64,
}

struct Entry {
    hash: u64,
    naming: u64,
    text: Box<[u8]>,
    verdict: Verdict,
    /// Asked for since the hand last passed.
    used: bool,
}

impl Cache {
    /// An empty cache for at most `entries_max` texts, keyed by `seed`.
    pub(crate) fn new(entries_max: usize, seed: u64) -> Self {
        Cache {
            hash: SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
            table: HashTable::new(),
            entries: Vec::new(),
            entries_max: entries_max.min(u32::MAX as usize),
            hand: 0,
            seen_once: vec![0; entries_max.clamp(1, 1 << 16).next_power_of_two()],
        }
    }

    /// The key under which `text` is looked up and remembered.
    pub(crate) fn key(&self, naming: u64, text: &[u8]) -> Key {
        Key { hash: self.hash.hash_one(text) ^ naming.wrapping_mul(SPREAD), naming }
    }

    pub(crate) fn find(&mut self, key: Key, text: &[u8]) -> Option<Verdict> {
        let entries = &self.entries;
        let same =
            |at: &u32| entries[*at as usize].naming == key.naming && *entries[*at as usize].text == *text;
        let at = *self.table.find(key.hash, same)?;
        let entry = &mut self.entries[at as usize];
        entry.used = true;
        Some(entry.verdict)
    }

    /// Remembers a text that is not in the cache, if it came before.
    pub(crate) fn remember(&mut self, key: Key, text: &[u8], verdict: Verdict) {
        if self.entries_max == 0 || self.is_new(key.hash) {
            return;
        }
        let entry = Entry { hash: key.hash, naming: key.naming, text: text.into(), verdict, used: false };
        let at = if self.entries.len() < self.entries_max {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let at = self.evict();
            self.entries[at] = entry;
            at
        };
        let entries = &self.entries;
        self.table.insert_unique(key.hash, at as u32, |at| entries[*at as usize].hash);
        debug_assert_eq!(self.table.len(), self.entries.len(), "each entry is found by one position");
    }

    /// Forgets a text.
    pub(crate) fn forget(&mut self, key: Key, text: &[u8]) {
        let entries = &self.entries;
        let same =
            |at: &u32| entries[*at as usize].naming == key.naming && *entries[*at as usize].text == *text;
        if let Ok(found) = self.table.find_entry(key.hash, same) {
            // The place is free for whoever comes next.
            let (at, _) = found.remove();
            self.entries.swap_remove(at as usize);
            self.moved(self.entries.len() as u32, at);
        }
    }

    /// The entry at `from` is now at `to`.
    fn moved(&mut self, from: u32, to: u32) {
        if let Some(entry) = self.entries.get(to as usize)
            && let Some(at) = self.table.find_mut(entry.hash, |at| *at == from)
        {
            *at = to;
        }
        self.hand %= self.entries.len().max(1);
    }

    fn is_new(&mut self, key: u64) -> bool {
        let mask = self.seen_once.len() - 1;
        let fingerprint = (key >> 32) as u32 | 1;
        let slot = &mut self.seen_once[key as usize & mask];
        let new = *slot != fingerprint;
        *slot = fingerprint;
        new
    }

    /// Frees a place: the first from the hand on that was not used since the hand passed.
    fn evict(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[at];
            if entry.used {
                entry.used = false;
                continue;
            }
            if let Ok(found) = self.table.find_entry(entry.hash, |other| *other as usize == at) {
                found.remove();
            }
            return at;
        }
    }
}

/// Keeps the numbers of namings apart in a hash.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
