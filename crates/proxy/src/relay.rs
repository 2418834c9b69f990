//! One client's task: bytes between its socket and the servers that its session leases.
//!
//! Why one wait: reads, writes, leases and the end are branches of one poll, since a write awaited alone deadlocks a client
//! that pipelines (the server would be blocked writing to us while we are blocked writing to it).
//! Invariants: at most [`HIGH_WATER`] bytes wait for a slow reader before its source is not read any more; nothing that
//! matters lives only in a future that may be dropped; buffers are borrowed from the thread while a step lasts.
//! Absent: decisions. The session says what bytes mean, the pool says who gets a server.

mod ask;
mod books;
mod finish;
mod lease;
mod loss;
mod room;
mod scratch;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use pgweir_cluster::LastServers;
use pgweir_session::{AfterReplies, Next, PinReason, Pinned, Session};
use pgweir_wire::{CancelKey, TransactionStatus};

use crate::client::{ClientEntry, Clients, Entered, IDLE_IN_TRANSACTION, IDLE_TOO_LONG};
use crate::deadlines::{Deadline, Patience, State};
use crate::metrics::Metrics;
use crate::pool::{ServerPool, Waiting};
use crate::server::Server;
use crate::stream::Stream;
use crate::tally::Tally;
use crate::wire::{Backlog, poll_receive};

pub(crate) use ask::{AskError, ask, fatal};
use books::Clock;
use finish::End;
use lease::Wish;
pub(crate) use lease::refusal;
use scratch::empty;
pub(crate) use scratch::{Scratch, with_scratch};

/// Bytes that may wait for a slow reader.
const HIGH_WATER: usize = 128 * 1024;
/// Bytes of a client that are taken while it waits for a server or for replies.
const AHEAD_MAX: usize = 64 * 1024;
/// Steps of one client before others get their turn.
const STEPS_MAX: usize = 32;

/// One client with its session.
pub(crate) struct Relay {
    client: Stream,
    to_and_from_client: Backlog,
    server: Option<Box<Server>>,
    last: LastServers,
    to_and_from_server: Backlog,
    session: Session,
    pool: Arc<ServerPool>,
    entered: Entered,
    metrics: Arc<Metrics>,
    waiting: Option<Waiting>,
    /// Looked at as far as possible: no more of the client's bytes help before something else happens.
    stalled: Stalled,
    clock: Clock,
    pinned: Option<PinReason>,
    clients: Arc<Clients>,
    patience: Patience,
    deadline: Deadline,
    /// What the client and its server said, counted, and requests that began.
    turns: u64,
    requests: u64,
    /// The client says no more, or nothing that makes sense: this follows when it has heard what it is owed.
    ending: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stalled {
    No,
    Yes,
}

/// What a relay is made of.
pub(crate) struct NewRelay {
    pub(crate) client: Stream,
    /// Bytes of the client that came with its login.
    pub(crate) early: Vec<u8>,
    /// Bytes for the client that are still to be written.
    pub(crate) unsent: Vec<u8>,
    pub(crate) session: Session,
    /// The server that the session has already, in pool mode `session`.
    pub(crate) server: Option<Box<Server>>,
    pub(crate) pool: Arc<ServerPool>,
    pub(crate) entered: Entered,
    pub(crate) clients: Arc<Clients>,
    pub(crate) patience: Patience,
    pub(crate) metrics: Arc<Metrics>,
}

impl Relay {
    pub(crate) fn new(new: NewRelay) -> Self {
        let mut relay = Self {
            client: new.client,
            to_and_from_client: Backlog::with_input(new.early),
            server: new.server,
            last: LastServers::default(),
            to_and_from_server: Backlog::default(),
            session: new.session,
            pool: new.pool,
            entered: new.entered,
            metrics: new.metrics,
            waiting: None,
            stalled: Stalled::No,
            clock: Clock::default(),
            pinned: None,
            clients: new.clients,
            patience: new.patience,
            deadline: Deadline::default(),
            turns: 0,
            requests: 0,
            ending: None,
        };
        if let Some(server) = &relay.server {
            server.entry.taken_by(relay.entered.entry.id, SystemTime::now());
            relay.entered.entry.has(&server.entry);
        }
        if let Pinned::By(reason) = relay.session.pinned() {
            relay.metrics.pins.pinned(reason);
            relay.pinned = Some(reason);
            relay.entered.entry.is_pinned(relay.pinned);
        }
        let mut context = Context::from_waker(std::task::Waker::noop());
        // The first poll writes what the socket does not take now, and finds a dead one.
        let _sent = relay.to_and_from_client.send(&mut relay.client, &mut context, &new.unsent);
        relay
    }

    /// Who it is, as others see it.
    pub(crate) fn entry(&self) -> Arc<ClientEntry> {
        Arc::clone(&self.entered.entry)
    }

    /// Serves the client until its session is over.
    pub(crate) async fn run(mut self) {
        let turns = poll_fn(|context| {
            with_scratch(|scratch| {
                let polled = self.poll(context, scratch);
                debug_assert!(
                    polled.is_ready() || scratch.is_empty(),
                    "what a turn makes is sent in the same turn"
                );
                polled
            })
        });
        let end = turns.await;
        self.finish(end).await;
    }

