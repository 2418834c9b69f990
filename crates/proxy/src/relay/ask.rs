//! Questions of our own to a server that a session has, outside the relay's poll.

use std::time::Instant;

use pgweir_session::{AfterReplies, Session, SessionError};
use pgweir_wire::say::{self, Complaint, Severity};

use super::scratch::{empty, with_scratch};
use crate::stream::Stream;

/// Writes a question of our own and gives the session the replies until something follows from them.
pub(crate) async fn ask(
    stream: &mut Stream,
    session: &mut Session,
    question: &[u8],
) -> Result<AfterReplies, AskError> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(question).await.map_err(|_| AskError::Gone)?;
    stream.flush().await.map_err(|_| AskError::Gone)?;
    let mut input = Vec::new();
    loop {
        if stream.read_buf(&mut input).await.map_err(|_| AskError::Gone)? == 0 {
            return Err(AskError::Gone);
        }
        let took = with_scratch(|scratch| {
            let took = session.on_server(&input, &mut scratch.step(Instant::now()));
            empty(&mut scratch.to_client);
            empty(&mut scratch.to_server);
            scratch.events.clear();
            took
        });
        let took = took.map_err(AskError::Session)?;
        input.drain(..took.bytes);
        if !matches!(took.then, AfterReplies::Input) {
            return Ok(took.then);
        }
    }
}

/// Why a question of our own has no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    Gone,
    Session(SessionError),
}

/// An error of a server as the end of a client's session.
pub(crate) fn fatal(body: Vec<u8>) -> Vec<u8> {
    let fields = pgweir_wire::ErrorFields::new(&body);
    let message = fields.message();
    let sqlstate = fields.sqlstate();
    let mut frame = Vec::new();
    let complaint =
        Complaint { severity: Severity::Fatal, sqlstate: sqlstate.as_str(), message: &message, hint: None };
    say::error(&mut frame, &complaint);
    frame
}
