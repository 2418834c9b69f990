//! The first analysis: a walk over a query's tokens that objects to whatever is not known to only read.
//!
//! Why beside a parser: it knows PostgreSQL's scanner exactly and needs no grammar, so it covers every
//! statement, those that the parser does not understand too. It looks at every name before a parenthesis,
//! every name that may be a relation, every operator, every type of a cast, row locks, INTO, and at verbs
//! where a statement may begin.
//! Invariant: no objection means that each token was accounted for by a rule that says why it is harmless.
//! Absent: what the user's own names mean, which [`Names`] tells.

mod calls;
mod level;
mod relations;

use std::ops::Range;

use crate::Reason;
use crate::lexer::{Token, TokenKind};
use crate::names::{self, Keyword, Names};
use level::{From, Level, Opener};

/// What the walk concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// A read, even if nobody else confirms it: every keyword in it is one that reads have.
    ProvenAlone,
    /// A read if the other analysis says so too.
    NeedsAgreement,
    /// Not proven, and why.
    Objection(Reason),
}

/// Walks the query which is `range` of `tokens`; `text` is a normal form.
pub(crate) fn walk(text: &[u8], tokens: &[Token], range: Range<usize>, names: Names<'_>) -> Walked {
    if let Some(reason) = names.implied_objection() {
        return Walked::Objection(reason);
    }
    let tokens = &tokens[range];
    let mut walk = Walk {
        text,
        tokens,
        names,
        at: 0,
        stack: vec![Level::new(Opener::Query)],
        closed: None,
        after_as: false,
        strict: true,
    };
    for (at, token) in tokens.iter().enumerate() {
        walk.at = at;
        if let Some(reason) = walk.step() {
            return Walked::Objection(reason);
        }
        if token.kind != TokenKind::Close {
            walk.closed = None;
        }
        let named_as = walk.after_as || walk.previous_kind() == Some(TokenKind::Dot);
        walk.after_as = walk.word_at(at) == b"as" && !named_as;
    }
    match (walk.stack.len(), walk.strict) {
        (1, true) => Walked::ProvenAlone,
        (1, false) => Walked::NeedsAgreement,
        _ => Walked::Objection(Reason::ParseUnknown),
    }
}

/// The objection to `COPY name [(columns)] TO STDOUT`, whose tokens up to TO these are.
pub(crate) fn relation_objection(
    text: &[u8],
    tokens: &[Token],
    range: Range<usize>,
    names: Names<'_>,
) -> Option<Reason> {
    let tokens = &tokens[range];
    relations::named(text, tokens)
        .and_then(|(schema, name)| names.relation_objection(schema, name))
        .or_else(|| builtin_objection(text, tokens))
}

fn builtin_objection(text: &[u8], tokens: &[Token]) -> Option<Reason> {
    tokens.iter().find_map(|token| match token.kind {
        TokenKind::Word => names::relation_objection(token.of(text)),
        TokenKind::Quoted => names::relation_objection(unquoted(token.of(text))),
        TokenKind::Open | TokenKind::Close | TokenKind::Comma | TokenKind::Dot => None,
        TokenKind::EscapedName => Some(Reason::NameEscaped),
        _ => Some(Reason::ParseUnknown),
    })
}

/// One walk: the position, the open parentheses, and what was closed just before.
struct Walk<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    names: Names<'a>,
    at: usize,
    stack: Vec<Level>,
    /// What the previous token closed, if it was a closing parenthesis.
    closed: Option<Opener>,
    /// The previous token is the keyword AS, and not a name that looks like it.
    after_as: bool,
    /// No keyword so far that the walk may not judge alone.
    strict: bool,
}

impl<'a> Walk<'a> {
    fn step(&mut self) -> Option<Reason> {
        match self.tokens[self.at].kind {
            TokenKind::Word => self.word(),
            TokenKind::Quoted => self.quoted(),
            TokenKind::Op => self.operator(),
            TokenKind::Str => self.typed_literal(),
            TokenKind::Open => self.open(),
            TokenKind::Close => self.close(),
            TokenKind::EscapedName => Some(Reason::NameEscaped),
            TokenKind::Junk | TokenKind::Semicolon | TokenKind::Unterminated => Some(Reason::ParseUnknown),
            TokenKind::Number
            | TokenKind::Param
            | TokenKind::OpenBracket
            | TokenKind::CloseBracket
            | TokenKind::Dot => None,
            TokenKind::Comma => {
                self.level().on_comma();
                None
            }
        }
    }

