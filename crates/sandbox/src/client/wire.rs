//! The byte stream to a server, cut into messages, and the fields inside them.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use socket2::SockRef;

use crate::{SandboxError, ServerError};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A connection on which any bytes may be sent. Reads time out, so no test hangs on a silent server.
pub struct Wire {
    stream: Box<dyn Stream>,
}

/// One message of a server, or one for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The type byte.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

trait Stream: Read + Write + Send {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()>;
    fn shut_down_sending(&self) -> std::io::Result<()>;
    fn discard_unsent(&self) -> std::io::Result<()>;
}

impl Wire {
    /// Connects and sends nothing yet.
    pub fn connect(address: &Address) -> Result<Self, SandboxError> {
        let doing = || format!("connecting to {address}");
        let stream: Box<dyn Stream> = match address {
            Address::Tcp(address) => {
                let stream =
                    TcpStream::connect_timeout(address, TIMEOUT).map_err(SandboxError::io(doing()))?;
                stream.set_nodelay(true).map_err(SandboxError::io(doing()))?;
                Box::new(stream)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).map_err(SandboxError::io(doing()))?),
        };
        let mut wire = Self { stream };
        wire.set_timeout(TIMEOUT)?;
        Ok(wire)
    }

    /// The server's end of a connection that a client made.
    pub fn accepted(stream: TcpStream) -> Result<Self, SandboxError> {
        stream.set_nodelay(true).map_err(SandboxError::io("accepting a connection"))?;
        Ok(Self { stream: Box::new(stream) })
    }

    /// Receives a start-up packet, which has no type byte, with its length.
    pub fn recv_startup(&mut self) -> Result<Vec<u8>, SandboxError> {
        let mut packet = vec![0; 4];
        self.read_exact(&mut packet)?;
        let length = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]) as usize;
        if !(8..=MESSAGE_LENGTH_MAX).contains(&length) {
            return Err(SandboxError::Malformed { what: "a start-up packet's length" });
        }
        packet.resize(length, 0);
        self.read_exact(&mut packet[4..])?;
        Ok(packet)
    }

    /// Sends these bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SandboxError> {
        self.stream.write_all(bytes).map_err(SandboxError::io("sending to the server"))
    }

    /// Receives one message.
    pub fn recv(&mut self) -> Result<Message, SandboxError> {
        let mut header = [0; 5];
        self.read_exact(&mut header)?;
        let [tag, length @ ..] = header;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=MESSAGE_LENGTH_MAX).contains(&length) {
            return Err(SandboxError::Malformed { what: "a message's length" });
        }
        let mut body = vec![0; length - 4];
        self.read_exact(&mut body)?;
        Ok(Message { tag, body })
    }

    /// Receives one byte, such as the answer to an SSLRequest.
    pub fn recv_byte(&mut self) -> Result<u8, SandboxError> {
        let mut byte = [0];
        self.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// Receives everything up to the end of the connection, be it orderly or a reset.
    pub fn recv_to_end(&mut self) -> Result<Vec<u8>, SandboxError> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                Err(SandboxError::io("receiving from the server")(error))
            }
            _ => Ok(bytes),
        }
    }

    /// Ends our direction and leaves the other open.
    pub fn shut_down_sending(&mut self) -> Result<(), SandboxError> {
        self.stream.shut_down_sending().map_err(SandboxError::io("shutting down"))
    }

    /// Ends the connection by a reset (RST) instead of in order.
    pub fn reset(self) -> Result<(), SandboxError> {
        self.stream.discard_unsent().map_err(SandboxError::io("resetting a connection"))
    }

    /// How long a read may take.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), SandboxError> {
        self.stream.set_read_timeout(Some(timeout)).map_err(SandboxError::io("setting a timeout"))
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), SandboxError> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => SandboxError::ConnectionClosed,
            _ => SandboxError::io("receiving from the server")(error),
        })
    }
}

impl Message {
    /// A message whose body is one zero-terminated text.
    pub fn with_text(tag: u8, text: &str) -> Self {
        Self { tag, body: [text.as_bytes(), b"\0"].concat() }
    }

