//! Choice of a node, and the life of its servers.

use super::*;

#[test]
fn the_first_lease_dials_and_the_next_uses_what_came_back() {
    let mut pooled = Pooled::new(1, sized(2));
    let waiter = pooled.queued(&WRITE);
    assert_eq!(pooled.dials(), [0]);
    let (server, effects) = pooled.dialed(0);
    assert_eq!(effects, [PoolEffect::Grant { waiter, server, node: NodeId::new(0), check: false }]);
    assert_eq!(pooled.load(0), (1, 1));
    assert!(pooled.give_back(server).is_empty());
    assert_eq!(pooled.load(0), (1, 0));
    assert_eq!(pooled.ready(&WRITE), (server, 0));
    pooled.discard(server);
    assert_eq!(pooled.load(0), (0, 0));
    pooled.discard(server);
    assert_eq!(pooled.load(0), (0, 0), "the second to notice a loss changes nothing");
    assert_eq!(closed(&pooled.give_back(server)), [(server, CloseReason::Unknown)]);
}

#[test]
fn the_server_used_last_is_used_next() {
    let mut pooled = Pooled::new(1, sized(3));
    let servers = pooled.open(0, 3);
    let taken: Vec<_> = (0..3).map(|_| pooled.ready(&WRITE).0).collect();
    assert_eq!(taken, servers);
    pooled.give_back(taken[2]);
    pooled.give_back(taken[0]);
    assert_eq!(pooled.ready(&WRITE).0, taken[0]);
}

#[test]
fn a_session_gets_the_server_that_it_had_last() {
    let mut pooled = Pooled::new(1, sized(3));
    let servers = pooled.open(0, 3);
    let mut last = LastServers::default();
    last.had(servers[1], NodeId::new(0));
    let again = |pooled: &mut Pooled| match pooled.lease_again(&WRITE, &last) {
        Lease::Ready { server, .. } => server,
        other => panic!("{other:?}"),
    };
    assert_eq!(again(&mut pooled), servers[1]);
    pooled.give_back(servers[1]);
    // Others still use what was used last, which may be the same one.
    assert_eq!(pooled.ready(&WRITE).0, servers[1]);
    assert_eq!(again(&mut pooled), servers[0], "it is in other hands: as for everybody");
    pooled.discard(servers[1]);
    assert_eq!(again(&mut pooled), servers[2], "it is closed: as for everybody");
}

#[test]
fn what_a_session_had_last_does_not_choose_its_node() {
    let mut pooled = Pooled::new(2, sized(2));
    let opened: Vec<_> = (1..3).map(|node| pooled.open(node, 2)).collect();
    let (mut last, mut served) = (LastServers::default(), [0; 3]);
    last.had(opened[0][1], NodeId::new(1));
    for _ in 0..100 {
        let Lease::Ready { server, node, .. } = pooled.lease_again(&READ, &last) else {
            panic!("one is idle")
        };
        served[node.index()] += 1;
        assert!(node.index() == 2 || server == opened[0][1], "on its node it is the one");
        pooled.give_back(server);
    }
    assert_eq!(served, [0, 50, 50]);
}

#[test]
fn a_session_that_comes_again_overtakes_no_waiter() {
    let mut pooled = Pooled::new(1, sized(1));
    let server = pooled.open(0, 1)[0];
    let mut last = LastServers::default();
    last.had(server, NodeId::new(0));
    assert_eq!(pooled.ready(&WRITE).0, server);
    let first = pooled.queued(&WRITE);
    assert!(matches!(pooled.lease_again(&WRITE, &last), Lease::Queued(_)));
    assert_eq!(granted(&pooled.give_back(server)), [(first, 0)]);
}

#[test]
fn reads_rotate_over_standbys_exactly_once_warm() {
    let mut pooled = Pooled::new(3, sized(2));
    (1..4).for_each(|node| drop(pooled.open(node, 1)));
    let mut served = [0; 4];
    for _ in 0..300 {
        let (server, node) = pooled.ready(&READ);
        served[node] += 1;
        pooled.give_back(server);
    }
    assert_eq!(served, [0, 100, 100, 100]);
}

