//! One console session as a pure machine: client messages in, server messages out.
//!
//! Why both query protocols: many drivers have no simple one, and PgBouncer's console shuts them out.
//!
//! Invariants: each call answers at most one message, so what waits in `out` is bounded by one answer; an error in
//! the extended protocol silences the session up to the next Sync; the transaction status is always idle.
//!
//! Absent: sockets, authentication, parameters of statements (no command has any).

use std::sync::Arc;

use pgweir_proxy::report::Report;
use pgweir_wire::say::{self, Complaint};
use pgweir_wire::{BackendKey, FrontendTag, Header, TransactionStatus, body};

use crate::commands::Notice;
use crate::driver::SERVER_VERSION;
use crate::encode::{self, Formats};
use crate::error::ConsoleError;
use crate::plan::{Outcome, Plan};

mod extended;

use extended::Extended;

/// What a console session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Everything.
    Admin,
    /// Only SHOW.
    Stats,
}

/// Why a console session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client broke the protocol; it has been told.
    Broken(ConsoleError),
    /// The client said good-bye.
    Terminated,
}

/// One console session.
pub struct Console {
    privilege: Privilege,
    report: Arc<dyn Report>,
    extended: Extended,
}

impl Console {
    /// A session that has just been let in.
    #[must_use]
    pub fn new(privilege: Privilege, report: Arc<dyn Report>) -> Self {
        Self { privilege, report, extended: Extended::default() }
    }

    /// Appends what follows AuthenticationOk: the settings drivers look at, a key, and ReadyForQuery.
    pub fn welcome(&self, out: &mut Vec<u8>) {
        let version = format!("{SERVER_VERSION} (pgweir {})", self.report.version());
        say::parameter_status(out, b"server_version", version.as_bytes());
        for (name, value) in PARAMETERS {
            say::parameter_status(out, name.as_bytes(), value.as_bytes());
        }
        // Nothing on the console can be cancelled: this key is one that no session ever has.
        say::backend_key_data(out, &BackendKey { process_id: 0, secret: vec![0; 4] });
        say::ready_for_query(out, TransactionStatus::Idle);
    }

    /// Answers the first message of `bytes` and returns how many bytes it took; 0 when it is not complete yet.
    ///
    /// # Errors
    /// The session is over. Whatever the client should still hear is in `out`.
    pub fn on_client(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Ended> {
        match self.first_message(bytes, out) {
            Ok(taken) => Ok(taken),
            Err(ended) => {
                if let Ended::Broken(error) = &ended {
                    complain(out, error);
                }
                Err(ended)
            }
        }
    }

    fn first_message(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Ended> {
        let Some(&first) = bytes.first() else { return Ok(0) };
        let tag = FrontendTag::from_byte(first).ok_or_else(|| broken(ConsoleError::UnknownMessage(first)))?;
        let header = Header::read(bytes).map_err(|error| broken(ConsoleError::InvalidLength(error)))?;
        let Some(header) = header else { return Ok(0) };
        if header.body > BODY_BYTES_MAX {
            return Err(broken(ConsoleError::MessageTooLong { bytes: header.body }));
        }
        let Some(body) = bytes.get(pgweir_wire::frame::HEADER_BYTES..header.total()) else { return Ok(0) };
        self.answer(tag, body, out)?;
        Ok(header.total())
    }

    fn answer(&mut self, tag: FrontendTag, body: &[u8], out: &mut Vec<u8>) -> Result<(), Ended> {
        match tag {
            FrontendTag::Terminate => return Err(Ended::Terminated),
            FrontendTag::Sync => {
                self.extended.sync();
                say::ready_for_query(out, TransactionStatus::Idle);
            }
            _ if self.extended.is_skipping() => {}
            FrontendTag::Query => {
                self.extended.forget_unnamed();
                if let Err(error) = self.query(body, out) {
                    complain(out, &error);
                }
                say::ready_for_query(out, TransactionStatus::Idle);
            }
            FrontendTag::FunctionCall => {
                complain(out, &ConsoleError::UnsupportedFunctionCall);
                say::ready_for_query(out, TransactionStatus::Idle);
            }
            FrontendTag::Bind
            | FrontendTag::Close
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::Parse => {
                if let Err(error) = self.extended.answer(tag, body, self.privilege, &*self.report, out) {
                    complain(out, &error);
                    self.extended.skip();
                }
            }
            // As PostgreSQL does, since a client may have sent COPY data before it saw an error.
            FrontendTag::CopyData | FrontendTag::CopyDone | FrontendTag::CopyFail => {}
            // Everything is sent without being asked.
            FrontendTag::Flush => {}
            FrontendTag::Password => return Err(broken(ConsoleError::UnknownMessage(tag.byte()))),
        }
        Ok(())
    }

    fn query(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), ConsoleError> {
        let text = body::query_text(body).ok_or(ConsoleError::InvalidMessage)?;
        let plan = Plan::resolve(&String::from_utf8_lossy(text), self.privilege)?;
        let Outcome { notices, rows, tag } = plan.run(&*self.report)?;
        tell(out, &notices);
        if let Some(columns) = plan.columns() {
            let formats = Formats::default();
            encode::row_description(out, columns, &formats);
            for row in &rows {
                encode::data_row(out, columns, row, &formats);
            }
        }
        match plan {
            Plan::Empty => say::frame(out, b'I', &[]),
            Plan::Command { .. } | Plan::Driver(_) => say::command_complete(out, tag),
        }
        Ok(())
    }
}

fn broken(error: ConsoleError) -> Ended {
    Ended::Broken(error)
}

fn complain(out: &mut Vec<u8>, error: &ConsoleError) {
    let complaint = Complaint {
        severity: error.severity(),
        sqlstate: error.sqlstate(),
        message: &error.to_string(),
        hint: error.hint(),
    };
    say::error(out, &complaint);
}

fn tell(out: &mut Vec<u8>, notices: &[Notice]) {
    for notice in notices {
        say::notice(out, "NOTICE", "00000", &notice.message, notice.detail.as_deref());
    }
}

/// PgBouncer's set, and `integer_datetimes` for drivers that insist on it.
const PARAMETERS: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
];

/// The longest message the console reads. Commands are short; nobody sends more by accident.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
