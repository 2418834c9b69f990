//! Errors that the server makes because we want it to, and errors in which it would use our words.
//!
//! Why: where a request must fail, the server's transaction must fail with it, and what follows up to the Sync is skipped
//! there. Servers know statements by our names; a client hears its own.

use pgweir_wire::body::Parse;
use pgweir_wire::say::{Complaint, Severity};
use pgweir_wire::{ErrorFields, say};

use crate::dispatch::OpenSegment;
use crate::effect::Step;
use crate::ledger::{Audience, Owed, Parsed, Provoked};
use crate::session::Session;
use crate::statements::{SERVER_NAME_BYTES, SERVER_NAME_PREFIX};

impl Session {
    /// Makes the server fail where we must, so that its transaction fails with it; the client sees our text.
    pub(crate) fn provoke(&mut self, sqlstate: &'static str, message: String, step: &mut Step<'_>) {
        self.write_refused(step);
        self.promise_provoked("42601", Heard { sqlstate, message, routine: None });
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
        let message = format!("prepared statement \"{name}\" already exists");
        self.promise_provoked("42P05", Heard { sqlstate: "42P05", message, routine: None });
    }

    /// Makes the server fail where it would refuse a statement whose columns have changed.
    pub(crate) fn provoke_stale(&mut self, step: &mut Step<'_>) {
        self.write_refused(step);
        let heard = Heard { sqlstate: "0A000", message: STALE.to_owned(), routine: Some(STALE_ROUTINE) };
        self.promise_provoked("42601", heard);
    }

    fn write_refused(&self, step: &mut Step<'_>) {
        say::frame(step.to_server, b'P', &[REFUSED, b"\0", b"pgweir refuses\0", b"\0\0"]);
    }

    fn promise_provoked(&mut self, by: &'static str, heard: Heard) {
        self.ledger.promise(Owed::Provoked(Box::new(Provoked { by, heard })));
        self.opens(OpenSegment::Prepared);
    }

    /// What the client hears in place of an error for the oldest promise.
    pub(crate) fn heard_instead(&self, error: ErrorFields<'_>) -> Option<Heard> {
        let sqlstate = error.sqlstate();
        match self.ledger.head() {
            Some(Owed::Provoked(provoked)) if provoked.by == sqlstate.as_str() => {
                Some(provoked.heard.clone())
            }
            Some(Owed::Bind(Some(statement))) if &sqlstate.0 == b"08P01" => {
                let message = in_clients_words(&error.message(), &statement.name)?;
                Some(Heard { sqlstate: "08P01", message, routine: None })
            }
            _ => None,
        }
    }
}

/// An error in our words.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) sqlstate: &'static str,
    pub(crate) message: String,
    /// The routine of PostgreSQL's that clients know it by.
    pub(crate) routine: Option<&'static str>,
}

impl Heard {
    pub(crate) fn say(&self, out: &mut Vec<u8>) {
        let Self { sqlstate, message, routine } = self;
        let complaint = Complaint { severity: Severity::Error, sqlstate, message, hint: None };
        say::error_from(out, &complaint, *routine);
    }
}

/// What PostgreSQL says of a statement whose columns have changed. Drivers know it by these words, or by the routine.
const STALE: &str = "cached plan must not change result type";
pub(crate) const STALE_ROUTINE: &str = "RevalidateCachedQuery";

/// The text with the client's name of a statement in place of ours; `None` if there is nothing to replace.
fn in_clients_words(text: &str, name: &[u8]) -> Option<String> {
    let at = text.find(SERVER_NAME_PREFIX)?;
    let (before, ours) = text.split_at(at);
    let behind = ours.get(SERVER_NAME_BYTES..)?;
    Some([before, &String::from_utf8_lossy(name), behind].concat())
}

/// The name of a statement that no client has.
const REFUSED: &[u8] = b"pgweir_refused";
