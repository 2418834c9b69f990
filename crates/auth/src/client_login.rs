//! A client's login, from the first request to the verdict.
//!
//! Invariant: each message consumes the machine, so there is one verdict and nothing after it; which messages are
//! exchanged depends on the method and the form of the secret, never on whether the user exists or is right.
//!
//! Absent: who decides the method and finds the secret (the shell), and how a refusal is sent.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::message::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS, password_text, sasl_initial_response};
use crate::scram::{
    AwaitingClientFinal, AwaitingClientFirst, Challenge, ITERATIONS_MAX, Verified, invented_salt,
};
use crate::{
    AuthError, AuthenticationRequest, Entropy, KeyCache, Md5Hash, Password, Rejection, ServerCredentials,
    StoredSecret, md5_hash, md5_response,
};

/// How clients have to prove themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all.
    Trust,
    /// By the password in the clear.
    Password,
    /// By an MD5 challenge; users with a SCRAM verifier do SCRAM, as in PostgreSQL.
    Md5,
    /// By SCRAM-SHA-256.
    ScramSha256,
}

/// What may tie a SCRAM proof to the TLS channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Not offered: no TLS, or a certificate without a usable hash.
    None,
    /// Offered as SCRAM-SHA-256-PLUS.
    Offered {
        /// The hash of our certificate (RFC 5929).
        tls_server_end_point: Vec<u8>,
    },
}

/// A secret of this process. It makes up salts for users without a verifier: always the same for one user.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MockKey([u8; 32]);

impl MockKey {
    /// Takes random bytes, drawn once when the process starts.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for MockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockKey(***)")
    }
}

/// A login that waits for the client's next message.
pub struct ClientLogin {
    user: String,
    stage: Stage,
}

/// How a login begins.
#[derive(Debug)]
pub enum Begun {
    /// Nothing needs to be proved.
    Admitted(Proved),
    /// The client must answer this.
    Ask(ClientLogin, AuthenticationRequest),
}

/// How a login goes on.
#[derive(Debug)]
pub enum Step {
    /// The client must answer this.
    Ask(ClientLogin, AuthenticationRequest),
    /// The client is who it claims to be.
    Admitted {
        /// What it earned.
        proved: Proved,
        /// To be sent before AuthenticationOk.
        last: Option<AuthenticationRequest>,
    },
}

/// A client that was let in.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Who it is.
    pub user: String,
    /// How we may log in to servers on its behalf.
    pub credentials: ServerCredentials,
}

enum Stage {
    Cleartext(Result<StoredSecret, Rejection>),
    Md5 { secret: Result<Md5Secret, Rejection>, salt: [u8; 4] },
    SaslChoice { challenge: Challenge, binding: ChannelBinding, nonce: String },
    SaslFirst(AwaitingClientFirst),
    SaslFinal(AwaitingClientFinal),
}

struct Md5Secret {
    hash: Md5Hash,
    credentials: ServerCredentials,
}

impl ClientLogin {
    /// Decides what to ask. A user without a secret is asked like any other, and fails at the end.
    ///
    /// `mock` must be the same for the life of the process, `entropy` fresh for each login.
    #[must_use]
    pub fn begin(
        method: Method,
        user: &str,
        secret: Option<&StoredSecret>,
        entropy: Entropy,
        mock: &MockKey,
        channel_binding: ChannelBinding,
    ) -> Begun {
        let user = user.to_owned();
        let secret =
            secret.cloned().filter(|secret| !matches!(secret, StoredSecret::Plain(p) if p.is_empty()));
        let known = secret.ok_or(Rejection::UserUnknown);
        let (stage, request) = match (method, known) {
            (Method::Trust, known) => {
                let credentials = known.map_or(ServerCredentials::None, unproved_credentials);
                return Begun::Admitted(Proved { user, credentials });
            }
            (Method::Password, known) => (Stage::Cleartext(known), AuthenticationRequest::Cleartext),
            (Method::Md5, Ok(StoredSecret::Scram(verifier))) => {
                ask_sasl(Challenge::Verifier(verifier), channel_binding, &entropy)
            }
            (Method::Md5, known) => ask_md5(&user, known, &entropy),
            (Method::ScramSha256, known) => {
                ask_sasl(challenge(&user, known, mock), channel_binding, &entropy)
            }
        };
        Begun::Ask(Self { user, stage }, request)
    }

    /// Takes the body of the client's next message with tag `p`.
    ///
    /// May take some milliseconds when a password has to be hashed that `keys` does not hold.
    pub fn on_password_message(self, body: &[u8], keys: &KeyCache) -> Result<Step, AuthError> {
        let Self { user, stage } = self;
        match stage {
            Stage::Cleartext(secret) => {
                let password = password(body)?;
                check_cleartext(&user, secret, &password, keys)?;
                Ok(admitted(user, ServerCredentials::Plain(password), None))
            }
            Stage::Md5 { secret, salt } => {
                let credentials = check_md5(body, secret, salt)?;
                Ok(admitted(user, credentials, None))
            }
            Stage::SaslChoice { challenge, binding, nonce } => {
                let (mechanism, text) = sasl_initial_response(body).map_err(AuthError::ClientMalformed)?;
                let bound = is_plus(mechanism, &binding)?;
                let first = AwaitingClientFirst { challenge, binding, bound, nonce };
                match text {
                    Some(text) => on_sasl_first(user, first, text),
                    None => {
                        let stage = Stage::SaslFirst(first);
                        Ok(Step::Ask(Self { user, stage }, AuthenticationRequest::SaslContinue(Vec::new())))
                    }
                }
            }
            Stage::SaslFirst(first) => on_sasl_first(user, first, body),
            Stage::SaslFinal(last) => {
                let Verified { last, credentials } = last.on_client_final(body, keys)?;
                Ok(admitted(user, credentials, Some(AuthenticationRequest::SaslFinal(last))))
            }
        }
    }
}

