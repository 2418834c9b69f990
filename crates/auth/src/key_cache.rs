//! Remembers the SCRAM keys of passwords, so that a login costs microseconds and not a thousand times as much.
//!
//! Why: deriving keys takes 4,096 rounds of HMAC by design. One password, one salt and one count always give the
//! same keys, and a proxy logs in to its servers with the same few passwords all day.
//!
//! Invariants: at most `capacity` entries, the oldest leaves first; the lock is never held while keys are derived,
//! so a slow derivation delays nobody else. Callers remember only keys whose password was theirs or proved right,
//! so that guessing cannot flush the cache.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::{Password, ScramKeys};

/// A bounded cache from (password, salt, iterations) to SCRAM keys. Share one among all logins.
pub struct KeyCache {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    keys: HashMap<Fingerprint, ScramKeys>,
    by_age: VecDeque<Fingerprint>,
}

type Fingerprint = [u8; 32];

impl KeyCache {
    /// An empty cache for at most `capacity` keys; with 0 nothing is remembered.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::default() }
    }

    /// The keys of `password`, derived now or long ago, and remembered.
    pub(crate) fn derive(&self, password: &Password, salt: &[u8], iterations: u32) -> ScramKeys {
        let keys = self.look_up_or_derive(password, salt, iterations);
        self.remember(password, &keys);
        keys
    }

    /// The keys of `password`, derived now or long ago, and not remembered: nobody knows yet if it is right.
    pub(crate) fn look_up_or_derive(&self, password: &Password, salt: &[u8], iterations: u32) -> ScramKeys {
        let known = self.entries().keys.get(&fingerprint(password, salt, iterations)).cloned();
        known.unwrap_or_else(|| ScramKeys::derive(password, salt, iterations))
    }

    /// Keeps `keys`, which are those of `password`.
    pub(crate) fn remember(&self, password: &Password, keys: &ScramKeys) {
        if self.capacity == 0 {
            return;
        }
        let fingerprint = fingerprint(password, keys.salt(), keys.iterations());
        let mut entries = self.entries();
        if entries.keys.contains_key(&fingerprint) {
            return;
        }
        if entries.by_age.len() >= self.capacity
            && let Some(oldest) = entries.by_age.pop_front()
        {
            entries.keys.remove(&oldest);
        }
        entries.keys.insert(fingerprint, keys.clone());
        entries.by_age.push_back(fingerprint);
        assert_eq!(entries.keys.len(), entries.by_age.len(), "every entry has one age");
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A cache that was left in the middle of an insert holds only right keys, at worst one too few.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// Lengths come first, so that no two inputs run together.
fn fingerprint(password: &Password, salt: &[u8], iterations: u32) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update((password.as_bytes().len() as u64).to_be_bytes());
    hash.update(password.as_bytes());
    hash.update(iterations.to_be_bytes());
    hash.update(salt);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(cache: &KeyCache, password: &str, salt: &[u8], iterations: u32) -> String {
        cache.derive(&Password::new(password), salt, iterations).verifier().to_string()
    }

    #[test]
    fn gives_the_keys_that_deriving_gives() {
        let (cache, without) = (KeyCache::new(8), KeyCache::new(0));
        for _ in 0..2 {
            for (password, salt, iterations) in
                [("a", &b"salt"[..], 1), ("a", b"salt", 2), ("a", b"other", 1), ("as", b"alt", 1)]
            {
                let expected = derive(&without, password, salt, iterations);
                assert_eq!(derive(&cache, password, salt, iterations), expected);
            }
        }
        assert_eq!(cache.entries().keys.len(), 4);
        assert_eq!(without.entries().keys.len(), 0);
    }

    #[test]
    fn stays_within_its_capacity_and_drops_the_oldest() {
        let cache = KeyCache::new(2);
        for password in ["a", "b", "b", "c", "a"] {
            derive(&cache, password, b"salt", 1);
            assert!(cache.entries().keys.len() <= 2);
        }
        let held =
            |password| cache.entries().keys.contains_key(&fingerprint(&Password::new(password), b"salt", 1));
        assert_eq!([held("a"), held("b"), held("c")], [true, false, true]);
    }

    #[test]
    fn remembers_nothing_on_looking_up() {
        let cache = KeyCache::new(2);
        cache.look_up_or_derive(&Password::new("guess"), b"salt", 1);
        assert!(cache.entries().keys.is_empty());
    }
}