    /// Its bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len() + 4).expect("tests send less than 4 GB");
        [&[self.tag][..], &length.to_be_bytes(), &self.body].concat()
    }
}

/// A start-up message of protocol 3.0 with these parameters.
pub(super) fn startup_message(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).expect("start-up parameters are short");
    [&length.to_be_bytes()[..], &body].concat()
}

/// Reads the fields of a message one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn u32(&mut self) -> Result<u32, SandboxError> {
        let bytes = self.bytes(4)?.try_into().expect("these are four bytes");
        Ok(u32::from_be_bytes(bytes))
    }

    pub(super) fn text(&mut self) -> Result<String, SandboxError> {
        let end = self.0.iter().position(|&byte| byte == 0);
        let end = end.ok_or(SandboxError::Malformed { what: "an unterminated text" })?;
        let text = self.bytes(end + 1)?;
        Ok(String::from_utf8_lossy(&text[..end]).into_owned())
    }

    fn u16(&mut self) -> Result<u16, SandboxError> {
        let bytes = self.bytes(2)?.try_into().expect("these are two bytes");
        Ok(u16::from_be_bytes(bytes))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], SandboxError> {
        let short = SandboxError::Malformed { what: "a message that ends early" };
        let (taken, rest) = self.0.split_at_checked(count).ok_or(short)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The names in a RowDescription.
pub(super) fn column_names(body: &[u8]) -> Result<Vec<String>, SandboxError> {
    let mut fields = Fields(body);
    (0..fields.u16()?)
        .map(|_| {
            let name = fields.text()?;
            // table, column, type, size, modifier, format
            fields.bytes(4 + 2 + 4 + 2 + 4 + 2)?;
            Ok(name)
        })
        .collect()
}

/// The values of a DataRow.
pub(super) fn row(body: &[u8]) -> Result<Vec<Option<String>>, SandboxError> {
    let mut fields = Fields(body);
    (0..fields.u16()?)
        .map(|_| match fields.u32()? {
            u32::MAX => Ok(None),
            length => Ok(Some(String::from_utf8_lossy(fields.bytes(length as usize)?).into_owned())),
        })
        .collect()
}

/// An ErrorResponse or NoticeResponse.
pub(super) fn server_error(body: &[u8]) -> Result<ServerError, SandboxError> {
    let mut fields = Fields(body);
    let mut error = ServerError {
        severity: String::new(),
        sqlstate: String::new(),
        message: String::new(),
        detail: None,
        hint: None,
    };
    loop {
        match fields.bytes(1)?[0] {
            0 => return Ok(error),
            b'S' => error.severity = fields.text()?,
            b'C' => error.sqlstate = fields.text()?,
            b'M' => error.message = fields.text()?,
            b'D' => error.detail = Some(fields.text()?),
            b'H' => error.hint = Some(fields.text()?),
            _ => drop(fields.text()?),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Stream for TcpStream {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }
    fn shut_down_sending(&self) -> std::io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
    fn discard_unsent(&self) -> std::io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

impl Stream for UnixStream {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }
    fn shut_down_sending(&self) -> std::io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
    fn discard_unsent(&self) -> std::io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

const PROTOCOL_3_0: u32 = 3 << 16;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Nothing that the sandbox asks for is longer.
const MESSAGE_LENGTH_MAX: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_end_early_or_lie_are_errors() {
        let good = b"\0\x02\0\0\0\x02hi\xff\xff\xff\xff";
        assert_eq!(row(good).unwrap(), [Some("hi".to_owned()), None]);
        for length in 0..good.len() {
            assert!(row(&good[..length]).is_err(), "{length} bytes");
        }
        assert!(row(b"\0\x01\x7f\xff\xff\xffx").is_err(), "a value longer than its message");
        assert!(column_names(b"\0\x01name\0").is_err());
        assert!(server_error(b"Stext without an end").is_err());
        assert!(server_error(b"SERROR\0C42601\0").is_err(), "no final zero");
    }
}
