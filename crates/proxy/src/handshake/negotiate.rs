//! The first phase: what the connection is for, and whether it is encrypted.

use pgweir_wire::{CancelKey, FirstPacket, Startup, StartupError, say};
use tokio::io::AsyncWriteExt;

use super::authenticate::{Authenticating, farewell};
use super::{Gate, Request, Turned};
use crate::inbox::Inbox;
use crate::stream::Stream;
use crate::tls::Opening;

/// How the first phase ends.
pub(super) enum Outcome {
    Cancel { key: CancelKey, stream: Stream },
    Login(Authenticating),
}

pub(super) async fn negotiate(stream: Stream, gate: &Gate) -> Result<Outcome, Turned> {
    let (stream, mut offers) = accept_direct_tls(stream, gate).await?;
    let mut client = Negotiating { stream, inbox: Inbox::new() };
    loop {
        match client.first_packet().await? {
            FirstPacket::Cancel(key) => return Ok(Outcome::Cancel { key, stream: client.stream }),
            FirstPacket::Startup(startup) => {
                return client.start(startup, gate).await.map(Outcome::Login);
            }
            FirstPacket::SslRequest if offers.tls => {
                client = client.answer_ssl_request(gate).await?;
                offers = Offers { tls: false, gssenc: offers.gssenc && !client.stream.is_tls() };
            }
            FirstPacket::GssEncRequest if offers.gssenc => {
                offers.gssenc = false;
                client.refuse_gssenc().await?;
            }
            FirstPacket::SslRequest => return Err(client.turn_away(unsupported(SSL_MINOR)).await),
            FirstPacket::GssEncRequest => return Err(client.turn_away(unsupported(GSSENC_MINOR)).await),
        }
    }
}

/// Which requests for encryption may still come: each once, and none under TLS.
struct Offers {
    tls: bool,
    gssenc: bool,
}

/// PostgreSQL takes a request that comes again for a protocol version that it does not know.
fn unsupported(minor: u16) -> Turned {
    Turned::Startup(StartupError::UnsupportedProtocol { major: REQUEST_MAJOR, minor })
}

/// A client that begins with the TLS handshake itself. Looked at without taking it, since it belongs to TLS.
async fn accept_direct_tls(stream: Stream, gate: &Gate) -> Result<(Stream, Offers), Turned> {
    let Stream::Tcp(socket) = stream else { return Ok((stream, Offers { tls: true, gssenc: true })) };
    let mut first = [0];
    if socket.peek(&mut first).await.map_err(Turned::Gone)? == 0 || first[0] != TLS_HANDSHAKE {
        return Ok((Stream::Tcp(socket), Offers { tls: true, gssenc: true }));
    }
    let tls = gate.tls.as_ref().ok_or(Turned::DirectTlsRefused)?;
    let stream = tls.accept(socket, Opening::Direct).await.map_err(Turned::TlsFailed)?;
    Ok((stream, Offers { tls: false, gssenc: false }))
}

struct Negotiating {
    stream: Stream,
    inbox: Inbox,
}

impl Negotiating {
    async fn first_packet(&mut self) -> Result<FirstPacket, Turned> {
        let word = self.inbox.fill(&mut self.stream, 4).await.map_err(Turned::Gone)?;
        let word = [word[0], word[1], word[2], word[3]];
        let length = FirstPacket::length(word).map_err(Turned::Startup)?;
        let packet = self.inbox.fill(&mut self.stream, length).await.map_err(Turned::Gone)?;
        let read = FirstPacket::read(&packet[4..]);
        self.inbox.take(length);
        match read {
            Ok(packet) => Ok(packet),
            Err(error) => Err(self.turn_away(Turned::Startup(error)).await),
        }
    }

    /// Goes on under TLS where there is a certificate, and in plain text elsewhere.
    async fn answer_ssl_request(self, gate: &Gate) -> Result<Self, Turned> {
        match (&gate.tls, self.stream) {
            (Some(_), stream @ Stream::Tcp(_)) if !self.inbox.is_empty() => {
                let mut client = Self { stream, inbox: self.inbox };
                Err(client.turn_away(Turned::Unencrypted(Request::Ssl)).await)
            }
            (Some(tls), Stream::Tcp(mut socket)) => {
                socket.write_all(b"S").await.map_err(Turned::Gone)?;
                let stream = tls.accept(socket, Opening::Asked).await.map_err(Turned::TlsFailed)?;
                Ok(Self { stream, inbox: self.inbox })
            }
            (_, mut stream) => {
                stream.write_all(b"N").await.map_err(Turned::Gone)?;
                let mut client = Self { stream, inbox: self.inbox };
                if !client.inbox.is_empty() {
                    return Err(client.turn_away(Turned::Unencrypted(Request::Ssl)).await);
                }
                Ok(client)
            }
        }
    }

    async fn refuse_gssenc(&mut self) -> Result<(), Turned> {
        self.stream.write_all(b"N").await.map_err(Turned::Gone)?;
        if !self.inbox.is_empty() {
            return Err(self.turn_away(Turned::Unencrypted(Request::GssEnc)).await);
        }
        Ok(())
    }

    async fn start(mut self, startup: Startup, gate: &Gate) -> Result<Authenticating, Turned> {
        // Unix sockets are local: TLS has nothing to add to them, and PostgreSQL offers none there.
        if gate.tls_demanded && !self.stream.is_tls() && !self.stream.is_unix() {
            return Err(self.turn_away(Turned::TlsDemanded).await);
        }
        let mut unsent = Vec::with_capacity(64);
        if startup.minor > NEWEST_MINOR || !startup.unknown_options.is_empty() {
            let minor = startup.minor.min(NEWEST_MINOR);
            say::negotiate_protocol_version(&mut unsent, minor, &startup.unknown_options);
        }
        Ok(Authenticating { stream: self.stream, inbox: self.inbox, startup, unsent })
    }

    /// Tells the client why, as far as PostgreSQL would. That it may be gone by now changes nothing.
    async fn turn_away(&mut self, why: Turned) -> Turned {
        farewell(&mut self.stream, &why).await;
        why
    }
}

/// The newest minor version of protocol 3 that we speak.
const NEWEST_MINOR: u16 = 2;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Requests that are no sessions carry this in place of a protocol version's major half.
const REQUEST_MAJOR: u16 = 1234;
const SSL_MINOR: u16 = 5679;
const GSSENC_MINOR: u16 = 5680;
