use super::*;
use crate::TopologySettings;
use crate::fixture::Cluster;

fn cluster(balance: Balance, weights: &[u32]) -> Cluster {
    Cluster::ready(weights, TopologySettings { balance, ..TopologySettings::default() })
}

fn nodes(indices: impl IntoIterator<Item = usize>) -> NodeSet {
    indices.into_iter().map(NodeId::new).collect()
}

/// Serves `count` leases where they fall, and names the nodes in order.
fn serve(balancer: &mut Balancer, fit: NodeSet, view: &View, count: usize) -> String {
    let mut served = String::new();
    for _ in 0..count {
        let node = balancer.choose(fit, view).unwrap();
        balancer.charge(fit, node, view);
        served.push_str(&view.nodes[node.index()].name);
    }
    served
}

#[test]
fn round_robin_takes_each_in_turn_whatever_the_weights() {
    let view = cluster(Balance::RoundRobin, &[1, 5, 1, 9]).view();
    let mut balancer = Balancer::new(1);
    assert_eq!(serve(&mut balancer, nodes(1..4), &view, 9), "bcdbcdbcd");
    assert_eq!(serve(&mut balancer, nodes([1, 3]), &view, 4), "bdbd");
}

#[test]
fn weighted_is_exact_over_each_round_and_evenly_mixed() {
    let view = cluster(Balance::Weighted, &[1, 5, 1, 1]).view();
    let mut balancer = Balancer::new(1);
    for _ in 0..50 {
        assert_eq!(serve(&mut balancer, nodes(1..4), &view, 7), "bbcbdbb");
    }
}

#[test]
fn a_node_of_weight_zero_serves_only_alone() {
    let view = cluster(Balance::Weighted, &[1, 2, 0]).view();
    let mut balancer = Balancer::new(1);
    assert_eq!(serve(&mut balancer, nodes(1..3), &view, 5), "bbbbb");
    assert_eq!(serve(&mut balancer, nodes([2]), &view, 2), "cc");
}

#[test]
fn random_spreads_evenly_and_repeats_with_its_seed() {
    let view = cluster(Balance::Random, &[1, 1, 1, 1]).view();
    let served = serve(&mut Balancer::new(42), nodes(1..4), &view, 9000);
    for name in ["b", "c", "d"] {
        let share = served.matches(name).count();
        assert!((2800..=3200).contains(&share), "{name} served {share} of 9000");
    }
    assert_eq!(served, serve(&mut Balancer::new(42), nodes(1..4), &view, 9000));
}

#[test]
fn least_in_flight_takes_the_least_loaded_and_rotates_among_equals() {
    let view = cluster(Balance::LeastInFlight, &[1, 1, 1, 1]).view();
    let mut balancer = Balancer::new(1);
    assert_eq!(serve(&mut balancer, nodes(1..4), &view, 6), "bcdbcd");
    view.nodes[1].load.leased();
    view.nodes[2].load.leased();
    view.nodes[2].load.leased();
    assert_eq!(serve(&mut balancer, nodes(1..4), &view, 3), "ddd");
    assert_eq!(serve(&mut balancer, nodes(1..3), &view, 3), "bbb");
}

#[test]
fn a_node_whose_turn_another_took_is_next_but_gets_no_burst_after_a_long_absence() {
    let view = cluster(Balance::RoundRobin, &[1, 1, 1]).view();
    let mut balancer = Balancer::new(1);
    let fit = nodes(1..3);
    assert_eq!(balancer.choose(fit, &view), Some(NodeId::new(1)));
    balancer.charge(fit, NodeId::new(2), &view);
    assert_eq!(serve(&mut balancer, fit, &view, 5), "bbcbc");
    (0..1000).for_each(|_| balancer.charge(fit, NodeId::new(2), &view));
    let served = serve(&mut balancer, fit, &view, 40);
    assert!(served.matches('b').count() <= 20 + 2 * CREDIT_MAX as usize, "{served}");
}
