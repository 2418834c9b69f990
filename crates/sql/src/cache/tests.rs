//! What the cache keeps, and for how long.

use super::*;
use crate::{Depends, Kind, Leaves, Reason, ShapeId, Target};

fn verdict(kind: Kind) -> Verdict {
    Verdict {
        target: Target::Primary,
        kind,
        reason: Reason::Read,
        binds: None,
        leaves: Leaves::Nothing,
        depends: Depends::Transaction,
        shape: ShapeId::NONE,
    }
}

/// Asks for a text, and offers it if it is missing; whether it was there.
fn ask(cache: &mut Cache, text: &str) -> bool {
    let key = cache.key(0, text.as_bytes());
    if cache.find(key, text.as_bytes()).is_some() {
        return true;
    }
    cache.remember(key, text.as_bytes(), verdict(Kind::Query));
    false
}

#[test]
fn a_text_is_kept_from_its_second_coming_on() {
    let mut cache = Cache::new(10, 1);
    assert_eq!([ask(&mut cache, "a"), ask(&mut cache, "a"), ask(&mut cache, "a")], [false, false, true]);
}

#[test]
fn texts_that_never_repeat_evict_nothing() {
    let mut cache = Cache::new(16, 1);
    for text in ["a", "a", "b", "b"] {
        ask(&mut cache, text);
    }
    for number in 0..10_000 {
        ask(&mut cache, &format!("SELECT {number}"));
    }
    assert!(ask(&mut cache, "a") && ask(&mut cache, "b"));
}

#[test]
fn what_is_asked_for_outlives_what_is_not() {
    let mut cache = Cache::new(4, 1);
    for number in 0..200 {
        for text in ["hot", &format!("cold {number}")] {
            ask(&mut cache, text);
            ask(&mut cache, text);
        }
    }
    assert!(ask(&mut cache, "hot"));
    assert_eq!(cache.entries.len(), 4);
}

#[test]
fn texts_with_equal_hashes_are_told_apart() {
    let mut cache = Cache::new(4, 1);
    let key = Key { hash: 7, naming: 0 };
    for (text, kind) in [(b"a", Kind::Load), (b"b", Kind::Lock)] {
        cache.remember(key, text, verdict(kind));
        cache.remember(key, text, verdict(kind));
    }
    assert_eq!(cache.find(key, b"a").map(|found| found.kind), Some(Kind::Load));
    assert_eq!(cache.find(key, b"b").map(|found| found.kind), Some(Kind::Lock));
    assert_eq!(cache.find(key, b"c"), None);
}

#[test]
fn a_cache_of_no_entries_keeps_nothing() {
    let mut cache = Cache::new(0, 1);
    assert!((0..3).all(|_| !ask(&mut cache, "a")));
}

#[test]
fn a_text_under_another_naming_is_another_text() {
    let mut cache = Cache::new(4, 1);
    for naming in [1, 2] {
        let key = cache.key(naming, b"a");
        cache.remember(key, b"a", verdict(Kind::Load));
        cache.remember(key, b"a", verdict(Kind::Load));
    }
    let found = |cache: &mut Cache, naming| cache.find(cache.key(naming, b"a"), b"a").is_some();
    assert_eq!([0, 1, 2].map(|naming| found(&mut cache, naming)), [false, true, true]);
    // Even when the hashes collide.
    assert_eq!(cache.find(Key { naming: 3, ..cache.key(1, b"a") }, b"a"), None);
}

#[test]
fn what_is_forgotten_leaves_the_others_in_place() {
    let mut cache = Cache::new(4, 1);
    let texts = ["a", "b", "c", "d"];
    for text in texts {
        ask(&mut cache, text);
        ask(&mut cache, text);
    }
    for (at, gone) in texts.iter().enumerate() {
        cache.forget(cache.key(0, gone.as_bytes()), gone.as_bytes());
        let left: Vec<bool> = texts
            .iter()
            .map(|text| cache.find(cache.key(0, text.as_bytes()), text.as_bytes()).is_some())
            .collect();
        assert_eq!(left, (0..texts.len()).map(|other| other > at).collect::<Vec<_>>());
    }
    cache.forget(cache.key(0, b"a"), b"a");
    ask(&mut cache, "e");
    ask(&mut cache, "e");
    assert!(ask(&mut cache, "e"));
}
