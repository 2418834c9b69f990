//! Where the messages of a stream begin and end, without keeping any of it.

use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{FrontendTag, Header};

/// How far into its messages a stream has come.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// This many bytes of the next header have come.
    Header(usize),
    /// This many bytes of the message are still to come.
    Body(usize),
    /// No message has such a length: what follows means nothing to us.
    Lost,
}

impl Default for Place {
    fn default() -> Self {
        Self::Header(0)
    }
}

impl Frames {
    /// These bytes went by.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match self.place {
                Place::Lost => return,
                Place::Body(left) => {
                    let taken = left.min(bytes.len());
                    self.place = if taken == left { Place::Header(0) } else { Place::Body(left - taken) };
                    taken
                }
                Place::Header(have) => self.pass_header(have, bytes),
            };
            bytes = &bytes[taken..];
        }
    }

    fn pass_header(&mut self, have: usize, bytes: &[u8]) -> usize {
        let taken = (HEADER_BYTES - have).min(bytes.len());
        self.header[have..have + taken].copy_from_slice(&bytes[..taken]);
        self.place = if have + taken < HEADER_BYTES {
            Place::Header(have + taken)
        } else {
            match Header::read(&self.header) {
                Ok(Some(Header { body: 0, .. })) => Place::Header(0),
                Ok(Some(header)) => Place::Body(header.body),
                Ok(None) | Err(_) => Place::Lost,
            }
        };
        taken
    }

    /// Whether a message of our own may follow here.
    pub(super) fn is_between(&self) -> bool {
        self.place == Place::Header(0)
    }

    /// Whether the last message was a client's good-bye.
    pub(super) fn said_goodbye(&self) -> bool {
        self.is_between() && FrontendTag::from_byte(self.header[0]) == Some(FrontendTag::Terminate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let stream = b"d\0\0\0\x08abcdS\0\0\0\x04d\0\0\0\x05xX\0\0\0\x04";
        let ends = [9, 14, 20, 25];
        for step in 1..stream.len() {
            let (mut frames, mut at) = (Frames::default(), 0);
            for part in stream.chunks(step) {
                frames.pass(part);
                at += part.len();
                assert_eq!(frames.is_between(), ends.contains(&at), "{at} in steps of {step}");
                assert_eq!(frames.said_goodbye(), at == stream.len(), "{at} in steps of {step}");
            }
        }
    }

    #[test]
    fn nothing_may_follow_what_is_no_message() {
        let mut frames = Frames::default();
        frames.pass(b"d\0\0\0\x03");
        assert!(!frames.is_between());
        frames.pass(b"X\0\0\0\x04");
        assert!(!frames.is_between() && !frames.said_goodbye());
    }
}
