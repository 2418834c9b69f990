//! Clients that break the protocol, and clients that break off: PostgreSQL itself says what they deserve.
//!
//! Why compared: each text of bytes goes to PostgreSQL and to pgweir, and the answers must agree in everything that a
//! program can act on. Meanwhile somebody else reads and writes through pgweir and must notice nothing.

mod gone;
mod messages;
mod openings;

use std::time::Duration;

use pgweir_sandbox::client::{Address, Wire};

use crate::harness::{Clients, Site, local, with_traffic};

/// Does something bad to pgweir while an innocent client is served.
fn beside_an_innocent_client(site: &Site, act: impl FnOnce()) {
    let seen = with_traffic(site, Clients { readers: 1, writers: 1 }, |traffic| {
        act();
        traffic.wait_reads(10);
        traffic.wait_writes(10);
    });
    assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
}

/// One answer of a server as far as programs act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// An error or notice: its type, severity and SQLSTATE.
    Complaint(char, String, String),
    /// ReadyForQuery with the transaction status.
    Ready(char),
    /// Any other message.
    Message(char),
    /// Bytes that are no message.
    Rest(Vec<u8>),
}

/// Sends the bytes, ends our direction, and answers all that comes back up to the end of the connection; the first of it
/// may be single bytes.
fn converse(address: &Address, bytes: &[u8], raw_answers: usize) -> Vec<Said> {
    let mut wire = Wire::connect(address).unwrap();
    // A server that hangs up early may break the sending; what it said before counts.
    let _sent = wire.send(bytes);
    let _ended = wire.shut_down_sending();
    let answer = wire.recv_to_end().expect("the connection ends");
    let (raw, messages) = answer.split_at(raw_answers.min(answer.len()));
    let mut said: Vec<Said> = raw.iter().map(|&byte| Said::Message(char::from(byte))).collect();
    said.extend(read(messages));
    said
}

/// The same, but does not end our direction before as much has come as `wanted` has: a request that waits for a server is
/// given up when its client leaves, and an answer shows that it does not wait any more.
fn converse_to_the_end(address: &Address, bytes: &[u8], wanted: &[Said]) -> Vec<Said> {
    let mut wire = Wire::connect(address).unwrap();
    wire.set_timeout(Duration::from_secs(5)).unwrap();
    let _sent = wire.send(bytes);
    let mut said = Vec::new();
    while said.len() < wanted.len() {
        let Ok(message) = wire.recv() else { break };
        said.extend(read(&message.encode()));
    }
    let _ended = wire.shut_down_sending();
    said.extend(read(&wire.recv_to_end().expect("the connection ends")));
    said
}

/// Whether pgweir's answer is as good as PostgreSQL's: the same, except that pgweir may give a reason where PostgreSQL
/// hangs up without a word, and says once that it ends where PostgreSQL says it twice.
fn as_good(got: &[Said], wanted: &[Said]) -> bool {
    let Some((Said::Complaint('E', severity, sqlstate), before)) = got.split_last() else {
        return got == wanted;
    };
    if got == wanted {
        return true;
    }
    let twice =
        ["ERROR", "FATAL"].map(|severity| Said::Complaint('E', severity.to_owned(), sqlstate.clone()));
    before == wanted || (severity == "FATAL" && wanted.strip_prefix(before) == Some(&twice))
}

/// Takes an answer apart, without what servers may say differently: parameters, keys and the method of authentication.
fn read(mut bytes: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.get(1..5).map(|length| u32::from_be_bytes(length.try_into().unwrap()) as usize);
        let Some((message, rest)) = length.and_then(|length| bytes.split_at_checked(length + 1)) else {
            said.push(Said::Rest(bytes.to_vec()));
            break;
        };
        let (tag, body) = (char::from(message[0]), &message[5..]);
        match tag {
            'S' | 'K' => {}
            'E' | 'N' => said.push(Said::Complaint(tag, field(body, b'V'), field(body, b'C'))),
            'Z' => said.push(Said::Ready(char::from(body[0]))),
            _ => said.push(Said::Message(tag)),
        }
        bytes = rest;
    }
    said
}

/// A field of an ErrorResponse.
fn field(body: &[u8], code: u8) -> String {
    let mut fields = body.split(|&byte| byte == 0);
    let found = fields.find(|field| field.first() == Some(&code));
    String::from_utf8_lossy(found.map_or(b"", |field| &field[1..])).into_owned()
}

/// The TCP address of the primary itself.
fn direct(site: &Site) -> Address {
    local(site.cluster.primary().port())
}
