//! A small blocking client: start-up, the simple query protocol, and raw bytes for hostile tests.
//!
//! Why not a real driver: tests and the demo want to see exactly what went over the wire, from
//! ordinary threads, and to send what no driver would send.
//!
//! Absent: TLS, SCRAM and md5 (only trust and a plain password), the extended protocol and COPY,
//! unless the caller spells out the bytes.

mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

pub use wire::{Address, Message, Wire};

use crate::{SandboxError, ServerError};

/// A logged-in connection.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    parameters: BTreeMap<String, String>,
    backend_key_data: Vec<u8>,
    transaction_status: u8,
    notices: Vec<ServerError>,
}

/// The answer to a simple query. Of several statements, the rows of all and the tag of the last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Column names of the last statement that had any.
    pub columns: Vec<String>,
    /// The rows, as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// The command tag, such as `INSERT 0 1`.
    pub tag: String,
}

impl Client {
    /// Connects and logs in as `user` without a password.
    pub fn connect(address: &Address, user: &str, database: &str) -> Result<Self, SandboxError> {
        Self::connect_with(address, &[("user", user), ("database", database)], None)
    }

    /// Connects with any start-up parameters, giving `password` if the server asks for it in plain.
    pub fn connect_with(
        address: &Address,
        parameters: &[(&str, &str)],
        password: Option<&str>,
    ) -> Result<Self, SandboxError> {
        let mut wire = Wire::connect(address)?;
        wire.send(&wire::startup_message(parameters))?;
        let mut client = Self {
            wire,
            parameters: BTreeMap::new(),
            backend_key_data: Vec::new(),
            transaction_status: 0,
            notices: Vec::new(),
        };
        client.log_in(password)?;
        Ok(client)
    }

    /// Runs one query string. An error leaves the connection usable if the server kept it open.
    pub fn query(&mut self, sql: &str) -> Result<Reply, SandboxError> {
        self.wire.send(&Message::with_text(b'Q', sql).encode())?;
        self.reply()
    }

    /// Reads replies up to and including ReadyForQuery, or the end of the connection.
    pub fn reply(&mut self) -> Result<Reply, SandboxError> {
        let mut reply = Reply::default();
        let mut failure = None;
        loop {
            let message = match self.wire.recv() {
                // After FATAL the server hangs up: what it said counts, not that it hung up.
                Err(_) if failure.is_some() => break,
                received => received?,
            };
            match message.tag {
                b'T' => reply.columns = wire::column_names(&message.body)?,
                b'D' => reply.rows.push(wire::row(&message.body)?),
                b'C' => reply.tag = wire::Fields(&message.body).text()?,
                b'E' => failure = Some(wire::server_error(&message.body)?),
                b'Z' => {
                    self.transaction_status = *message.body.first().unwrap_or(&0);
                    break;
                }
                _ => self.note(&message)?,
            }
        }
        match failure {
            Some(error) => Err(SandboxError::Server(Box::new(error))),
            None => Ok(reply),
        }
    }

    /// A parameter that the server reported, kept up to date.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// All parameters that the server reported.
    pub fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }

    /// What a cancel request must repeat: the process number (4 bytes) and the key.
    pub fn backend_key_data(&self) -> &[u8] {
        &self.backend_key_data
    }

    /// `I`, `T` or `E`, from the last ReadyForQuery.
    pub fn transaction_status(&self) -> char {
        char::from(self.transaction_status)
    }

    /// The notices received since the last call.
    pub fn take_notices(&mut self) -> Vec<ServerError> {
        std::mem::take(&mut self.notices)
    }

    /// How long an answer may take before the connection counts as hung.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), SandboxError> {
        self.wire.set_timeout(timeout)
    }

    /// The connection itself, to send and receive whatever one likes.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Ends the connection as the system of a client that crashed does.
    pub fn reset(self) -> Result<(), SandboxError> {
        self.wire.reset()
    }

    /// Says goodbye.
    pub fn close(mut self) -> Result<(), SandboxError> {
        self.wire.send(&Message { tag: b'X', body: Vec::new() }.encode())
    }

    fn log_in(&mut self, password: Option<&str>) -> Result<(), SandboxError> {
        loop {
            let message = self.wire.recv()?;
            match message.tag {
                b'R' => self.authenticate(&message.body, password)?,
                b'K' => self.backend_key_data = message.body,
                b'E' => return Err(SandboxError::Server(Box::new(wire::server_error(&message.body)?))),
                b'Z' => {
                    self.transaction_status = *message.body.first().unwrap_or(&0);
                    return Ok(());
                }
                _ => self.note(&message)?,
            }
        }
    }

    fn authenticate(&mut self, body: &[u8], password: Option<&str>) -> Result<(), SandboxError> {
        match (wire::Fields(body).u32()?, password) {
            (AUTHENTICATION_OK, _) => Ok(()),
            (AUTHENTICATION_CLEARTEXT_PASSWORD, Some(password)) => {
                self.wire.send(&Message::with_text(b'p', password).encode())
            }
            (code, _) => Err(SandboxError::AuthenticationUnsupported { code }),
        }
    }

    /// Keeps what the server may say at any time; the rest of the protocol is not for this client.
    fn note(&mut self, message: &Message) -> Result<(), SandboxError> {
        match message.tag {
            b'S' => {
                let mut fields = wire::Fields(&message.body);
                self.parameters.insert(fields.text()?, fields.text()?);
            }
            b'N' => self.notices.push(wire::server_error(&message.body)?),
            _ => {}
        }
        Ok(())
    }
}

impl Reply {
    /// The first column of the first row; empty if there is none or it is NULL.
    pub fn value(&self) -> &str {
        self.rows.first().and_then(|row| row.first()).and_then(Option::as_deref).unwrap_or("")
    }
}

const AUTHENTICATION_OK: u32 = 0;
const AUTHENTICATION_CLEARTEXT_PASSWORD: u32 = 3;
