//! The database that a statement needs for itself: PostgreSQL refuses it while others are connected there.
//!
//! Absent: what code does (`DO`, functions), which most of these statements cannot be in.

use super::Statement;
use crate::lexer::{Lexer, TokenKind, folded};

/// The database to which nobody else may be connected while this statement runs: `DROP DATABASE`, `ALTER DATABASE`
/// with `RENAME` or `SET TABLESPACE`, and the template of `CREATE DATABASE`.
pub fn database_alone(text: &[u8]) -> Option<String> {
    // A text can be long: two words tell for most.
    let mut head = Lexer::new(text, false).filter(|token| token.kind != TokenKind::Semicolon);
    let mut is = |words: &[&[u8]]| {
        let word = head.next().map(|token| token.of(text).to_ascii_lowercase());
        word.is_some_and(|word| words.contains(&&word[..]))
    };
    if !is(&[b"alter", b"create", b"drop"]) || !is(&[b"database"]) {
        return None;
    }
    let mut words = Statement::read(text)?;
    if words.eat_all(&["create", "database"]) {
        words.name()?;
        return template(words);
    }
    if words.eat_all(&["drop", "database"]) {
        words.eat_all(&["if", "exists"]);
        return words.name();
    }
    words.eat_all(&["alter", "database"]);
    let name = words.name()?;
    (words.eat_all(&["rename", "to"]) || words.eat_all(&["set", "tablespace"])).then_some(name)
}

/// The template among the options of CREATE DATABASE.
fn template(mut words: Statement<'_>) -> Option<String> {
    words.eat("with");
    let mut template = None;
    while !words.is_empty() {
        let option = words.name()?;
        if option == "connection" {
            words.eat("limit");
        }
        words.eat_assignment();
        let is_default = words.is_ahead(0, "default");
        let value = words.value()?;
        if option == "template" && !is_default {
            template = Some(value);
        }
    }
    Some(template.unwrap_or_else(|| "template1".to_owned()))
}

impl Statement<'_> {
    /// A name or a plain string; empty for a number.
    fn value(&mut self) -> Option<String> {
        self.eat_kind(TokenKind::Op);
        let token = *self.tokens.get(self.at)?;
        self.at += 1;
        match token.kind {
            TokenKind::Str => {
                let inside = token.of(self.text).strip_prefix(b"'")?.strip_suffix(b"'")?;
                Some(String::from_utf8_lossy(inside).replace("''", "'"))
            }
            TokenKind::Number => Some(String::new()),
            _ => folded(self.text, token),
        }
    }
}
