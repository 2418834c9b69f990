use super::*;

fn ledger(owed: impl IntoIterator<Item = Owed>) -> Ledger {
    let mut ledger = Ledger::default();
    owed.into_iter().for_each(|owed| ledger.promise(owed));
    ledger
}

#[test]
fn an_error_drops_up_to_the_sync() {
    let mut it = ledger([
        Owed::Bind(None),
        Owed::Execute(None),
        Owed::SimpleQuery(Audience::Client, None),
        Owed::Sync(Audience::Client),
        Owed::Bind(None),
    ]);
    let (dropped, skips) = it.fail();
    assert_eq!((dropped.len(), it.len(), skips), (3, 2, SkipsUntilSync::No));
    assert!(it.settle_ready().is_some());
}

#[test]
fn an_error_without_sync_skips() {
    let mut it = ledger([Owed::Parse(Audience::Client, None, Parsed::Passing), Owed::Bind(None)]);
    assert_eq!(it.fail().1, SkipsUntilSync::Yes);
    assert!(it.is_empty());
}

#[test]
fn an_error_of_a_simple_query_drops_nothing() {
    let mut it = ledger([Owed::SimpleQuery(Audience::Client, None), Owed::Bind(None)]);
    let (dropped, skips) = it.fail();
    assert_eq!((dropped.len(), skips), (0, SkipsUntilSync::No));
    assert_eq!(it.len(), 2);
}

#[test]
fn copy_in_swallows_the_syncs_before_its_end() {
    let mut it = ledger([
        Owed::Execute(None),
        Owed::Sync(Audience::Client),
        Owed::CopyEnd,
        Owed::Sync(Audience::Client),
    ]);
    assert!(it.copy_in_begun());
    assert_eq!(it.len(), 2);
    let mut open = ledger([Owed::Execute(None), Owed::Sync(Audience::Client)]);
    assert!(!open.copy_in_begun());
    assert_eq!(open.len(), 1);
}

#[test]
fn a_segment_is_in_doubt_until_it_is_answered() {
    let mut it = ledger([Owed::Bind(None), Owed::Sync(Audience::Client), Owed::Bind(None)]);
    assert_eq!(it.segment(), 1);
    assert!(it.in_doubt(0), "it was ended and is not answered");
    assert!(!it.in_doubt(1), "what fails in the segment at hand is skipped with it");
    it.fail();
    it.settle_ready();
    assert!(!it.in_doubt(0));
}
