//! Who waits, for how long, and who is next.

use super::*;

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    let mut pooled = Pooled::new(1, sized(1));
    pooled.open(0, 1);
    let (server, _) = pooled.ready(&WRITE);
    let waiters: Vec<_> = (0..5).map(|_| pooled.queued(&WRITE)).collect();
    assert!(pooled.dials().is_empty(), "no room");
    for &waiter in &waiters {
        assert_eq!(granted(&pooled.give_back(server)), [(waiter, 0)]);
    }
    assert!(pooled.give_back(server).is_empty());
    assert_eq!(pooled.pool.counts().waiting, 0);
}

#[test]
fn a_slot_goes_to_the_first_that_it_may_serve_and_past_those_it_may_not() {
    let mut pooled = Pooled::new(2, sized(1));
    (0..3).for_each(|node| drop(pooled.open(node, 1)));
    let (primary, _) = pooled.ready(&WRITE);
    let standbys = [pooled.ready(&READ), pooled.ready(&READ)];
    let only_c = Demand { only: Some(NodeId::new(2)), ..READ };
    let first = pooled.queued(&WRITE);
    let second = pooled.queued(&only_c);
    let third = pooled.queued(&READ);
    let (on_b, on_c) = match standbys {
        [(b, 1), (c, 2)] => (b, c),
        [(c, 2), (b, 1)] => (b, c),
        other => panic!("{other:?}"),
    };
    assert_eq!(granted(&pooled.give_back(on_b)), [(third, 1)]);
    assert_eq!(granted(&pooled.give_back(on_c)), [(second, 2)]);
    assert_eq!(granted(&pooled.give_back(primary)), [(first, 0)]);
}

#[test]
fn with_reads_on_the_primary_a_write_does_not_lose_its_place_to_later_reads() {
    let settings =
        TopologySettings { reads_on_primary: ReadsOnPrimary::Always, ..TopologySettings::default() };
    let mut pooled = Pooled::on(Cluster::ready(&[1, 1], settings), sized(1));
    (0..2).for_each(|node| drop(pooled.open(node, 1)));
    let (first, second) = (pooled.ready(&READ), pooled.ready(&READ));
    let primary = if first.1 == 0 { first.0 } else { second.0 };
    let write = pooled.queued(&WRITE);
    let read = pooled.queued(&READ);
    assert_eq!(granted(&pooled.give_back(primary)), [(write, 0)]);
    assert_eq!(granted(&pooled.give_back(primary)), [(read, 0)]);
}

#[test]
fn as_many_dials_as_waiters_within_room_and_budget() {
    let mut pooled = Pooled::new(1, PoolSettings { dials_in_flight_max: 3, ..sized(5) });
    pooled.queue_up(2, &WRITE);
    assert_eq!(pooled.dials(), [0, 0]);
    pooled.queue_up(6, &WRITE);
    assert_eq!(pooled.dials(), [0], "three at once at most");
    assert_eq!(dials(&pooled.dialed(0).1), [0]);
    assert_eq!(dials(&pooled.dialed(0).1), [0]);
    for _ in 0..3 {
        assert!(dials(&pooled.dialed(0).1).is_empty(), "five servers at most");
    }
    assert_eq!(pooled.pool.counts().waiting, 3);
}

#[test]
fn dials_for_a_burst_of_reads_spread_over_the_standbys() {
    let mut pooled = Pooled::new(2, sized(5));
    pooled.queue_up(4, &READ);
    let mut nodes = pooled.dials();
    nodes.sort_unstable();
    assert_eq!(nodes, [1, 1, 2, 2]);
}

#[test]
fn a_write_is_dialled_for_although_many_reads_wait() {
    let mut pooled = Pooled::new(1, PoolSettings { dials_in_flight_max: 2, ..sized(2) });
    pooled.queue_up(50, &READ);
    assert_eq!(pooled.dials(), [1, 1]);
    pooled.queued(&WRITE);
    assert_eq!(dials(&pooled.dialed(1).1), [0], "the standby is full, so the budget goes to the primary");
}

