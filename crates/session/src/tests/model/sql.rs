//! The little SQL that a model backend knows.

use super::gucs::Gucs;
use super::state::{Change, State};
use super::{Failed, Model, Transaction, aborted};
use crate::NodeRole;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Whole rows of the table.
    All,
    /// The same, of what it writes.
    InsertReturning(String),
    Begin {
        read_only: Option<bool>,
        tag: &'static str,
    },
    Commit,
    CopyIn,
    /// It begins, and fails before it reads anything: a trigger can do that.
    CopyIntoView,
    CopyOut,
    Count,
    Deallocate(Option<String>),
    DiscardAll,
    /// In a string of several statements.
    DiscardAmidString,
    DivideByZero,
    Empty,
    Insert(String),
    Parameter(Option<String>),
    Release(String),
    Reset(Option<String>),
    ResetLocal(String),
    Rollback,
    RollbackTo(String),
    Savepoint(String),
    Set {
        local: bool,
        name: String,
        value: String,
    },
    /// Name, value, and whether it is for the transaction only.
    SetConfig(Vec<(String, String, bool)>),
    Show(String),
    State(Change),
    Vacuum,
    Values(Vec<String>),
}

/// What a command answers.
#[derive(Debug)]
pub(super) enum Answer {
    CopyIn,
    CopyOut(Vec<String>),
    Done(String),
    Empty,
    /// Rows of two columns.
    Pairs(Vec<(String, String)>),
    Rows(Vec<String>),
    Warned(&'static str, &'static str),
}

/// The commands of a text.
pub(super) fn commands(text: &str) -> Result<Vec<Command>, Failed> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let parsed: Option<Vec<Command>> = parts.map(command).collect();
    let mut commands = parsed.ok_or_else(|| ("42601", "syntax error".to_owned()))?;
    if commands.len() > 1 {
        for command in commands.iter_mut().filter(|command| **command == Command::DiscardAll) {
            *command = Command::DiscardAmidString;
        }
    }
    Ok(commands)
}

pub(super) fn command(text: &str) -> Option<Command> {
    let text = without_comments(text)?;
    let text = text.trim();
    let literals = || text.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let name = |text: &str| text.trim().replace('"', "");
    let rest = |prefix: &str| text.strip_prefix(prefix);
    Some(match text {
        "BEGIN" => Command::Begin { read_only: None, tag: "BEGIN" },
        "BEGIN READ ONLY" => Command::Begin { read_only: Some(true), tag: "BEGIN" },
        "BEGIN WORK READ WRITE" => Command::Begin { read_only: Some(false), tag: "BEGIN" },
        "START TRANSACTION" => Command::Begin { read_only: None, tag: "START TRANSACTION" },
        "COMMIT" | "END" => Command::Commit,
        "COPY t FROM STDIN" => Command::CopyIn,
        "COPY v FROM STDIN" => Command::CopyIntoView,
        "COPY t TO STDOUT" => Command::CopyOut,
        "DEALLOCATE ALL" => Command::Deallocate(None),
        "DISCARD ALL" => Command::DiscardAll,
        "RESET ALL" => Command::Reset(None),
        "ROLLBACK" | "ABORT TRANSACTION" => Command::Rollback,
        "SELECT $1::text" => Command::Parameter(None),
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY" => default_read_only("on"),
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE" => default_read_only("off"),
        "SELECT * FROM t" => Command::All,
        "SELECT 1/0" => Command::DivideByZero,
        "VACUUM" => Command::Vacuum,
        "SELECT count(*) FROM t" => Command::Count,
        _ if Change::read(text).is_some() => Command::State(Change::read(text)?),
        _ if text.starts_with("SELECT pg_catalog.set_config(") => {
            let (calls, _) = text.split_once(" WHERE ").unwrap_or((text, ""));
            let calls = calls.split("set_config(").skip(1).map(|call| {
                let mut literals = call.split('\'').skip(1).step_by(2).map(str::to_owned);
                Some((literals.next()?, literals.next()?, call.contains("true")))
            });
            Command::SetConfig(calls.collect::<Option<_>>()?)
        }
        _ if text.starts_with("SELECT '") || text.starts_with("VALUES ") => Command::Values(literals()),
        _ if text.ends_with("RETURNING *") => Command::InsertReturning(literals().pop()?),
        _ if text.starts_with("INSERT INTO t ") => Command::Insert(literals().pop()?),
        _ => {
            if let Some(to) = rest("ROLLBACK TO ") {
                Command::RollbackTo(name(to))
            } else if let Some(savepoint) = rest("SAVEPOINT ") {
                Command::Savepoint(name(savepoint))
            } else if let Some(savepoint) = rest("RELEASE ") {
                Command::Release(name(savepoint))
            } else if let Some(statement) = rest("DEALLOCATE ") {
                Command::Deallocate(Some(name(statement)))
            } else if let Some(setting) = rest("RESET ") {
                Command::Reset(Some(name(setting)))
            } else if let Some(setting) = rest("SHOW ") {
                Command::Show(name(setting))
            } else {
                let local = text.starts_with("SET LOCAL ");
                if let Some(setting) = rest("SET LOCAL ").and_then(|set| set.strip_suffix(" TO DEFAULT")) {
                    return Some(Command::ResetLocal(name(setting)));
                }
                if let Some(setting) = rest("SET ").and_then(|set| set.strip_suffix(" TO DEFAULT")) {
                    return Some(Command::Reset(Some(name(setting))));
                }
                let (setting, value) = rest("SET LOCAL ").or_else(|| rest("SET "))?.split_once(" TO ")?;
                Command::Set { local, name: name(setting), value: value.trim_matches('\'').to_owned() }
            }
        }
    })
}

