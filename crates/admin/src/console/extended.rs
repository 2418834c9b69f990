//! The extended query protocol of the console: prepared statements, portals, and silence after an error.
//!
//! Invariants: a portal does not outlive the Sync that follows it, since every implicit transaction ends there;
//! the numbers of statements and portals are bounded.
//! Manual: Frontend/Backend Protocol, "Extended Query".

use std::collections::HashMap;
use std::vec;

use pgweir_proxy::report::Report;
use pgweir_wire::body::{self, BindNames, Parse, Target};
use pgweir_wire::{FrontendTag, say};

use super::tell;
use crate::console::Privilege;
use crate::encode::{self, Formats};
use crate::error::ConsoleError;
use crate::plan::{Outcome, Plan};
use crate::table::Row;

/// What a session has prepared and opened.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<Vec<u8>, Plan>,
    portals: HashMap<Vec<u8>, Portal>,
    after_error: bool,
}

struct Portal {
    plan: Plan,
    formats: Formats,
    progress: Progress,
}

enum Progress {
    Fresh,
    Running { rows: vec::IntoIter<Row>, tag: &'static str },
}

impl Extended {
    pub(super) const fn is_skipping(&self) -> bool {
        self.after_error
    }

    pub(super) const fn skip(&mut self) {
        self.after_error = true;
    }

    pub(super) fn sync(&mut self) {
        self.after_error = false;
        self.portals.clear();
    }

    /// A simple query ends the unnamed statement and, with its transaction, every portal.
    pub(super) fn forget_unnamed(&mut self) {
        self.statements.remove(&b""[..]);
        self.portals.clear();
    }

    /// Answers one message. The caller skips to Sync after an error.
    pub(super) fn answer(
        &mut self,
        tag: FrontendTag,
        body: &[u8],
        privilege: Privilege,
        report: &dyn Report,
        out: &mut Vec<u8>,
    ) -> Result<(), ConsoleError> {
        debug_assert!(!self.after_error, "silent up to the next Sync");
        match tag {
            FrontendTag::Bind => self.bind(body, out),
            FrontendTag::Close => self.close(body, out),
            FrontendTag::Describe => self.describe(body, out),
            FrontendTag::Execute => self.execute(body, report, out),
            FrontendTag::Parse => self.parse(body, privilege, out),
            FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::Flush
            | FrontendTag::FunctionCall
            | FrontendTag::Password
            | FrontendTag::Query
            | FrontendTag::Sync
            | FrontendTag::Terminate => unreachable!("not a message of the extended query protocol"),
        }
    }

    fn parse(&mut self, body: &[u8], privilege: Privilege, out: &mut Vec<u8>) -> Result<(), ConsoleError> {
        let parse = Parse::read(body).ok_or(ConsoleError::InvalidMessage)?;
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            return Err(ConsoleError::DuplicateStatement(shown(parse.name)));
        }
        let plan = Plan::resolve(&String::from_utf8_lossy(parse.text), privilege)?;
        if self.statements.len() >= STATEMENTS_MAX && !self.statements.contains_key(parse.name) {
            return Err(ConsoleError::TooManyStatements);
        }
        self.statements.insert(parse.name.to_vec(), plan);
        out.extend_from_slice(say::PARSE_COMPLETE);
        Ok(())
    }

    fn bind(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), ConsoleError> {
        let names = BindNames::read(body).ok_or(ConsoleError::InvalidMessage)?;
        let tail = BindTail::read(&body[names.bytes..]).ok_or(ConsoleError::InvalidMessage)?;
        let plan = self.statement(names.statement)?;
        if tail.parameters > 0 {
            let statement = shown(names.statement);
            return Err(ConsoleError::Parameters { given: tail.parameters, statement });
        }
        let formats = match plan.columns() {
            Some(columns) => Formats::new(&tail.result_formats, columns.len())?,
            None => Formats::default(),
        };
        let taken = self.portals.contains_key(names.portal);
        if taken && !names.portal.is_empty() {
            return Err(ConsoleError::DuplicatePortal(shown(names.portal)));
        }
        if !taken && self.portals.len() >= PORTALS_MAX {
            return Err(ConsoleError::TooManyPortals);
        }
        let portal = Portal { plan: plan.clone(), formats, progress: Progress::Fresh };
        self.portals.insert(names.portal.to_vec(), portal);
        say::frame(out, b'2', &[]);
        Ok(())
    }