#[test]
fn a_lost_server_is_replaced_while_somebody_waits() {
    let mut pooled = Pooled::new(1, sized(1));
    pooled.open(0, 1);
    let (server, _) = pooled.ready(&WRITE);
    let waiter = pooled.queued(&WRITE);
    assert_eq!(dials(&pooled.discard(server)), [0]);
    assert_eq!(granted(&pooled.dialed(0).1), [(waiter, 0)]);
}

#[test]
fn a_full_queue_refuses_and_a_waiter_that_left_makes_room() {
    let mut pooled = Pooled::new(1, PoolSettings { waiters_max: 2, ..sized(1) });
    let (gone, stays) = (pooled.queued(&WRITE), pooled.queued(&WRITE));
    assert_eq!(pooled.lease(&WRITE), Lease::Refused(Refusal::QueueFull));
    assert!(pooled.pool.abandon(gone));
    assert!(!pooled.pool.abandon(gone));
    pooled.queued(&WRITE);
    assert_eq!(granted(&pooled.dialed(0).1), [(stays, 0)]);
}

#[test]
fn a_waiter_that_was_granted_meanwhile_learns_it_when_it_leaves() {
    let mut pooled = Pooled::new(1, sized(1));
    let waiter = pooled.queued(&WRITE);
    let (server, _) = pooled.dialed(0);
    assert!(!pooled.pool.abandon(waiter), "the shell gives the server back");
    assert!(pooled.give_back(server).is_empty());
}

#[test]
fn nobody_waits_longer_than_allowed_and_the_refusal_says_for_what() {
    let settings = PoolSettings { wait_timeout: Duration::from_secs(2), ..sized(1) };
    let mut cluster = Cluster::ready(
        &[1, 1],
        TopologySettings { reads_on_primary: ReadsOnPrimary::Never, ..TopologySettings::default() },
    );
    cluster.fails(0, ProbeFailure::Refused);
    let mut pooled = Pooled::on(cluster, settings);
    let write = pooled.queued(&WRITE);
    let read = pooled.queued(&READ);
    let fresh = Demand { fresh_as_of: Some(pooled.cluster.now() + Duration::from_secs(1)), ..READ };
    pooled.tick(1);
    let fresh = pooled.queued(&fresh);
    assert!(refused(&pooled.tick(1998)).is_empty());
    let mut effects = pooled.tick(1);
    effects.extend(pooled.tick(1));
    let mut refused = refused(&effects);
    refused.sort_unstable_by_key(|(waiter, _)| *waiter);
    let expected = [(write, Refusal::NoPrimary), (read, Refusal::WaitedTooLong), (fresh, Refusal::NoStandby)];
    assert_eq!(refused, expected);
}

#[test]
fn writes_wait_for_a_primary_and_run_on_the_next_one() {
    let mut pooled = Pooled::new(1, sized(2));
    pooled.cluster.fails(0, ProbeFailure::Refused);
    let waiter = pooled.queued(&WRITE);
    assert!(pooled.dials().is_empty());
    pooled.cluster.says(1, writable(2, 1000));
    assert_eq!(dials(&pooled.tick(1)), [1]);
    assert_eq!(granted(&pooled.dialed(1).1), [(waiter, 1)]);
}

#[test]
fn a_waiting_read_is_served_by_a_standby_that_has_become_fresh_enough() {
    let settings =
        TopologySettings { reads_on_primary: ReadsOnPrimary::Never, ..TopologySettings::default() };
    let mut pooled = Pooled::on(Cluster::ready(&[1, 1], settings), sized(2));
    pooled.open(1, 1);
    pooled.cluster.pass(10);
    let wrote = Demand { fresh_as_of: Some(pooled.cluster.now()), ..READ };
    let waiter = pooled.queued(&wrote);
    pooled.cluster.pass(10);
    pooled.cluster.primary(0, 2000);
    assert!(granted(&pooled.tick(1)).is_empty());
    pooled.cluster.standby(1, 2000);
    assert_eq!(granted(&pooled.tick(1)), [(waiter, 1)]);
}