#[test]
fn from_cold_the_shares_come_out_right_too() {
    let settings = TopologySettings { balance: Balance::Weighted, ..TopologySettings::default() };
    let mut pooled = Pooled::on(Cluster::ready(&[1, 3, 1], settings), sized(4));
    let mut served = [0; 3];
    for _ in 0..400 {
        let (server, node) = match pooled.lease(&READ) {
            Lease::Ready { server, node, .. } => (server, node.index()),
            Lease::Queued(_) => {
                let node = pooled.dials()[0];
                (pooled.dialed(node).0, node)
            }
            Lease::Refused(refusal) => panic!("{refusal}"),
        };
        served[node] += 1;
        let grown = pooled.dials();
        pooled.give_back(server);
        for node in grown {
            pooled.dialed(node);
        }
    }
    assert_eq!(served, [0, 300, 100]);
}

#[test]
fn a_node_without_weight_never_steps_in_for_another() {
    let settings = TopologySettings { balance: Balance::Weighted, ..TopologySettings::default() };
    let mut pooled = Pooled::on(Cluster::ready(&[1, 1, 0], settings.clone()), sized(2));
    assert!(matches!(pooled.lease(&READ), Lease::Queued(_)));
    assert_eq!(pooled.dials(), [1], "the other standby is not even opened");
    let mut alone = Pooled::on(Cluster::ready(&[1, 0], settings), sized(2));
    assert!(matches!(alone.lease(&READ), Lease::Queued(_)));
    assert_eq!(alone.dials(), [1], "a standby without weight is better than none");
}

#[test]
fn a_node_without_a_server_is_not_waited_for_while_another_has_one() {
    let mut pooled = Pooled::new(2, sized(2));
    let first = pooled.open(1, 1)[0];
    assert_eq!(pooled.ready(&READ), (first, 1));
    assert!(pooled.give_back(first).is_empty());
    assert_eq!(pooled.ready(&READ), (first, 1));
    assert_eq!(pooled.dials(), [2], "its turn: it grows meanwhile");
    pooled.give_back(first);
    assert_eq!(pooled.ready(&READ), (first, 1));
    assert!(pooled.dials().is_empty(), "one dial is under way");
}

#[test]
fn busy_standbys_do_not_spill_reads_onto_the_primary() {
    let mut pooled = Pooled::new(1, sized(1));
    pooled.open(0, 1);
    pooled.open(1, 1);
    let (server, node) = pooled.ready(&READ);
    assert_eq!(node, 1);
    let waiter = pooled.queued(&READ);
    assert_eq!(granted(&pooled.give_back(server)), [(waiter, 1)]);
}

#[test]
fn a_tried_standby_is_not_tried_again_and_the_primary_is_the_last_resort() {
    let mut pooled = Pooled::new(2, sized(1));
    (0..3).for_each(|node| drop(pooled.open(node, 1)));
    let mut exclude = NodeSet::of(NodeId::new(1));
    let (server, node) = pooled.ready(&Demand { exclude, ..READ });
    assert_eq!(node, 2);
    pooled.give_back(server);
    exclude.insert(NodeId::new(2));
    let (server, node) = pooled.ready(&Demand { exclude, ..READ });
    assert_eq!(node, 0);
    pooled.give_back(server);
    exclude.insert(NodeId::new(0));
    assert_eq!(
        pooled.ready(&Demand { exclude, ..READ }).1,
        0,
        "a standby that was promoted after it was tried"
    );
}

#[test]
fn a_node_that_is_not_configured_is_not_waited_for() {
    let mut pooled = Pooled::new(1, sized(1));
    let nodes = vec![crate::fixture::named("a", 1)];
    let now = pooled.cluster.now();
    pooled.cluster.topology.apply_settings(nodes, TopologySettings::default(), now).unwrap();
    let removed = Demand { only: Some(NodeId::new(1)), ..READ };
    assert_eq!(pooled.lease(&removed), Lease::Refused(Refusal::NoNode));
}

