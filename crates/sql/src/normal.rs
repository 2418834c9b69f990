//! One text for all texts that differ only in what routing cannot see.
//!
//! Folds case, drops comments and spare whitespace, replaces literals (`''`, `0`) and parameters (`$1`), and
//! shortens lists and rows of literals, so that a thousand lookups by key are one shape. Every verdict is
//! computed from the normal form and from nothing else; that is why a cached verdict cannot differ from a
//! fresh one.
//! Invariant: the normal form of a normal form is itself, and has the same tokens up to literals.
//! Absent: hints in comments; whoever wants them reads the original text.

use crate::bytes::{eight, lowered};
use crate::lexer::{Lexer, Token, TokenKind};

/// What was seen on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Normalised {
    /// `out` holds the normal form.
    Whole,
    /// A quote or comment is never closed: the server will refuse the text as a whole.
    Unterminated,
}

/// Writes the normal form of `text` into `out`, which is cleared first.
pub(crate) fn normalise(text: &[u8], backslashes: bool, out: &mut Vec<u8>) -> Normalised {
    out.clear();
    out.reserve(2 * text.len() + 16);
    let mut writer = Writer::new(text, backslashes, out);
    let mut lexer = Lexer::new(text, backslashes);
    while let Some(token) = lexer.advance() {
        if token.kind == TokenKind::Unterminated {
            return Normalised::Unterminated;
        }
        writer.token(token);
    }
    writer.finish();
    Normalised::Whole
}

/// Words whose strings matter to the analysis: a DO body, the value of a setting, the name of a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Literals are replaced.
    No,
    /// To the end of the statement.
    Statement,
    /// The string after `current_setting (`.
    Next,
}

/// Where we are in a list such as `IN (1, 2, 3)` of which one item is enough.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    No,
    Opened,
    Item(TokenKind),
    /// A comma after an item; the output's length before the comma.
    Comma(TokenKind, usize),
}

/// Rows after VALUES, of which equal neighbours are written once.
#[derive(Clone, Copy)]
struct Rows {
    depth: u32,
    /// Where the row before the current one lies in the output.
    before: Option<(usize, usize)>,
    /// Where the current row's parenthesis lies in the output.
    start: usize,
}

struct Writer<'a> {
    text: &'a [u8],
    backslashes: bool,
    out: &'a mut Vec<u8>,
    /// At first a semicolon, behind which nothing needs a space.
    previous: TokenKind,
    /// Where the previous token begins in the output.
    previous_at: usize,
    keep: Keep,
    list: List,
    depth: u32,
    rows: Option<Rows>,
    statement_start: bool,
}

impl<'a> Writer<'a> {
    fn new(text: &'a [u8], backslashes: bool, out: &'a mut Vec<u8>) -> Self {
        Writer {
            text,
            backslashes,
            out,
            previous: TokenKind::Semicolon,
            previous_at: 0,
            keep: Keep::No,
            list: List::No,
            depth: 0,
            rows: None,
            statement_start: true,
        }
    }

    fn token(&mut self, token: Token) {
        match token.kind {
            TokenKind::Word => self.word(token),
            TokenKind::Str | TokenKind::Number | TokenKind::Param => self.literal(token),
            TokenKind::Open => self.open(),
            TokenKind::Close => self.close(),
            TokenKind::OpenBracket => {
                let array = self.previous_is(b"array");
                self.plain(token);
                self.list = if array { List::Opened } else { List::No };
            }
            TokenKind::Comma => {
                let before = self.out.len();
                self.plain(token);
                self.list = match self.list {
                    List::Item(kind) => List::Comma(kind, before),
                    List::No | List::Opened | List::Comma(..) => List::No,
                };
            }
            TokenKind::Semicolon => self.semicolon(),
            TokenKind::Quoted
            | TokenKind::EscapedName
            | TokenKind::Op
            | TokenKind::CloseBracket
            | TokenKind::Dot
            | TokenKind::Junk
            | TokenKind::Unterminated => {
                self.plain(token);
                self.list = List::No;
            }
        }
        if token.kind != TokenKind::Semicolon {
            self.statement_start = false;
        }
    }

    fn word(&mut self, token: Token) {
        self.begin(TokenKind::Word);
        let (mut at, end) = (token.start as usize, token.end as usize);
        let begins = self.out.len();
        while at < end {
            self.out.extend_from_slice(&lowered(eight(self.text, at)).to_le_bytes());
            at += 8;
        }
        // The last eight bytes went beyond the word.
        self.out.truncate(begins + (end - token.start as usize));
        if self.statement_start && matches!(&self.out[begins..], b"do" | b"set") {
            self.keep = Keep::Statement;
        }
        self.list = List::No;
    }

