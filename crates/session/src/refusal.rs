//! A standby refused as a write what was taken for a read.
//!
//! Why: a function may do more than its mark says, and a catalog may be a moment old. The statement then runs on the primary, and
//! texts of its shape go there at once from then on.
//! Absent: guesses. Where several statements were in flight, nobody knows which of them it was, and nothing is learnt.

use pgweir_wire::body::{self, BindNames};
use pgweir_wire::frame::HEADER_BYTES;
use pgweir_wire::{FrontendTag, Header, SqlState};

use crate::effect::{Event, Step};
use crate::session::Session;

impl Session {
    /// A standby answered with an error before anything was shown. Call it while the requests in flight are kept.
    pub(crate) fn learn_from(&mut self, sqlstate: SqlState, step: &mut Step<'_>) {
        // No other standby would answer otherwise.
        if matches!(&sqlstate.0, b"0A000" | b"25006" | b"55000") {
            self.attempt.needs_primary();
        }
        if &sqlstate.0 != b"25006" {
            return;
        }
        if let Some(text) = self.text_in_flight() {
            step.classifier.refused(text, self.lexing, self.names.naming());
        }
        step.events.push(Event::StandbyRefused);
    }

    /// The text of the only statement in flight.
    fn text_in_flight(&self) -> Option<&[u8]> {
        let mut found = None;
        let mut rest = self.attempt.bytes();
        while let Ok(Some(header)) = Header::read(rest) {
            let body = rest.get(HEADER_BYTES..header.total())?;
            rest = &rest[header.total()..];
            let text = match FrontendTag::from_byte(header.tag) {
                Some(FrontendTag::Query) => body::query_text(body)?,
                Some(FrontendTag::Bind) => self.bound_text(BindNames::read(body)?.statement)?,
                Some(_) | None => continue,
            };
            if found.replace(text).is_some() {
                return None;
            }
        }
        found
    }

    fn bound_text(&self, name: &[u8]) -> Option<&[u8]> {
        let definition = if name.is_empty() {
            &self.unnamed.as_ref()?.definition[..]
        } else {
            &self.statements.get(name)?.definition[..]
        };
        definition.split(|byte| *byte == 0).next()
    }
}
