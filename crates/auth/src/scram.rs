//! SCRAM-SHA-256 (RFC 5802, RFC 7677) with PostgreSQL's habits.
//!
//! Why our own: no crate gives back the ClientKey that a client's proof reveals, and that key is what logs in to
//! servers without a stored password ("pass-through").
//!
//! Manual: SASL Authentication; the habits are those of `auth-scram.c`: the user name in SCRAM is ignored, the
//! password is prepared by SASLprep or, where that fails, used as it is.

mod attributes;
mod keys;
mod prove;
mod verify;

pub use keys::{ScramKeys, ScramVerifier};
pub(crate) use prove::{AwaitingServerFinal, AwaitingServerFirst};
pub(crate) use verify::{AwaitingClientFinal, AwaitingClientFirst, Challenge, Verified};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// PostgreSQL's own count, for passwords that have no verifier yet and for users that do not exist.
pub(crate) const ITERATIONS_DEFAULT: u32 = 4096;
/// What we hash at most for a server: enough for any honest one, too little to keep a core busy.
pub(crate) const ITERATIONS_MAX: u32 = 100_000;
/// Bytes of a nonce, ours and theirs together; PostgreSQL's have 48.
const NONCE_BYTES_MAX: usize = 1024;
/// Bytes of a salt; PostgreSQL's have 16.
const SALT_BYTES_MAX: usize = 1024;

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn xor(mut left: [u8; 32], right: &[u8; 32]) -> [u8; 32] {
    for (l, r) in left.iter_mut().zip(right) {
        *l ^= r;
    }
    left
}

fn base64_of(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn bytes_of(base64: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(base64).ok()
}

/// A key, proof or signature.
fn digest_of(base64: &[u8]) -> Option<[u8; 32]> {
    bytes_of(base64)?.try_into().ok()
}

/// Printable ASCII without the comma, as the RFC has it, and not too long.
fn is_nonce(bytes: &[u8]) -> bool {
    (1..=NONCE_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b',')
}

/// What both sides sign.
fn auth_message(client_first_bare: &[u8], server_first: &[u8], client_final_without_proof: &[u8]) -> Vec<u8> {
    [client_first_bare, server_first, client_final_without_proof].join(&b',')
}

/// Salt for a user of whom no verifier says one: always the same for one user, as a stored one would be.
pub(crate) fn invented_salt(key: &[u8; 32], user: &str) -> Vec<u8> {
    hmac(key, &[user.as_bytes()])[..16].to_vec()
}

#[cfg(test)]
mod tests;
