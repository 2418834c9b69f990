//! The conversation from the start-up message to the first ReadyForQuery.

use pgweir_auth::{ServerLogin, ServerStep};
use pgweir_wire::body::parameter_status;
use pgweir_wire::{BackendKey, BackendTag, TransactionStatus, say};
use tokio::io::AsyncWriteExt;

use super::error::Breach;
use super::{DialError, DialTarget, Dialed};
use crate::hashing::entropy;
use crate::inbox::{Inbox, InboxError};
use crate::stream::Stream;

pub(super) async fn log_in(stream: Stream, target: &DialTarget<'_>) -> Result<Dialed, DialError> {
    let mut parameters = vec![("user", target.user), ("database", target.database)];
    parameters.extend_from_slice(target.parameters);
    let mut startup = Vec::with_capacity(128);
    say::startup(&mut startup, &parameters);
    let mut server = Talk { stream, inbox: Inbox::new(), left: LOGIN_BYTES_MAX };
    server.send(&startup).await?;
    authenticate(&mut server, target).await?;
    settle(server).await
}

async fn authenticate(server: &mut Talk, target: &DialTarget<'_>) -> Result<(), DialError> {
    let mut login = ServerLogin::new(target.user, target.credentials, entropy());
    loop {
        let (tag, body) = server.hear().await?;
        match BackendTag::from_byte(tag) {
            Some(BackendTag::Authentication) => {
                let step = target.hashing.run(move |keys| login.on_authentication(&body, keys));
                match step.await.map_err(DialError::Authentication)? {
                    ServerStep::Send(next, message) => {
                        server.send(&message).await?;
                        login = next;
                    }
                    ServerStep::Wait(next) => login = next,
                    ServerStep::Done => return Ok(()),
                }
            }
            Some(BackendTag::ErrorResponse) => return Err(DialError::refused(body)),
            Some(BackendTag::NoticeResponse) => {}
            _ => return Err(DialError::Protocol(Breach::Unexpected(tag))),
        }
    }
}

/// Collects what the server tells of itself, until it waits for a query and nothing else has come.
async fn settle(mut server: Talk) -> Result<Dialed, DialError> {
    let (mut parameters, mut key, mut ready) = (Vec::new(), None, false);
    while !ready || !server.inbox.is_empty() {
        let (tag, body) = server.hear().await?;
        let malformed = DialError::Protocol(Breach::Malformed(tag));
        match BackendTag::from_byte(tag) {
            Some(BackendTag::ParameterStatus) => {
                let (name, value) = parameter_status(&body).ok_or(malformed)?;
                parameters.push((text(name), text(value)));
            }
            Some(BackendTag::BackendKeyData) if !ready => key = Some(backend_key(&body).ok_or(malformed)?),
            Some(BackendTag::ReadyForQuery) if !ready => match body[..] {
                [status] if TransactionStatus::from_byte(status) == Some(TransactionStatus::Idle) => {
                    ready = true;
                }
                [_] => return Err(DialError::Protocol(Breach::NotIdle)),
                _ => return Err(malformed),
            },
            Some(BackendTag::ErrorResponse) => return Err(DialError::refused(body)),
            Some(BackendTag::NoticeResponse) => {}
            _ => return Err(DialError::Protocol(Breach::Unexpected(tag))),
        }
    }
    Ok(Dialed { stream: server.stream, parameters, key })
}

/// Settings that are reported are ASCII, save `application_name`, which is ours.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn backend_key(body: &[u8]) -> Option<BackendKey> {
    let (process_id, secret) = body.split_first_chunk::<4>()?;
    let fits = (4..=256).contains(&secret.len());
    fits.then(|| BackendKey { process_id: u32::from_be_bytes(*process_id), secret: secret.to_vec() })
}

/// A server that is talked to, and how much more it may say.
struct Talk {
    stream: Stream,
    inbox: Inbox,
    left: usize,
}

impl Talk {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), DialError> {
        self.stream.write_all(bytes).await.map_err(DialError::Unreachable)?;
        self.stream.flush().await.map_err(DialError::Unreachable)
    }

    async fn hear(&mut self) -> Result<(u8, Vec<u8>), DialError> {
        let header = self.inbox.header(&mut self.stream, MESSAGE_BYTES_MAX).await.map_err(dial_error)?;
        self.left = match self.left.checked_sub(header.total()) {
            Some(left) => left,
            None => return Err(DialError::Protocol(Breach::TooMuch)),
        };
        let body = self.inbox.body(&mut self.stream, header).await.map_err(dial_error)?;
        Ok((header.tag, body))
    }
}

fn dial_error(error: InboxError) -> DialError {
    match error {
        InboxError::Gone(error) => DialError::Unreachable(error),
        InboxError::InvalidLength => DialError::Protocol(Breach::InvalidLength),
    }
}

/// The longest message taken from a server during a login.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The most taken from a server during a login altogether.
const LOGIN_BYTES_MAX: usize = 1 << 20;
