//! The text of SCRAM messages: `letter=value` with commas between, and the header of the client's first message.
//!
//! Invariant: nothing is copied and nothing is read past the message; a value may be any bytes but a comma.

use crate::Flaw;

/// Walks the attributes of a message from left to right.
pub(super) struct Attributes<'a>(Option<&'a [u8]>);

impl<'a> Attributes<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self(Some(message))
    }

    /// The value of the next attribute, which must have this letter.
    pub(super) fn take(&mut self, letter: u8) -> Result<&'a [u8], Flaw> {
        let missing = Flaw::Attribute(char::from(letter));
        let (attribute, rest) = split_comma(self.0.ok_or(missing)?);
        self.0 = rest;
        attribute.strip_prefix(&[letter, b'=']).ok_or(missing)
    }

    /// True once every attribute was taken.
    pub(super) const fn is_done(&self) -> bool {
        self.0.is_none()
    }
}

/// The parts of a client's first message.
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: BindingFlag<'a>,
    pub(super) has_authorization_identity: bool,
    /// Flag and authorization identity with both commas: the client repeats it in its final message.
    pub(super) header: &'a [u8],
    /// What follows the header: user name, nonce, extensions.
    pub(super) bare: &'a [u8],
}

/// What the client thinks of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// It cannot.
    Unsupported,
    /// It can, and thinks that we cannot.
    Withheld,
    /// It does, in the way of this name.
    Bound(&'a [u8]),
}

impl<'a> ClientFirst<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Flaw> {
        if message.contains(&0) {
            return Err(Flaw::Nul);
        }
        let (flag, rest) = split_comma(message);
        let (identity, bare) = split_comma(rest.ok_or(Flaw::ChannelBindingFlag)?);
        let bare = bare.ok_or(Flaw::Attribute('n'))?;
        let flag = match flag {
            b"n" => BindingFlag::Unsupported,
            b"y" => BindingFlag::Withheld,
            [b'p', b'=', name @ ..] => BindingFlag::Bound(name),
            _ => return Err(Flaw::ChannelBindingFlag),
        };
        if !identity.is_empty() && !identity.starts_with(b"a=") {
            return Err(Flaw::Attribute('a'));
        }
        let header = &message[..message.len() - bare.len()];
        Ok(Self { flag, has_authorization_identity: !identity.is_empty(), header, bare })
    }
}

/// The parts of a client's final message.
pub(super) struct ClientFinal<'a> {
    pub(super) channel_binding: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) proof: &'a [u8],
    /// Everything before the proof: the part that is signed.
    pub(super) without_proof: &'a [u8],
}

impl<'a> ClientFinal<'a> {
    /// Extensions between nonce and proof are signed and otherwise ignored.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Flaw> {
        if message.contains(&0) {
            return Err(Flaw::Nul);
        }
        let mut attributes = Attributes::new(message);
        let channel_binding = attributes.take(b'c')?;
        let nonce = attributes.take(b'r')?;
        let comma = message.iter().rposition(|b| *b == b',').ok_or(Flaw::Attribute('p'))?;
        let proof = message[comma + 1..].strip_prefix(b"p=").ok_or(Flaw::Attribute('p'))?;
        Ok(Self { channel_binding, nonce, proof, without_proof: &message[..comma] })
    }
}

/// The text before the first comma, and what follows it if there is one.
pub(super) fn split_comma(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| *b == b',') {
        Some(comma) => (&text[..comma], Some(&text[comma + 1..])),
        None => (text, None),
    }
}