    fn word(&mut self) -> Option<Reason> {
        let word = self.bytes(self.at);
        if self.previous_kind() == Some(TokenKind::Dot) {
            return self.identifier(word);
        }
        if self.after_as {
            self.level().on_word(word, b"as");
            return if self.in_type_position() { self.type_name(word) } else { self.label(word) };
        }
        let previous = self.previous_word();
        self.level().on_word(word, previous);
        if let Some(reason) = self.relation() {
            return Some(reason);
        }
        if let Some(reason) = self.forbidden(word) {
            return Some(reason);
        }
        if names::is_statement_verb(word) && !(word == b"set" && self.level().in_with) {
            self.strict = false;
        }
        if word == b"with" && self.starts_with_list() {
            self.level().in_with = true;
        }
        self.identifier(word)
    }

    /// A column's or table's name or alias, a type, a function, or a keyword that forbids nothing.
    fn identifier(&mut self, word: &[u8]) -> Option<Reason> {
        if self.in_type_position() {
            return self.type_name(word);
        }
        self.call(word).or_else(|| names::relation_objection(word)).or_else(|| self.attribute(word))
    }

    /// `row.name` may call a function.
    fn attribute(&self, name: &[u8]) -> Option<Reason> {
        let behind_dot = self.previous_kind() == Some(TokenKind::Dot);
        behind_dot.then(|| self.names.attribute_objection(name)).flatten()
    }

    /// After AS: an alias, the body of a WITH, or a window.
    fn label(&mut self, word: &[u8]) -> Option<Reason> {
        (word == b"into").then_some(Reason::SelectInto).or_else(|| names::relation_objection(word))
    }

    fn quoted(&mut self) -> Option<Reason> {
        let name = unquoted(self.bytes(self.at));
        if self.in_type_position() {
            return self.type_name(name);
        }
        if self.after_as {
            return names::relation_objection(name);
        }
        self.call(name)
            .or_else(|| self.relation())
            .or_else(|| names::relation_objection(name))
            .or_else(|| self.attribute(name))
    }

    /// Words that no read has in this place.
    fn forbidden(&self, word: &[u8]) -> Option<Reason> {
        match word {
            b"into" => Some(Reason::SelectInto),
            b"for" => match self.next_word() {
                b"update" => Some(Reason::LockForUpdate),
                b"no" => Some(Reason::LockForNoKeyUpdate),
                b"share" => Some(Reason::LockForShare),
                b"key" => Some(Reason::LockForKeyShare),
                _ => None,
            },
            b"insert" | b"update" | b"delete" | b"merge" => {
                let may_begin =
                    matches!(self.previous_kind(), None | Some(TokenKind::Open | TokenKind::Close));
                may_begin.then_some(Reason::WriteCte)
            }
            _ => None,
        }
    }

    /// WITH begins a list of queries, unless it belongs to ORDINALITY, TIES, TIME ZONE or JSON's options.
    fn starts_with_list(&self) -> bool {
        !matches!(
            self.next_word(),
            b"ordinality"
                | b"ties"
                | b"time"
                | b"unique"
                | b"wrapper"
                | b"conditional"
                | b"unconditional"
                | b"array"
        )
    }

    /// Behind `::`, behind AS in CAST, behind JSON's RETURNING, and behind the name of a column that is defined, a type must
    /// follow.
    fn in_type_position(&self) -> bool {
        let Some(previous) = self.at.checked_sub(1) else { return false };
        match self.tokens[previous].kind {
            TokenKind::Word | TokenKind::Quoted if self.defines_column(previous) => true,
            TokenKind::Op => self.bytes(previous) == b"::",
            TokenKind::Word if self.after_as => {
                self.stack.last().is_some_and(|level| level.opener == Opener::Cast)
            }
            TokenKind::Word => self.bytes(previous) == b"returning",
            _ => false,
        }
    }

    /// Whether the name at this place begins the definition of a column.
    fn defines_column(&self, at: usize) -> bool {
        let in_columns = self.stack.last().is_some_and(|level| level.opener == Opener::Columns);
        let begins = at.checked_sub(1).is_some_and(|before| {
            matches!(self.kind(before), Some(TokenKind::Open | TokenKind::Comma))
                || self.word_at(before) == b"columns"
        });
        let word = self.word_at(at);
        let clause = names::keyword(word) == Some(Keyword::Reserved)
            || (word == b"partition" && self.word_at(at + 1) == b"by");
        in_columns && begins && !clause && self.word_at(at + 1) != b"for"
    }

    /// `name` is the type or its schema.
    fn type_name(&self, name: &[u8]) -> Option<Reason> {
        let mut schema = None;
        let mut name = name;
        if self.kind(self.at + 1) == Some(TokenKind::Dot) {
            schema = Some(name);
            name = self.name(self.at + 2).unwrap_or_default();
            if self.kind(self.at + 3) == Some(TokenKind::Dot) {
                return Some(Reason::TypeUnknown);
            }
        }
        self.names.type_objection(schema, name)
    }

