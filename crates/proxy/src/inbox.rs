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

    /// What came behind the last message. A session that keeps it keeps no room that is empty.
    pub(crate) fn into_rest(mut self) -> Vec<u8> {
        self.bytes.shrink_to_fit();
        self.bytes
    }
}

/// Enough for every message of an ordinary login.
const SHORT_MESSAGES: usize = 512;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn takes_one_message_at_a_time() {
        let mut peer = &b"Q\0\0\0\x06abX\0\0\0\x04rest"[..];
        let mut inbox = Inbox::new();
        let header = inbox.header(&mut peer, 2).await.unwrap();
        assert_eq!((header.tag, inbox.body(&mut peer, header).await.unwrap()), (b'Q', b"ab".to_vec()));
        let header = inbox.header(&mut peer, 2).await.unwrap();
        assert_eq!((header.tag, inbox.body(&mut peer, header).await.unwrap()), (b'X', vec![]));
        let rest = inbox.into_rest();
        assert_eq!((rest.as_slice(), rest.capacity()), (&b"rest"[..], 4));
    }

    #[tokio::test]
    async fn makes_room_for_what_is_waited_for_and_no_more() {
        let (mut theirs, mut ours) = tokio::io::duplex(1 << 20);
        theirs.write_all(&[b'x'; 100_000]).await.unwrap();
        let mut inbox = Inbox::new();
        inbox.fill(&mut ours, 4).await.unwrap();
        assert_eq!(inbox.bytes.capacity(), SHORT_MESSAGES);
        inbox.fill(&mut ours, 10_000).await.unwrap();
        assert_eq!((inbox.bytes.len(), inbox.bytes.capacity()), (10_000, 10_000));
    }

    #[tokio::test]
    async fn a_long_message_is_refused_before_it_is_read() {
        let mut peer = &b"p\x7f\xff\xff\xff"[..];
        let mut inbox = Inbox::new();
        assert!(matches!(inbox.header(&mut peer, 10_000).await, Err(InboxError::InvalidLength)));
        assert_eq!(inbox.bytes.capacity(), SHORT_MESSAGES);
    }

    #[tokio::test]
    async fn the_end_of_a_peer_is_an_error() {
        let mut peer = &b"abc"[..];
        let error = Inbox::new().fill(&mut peer, 4).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
