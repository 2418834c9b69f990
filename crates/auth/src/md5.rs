//! PostgreSQL's MD5 passwords: the stored hash, and the answer to a salted challenge.
//!
//! Why still: many clusters keep such secrets, and whoever has the hash can log in with it, so it is treated as a
//! password. Manual: Password Authentication; Frontend/Backend Protocol, "AuthenticationMD5Password".

use std::fmt;

use md5::{Digest, Md5};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Password;

/// A stored MD5 secret, without its leading `md5`: the hexadecimal MD5 of password and user name.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Md5Hash([u8; 32]);

impl Md5Hash {
    /// Reads `md5` and 32 lower-case hexadecimal digits, the only form that PostgreSQL takes for a hash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.strip_prefix("md5")?.as_bytes().try_into().ok()?;
        digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }

    pub(crate) const fn digits(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The hash that PostgreSQL stores for `password` of `user`.
#[must_use]
pub fn md5_hash(user: &str, password: &Password) -> Md5Hash {
    Md5Hash(hex_md5(&[password.as_bytes(), user.as_bytes()]))
}

/// What a client answers to a challenge with `salt`: `md5` and 32 hexadecimal digits.
#[must_use]
pub fn md5_response(hash: &Md5Hash, salt: [u8; 4]) -> String {
    let digits = hex_md5(&[&hash.0, &salt]);
    let mut response = String::with_capacity(35);
    response.push_str("md5");
    response.extend(digits.iter().map(|digit| char::from(*digit)));
    response
}

fn hex_md5(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    digits
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::md5_hash as oracle;

    use super::*;

    #[test]
    fn hashes_as_postgresql_does() {
        // Made by PostgreSQL 15: CREATE ROLE bob PASSWORD 'xyzzy' with password_encryption = md5.
        let stored = Md5Hash::parse("md5eed8c46efdca56659fe9ac61c18383e1").unwrap();
        assert_eq!(stored.digits(), md5_hash("bob", &Password::new("xyzzy")).digits());
        let hash = md5_hash("alice", &Password::new("xyzzy"));
        for salt in [[0; 4], [1, 2, 3, 4], [255; 4]] {
            assert_eq!(md5_response(&hash, salt), oracle(b"alice", b"xyzzy", salt));
        }
    }

    #[test]
    fn takes_only_postgresqls_form_for_a_hash() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(Md5Hash::parse(&format!("md5{digits}")).is_some());
        for text in [digits.to_owned(), format!("md5{}", digits.to_uppercase()), format!("md5{digits}0")] {
            assert!(Md5Hash::parse(&text).is_none(), "{text}");
        }
    }
}
