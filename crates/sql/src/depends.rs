//! Whether a read's answer may depend on the transaction that it runs in: then it cannot run apart from its block.
//!
//! Conservative: only PostgreSQL's own functions, types and operators and plain tables are known to depend on nothing but the
//! statement; a name that is a function of the database's own in any schema is taken for that function.
//! Absent: the data that it reads. In READ COMMITTED each statement has a snapshot of its own anyway.

use crate::lexer::{Token, TokenKind};
use crate::names::{self, Names};
use crate::verdict::Depends;

/// What the answer to a query depends on; `text` is a normal form.
pub(crate) fn depends(text: &[u8], tokens: &[Token], names: Names<'_>) -> Depends {
    let casts = tokens.iter().any(|token| matches!(token.of(text), b"cast" | b"treat" | b"returning"));
    let tied = |(at, token): (usize, &Token)| {
        let bytes = token.of(text);
        match token.kind {
            TokenKind::Word | TokenKind::Quoted => {
                let before = at.checked_sub(1).map_or(&b""[..], |before| tokens[before].of(text));
                let name = if token.kind == TokenKind::Quoted { &bytes[1..bytes.len() - 1] } else { bytes };
                let called = tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Open);
                let typed = before == b"::" || (casts && matches!(before, b"as" | b"returning"));
                (token.kind == TokenKind::Word && TIMES.contains(&name))
                    || (called && is_tied_call(name, token.kind))
                    || (typed && !names::is_type(None, name))
                    || names.is_of_database(name)
            }
            TokenKind::Op => !names::is_operator(bytes),
            TokenKind::EscapedName | TokenKind::Junk | TokenKind::Unterminated => true,
            TokenKind::Str
            | TokenKind::Number
            | TokenKind::Param
            | TokenKind::Open
            | TokenKind::Close
            | TokenKind::OpenBracket
            | TokenKind::CloseBracket
            | TokenKind::Comma
            | TokenKind::Dot
            | TokenKind::Semicolon => false,
        }
    };
    if !names.has_catalog() || tokens.iter().enumerate().any(tied) {
        return Depends::Transaction;
    }
    Depends::Statement
}

fn is_tied_call(name: &[u8], kind: TokenKind) -> bool {
    let syntax = kind == TokenKind::Word && names::keyword(name).is_some();
    CALLS.contains(&name) || (!syntax && names::function(None, name).is_none())
}

/// Whether a client's bytes may hold a string that stands for the time of the transaction, or hide what they hold.
///
/// Manual: Date/Time Types, "Special Values".
#[must_use]
pub fn may_name_a_time(bytes: &[u8]) -> bool {
    let is_letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    let begins = |at: usize, word: &[u8]| {
        bytes[at..].get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
    };
    (0..bytes.len()).any(|at| match bytes[at] {
        b'\\' => true,
        b'n' | b'N' | b't' | b'T' | b'y' | b'Y' if at == 0 || !is_letter(at - 1) => {
            SPECIAL_TIMES.iter().any(|word| begins(at, word) && !is_letter(at + word.len()))
        }
        b'u' | b'U' => begins(at, b"u&'"),
        _ => false,
    })
}

/// Keywords that answer with the transaction's time.
const TIMES: [&[u8]; 5] =
    [b"current_date", b"current_time", b"current_timestamp", b"localtime", b"localtimestamp"];

/// PostgreSQL's own functions that answer about their transaction, or about the connection that it has.
const CALLS: [&[u8]; 12] = [
    b"age",
    b"inet_client_addr",
    b"inet_client_port",
    b"inet_server_addr",
    b"inet_server_port",
    b"now",
    b"pg_current_xact_id_if_assigned",
    b"pg_timezone_abbrevs",
    b"pg_timezone_names",
    b"timetz",
    b"transaction_timestamp",
    b"txid_current_if_assigned",
];

/// Strings that a date or a timestamp reads as one of the transaction's.
const SPECIAL_TIMES: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SearchPath;
    use crate::catalog::fixture::{naming, rows};
    use crate::{Classifier, Lexing, Settings, Target};

    #[test]
    fn only_what_is_known_to_depend_on_nothing_else_is_free() {
        let rows = rows(include_str!("catalog/fixture.txt"));
        let naming = naming(&rows, SearchPath::Default);
        let verdict = |text: &str| {
            let mut classifier = Classifier::new(Settings::default(), 7);
            classifier.classify(text.as_bytes(), Lexing::default(), Some(&naming))
        };
        for text in [
            "SELECT 1",
            "",
            "SELECT a, age FROM t JOIN u USING (id) WHERE b IN (1, 2) AND md5(c) = c AND c LIKE 'x%' ORDER BY 1",
            "SELECT count(*), max(n)::bigint FROM t GROUP BY d HAVING count(*) > 1",
            "SELECT current_setting('app.tenant'), clock_timestamp(), statement_timestamp(), random()",
            "SELECT CAST(a AS text), b FROM t",
        ] {
            let found = verdict(text);
            assert_eq!((found.target, found.depends), (Target::Standby, Depends::Statement), "{text}");
        }
        for text in [
            "SELECT now()",
            "SELECT pg_catalog.transaction_timestamp()",
            "SELECT * FROM t WHERE d < CURRENT_DATE",
            "SELECT localtimestamp(2)",
            "SELECT age(d) FROM t",
            "SELECT inet_server_addr()",
            "SELECT txid_current_if_assigned()",
            "SELECT '10:00'::timetz, 1::my_type",
            "WITH x (a) AS (SELECT 1) SELECT * FROM x",
            "SELECT my_function(1)",
            "SHOW search_path",
            "DELETE FROM t",
            "SELECT 1; SELECT 2",
            "SELECT * FROM t FOR UPDATE",
        ] {
            assert_eq!(verdict(text).depends, Depends::Transaction, "{text}");
        }
        let unknown = Classifier::new(Settings::default(), 7).classify(b"SELECT 1", Lexing::default(), None);
        assert_eq!(unknown.depends, Depends::Transaction, "without a catalog nobody knows");
    }

    #[test]
    fn special_times_are_seen_in_any_case_and_whatever_hides_strings() {
        for text in
            ["'now'", "x=Today", "\0TOMORROW\0", "yesterday", "now", "E'\\x6eow'", "U&'!006eow'", "'now2'"]
        {
            assert!(may_name_a_time(text.as_bytes()), "{text}");
        }
        for text in ["", "known", "snow", "nowhere", "todays", "SELECT a FROM t", "united", "u & 1"] {
            assert!(!may_name_a_time(text.as_bytes()), "{text}");
        }
    }
}
