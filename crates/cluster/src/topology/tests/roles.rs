//! Who is the primary.

use super::*;

#[test]
fn order_and_names_do_not_matter() {
    let mut cluster = Cluster::new(&[1, 1, 1], plain());
    assert_eq!(cluster.primary_name(), None);
    cluster.standby(0, 100);
    cluster.primary(2, 100);
    cluster.standby(1, 100);
    assert_eq!(cluster.primary_name().as_deref(), Some("c"));
    let roles: Vec<_> = cluster.view().nodes.iter().map(|node| node.role).collect();
    assert_eq!(roles, [Role::Standby, Role::Standby, Role::Primary]);
}

#[test]
fn a_demotion_counts_at_once() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let term = cluster.view().nodes[0].term;
    assert_eq!(
        cluster.standby(0, 1000),
        ["node a: is a standby", "node a: is no longer the primary; there is none now"]
    );
    assert_eq!(cluster.primary_name(), None);
    assert!(cluster.view().nodes[0].term > term);
}

#[test]
fn a_promotion_moves_the_primary_and_the_old_one_is_kept_out() {
    let mut cluster = Cluster::ready(&[1, 1, 1], plain());
    cluster.fails(0, ProbeFailure::Refused);
    assert_eq!(cluster.primary_name(), None);
    assert_eq!(
        cluster.says(1, writable(2, 1100)),
        [
            "node b: is the primary, on timeline 2",
            "node c: out of service: is on timeline 1, the cluster is on 2"
        ]
    );
    cluster.says(2, in_recovery(2, 1100));
    assert_eq!(cluster.service(2), "in");
    cluster.says(0, writable(1, 1050));
    cluster.says(0, writable(1, 1050));
    assert_eq!(cluster.primary_name().as_deref(), Some("b"));
    assert_eq!(cluster.service(0), "old_timeline");
    assert_eq!(cluster.view().nodes[0].role, Role::Unknown);
    cluster.says(0, in_recovery(2, 1100));
    assert_eq!(cluster.service(0), "in");
}

#[test]
fn an_old_primary_does_not_take_over_when_the_new_one_dies() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    cluster.fails(0, ProbeFailure::Refused);
    cluster.says(1, writable(2, 1100));
    cluster.fails(1, ProbeFailure::Refused);
    for _ in 0..5 {
        cluster.says(0, writable(1, 1050));
    }
    assert_eq!(cluster.primary_name(), None, "it lacks what was committed on timeline 2");
    assert_eq!(cluster.service(0), "old_timeline");
}

#[test]
fn two_writable_nodes_on_one_timeline_stop_writes_until_one_gives_in() {
    let mut cluster = Cluster::ready(&[1, 1, 1], plain());
    assert_eq!(
        cluster.says(1, writable(1, 1200)),
        [
            "node a: is no longer the primary; there is none now",
            "node a: split brain: it and node b are writable on one timeline; writes stop",
            "node a: out of service: is writable, and so is another node on the same timeline",
            "node b: out of service: is writable, and so is another node on the same timeline",
        ]
    );
    assert_eq!(cluster.primary_name(), None);
    assert_eq!(readers(&cluster, &READ), [2], "reads go on");
    cluster.pass(200);
    cluster.all_caught_up(1300);
    assert_eq!(cluster.primary_name().as_deref(), Some("a"));
}

#[test]
fn a_second_writable_node_counts_before_it_is_up() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    cluster.fails(1, ProbeFailure::Refused);
    cluster.says(1, writable(1, 1000));
    assert!(cluster.view().nodes[1].health.is_down());
    assert_eq!(cluster.primary_name(), None);
}

#[test]
fn under_split_brain_standbys_go_on_ageing() {
    let mut cluster = Cluster::ready(&[1, 1, 1], plain());
    cluster.says(1, writable(1, 1200));
    for _ in 0..51 {
        cluster.pass(200);
        cluster.primary(0, 1000);
        cluster.primary(1, 1200);
        cluster.standby(2, 1000);
    }
    assert_eq!(cluster.service(2), "stale", "somebody may be writing");
}

#[test]
fn the_majority_decides_which_cluster_is_ours() {
    let foreign = NodeReport { system_identifier: 5, ..writable(9, 1_000_000) };
    let mut cluster = Cluster::new(&[1, 1, 1], plain());
    cluster.says(0, foreign);
    assert_eq!(cluster.primary_name().as_deref(), Some("a"), "the first seen, while nothing else is known");
    cluster.primary(1, 100);
    assert_eq!(cluster.primary_name().as_deref(), Some("a"));
    cluster.standby(2, 100);
    assert_eq!(cluster.primary_name().as_deref(), Some("b"));
    assert_eq!((cluster.service(0), cluster.service(2)), ("foreign_system", "in"));
    assert!(!cluster.view().nodes[0].is_wanted());
}

#[test]
fn a_primary_that_says_read_only_waits_for_a_probe_asked_afterwards() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let asked_before = cluster.now();
    cluster.pass(10);
    let now = cluster.now();
    let changes = cluster.topology.on_read_only_error(NodeId::new(0), now);
    assert_eq!(
        texts(&changes),
        [
            "node a: is no longer the primary; there is none now",
            "node a: out of service: was the primary but has become read-only"
        ]
    );
    let outcome = ProbeOutcome::Answered(writable(1, 1000));
    let probe = Probe { asked_at: asked_before, answered_at: now, outcome };
    cluster.topology.on_probe(NodeId::new(0), probe, now);
    assert_eq!(cluster.primary_name(), None, "that answer is older than the error");
    cluster.primary(0, 1000);
    assert_eq!(cluster.primary_name().as_deref(), Some("a"));
}

#[test]
fn read_only_errors_of_standbys_change_nothing() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let now = cluster.now();
    assert!(cluster.topology.on_read_only_error(NodeId::new(1), now).is_empty());
    assert_eq!(cluster.primary_name().as_deref(), Some("a"));
}
