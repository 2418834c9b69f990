//! The console on a socket: reads, lets the machine answer, writes.
//!
//! Invariants: the input holds at most one incomplete message and one read; the output is written before the next
//! answer once it is large. A client that does not read stops only itself.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pgweir_proxy::report::Report;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::console::{Console, Ended, Privilege};

/// Serves one console session until it ends.
///
/// `unsent` are bytes that the client must see first (the end of its authentication); `early` are bytes that it
/// sent behind its last authentication message.
///
/// # Errors
/// The socket failed. A client that leaves or breaks the protocol is no error.
pub async fn serve<S>(
    mut stream: S,
    unsent: Vec<u8>,
    early: Vec<u8>,
    privilege: Privilege,
    report: Arc<dyn Report>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut console = Console::new(privilege, report);
    let mut input = BytesMut::from(&early[..]);
    let mut out = unsent;
    console.welcome(&mut out);
    loop {
        let ended = answer_all(&mut console, &mut input, &mut out, &mut stream).await?;
        stream.write_all(&out).await?;
        stream.flush().await?;
        if let Some(ended) = ended {
            match ended {
                Ended::Broken(error) => tracing::debug!(%error, "a console client broke the protocol"),
                Ended::Terminated => {}
            }
            return stream.shutdown().await;
        }
        out.clear();
        out.shrink_to(OUT_BYTES_KEPT);
        input.reserve(READ_BYTES);
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Answers every complete message of `input`; `Some` when the session is over.
async fn answer_all<S: AsyncWrite + Unpin>(
    console: &mut Console,
    input: &mut BytesMut,
    out: &mut Vec<u8>,
    stream: &mut S,
) -> io::Result<Option<Ended>> {
    loop {
        match console.on_client(input, out) {
            Ok(0) => return Ok(None),
            Ok(taken) => input.advance(taken),
            Err(ended) => return Ok(Some(ended)),
        }
        if out.len() > OUT_BYTES_KEPT {
            stream.write_all(out).await?;
            out.clear();
        }
    }
}

const READ_BYTES: usize = 4 * 1024;
const OUT_BYTES_KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests;
