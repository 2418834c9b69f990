//! Messages of clients, spelled out, for what the sandbox's small client does not say.

use pgweir_sandbox::client::Message;

/// A start-up message of protocol 3.0.
pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (3_u32 << 16).to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(&[name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    untagged(&body)
}

/// A CancelRequest that repeats the body of a BackendKeyData message.
pub(crate) fn cancel_request(backend_key_data: &[u8]) -> Vec<u8> {
    untagged(&[&80_877_102_u32.to_be_bytes()[..], backend_key_data].concat())
}

/// Any message.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    Message { tag, body: body.to_vec() }.encode()
}

/// A simple query.
pub(crate) fn query(sql: &str) -> Vec<u8> {
    Message::with_text(b'Q', sql).encode()
}

/// A Parse without parameter types.
pub(crate) fn parse(statement: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[statement.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

/// A Bind of the unnamed portal with parameters as text, asking for text.
pub(crate) fn bind(statement: &str, parameters: &[&str]) -> Vec<u8> {
    let mut body = [b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend_from_slice(
        &u16::try_from(parameters.len()).expect("tests have few parameters").to_be_bytes(),
    );
    for parameter in parameters {
        body.extend_from_slice(&length(parameter.len()));
        body.extend_from_slice(parameter.as_bytes());
    }
    body.extend_from_slice(b"\0\0");
    message(b'B', &body)
}

/// An Execute of the unnamed portal for all rows.
pub(crate) fn execute() -> Vec<u8> {
    message(b'E', b"\0\0\0\0\0")
}

/// A Sync.
pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn untagged(body: &[u8]) -> Vec<u8> {
    [&length(body.len() + 4)[..], body].concat()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("tests send less than 4 GB").to_be_bytes()
}
