//! How a session lets its server go, or lives through its loss.
//!
//! Invariant: what the session does not give back is closed.

use std::task::Context;

use pgweir_session::{AtRest, OnServerLost};

use super::{End, Relay, Scratch, Stalled};
use crate::wire::Backlog;

impl Relay {
    /// The server cannot answer and nothing was shown: its requests go to another one.
    pub(super) fn send_again(&mut self, bytes: Vec<u8>) {
        if let Some(server) = &self.server {
            server.entry.cluster.count_resent(server.entry.node);
        }
        self.drop_server();
        self.read_again(bytes);
    }

    /// Gives the server back. `is_read`: all that it said was asked for.
    pub(super) fn release(&mut self, proof: &AtRest, is_read: bool) {
        let server = self.server.take().expect("only a linked session is released");
        let state = self.session.unlink();
        self.entered.entry.is_idle();
        // Bytes behind the last reply are nothing that we asked for: the server is about to go.
        if is_read && self.to_and_from_server.unsent() == 0 {
            self.pool.give_back(server, state, proof);
        } else {
            self.pool.discard(server);
        }
        self.to_and_from_server = Backlog::default();
    }

    /// The session looks at these bytes of the client again, before any others.
    pub(super) fn read_again(&mut self, mut bytes: Vec<u8>) {
        // The end is met again behind these bytes.
        self.ending = None;
        bytes.append(&mut self.to_and_from_client.input);
        self.to_and_from_client.input = bytes;
        self.stalled = Stalled::Yes;
    }

    pub(super) fn drop_server(&mut self) {
        self.to_and_from_server = Backlog::default();
        self.entered.entry.is_idle();
        if let Some(server) = self.server.take() {
            if self.session.is_linked() {
                drop(self.session.unlink());
            }
            self.pool.discard(server);
        }
    }

    pub(super) fn server_lost(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), End> {
        let Some(server) = &self.server else { return Ok(()) };
        server.entry.cluster.on_connection_lost(server.entry.node);
        match self.session.on_server_lost() {
            OnServerLost::Unnoticed => {
                self.drop_server();
                self.go_on(context, scratch)?;
            }
            OnServerLost::SendAgain(bytes) => {
                self.send_again(bytes);
                self.go_on(context, scratch)?;
            }
            OnServerLost::Fatal(error) => {
                self.drop_server();
                return Err(End::Error(error));
            }
        }
        Ok(())
    }
}
