//! What a session needs to know beyond the kind: which setting a `SET` changes, which name a `SAVEPOINT` has.
//!
//! Parsed on demand, since most texts are none of these. Absent: what a session does with it.

mod database;

use crate::lexer::{Lexer, Token, TokenKind, folded};

pub use database::database_alone;

/// What a single `SET` or `RESET` statement changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// For how long.
    pub scope: Scope,
    /// What.
    pub change: Change,
}

/// How long a setting lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To the end of the session, if the transaction commits.
    Session,
    /// To the end of the transaction (`SET LOCAL`).
    Local,
}

/// The change itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `SET name = value`.
    Set {
        /// The setting's name as PostgreSQL spells it: lower case; `timezone`, `client_encoding`, `role`,
        /// `session_authorization`, `xmloption`, `seed` for their SQL spellings.
        name: String,
        /// The raw SQL of the value list, exactly as written (`'a', b`), without a trailing semicolon.
        value: String,
    },
    /// `RESET name`, `SET name TO DEFAULT`.
    Reset {
        /// The setting's name, as in [`Change::Set`].
        name: String,
    },
    /// `RESET ALL`.
    ResetAll,
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION …`.
    TransactionDefaults {
        /// The raw SQL of the modes, exactly as written.
        text: String,
    },
    /// A setting changes, but which cannot be told.
    Other,
}

/// What a `DEALLOCATE` frees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deallocated {
    /// `DEALLOCATE ALL`.
    All,
    /// `DEALLOCATE name`, folded as PostgreSQL folds it.
    Name(String),
}

/// What an `UNLISTEN` ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlistened {
    /// `UNLISTEN *`.
    All,
    /// `UNLISTEN channel`, folded.
    Channel(String),
}

/// What a single `SET` or `RESET` statement changes; `None` if the text is neither. `SET TRANSACTION` and
/// `SET CONSTRAINTS` change no setting beyond the transaction, so they are neither.
pub fn setting_change(text: &[u8]) -> Option<SettingChange> {
    let mut words = Statement::read(text)?;
    if words.eat("reset") {
        let change = reset(&mut words).unwrap_or(Change::Other);
        return Some(SettingChange { scope: Scope::Session, change });
    }
    if !words.eat("set") {
        return None;
    }
    let scope = if words.eat("local") { Scope::Local } else { Scope::Session };
    // SESSION is a scope, or the first word of SESSION AUTHORIZATION and SESSION CHARACTERISTICS.
    if scope == Scope::Session && !words.is_ahead(1, "authorization") && !words.is_ahead(1, "characteristics")
    {
        words.eat("session");
    }
    if words.is_ahead(0, "transaction") || words.is_ahead(0, "constraints") {
        return None;
    }
    let change = set(&mut words).unwrap_or(Change::Other);
    Some(SettingChange { scope, change })
}

fn set(words: &mut Statement<'_>) -> Option<Change> {
    if words.eat_all(&["session", "characteristics", "as", "transaction"]) {
        return Some(Change::TransactionDefaults { text: words.rest()? });
    }
    if words.eat_all(&["session", "authorization"]) {
        return value_of("session_authorization", words);
    }
    if words.eat_all(&["time", "zone"]) {
        if words.is_last("local") {
            return Some(Change::Reset { name: "timezone".to_owned() });
        }
        // An interval has no form that `SET timezone TO` would take: what is wanted is what the server reports.
        return value_of("timezone", words);
    }
    if words.eat_all(&["xml", "option"]) {
        return value_of("xmloption", words);
    }
    for (spelling, name) in [("role", "role"), ("names", "client_encoding"), ("schema", "search_path")] {
        if words.is_ahead(0, spelling) && !words.assigns_at(1) {
            words.eat(spelling);
            let missing = spelling == "names" && words.is_empty();
            let reset = Change::Reset { name: name.to_owned() };
            return if missing { Some(reset) } else { value_of(name, words) };
        }
    }
    let name = setting_name(words)?;
    if !words.eat_assignment() {
        return None;
    }
    value_of(&name, words)
}

fn value_of(name: &str, words: &Statement<'_>) -> Option<Change> {
    let name = name.to_owned();
    if words.is_last("default") {
        return Some(Change::Reset { name });
    }
    Some(Change::Set { name, value: words.rest()? })
}

fn reset(words: &mut Statement<'_>) -> Option<Change> {
    if words.is_last("all") {
        return Some(Change::ResetAll);
    }
    let spelt = [
        (&["time", "zone"][..], "timezone"),
        (&["session", "authorization"], "session_authorization"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
    ];
    let known = spelt.into_iter().find(|(spelling, _)| words.eat_all(spelling));
    let name = match known {
        Some((_, name)) => name.to_owned(),
        None => setting_name(words)?,
    };
    words.is_empty().then_some(Change::Reset { name })
}

/// A setting's name: case does not matter in it, quoted or not, and it may have dots.
fn setting_name(words: &mut Statement<'_>) -> Option<String> {
    let mut name = words.name()?;
    while words.eat_kind(TokenKind::Dot) {
        name.push('.');
        name.push_str(&words.name()?);
    }
    Some(name.to_ascii_lowercase())
}

/// What a single `DEALLOCATE` frees.
pub fn deallocated(text: &[u8]) -> Option<Deallocated> {
    let mut words = Statement::read(text)?;
    if !words.eat("deallocate") {
        return None;
    }
    words.eat_unless_last("prepare");
    if words.is_last("all") {
        return Some(Deallocated::All);
    }
    words.last_name().map(Deallocated::Name)
}

/// The name in `SAVEPOINT x`, `RELEASE [SAVEPOINT] x` or `ROLLBACK TO [SAVEPOINT] x`, folded.
pub fn savepoint_name(text: &[u8]) -> Option<String> {
    let mut words = Statement::read(text)?;
    if words.eat("savepoint") {
        return words.last_name();
    }
    let release = words.eat("release");
    if !release {
        if !words.eat("rollback") {
            return None;
        }
        let _ = words.eat("work") || words.eat("transaction");
        if !words.eat("to") {
            return None;
        }
    }
    words.eat_unless_last("savepoint");
    words.last_name()
}

/// What a single `UNLISTEN` ends.
pub fn unlistened(text: &[u8]) -> Option<Unlistened> {
    let mut words = Statement::read(text)?;
    if !words.eat("unlisten") {
        return None;
    }
    if words.rest().as_deref() == Some("*") {
        return Some(Unlistened::All);
    }
    words.last_name().map(Unlistened::Channel)
}

/// The name in `PREPARE x AS …` or `EXECUTE x`, folded.
pub fn prepared_name(text: &[u8]) -> Option<String> {
    let mut words = Statement::read(text)?;
    if !words.eat("prepare") && !words.eat("execute") {
        return None;
    }
    words.name()
}

/// The names of prepared statements that a text may use, make or drop: what follows EXECUTE, PREPARE and DEALLOCATE
/// anywhere in it. Some may be none.
pub fn statement_names(text: &[u8]) -> Vec<String> {
    let tokens: Vec<Token> = Lexer::new(text, false).collect();
    let is = |at: usize, word: &[u8]| {
        tokens
            .get(at)
            .is_some_and(|token| token.kind == TokenKind::Word && token.of(text).eq_ignore_ascii_case(word))
    };
    let after = |at: usize| {
        let names = is(at, b"execute") || is(at, b"prepare") || is(at, b"deallocate");
        folded(text, *tokens.get(at + 1)?).filter(|_| names)
    };
    (0..tokens.len()).filter_map(after).collect()
}

/// The only statement of a text, read word by word.
struct Statement<'t> {
    text: &'t [u8],
    tokens: Vec<Token>,
    at: usize,
}

impl<'t> Statement<'t> {
    /// `None` if the text has no statement, several, or one that is not closed.
    fn read(text: &'t [u8]) -> Option<Self> {
        let plain: Vec<Token> = Lexer::new(text, false).collect();
        let open = plain.last().is_some_and(|token| token.kind == TokenKind::Unterminated);
        // Then backslashes may escape: standard_conforming_strings can be off.
        let mut tokens = if open { Lexer::new(text, true).collect() } else { plain };
        if tokens.last().is_some_and(|token| token.kind == TokenKind::Unterminated) {
            return None;
        }
        while tokens.last().is_some_and(|token| token.kind == TokenKind::Semicolon) {
            tokens.pop();
        }
        let at = tokens.iter().position(|token| token.kind != TokenKind::Semicolon)?;
        let several = tokens[at..].iter().any(|token| token.kind == TokenKind::Semicolon);
        (!several).then_some(Statement { text, tokens, at })
    }

    fn is_ahead(&self, ahead: usize, word: &str) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|token| {
            token.kind == TokenKind::Word && token.of(self.text).eq_ignore_ascii_case(word.as_bytes())
        })
    }

    fn is_empty(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn is_last(&self, word: &str) -> bool {
        self.at + 1 == self.tokens.len() && self.is_ahead(0, word)
    }

    fn eat(&mut self, word: &str) -> bool {
        let eats = self.is_ahead(0, word);
        self.at += usize::from(eats);
        eats
    }

    fn eat_all(&mut self, words: &[&str]) -> bool {
        let eats = words.iter().enumerate().all(|(ahead, word)| self.is_ahead(ahead, word));
        if eats {
            self.at += words.len();
        }
        eats
    }

    /// An optional keyword which, as the last word, is a name itself.
    fn eat_unless_last(&mut self, word: &str) {
        if !self.is_last(word) {
            self.eat(word);
        }
    }

    fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let eats = self.tokens.get(self.at).is_some_and(|token| token.kind == kind);
        self.at += usize::from(eats);
        eats
    }

    fn assigns_at(&self, ahead: usize) -> bool {
        let equals = self.tokens.get(self.at + ahead).is_some_and(|token| token.of(self.text) == b"=");
        equals || self.is_ahead(ahead, "to")
    }

    fn eat_assignment(&mut self) -> bool {
        let eats = self.assigns_at(0);
        self.at += usize::from(eats);
        eats
    }

    fn name(&mut self) -> Option<String> {
        let name = folded(self.text, *self.tokens.get(self.at)?)?;
        self.at += 1;
        Some(name)
    }

    /// The name that is all there is left.
    fn last_name(&mut self) -> Option<String> {
        self.name().filter(|_| self.is_empty())
    }

    /// The text from here to the end of the statement, as written.
    fn rest(&self) -> Option<String> {
        let (first, last) = (self.tokens.get(self.at)?, self.tokens.last()?);
        let raw = &self.text[first.start as usize..last.end as usize];
        Some(String::from_utf8_lossy(raw).into_owned())
    }
}

#[cfg(test)]
mod tests;