/// No string has what looks like a comment.
fn without_comments(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    while let Some(start) = text.find("/*") {
        let end = text.find("*/")?;
        text.replace_range(start..end + 2, " ");
    }
    while let Some(start) = text.find("--") {
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        text.replace_range(start..end, " ");
    }
    Some(text)
}

fn default_read_only(value: &str) -> Command {
    Command::Set { local: false, name: "default_transaction_read_only".to_owned(), value: value.to_owned() }
}

impl Command {
    /// The RowDescription's body, if it returns rows.
    pub(super) fn columns(&self) -> Option<Vec<u8>> {
        let rows = matches!(
            self,
            Self::All
                | Self::Count
                | Self::DivideByZero
                | Self::InsertReturning(_)
                | Self::Parameter(_)
                | Self::SetConfig(..)
                | Self::Show(_)
                | Self::Values(_)
        ) || matches!(self, Self::State(change) if change.returns_rows());
        rows.then(|| b"\0\x01c\0\0\0\0\0\0\0\0\0\0\x19\xFF\xFF\xFF\xFF\xFF\xFF\0\0".to_vec())
    }

    /// The ParameterDescription's body.
    pub(super) fn parameters(&self) -> Vec<u8> {
        if matches!(self, Self::Parameter(_)) { b"\0\x01\0\0\0\x19".to_vec() } else { b"\0\0".to_vec() }
    }

    pub(super) fn with(self, value: &str) -> Self {
        if self == Self::Parameter(None) { Self::Parameter(Some(value.to_owned())) } else { self }
    }

    /// Whether what it returns depends on the columns of the table.
    pub(super) fn returns_whole_rows(&self) -> bool {
        matches!(self, Self::All | Self::InsertReturning(_))
    }

    fn ends_failed_block(&self) -> bool {
        matches!(self, Self::Commit | Self::Empty | Self::Rollback | Self::RollbackTo(_))
    }
}

impl Model {
    /// Begins the transaction of a command, if there is none.
    pub(super) fn begin(&mut self, explicit: bool, read_only: bool) {
        let transaction = self.transaction.get_or_insert_with(|| Transaction {
            explicit: false,
            read_only: false,
            failed: false,
            writes: Vec::new(),
            savepoints: Vec::new(),
            before: self.gucs.clone(),
            state_before: self.state.clone(),
        });
        transaction.explicit |= explicit;
        transaction.read_only |= read_only || self.gucs.show("default_transaction_read_only") == "on";
    }

