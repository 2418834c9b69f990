use std::time::Duration;

use super::*;
use crate::fixture::{Cluster, SYSTEM, in_recovery, named, texts, writable};
use crate::{Access, Demand, DownReason, Health, NodeReport, NodeSet, Role, Staleness};

mod freshness;
mod roles;

fn plain() -> TopologySettings {
    TopologySettings::default()
}

fn staleness_ms(cluster: &Cluster, node: usize) -> Option<u128> {
    match cluster.view().nodes[node].staleness_at(cluster.now()) {
        Staleness::Known(age) => Some(age.as_millis()),
        Staleness::Unknown => None,
    }
}

fn readers(cluster: &Cluster, demand: &Demand) -> Vec<usize> {
    cluster.view().candidates(demand, cluster.now()).iter().map(NodeId::index).collect()
}

const READ: Demand = Demand::new(Access::Read);

#[test]
fn health_and_service_follow_probes_and_are_told_once() {
    let mut cluster = Cluster::new(&[1, 1], plain());
    assert_eq!(cluster.primary(0, 100), ["node a: is the primary, on timeline 1", "node a: is up"]);
    assert_eq!(cluster.standby(1, 100), ["node b: is up"]);
    assert!(cluster.standby(1, 100).is_empty());
    assert!(cluster.fails(1, ProbeFailure::TimedOut).is_empty());
    assert_eq!(cluster.view().nodes[1].health, Health::Suspect);
    assert_eq!(cluster.service(1), "in", "one failure takes nobody away");
    cluster.fails(1, ProbeFailure::TimedOut);
    assert_eq!(cluster.fails(1, ProbeFailure::TimedOut), ["node b: is down: no answer in time"]);
    assert_eq!(cluster.service(1), "down");
    assert!(cluster.fails(1, ProbeFailure::TimedOut).is_empty());
    assert!(cluster.standby(1, 100).is_empty(), "one good probe is not enough");
    assert_eq!(cluster.standby(1, 100), ["node b: is up"]);
}

#[test]
fn a_refused_dial_takes_a_node_away_at_once() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let term = cluster.view().nodes[1].term;
    let now = cluster.now();
    let changes = cluster.topology.on_dial_failed(NodeId::new(1), ProbeFailure::Refused, now);
    assert_eq!(texts(&changes), ["node b: is down: the connection was refused"]);
    assert_eq!(cluster.view().nodes[1].term, term + 1, "connections to the dead process are of no use");
    cluster.topology.on_dial_ok(NodeId::new(1), now);
    assert_eq!(cluster.service(1), "down", "probes bring it back, not a dial");
}

#[test]
fn refused_logins_of_clients_say_nothing_about_a_node() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    for _ in 0..20 {
        let now = cluster.now();
        cluster.topology.on_dial_failed(NodeId::new(1), ProbeFailure::AuthenticationFailed, now);
    }
    assert_eq!(cluster.view().nodes[1].health, Health::Up);
}

#[test]
fn an_operator_who_ends_all_sessions_does_not_cause_a_failover() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    for node in [0, 1] {
        for _ in 0..50 {
            let now = cluster.now();
            assert!(cluster.topology.on_connection_lost(NodeId::new(node), now).is_empty());
        }
        assert_eq!(cluster.view().nodes[node].health, Health::Suspect);
    }
    assert_eq!(cluster.primary_name().as_deref(), Some("a"));
    assert_eq!(cluster.service(1), "in");
    cluster.pass(10);
    cluster.all_caught_up(2000);
    assert_eq!(cluster.view().nodes[0].health, Health::Up);
}

#[test]
fn losses_that_go_on_while_no_probe_is_answered_take_the_node_away() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    for _ in 0..3 {
        let now = cluster.now();
        cluster.topology.on_connection_lost(NodeId::new(1), now);
        cluster.pass(200);
    }
    assert_eq!(cluster.service(1), "down");
}

#[test]
fn a_silent_node_is_down_without_any_probe_failing() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    assert!(cluster.pass(3000).is_empty());
    let told = texts(&cluster.pass(1));
    assert!(told.contains(&"node b: is down: nothing was heard of it for too long".to_owned()), "{told:?}");
    assert!(told.contains(&"node a: is no longer the primary; there is none now".to_owned()), "{told:?}");
    assert_eq!(cluster.view().nodes[1].health, Health::Down(DownReason::Silent));
}