#[test]
fn a_server_unused_for_long_is_checked_before_use() {
    let settings = PoolSettings { check_after_idle: Duration::from_secs(1), ..sized(1) };
    let mut pooled = Pooled::new(1, settings);
    let server = pooled.open(0, 1)[0];
    pooled.tick(900);
    assert_eq!(pooled.lease(&WRITE), Lease::Ready { server, node: NodeId::new(0), check: false });
    pooled.give_back(server);
    pooled.tick(1000);
    assert_eq!(pooled.lease(&WRITE), Lease::Ready { server, node: NodeId::new(0), check: true });
}

#[test]
fn unused_servers_are_closed_down_to_the_minimum() {
    let settings = PoolSettings { min_size: 1, idle_timeout: Duration::from_secs(1), ..sized(3) };
    let mut pooled = Pooled::new(1, settings);
    let servers = pooled.open(0, 3);
    let (used, _) = pooled.ready(&WRITE);
    assert_eq!(dials(&pooled.tick(900)), [1], "the minimum of the standby, which has none");
    pooled.give_back(used);
    let effects = pooled.tick(200);
    assert_eq!(closed(&effects), [(servers[2], CloseReason::Idle), (servers[1], CloseReason::Idle)]);
    assert!(closed(&pooled.tick(2000)).is_empty(), "one stays");
}

#[test]
fn old_servers_are_closed_when_nobody_uses_them() {
    let settings =
        PoolSettings { lifetime: Duration::from_secs(10), idle_timeout: Duration::ZERO, ..sized(2) };
    let mut pooled = Pooled::new(1, settings);
    let servers = pooled.open(0, 2);
    let (leased, _) = pooled.ready(&WRITE);
    assert!(closed(&pooled.tick(8_900)).is_empty());
    pooled.cluster.all_caught_up(1000);
    assert_eq!(closed(&pooled.tick(1_200)), [(servers[1], CloseReason::Lifetime)]);
    assert_eq!(closed(&pooled.give_back(leased)), [(leased, CloseReason::Lifetime)]);
}

#[test]
fn the_minimum_is_opened_on_serving_nodes_without_any_lease() {
    let mut pooled = Pooled::new(2, PoolSettings { min_size: 1, ..sized(5) });
    pooled.cluster.fails(2, ProbeFailure::Refused);
    assert_eq!(dials(&pooled.tick(1)), [0, 1]);
    assert!(dials(&pooled.tick(1)).is_empty());
}

#[test]
fn servers_of_a_demoted_primary_are_closed_idle_ones_at_once() {
    let mut pooled = Pooled::new(1, sized(2));
    let servers = pooled.open(0, 2);
    let (leased, _) = pooled.ready(&WRITE);
    pooled.cluster.standby(0, 1000);
    assert_eq!(closed(&pooled.tick(1)), [(servers[1], CloseReason::NodeChanged)]);
    assert_eq!(closed(&pooled.give_back(leased)), [(leased, CloseReason::NodeChanged)]);
    assert_eq!(pooled.load(0), (0, 0));
}

#[test]
fn servers_of_a_restarted_or_removed_node_are_not_used_again() {
    let mut pooled = Pooled::new(2, sized(2));
    let of_restarted = pooled.open(1, 1)[0];
    pooled.cluster.fails(1, ProbeFailure::Refused);
    (0..2).for_each(|_| drop(pooled.cluster.standby(1, 1000)));
    assert_eq!(closed(&pooled.tick(1)), [(of_restarted, CloseReason::NodeChanged)]);
    let of_removed = pooled.open(2, 1)[0];
    let nodes = ["a", "b"].map(|name| crate::fixture::named(name, 1)).to_vec();
    let now = pooled.cluster.now();
    pooled.cluster.topology.apply_settings(nodes, TopologySettings::default(), now).unwrap();
    assert_eq!(closed(&pooled.tick(1)), [(of_removed, CloseReason::NodeChanged)]);
}

#[test]
fn a_dial_that_ends_after_its_node_left_the_cluster_is_closed() {
    let mut pooled = Pooled::new(1, sized(2));
    pooled.queued(&WRITE);
    assert_eq!(pooled.dials(), [0]);
    pooled.cluster.says(1, writable(2, 1000));
    let (server, effects) = pooled.dialed(0);
    assert_eq!(closed(&effects), [(server, CloseReason::NodeChanged)]);
    assert_eq!(dials(&effects), [1], "the waiter goes to the new primary");
}

