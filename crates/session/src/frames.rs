//! The messages of a segment that was seen whole.

use pgweir_wire::Header;
use pgweir_wire::frame::HEADER_BYTES;

/// Tag and body of each message.
pub(crate) struct Frames<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::read(self.0).ok()??;
        let (frame, rest) = self.0.split_at_checked(header.total())?;
        self.0 = rest;
        Some((header.tag, &frame[HEADER_BYTES..]))
    }
}