impl fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits_for = match self.stage {
            Stage::Cleartext(_) => "password",
            Stage::Md5 { .. } => "MD5 response",
            Stage::SaslChoice { .. } => "SASL mechanism",
            Stage::SaslFirst(_) => "first SCRAM message",
            Stage::SaslFinal(_) => "SCRAM proof",
        };
        f.debug_struct("ClientLogin").field("user", &self.user).field("waits_for", &waits_for).finish()
    }
}

fn ask_md5(
    user: &str,
    known: Result<StoredSecret, Rejection>,
    entropy: &Entropy,
) -> (Stage, AuthenticationRequest) {
    let secret = known.and_then(|secret| match secret {
        StoredSecret::Plain(password) => {
            Ok(Md5Secret { hash: md5_hash(user, &password), credentials: ServerCredentials::Plain(password) })
        }
        StoredSecret::Md5(hash) => {
            Ok(Md5Secret { hash: hash.clone(), credentials: ServerCredentials::Md5(hash) })
        }
        StoredSecret::Scram(_) => Err(Rejection::SecretUnfit),
    });
    let [a, b, c, d, ..] = entropy.salt;
    let salt = [a, b, c, d];
    (Stage::Md5 { secret, salt }, AuthenticationRequest::Md5 { salt })
}

fn ask_sasl(
    challenge: Challenge,
    binding: ChannelBinding,
    entropy: &Entropy,
) -> (Stage, AuthenticationRequest) {
    let mechanisms = match binding {
        ChannelBinding::None => vec![SCRAM_SHA_256],
        ChannelBinding::Offered { .. } => vec![SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
    };
    let nonce = STANDARD.encode(entropy.nonce);
    (Stage::SaslChoice { challenge, binding, nonce }, AuthenticationRequest::Sasl { mechanisms })
}

fn challenge(user: &str, known: Result<StoredSecret, Rejection>, mock: &MockKey) -> Challenge {
    let salt = || invented_salt(&mock.0, user);
    match known {
        Ok(StoredSecret::Plain(password)) => Challenge::Plain { password, salt: salt() },
        Ok(StoredSecret::Scram(verifier)) => Challenge::Verifier(verifier),
        Ok(StoredSecret::Md5(_)) => Challenge::Mock { salt: salt(), rejection: Rejection::SecretUnfit },
        Err(rejection) => Challenge::Mock { salt: salt(), rejection },
    }
}

/// What a stored secret is worth towards servers when the client proved nothing.
fn unproved_credentials(secret: StoredSecret) -> ServerCredentials {
    match secret {
        StoredSecret::Plain(password) => ServerCredentials::Plain(password),
        StoredSecret::Md5(hash) => ServerCredentials::Md5(hash),
        StoredSecret::Scram(_) => ServerCredentials::None,
    }
}

fn password(body: &[u8]) -> Result<Password, AuthError> {
    let text = password_text(body).map_err(AuthError::ClientMalformed)?;
    if text.is_empty() { Err(AuthError::EmptyPassword) } else { Ok(Password::from_bytes(text)) }
}

fn check_cleartext(
    user: &str,
    secret: Result<StoredSecret, Rejection>,
    password: &Password,
    cache: &KeyCache,
) -> Result<(), AuthError> {
    let right = match secret.map_err(AuthError::PasswordRejected)? {
        StoredSecret::Plain(stored) => stored.matches(password),
        StoredSecret::Md5(stored) => stored.digits().ct_eq(md5_hash(user, password).digits()).into(),
        StoredSecret::Scram(verifier) if verifier.iterations > ITERATIONS_MAX => {
            return Err(AuthError::PasswordRejected(Rejection::SecretUnfit));
        }
        StoredSecret::Scram(verifier) => {
            let keys = cache.look_up_or_derive(password, &verifier.salt, verifier.iterations);
            let right = keys.satisfy(&verifier);
            if right {
                cache.remember(password, &keys);
            }
            right
        }
    };
    if right { Ok(()) } else { Err(AuthError::PasswordRejected(Rejection::WrongPassword)) }
}

fn check_md5(
    body: &[u8],
    secret: Result<Md5Secret, Rejection>,
    salt: [u8; 4],
) -> Result<ServerCredentials, AuthError> {
    let response = password(body)?;
    let Md5Secret { hash, credentials } = secret.map_err(AuthError::PasswordRejected)?;
    let right: bool = md5_response(&hash, salt).as_bytes().ct_eq(response.as_bytes()).into();
    if right { Ok(credentials) } else { Err(AuthError::PasswordRejected(Rejection::WrongPassword)) }
}

fn is_plus(mechanism: &[u8], binding: &ChannelBinding) -> Result<bool, AuthError> {
    let plus = mechanism == SCRAM_SHA_256_PLUS.as_bytes();
    let offered = match binding {
        ChannelBinding::None => false,
        ChannelBinding::Offered { .. } => plus,
    };
    if offered || mechanism == SCRAM_SHA_256.as_bytes() {
        Ok(plus)
    } else {
        Err(AuthError::MechanismNotOffered)
    }
}

fn on_sasl_first(user: String, first: AwaitingClientFirst, text: &[u8]) -> Result<Step, AuthError> {
    let (last, answer) = first.on_client_first(text)?;
    let login = ClientLogin { user, stage: Stage::SaslFinal(last) };
    Ok(Step::Ask(login, AuthenticationRequest::SaslContinue(answer)))
}

fn admitted(user: String, credentials: ServerCredentials, last: Option<AuthenticationRequest>) -> Step {
    Step::Admitted { proved: Proved { user, credentials }, last }
}

#[cfg(test)]
mod tests;
