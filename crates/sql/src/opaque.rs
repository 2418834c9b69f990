//! Whether a text runs code that may leave session state which the text does not show.
//!
//! Why beside [`crate::pins`]: a function of the user may take a lock or make a temporary table, and only the server can
//! tell afterwards. The session asks it then, so what is called opaque costs one question and never a wrong answer.
//! Conservative: calls that are none may be counted. Triggers, defaults and views count where a catalog tells of them.
//! Absent: operators and casts, whose code no text names.

use crate::Leaves;
use crate::lexer::{Token, TokenKind};
use crate::names::{self, Keyword, Names};

/// Watches the tokens of a normalised text go by.
pub(crate) struct OpaqueWatch<'t> {
    text: &'t [u8],
    names: Names<'t>,
    found: bool,
    /// Tokens of this statement seen so far.
    seen: u32,
    explains: bool,
    /// What stands before the name that is being read.
    before: Before<'t>,
    name: Path<'t>,
}

/// The token before a name, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before<'t> {
    Word(&'t [u8]),
    /// A closing parenthesis.
    Close,
    Name,
    Other,
}

/// The name that ends with the previous token.
#[derive(Clone, Copy)]
enum Path<'t> {
    None,
    Word(&'t [u8]),
    Quoted(&'t [u8]),
    Qualified(&'t [u8], &'t [u8]),
    /// Behind a dot, a name follows.
    Open(&'t [u8]),
    /// Nobody knows what it names.
    Unclear,
}

impl<'t> OpaqueWatch<'t> {
    pub(crate) fn new(text: &'t [u8], names: Names<'t>) -> Self {
        Self { text, names, found: false, seen: 0, explains: false, before: Before::Other, name: Path::None }
    }

    /// The next token; semicolons between statements go to [`OpaqueWatch::end_statement`].
    pub(crate) fn see(&mut self, token: Token) {
        let bytes = token.of(self.text);
        self.seen += 1;
        match token.kind {
            TokenKind::Word => {
                self.verb(bytes);
                self.found |= self.names.relation_leaves(bytes) == Leaves::Unknown;
            }
            TokenKind::Quoted => self.found |= self.names.relation_leaves(inside(bytes)) == Leaves::Unknown,
            _ => {}
        }
        self.found |= token.kind == TokenKind::Open && self.is_opaque_call();
        self.name = match (self.name, token.kind) {
            (Path::Open(schema), TokenKind::Word) => Path::Qualified(schema, bytes),
            (Path::Open(schema), TokenKind::Quoted) => Path::Qualified(schema, inside(bytes)),
            (Path::Word(schema) | Path::Quoted(schema), TokenKind::Dot) => Path::Open(schema),
            (Path::Qualified(..) | Path::Unclear, TokenKind::Dot) => Path::Unclear,
            (Path::Unclear, TokenKind::Word | TokenKind::Quoted) => Path::Unclear,
            (path, TokenKind::Word) => {
                self.before = path.before(self.before);
                Path::Word(bytes)
            }
            (path, TokenKind::Quoted) => {
                self.before = path.before(self.before);
                Path::Quoted(inside(bytes))
            }
            (_, TokenKind::EscapedName) => Path::Unclear,
            (_, TokenKind::Close) => {
                self.before = Before::Close;
                Path::None
            }
            _ => {
                self.before = Before::Other;
                Path::None
            }
        };
    }

    /// A statement ends here, by a semicolon or with the text.
    pub(crate) fn end_statement(&mut self) {
        *self = Self { found: self.found, ..Self::new(self.text, self.names) };
    }

    /// Whether something opaque was seen.
    pub(crate) fn finish(self) -> bool {
        self.found
    }

    fn verb(&mut self, word: &[u8]) {
        if self.seen == 1 {
            self.explains = word == b"explain";
            self.found |= !TRANSPARENT.iter().any(|verb| verb.as_bytes() == word);
        } else {
            self.found |= self.explains && matches!(word, b"execute" | b"create" | b"refresh");
        }
    }

    /// The name before the parenthesis at hand is that of a function, and nobody knows what it does.
    fn is_opaque_call(&self) -> bool {
        let (schema, name) = match self.name {
            Path::None | Path::Open(_) => return false,
            Path::Unclear => return true,
            Path::Word(word) if !self.may_be_function(word) => return false,
            Path::Word(name) | Path::Quoted(name) => (None, name),
            Path::Qualified(schema, name) => (Some(schema), name),
        };
        let makes_list = match self.before {
            Before::Word(word) => matches!(word, b"as" | b"copy" | b"into" | b"recursive" | b"with"),
            Before::Name => true,
            Before::Close | Before::Other => false,
        };
        !makes_list && self.names.call_leaves(schema, name) == Leaves::Unknown
    }

    /// Whether this unquoted word before a parenthesis can be a function at all.
    fn may_be_function(&self, word: &[u8]) -> bool {
        let clause = match self.before {
            Before::Close => matches!(word, b"filter" | b"over"),
            Before::Word(before) => matches!(
                (before, word),
                (b"not", b"materialized") | (b"on", b"conflict") | (b"update", b"set")
            ),
            Before::Name | Before::Other => false,
        };
        // The verb's own options.
        let begins = self.seen == 2;
        !clause && !begins && !matches!(names::keyword(word), Some(Keyword::Reserved | Keyword::ColumnName))
    }
}

impl<'t> Path<'t> {
    /// What stands before the name that begins behind this one.
    fn before(self, earlier: Before<'t>) -> Before<'t> {
        match self {
            Self::None => earlier,
            Self::Word(word) if names::keyword(word).is_some() => Before::Word(word),
            Self::Word(_) | Self::Quoted(_) | Self::Qualified(..) | Self::Unclear => Before::Name,
            Self::Open(_) => Before::Other,
        }
    }
}

fn inside(quoted: &[u8]) -> &[u8] {
    &quoted[1..quoted.len() - 1]
}

/// Statements that run no code but the functions which they call by name.
#[rustfmt::skip]
static TRANSPARENT: &[&str] = &[
    "abort", "analyse", "analyze", "begin", "checkpoint", "close", "commit", "copy", "deallocate", "declare", "delete",
    "discard", "end", "explain", "fetch", "insert", "listen", "load", "lock", "merge", "move", "notify", "prepare",
    "release", "reset", "rollback", "savepoint", "select", "set", "show", "start", "table", "unlisten", "update", "vacuum",
    "values", "with",
];
