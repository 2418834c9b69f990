//! What the proxy itself says, on both sides, encoded by pgwire's message types.
//!
//! Why pgwire here and not on the hot path: see ARCHITECTURE.md, "Dependencies". The few replies that are made per
//! query (ParseComplete, CloseComplete, ReadyForQuery) are constants.

use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use pgwire::messages::startup as pg;

use crate::{BackendKey, CancelKey, TransactionStatus};

/// ParseComplete.
pub const PARSE_COMPLETE: &[u8] = b"1\0\0\0\x04";
/// CloseComplete.
pub const CLOSE_COMPLETE: &[u8] = b"3\0\0\0\x04";
/// Sync, towards a server.
pub const SYNC: &[u8] = b"S\0\0\0\x04";
/// Terminate, towards a server.
pub const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// Appends a ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    out.extend_from_slice(&[b'Z', 0, 0, 0, 5, status.byte()]);
}

/// Appends a message of type `tag` whose body is `parts` one after the other.
pub fn frame(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let body: usize = parts.iter().map(|p| p.len()).sum();
    let length = u32::try_from(body + 4).expect("a message we build is never 4 GB");
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends a simple Query.
pub fn query(out: &mut Vec<u8>, text: &[u8]) {
    frame(out, b'Q', &[text, b"\0"]);
}

/// Appends a CommandComplete with the command tag `tag`.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    frame(out, b'C', &[tag.as_bytes(), b"\0"]);
}

/// How bad an error is for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed; the session goes on.
    Error,
    /// The session ends.
    Fatal,
}

impl Severity {
    /// The word PostgreSQL uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// An error of our own. Texts follow PostgreSQL's style: no capital, no full stop.
#[derive(Clone, Copy, Debug)]
pub struct Complaint<'a> {
    /// Whether the session ends.
    pub severity: Severity,
    /// The five-character code.
    pub sqlstate: &'a str,
    /// The primary message.
    pub message: &'a str,
    /// What the user can do about it.
    pub hint: Option<&'a str>,
}

/// Appends an ErrorResponse.
pub fn error(out: &mut Vec<u8>, complaint: &Complaint<'_>) {
    error_from(out, complaint, None);
}

/// Appends an ErrorResponse; `routine` is the one of PostgreSQL's that says this, where clients know it.
pub fn error_from(out: &mut Vec<u8>, complaint: &Complaint<'_>, routine: Option<&str>) {
    let severity = complaint.severity.as_str();
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', complaint.sqlstate.to_owned()),
        (b'M', complaint.message.to_owned()),
    ];
    fields.extend(complaint.hint.map(|hint| (b'H', hint.to_owned())));
    fields.extend(routine.map(|routine| (b'R', routine.to_owned())));
    append(out, &ErrorResponse::new(fields));
}

/// Appends a NoticeResponse of severity `severity` (`NOTICE`, `WARNING`, ...).
pub fn notice(out: &mut Vec<u8>, severity: &str, sqlstate: &str, message: &str, detail: Option<&str>) {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', sqlstate.to_owned()),
        (b'M', message.to_owned()),
    ];
    fields.extend(detail.map(|detail| (b'D', detail.to_owned())));
    append(out, &NoticeResponse::new(fields));
}

/// Appends a ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    frame(out, b'S', &[name, b"\0", value, b"\0"]);
}

/// Appends a BackendKeyData.
pub fn backend_key_data(out: &mut Vec<u8>, key: &BackendKey) {
    frame(out, b'K', &[&key.process_id.to_be_bytes(), &key.secret]);
}

/// Appends an AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    append(out, &pg::Authentication::Ok);
}

/// Appends a NegotiateProtocolVersion: `minor` is the newest we speak, `options` those we do not know.
///
/// The version is the whole number, as servers since 18 send it; libpq takes both forms.
pub fn negotiate_protocol_version(out: &mut Vec<u8>, minor: u16, options: &[String]) {
    let version = (3 << 16) | i32::from(minor);
    append(out, &pg::NegotiateProtocolVersion::new(version, options.to_vec()));
}

/// Appends a StartupMessage of protocol 3.0.
pub fn startup(out: &mut Vec<u8>, parameters: &[(&str, &str)]) {
    let mut body = Vec::new();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    let length = u32::try_from(body.len() + 8).expect("start-up parameters are bounded");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0, 3, 0, 0]);
    out.extend_from_slice(&body);
}

/// Appends an SSLRequest.
pub fn ssl_request(out: &mut Vec<u8>) {
    append(out, &pg::SslRequest::new());
}

/// Appends a CancelRequest.
pub fn cancel_request(out: &mut Vec<u8>, key: &CancelKey) {
    let length = u32::try_from(key.secret.len() + 12).expect("a cancel key has at most 256 bytes");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&80_877_102u32.to_be_bytes());
    out.extend_from_slice(&key.process_id.to_be_bytes());
    out.extend_from_slice(&key.secret);
}

fn append(out: &mut Vec<u8>, message: &impl Message) {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes).expect("messages of our own are short and complete");
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorFields, FirstPacket, Header};

    #[test]
    fn errors_read_back() {
        let mut out = Vec::new();
        let complaint = Complaint {
            severity: Severity::Fatal,
            sqlstate: "53300",
            message: "too many",
            hint: Some("wait"),
        };
        error(&mut out, &complaint);
        let header = Header::read(&out).unwrap().unwrap();
        assert_eq!((header.tag, header.total()), (b'E', out.len()));
        let fields = ErrorFields::new(&out[5..]);
        assert_eq!((fields.sqlstate().as_str(), fields.message().as_str()), ("53300", "too many"));
        assert_eq!(fields.field(b'H'), Some(&b"wait"[..]));
    }

    #[test]
    fn startup_and_cancel_read_back() {
        let mut out = Vec::new();
        startup(&mut out, &[("user", "ann"), ("database", "shop")]);
        let FirstPacket::Startup(read) = FirstPacket::read(&out[4..]).unwrap() else { panic!() };
        assert_eq!((read.user.as_str(), read.database.as_str()), ("ann", "shop"));
        let key = CancelKey { process_id: 7, secret: vec![9; 32] };
        let mut out = Vec::new();
        cancel_request(&mut out, &key);
        assert_eq!(FirstPacket::read(&out[4..]), Ok(FirstPacket::Cancel(key)));
    }

    #[test]
    fn version_negotiation_is_a_whole_number() {
        let mut out = Vec::new();
        negotiate_protocol_version(&mut out, 2, &["_pq_.x".to_owned()]);
        assert_eq!(out, b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
    }
}
