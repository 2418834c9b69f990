//! What must hold, compared with the truth.

use std::time::Duration;

use super::clients::State;
use super::shell::Shell;
use super::world::Life;
use crate::{Access, Demand, NodeId, ReadsOnPrimary, Refusal, ServerId, Staleness, WaiterId};

/// How far the reported staleness may be above the truth: two probe intervals, which is how old the last answers of primary and
/// standby can be, and two answer times.
const STALENESS_ERROR_MS: u64 = 480;

impl Shell {
    /// A decision is fit by the view, and by the truth where the connection still leads anywhere.
    pub(super) fn expect_fit(&mut self, server: ServerId, node: NodeId, demand: &Demand) {
        let opened = self.servers.get(&server).expect("no lease of a server that was closed");
        assert_eq!(opened.node, node.index());
        let (view, now) = (&self.view, self.now());
        assert!(view.candidates(demand, now).contains(node), "{node:?} is not fit for {demand:?}");
        let real = &self.world.nodes[node.index()];
        if opened.incarnation != real.incarnation {
            return; // lost, and not yet noticed
        }
        if view.primary == Some(node) {
            assert!(real.writable, "a primary that is none");
            assert_eq!(real.timeline, self.timeline_told, "a primary that the cluster has left");
            return;
        }
        assert_eq!(demand.access, Access::Read, "a write on a standby");
        let holds = |ms| self.world.written_by(real.timeline, ms) <= real.lsn;
        if let Some(wanted) = demand.fresh_as_of {
            assert!(holds(self.ms_of(wanted)), "a read of older data than the session wrote");
        }
        assert!(demand.floor.is_none_or(|floor| real.lsn >= floor.bytes()), "a read below its floor");
        let max = demand.staleness_max.unwrap_or(Duration::MAX).min(self.settings.0.staleness_max);
        let max_ms = max.as_millis() as u64;
        if view.primary.is_some_and(|primary| self.world.nodes[primary.index()].timeline == real.timeline) {
            assert!(holds(self.world.ms.saturating_sub(max_ms)), "a read of data beyond the cap");
        }
    }

    /// Whoever comes again gets the server that it had last, if nobody else has it.
    pub(super) fn expect_familiar(&mut self, got: ServerId, last: Option<ServerId>) {
        self.familiar += u64::from(last == Some(got));
        let left = last.filter(|last| self.pool.idle_servers().contains(last));
        assert_eq!(left, None, "the server that it had last was free");
    }

    /// Nobody who came earlier could have had this node. With a bound of its own on age a waiter may come to need the
    /// primary by time alone; that is seen with the next view.
    pub(super) fn expect_first(&self, granted: WaiterId, node: NodeId) {
        for client in &self.clients {
            if let State::Waiting { waiter, demand, .. } = client.state
                && waiter < granted
                && demand.staleness_max.is_none()
            {
                let fit = self.view.candidates(&demand, self.now());
                assert!(!fit.contains(node), "{granted:?} overtook {waiter:?} on {node:?}");
            }
        }
    }

    pub(super) fn expect_expired(&self, client: usize, refusal: Refusal) {
        let State::Waiting { since_ms, demand, .. } = self.clients[client].state else {
            panic!("only those who wait are refused")
        };
        let waited = self.world.ms - since_ms;
        let allowed = self.settings.1.wait_timeout.as_millis() as u64;
        assert!(waited >= allowed, "refused after {waited} ms");
        let fit = match demand.access {
            Access::Primary => Refusal::NoPrimary,
            Access::Read => Refusal::NoStandby,
        };
        assert!(refusal == Refusal::WaitedTooLong || refusal == fit, "{refusal:?}");
    }

    /// After every step.
    pub(super) fn check(&self) {
        self.pool.check(&self.view, self.now());
        self.check_limits();
        self.check_waiters();
        (0..self.world.nodes.len()).for_each(|node| self.check_freshness(node));
    }

