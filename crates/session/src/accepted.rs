//! Settings that servers of a pool have taken, for all sessions of the pool.
//!
//! Why: a server must have the session's settings before it runs what the client sends. Where it is proven that a node takes
//! just these values, both go out in one write, and a client whose server had another's settings waits one round trip, not
//! two. Nobody may find out too late that a setting was refused: the client's statement would have run without it.
//!
//! Invariants: a value counts for the node that took it; bounded, and forgotten whole when full.
//! Absent: who the session is. A role may be dropped at any time, so it always has a round trip of its own.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pgweir_cluster::NodeId;

use crate::settings::{SettingMap, SettingValue, is_identity};

/// Settings that the servers of one database and role have taken, as keyed hashes of node, name and value.
#[derive(Debug, Default)]
pub struct AcceptedSettings {
    keys: RandomState,
    taken: Mutex<HashSet<u64>>,
}

impl AcceptedSettings {
    /// A server of this node has all these settings now.
    pub(crate) fn add(&self, node: NodeId, settings: &SettingMap) {
        let mut taken = self.lock();
        for (name, value) in settings {
            if taken.len() >= ACCEPTED_MAX {
                taken.clear();
            }
            taken.insert(self.keys.hash_one((node, name, value)));
        }
    }

    /// Whether a server of this node that has `has` will certainly take `wants`.
    pub(crate) fn prove(&self, node: NodeId, has: &SettingMap, wants: &SettingMap) -> bool {
        let decides = |name: &String| is_identity(name) || name == "standard_conforming_strings";
        if has.keys().chain(wants.keys()).any(decides) {
            return false;
        }
        let taken = self.lock();
        let is_taken =
            |name: &String, value: &SettingValue| taken.contains(&self.keys.hash_one((node, name, value)));
        wants.iter().all(|(name, value)| has.get(name) == Some(value) || is_taken(name, value))
    }

    /// Held for one look; a panic elsewhere leaves a set that is as good as before.
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings that are remembered, at 8 bytes each and the set's share.
const ACCEPTED_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn map(settings: &[(&str, &str)]) -> SettingMap {
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), SettingValue::Sql((*value).to_owned())))
            .collect()
    }

    #[test]
    fn only_what_the_node_took_is_proven() {
        let accepted = AcceptedSettings::default();
        let (none, a, ab) = (map(&[]), map(&[("a", "1")]), map(&[("a", "1"), ("b", "2")]));
        let node = NodeId::new(0);
        accepted.add(node, &a);
        assert!(accepted.prove(node, &none, &a));
        assert!(accepted.prove(node, &ab, &a), "a RESET is always taken");
        assert!(!accepted.prove(node, &a, &ab));
        assert!(!accepted.prove(NodeId::new(1), &none, &a));
        assert!(!accepted.prove(node, &none, &map(&[("a", "2")])));
    }

    #[test]
    fn who_the_session_is_and_how_it_reads_strings_is_never_taken_for_granted() {
        let accepted = AcceptedSettings::default();
        for name in ["role", "session_authorization", "standard_conforming_strings"] {
            let settings = map(&[(name, "x")]);
            accepted.add(NodeId::new(0), &settings);
            assert!(!accepted.prove(NodeId::new(0), &map(&[]), &settings), "{name}");
            assert!(!accepted.prove(NodeId::new(0), &settings, &map(&[])), "{name}");
        }
    }

    #[test]
    fn it_is_forgotten_whole_when_full() {
        let accepted = AcceptedSettings::default();
        for value in 0..=ACCEPTED_MAX {
            accepted.add(NodeId::new(0), &map(&[("a", &value.to_string())]));
        }
        assert_eq!(accepted.lock().len(), 1);
    }
}