    pub(super) fn is_failed(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.failed)
    }

    /// A failed block takes only what ends it.
    pub(super) fn check(&self, command: &Command) -> Result<(), Failed> {
        if self.is_failed() && !command.ends_failed_block() { Err(aborted()) } else { Ok(()) }
    }

    pub(super) fn end_implicit(&mut self) {
        if self.transaction.as_ref().is_some_and(|transaction| !transaction.explicit) {
            self.commit();
        }
    }

    fn commit(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.database.borrow_mut().committed.extend(transaction.writes);
        }
        self.gucs.end_transaction();
        self.portals.clear();
    }

    pub(super) fn roll_back(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.gucs.restore(&transaction.before);
            self.state.restore(transaction.state_before);
        }
        self.portals.clear();
    }

    pub(super) fn write(&mut self, what: String) -> Result<(), Failed> {
        let Some(transaction) = &mut self.transaction else { panic!("writes have a transaction") };
        let what = what + &self.gucs.identity();
        if transaction.read_only || self.role == NodeRole::Standby {
            if !transaction.read_only {
                self.database.borrow_mut().refused_writes.push(what);
            }
            return Err(("25006", "cannot write in a read-only transaction".to_owned()));
        }
        *self.database.borrow_mut().ran.entry(what.clone()).or_default() += 1;
        transaction.writes.push(what);
        Ok(())
    }

    fn rows(&mut self, rows: Vec<String>) -> Result<Answer, Failed> {
        if self.conflicts > 0 {
            self.conflicts -= 1;
            return Err((self.conflict, "canceling statement due to conflict with recovery".to_owned()));
        }
        Ok(Answer::Rows(rows))
    }

    /// Runs a command.
    pub(super) fn run(&mut self, command: &Command) -> Result<Answer, Failed> {
        self.begin(false, false);
        self.check(command)?;
        let done = |tag: &str| Ok(Answer::Done(tag.to_owned()));
        match command {
            Command::Begin { read_only, tag } => {
                if self.transaction.as_ref().is_some_and(|t| t.explicit) {
                    return Ok(Answer::Warned(tag, "there is already a transaction in progress"));
                }
                self.begin(true, false);
                if let (Some(read_only), Some(transaction)) = (read_only, &mut self.transaction) {
                    transaction.read_only = *read_only;
                }
                done(tag)
            }
            Command::Commit | Command::Rollback => {
                let explicit = self.transaction.as_ref().is_some_and(|t| t.explicit);
                let commits = *command == Command::Commit && !self.is_failed();
                let tag = if commits { "COMMIT" } else { "ROLLBACK" };
                if commits {
                    self.commit()
                } else {
                    self.roll_back()
                }
                if explicit {
                    done(tag)
                } else {
                    Ok(Answer::Warned(tag, "there is no transaction in progress"))
                }
            }
            Command::Savepoint(name) => self.savepoint(name),
            Command::RollbackTo(name) => self.roll_back_to(name),
            Command::Release(name) => {
                let at = self.position(name)?;
                self.savepoints().truncate(at);
                done("RELEASE")
            }
            Command::Insert(what) => {
                self.write(what.clone())?;
                done("INSERT 0 1")
            }
            Command::CopyIn => {
                if self.transaction.as_ref().is_some_and(|t| t.read_only) {
                    return Err(("25006", "cannot execute COPY FROM in a read-only transaction".to_owned()));
                }
                self.say(b'G', &[0, 0, 0]);
                Ok(Answer::CopyIn)
            }
            Command::CopyIntoView => {
                self.say(b'G', &[0, 0, 0]);
                self.flush();
                Err(("42809", "cannot copy to view".to_owned()))
            }
            Command::CopyOut => Ok(Answer::CopyOut(vec!["a\n".to_owned(), "b\n".to_owned()])),
            Command::All => self.all(),
            Command::InsertReturning(what) => {
                self.write(what.clone())?;
                self.all()
            }
            Command::Count => self.count(),
            Command::DivideByZero => Err(("22012", "division by zero".to_owned())),
            Command::Empty => Ok(Answer::Empty),
            Command::State(change) => self.change_state(change),
            Command::Vacuum if self.role == NodeRole::Standby => {
                Err(("25006", "cannot execute VACUUM during recovery".to_owned()))
            }
            Command::Vacuum if self.transaction.as_ref().is_some_and(|t| t.explicit) => {
                Err(("25001", "VACUUM cannot run inside a transaction block".to_owned()))
            }
            Command::Vacuum => done("VACUUM"),
            Command::Parameter(value) => self.rows(vec![value.clone().unwrap_or_default()]),
            Command::Values(rows) => self.rows(rows.clone()),
            Command::Deallocate(name) => self.deallocate(name.as_deref()),
            Command::DiscardAmidString => {
                Err(("25001", "DISCARD ALL cannot run inside a transaction block".to_owned()))
            }
            Command::DiscardAll => {
                if self.transaction.as_ref().is_some_and(|t| t.explicit) {
                    return Err(("25001", "DISCARD ALL cannot run inside a transaction block".to_owned()));
                }
                self.gucs.discard_all();
                self.statements.retain(|name, _| name.is_empty());
                self.state = State::default();
                self.currval = None;
                // It is committed at once, also in a pipeline.
                self.commit();
                done("DISCARD ALL")
            }
            setting => Ok(set(&mut self.gucs, setting)),
        }
    }

    fn all(&mut self) -> Result<Answer, Failed> {
        let shape = self.database.borrow().shape;
        self.rows(vec![format!("shape {shape}")])
    }

    fn count(&mut self) -> Result<Answer, Failed> {
        let own = self.transaction.as_ref().map_or(0, |transaction| transaction.writes.len());
        let committed = self.database.borrow().committed.len();
        self.rows(vec![(committed + own).to_string()])
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<Answer, Failed> {
        let Some(name) = name else {
            self.statements.retain(|name, _| name.is_empty());
            return Ok(Answer::Done("DEALLOCATE ALL".to_owned()));
        };
        if self.statements.remove(name.as_bytes()).is_none() {
            return Err(("26000", format!("prepared statement \"{name}\" does not exist")));
        }
        Ok(Answer::Done("DEALLOCATE".to_owned()))
    }

    fn savepoints(&mut self) -> &mut Vec<(String, Gucs, usize)> {
        &mut self.transaction.as_mut().expect("commands have a transaction").savepoints
    }

    fn position(&mut self, name: &str) -> Result<usize, Failed> {
        if !self.transaction.as_ref().is_some_and(|t| t.explicit) {
            return Err(("25P01", "savepoints can only be used in transaction blocks".to_owned()));
        }
        let found = self.savepoints().iter().rposition(|(other, ..)| other == name);
        found.ok_or_else(|| ("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    fn savepoint(&mut self, name: &str) -> Result<Answer, Failed> {
        let gucs = self.gucs.clone();
        let Some(transaction) = self.transaction.as_mut().filter(|t| t.explicit) else {
            return Err(("25P01", "savepoints can only be used in transaction blocks".to_owned()));
        };
        let writes = transaction.writes.len();
        transaction.savepoints.push((name.to_owned(), gucs, writes));
        Ok(Answer::Done("SAVEPOINT".to_owned()))
    }

    fn roll_back_to(&mut self, name: &str) -> Result<Answer, Failed> {
        let at = self.position(name)?;
        self.savepoints().truncate(at + 1);
        let (_, gucs, writes) = self.savepoints()[at].clone();
        self.gucs.restore(&gucs);
        let transaction = self.transaction.as_mut().expect("it has savepoints");
        transaction.writes.truncate(writes);
        transaction.failed = false;
        Ok(Answer::Done("ROLLBACK".to_owned()))
    }
}

/// Commands about settings.
fn set(gucs: &mut Gucs, command: &Command) -> Answer {
    match command {
        Command::Set { local: true, name, value } => gucs.set_local(name, value),
        Command::Set { local: false, name, value } => gucs.set(name, value),
        Command::SetConfig(calls) => {
            for (name, value, local) in calls {
                if *local {
                    gucs.set_local(name, value);
                } else {
                    gucs.set(name, value);
                }
            }
            return Answer::Rows(vec!["set".to_owned()]);
        }
        Command::Reset(Some(name)) => gucs.reset(name),
        Command::ResetLocal(name) => gucs.reset_local(name),
        Command::Reset(None) => gucs.reset_all(),
        Command::Show(name) => return Answer::Rows(vec![gucs.show(name)]),
        other => panic!("{other:?} is no command about settings"),
    }
    let tag = if matches!(command, Command::Reset(_)) { "RESET" } else { "SET" };
    Answer::Done(tag.to_owned())
}
