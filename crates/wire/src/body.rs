//! Borrowed views of the client messages that the proxy must understand.
//!
//! Why not a codec: the proxy needs two names and a text out of a message that may be a gigabyte long, and it must
//! pass on the rest byte for byte. Every view reads only a prefix and says how long that prefix is.
//!
//! Invariant: a view is made from a prefix of a body; `None` means "more bytes are needed, or the terminator is
//! missing", which the caller tells apart by whether the body is complete.

/// Parse: `name`, `text`, and the parameter types that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// The query text.
    pub text: &'a [u8],
    /// Count and object identifiers of the parameter types, as they came.
    pub types: &'a [u8],
}

impl<'a> Parse<'a> {
    /// A view of a complete Parse body.
    #[must_use]
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (name, rest) = split_text(body)?;
        let (text, types) = split_text(rest)?;
        let (count, oids) = types.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_be_bytes(*count));
        (oids.len() == count * 4).then_some(Self { name, text, types })
    }
}

/// The two names a Bind begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindNames<'a> {
    /// The portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Bytes of both names with their terminators.
    pub bytes: usize,
}

impl<'a> BindNames<'a> {
    /// A view of the beginning of a Bind body.
    #[must_use]
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (portal, rest) = split_text(body)?;
        let (statement, _) = split_text(rest)?;
        Some(Self { portal, statement, bytes: portal.len() + statement.len() + 2 })
    }
}

/// What Describe and Close point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A portal by its name.
    Portal(&'a [u8]),
    /// A statement by its name.
    Statement(&'a [u8]),
}

impl<'a> Target<'a> {
    /// A view of a complete Describe or Close body.
    #[must_use]
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = body.split_first()?;
        let (name, rest) = split_text(rest)?;
        match kind {
            b'P' if rest.is_empty() => Some(Self::Portal(name)),
            b'S' if rest.is_empty() => Some(Self::Statement(name)),
            _ => None,
        }
    }
}

/// The portal that a complete Execute body runs.
#[must_use]
pub fn executed_portal(body: &[u8]) -> Option<&[u8]> {
    let (portal, limit) = split_text(body)?;
    (limit.len() == 4).then_some(portal)
}

/// The text of a complete Query body.
#[must_use]
pub fn query_text(body: &[u8]) -> Option<&[u8]> {
    let (text, rest) = split_text(body)?;
    rest.is_empty().then_some(text)
}

/// Name and value of a complete ParameterStatus body.
#[must_use]
pub fn parameter_status(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = split_text(body)?;
    let (value, rest) = split_text(rest)?;
    rest.is_empty().then_some((name, value))
}

/// The bytes up to the first NUL, and those behind it.
#[must_use]
pub fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_bodies() {
        let parse = Parse::read(b"s1\0select $1\0\0\x01\0\0\0\x17").unwrap();
        assert_eq!((parse.name, parse.text), (&b"s1"[..], &b"select $1"[..]));
        assert_eq!(parse.types, b"\0\x01\0\0\0\x17");
        let names = BindNames::read(b"p\0s\0\0\0and more").unwrap();
        assert_eq!((names.portal, names.statement, names.bytes), (&b"p"[..], &b"s"[..], 4));
        assert_eq!(Target::read(b"Sx\0"), Some(Target::Statement(b"x")));
        assert_eq!(executed_portal(b"p\0\0\0\0\x05"), Some(&b"p"[..]));
        assert_eq!(parameter_status(b"a\0b\0"), Some((&b"a"[..], &b"b"[..])));
    }

    #[test]
    fn refuses_what_does_not_add_up() {
        for body in [&b""[..], b"s", b"s\0q", b"s\0q\0", b"s\0q\0\0\x01", b"s\0q\0\xFF\xFF", b"s\0q\0\0\0x"] {
            assert_eq!(Parse::read(body), None, "{body:?}");
        }
        for body in [&b""[..], b"S", b"Sx", b"X\0", b"Sx\0y"] {
            assert_eq!(Target::read(body), None, "{body:?}");
        }
        assert_eq!(executed_portal(b"p\0\0\0\0"), None);
        assert_eq!(query_text(b"a\0b"), None);
    }
}
