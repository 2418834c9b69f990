//! The one timer of a client's task.
//!
//! Why one: a timer costs more than a query's share of the relay; most sessions have no deadline most of the time, and then
//! none is armed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long a client may stay in which state; `None`: for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A server that takes the session's settings, or proves that it lives.
    pub(crate) preparing: Duration,
    /// A request under way.
    pub(crate) query: Option<Duration>,
    /// A transaction left open.
    pub(crate) idle_in_transaction: Option<Duration>,
    /// Nothing at all.
    pub(crate) idle: Option<Duration>,
}

/// What a client's task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Preparing,
    Busy,
    IdleInTransaction,
    Idle,
    /// Something that has a deadline of its own.
    Elsewhere,
}

/// The timer.
#[derive(Default)]
pub(crate) struct Deadline {
    /// The state that the timer was armed for, and which turn of it.
    armed: Option<(State, u64)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Sees to it that the task wakes when `state`, which began with turn number `turn`, has lasted too long; ready when
    /// it has.
    pub(crate) fn poll(
        &mut self,
        patience: &Patience,
        state: State,
        turn: u64,
        context: &mut Context<'_>,
    ) -> Poll<State> {
        let limit = match state {
            State::Preparing => Some(patience.preparing),
            State::Busy => patience.query,
            State::IdleInTransaction => patience.idle_in_transaction,
            State::Idle => patience.idle,
            State::Elsewhere => None,
        };
        let Some(limit) = limit else {
            self.timer = None;
            self.armed = None;
            return Poll::Pending;
        };
        if self.armed != Some((state, turn)) {
            self.armed = Some((state, turn));
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(Instant::now() + limit),
                None => self.timer = Some(Box::pin(sleep(limit))),
            }
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        Poll::Ready(state)
    }
}