    fn literal(&mut self, token: Token) {
        let kept = token.kind == TokenKind::Str && self.keep != Keep::No;
        match self.list {
            List::Comma(kind, before) if !kept => {
                self.out.truncate(before);
                self.previous = kind;
                self.list = List::Item(kind);
                return;
            }
            List::Opened if !kept => self.list = List::Item(token.kind),
            List::Opened | List::Comma(..) | List::Item(_) | List::No => self.list = List::No,
        }
        self.begin(token.kind);
        match token.kind {
            TokenKind::Str if kept => self.kept_string(token),
            TokenKind::Str => self.out.extend_from_slice(b"''"),
            TokenKind::Param => self.out.extend_from_slice(b"$1"),
            _ => self.out.push(b'0'),
        }
        if self.keep == Keep::Next {
            self.keep = Keep::No;
        }
    }

    /// Verbatim, but so that it reads the same with standard_conforming_strings on.
    fn kept_string(&mut self, token: Token) {
        let raw = token.of(self.text);
        if self.backslashes && raw[0] == b'\'' {
            self.out.push(b'e');
        }
        self.out.extend_from_slice(raw);
    }

    fn open(&mut self) {
        let (after_values, after_in) = (self.previous_is(b"values"), self.previous_is(b"in"));
        let next_row = self.previous == TokenKind::Comma
            && self.rows.is_some_and(|rows| rows.depth == self.depth && rows.before.is_some());
        if self.previous_is(b"current_setting") {
            self.keep = Keep::Next;
        }
        self.begin(TokenKind::Open);
        let row = self.out.len();
        self.out.push(b'(');
        if after_values {
            self.rows = Some(Rows { depth: self.depth, before: None, start: row });
        } else if let (true, Some(rows)) = (next_row, &mut self.rows) {
            rows.start = row;
        }
        self.depth += 1;
        self.list = if after_in { List::Opened } else { List::No };
    }

    fn close(&mut self) {
        self.begin(TokenKind::Close);
        self.out.push(b')');
        self.depth = self.depth.saturating_sub(1);
        self.list = List::No;
        let Some(rows) = &mut self.rows else { return };
        if rows.depth != self.depth {
            return;
        }
        let (start, end) = (rows.start, self.out.len());
        match rows.before {
            Some((from, to)) if self.out[start..end] == self.out[from..to] => self.out.truncate(to),
            _ => rows.before = Some((start, end)),
        }
    }

    /// Empty statements leave no trace.
    fn semicolon(&mut self) {
        if !self.statement_start {
            self.begin(TokenKind::Semicolon);
            self.out.push(b';');
        }
        self.statement_start = true;
        self.keep = Keep::No;
        self.list = List::No;
        self.rows = None;
    }

    fn plain(&mut self, token: Token) {
        self.begin(token.kind);
        self.out.extend_from_slice(token.of(self.text));
    }

    /// Separates the next token from the previous one where they would otherwise run together.
    fn begin(&mut self, next: TokenKind) {
        if needs_space(self.previous, next) {
            self.out.push(b' ');
        }
        self.previous = next;
        self.previous_at = self.out.len();
    }

    fn previous_is(&self, word: &[u8]) -> bool {
        self.previous == TokenKind::Word && &self.out[self.previous_at..] == word
    }

    fn finish(self) {
        if self.out.last() == Some(&b';') {
            self.out.pop();
        }
    }
}

/// Whether a space belongs between two tokens.
#[inline]
fn needs_space(previous: TokenKind, next: TokenKind) -> bool {
    SPACES[previous as usize] & (1 << next as u16) != 0
}

/// For each sort of token, the sorts before which it needs a space.
static SPACES: [u16; 16] = {
    use TokenKind::{Close, CloseBracket, Comma, Dot, Number, Open, OpenBracket, Semicolon, Word};
    let never = 1 << Close as u16
        | 1 << CloseBracket as u16
        | 1 << Comma as u16
        | 1 << Semicolon as u16
        | 1 << Dot as u16;
    let mut spaces = [!never; 16];
    spaces[Open as usize] = 0;
    spaces[OpenBracket as usize] = 0;
    spaces[Comma as usize] = 0;
    spaces[Semicolon as usize] = 0;
    spaces[Word as usize] &= !(1 << Open as u16 | 1 << OpenBracket as u16);
    // `1 .5` and `1. 5` are not what `1.5` is.
    spaces[Number as usize] |= 1 << Dot as u16;
    spaces[Dot as usize] = 1 << Number as u16;
    spaces
};
