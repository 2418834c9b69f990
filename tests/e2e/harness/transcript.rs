//! What a server said, message by message, and how two of them differ.

use std::fmt::Write as _;

use pgweir_sandbox::client::{Message, Wire};
use pgweir_sandbox::{Client, SandboxError};

/// Receives up to the given number of ReadyForQuery.
pub(crate) fn receive_until_ready(wire: &mut Wire, mut ready: usize) -> Result<Vec<Message>, SandboxError> {
    let mut messages = Vec::new();
    while ready > 0 {
        let message = wire.recv()?;
        ready -= usize::from(message.tag == b'Z');
        messages.push(message);
    }
    Ok(messages)
}

/// The message without what only PostgreSQL's source code can say: file, line and routine of an error.
pub(crate) fn without_source(mut message: Message) -> Message {
    if let b'E' | b'N' = message.tag {
        let fields = message.body.split(|&byte| byte == 0);
        let told = fields.filter(|field| !matches!(field.first(), Some(b'F' | b'L' | b'R')));
        message.body = told.collect::<Vec<_>>().join(&0);
    }
    message
}

/// Sends requests and receives the answers up to the given number of ReadyForQuery.
#[track_caller]
pub(crate) fn ask(client: &mut Client, requests: &[u8], ready: usize) -> Vec<Message> {
    client.wire().send(requests).expect("the server takes requests");
    receive_until_ready(client.wire(), ready).expect("the server answers")
}

/// The messages around the first difference; `None` when there is none.
pub(crate) fn difference(wanted: &[Message], got: &[Message]) -> Option<String> {
    if wanted == got {
        return None;
    }
    let same = wanted.iter().zip(got).take_while(|(wanted, got)| wanted == got).count();
    let mut text = format!("{same} messages agree\n");
    for (name, said) in [("PostgreSQL", wanted), ("pgweir", got)] {
        writeln!(text, "  {name}:").expect("a String takes everything");
        let start = same.saturating_sub(SHOWN_BEFORE);
        for message in said.iter().skip(start).take(SHOWN) {
            writeln!(text, "    {}", show(message)).expect("a String takes everything");
        }
    }
    Some(text)
}

/// A message as people read it.
pub(crate) fn show(message: &Message) -> String {
    let printable = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '·',
    };
    let body: String = message.body.iter().take(BODY_SHOWN).map(printable).collect();
    format!("{} {body}", char::from(message.tag))
}

const SHOWN_BEFORE: usize = 3;
const SHOWN: usize = 8;
const BODY_SHOWN: usize = 160;
