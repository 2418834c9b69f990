//! One socket with what could not be read to the end or written yet.
//!
//! Invariants: bytes leave in the order in which they were given; both buffers own memory only while something is in them.
//! Absent: waiting. Every call does what the socket allows now.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// The unread rest and the unsent bytes of one socket.
#[derive(Default)]
pub(crate) struct Backlog {
    /// Read, and not taken yet.
    pub(crate) input: Vec<u8>,
    /// Given, and not written yet.
    output: Vec<u8>,
    written: usize,
    flush: Flush,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Flush {
    #[default]
    Done,
    /// TLS holds records that the socket has not taken.
    Due,
}

impl Backlog {
    /// Nothing to write, and these bytes read already.
    pub(crate) fn with_input(input: Vec<u8>) -> Self {
        Self { input, ..Self::default() }
    }

    /// Bytes that wait to be written.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.written
    }

    /// Writes bytes, as far as the socket takes them; keeps the rest.
    pub(crate) fn send(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> io::Result<()> {
        let mut rest = bytes;
        if self.unsent() == 0 {
            while !rest.is_empty() {
                match Pin::new(&mut *stream).poll_write(context, rest) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => rest = &rest[written..],
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => break,
                }
            }
            if rest.is_empty() && stream.is_tls() {
                self.flush = Flush::Due;
                if let Poll::Ready(flushed) = Pin::new(&mut *stream).poll_flush(context) {
                    self.flush = Flush::Done;
                    flushed?;
                }
            }
        }
        if self.written >= COMPACT_AT {
            // A reader that is always a little behind must not make the buffer grow.
            self.output.drain(..self.written);
            self.written = 0;
        }
        self.output.extend_from_slice(rest);
        Ok(())
    }

    /// Writes what waits. Ready when nothing waits any more.
    pub(crate) fn poll_send(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unsent() == 0 && self.flush == Flush::Done {
            return Poll::Ready(Ok(()));
        }
        while self.unsent() > 0 {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, &self.output[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.flush = Flush::Due;
        }
        self.output = Vec::new();
        self.written = 0;
        ready!(Pin::new(&mut *stream).poll_flush(context))?;
        self.flush = Flush::Done;
        Poll::Ready(Ok(()))
    }
}

/// Written bytes that may stand in front of those that wait.
const COMPACT_AT: usize = 64 * 1024;

/// Reads once into `scratch`, which is larger than what usually comes, so that the socket is known to be drained
/// without asking it again.
pub(crate) fn poll_receive(
    stream: &mut Stream,
    context: &mut Context<'_>,
    scratch: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(scratch);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}