#[test]
fn a_server_of_a_standby_that_has_grown_too_old_serves_no_waiter() {
    let mut pooled = Pooled::new(1, sized(1));
    pooled.open(1, 1);
    let (server, _) = pooled.ready(&READ);
    let waiter = pooled.queued(&READ);
    for step in 1..=60 {
        pooled.cluster.pass(200);
        pooled.cluster.primary(0, 1000 + step);
        pooled.cluster.says(1, in_recovery(1, 1000));
    }
    let effects = pooled.give_back(server);
    assert!(granted(&effects).is_empty(), "{effects:?}");
    assert_eq!(dials(&effects), [0], "with no fit standby the primary reads");
    assert_eq!(granted(&pooled.dialed(0).1), [(waiter, 0)]);
}

#[test]
fn the_reserve_opens_for_those_who_wait_long_and_closes_after_them() {
    let settings = PoolSettings { reserve_size: 1, reserve_after: Duration::from_secs(1), ..sized(1) };
    let mut pooled = Pooled::new(1, settings);
    let regular = pooled.open(0, 1)[0];
    pooled.ready(&WRITE);
    let waiters = [pooled.queued(&WRITE), pooled.queued(&WRITE)];
    assert!(dials(&pooled.tick(900)).is_empty());
    assert_eq!(dials(&pooled.tick(100)), [0]);
    let (reserve, effects) = pooled.dialed(0);
    assert_eq!(granted(&effects), [(waiters[0], 0)]);
    assert_eq!(granted(&pooled.give_back(regular)), [(waiters[1], 0)]);
    assert_eq!(closed(&pooled.give_back(reserve)), [(reserve, CloseReason::OverSize)]);
}

#[test]
fn a_reserve_server_serves_even_those_who_have_not_waited_long() {
    let settings = PoolSettings { reserve_size: 1, reserve_after: Duration::from_secs(1), ..sized(1) };
    let mut pooled = Pooled::new(1, settings);
    pooled.open(0, 1);
    pooled.ready(&WRITE);
    pooled.queued(&WRITE);
    pooled.tick(1000);
    let (reserve, _) = pooled.dialed(0);
    let late = pooled.queued(&WRITE);
    assert_eq!(granted(&pooled.give_back(reserve)), [(late, 0)]);
}

#[test]
fn a_login_that_the_primary_refuses_empties_the_queue() {
    let mut pooled = Pooled::new(1, sized(1));
    let waiters = [pooled.queued(&WRITE), pooled.queued(&READ), pooled.queued(&WRITE)];
    pooled.effects.clear();
    let effects = pooled.login_refused(0);
    let mut refused = refused(&effects);
    refused.sort_unstable_by_key(|(waiter, _)| *waiter);
    assert_eq!(refused, waiters.map(|waiter| (waiter, Refusal::ServersRefuse)));
}

#[test]
fn a_login_that_a_standby_refuses_moves_its_readers_elsewhere() {
    let mut pooled = Pooled::new(2, sized(1));
    let second_alone = Demand { only: Some(NodeId::new(2)), ..READ };
    let (read, write, bound) = (pooled.queued(&READ), pooled.queued(&WRITE), pooled.queued(&second_alone));
    pooled.effects.clear();
    assert!(pooled.login_refused(1).is_empty(), "there is another standby");
    let effects = pooled.login_refused(2);
    assert_eq!(refused(&effects), [(bound, Refusal::ServersRefuse)]);
    assert_eq!(granted(&pooled.dialed(0).1), [(read, 0)], "it came first");
    assert!(pooled.pool.abandon(write), "the writer still waits");
}

#[test]
fn nobody_overtakes_a_waiter_on_the_servers_that_it_could_have() {
    let mut pooled = Pooled::new(2, sized(1));
    pooled.open(1, 1);
    let (server, _) = pooled.ready(&READ);
    pooled.dials();
    let waiter = pooled.queued(&READ);
    assert_eq!(granted(&pooled.give_back(server)), [(waiter, 1)]);
    let late = pooled.queued(&READ);
    assert_eq!(granted(&pooled.dialed(2).1), [(late, 2)]);
}
