//! A name before a parenthesis: a call, or one of the many places where syntax puts a parenthesis behind a
//! word.
//!
//! Invariant: what is not certainly syntax is a call. Keywords that may name functions are syntax only where a
//! call could not stand, which the previous token tells.

use super::Walk;
use super::level::Opener;
use crate::Reason;
use crate::lexer::TokenKind;
use crate::names::{self, Call, Keyword};

impl Walk<'_> {
    /// The objection to the name at hand, if a parenthesis follows it.
    pub(super) fn call(&self, name: &[u8]) -> Option<Reason> {
        if self.kind(self.at + 1) != Some(TokenKind::Open) {
            return None;
        }
        let word =
            self.kind(self.at) == Some(TokenKind::Word) && self.previous_kind() != Some(TokenKind::Dot);
        if word && name == b"operator" {
            return self.operator_syntax();
        }
        if (word && self.is_syntax(name)) || self.is_alias_with_columns() || self.is_with_name() {
            return None;
        }
        let meaning = match self.qualifier() {
            Qualifier::None => self.names.call(None, name, || self.arguments()),
            Qualifier::Schema(schema) => self.names.call(Some(schema), name, || self.arguments()),
            Qualifier::Unclear => Call::Unknown,
        };
        match meaning {
            Call::Harmless => None,
            Call::Objection(reason) => Some(reason),
            Call::Rows => self.rows_call(),
            Call::Setting => self.setting_call(),
            Call::Unknown => Some(Reason::FunctionUnknown),
        }
    }

    /// How many arguments the call at hand gives; `None` where that is not certain, or many tokens away.
    fn arguments(&self) -> Option<usize> {
        let first = self.at + 2;
        if self.kind(first) == Some(TokenKind::Close) {
            return Some(0);
        }
        let (mut depth, mut commas) = (0_u32, 0);
        for at in first..first + ARGUMENT_TOKENS_MAX {
            match self.kind(at)? {
                TokenKind::Open | TokenKind::OpenBracket => depth += 1,
                TokenKind::Close if depth == 0 => return Some(commas + 1),
                TokenKind::Close | TokenKind::CloseBracket => depth = depth.saturating_sub(1),
                TokenKind::Comma if depth == 0 => commas += 1,
                TokenKind::Word if depth == 0 && matches!(self.bytes(at), b"order" | b"variadic") => {
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    /// Whether the keyword and its parenthesis are syntax in this place.
    fn is_syntax(&self, word: &[u8]) -> bool {
        let previous = self.previous_word();
        match (names::keyword(word), word) {
            (Some(Keyword::Reserved | Keyword::ColumnName), _) => true,
            (_, b"over" | b"filter" | b"repeatable") => {
                self.closed == Some(Opener::Group) || (word == b"over" && previous == b"nulls")
            }
            (_, b"by") => matches!(previous, b"order" | b"group" | b"partition"),
            (_, b"sets") => previous == b"grouping",
            (_, b"zone") => previous == b"time",
            (_, b"varying") => matches!(previous, b"character" | b"char" | b"nchar" | b"bit"),
            (_, b"second") => previous == b"to" || self.previous_kind() == Some(TokenKind::Str),
            (_, b"first" | b"next") => previous == b"fetch",
            (_, b"materialized") => matches!(previous, b"as" | b"not"),
            (_, b"rollup" | b"cube") => self.stack.last().is_some_and(|level| level.in_group),
            (_, b"escape" | b"columns" | b"passing" | b"like" | b"ilike") => {
                self.follows_operand() || previous == b"not"
            }
            (_, b"join") => {
                self.follows_operand()
                    || matches!(
                        previous,
                        b"left" | b"right" | b"full" | b"inner" | b"outer" | b"cross" | b"natural"
                    )
            }
            _ => false,
        }
    }

    fn follows_operand(&self) -> bool {
        let Some(previous) = self.at.checked_sub(1) else { return false };
        match self.tokens[previous].kind {
            TokenKind::Close => self.closed.is_some_and(|opener| opener != Opener::NoOperand),
            TokenKind::CloseBracket | TokenKind::Str | TokenKind::Number | TokenKind::Param => true,
            TokenKind::Word => {
                self.is_name(previous)
                    || matches!(self.bytes(previous), b"null" | b"true" | b"false" | b"end")
            }
            TokenKind::Quoted => true,
            _ => false,
        }
    }

    /// `FROM relation alias (a, b)`: a call never stands directly behind a name or an operand's parenthesis.
    fn is_alias_with_columns(&self) -> bool {
        let Some(previous) = self.at.checked_sub(1) else { return false };
        match self.tokens[previous].kind {
            TokenKind::Quoted => true,
            TokenKind::Word => names::keyword(self.bytes(previous)).is_none(),
            TokenKind::Close => self.closed.is_some_and(|opener| opener != Opener::NoOperand),
            _ => false,
        }
    }

    /// `WITH name (a, b) AS …`: a list of names, and AS behind it.
    fn is_with_name(&self) -> bool {
        let introduced = matches!(self.previous_word(), b"with" | b"recursive")
            || self.previous_kind() == Some(TokenKind::Comma);
        if !introduced || !self.stack.last().is_some_and(|level| level.in_with) {
            return false;
        }
        let columns = self.tokens[self.at + 2..].iter();
        let length = columns.take_while(|token| {
            matches!(
                token.kind,
                TokenKind::Word | TokenKind::Quoted | TokenKind::EscapedName | TokenKind::Comma
            )
        });
        let close = self.at + 2 + length.count();
        self.kind(close) == Some(TokenKind::Close) && self.word_at(close + 1) == b"as"
    }

    /// `OPERATOR(pg_catalog.+)` is as good as `+`.
    fn operator_syntax(&self) -> Option<Reason> {
        let first = self.at + 2;
        let qualified = self.kind(first + 1) == Some(TokenKind::Dot);
        let op = if qualified { first + 2 } else { first };
        let closed = self.kind(op) == Some(TokenKind::Op) && self.kind(op + 1) == Some(TokenKind::Close);
        let schema = if qualified { Some(self.name(first).unwrap_or_default()) } else { None };
        if closed {
            self.names.operator_objection(schema, self.bytes(op))
        } else {
            Some(Reason::OperatorUnknown)
        }
    }

    /// `jsonb_populate_record(NULL::type, …)` names the type, which objects where it stands.
    fn rows_call(&self) -> Option<Reason> {
        let names_type = self.word_at(self.at + 2) == b"null"
            && self.kind(self.at + 3) == Some(TokenKind::Op)
            && self.bytes(self.at + 3) == b"::";
        (!names_type).then_some(Reason::TypeVolatile)
    }

    /// `current_setting('name'…)` reads only if the setting is known and not the node's.
    fn setting_call(&self) -> Option<Reason> {
        let literal = self.kind(self.at + 2) == Some(TokenKind::Str);
        let alone = matches!(self.kind(self.at + 3), Some(TokenKind::Close | TokenKind::Comma));
        if !literal || !alone {
            return Some(Reason::FunctionNode);
        }
        let name = self.bytes(self.at + 2);
        let plain = name.len() > 2 && name[1..name.len() - 1].iter().all(|byte| is_setting_byte(*byte));
        let own = name[0] == b'\''
            && plain
            && !names::is_node_setting(&name[1..name.len() - 1].to_ascii_lowercase());
        (!own).then_some(Reason::FunctionNode)
    }

    fn qualifier(&self) -> Qualifier<'_> {
        if self.previous_kind() != Some(TokenKind::Dot) {
            return Qualifier::None;
        }
        let Some(schema) = self.at.checked_sub(2) else { return Qualifier::Unclear };
        let further = schema.checked_sub(1).and_then(|at| self.kind(at)) == Some(TokenKind::Dot);
        match self.name(schema) {
            Some(name) if !further => Qualifier::Schema(name),
            _ => Qualifier::Unclear,
        }
    }
}

/// What stands before a function's name and a dot.
enum Qualifier<'a> {
    None,
    Schema(&'a [u8]),
    /// A database, an expression, or nothing at all.
    Unclear,
}

/// How far arguments are counted, since calls may be nested as deep as a text is long.
const ARGUMENT_TOKENS_MAX: usize = 500;

fn is_setting_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.'
}
