//! The end of a session: the client's last words, and what becomes of its server.
//!
//! Invariant: a server goes back only with proof of rest; whatever ends a task, a server in doubt is closed.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pgweir_session::{AfterReplies, AtTheEnd, SessionError};
use pgweir_wire::say::{self, Complaint, Severity};

use super::ask::{ask, fatal};
use super::{Relay, Stalled, with_scratch};
use crate::client::Farewell;
use crate::tally::Fault;

/// How long a client has to take the last words, or a server to answer its reset.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why a session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The client left, with or without a word.
    ClientGone,
    /// Something that the client is told.
    Error(SessionError),
    /// A deadline passed.
    Late(Farewell),
    /// The server ended its session and the client was told so.
    ServerEnded,
}

impl Relay {
    /// Ends the session, but not before the client has heard the replies to all that it said until now.
    pub(super) fn end_when_answered(&mut self, end: End) -> Result<(), End> {
        if !self.is_owed() {
            return Err(end);
        }
        self.ending = Some(end);
        Ok(())
    }

    /// Whether replies will come although the client says nothing more. A request that waits for a server is given up.
    pub(super) fn is_owed(&self) -> bool {
        self.waiting.is_none() && (self.stalled == Stalled::Yes || self.session.will_be_answered())
    }

    /// The session is over: the client gets its last words, and the server is reset or closed.
    pub(super) async fn finish(mut self, end: End) {
        match &end {
            End::ClientGone => {}
            End::Error(error) => {
                self.metrics.faults.add(match error {
                    SessionError::ServerLost => Fault::ServerLost,
                    error => match error.blame() {
                        pgweir_session::Blame::Client => Fault::ClientProtocol,
                        pgweir_session::Blame::Server => Fault::ServerProtocol,
                    },
                });
                tracing::debug!(%error, "a session ended");
                let message = error.to_string();
                let last = self.session.take_refused().map(fatal).unwrap_or_else(|| {
                    let mut last = Vec::new();
                    say::error(
                        &mut last,
                        &Complaint {
                            severity: Severity::Fatal,
                            sqlstate: error.sqlstate(),
                            message: &message,
                            hint: None,
                        },
                    );
                    last
                });
                self.say_last(&last).await;
            }
            End::Late(farewell) => {
                self.metrics.faults.add(Fault::Limit);
                // Told when this is dropped, like every end from outside.
                self.entered.entry.end(*farewell);
            }
            End::ServerEnded => self.say_last(&[]).await,
        }
        if matches!(end, End::ClientGone) {
            if self.to_and_from_client.unsent() > 0 {
                self.say_last(&[]).await;
            }
            self.let_server_go().await;
        }
        self.drop_server();
    }

    /// Writes the last words and closes, if the client takes them in time. In the middle of a message there are no last
    /// words: the client would take them for the rest of it.
    async fn say_last(&mut self, words: &[u8]) {
        let speechless = words.is_empty() || self.session.is_amid_a_reply();
        let said = poll_fn(|context| {
            if !speechless && self.to_and_from_client.send(&mut self.client, context, words).is_err() {
                return Poll::Ready(());
            }
            Poll::Ready(())
        });
        said.await;
        let flushed = poll_fn(|context| self.to_and_from_client.poll_send(&mut self.client, context));
        if let Ok(Ok(())) = tokio::time::timeout(LAST_WORDS, flushed).await {
            let _closed: Result<io::Result<()>, _> =
                tokio::time::timeout(LAST_WORDS, tokio::io::AsyncWriteExt::shutdown(&mut self.client)).await;
        }
    }

    /// A client that left between two transactions leaves a server that others can use.
    async fn let_server_go(&mut self) {
        let at_the_end = with_scratch(|scratch| {
            let verdict = self.session.at_the_end(&mut scratch.step(Instant::now()));
            (verdict, scratch.take_to_server())
        });
        let proof = match at_the_end {
            (AtTheEnd::GiveBack(proof), _) => Some(proof),
            (AtTheEnd::ResetFirst, reset) => {
                let asked = tokio::time::timeout(LAST_WORDS, self.reset(reset)).await;
                asked.ok().flatten()
            }
            (AtTheEnd::Discard | AtTheEnd::NoServer, _) => None,
        };
        if let Some(proof) = proof
            && self.to_and_from_server.unsent() == 0
            && let Some(server) = self.server.take()
        {
            let state = self.session.unlink();
            self.pool.give_back(server, state, &proof);
        }
    }

    /// Sends the reset and waits for its answer.
    async fn reset(&mut self, reset: Vec<u8>) -> Option<pgweir_session::AtRest> {
        let server = self.server.as_mut()?;
        let outcome = ask(&mut server.stream, &mut self.session, &reset).await;
        match outcome {
            Ok(AfterReplies::Release(proof)) => {
                self.session.was_reset();
                Some(proof)
            }
            Ok(_) | Err(_) => None,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(reason) = self.pinned.take() {
            self.metrics.pins.unpinned(reason);
        }
        if let Some(farewell) = self.entered.entry.farewell()
            && !self.session.is_amid_a_reply()
        {
            let mut context = Context::from_waker(std::task::Waker::noop());
            let words = farewell.message_bytes();
            let _told = self.to_and_from_client.send(&mut self.client, &mut context, &words);
        }
        // Whatever ended the task: a server in doubt is never used again.
        self.drop_server();
    }
}
