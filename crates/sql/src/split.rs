//! Cuts a text into its statements, as written.
//!
//! Why: a session must know what each statement of a string changes, and applies it when that one is done.
//! Invariant: where the cuts are not certain there is no answer. Absent: what a statement means.

use std::ops::Range;

use crate::Lexing;
use crate::lexer::{Lexer, TokenKind};
use crate::survey::CompoundBody;

/// The statements of a text that are not empty, in order; `None` where that is not certain.
pub fn statements(text: &[u8], lexing: Lexing) -> Option<Vec<Range<usize>>> {
    // Where a backslash may escape, or a byte may be half a character, quotes cannot be trusted.
    let backslashes = !lexing.standard_conforming_strings && memchr::memchr(b'\\', text).is_some();
    if backslashes || std::str::from_utf8(text).is_err() {
        return None;
    }
    let mut statements = Vec::new();
    let mut body = CompoundBody::default();
    let mut current: Option<Range<usize>> = None;
    for token in Lexer::new(text, false) {
        match token.kind {
            TokenKind::Unterminated => return None,
            TokenKind::Semicolon if !body.inside() => {
                statements.extend(current.take());
                body = CompoundBody::default();
                if statements.len() > STATEMENTS_MAX {
                    return None;
                }
            }
            kind => {
                let word =
                    if kind == TokenKind::Word { token.of(text).to_ascii_lowercase() } else { Vec::new() };
                body.see(kind, &word);
                let start = current.map_or(token.start as usize, |range| range.start);
                current = Some(start..token.end as usize);
            }
        }
    }
    statements.extend(current);
    Some(statements)
}

/// Strings of more statements are not followed.
const STATEMENTS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Option<Vec<&str>> {
        let ranges = statements(text.as_bytes(), Lexing::default())?;
        Some(ranges.into_iter().map(|range| &text[range]).collect())
    }

    #[test]
    fn statements_are_cut_at_their_semicolons() {
        assert_eq!(cut(" SET a = 1;; /* ; */ SELECT ';' ; -- ;\n"), Some(vec!["SET a = 1", "SELECT ';'"]));
        assert_eq!(cut("select $$;$$;select 2"), Some(vec!["select $$;$$", "select 2"]));
        let function =
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END";
        assert_eq!(cut(&format!("{function}; SELECT 2")), Some(vec![function, "SELECT 2"]));
        let rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)";
        assert_eq!(cut(&format!("{rule}; SELECT 2")), Some(vec![rule, "SELECT 2"]));
        assert_eq!(cut(" ; "), Some(vec![]));
    }

    #[test]
    fn what_is_not_certain_is_not_cut() {
        assert_eq!(cut("SELECT 1; SELECT 'a"), None);
        assert_eq!(statements(b"SELECT 1; SELECT '\xff'", Lexing::default()), None);
        let off = Lexing { standard_conforming_strings: false };
        assert_eq!(statements(b"SELECT '\\'; SELECT 2; --'", off), None);
        assert_eq!(statements(b"SELECT 1; SELECT 2", off).map(|cut| cut.len()), Some(2));
        assert_eq!(cut(&"SELECT 1;".repeat(STATEMENTS_MAX + 2)), None);
    }
}
