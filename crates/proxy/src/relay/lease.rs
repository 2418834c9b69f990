//! How a session comes by a server, and what it is told when it gets none.

use std::sync::Arc;
use std::task::Context;
use std::time::{Instant, SystemTime};

use pgweir_cluster::{Access, Demand};
use pgweir_session::{Liveness, Refusal};

use super::{End, Relay, Scratch};
use crate::pool::{Denied, Granted, Leased};
use crate::tally::{Fault, Tally};

/// What became of a wish for a server.
pub(super) enum Wish {
    Granted,
    Queued,
    Denied(Denied),
}

/// Whether a server could be taken up.
enum Taken {
    Up,
    Dead,
}

impl Relay {
    /// Gets a server for the session, if one is free.
    pub(super) fn lease(
        &mut self,
        demand: &Demand,
        now: Instant,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Wish {
        let demand = match self.aimed(*demand) {
            Ok(demand) => demand,
            Err(denied) => return Wish::Denied(denied),
        };
        if self.session.sends_again() && !self.pool.cluster.may_resend(now) {
            return Wish::Denied(Denied::NoRetry);
        }
        loop {
            match self.pool.lease(&demand, &self.last, now) {
                Leased::Now(granted) => match self.take_up(granted, now, context, scratch) {
                    Taken::Up => return Wish::Granted,
                    Taken::Dead => {}
                },
                Leased::Later(waiting) => {
                    self.entered.entry.begins_to_wait(waiting.waiter);
                    self.waiting = Some(waiting);
                    return Wish::Queued;
                }
                Leased::Never(denied) => return Wish::Denied(denied),
            }
        }
    }

    /// The demand with the node whose name the session's read asks for.
    fn aimed(&self, demand: Demand) -> Result<Demand, Denied> {
        let Some(name) = self.session.wanted_node().filter(|_| demand.access == Access::Read) else {
            return Ok(demand);
        };
        match self.pool.cluster.view().named(name) {
            Some(node) => Ok(Demand { only: Some(node), ..demand }),
            None => Err(Denied::NoSuchNode(Arc::clone(name))),
        }
    }

    /// Joins the session with a server, unless the server died while nobody used it.
    fn take_up(
        &mut self,
        granted: Granted,
        now: Instant,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Taken {
        let Granted { mut server, role, check } = granted;
        if server.is_disturbed(context) {
            server.entry.cluster.on_connection_lost(server.entry.node);
            self.pool.discard(server);
            return Taken::Dead;
        }
        let state = server.state.take().expect("an idle server has its state");
        let liveness = if check { Liveness::Ask } else { Liveness::Known };
        self.session.link(state, server.entry.node, role, liveness, &mut scratch.step(now));
        server.entry.taken_by(self.entered.entry.id, SystemTime::now());
        server.entry.waited_for(context.waker());
        self.entered.entry.has(&server.entry);
        self.last.had(server.entry.id, server.entry.node);
        self.server = Some(server);
        Taken::Up
    }

    pub(super) fn wait_is_over(
        &mut self,
        outcome: Result<Granted, Denied>,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), End> {
        let now = Instant::now();
        if let Some(waiting) = self.waiting.take() {
            let waited = now.saturating_duration_since(waiting.since);
            Tally::add_time(&self.pool.tally.wait_us, waited);
            self.metrics.waits.add(waited);
        }
        self.entered.entry.is_idle();
        match outcome {
            Ok(granted) => {
                // Should the server be dead, going on asks for another.
                let _taken = self.take_up(granted, now, context, scratch);
            }
            Err(denied) => {
                let mut input = std::mem::take(&mut self.to_and_from_client.input);
                let taken = self.refuse(&input, &denied, scratch)?;
                input.drain(..taken);
                self.to_and_from_client.input = input;
            }
        }
        self.go_on(context, scratch)?;
        self.send_both(context, scratch)
    }

    /// Tells the client that its request got no server.
    pub(super) fn refuse(
        &mut self,
        input: &[u8],
        denied: &Denied,
        scratch: &mut Scratch,
    ) -> Result<usize, End> {
        self.metrics.faults.add(fault(denied));
        let refusal = refusal(denied);
        Ok(self.session.refuse(input, &refusal, &mut scratch.step(Instant::now())))
    }
}

fn fault(denied: &Denied) -> Fault {
    use pgweir_cluster::Refusal as Why;
    match denied {
        Denied::Cancelled => Fault::ServerError,
        Denied::Refused(Why::QueueFull | Why::WaitedTooLong) => Fault::Waited,
        Denied::Refused(Why::NoNode | Why::NoPrimary | Why::NoStandby) => Fault::NoNode,
        Denied::NoRetry => Fault::Limit,
        Denied::NoSuchNode(_) => Fault::ClientRequest,
        Denied::Refused(Why::ServersRefuse) | Denied::Server(_) => Fault::ServerRefused,
    }
}

/// What the client is told when it gets no server.
pub(crate) fn refusal(denied: &Denied) -> Refusal {
    match denied {
        Denied::Cancelled => {
            Refusal { sqlstate: "57014", message: "canceling statement due to user request".to_owned() }
        }
        Denied::Refused(refusal) => Refusal { sqlstate: refusal.sqlstate(), message: refusal.to_string() },
        Denied::NoRetry => {
            let message = "the standby failed, and too many reads are being sent again";
            Refusal { sqlstate: "53400", message: message.to_owned() }
        }
        Denied::NoSuchNode(name) => {
            Refusal { sqlstate: "22023", message: format!("there is no node \"{name}\" in this cluster") }
        }
        Denied::Server(body) => {
            let fields = pgweir_wire::ErrorFields::new(body);
            Refusal { sqlstate: "08004", message: format!("the server refuses: {}", fields.message()) }
        }
    }
}
