//! The fields of an ErrorResponse or NoticeResponse, borrowed.
//!
//! Invariant: any field may be missing; a server that leaves out its SQLSTATE is tolerated, not trusted.
//! Manual: Frontend/Backend Protocol, "Error and Notice Message Fields".

use crate::SqlState;

/// A view of the body of an ErrorResponse or NoticeResponse.
#[derive(Clone, Copy)]
pub struct ErrorFields<'a> {
    body: &'a [u8],
}

impl<'a> ErrorFields<'a> {
    /// A view of `body`, which may be only the beginning of a long one.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// The field of type `code`, without its terminator.
    #[must_use]
    pub fn field(&self, code: u8) -> Option<&'a [u8]> {
        let mut rest = self.body;
        loop {
            let (&kind, after) = rest.split_first()?;
            if kind == 0 {
                return None;
            }
            let end = after.iter().position(|b| *b == 0)?;
            if kind == code {
                return Some(&after[..end]);
            }
            rest = &after[end + 1..];
        }
    }

    /// The SQLSTATE; `XX000` (internal error) where the server sent none.
    #[must_use]
    pub fn sqlstate(&self) -> SqlState {
        let code = self.field(b'C').and_then(|f| <[u8; 5]>::try_from(f).ok());
        SqlState(code.unwrap_or(*b"XX000"))
    }

    /// Whether the server ends the session with this message (severity FATAL or PANIC, untranslated).
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        let severity = self.field(b'V').or_else(|| self.field(b'S'));
        matches!(severity, Some(b"FATAL" | b"PANIC"))
    }

    /// The primary message, as far as it is UTF-8.
    #[must_use]
    pub fn message(&self) -> String {
        String::from_utf8_lossy(self.field(b'M').unwrap_or_default()).into_owned()
    }

    /// The source routine that raised it (`R`): tells errors of one SQLSTATE apart, whatever `lc_messages` is.
    #[must_use]
    pub fn routine(&self) -> Option<&'a [u8]> {
        self.field(b'R')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields() {
        let view = ErrorFields::new(b"SFEHLER\0VERROR\0C42P01\0Mrelation\0\0");
        assert_eq!(view.sqlstate().as_str(), "42P01");
        assert_eq!(view.message(), "relation");
        assert!(!view.is_fatal());
        assert_eq!(view.field(b'D'), None);
    }

    #[test]
    fn tolerates_what_is_missing() {
        for body in [&b""[..], b"\0", b"S", b"SFATAL", b"C12\0\0", b"M\0"] {
            assert_eq!(ErrorFields::new(body).sqlstate().as_str(), "XX000");
        }
        assert!(ErrorFields::new(b"SFATAL\0\0").is_fatal());
    }
}