#[test]
fn a_reload_matches_nodes_by_name_and_never_reuses_an_id() {
    let mut cluster = Cluster::ready(&[1, 1, 1], plain());
    let now = cluster.now();
    let reload = |cluster: &mut Cluster, nodes: &[&str]| {
        let nodes = nodes.iter().map(|name| named(name, 7)).collect();
        let changes = cluster.topology.apply_settings(nodes, plain(), now).unwrap();
        cluster.topology.check();
        texts(&changes)
    };
    assert_eq!(reload(&mut cluster, &["c", "a", "x"]), ["node b: is no longer configured"]);
    let names =
        |cluster: &Cluster| cluster.view().nodes.iter().map(|node| node.name.to_string()).collect::<String>();
    assert_eq!(names(&cluster), "abcx");
    assert_eq!(cluster.view().configured().count(), 3);
    assert_eq!((cluster.service(0), cluster.service(1), cluster.service(2)), ("in", "removed", "in"));
    assert_eq!(cluster.view().nodes[2].weight, 7);
    assert!(cluster.standby(1, 1000).is_empty(), "a removed node is not listened to");
    let term = cluster.view().nodes[1].term;
    reload(&mut cluster, &["a", "b", "c", "x"]);
    assert_eq!(names(&cluster), "abcx");
    assert_eq!(cluster.service(1), "never_seen");
    assert_eq!(cluster.view().nodes[1].term, term);
    assert_eq!(cluster.standby(1, 1000), ["node b: is up"]);
}

#[test]
fn a_reload_that_takes_the_primary_away_leaves_none() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let now = cluster.now();
    let changes = cluster.topology.apply_settings(vec![named("b", 1)], plain(), now).unwrap();
    assert_eq!(
        texts(&changes),
        ["node a: is no longer configured", "node a: is no longer the primary; there is none now"]
    );
    assert_eq!(readers(&cluster, &READ), [1]);
}

#[test]
fn too_many_nodes_over_time_are_refused_and_change_nothing() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let now = cluster.now();
    let generation = cluster.view().generation;
    let many = (0..NODES_MAX - 1).map(|n| named(&format!("n{n}"), 1)).collect();
    assert_eq!(cluster.topology.apply_settings(many, plain(), now), Err(TooManyNodes));
    assert_eq!(cluster.view().generation, generation);
    assert_eq!(cluster.service(1), "in");
}

#[test]
fn every_reason_has_its_own_word_and_a_text() {
    let cluster_of = |theirs| OutReason::ForeignSystem { ours: SYSTEM, theirs };
    let table = [
        (OutReason::Down(DownReason::Silent), "down", "down: nothing was heard of it for too long"),
        (
            cluster_of(5),
            "foreign_system",
            "belongs to another cluster: system identifier 5, expected 7000000000000000001",
        ),
        (OutReason::Lagging { bytes: 9, max: 8 }, "lagging", "lacks 9 bytes of WAL, at most 8 allowed"),
        (OutReason::NeverSeen, "never_seen", "has not answered yet"),
        (
            OutReason::OldTimeline { ours: 3, theirs: 2 },
            "old_timeline",
            "is on timeline 2, the cluster is on 3",
        ),
        (OutReason::ReadOnlyPrimary, "read_only_primary", "was the primary but has become read-only"),
        (OutReason::Removed, "removed", "is no longer configured"),
        (
            OutReason::ReplayUnknown,
            "replay_unknown",
            "has not yet replayed to a known position of the primary",
        ),
        (OutReason::SplitBrain, "split_brain", "is writable, and so is another node on the same timeline"),
        (
            OutReason::Stale { staleness: Duration::from_millis(12_340), max: Duration::from_secs(10) },
            "stale",
            "is 12.3 s old, at most 10.0 s allowed",
        ),
    ];
    for (reason, code, text) in table {
        assert_eq!((reason.code(), reason.to_string().as_str()), (code, text));
    }
}
