//! Messages of a client, as bytes.

use pgweir_wire::say;

/// Messages one after the other.
pub(super) fn all(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.concat()
}

fn message(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    say::frame(&mut out, tag, parts);
    out
}

pub(super) fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"])
}

pub(super) fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"])
}

/// Bind to a portal, with at most one parameter.
pub(super) fn bind_portal(portal: &str, statement: &str, parameter: Option<&str>) -> Vec<u8> {
    let mut values = vec![0, 0, 0, u8::from(parameter.is_some())];
    if let Some(parameter) = parameter {
        values.extend_from_slice(&u32::try_from(parameter.len()).unwrap().to_be_bytes());
        values.extend_from_slice(parameter.as_bytes());
    }
    values.extend_from_slice(&[0, 0]);
    message(b'B', &[portal.as_bytes(), b"\0", statement.as_bytes(), b"\0", &values])
}

pub(super) fn bind(statement: &str) -> Vec<u8> {
    bind_portal("", statement, None)
}

pub(super) fn execute_portal(portal: &str, rows: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()])
}

pub(super) fn execute() -> Vec<u8> {
    execute_portal("", 0)
}

pub(super) fn describe_statement(name: &str) -> Vec<u8> {
    message(b'D', &[b"S", name.as_bytes(), b"\0"])
}

pub(super) fn describe_portal(name: &str) -> Vec<u8> {
    message(b'D', &[b"P", name.as_bytes(), b"\0"])
}

pub(super) fn close_statement(name: &str) -> Vec<u8> {
    message(b'C', &[b"S", name.as_bytes(), b"\0"])
}

pub(super) fn close_portal(name: &str) -> Vec<u8> {
    message(b'C', &[b"P", name.as_bytes(), b"\0"])
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', &[])
}

pub(super) fn flush() -> Vec<u8> {
    message(b'H', &[])
}

pub(super) fn copy_data(row: &str) -> Vec<u8> {
    message(b'd', &[row.as_bytes()])
}

pub(super) fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

pub(super) fn copy_fail(why: &str) -> Vec<u8> {
    message(b'f', &[why.as_bytes(), b"\0"])
}

pub(super) fn function_call() -> Vec<u8> {
    message(b'F', &[&[0, 0, 5, 100, 0, 0, 0, 0, 0, 0]])
}

/// Parse, Bind, Describe and Execute of an unnamed statement, without Sync.
pub(super) fn run(text: &str) -> Vec<u8> {
    all(&[parse("", text), bind(""), describe_portal(""), execute()])
}

/// Tags of the messages in `bytes`, with the text of errors and command tags, to be read by people.
pub(super) fn shown(mut bytes: &[u8]) -> String {
    let mut out = Vec::new();
    while let Ok(Some(header)) = pgweir_wire::Header::read(bytes) {
        let end = header.total().min(bytes.len());
        let body = &bytes[5..end];
        let text = match header.tag {
            b'E' => {
                let fields = pgweir_wire::ErrorFields::new(body);
                format!("E({} {})", fields.sqlstate().as_str(), fields.message())
            }
            b'C' | b'D' | b'S' | b'Z' | b'd' => {
                let text = String::from_utf8_lossy(body).replace(|c: char| c.is_control(), " ");
                format!("{}({})", char::from(header.tag), text.trim())
            }
            tag => char::from(tag).to_string(),
        };
        out.push(text);
        bytes = &bytes[end..];
    }
    if !bytes.is_empty() {
        out.push(format!("and {} bytes", bytes.len()));
    }
    out.join(" ")
}