    fn check_limits(&self) {
        let settings = &self.settings.1;
        let counts = self.pool.counts();
        for node in &counts.nodes {
            let open = node.idle + node.leased + node.dialing;
            assert!(open <= settings.size + settings.reserve_size, "{node:?}");
            let held = self.servers.values().filter(|opened| opened.node == node.node.index()).count();
            assert_eq!(held as u32, node.idle + node.leased, "the pool and the sockets agree");
            let load = &self.view.nodes[node.node.index()].load;
            assert_eq!((load.open(), load.in_flight()), (node.idle + node.leased, node.leased));
        }
        let working =
            self.clients.iter().filter(|client| matches!(client.state, State::Working { .. })).count();
        assert_eq!(working as u32, counts.nodes.iter().map(|node| node.leased).sum());
        assert!(counts.nodes.iter().map(|node| node.dialing).sum::<u32>() <= settings.dials_in_flight_max);
    }

    fn check_waiters(&self) {
        let mut waiting = 0;
        for client in &self.clients {
            if let State::Waiting { since_ms, .. } = client.state {
                waiting += 1;
                let waited = self.world.ms - since_ms;
                let allowed = self.settings.1.wait_timeout.as_millis() as u64 + 5 * super::STEP_MS;
                assert!(waited <= allowed, "forgotten for {waited} ms");
            }
        }
        assert_eq!(self.pool.counts().waiting, waiting);
        assert!(waiting <= self.settings.1.waiters_max as usize);
    }

    /// What is said of a standby's age is never below the truth, and close to it while all nodes answer.
    fn check_freshness(&self, node: usize) {
        let (real, said) = (&self.world.nodes[node], &self.view.nodes[node]);
        let Some(primary) = self.view.primary else { return };
        let follows = &self.world.nodes[primary.index()];
        let (Staleness::Known(age), Some(fresh)) = (said.staleness_at(self.now()), said.fresh_as_of) else {
            return;
        };
        let unchanged = real.life == Life::Alive && !real.writable && real.timeline == said.timeline;
        if !unchanged || follows.timeline != real.timeline || self.answered_since_ms[node] == u64::MAX {
            return;
        }
        let fresh_ms = self.ms_of(fresh);
        let written = self.world.written_by(real.timeline, fresh_ms);
        assert!(written <= real.lsn, "fresher than the truth: {written} at {fresh_ms}, {real:?}, {said:?}");
        let heard_for = |index: usize| self.world.ms.saturating_sub(self.answered_since_ms[index]);
        if heard_for(node) > 4000 && heard_for(primary.index()) > 4000 {
            let known = real.lsn_at(self.world.ms.saturating_sub(STALENESS_ERROR_MS / 2));
            let truth = self.world.age_of(real.timeline, known);
            let said_ms = age.as_millis() as u64;
            assert!(said_ms <= truth + STALENESS_ERROR_MS, "{said_ms} ms said, {truth} ms true");
        }
    }

    /// After the last misfortune and some calm: everything serves, nobody waits for long.
    pub(super) fn expect_recovered(&self) {
        let view = &self.view;
        let primary = view.primary.expect("there is a primary again");
        assert_eq!(self.world.nodes[primary.index()].timeline, self.world.timeline());
        let out: Vec<_> = view.nodes.iter().filter_map(|node| node.serves_reads.err()).collect();
        assert!(out.is_empty(), "still out: {out:?}");
        let longest = self.clients.iter().filter_map(|client| match client.state {
            State::Waiting { since_ms, .. } => Some(self.world.ms - since_ms),
            State::Resting { .. } | State::Working { .. } => None,
        });
        let reads = self.settings.0.reads_on_primary;
        assert!(longest.max().unwrap_or(0) < 2000, "somebody starves, reads on the primary: {reads:?}");
        let total: u64 = self.calm_reads.iter().sum();
        for node in view.nodes.iter().filter(|node| node.id != primary) {
            let served = self.calm_reads[node.id.index()];
            assert!(served * 20 > total, "{} served {served} of {total} reads", node.name);
        }
        let on_primary = self.calm_reads[primary.index()];
        assert!(on_primary == 0 || reads != ReadsOnPrimary::Never, "{on_primary} reads on the primary");
    }
}