    /// One turn: does everything that can be done without waiting.
    fn poll(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Poll<End> {
        if self.turns == 0 {
            // Bytes that came with the login.
            self.turns = 1;
            if let Err(end) = self.go_on(context, scratch) {
                return Poll::Ready(end);
            }
        }
        for _ in 0..STEPS_MAX {
            match self.turn(context, scratch) {
                Ok(Moved::Yes) => {}
                Ok(Moved::No) => match self.look_at_the_clock(context, scratch) {
                    Ok(Moved::Yes) => {}
                    Ok(Moved::No) => return Poll::Pending,
                    Err(end) => return Poll::Ready(end),
                },
                Err(end) => return Poll::Ready(end),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends what has lasted too long.
    fn look_at_the_clock(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<Moved, End> {
        let state = if self.waiting.is_some() {
            State::Elsewhere
        } else if self.session.is_preparing() {
            State::Preparing
        } else if self.session.is_busy() {
            State::Busy
        } else if self.session.status() != TransactionStatus::Idle {
            State::IdleInTransaction
        } else {
            State::Idle
        };
        // A request is one turn, in however many pieces its answer comes.
        let turn = if state == State::Busy { self.requests } else { self.turns };
        match self.deadline.poll(&self.patience, state, turn, context) {
            Poll::Pending | Poll::Ready(State::Elsewhere) => Ok(Moved::No),
            Poll::Ready(State::Preparing) => self.server_lost(context, scratch).map(|()| Moved::Yes),
            Poll::Ready(State::Busy) => {
                let (clients, key) = (Arc::clone(&self.clients), self.entered.entry.key.clone());
                let (deadline, key) =
                    (self.patience.preparing, CancelKey { process_id: key.process_id, secret: key.secret });
                tokio::spawn(async move { clients.cancel(&key, deadline).await });
                Ok(Moved::No)
            }
            Poll::Ready(State::IdleInTransaction) => Err(End::Late(IDLE_IN_TRANSACTION)),
            Poll::Ready(State::Idle) => Err(End::Late(IDLE_TOO_LONG)),
        }
    }

    fn turn(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<Moved, End> {
        let mut moved = Moved::No;
        if let Poll::Ready(Err(_)) = self.to_and_from_client.poll_send(&mut self.client, context) {
            return Err(End::ClientGone);
        }
        if let Some(server) = &mut self.server
            && let Poll::Ready(Err(_)) = self.to_and_from_server.poll_send(&mut server.stream, context)
        {
            self.server_lost(context, scratch)?;
        }
        if let Some(waiting) = &mut self.waiting
            && let Poll::Ready(outcome) = waiting.poll(context)
        {
            self.wait_is_over(outcome, context, scratch)?;
            moved = Moved::Yes;
        }
        if self.to_and_from_client.unsent() < HIGH_WATER
            && let Some(server) = &mut self.server
        {
            match poll_receive(&mut server.stream, context, &mut scratch.read) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    self.server_lost(context, scratch)?;
                    moved = Moved::Yes;
                }
                Poll::Ready(Ok(bytes)) => {
                    self.server_said(bytes, context, scratch)?;
                    moved = Moved::Yes;
                }
                Poll::Pending if server.entry.is_given_up() && self.session.can_ask_elsewhere() => {
                    self.server_lost(context, scratch)?;
                    moved = Moved::Yes;
                }
                Poll::Pending => {}
            }
        }
        if self.may_read_client() {
            match poll_receive(&mut self.client, context, &mut scratch.read) {
                Poll::Ready(Err(_)) => return Err(End::ClientGone),
                Poll::Ready(Ok(0)) => self.end_when_answered(End::ClientGone)?,
                Poll::Ready(Ok(bytes)) => {
                    self.client_said(bytes, context, scratch)?;
                    moved = Moved::Yes;
                }
                Poll::Pending => {}
            }
        }
        let over = self.ending.is_some() && !self.is_owed();
        self.ending.take_if(|_| over).map_or(Ok(moved), Err)
    }

    /// A client that is ahead of its server is read a little further, so that its leaving is seen.
    fn may_read_client(&self) -> bool {
        let ahead = self.stalled == Stalled::Yes && self.to_and_from_client.input.len() >= AHEAD_MAX;
        !ahead
            && self.ending.is_none()
            && self.to_and_from_server.unsent() < HIGH_WATER
            && self.to_and_from_client.unsent() < HIGH_WATER
    }

    fn client_said(
        &mut self,
        bytes: usize,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), End> {
        Tally::add(&self.pool.tally.received, bytes as u64);
        self.turns += 1;
        if self.to_and_from_client.input.is_empty() && self.stalled == Stalled::No {
            let read = std::mem::take(&mut scratch.read);
            let advanced = self.advance(&read[..bytes], context, scratch);
            if let Ok(taken) = advanced {
                self.to_and_from_client.input.extend_from_slice(&read[taken..bytes]);
            }
            scratch.read = read;
            return advanced.map(drop);
        }
        self.to_and_from_client.input.extend_from_slice(&scratch.read[..bytes]);
        if self.stalled == Stalled::No { self.go_on(context, scratch) } else { Ok(()) }
    }

    /// Looks again at the client's bytes that were left.
    fn go_on(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<(), End> {
        self.stalled = Stalled::No;
        let mut input = std::mem::take(&mut self.to_and_from_client.input);
        if input.is_empty() {
            return Ok(());
        }
        let taken = self.advance(&input, context, scratch)?;
        if taken == input.len() {
            return Ok(());
        }
        input.drain(..taken);
        self.to_and_from_client.input = input;
        Ok(())
    }

    /// Gives the session the client's bytes until it waits for something; answers how many are done with.
    fn advance(
        &mut self,
        input: &[u8],
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<usize, End> {
        let now = Instant::now();
        let mut at = 0;
        let end = loop {
            let took = match self.session.on_client(&input[at..], &mut scratch.step(now)) {
                Ok(took) => took,
                Err(error) => break self.end_when_answered(End::Error(error)),
            };
            at += took.bytes;
            match took.next {
                Next::Input => break Ok(()),
                Next::Replies => {
                    self.stalled = Stalled::Yes;
                    break Ok(());
                }
                Next::Goodbye => break self.end_when_answered(End::ClientGone),
                Next::Lease(demand) => match self.lease(&demand, now, context, scratch) {
                    Wish::Granted => {}
                    Wish::Queued => {
                        self.stalled = Stalled::Yes;
                        break Ok(());
                    }
                    Wish::Denied(denied) => at += self.refuse(&input[at..], &denied, scratch)?,
                },
            }
        };
        if self.clock.query.is_none() && self.session.is_busy() {
            self.clock.query = Some(now);
            self.requests += 1;
            self.clock.transaction.get_or_insert(now);
        }
        self.told(scratch);
        let sent = self.send_both(context, scratch);
        end?;
        sent.map(|()| at)
    }

    fn server_said(
        &mut self,
        bytes: usize,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), End> {
        let read = std::mem::take(&mut scratch.read);
        let outcome = if self.to_and_from_server.input.is_empty() {
            let outcome = self.answer(&read[..bytes], context, scratch);
            if let Ok(taken) = outcome
                && self.server.is_some()
            {
                self.to_and_from_server.input.extend_from_slice(&read[taken..bytes]);
            }
            outcome
        } else {
            let mut input = std::mem::take(&mut self.to_and_from_server.input);
            input.extend_from_slice(&read[..bytes]);
            let outcome = self.answer(&input, context, scratch);
            if let Ok(taken) = outcome
                && self.server.is_some()
                && taken < input.len()
            {
                input.drain(..taken);
                self.to_and_from_server.input = input;
            }
            outcome
        };
        scratch.read = read;
        outcome?;
        if self.stalled == Stalled::Yes && self.waiting.is_none() {
            self.go_on(context, scratch)?;
        }
        Ok(())
    }

    /// Gives the session the server's bytes; answers how many are done with.
    fn answer(
        &mut self,
        input: &[u8],
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<usize, End> {
        let now = Instant::now();
        self.turns += 1;
        let took = self.session.on_server(input, &mut scratch.step(now)).map_err(End::Error);
        self.told(scratch);
        let took = match took {
            Ok(took) => took,
            Err(end) => {
                let _last = self.send_both(context, scratch);
                return Err(end);
            }
        };
        if self.clock.query.is_some() && !self.session.is_busy() {
            let time = self.clock.query.take().map_or(Duration::ZERO, |began| now - began);
            Tally::add_time(&self.pool.tally.query_us, time);
            self.metrics.queries.add(time);
        }
        match took.then {
            AfterReplies::Input | AfterReplies::Prepared => {}
            AfterReplies::Release(proof) => self.release(&proof, took.bytes == input.len()),
            AfterReplies::Renewed(proof, bytes) => {
                self.release(&proof, took.bytes == input.len());
                self.read_again(bytes);
            }
            AfterReplies::SendAgain(bytes) => self.send_again(bytes),
            AfterReplies::ServerEnds => {
                let _last = self.send_both(context, scratch);
                return Err(End::ServerEnded);
            }
        }
        self.send_both(context, scratch)?;
        Ok(took.bytes)
    }

    /// Writes what the last step made, the server's share first.
    fn send_both(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<(), End> {
        if !scratch.to_server.is_empty() {
            let bytes = &scratch.to_server;
            let sent = match &mut self.server {
                Some(server) => self.to_and_from_server.send(&mut server.stream, context, bytes),
                None => Ok(()),
            };
            empty(&mut scratch.to_server);
            if sent.is_err() {
                self.server_lost(context, scratch)?;
            }
        }
        if !scratch.to_client.is_empty() {
            Tally::add(&self.pool.tally.sent, scratch.to_client.len() as u64);
            let sent = self.to_and_from_client.send(&mut self.client, context, &scratch.to_client);
            empty(&mut scratch.to_client);
            sent.map_err(|_| End::ClientGone)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    No,
    Yes,
}
