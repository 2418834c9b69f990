//! What we hold about a user: a password, or one of the two things that PostgreSQL stores in its place.
//!
//! Invariant: none of these types can print its content; the one exception is [`ScramVerifier`]'s `Display`, which
//! is for the files and tables where verifiers live.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Md5Hash, ScramKeys, ScramVerifier};

/// A password in the clear. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(Vec<u8>);

impl Password {
    /// A password from a configuration.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into_bytes())
    }

    /// A password from a client, whose encoding is its own affair.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The password itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True for the password that PostgreSQL accepts from nobody.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a users file or `pg_authid.rolpassword` holds for a user.
#[derive(Clone, Debug)]
pub enum StoredSecret {
    /// The password itself.
    Plain(Password),
    /// PostgreSQL's MD5 hash of password and user name.
    Md5(Md5Hash),
    /// PostgreSQL's SCRAM-SHA-256 verifier.
    Scram(ScramVerifier),
}

impl StoredSecret {
    /// Decides by the form of `text`, as PostgreSQL does: what looks like neither hash nor verifier is a password.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(hash) = Md5Hash::parse(text) {
            return Self::Md5(hash);
        }
        match ScramVerifier::parse(text) {
            Some(verifier) => Self::Scram(verifier),
            None => Self::Plain(Password::new(text)),
        }
    }
}

/// What a client's login leaves us to log in to servers with.
#[derive(Clone, Debug)]
pub enum ServerCredentials {
    /// Nothing: only a server that trusts us lets us in.
    None,
    /// A password, which answers every method.
    Plain(Password),
    /// A hash, which answers the MD5 method for the same user name.
    Md5(Md5Hash),
    /// Keys which answer SCRAM at every server that keeps the same verifier: a primary and its standbys.
    Scram(ScramKeys),
}
