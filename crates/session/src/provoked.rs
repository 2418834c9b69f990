//! Errors that the server makes because we want it to, and errors in which it would use our words.
//!
//! Why: where a request must fail, the server's transaction must fail with it, and what follows up to the Sync is skipped
//! there. Servers know statements by our names; a client hears its own.

use pgweir_wire::body::Parse;
use pgweir_wire::{ErrorFields, say};

use crate::dispatch::OpenSegment;
use crate::effect::Step;
use crate::ledger::{Audience, Owed, Parsed, Provoked};
use crate::session::Session;
use crate::statements::{SERVER_NAME_BYTES, SERVER_NAME_PREFIX};

impl Session {
    /// Makes the server fail where we must, so that its transaction fails with it; the client sees our text.
    pub(crate) fn provoke(&mut self, sqlstate: &'static str, message: String, step: &mut Step<'_>) {
        say::frame(step.to_server, b'P', &[REFUSED, b"\0", b"pgweir refuses\0", b"\0\0"]);
        self.promise_provoked("42601", sqlstate, message);
    }

    /// A Parse that must fail, at the latest since its name is in use. The server looks at the text first, and at its
    /// transaction, so it gets the text under a name that is in use there.
    pub(crate) fn refuse_parse(&mut self, parse: &Parse<'_>, step: &mut Step<'_>) {
        say::frame(step.to_server, b'C', &[b"S", REFUSED, b"\0"]);
        self.ledger.promise(Owed::Close(Audience::Proxy, None));
        say::frame(step.to_server, b'P', &[REFUSED, b"\0", b"\0", b"\0\0"]);
        self.ledger.promise(Owed::Parse(Audience::Proxy, None, Parsed::Passing));
        say::frame(step.to_server, b'P', &[REFUSED, b"\0", parse.text, b"\0", parse.types]);
        let name = String::from_utf8_lossy(parse.name);
        self.promise_provoked("42P05", "42P05", format!("prepared statement \"{name}\" already exists"));
    }

    fn promise_provoked(&mut self, by: &'static str, sqlstate: &'static str, message: String) {
        self.ledger.promise(Owed::Provoked(Box::new(Provoked { by, sqlstate, message })));
        self.opens(OpenSegment::Prepared);
    }

    /// What the client hears in place of an error for the oldest promise: SQLSTATE and text.
    pub(crate) fn heard_instead(&self, error: ErrorFields<'_>) -> Option<(&'static str, String)> {
        let sqlstate = error.sqlstate();
        match self.ledger.head() {
            Some(Owed::Provoked(provoked)) if provoked.by == sqlstate.as_str() => {
                Some((provoked.sqlstate, provoked.message.clone()))
            }
            Some(Owed::Bind(Some(statement))) if &sqlstate.0 == b"08P01" => {
                Some(("08P01", in_clients_words(&error.message(), &statement.name)?))
            }
            _ => None,
        }
    }
}

/// The text with the client's name of a statement in place of ours; `None` if there is nothing to replace.
fn in_clients_words(text: &str, name: &[u8]) -> Option<String> {
    let at = text.find(SERVER_NAME_PREFIX)?;
    let (before, ours) = text.split_at(at);
    let behind = ours.get(SERVER_NAME_BYTES..)?;
    Some([before, &String::from_utf8_lossy(name), behind].concat())
}

/// The name of a statement that no client has.
const REFUSED: &[u8] = b"pgweir_refused";
