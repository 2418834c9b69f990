//! What a model backend's session holds beyond its transactions, and the question about it.

use std::collections::BTreeSet;

use super::sql::{self, Answer, Command};
use super::{Failed, Model};

/// Channels and tables come and go with transactions, locks do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::tests) struct State {
    channels: BTreeSet<String>,
    tables: BTreeSet<String>,
    locks: usize,
}

/// A command about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Listen(String),
    UnlistenAll,
    CreateTable(String),
    DropTable(String),
    Lock,
    Unlock,
    /// A function that sets this setting.
    Sets(&'static str),
    /// What the client sees of all this.
    Show,
    Prepare(String, Box<Command>),
    Execute(String),
    Question,
    Nextval,
    Currval,
    DiscardSequences,
}

impl Change {
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(match text {
            "UNLISTEN *" => Self::UnlistenAll,
            "SELECT pg_advisory_lock(1)" | "SELECT locks()" => Self::Lock,
            "SELECT pg_advisory_unlock(1)" | "SELECT unlocks()" => Self::Unlock,
            "SELECT sets()" => Self::Sets("work_mem"),
            "SELECT hides()" => Self::Sets("my.hidden"),
            "SELECT held()" => Self::Show,
            "SELECT nextval('s')" => Self::Nextval,
            "SELECT currval('s')" => Self::Currval,
            "DISCARD SEQUENCES" => Self::DiscardSequences,
            _ if text.starts_with("SELECT 'listen'::pg_catalog.text") => Self::Question,
            _ => {
                let rest = |prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
                if let Some(channel) = rest("LISTEN ") {
                    Self::Listen(channel)
                } else if let Some(table) = rest("CREATE TEMP TABLE ") {
                    Self::CreateTable(table)
                } else if let Some(table) = rest("DROP TABLE ") {
                    Self::DropTable(table)
                } else if let Some(name) = rest("EXECUTE ") {
                    Self::Execute(name)
                } else {
                    let (name, command) = text.strip_prefix("PREPARE ")?.split_once(" AS ")?;
                    Self::Prepare(name.to_owned(), Box::new(sql::command(command)?))
                }
            }
        })
    }

    pub(super) fn returns_rows(&self) -> bool {
        matches!(
            self,
            Self::Currval
                | Self::Nextval
                | Self::Lock
                | Self::Unlock
                | Self::Sets(_)
                | Self::Show
                | Self::Question
                | Self::Execute(_)
        )
    }
}

impl State {
    /// A transaction is rolled back.
    pub(super) fn restore(&mut self, before: Self) {
        *self = Self { locks: self.locks, ..before };
    }
}

impl Model {
    pub(super) fn change_state(&mut self, change: &Change) -> Result<Answer, Failed> {
        let done = |tag: &str| Ok(Answer::Done(tag.to_owned()));
        let row = |text: &str| Ok(Answer::Rows(vec![text.to_owned()]));
        match change {
            Change::Listen(channel) => {
                self.state.channels.insert(channel.clone());
                done("LISTEN")
            }
            Change::UnlistenAll => {
                self.state.channels.clear();
                done("UNLISTEN")
            }
            Change::CreateTable(name) => match self.state.tables.insert(name.clone()) {
                true => done("CREATE TABLE"),
                false => Err(("42P07", format!("relation \"{name}\" already exists"))),
            },
            Change::DropTable(name) => match self.state.tables.remove(name) {
                true => done("DROP TABLE"),
                false => Err(("42P01", format!("table \"{name}\" does not exist"))),
            },
            Change::Lock => {
                self.state.locks += 1;
                row("")
            }
            Change::Unlock => {
                let held = self.state.locks > 0;
                self.state.locks = self.state.locks.saturating_sub(1);
                row(if held { "t" } else { "f" })
            }
            Change::Sets(name) => {
                self.gucs.set(name, "by code");
                row("")
            }
            Change::Show => row(&format!("{:?} {}", self.state, self.gucs.show("work_mem"))),
            Change::Prepare(name, command) => {
                if self.statements.contains_key(name.as_bytes()) {
                    return Err(("42P05", format!("prepared statement \"{name}\" already exists")));
                }
                let shape = self.database.borrow().shape;
                self.statements.insert(name.clone().into_bytes(), (Command::clone(command), shape));
                done("PREPARE")
            }
            Change::Execute(name) => {
                let (command, _) = self.statement(name.as_bytes())?;
                self.run(&command)
            }
            Change::Nextval => {
                if self.transaction.as_ref().is_some_and(|transaction| transaction.read_only) {
                    return Err(("25006", "cannot execute nextval() in a read-only transaction".to_owned()));
                }
                let value = self.database.borrow().sequence + 1;
                self.database.borrow_mut().sequence = value;
                self.currval = Some(value);
                row(&value.to_string())
            }
            Change::Currval => match self.currval {
                Some(value) => row(&value.to_string()),
                None => {
                    Err(("55000", "currval of sequence \"s\" is not yet defined in this session".to_owned()))
                }
            },
            Change::DiscardSequences => {
                self.currval = None;
                done("DISCARD SEQUENCES")
            }
            Change::Question => Ok(Answer::Pairs(self.answer_question())),
        }
    }

    fn answer_question(&self) -> Vec<(String, String)> {
        let sql = self.statements.keys().any(|name| !name.is_empty() && !name.starts_with(b"pgweir_"));
        let state = &self.state;
        let shown = [
            ("listen", !state.channels.is_empty()),
            ("temporary_table", !state.tables.is_empty()),
            ("advisory_lock", state.locks > 0),
            ("sql_prepare", sql),
        ];
        let shown = shown.into_iter().filter(|(_, is)| *is).map(|(what, _)| (what.to_owned(), String::new()));
        let settings = self.gucs.session().iter().filter(|(name, _)| !name.contains('.'));
        shown.chain(settings.map(|(name, value)| (name.clone(), value.clone()))).collect()
    }
}
