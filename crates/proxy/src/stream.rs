//! One connection, whatever carries it: TCP, a Unix socket, or TLS over TCP.
//!
//! Why here: the relay polls clients and servers by one type, without a boxed trait object for each read.
//! Invariant: every TCP socket has `TCP_NODELAY` set before its first byte, because a TLS handshake or a pipelined
//! query otherwise waits for delayed acknowledgements.
//! Absent: buffers. A stream that is idle owns no memory here beyond what TLS itself keeps.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// A connection to a client or to a server.
#[derive(Debug)]
pub enum Stream {
    /// TCP in plain text.
    Tcp(TcpStream),
    /// TLS over TCP, as the side that accepted or as the side that connected.
    Tls(Box<TlsStream<TcpStream>>),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// A TCP connection that was just accepted or made.
    ///
    /// `TCP_USER_TIMEOUT` stays off: it would also cut off a server that does not read for a while, such as one
    /// whose COPY waits for a lock. A host that dies is found by keep-alive and by the monitor.
    ///
    /// # Errors
    /// The socket's options cannot be set, which means that the peer is gone.
    pub fn tcp(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_keepalive(&keepalive())?;
        Ok(Self::Tcp(socket))
    }

    /// Whether the bytes are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether this is a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Protocol version and cipher as PgBouncer's console shows them (`TLSv1.3/TLS_AES_256_GCM_SHA384`); empty
    /// without TLS.
    #[must_use]
    pub fn tls_text(&self) -> String {
        let Self::Tls(tls) = self else { return String::new() };
        let (_, session) = tls.get_ref();
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(_) | None => "TLS",
        };
        let cipher = session.negotiated_cipher_suite().and_then(|c| c.suite().as_str()).unwrap_or("unknown");
        // rustls names the suites of TLS 1.3 after its own namespace.
        format!("{version}/{}", cipher.replacen("TLS13_", "TLS_", 1))
    }
}

/// Finds a peer that vanished without a word within about two minutes.
fn keepalive() -> TcpKeepalive {
    let probes = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    probes.with_retries(KEEPALIVE_PROBES)
}

const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// The same call on whichever connection there is.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Tls($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_write(context, bytes))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, inner => inner.is_write_vectored())
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::tcp_pair;

    #[tokio::test]
    async fn a_tcp_connection_is_prompt_and_watched() {
        let (accepted, _connected) = tcp_pair().await;
        let stream = Stream::tcp(accepted).unwrap();
        let Stream::Tcp(socket) = &stream else { panic!("{stream:?}") };
        assert!(socket.nodelay().unwrap());
        let options = SockRef::from(socket);
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert!(!stream.is_tls());
        assert_eq!(stream.tls_text(), "");
    }
}
