//! Our side of SCRAM towards a server: proves that we know the secret, and has the server prove it too.
//!
//! Invariants: we answer only a nonce that continues ours and hash only a bounded number of rounds; the server's
//! signature is checked before anything it says next is believed.
//!
//! Absent: channel binding on this leg; the flag we send is `n`.

use subtle::ConstantTimeEq;

use super::attributes::Attributes;
use super::keys::is_salt;
use super::{ITERATIONS_MAX, auth_message, base64_of, bytes_of, digest_of, is_nonce};
use crate::{AuthError, Flaw, KeyCache, ScramKeys, ServerCredentials};

/// Our nonce was sent; the server's nonce, salt and iterations are to come.
pub(crate) struct AwaitingServerFirst {
    nonce: String,
    client_first_bare: String,
}

impl AwaitingServerFirst {
    /// Begins with `nonce` (printable), and gives the message to send. The server knows the user already.
    pub(crate) fn begin(nonce: String) -> (Self, Vec<u8>) {
        let client_first_bare = format!("n=,r={nonce}");
        let message = format!("n,,{client_first_bare}").into_bytes();
        (Self { nonce, client_first_bare }, message)
    }

    /// Answers `r=<nonce>,s=<salt>,i=<iterations>` with our proof.
    pub(crate) fn on_server_first(
        self,
        message: &[u8],
        credentials: &ServerCredentials,
        cache: &KeyCache,
    ) -> Result<(AwaitingServerFinal, Vec<u8>), AuthError> {
        let first = ServerFirst::read(message, &self.nonce).map_err(AuthError::ServerMalformed)?;
        let keys = first.keys(credentials, cache)?;
        // "biws" is base64 of our header, "n,,".
        let without_proof = [b"c=biws,r=", first.nonce].concat();
        let signed = auth_message(self.client_first_bare.as_bytes(), message, &without_proof);
        let proof = base64_of(&keys.proof(&signed));
        let answer = [without_proof.as_slice(), b",p=", proof.as_bytes()].concat();
        Ok((AwaitingServerFinal { signature: keys.server_signature(&signed) }, answer))
    }
}

/// Our proof was sent; the server's is to come.
pub(crate) struct AwaitingServerFinal {
    signature: [u8; 32],
}

impl AwaitingServerFinal {
    /// Checks `v=<signature>`.
    pub(crate) fn on_server_final(self, message: &[u8]) -> Result<(), AuthError> {
        let mut attributes = Attributes::new(message);
        let signature = attributes.take(b'v').map_err(AuthError::ServerMalformed)?;
        let signature = digest_of(signature).ok_or(AuthError::ServerMalformed(Flaw::Signature))?;
        let right: bool = signature.ct_eq(&self.signature).into();
        if right { Ok(()) } else { Err(AuthError::ServerSignatureWrong) }
    }
}

struct ServerFirst<'a> {
    nonce: &'a [u8],
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// Extensions are refused: PostgreSQL has none, and an unknown one may change what the proof means.
    fn read(message: &'a [u8], our_nonce: &str) -> Result<Self, Flaw> {
        let mut attributes = Attributes::new(message);
        let nonce = attributes.take(b'r')?;
        let theirs = nonce.strip_prefix(our_nonce.as_bytes()).ok_or(Flaw::Nonce)?;
        if theirs.is_empty() || !is_nonce(nonce) {
            return Err(Flaw::Nonce);
        }
        let salt = bytes_of(attributes.take(b's')?).filter(|salt| is_salt(salt)).ok_or(Flaw::Salt)?;
        let iterations = positive(attributes.take(b'i')?).ok_or(Flaw::Iterations)?;
        if attributes.is_done() { Ok(Self { nonce, salt, iterations }) } else { Err(Flaw::Length) }
    }

    fn keys(&self, credentials: &ServerCredentials, cache: &KeyCache) -> Result<ScramKeys, AuthError> {
        match credentials {
            ServerCredentials::None => Err(AuthError::CredentialsMissing),
            ServerCredentials::Md5(_) => Err(AuthError::CredentialsUnfit),
            ServerCredentials::Plain(_) if self.iterations > ITERATIONS_MAX => {
                Err(AuthError::IterationsExcessive(self.iterations))
            }
            ServerCredentials::Plain(password) => Ok(cache.derive(password, &self.salt, self.iterations)),
            ServerCredentials::Scram(keys) => {
                let same = keys.salt() == self.salt && keys.iterations() == self.iterations;
                if same { Ok(keys.clone()) } else { Err(AuthError::VerifierDiffers) }
            }
        }
    }
}

/// Digits alone: `str::parse` would take a sign.
fn positive(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    text.parse().ok().filter(|count| *count > 0)
}
