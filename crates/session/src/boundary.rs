//! The statements that begin and end a transaction block, in the forms that cannot fail.
//!
//! Why by their words: only what is understood to the last word can be answered without a server. Comments are no words;
//! clients that tag their statements tag these too.
//! Absent: names of savepoints and of prepared transactions, which a server must look up.

use crate::modes::is_plain_list;

/// Where a block begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    Begin,
    StartTransaction,
    Commit(Chain),
    Rollback(Chain),
}

/// Whether another block with the same modes begins at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    No,
    Yes,
}

impl Boundary {
    /// Reads the text, if it is one of these and no word in it is in doubt.
    ///
    /// Manual: SQL Commands, BEGIN, START TRANSACTION, COMMIT, END, ROLLBACK, ABORT.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        // Most texts are none of these: the first word tells, without an allocation.
        let start = behind_comments(text)?;
        let length = start.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let verbs = ["abort", "begin", "commit", "end", "rollback", "start"];
        if !verbs.iter().any(|verb| start[..length].eq_ignore_ascii_case(verb.as_bytes())) {
            return None;
        }
        let text = uncommented(start)?.to_ascii_lowercase();
        let text = text.trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
        let (first, rest) = word(text);
        let (second, behind) = word(rest);
        let noise = matches!(second, "work" | "transaction");
        let modes = if noise { behind } else { rest };
        match first {
            "begin" if is_plain_list(modes) => Some(Self::Begin),
            "start" if second == "transaction" && is_plain_list(behind) => Some(Self::StartTransaction),
            "commit" | "end" => Some(Self::Commit(Chain::read(modes)?)),
            "rollback" | "abort" => Some(Self::Rollback(Chain::read(modes)?)),
            _ => None,
        }
    }

    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::StartTransaction => "START TRANSACTION",
            Self::Commit(_) => "COMMIT",
            Self::Rollback(_) => "ROLLBACK",
        }
    }
}

impl Chain {
    fn read(words: &str) -> Option<Self> {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        match words[..] {
            [] | ["and", "no", "chain"] => Some(Self::No),
            ["and", "chain"] => Some(Self::Yes),
            _ => None,
        }
    }
}

/// The first word, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

/// The text from its first word on; `None` if a comment has no end.
fn behind_comments(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.trim_ascii_start();
    while let Some(behind) = comment(rest) {
        rest = rest.get(behind?..)?.trim_ascii_start();
    }
    Some(rest)
}

/// The text with a space for each comment; `None` where it is long or has bytes that no such statement has. Strings are
/// not looked for: where there is one, it is no such statement.
fn uncommented(text: &[u8]) -> Option<String> {
    let mut rest = text;
    let mut out = String::new();
    while let Some(&byte) = rest.first() {
        let taken = match comment(rest) {
            Some(length) => {
                out.push(' ');
                length?
            }
            None if byte.is_ascii() && out.len() < LONGEST => {
                out.push(char::from(byte));
                1
            }
            None => return None,
        };
        rest = rest.get(taken..)?;
    }
    Some(out)
}

/// The length of the comment at the start; `Some(None)` if it has no end.
///
/// Manual: Lexical Structure, "Comments". Those in `/*` nest.
fn comment(text: &[u8]) -> Option<Option<usize>> {
    if text.starts_with(b"--") {
        return Some(Some(text.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(text.len())));
    }
    if !text.starts_with(b"/*") {
        return None;
    }
    let (mut at, mut depth) = (2, 1_usize);
    while depth > 0 {
        match text.get(at..at + 2) {
            None => return Some(None),
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            Some(_) => at += 1,
        }
    }
    Some(Some(at))
}

/// No such text need be longer without its comments, in bytes.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Option<Boundary> = Some(Boundary::Commit(Chain::No));
    const ROLLBACK: Option<Boundary> = Some(Boundary::Rollback(Chain::No));

    #[test]
    fn only_what_cannot_fail_is_understood() {
        for (text, boundary) in [
            ("BEGIN", Some(Boundary::Begin)),
            (" begin work;", Some(Boundary::Begin)),
            ("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY DEFERRABLE", Some(Boundary::Begin)),
            ("start\ttransaction read write ; ", Some(Boundary::StartTransaction)),
            ("COMMIT;", COMMIT),
            ("end transaction", COMMIT),
            ("COMMIT WORK AND NO CHAIN", COMMIT),
            ("END AND CHAIN", Some(Boundary::Commit(Chain::Yes))),
            ("ROLLBACK", ROLLBACK),
            ("ABORT WORK", ROLLBACK),
            ("ROLLBACK TRANSACTION AND CHAIN;", Some(Boundary::Rollback(Chain::Yes))),
            ("BEGIN nonsense", None),
            ("BEGIN , READ ONLY", None),
            ("BEGIN READ ONLY,", None),
            ("BEGIN READ ONLY,,READ ONLY", None),
            ("BEGIN READ ONLY READ WRITE", None),
            ("BEGIN; SELECT 1", None),
            ("START", None),
            ("COMMIT AND", None),
            ("COMMIT AND CHAIN WORK", None),
            ("COMMIT PREPARED 'x'", None),
            ("ROLLBACK TO s", None),
            ("SELECT 1", None),
            ("", None),
        ] {
            assert_eq!(Boundary::read(text.as_bytes()), boundary, "{text}");
        }
    }

    #[test]
    fn comments_are_no_words() {
        for (text, boundary) in [
            ("/* app */ BEGIN", Some(Boundary::Begin)),
            ("-- x\nBEGIN", Some(Boundary::Begin)),
            ("/* a /* b */ c */--d\r\n/**/begin/* e */read/**/only -- f", Some(Boundary::Begin)),
            ("COMMIT /*traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/;", COMMIT),
            ("ROLLBACK -- so\n;", ROLLBACK),
            ("BE/**/GIN", None),
            ("/* BEGIN", None),
            ("/* a /* b */ BEGIN", None),
            ("BEGIN /*", None),
            ("-- BEGIN", None),
            ("BEGIN; -- x\nSELECT 1", None),
            ("BEGIN '-- x", None),
            ("/", None),
        ] {
            assert_eq!(Boundary::read(text.as_bytes()), boundary, "{text}");
        }
        let long = format!("/* {} */ BEGIN /* {0} */", "x".repeat(1_000));
        assert_eq!(Boundary::read(long.as_bytes()), Some(Boundary::Begin));
    }
}
