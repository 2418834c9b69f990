//! How old a standby is, and when that takes it away.

use super::*;

fn capped(staleness_max_ms: u64) -> TopologySettings {
    TopologySettings { staleness_max: Duration::from_millis(staleness_max_ms), ..plain() }
}

#[test]
fn an_idle_primary_makes_no_standby_old() {
    let mut cluster = Cluster::ready(&[1, 1], capped(1000));
    for _ in 0..3000 {
        cluster.pass(200);
        assert!(staleness_ms(&cluster, 1).unwrap() <= 200);
        cluster.primary(0, 1000);
        assert_eq!(staleness_ms(&cluster, 1), Some(0), "a sample of the primary is enough");
        cluster.standby(1, 1000);
    }
    assert_eq!(cluster.service(1), "in");
}

#[test]
fn a_paused_replay_ages_under_writes_leaves_at_the_cap_and_returns_below_half_of_it() {
    let mut cluster = Cluster::ready(&[1, 1], capped(2000));
    let mut lsn = 1000;
    let mut left_after = None;
    for step in 1..=20 {
        cluster.pass(200);
        lsn += 100;
        cluster.primary(0, lsn);
        cluster.says(1, NodeReport { replay_paused: true, ..in_recovery(1, 1000) });
        assert_eq!(staleness_ms(&cluster, 1), Some(step * 200));
        if cluster.service(1) == "stale" {
            left_after.get_or_insert(step * 200);
        }
    }
    assert_eq!(left_after, Some(2200));
    assert!(cluster.view().nodes[1].replay_paused);
    assert_eq!(cluster.view().nodes[1].lag_bytes, Some(2000));
    cluster.standby(1, lsn - 600);
    assert_eq!(
        (staleness_ms(&cluster, 1), cluster.service(1)),
        (Some(1200), "stale"),
        "below the cap is not enough"
    );
    assert_eq!(cluster.standby(1, lsn - 500), ["node b: serves again"]);
}

#[test]
fn a_standby_grows_too_old_between_probes_and_ticks() {
    let mut cluster = Cluster::ready(&[1, 1], capped(1000));
    let view = cluster.view();
    let young = cluster.now() + Duration::from_millis(1000);
    assert!(view.may_serve(NodeId::new(1), &READ, young));
    let old = young + Duration::from_millis(1);
    assert!(!view.may_serve(NodeId::new(1), &READ, old), "nobody had to tell the view");
    assert_eq!(view.candidates(&READ, old), NodeSet::of(NodeId::new(0)));
    assert_eq!(texts(&cluster.pass(1001)), ["node b: out of service: is 1.0 s old, at most 1.0 s allowed"]);
}

#[test]
fn lag_in_bytes_has_its_own_cap_and_the_same_hysteresis() {
    let mut cluster = Cluster::ready(&[1, 1], TopologySettings { lag_bytes_max: Some(1000), ..plain() });
    cluster.pass(10);
    cluster.primary(0, 2001);
    assert_eq!(cluster.service(1), "lagging");
    cluster.standby(1, 1500);
    assert_eq!(cluster.service(1), "lagging");
    cluster.standby(1, 1501);
    assert_eq!(cluster.service(1), "in");
}

#[test]
fn without_a_primary_reads_go_on_as_of_the_last_that_was_written() {
    let mut cluster = Cluster::ready(&[1, 1], capped(1000));
    cluster.fails(0, ProbeFailure::Refused);
    for _ in 0..600 {
        cluster.pass(200);
        cluster.standby(1, 1000);
    }
    assert_eq!(cluster.service(1), "in", "nobody has written for two minutes");
    assert_eq!(staleness_ms(&cluster, 1), Some(0));
    assert_eq!(readers(&cluster, &READ), [1]);
    let wrote_just_before = Demand { fresh_as_of: Some(cluster.now()), ..READ };
    assert!(readers(&cluster, &wrote_just_before).is_empty(), "what a session wrote is proven or not read");
}

#[test]
fn a_primary_that_only_we_cannot_reach_goes_on_ageing_the_others() {
    let mut cluster = Cluster::ready(&[1, 1, 1], capped(1000));
    cluster.fails(0, ProbeFailure::Refused);
    for step in 1..=10 {
        cluster.pass(200);
        cluster.standby(1, 1000 + step);
        cluster.standby(2, 1000);
    }
    assert_eq!(cluster.service(2), "stale", "another standby still receives what a primary writes");
}

#[test]
fn a_cluster_whose_primary_was_never_seen_serves_reads_once_all_nodes_were_tried() {
    let mut cluster = Cluster::new(&[1, 1], plain());
    cluster.standby(1, 1000);
    assert_eq!(cluster.service(1), "replay_unknown", "the primary may answer any moment");
    cluster.fails(0, ProbeFailure::Refused);
    assert_eq!(cluster.service(1), "in");
    assert_eq!(readers(&cluster, &READ), [1]);
    assert_eq!(staleness_ms(&cluster, 1), None);
}

