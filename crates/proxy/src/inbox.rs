//! What a peer has sent during a login, read message by message.
//!
//! Invariant: never holds more than the message that is being waited for may have; the buffer grows to a length
//! only after that length was found acceptable, so a peer cannot make it large by announcing much.
//! Absent: the relay, which reads into shared buffers instead.

use std::io;

use bytes::BufMut;
use pgweir_wire::Header;
use pgweir_wire::frame::HEADER_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that came and were not consumed yet.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

/// Why the next message cannot be read.
#[derive(Debug)]
pub(crate) enum InboxError {
    /// The peer is gone, or closed in the middle of a message.
    Gone(io::Error),
    /// A length that the message cannot have.
    InvalidLength,
}

impl Inbox {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Waits until `count` bytes are there. More may be: whatever the peer sent along, within the same buffer.
    pub(crate) async fn fill(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        count: usize,
    ) -> io::Result<&[u8]> {
        while self.bytes.len() < count {
            let room = count.max(SHORT_MESSAGES) - self.bytes.len();
            self.bytes.reserve_exact(room);
            if from.read_buf(&mut (&mut self.bytes).limit(room)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.bytes[..count])
    }

    /// The next message, of at most `body_max` bytes behind its header. It stays here until it is taken.
    pub(crate) async fn header(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        body_max: usize,
    ) -> Result<Header, InboxError> {
        let bytes = self.fill(from, HEADER_BYTES).await.map_err(InboxError::Gone)?;
        match Header::read(bytes) {
            Ok(Some(header)) if header.body <= body_max => Ok(header),
            Ok(_) | Err(_) => Err(InboxError::InvalidLength),
        }
    }

    /// The body behind `header`, which is the next message's.
    pub(crate) async fn body(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        header: Header,
    ) -> Result<Vec<u8>, InboxError> {
        let whole = self.fill(from, header.total()).await.map_err(InboxError::Gone)?;
        let body = whole[HEADER_BYTES..].to_vec();
        self.take(header.total());
        Ok(body)
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn take(&mut self, count: usize) {
        self.bytes.drain(..count);
    }

    /// What came behind the last message.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.bytes
    }
}

/// Enough for every message of an ordinary login.
const SHORT_MESSAGES: usize = 512;
