//! Our login to a server.
//!
//! Why a machine of its own and not a driver's: the credentials may be keys and no password, and a hostile or
//! broken server must not be able to hold a core, a lot of memory or the password.
//!
//! Invariants: each request consumes the machine; once SASL has begun, success is believed only after the server's
//! signature was right; a password in the clear leaves us only when the server asks for it first and nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::message::{ServerRequest, encode_password, encode_sasl_initial_response, encode_sasl_response};
use crate::scram::{AwaitingServerFinal, AwaitingServerFirst};
use crate::{AuthError, Entropy, KeyCache, ServerCredentials, md5_hash, md5_response};

/// A login that waits for the server's next authentication request.
pub struct ServerLogin {
    user: String,
    credentials: ServerCredentials,
    stage: Stage,
}

/// How a login to a server goes on.
#[derive(Debug)]
pub enum ServerStep {
    /// Send this complete message, then wait for the next request.
    Send(ServerLogin, Vec<u8>),
    /// Nothing to send; wait for the next request.
    Wait(ServerLogin),
    /// We are in.
    Done,
}

enum Stage {
    Begun { nonce: String },
    PasswordSent,
    ScramFirst(AwaitingServerFirst),
    ScramFinal(AwaitingServerFinal),
    ServerProved,
}

impl ServerLogin {
    /// A login as `user`, after the startup message was sent. `entropy` must be fresh.
    #[must_use]
    pub fn new(user: &str, credentials: &ServerCredentials, entropy: Entropy) -> Self {
        let stage = Stage::Begun { nonce: STANDARD.encode(entropy.nonce) };
        Self { user: user.to_owned(), credentials: credentials.clone(), stage }
    }

    /// Takes the body of the server's next message with tag `R`.
    ///
    /// May take some milliseconds when a password has to be hashed that `keys` does not hold.
    pub fn on_authentication(self, body: &[u8], keys: &KeyCache) -> Result<ServerStep, AuthError> {
        let request = ServerRequest::read(body).map_err(AuthError::ServerMalformed)?;
        let out_of_turn = AuthError::OutOfTurn(request.code());
        let Self { user, credentials, stage } = self;
        let (stage, answer) = match stage {
            Stage::Begun { nonce } => match first_answer(request, &user, &credentials, nonce)? {
                Some(next) => next,
                None => return Ok(ServerStep::Done),
            },
            Stage::PasswordSent | Stage::ServerProved => {
                return if matches!(request, ServerRequest::Ok) {
                    Ok(ServerStep::Done)
                } else {
                    Err(out_of_turn)
                };
            }
            Stage::ScramFirst(_) | Stage::ScramFinal(_) if matches!(request, ServerRequest::Ok) => {
                return Err(AuthError::ServerUnproved);
            }
            Stage::ScramFirst(first) => {
                let ServerRequest::SaslContinue(text) = request else { return Err(out_of_turn) };
                let (last, answer) = first.on_server_first(text, &credentials, keys)?;
                (Stage::ScramFinal(last), encode_sasl_response(&answer))
            }
            Stage::ScramFinal(last) => {
                let ServerRequest::SaslFinal(text) = request else { return Err(out_of_turn) };
                last.on_server_final(text)?;
                return Ok(ServerStep::Wait(Self { user, credentials, stage: Stage::ServerProved }));
            }
        };
        Ok(ServerStep::Send(Self { user, credentials, stage }, answer))
    }
}

/// The answer to the first request and where it leads; `None` if the server trusts us.
fn first_answer(
    request: ServerRequest<'_>,
    user: &str,
    credentials: &ServerCredentials,
    nonce: String,
) -> Result<Option<(Stage, Vec<u8>)>, AuthError> {
    match request {
        ServerRequest::Ok => Ok(None),
        ServerRequest::Cleartext => match credentials {
            ServerCredentials::None => Err(AuthError::CredentialsMissing),
            ServerCredentials::Plain(password) => {
                Ok(Some((Stage::PasswordSent, encode_password(password.as_bytes()))))
            }
            ServerCredentials::Md5(_) | ServerCredentials::Scram(_) => Err(AuthError::CredentialsUnfit),
        },
        ServerRequest::Md5 { salt } => {
            let hash = match credentials {
                ServerCredentials::None => return Err(AuthError::CredentialsMissing),
                ServerCredentials::Plain(password) => md5_hash(user, password),
                ServerCredentials::Md5(hash) => hash.clone(),
                ServerCredentials::Scram(_) => return Err(AuthError::CredentialsUnfit),
            };
            Ok(Some((Stage::PasswordSent, encode_password(md5_response(&hash, salt).as_bytes()))))
        }
        ServerRequest::Sasl { scram_sha_256: false } => Err(AuthError::MechanismsUnsupported),
        ServerRequest::Sasl { scram_sha_256: true } => match credentials {
            ServerCredentials::None => Err(AuthError::CredentialsMissing),
            ServerCredentials::Md5(_) => Err(AuthError::CredentialsUnfit),
            ServerCredentials::Plain(_) | ServerCredentials::Scram(_) => {
                let (first, text) = AwaitingServerFirst::begin(nonce);
                Ok(Some((Stage::ScramFirst(first), encode_sasl_initial_response(&text))))
            }
        },
        ServerRequest::SaslContinue(_) | ServerRequest::SaslFinal(_) => {
            Err(AuthError::OutOfTurn(request.code()))
        }
        ServerRequest::Other(code) => Err(AuthError::MethodUnsupported(code)),
    }
}

impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits_for = match self.stage {
            Stage::Begun { .. } => "request",
            Stage::PasswordSent => "verdict",
            Stage::ScramFirst(_) => "first SCRAM message",
            Stage::ScramFinal(_) => "SCRAM signature",
            Stage::ServerProved => "AuthenticationOk",
        };
        f.debug_struct("ServerLogin").field("user", &self.user).field("waits_for", &waits_for).finish()
    }
}

#[cfg(test)]
mod tests;
