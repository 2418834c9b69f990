//! Proves who a client is, and who we are to a server.
//!
//! Why its own crate: passwords, hashes and keys live here and nowhere else, so that one place keeps them out of
//! logs and one place has to be right about comparing them.
//!
//! Invariants: a login machine is consumed by every step, so no message can be answered twice or out of turn; a
//! client whose user is unknown sees the same messages as one whose password is wrong; a server is not believed
//! to be ours before its signature was verified, once SASL was begun; secrets have a blank `Debug`, are compared
//! in constant time and wiped when dropped.
//!
//! Absent: sockets, clocks, randomness (bytes of [`Entropy`] are an argument), the lookup of a user's secret in a
//! server, and the limit on the size of a message: the caller hands over whole bodies of at most 10,000 bytes.

mod client_login;
mod error;
mod key_cache;
mod md5;
mod message;
mod scram;
mod secret;
mod server_login;
mod users;

pub use client_login::{Begun, ChannelBinding, ClientLogin, Method, MockKey, Proved, Step};
pub use error::{AuthError, Blame, Flaw, Rejection};
pub use key_cache::KeyCache;
pub use md5::{Md5Hash, md5_hash, md5_response};
pub use message::AuthenticationRequest;
pub use scram::{ScramKeys, ScramVerifier};
pub use secret::{Password, ServerCredentials, StoredSecret};
pub use server_login::{ServerLogin, ServerStep};
pub use users::{Users, UsersError, UsersMistake};

/// Fresh random bytes for one login. Never use the same value twice.
#[derive(Clone)]
pub struct Entropy {
    /// Becomes our half of the SCRAM nonce.
    pub nonce: [u8; 18],
    /// Becomes the salt of an MD5 challenge.
    pub salt: [u8; 16],
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(***)")
    }
}
