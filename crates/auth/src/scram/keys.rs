//! What a password turns into: the keys that prove and verify it, and the verifier that PostgreSQL stores.

use std::fmt;

use hmac::Hmac;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{SALT_BYTES_MAX, base64_of, bytes_of, digest_of, hmac, xor};
use crate::Password;

/// PostgreSQL's SCRAM secret: enough to verify a password's proof, not enough to make one.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ScramVerifier {
    /// Rounds of hashing.
    pub iterations: u32,
    /// The salt, decoded.
    pub salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl ScramVerifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (work, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = work.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations: u32 = iterations.parse().ok().filter(|count| *count > 0)?;
        let salt = bytes_of(salt.as_bytes()).filter(|salt| is_salt(salt))?;
        let stored_key = digest_of(stored_key.as_bytes())?;
        let server_key = digest_of(server_key.as_bytes())?;
        Some(Self { iterations, salt, stored_key, server_key })
    }

    /// The verifier that PostgreSQL would store for `password`. Takes a millisecond for 4,096 iterations.
    #[must_use]
    pub fn derive(password: &Password, salt: &[u8], iterations: u32) -> Self {
        ScramKeys::derive(password, salt, iterations).verifier()
    }

    /// A verifier for a user of whom there is none: its keys are no hash of anything we know, so no proof meets it.
    pub(crate) fn unmeetable(salt: Vec<u8>) -> Self {
        Self { iterations: super::ITERATIONS_DEFAULT, salt, stored_key: [0; 32], server_key: [0; 32] }
    }

    pub(crate) const fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    pub(crate) const fn server_key(&self) -> &[u8; 32] {
        &self.server_key
    }
}

/// As PostgreSQL stores it. The one way to print a secret: for a users file or `ALTER ROLE`.
impl fmt::Display for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { iterations, salt, stored_key, server_key } = self;
        let (salt, stored, server) = (base64_of(salt), base64_of(stored_key), base64_of(server_key));
        write!(f, "SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Keys that prove knowledge of a password to every server which keeps its verifier, without the password.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ScramKeys {
    client_key: [u8; 32],
    server_key: [u8; 32],
    stored_key: [u8; 32],
    salt: Vec<u8>,
    iterations: u32,
}

impl ScramKeys {
    pub(crate) fn derive(password: &Password, salt: &[u8], iterations: u32) -> Self {
        let mut salted = Zeroizing::new([0; 32]);
        let prepared = prepare(password);
        pbkdf2::pbkdf2::<Hmac<Sha256>>(&prepared, salt, iterations, salted.as_mut_slice())
            .expect("HMAC takes a key of any length");
        let client_key = hmac(salted.as_slice(), &[b"Client Key"]);
        let server_key = hmac(salted.as_slice(), &[b"Server Key"]);
        let stored_key = Sha256::digest(client_key).into();
        Self { client_key, server_key, stored_key, salt: salt.to_vec(), iterations }
    }

    /// The keys that `proof` of `signed` reveals, if it is the proof that `verifier` asks for.
    pub(crate) fn from_proof(verifier: &ScramVerifier, signed: &[u8], proof: [u8; 32]) -> Option<Self> {
        let client_key = xor(proof, &hmac(verifier.stored_key(), &[signed]));
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let proved: bool = stored_key.ct_eq(verifier.stored_key()).into();
        proved.then(|| Self {
            client_key,
            server_key: *verifier.server_key(),
            stored_key,
            salt: verifier.salt.clone(),
            iterations: verifier.iterations,
        })
    }

    pub(crate) fn verifier(&self) -> ScramVerifier {
        ScramVerifier {
            iterations: self.iterations,
            salt: self.salt.clone(),
            stored_key: self.stored_key,
            server_key: self.server_key,
        }
    }

    /// True if these are the keys of the password that `verifier` was made of.
    pub(crate) fn satisfy(&self, verifier: &ScramVerifier) -> bool {
        self.stored_key.ct_eq(verifier.stored_key()).into()
    }

    /// Proves to a server that we have the client key.
    pub(crate) fn proof(&self, signed: &[u8]) -> [u8; 32] {
        xor(self.client_key, &hmac(&self.stored_key, &[signed]))
    }

    /// What a server that keeps the verifier answers to the proof.
    pub(crate) fn server_signature(&self, signed: &[u8]) -> [u8; 32] {
        hmac(&self.server_key, &[signed])
    }

    pub(crate) fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(crate) const fn iterations(&self) -> u32 {
        self.iterations
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

pub(crate) fn is_salt(salt: &[u8]) -> bool {
    (1..=SALT_BYTES_MAX).contains(&salt.len())
}

/// SASLprep (RFC 4013) where it applies; a password that is not UTF-8, or that the profile prohibits or maps to
/// nothing, is used as it is.
fn prepare(password: &Password) -> Zeroizing<Vec<u8>> {
    let raw = password.as_bytes();
    let prepared = std::str::from_utf8(raw).ok().and_then(|text| stringprep::saslprep(text).ok());
    Zeroizing::new(match prepared {
        Some(text) if !text.is_empty() => text.into_owned().into_bytes(),
        Some(_) | None => raw.to_vec(),
    })
}