#[test]
fn a_standby_that_may_have_restarted_proves_nothing_until_it_is_asked_again() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    let wrote = Demand { fresh_as_of: Some(cluster.now()), ..READ };
    let saw = Demand { floor: Some(Lsn::new(900)), ..READ };
    assert_eq!((readers(&cluster, &wrote), readers(&cluster, &saw)), (vec![1], vec![1]));
    let asked_before = cluster.now();
    cluster.pass(10);
    let now = cluster.now();
    cluster.topology.on_connection_lost(NodeId::new(1), now);
    assert_eq!((readers(&cluster, &wrote), readers(&cluster, &saw)), (vec![0], vec![0]));
    assert_eq!(readers(&cluster, &READ), [1], "what needs no proof goes on");
    let outcome = ProbeOutcome::Answered(in_recovery(1, 1000));
    cluster.topology.on_probe(
        NodeId::new(1),
        Probe { asked_at: asked_before, answered_at: now, outcome },
        now,
    );
    assert_eq!(readers(&cluster, &wrote), [0], "an answer from before the loss proves nothing");
    cluster.standby(1, 800);
    assert_eq!(cluster.view().nodes[1].replay, Some(Lsn::new(800)), "it lost what it had not made durable");
    assert_eq!((readers(&cluster, &wrote), readers(&cluster, &saw)), (vec![0], vec![0]));
    cluster.standby(1, 1000);
    assert_eq!((readers(&cluster, &wrote), readers(&cluster, &saw)), (vec![1], vec![1]));
}

#[test]
fn a_session_reads_what_it_wrote_from_a_standby_only_when_a_later_sample_proves_it() {
    let mut cluster = Cluster::ready(&[1, 1], plain());
    cluster.pass(50);
    let wrote = Demand { fresh_as_of: Some(cluster.now()), ..READ };
    assert_eq!(readers(&cluster, &wrote), [0]);
    cluster.pass(50);
    cluster.standby(1, 5000);
    assert_eq!(readers(&cluster, &wrote), [0], "no sample of the primary says that 5000 holds it");
    cluster.primary(0, 5000);
    assert_eq!(readers(&cluster, &wrote), [1]);
}

#[test]
fn what_an_open_transaction_has_not_flushed_makes_nobody_old() {
    let mut cluster = Cluster::ready(&[1, 1], capped(1000));
    cluster.pass(50);
    let wrote = Demand { fresh_as_of: Some(cluster.now()), ..READ };
    for _ in 0..50 {
        cluster.pass(200);
        cluster.says(0, NodeReport { lsn: Lsn::new(1800), flushed: Lsn::new(1000), ..writable(1, 1000) });
        cluster.standby(1, 1000);
    }
    assert_eq!(cluster.service(1), "in", "it has all that ever left the primary");
    assert_eq!((staleness_ms(&cluster, 1), cluster.view().nodes[1].lag_bytes), (Some(0), Some(0)));
    assert_eq!(readers(&cluster, &wrote), [0], "a commit may hide in what is not flushed");
    cluster.primary(0, 1800);
    cluster.standby(1, 1800);
    assert_eq!(readers(&cluster, &wrote), [1]);
}

#[test]
fn a_standby_on_another_history_proves_nothing() {
    let mut cluster = Cluster::ready(&[1, 1, 1], plain());
    cluster.fails(0, ProbeFailure::Refused);
    cluster.says(1, writable(2, 1100));
    cluster.pass(200);
    cluster.standby(2, 1_000_000);
    assert_eq!(cluster.service(2), "old_timeline");
    assert_eq!(cluster.view().nodes[2].fresh_as_of, None);
}

#[test]
fn a_demand_may_bound_the_age_more_tightly_than_the_cluster() {
    let mut cluster = Cluster::ready(&[1, 1, 1], capped(1000));
    cluster.pass(400);
    cluster.primary(0, 5000);
    cluster.standby(1, 5000);
    let within = |ms| Demand { staleness_max: Some(Duration::from_millis(ms)), ..READ };
    assert_eq!(readers(&cluster, &READ), [1, 2]);
    assert_eq!(readers(&cluster, &within(100)), [1]);
    assert_eq!(readers(&cluster, &within(400)), [1, 2]);
    cluster.pass(300);
    assert_eq!(readers(&cluster, &within(100)), [0], "nobody is so young: the primary is");
    cluster.pass(2000);
    assert_eq!(readers(&cluster, &within(60_000)), [0], "the cluster's own bound holds as well");
}

#[test]
fn an_age_that_nobody_knows_is_within_no_bound() {
    let mut cluster = Cluster::new(&[1, 1], plain());
    cluster.standby(1, 1000);
    cluster.fails(0, ProbeFailure::Refused);
    assert_eq!(readers(&cluster, &READ), [1]);
    let bounded = Demand { staleness_max: Some(Duration::from_secs(3600)), ..READ };
    assert!(readers(&cluster, &bounded).is_empty());
}

#[test]
fn a_demand_may_spare_a_primary_that_takes_part_in_reads() {
    use crate::ReadsOnPrimary::Always;
    let settings = TopologySettings { reads_on_primary: Always, ..plain() };
    let mut cluster = Cluster::ready(&[1, 1], settings);
    let sparing = Demand { spares_primary: true, ..READ };
    assert_eq!(readers(&cluster, &sparing), [1]);
    cluster.fails(1, ProbeFailure::Refused);
    assert_eq!(readers(&cluster, &sparing), [0]);
}

#[test]
fn reads_on_the_primary_follow_the_setting() {
    use crate::ReadsOnPrimary::{Always, Never, WhenNone};
    let table = [(Never, vec![1], vec![]), (WhenNone, vec![1], vec![0]), (Always, vec![0, 1], vec![0])];
    for (reads_on_primary, with_standby, without) in table {
        let mut cluster = Cluster::ready(&[1, 1], TopologySettings { reads_on_primary, ..plain() });
        assert_eq!(readers(&cluster, &READ), with_standby, "{reads_on_primary:?}");
        let only = Demand { only: Some(NodeId::new(0)), ..READ };
        assert_eq!(readers(&cluster, &only), [0], "{reads_on_primary:?}: asked for by name");
        cluster.fails(1, ProbeFailure::Refused);
        assert_eq!(readers(&cluster, &READ), without, "{reads_on_primary:?}");
    }
}
