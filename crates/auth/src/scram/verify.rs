//! Our side of SCRAM towards a client: asks for a proof and verifies it.
//!
//! Invariant: a challenge that cannot be met (no such user) does the same work and sends the same messages up to
//! the verdict. Reading a message never depends on the secret.

use subtle::ConstantTimeEq;

use super::attributes::{Attributes, BindingFlag, ClientFinal, ClientFirst};
use super::{ITERATIONS_DEFAULT, ScramKeys, ScramVerifier, auth_message, base64_of, digest_of, is_nonce};
use crate::{AuthError, ChannelBinding, Flaw, KeyCache, Password, Rejection, ServerCredentials};

/// What the client's proof is measured against.
pub(crate) enum Challenge {
    /// The stored verifier.
    Verifier(ScramVerifier),
    /// A stored password; its keys are derived only once a proof has come, since they cost a millisecond.
    Plain { password: Password, salt: Vec<u8> },
    /// Nothing: the client fails at the end.
    Mock { salt: Vec<u8>, rejection: Rejection },
}

impl Challenge {
    fn salt(&self) -> &[u8] {
        match self {
            Self::Verifier(verifier) => &verifier.salt,
            Self::Plain { salt, .. } | Self::Mock { salt, .. } => salt,
        }
    }

    const fn iterations(&self) -> u32 {
        match self {
            Self::Verifier(verifier) => verifier.iterations,
            Self::Plain { .. } | Self::Mock { .. } => ITERATIONS_DEFAULT,
        }
    }

    /// What `proof` of `signed` earns: the server's signature and the credentials.
    fn judge(self, signed: &[u8], proof: [u8; 32], keys: &KeyCache) -> Result<Verified, AuthError> {
        let (verifier, password) = match self {
            Self::Verifier(verifier) => (verifier, Ok(None)),
            Self::Plain { password, salt } => {
                (keys.derive(&password, &salt, ITERATIONS_DEFAULT).verifier(), Ok(Some(password)))
            }
            Self::Mock { salt, rejection } => (ScramVerifier::unmeetable(salt), Err(rejection)),
        };
        let proved = ScramKeys::from_proof(&verifier, signed, proof);
        let password = password.map_err(AuthError::PasswordRejected)?;
        let proved = proved.ok_or(AuthError::PasswordRejected(Rejection::WrongPassword))?;
        let last = format!("v={}", base64_of(&proved.server_signature(signed))).into_bytes();
        let credentials = password.map_or(ServerCredentials::Scram(proved), ServerCredentials::Plain);
        Ok(Verified { last, credentials })
    }
}

/// A client that proved itself.
pub(crate) struct Verified {
    /// Our own proof, to be sent before the client is told that it is in.
    pub(crate) last: Vec<u8>,
    pub(crate) credentials: ServerCredentials,
}

/// A mechanism was chosen; the client's first message is to come.
pub(crate) struct AwaitingClientFirst {
    pub(crate) challenge: Challenge,
    pub(crate) binding: ChannelBinding,
    /// The client chose the mechanism with channel binding.
    pub(crate) bound: bool,
    /// Our half of the nonce, printable.
    pub(crate) nonce: String,
}

impl AwaitingClientFirst {
    /// Answers `n,,n=,r=<nonce>` with nonce, salt and iterations.
    pub(crate) fn on_client_first(self, message: &[u8]) -> Result<(AwaitingClientFinal, Vec<u8>), AuthError> {
        let first = ClientFirst::read(message).map_err(AuthError::ClientMalformed)?;
        let bound_to = bound_to(first.flag, self.bound, &self.binding)?;
        if first.has_authorization_identity {
            return Err(AuthError::AuthorizationIdentity);
        }
        if first.bare.starts_with(b"m=") {
            return Err(AuthError::ExtensionMandatory);
        }
        let client_nonce = client_nonce(first.bare).map_err(AuthError::ClientMalformed)?;

        let nonce = [client_nonce, self.nonce.as_bytes()].concat();
        let (salt, iterations) = (base64_of(self.challenge.salt()), self.challenge.iterations());
        let answer = [b"r=", nonce.as_slice(), format!(",s={salt},i={iterations}").as_bytes()].concat();
        let next = AwaitingClientFinal {
            challenge: self.challenge,
            bound: self.bound,
            channel_binding: base64_of(&[first.header, bound_to].concat()),
            client_first_bare: first.bare.to_vec(),
            server_first: answer.clone(),
            nonce,
        };
        Ok((next, answer))
    }
}

/// Salt and nonce were sent; the client's proof is to come.
pub(crate) struct AwaitingClientFinal {
    challenge: Challenge,
    bound: bool,
    /// The client's view of the channel, in base64, as its final message must repeat it.
    channel_binding: String,
    client_first_bare: Vec<u8>,
    server_first: Vec<u8>,
    nonce: Vec<u8>,
}

impl AwaitingClientFinal {
    /// Judges `c=<binding>,r=<nonce>,p=<proof>`.
    pub(crate) fn on_client_final(self, message: &[u8], keys: &KeyCache) -> Result<Verified, AuthError> {
        let last = ClientFinal::read(message).map_err(AuthError::ClientMalformed)?;
        let same_channel: bool = last.channel_binding.ct_eq(self.channel_binding.as_bytes()).into();
        if !same_channel {
            return Err(if self.bound {
                AuthError::ChannelBindingMismatch
            } else {
                AuthError::ClientMalformed(Flaw::Attribute('c'))
            });
        }
        let same_nonce: bool = last.nonce.ct_eq(&self.nonce).into();
        if !same_nonce {
            return Err(AuthError::NonceMismatch);
        }
        let proof = digest_of(last.proof).ok_or(AuthError::ClientMalformed(Flaw::Proof))?;
        let signed = auth_message(&self.client_first_bare, &self.server_first, last.without_proof);
        self.challenge.judge(&signed, proof, keys)
    }
}

/// The channel's name that the client's final message must hold beside the header; empty without binding.
fn bound_to<'a>(
    flag: BindingFlag<'_>,
    bound: bool,
    binding: &'a ChannelBinding,
) -> Result<&'a [u8], AuthError> {
    match (flag, bound, binding) {
        (BindingFlag::Unsupported, false, _) => Ok(b""),
        (BindingFlag::Withheld, false, ChannelBinding::None) => Ok(b""),
        (BindingFlag::Withheld, false, ChannelBinding::Offered { .. }) => {
            Err(AuthError::ChannelBindingWithheld)
        }
        (
            BindingFlag::Bound(b"tls-server-end-point"),
            true,
            ChannelBinding::Offered { tls_server_end_point },
        ) => Ok(tls_server_end_point),
        (BindingFlag::Bound(_), true, ChannelBinding::Offered { .. }) => {
            Err(AuthError::ChannelBindingUnknown)
        }
        (BindingFlag::Bound(_), false, _)
        | (BindingFlag::Unsupported | BindingFlag::Withheld, true, _)
        | (BindingFlag::Bound(_), true, ChannelBinding::None) => {
            Err(AuthError::ClientMalformed(Flaw::ChannelBindingMechanism))
        }
    }
}

/// The user name is read and ignored: the startup message has said who it is.
fn client_nonce(bare: &[u8]) -> Result<&[u8], Flaw> {
    let mut attributes = Attributes::new(bare);
    attributes.take(b'n')?;
    let nonce = attributes.take(b'r')?;
    if is_nonce(nonce) { Ok(nonce) } else { Err(Flaw::Nonce) }
}