#[test]
fn a_smaller_size_closes_idle_servers_now_and_leased_ones_when_they_return() {
    let mut pooled = Pooled::new(1, sized(4));
    pooled.open(0, 4);
    let leased: Vec<_> = (0..3).map(|_| pooled.ready(&WRITE).0).collect();
    let effects = pooled.event(|pool, view, now, out| pool.apply_settings(sized(2), view, now, out));
    assert_eq!(closed(&effects).len(), 1);
    assert_eq!(closed(&pooled.give_back(leased[0])), [(leased[0], CloseReason::OverSize)]);
    assert!(closed(&pooled.give_back(leased[1])).is_empty());
}

#[test]
fn a_failed_dial_leaves_the_node_alone_for_a_while() {
    let mut pooled = Pooled::new(1, sized(2));
    let waiter = pooled.queued(&WRITE);
    assert_eq!(pooled.dials(), [0]);
    assert!(pooled.dial_failed(0).is_empty());
    assert!(dials(&pooled.tick(30)).is_empty());
    assert_eq!(dials(&pooled.tick(20)), [0]);
    assert!(pooled.dial_failed(0).is_empty());
    assert!(dials(&pooled.tick(50)).is_empty(), "each further failure doubles the pause");
    assert_eq!(dials(&pooled.tick(50)), [0]);
    assert_eq!(granted(&pooled.dialed(0).1), [(waiter, 0)]);
}

#[test]
fn a_node_that_came_back_is_dialled_at_once_whatever_failed_before() {
    let mut pooled = Pooled::new(1, sized(2));
    let waiter = pooled.queued(&WRITE);
    for _ in 0..6 {
        pooled.dial_failed(0);
        assert_eq!(dials(&pooled.tick(1000)), [0]);
        pooled.cluster.all_caught_up(1000);
    }
    pooled.cluster.fails(0, ProbeFailure::Refused);
    pooled.dial_failed(0);
    pooled.cluster.primary(0, 1000);
    assert!(dials(&pooled.tick(1)).is_empty(), "one good probe does not bring a node back");
    pooled.cluster.primary(0, 1000);
    assert_eq!(dials(&pooled.tick(1)), [0]);
    assert_eq!(granted(&pooled.dialed(0).1), [(waiter, 0)]);
}

#[test]
fn a_failed_dial_sends_its_waiter_to_another_node() {
    let mut pooled = Pooled::new(2, sized(2));
    let waiter = pooled.queued(&READ);
    let node = pooled.dials()[0];
    let other = 3 - node;
    assert_eq!(dials(&pooled.dial_failed(node)), [other]);
    assert_eq!(granted(&pooled.dialed(other).1), [(waiter, other)]);
}

#[test]
fn a_pool_that_ends_takes_its_load_along() {
    let mut pooled = Pooled::new(1, sized(3));
    pooled.open(0, 3);
    pooled.ready(&WRITE);
    assert_eq!(pooled.load(0), (3, 1));
    pooled.pool = Pool::new(sized(1), 1);
    assert_eq!(pooled.load(0), (0, 0));
}

#[test]
#[should_panic(expected = "only a leased server can be given back")]
fn a_server_given_back_twice_is_our_own_mistake() {
    let mut pooled = Pooled::new(1, sized(1));
    let server = pooled.open(0, 1)[0];
    pooled.give_back(server);
}

#[test]
fn a_database_that_somebody_needs_for_himself_is_left_by_all_who_are_idle() {
    let mut it = Pooled::new(1, sized(3));
    let idle = it.open(0, 2);
    let read = it.open(1, 1);
    let (leased, _) = it.ready(&WRITE);
    let left = it.event(|pool, _, _, out| pool.close_unused(out));
    let unused: Vec<_> = idle.into_iter().chain(read).filter(|server| *server != leased).collect();
    assert_eq!(
        closed(&left),
        unused.into_iter().map(|it| (it, CloseReason::DatabaseWanted)).collect::<Vec<_>>()
    );
    assert!(closed(&it.give_back(leased)).is_empty());
    assert_eq!(it.ready(&WRITE).0, leased);
}
