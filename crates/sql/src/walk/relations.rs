//! Names where relations stand: behind FROM, JOIN and TABLE, and in the lists that follow.
//!
//! Invariant: every relation that a query reads is looked up. A name that is none may be looked up as well, such as that of
//! a WITH query, or what follows FROM in `extract(year FROM x)`: it then counts as the relation of that name.

use super::level::From;
use super::{Walk, unquoted};
use crate::Reason;
use crate::lexer::{Token, TokenKind};

impl Walk<'_> {
    /// The objection to the relation that the name at hand, or the dotted name which it begins, stands for.
    pub(super) fn relation(&mut self) -> Option<Reason> {
        let word = self.word_at(self.at);
        if self.level().from != From::Item || matches!(word, b"from" | b"join" | b"table") {
            return None;
        }
        if matches!(word, b"lateral" | b"only" | b"rows") {
            return None;
        }
        self.level().from = From::After;
        let (schema, name) = named(self.text, &self.tokens[self.at..])?;
        self.names.relation_objection(schema, name)
    }
}

/// The schema and name with which the tokens begin. Of a name in three parts the first is the database.
pub(super) fn named<'a>(text: &'a [u8], tokens: &[Token]) -> Option<(Option<&'a [u8]>, &'a [u8])> {
    let part = |at: usize| {
        let token = tokens.get(at)?;
        match token.kind {
            TokenKind::Word => Some(token.of(text)),
            TokenKind::Quoted => Some(unquoted(token.of(text))),
            _ => None,
        }
    };
    let next = |at: usize| match tokens.get(at).map(|token| token.kind) {
        Some(TokenKind::Dot) => part(at + 1),
        _ => None,
    };
    let first = part(0)?;
    Some(match (next(1), next(3)) {
        (Some(schema), Some(name)) => (Some(schema), name),
        (Some(name), None) => (Some(first), name),
        (None, _) => (None, first),
    })
}