    /// `word 'string'` is a cast if the word names a type.
    fn typed_literal(&self) -> Option<Reason> {
        let previous = self.at.checked_sub(1)?;
        let name = self.name(previous)?;
        let schema = match previous.checked_sub(1).and_then(|dot| self.kind(dot)) {
            Some(TokenKind::Dot) => {
                Some(previous.checked_sub(2).and_then(|at| self.name(at)).unwrap_or_default())
            }
            _ => None,
        };
        let word = self.tokens[previous].kind == TokenKind::Word && schema.is_none();
        let keyword = word && names::keyword(name).is_some();
        if keyword { None } else { self.names.type_objection(schema, name) }
    }

    fn operator(&self) -> Option<Reason> {
        let enclosed = matches!(self.previous_kind(), Some(TokenKind::Open | TokenKind::Dot))
            && self.kind(self.at + 1) == Some(TokenKind::Close);
        // `OPERATOR(schema.+)` was looked at when its parenthesis came.
        if enclosed { None } else { self.names.operator_objection(None, self.bytes(self.at)) }
    }

    fn open(&mut self) -> Option<Reason> {
        let opener = self.opener();
        let query_follows_list = self.previous_kind() == Some(TokenKind::Close);
        let group = {
            let level = self.level();
            if query_follows_list {
                level.in_with = false;
            }
            level.in_group
        };
        let mut inner = Level::new(opener);
        inner.in_group = group && matches!(opener, Opener::Group | Opener::Grouping);
        inner.from = self.level().opens_from();
        self.stack.push(inner);
        None
    }

    fn close(&mut self) -> Option<Reason> {
        self.closed = self.stack.pop().map(|level| level.opener);
        self.stack.is_empty().then_some(Reason::ParseUnknown)
    }

    /// What the parenthesis at hand belongs to.
    fn opener(&self) -> Opener {
        let Some(previous) = self.at.checked_sub(1) else { return Opener::Group };
        match (self.tokens[previous].kind, self.bytes(previous)) {
            (TokenKind::Word, b"cast" | b"treat" | b"xmlserialize" | b"xmlcast") => Opener::Cast,
            (TokenKind::Word, b"on" | b"operator") => Opener::NoOperand,
            (TokenKind::Word, b"sets" | b"rollup" | b"cube") => Opener::Grouping,
            (TokenKind::Word, b"xmltable") => Opener::XmlTable,
            (TokenKind::Word, b"columns") => Opener::Columns,
            (TokenKind::Word | TokenKind::Quoted, _) if self.names_columns(previous) => Opener::Columns,
            _ => Opener::Group,
        }
    }

    /// Whether the word at this place is an alias of something in FROM, or AS without one.
    fn names_columns(&self, at: usize) -> bool {
        let in_from = self.stack.last().is_some_and(|level| level.from == From::After && !level.in_with);
        let Some(before) = at.checked_sub(1) else { return false };
        let alias = match self.kind(before) {
            Some(TokenKind::Quoted | TokenKind::Close) => true,
            Some(TokenKind::Word) => self.word_at(before) == b"as" || self.is_name(before),
            _ => false,
        };
        in_from && (alias || self.word_at(at) == b"as" || self.word_at(before) == b"ordinality")
    }

    fn level(&mut self) -> &mut Level {
        self.stack.last_mut().expect("close() objects when the outermost level goes")
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn bytes(&self, at: usize) -> &'a [u8] {
        self.tokens[at].of(self.text)
    }

    fn previous_kind(&self) -> Option<TokenKind> {
        self.at.checked_sub(1).and_then(|at| self.kind(at))
    }

    /// The previous token if it is a word.
    fn previous_word(&self) -> &'a [u8] {
        self.at.checked_sub(1).map_or(b"", |at| self.word_at(at))
    }

    fn next_word(&self) -> &'a [u8] {
        self.word_at(self.at + 1)
    }

    fn word_at(&self, at: usize) -> &'a [u8] {
        if self.kind(at) == Some(TokenKind::Word) { self.bytes(at) } else { b"" }
    }

    /// The identifier at this place, quoted or not.
    fn name(&self, at: usize) -> Option<&'a [u8]> {
        match self.kind(at)? {
            TokenKind::Word => Some(self.bytes(at)),
            TokenKind::Quoted => Some(unquoted(self.bytes(at))),
            _ => None,
        }
    }

    /// Whether the word at this place may be the end of an operand: a name or a constant.
    fn is_name(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(TokenKind::Quoted) => true,
            Some(TokenKind::Word) => {
                names::keyword(self.bytes(at)).is_none_or(|class| class == Keyword::Unreserved)
            }
            _ => false,
        }
    }
}

/// The inside of a quoted identifier. Doubled quotes stay doubled: no known name has any.
fn unquoted(quoted: &[u8]) -> &[u8] {
    &quoted[1..quoted.len() - 1]
}
