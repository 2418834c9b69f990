//! Where one message ends and the next begins.
//!
//! Invariant: a header is only given for a length that PostgreSQL itself would accept, so callers may add it up.
//! Absent: reading bodies, which streams need not do at all.

use std::fmt;

/// Bytes of a type byte and a length word.
pub const HEADER_BYTES: usize = 5;

/// The largest body PostgreSQL reads from a client in one message (`MaxAllocSize - 1`).
pub const FRONTEND_BODY_MAX: usize = 0x3FFF_FFFF - 1;

/// The first five bytes of a message.
///
/// Manual: Frontend/Backend Protocol, "Messaging Overview".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type byte as it came; may be no known type.
    pub tag: u8,
    /// Bytes that follow the length word.
    pub body: usize,
}

impl Header {
    /// Bytes of the whole message.
    #[must_use]
    pub const fn total(self) -> usize {
        HEADER_BYTES + self.body
    }

    /// The header at the start of `bytes`; `None` when fewer than five bytes are there.
    ///
    /// # Errors
    /// A length below 4, which no message can have.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes([a, b, c, d]);
        match usize::try_from(length) {
            Ok(length) if length >= 4 => Ok(Some(Self { tag, body: length - 4 })),
            Ok(_) | Err(_) => Err(FrameError { tag, length }),
        }
    }
}

/// A message whose length word is below 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The type byte in front of it.
    pub tag: u8,
    /// The length word.
    pub length: i32,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid message length {} (type 0x{:02x})", self.length, self.tag)
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_header() {
        assert_eq!(Header::read(b"Q\0\0\0"), Ok(None));
        assert_eq!(Header::read(b"Q\0\0\0\x06a"), Ok(Some(Header { tag: b'Q', body: 2 })));
        assert_eq!(Header::read(b"S\0\0\0\x04").unwrap().unwrap().total(), 5);
    }

    #[test]
    fn refuses_impossible_lengths() {
        for word in [0i32, 1, 3, -1, i32::MIN] {
            let mut bytes = vec![b'Q'];
            bytes.extend_from_slice(&word.to_be_bytes());
            assert_eq!(Header::read(&bytes), Err(FrameError { tag: b'Q', length: word }));
        }
    }
}
