//! A model of one PostgreSQL backend: it speaks the protocol exactly and knows a little SQL.
//!
//! What it models: skip until Sync, implicit transactions, COPY IN that ignores Sync, statements and portals, settings
//! with their transactional semantics, and that nothing is sent before a Sync, a Flush, an error or a COPY makes it.

mod gucs;
mod shape;
mod sql;
mod state;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pgweir_wire::body::{self, BindNames, Parse, Target};
use pgweir_wire::say::{self, Complaint, Severity};
use pgweir_wire::{Header, TransactionStatus};

use gucs::Gucs;
use sql::{Answer, Command};
use state::State;

use crate::NodeRole;

/// What all backends of a cluster share. Standbys replay at once.
#[derive(Debug, Default)]
pub(super) struct Database {
    pub(super) committed: Vec<String>,
    pub(super) sequence: u64,
    /// How often the columns of the table changed.
    pub(super) shape: u64,
    /// How often each write was run, committed or not.
    pub(super) ran: BTreeMap<String, usize>,
    /// What a standby was asked to write outside of a READ ONLY block.
    pub(super) refused_writes: Vec<String>,
}

pub(super) type Shared = Rc<RefCell<Database>>;

/// An error with its SQLSTATE.
type Failed = (&'static str, String);

#[derive(Debug)]
pub(super) struct Model {
    role: NodeRole,
    database: Shared,
    input: Vec<u8>,
    unflushed: Vec<u8>,
    /// What was sent and not taken yet.
    pub(super) output: Vec<u8>,
    /// With the shape of the table when they were parsed.
    statements: BTreeMap<Vec<u8>, (Command, u64)>,
    portals: BTreeMap<Vec<u8>, Portal>,
    transaction: Option<Transaction>,
    skips: bool,
    copy: Option<Copying>,
    pub(super) gucs: Gucs,
    pub(super) state: State,
    /// What the session's last `nextval` answered.
    pub(super) currval: Option<u64>,
    /// So many of the next reads meet a conflict with recovery.
    pub(super) conflicts: usize,
    /// The next Parse fails.
    pub(super) fails_to_parse: bool,
    /// The next Execute is cancelled.
    pub(super) fails_next: bool,
    /// The error that those reads meet.
    pub(super) conflict: &'static str,
}

#[derive(Debug)]
struct Transaction {
    explicit: bool,
    read_only: bool,
    failed: bool,
    writes: Vec<String>,
    savepoints: Vec<(String, Gucs, usize)>,
    before: Gucs,
    state_before: State,
}

#[derive(Debug)]
struct Portal {
    command: Command,
    /// Rows that are left, once it was run.
    rest: Option<Vec<String>>,
}

/// A COPY IN that is under way.
#[derive(Debug)]
struct Copying {
    rows: usize,
    /// The commands that follow it in the same simple query; `None` for the extended protocol.
    then: Option<Vec<Command>>,
}

impl Model {
    pub(super) fn new(role: NodeRole, database: &Shared, startup: &[(&str, &str)]) -> Self {
        Self {
            role,
            database: Rc::clone(database),
            input: Vec::new(),
            unflushed: Vec::new(),
            output: Vec::new(),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            transaction: None,
            skips: false,
            copy: None,
            gucs: Gucs::new(startup),
            state: State::default(),
            currval: None,
            conflicts: 0,
            fails_next: false,
            fails_to_parse: false,
            conflict: "40001",
        }
    }

    /// Whether nothing is read, owed or open.
    pub(super) fn is_idle(&self) -> bool {
        self.input.is_empty()
            && self.unflushed.is_empty()
            && self.output.is_empty()
            && self.transaction.is_none()
            && !self.skips
            && self.copy.is_none()
    }

    pub(super) fn is_in_block(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.explicit)
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.read_only)
    }

    pub(super) fn statement_names(&self) -> BTreeSet<Vec<u8>> {
        self.statements.keys().filter(|name| !name.is_empty()).cloned().collect()
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while let Some(header) = Header::read(&self.input).unwrap() {
            if self.input.len() < header.total() {
                break;
            }
            let frame: Vec<u8> = self.input.drain(..header.total()).collect();
            self.message(header.tag, &frame[5..]);
        }
    }

    fn message(&mut self, tag: u8, body: &[u8]) {
        if self.copy.is_some() {
            return self.copy_message(tag, body);
        }
        match tag {
            b'S' => {
                self.skips = false;
                self.end_implicit();
                self.ready();
            }
            b'd' | b'c' | b'f' => {}
            _ if self.skips => {}
            b'Q' => self.query(body),
            b'F' => self.function_call(),
            b'H' => self.flush(),
            _ => {
                if let Err(failed) = self.extended(tag, body) {
                    self.fail(&failed);
                    self.skips = true;
                }
            }
        }
    }

    fn query(&mut self, body: &[u8]) {
        self.statements.remove(&b""[..]);
        let text = String::from_utf8(body::query_text(body).unwrap().to_vec()).unwrap();
        match sql::commands(&text) {
            Err(failed) => {
                self.fail(&failed);
                self.ready();
            }
            Ok(commands) if commands.is_empty() => {
                self.say(b'I', b"");
                self.end_implicit();
                self.ready();
            }
            Ok(commands) => self.run_all(commands),
        }
    }

    /// Runs what is left of a simple query.
    fn run_all(&mut self, mut commands: Vec<Command>) {
        while !commands.is_empty() {
            let command = commands.remove(0);
            if let Some(columns) = self.columns(&command).filter(|_| self.check(&command).is_ok()) {
                self.say(b'T', &columns);
            }
            match self.run(&command) {
                Ok(Answer::CopyIn) => {
                    self.copy = Some(Copying { rows: 0, then: Some(commands) });
                    return self.flush();
                }
                Ok(answer) => self.answer(answer),
                Err(failed) => {
                    self.fail(&failed);
                    break;
                }
            }
        }
        self.end_implicit();
        self.ready();
    }

    fn function_call(&mut self) {
        self.begin(false, false);
        if self.is_failed() {
            self.fail(&aborted());
        } else {
            let calls = self.database.borrow().ran.len();
            match self.write(format!("function call {calls}")) {
                Ok(()) => self.say(b'V', &[0xFF; 4]),
                Err(failed) => self.fail(&failed),
            }
        }
        self.end_implicit();
        self.ready();
    }

    fn extended(&mut self, tag: u8, body: &[u8]) -> Result<(), Failed> {
        self.begin(false, false);
        match tag {
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(Target::read(body).unwrap()),
            b'E' => {
                let rows = u32::from_be_bytes(*body.last_chunk::<4>().unwrap());
                self.execute(body::executed_portal(body).unwrap(), rows as usize)
            }
            b'C' => {
                match Target::read(body).unwrap() {
                    Target::Portal(name) => drop(self.portals.remove(name)),
                    Target::Statement(name) => drop(self.statements.remove(name)),
                }
                self.say(b'3', b"");
                Ok(())
            }
            other => panic!("the session sent a message of type {}", char::from(other)),
        }
    }

    fn parse(&mut self, body: &[u8]) -> Result<(), Failed> {
        let parse = Parse::read(body).unwrap();
        if std::mem::take(&mut self.fails_to_parse) {
            return Err(("42P01", "relation \"t\" does not exist".to_owned()));
        }
        if parse.name.is_empty() {
            self.statements.remove(&b""[..]);
        }
        let mut commands = sql::commands(std::str::from_utf8(parse.text).unwrap())?;
        if commands.len() > 1 {
            return Err(("42601", "cannot insert multiple commands into a prepared statement".to_owned()));
        }
        let command = commands.pop().unwrap_or(Command::Empty);
        self.check(&command)?;
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            let name = String::from_utf8_lossy(parse.name);
            return Err(("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        let shape = self.database.borrow().shape;
        self.statements.insert(parse.name.to_vec(), (command, shape));
        self.say(b'1', b"");
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> Result<(Command, u64), Failed> {
        let found = self.statements.get(name).cloned();
        let (command, shape) = found.ok_or_else(|| {
            let shown = String::from_utf8_lossy(name);
            let text = format!("prepared statement \"{shown}\" does not exist");
            let unnamed = "unnamed prepared statement does not exist".to_owned();
            ("26000", if name.is_empty() { unnamed } else { text })
        })?;
        Ok((command, shape))
    }

    fn bind(&mut self, body: &[u8]) -> Result<(), Failed> {
        let names = BindNames::read(body).unwrap();
        let (command, shape) = self.statement(names.statement)?;
        self.check(&command)?;
        self.replan(&command, shape)?;
        let values = &body[names.bytes..];
        let command = match values.get(8..values.len() - 2) {
            Some(b"bad") => return Err(("22P02", "invalid input syntax".to_owned())),
            Some(value) if values[3] == 1 => command.with(std::str::from_utf8(value).unwrap()),
            _ => command,
        };
        if !names.portal.is_empty() && self.portals.contains_key(names.portal) {
            return Err(("42P03", "cursor already exists".to_owned()));
        }
        self.portals.insert(names.portal.to_vec(), Portal { command, rest: None });
        self.say(b'2', b"");
        Ok(())
    }

    fn describe(&mut self, target: Target<'_>) -> Result<(), Failed> {
        let command = match target {
            Target::Statement(name) => {
                let (command, shape) = self.statement(name)?;
                self.check_described(&command)?;
                self.say(b't', &command.parameters());
                self.replan(&command, shape)?;
                command
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(no_portal)?;
                let command = portal.command.clone();
                self.check_described(&command)?;
                command
            }
        };
        match self.columns(&command) {
            Some(columns) => self.say(b'T', &columns),
            None => self.say(b'n', b""),
        }
        Ok(())
    }

    /// A failed block looks up no columns.
    fn check_described(&self, command: &Command) -> Result<(), Failed> {
        if command.columns().is_some() { self.check(command) } else { Ok(()) }
    }

    fn execute(&mut self, name: &[u8], limit: usize) -> Result<(), Failed> {
        if std::mem::take(&mut self.fails_next) {
            return Err(("57014", "canceling statement due to user request".to_owned()));
        }
        let portal = self.portals.get_mut(name).ok_or_else(no_portal)?;
        let (command, rest) = (portal.command.clone(), portal.rest.take());
        let answer = match rest {
            None => self.run(&command)?,
            Some(_) if self.columns(&command).is_none() => {
                return Err(("55000", "portal cannot be run".to_owned()));
            }
            Some(rows) => Answer::Rows(rows),
        };
        match answer {
            Answer::CopyIn => {
                self.copy = Some(Copying { rows: 0, then: None });
                self.flush();
            }
            Answer::Rows(mut rows) if limit > 0 && rows.len() >= limit => {
                let rest = rows.split_off(limit);
                rows.iter().for_each(|row| self.row(row));
                self.say(b's', b"");
                self.keep_rest(name, rest);
            }
            Answer::Empty => self.say(b'I', b""),
            answer => {
                self.answer(answer);
                self.keep_rest(name, Vec::new());
            }
        }
        Ok(())
    }

    fn keep_rest(&mut self, portal: &[u8], rest: Vec<String>) {
        if let Some(portal) = self.portals.get_mut(portal) {
            portal.rest = Some(rest);
        }
    }

    fn copy_message(&mut self, tag: u8, body: &[u8]) {
        let Some(copy) = &mut self.copy else { return };
        let outcome = match tag {
            b'H' | b'S' => return,
            b'd' if body == b"bad" => Err(("22P04", "bad row".to_owned())),
            b'd' => {
                copy.rows += 1;
                let row = String::from_utf8_lossy(body).into_owned();
                match self.write(row) {
                    Ok(()) => return,
                    Err(failed) => Err(failed),
                }
            }
            b'c' => Ok(copy.rows),
            b'f' => Err(("57014", "COPY from stdin failed".to_owned())),
            other => panic!("a message of type {} during COPY ends the connection", char::from(other)),
        };
        let Some(copy) = self.copy.take() else { return };
        match (outcome, copy.then) {
            (Ok(rows), then) => {
                self.done(&format!("COPY {rows}"));
                if let Some(then) = then {
                    self.run_all(then);
                }
            }
            (Err(failed), None) => {
                self.fail(&failed);
                self.skips = true;
            }
            (Err(failed), Some(_)) => {
                self.fail(&failed);
                self.end_implicit();
                self.ready();
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Rows(rows) => {
                rows.iter().for_each(|row| self.row(row));
                self.done(&format!("SELECT {}", rows.len()));
            }
            Answer::Done(tag) => self.done(&tag),
            Answer::Warned(tag, text) => {
                let mut notice = Vec::new();
                say::notice(&mut notice, "WARNING", "25001", text, None);
                self.unflushed.extend_from_slice(&notice);
                self.done(tag);
            }
            Answer::CopyOut(rows) => {
                self.say(b'H', &[0, 0, 0]);
                rows.iter().for_each(|row| self.say(b'd', row.as_bytes()));
                self.say(b'c', b"");
                self.done(&format!("COPY {}", rows.len()));
            }
            Answer::Pairs(rows) => {
                for (first, second) in &rows {
                    let column = |text: &str| [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
                    self.say(b'D', &[&[0, 2][..], &column(first), &column(second)].concat());
                }
                self.done(&format!("SELECT {}", rows.len()));
            }
            Answer::Empty => self.say(b'I', b""),
            Answer::CopyIn => unreachable!("handled by the callers"),
        }
    }

    fn row(&mut self, value: &str) {
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        self.say(b'D', &[&[0, 1][..], &length, value.as_bytes()].concat());
    }

    fn done(&mut self, tag: &str) {
        say::command_complete(&mut self.unflushed, tag);
    }

    fn say(&mut self, tag: u8, body: &[u8]) {
        say::frame(&mut self.unflushed, tag, &[body]);
    }

    pub(super) fn flush(&mut self) {
        self.output.append(&mut self.unflushed);
    }

    fn fail(&mut self, (sqlstate, message): &Failed) {
        if message == shape::STALE {
            self.unflushed.extend_from_slice(&shape::stale());
        } else {
            let complaint = Complaint { severity: Severity::Error, sqlstate, message, hint: None };
            say::error(&mut self.unflushed, &complaint);
        }
        self.flush();
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => transaction.failed = true,
            Some(_) => self.roll_back(),
            None => {}
        }
    }

    fn ready(&mut self) {
        for (name, value) in self.gucs.changed() {
            say::parameter_status(&mut self.unflushed, name.as_bytes(), value.as_bytes());
        }
        let status = match &self.transaction {
            Some(transaction) if transaction.failed => TransactionStatus::Failed,
            Some(_) => TransactionStatus::InTransaction,
            None => TransactionStatus::Idle,
        };
        say::ready_for_query(&mut self.unflushed, status);
        self.flush();
    }
}

fn no_portal() -> Failed {
    ("34000", "portal does not exist".to_owned())
}

fn aborted() -> Failed {
    let text = "current transaction is aborted, commands ignored until end of transaction block";
    ("25P02", text.to_owned())
}