    fn describe(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), ConsoleError> {
        let (plan, formats) = match Target::read(body).ok_or(ConsoleError::InvalidMessage)? {
            Target::Statement(name) => {
                let plan = self.statement(name)?;
                say::frame(out, b't', &[&[0, 0]]);
                (plan, &Formats::default())
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| ConsoleError::NoPortal(shown(name)))?;
                (&portal.plan, &portal.formats)
            }
        };
        match plan.columns() {
            Some(columns) => encode::row_description(out, columns, formats),
            None => say::frame(out, b'n', &[]),
        }
        Ok(())
    }

    fn execute(&mut self, body: &[u8], report: &dyn Report, out: &mut Vec<u8>) -> Result<(), ConsoleError> {
        let (name, limit) = executed(body).ok_or(ConsoleError::InvalidMessage)?;
        let portal = self.portals.get_mut(name).ok_or_else(|| ConsoleError::NoPortal(shown(name)))?;
        if let Plan::Empty = portal.plan {
            say::frame(out, b'I', &[]);
            return Ok(());
        }
        if let Progress::Fresh = portal.progress {
            let Outcome { notices, rows, tag } = portal.plan.run(report)?;
            tell(out, &notices);
            portal.progress = Progress::Running { rows: rows.into_iter(), tag };
        }
        let Progress::Running { rows, tag } = &mut portal.progress else {
            unreachable!("it was just started")
        };
        let columns = portal.plan.columns().unwrap_or_default();
        for row in rows.by_ref().take(limit.unwrap_or(usize::MAX)) {
            encode::data_row(out, columns, &row, &portal.formats);
        }
        match rows.len() {
            0 => say::command_complete(out, tag),
            _ => say::frame(out, b's', &[]),
        }
        Ok(())
    }

    /// Closing what does not exist is no error.
    fn close(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), ConsoleError> {
        match Target::read(body).ok_or(ConsoleError::InvalidMessage)? {
            Target::Portal(name) => drop(self.portals.remove(name)),
            Target::Statement(name) => drop(self.statements.remove(name)),
        }
        out.extend_from_slice(say::CLOSE_COMPLETE);
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> Result<&Plan, ConsoleError> {
        self.statements.get(name).ok_or_else(|| ConsoleError::NoStatement(shown(name)))
    }
}

/// What follows the names in a Bind: formats of the parameters, the parameters, formats of the results.
struct BindTail {
    parameters: usize,
    result_formats: Vec<i16>,
}

impl BindTail {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (parameter_formats, rest) = short(bytes)?;
        let (parameters, mut rest) = short(rest.get(parameter_formats * 2..)?)?;
        for _ in 0..parameters {
            let (length, value) = rest.split_first_chunk::<4>()?;
            let bytes = match i32::from_be_bytes(*length) {
                -1 => 0,
                length => usize::try_from(length).ok()?,
            };
            rest = value.get(bytes..)?;
        }
        let (count, rest) = short(rest)?;
        let (codes, odd) = rest.as_chunks::<2>();
        let complete = codes.len() == count && odd.is_empty();
        let result_formats = codes.iter().map(|code| i16::from_be_bytes(*code)).collect();
        complete.then_some(Self { parameters, result_formats })
    }
}

fn short(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    Some((usize::try_from(i16::from_be_bytes(*count)).ok()?, rest))
}

/// The portal of an Execute, and the most rows it may send now; `None` for no limit.
fn executed(message: &[u8]) -> Option<(&[u8], Option<usize>)> {
    let portal = body::executed_portal(message)?;
    let (_, limit) = message.split_last_chunk::<4>()?;
    Some((portal, usize::try_from(i32::from_be_bytes(*limit)).ok().filter(|limit| *limit > 0)))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

const STATEMENTS_MAX: usize = 256;
const PORTALS_MAX: usize = 64;
