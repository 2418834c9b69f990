//! The second phase: the client proves that it is the role it names.

use pgweir_auth::{
    AuthError, AuthenticationRequest, Begun, ChannelBinding, ClientLogin, Method, Proved, Step,
};
use pgweir_wire::{FrontendTag, Startup};
use tokio::io::AsyncWriteExt;

use super::{Admitted, Gate, Turned};
use crate::hashing::entropy;
use crate::inbox::{Inbox, InboxError};
use crate::stream::Stream;

/// A client that has said who it wants to be.
pub(super) struct Authenticating {
    pub(super) stream: Stream,
    pub(super) inbox: Inbox,
    pub(super) startup: Startup,
    pub(super) unsent: Vec<u8>,
}

/// The longest message of a login, header included.
const PASSWORD_MESSAGE_MAX: usize = 10_000;

impl Authenticating {
    pub(super) async fn prove(mut self, gate: &Gate) -> Result<Admitted, Turned> {
        match self.converse(gate).await {
            Ok(proved) => {
                AuthenticationRequest::encode_ok(&mut self.unsent);
                let (stream, startup, unsent) = (self.stream, self.startup, self.unsent);
                Ok(Admitted { stream, startup, proved, unsent, early: self.inbox.into_rest() })
            }
            Err(why) => {
                farewell(&mut self.stream, &why).await;
                Err(why)
            }
        }
    }

    async fn converse(&mut self, gate: &Gate) -> Result<Proved, Turned> {
        let (user, database) = (&self.startup.user, &self.startup.database);
        let secret = match gate.method {
            Method::Trust => gate.secrets.from_file(user).cloned(),
            Method::Password | Method::Md5 | Method::ScramSha256 => gate.secrets.find(user, database).await,
        };
        let (method, mock) = (gate.method, &gate.mock);
        let begun = ClientLogin::begin(method, user, secret.as_ref(), entropy(), mock, ChannelBinding::None);
        let (mut login, mut request) = match begun {
            Begun::Admitted(proved) => return Ok(proved),
            Begun::Ask(login, request) => (login, request),
        };
        loop {
            let answer = self.ask(&request).await?;
            let step = gate.hashing.run(move |keys| login.on_password_message(&answer, keys)).await;
            match step.map_err(|error| self.unproved(error))? {
                Step::Ask(next, further) => (login, request) = (next, further),
                Step::Admitted { proved, last } => {
                    if let Some(last) = last {
                        last.encode(&mut self.unsent);
                    }
                    return Ok(proved);
                }
            }
        }
    }

    /// Sends `request` with what is unsent, and waits for the body of the answer.
    async fn ask(&mut self, request: &AuthenticationRequest) -> Result<Vec<u8>, Turned> {
        request.encode(&mut self.unsent);
        self.stream.write_all(&self.unsent).await.map_err(Turned::Gone)?;
        self.stream.flush().await.map_err(Turned::Gone)?;
        self.unsent.clear();
        // The type is judged before the length, as PostgreSQL does.
        let tag = self.inbox.fill(&mut self.stream, 1).await.map_err(Turned::Gone)?[0];
        if tag != FrontendTag::Password.byte() {
            return Err(Turned::Unexpected { tag, sasl: is_sasl(request) });
        }
        let header = self.inbox.header(&mut self.stream, PASSWORD_MESSAGE_MAX).await.map_err(turned)?;
        self.inbox.body(&mut self.stream, header).await.map_err(turned)
    }

    fn unproved(&self, error: AuthError) -> Turned {
        Turned::Authentication { user: self.startup.user.clone(), error }
    }
}

/// Tells the client why, as far as PostgreSQL would. That it may be gone by now changes nothing.
pub(super) async fn farewell(stream: &mut Stream, why: &Turned) {
    let Some(message) = why.encode() else { return };
    if stream.write_all(&message).await.is_ok() {
        // Ends TLS properly, so that the message is not taken for a truncated one.
        let _gone = stream.shutdown().await;
    }
}

fn is_sasl(request: &AuthenticationRequest) -> bool {
    match request {
        AuthenticationRequest::Cleartext | AuthenticationRequest::Md5 { .. } => false,
        AuthenticationRequest::Sasl { .. }
        | AuthenticationRequest::SaslContinue(_)
        | AuthenticationRequest::SaslFinal(_) => true,
    }
}

fn turned(error: InboxError) -> Turned {
    match error {
        InboxError::Gone(error) => Turned::Gone(error),
        InboxError::InvalidLength => Turned::InvalidLength,
    }
}
