//! A session on the standby that follows one on the primary: same start-up packet, same settings.

use std::net::SocketAddr;
use std::time::Duration;

use pgweir_sandbox::SandboxError;
use pgweir_sandbox::client::{Address, Message, Wire};

use super::answer::Answer;

/// The session. It is connected when it is needed.
pub(super) struct Twin {
    standby: SocketAddr,
    startup: Vec<u8>,
    wire: Option<Wire>,
    /// The settings that it has.
    applied: Option<String>,
}

impl Twin {
    pub(super) fn new(standby: SocketAddr, startup: Vec<u8>) -> Self {
        Self { standby, startup, wire: None, applied: None }
    }

    /// What the standby answers under these settings, which are SQL.
    pub(super) fn ask(&mut self, text: &str, settings: &str) -> Result<Answer, SandboxError> {
        let answer = self.attempt(text, settings);
        // A standby ends sessions that stand in the way of its replay; it may do so before it hears the question.
        if answer.is_err() {
            self.forget();
            return self.attempt(text, settings);
        }
        answer
    }

    /// Leaves all that the session may have been left with.
    pub(super) fn forget(&mut self) {
        self.wire = None;
        self.applied = None;
    }

    fn attempt(&mut self, text: &str, settings: &str) -> Result<Answer, SandboxError> {
        if self.wire.is_none() {
            self.wire = Some(connect(self.standby, &self.startup)?);
        }
        let wire = self.wire.as_mut().expect("it was just connected");
        if self.applied.as_deref() != Some(settings) {
            self.applied = None;
            let applied = exchange(wire, settings)?;
            if let Some(error) = applied.error() {
                panic!("the standby's session cannot be set: {error}\n{settings}");
            }
            self.applied = Some(settings.to_owned());
        }
        let answer = exchange(wire, text)?;
        if answer.status != b'I' {
            self.forget();
        }
        Ok(answer)
    }
}

/// Logs in.
pub(super) fn connect(server: SocketAddr, startup: &[u8]) -> Result<Wire, SandboxError> {
    let mut wire = Wire::connect(&Address::Tcp(server))?;
    wire.set_timeout(PATIENCE)?;
    wire.send(startup)?;
    rest_of_answer(&mut wire)?;
    Ok(wire)
}

/// Asks one simple query.
pub(super) fn exchange(wire: &mut Wire, text: &str) -> Result<Answer, SandboxError> {
    wire.send(&Message::with_text(b'Q', text).encode())?;
    rest_of_answer(wire)
}

fn rest_of_answer(wire: &mut Wire) -> Result<Answer, SandboxError> {
    let mut answer = Answer::default();
    loop {
        let message = wire.recv()?;
        if message.tag == b'G' {
            wire.send(&Message::with_text(b'f', "nothing to copy").encode())?;
        }
        if answer.add(&message) {
            return Ok(answer);
        }
    }
}

/// The longest that a statement of the suite takes, many times over.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
