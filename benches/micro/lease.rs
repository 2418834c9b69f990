//! The pool: one lease and its end, with a primary and seven standbys.

use std::hint::black_box;
use std::time::Instant;

use pgweir_cluster::{
    Access, Demand, LastServers, Lease, NodeId, NodeReport, NodeSettings, Pool, PoolEffect, PoolSettings,
    Probe, ProbeOutcome, ServerId, Topology, TopologySettings,
};
use pgweir_wire::Lsn;

use super::{least, print};

pub(super) fn run() {
    let now = Instant::now();
    let named = |index: usize| NodeSettings { name: format!("n{index}"), weight: 1, zone: None };
    let mut topology = Topology::new((0..8).map(named).collect(), TopologySettings::default(), now);
    for _ in 0..3 {
        for index in 0..8 {
            let report = NodeReport {
                in_recovery: index > 0,
                timeline: 1,
                system_identifier: 7,
                lsn: Lsn::new(1 << 20),
                received: (index > 0).then_some(Lsn::new(1 << 20)),
                flushed: Lsn::new(1 << 20),
                replay_paused: false,
                wal_segment_bytes: 16 << 20,
            };
            let probe = Probe { asked_at: now, answered_at: now, outcome: ProbeOutcome::Answered(report) };
            topology.on_probe(NodeId::new(index), probe, now);
        }
    }
    let view = topology.view();
    let mut pool = Pool::new(PoolSettings::default(), 1);
    let (demand, mut out) = (Demand::new(Access::Read), Vec::new());
    let (mut last, mut servers) = (LastServers::default(), 0);
    // One server on each standby, by asking until nobody has to wait.
    let mut taken = Vec::new();
    while taken.len() < 7 {
        if let Lease::Ready { server, .. } = pool.lease(&demand, &last, &view, now, &mut out) {
            taken.push(server);
        }
        let mut dials: Vec<PoolEffect> = std::mem::take(&mut out);
        while let Some(effect) = dials.pop() {
            match effect {
                PoolEffect::Dial { node } => {
                    servers += 1;
                    pool.dialed(node, ServerId(servers), &view, now, &mut dials);
                }
                PoolEffect::Grant { server, .. } => taken.push(server),
                PoolEffect::Close { .. } | PoolEffect::Refuse { .. } => {}
            }
        }
    }
    for server in taken {
        pool.give_back(server, &view, now, &mut out);
    }
    let time = least(|| {
        if let Lease::Ready { server, node, .. } = pool.lease(black_box(&demand), &last, &view, now, &mut out)
        {
            last.had(server, node);
            pool.give_back(server, &view, now, &mut out);
        }
    });
    print("lease and give back among seven standbys", time, "");
}
