//! Replication connections: bytes between a client and the primary, on a server connection that nobody else ever has.
//!
//! Why beside the relay: what is said there (CopyBoth in both directions, for as long as the client lives) has no transactions
//! to share a server between, and is passed on as it comes.
//! Invariants: the server connection ends with the client's; at most [`HIGH_WATER`] bytes and one read wait for a slow reader;
//! what we say ourselves never comes into the middle of a message.
//! Absent: timeouts of sessions (a stream has pauses of any length) and standbys (a stream must not end with a promotion
//! elsewhere: it ends when the primary is another node, and the client finds the new one here).

mod frames;
mod login;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pgweir_cluster::NodeId;
use pgweir_session::PinReason;
use pgweir_sql::PinCause;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::client::{ClientEntry, Entered, PRIMARY_CHANGED};
use crate::metrics::Metrics;
use crate::server::Server;
use crate::stream::Stream;
use crate::tally::Fault;
use crate::wire::{Backlog, poll_receive};
use frames::Frames;
pub(crate) use login::log_in;

/// Why its server is held, for those who look.
const REPLICATES: PinReason = PinReason::Statement(PinCause::Replication);
/// Bytes that may wait for a slow reader.
const HIGH_WATER: usize = 128 * 1024;
/// Bytes of one read.
const READ_BYTES: usize = 32 * 1024;
/// How long a client has to take the last bytes.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// A client that replicates, and its server.
pub(crate) struct Replicating {
    client: Stream,
    server: Option<Server>,
    to_client: Direction,
    to_server: Direction,
    buffer: Box<[u8]>,
    entered: Entered,
    metrics: Arc<Metrics>,
    /// The primary as the cluster sees it.
    primary: watch::Receiver<Option<NodeId>>,
}

/// Which side brought the connection to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    PrimaryChanged,
    Server,
}

impl Replicating {
    /// Who it is, as others see it.
    pub(crate) fn entry(&self) -> Arc<ClientEntry> {
        Arc::clone(&self.entered.entry)
    }

    /// Passes bytes on until either side ends.
    pub(crate) async fn run(mut self) {
        let mut primary = self.primary.clone();
        let node = self.server.as_ref().map(|server| server.entry.node);
        let end = tokio::select! {
            end = poll_fn(|context| self.poll(context)) => end,
            _ = primary.wait_for(|now| now.is_some() && *now != node) => End::PrimaryChanged,
        };
        tracing::debug!(client = self.entered.entry.id, ?end, "a replication connection ended");
        match end {
            End::Client => {}
            // Told when this is dropped, like every end from outside.
            End::PrimaryChanged => self.entered.entry.end(PRIMARY_CHANGED),
            End::Server => self.server_ended().await,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let Some(server) = &mut self.server else { return Poll::Ready(End::Server) };
        let Self { client, to_client, to_server, buffer, .. } = self;
        if to_server.poll(client, &mut server.stream, buffer, context).is_ready() {
            return Poll::Ready(End::Client);
        }
        to_client.poll(&mut server.stream, client, buffer, context).map(|()| End::Server)
    }

    /// All that the server said is passed on. If the client did not ask it to end, something happened to it.
    async fn server_ended(&mut self) {
        if let Some(server) = self.server.take()
            && !self.to_server.frames.said_goodbye()
        {
            server.entry.cluster.on_connection_lost(server.entry.node);
            self.metrics.faults.add(Fault::ServerLost);
        }
        let _closed = tokio::time::timeout(LAST_BYTES, self.client.shutdown()).await;
    }

    fn say_farewell(&mut self) {
        let Some(farewell) = self.entered.entry.farewell() else { return };
        if !self.to_client.frames.is_between() {
            return;
        }
        let mut context = Context::from_waker(std::task::Waker::noop());
        let words = farewell.message_bytes();
        let _told = self.to_client.backlog.send(&mut self.client, &mut context, &words);
    }
}

impl Drop for Replicating {
    fn drop(&mut self) {
        self.metrics.pins.unpinned(REPLICATES);
        self.say_farewell();
        // Before the server goes: from here on no cancel request can set out for it.
        self.entered.entry.is_idle();
        if let Some(server) = self.server.take()
            && self.to_server.frames.is_between()
            && self.to_server.backlog.unsent() == 0
        {
            server.close();
        }
    }
}

/// Bytes on their way from one side to the other.
#[derive(Default)]
struct Direction {
    backlog: Backlog,
    frames: Frames,
    source: Source,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Source {
    Ended,
    #[default]
    Open,
}

impl Direction {
    /// Bytes that were read already, and are still to be passed on.
    fn with_early(to: &mut Stream, early: &[u8]) -> Self {
        let mut direction = Self::default();
        direction.frames.pass(early);
        let mut context = Context::from_waker(std::task::Waker::noop());
        // The first poll writes what the socket does not take now, and finds a dead one.
        let _sent = direction.backlog.send(to, &mut context, early);
        direction
    }

    /// Moves what can be moved now. Ready when all that will ever come was passed on, or nobody takes it any more.
    fn poll(
        &mut self,
        from: &mut Stream,
        to: &mut Stream,
        buffer: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if let Poll::Ready(Err(_)) = self.backlog.poll_send(to, context) {
                return Poll::Ready(());
            }
            match self.source {
                Source::Ended if self.backlog.unsent() == 0 => return Poll::Ready(()),
                Source::Ended => return Poll::Pending,
                Source::Open if self.backlog.unsent() >= HIGH_WATER => return Poll::Pending,
                Source::Open => {}
            }
            match poll_receive(from, context, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => self.source = Source::Ended,
                Poll::Ready(Ok(bytes)) => {
                    self.frames.pass(&buffer[..bytes]);
                    if self.backlog.send(to, context, &buffer[..bytes]).is_err() {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
