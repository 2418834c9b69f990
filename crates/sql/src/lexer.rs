//! Cuts SQL text into tokens exactly as PostgreSQL's scanner does, as far as routing can tell the difference.
//!
//! Why its own: everything else here trusts it, so it must agree with the server about where a string, a
//! comment or an identifier ends, for any bytes, without allocating. Manual: "Lexical Structure".
//! Invariant: tokens are in order, do not overlap, and the text between them is whitespace and comments.
//! Absent: the values of literals, and keywords; a keyword is a [`TokenKind::Word`].

use memchr::{memchr, memchr2, memmem};

use crate::bytes::{eight, is_blank, is_operator_byte, is_word_part, is_word_start, word_bytes};

/// One token: a range of the text and its sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Token {
    /// The token's bytes.
    pub(crate) fn of<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..self.end as usize]
    }
}

/// Sorts of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An unquoted identifier or a keyword.
    Word,
    /// `"name"`.
    Quoted,
    /// `U&"name"`: its escapes are not decoded.
    EscapedName,
    /// Any string constant, continuation lines included.
    Str,
    /// A numeric constant.
    Number,
    /// `$1`.
    Param,
    /// An operator, `::`, `:=`, `=>` or `:`.
    Op,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// A byte that starts no token.
    Junk,
    /// A string, name or comment that is not closed before the text ends.
    Unterminated,
}

/// Reads tokens off a text.
pub(crate) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    /// Backslashes escape in plain strings (`standard_conforming_strings = off`).
    backslashes: bool,
    run: OperatorRun,
}

impl<'t> Lexer<'t> {
    /// A lexer at the start of `text`, of which at most 4 GiB are read.
    pub(crate) fn new(text: &'t [u8], backslashes: bool) -> Self {
        Lexer {
            text: &text[..text.len().min(u32::MAX as usize)],
            at: 0,
            backslashes,
            run: OperatorRun::default(),
        }
    }

    /// The next token. For the one loop that every text goes through; elsewhere the iterator does.
    #[inline(always)]
    pub(crate) fn advance(&mut self) -> Option<Token> {
        let blank = self.at;
        if !self.skip_blank() {
            let end = self.text.len() as u32;
            return Some(Token { kind: TokenKind::Unterminated, start: blank as u32, end });
        }
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at as u32;
        let kind = self.token();
        self.at = self.at.min(self.text.len());
        Some(Token { kind, start, end: self.at as u32 })
    }

    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips whitespace and comments; false if a comment is not closed.
    #[inline(always)]
    fn skip_blank(&mut self) -> bool {
        while is_blank(self.peek(0)) {
            self.at += 1;
        }
        let comment = matches!((self.peek(0), self.peek(1)), (b'-', b'-') | (b'/', b'*'));
        !comment || self.skip_comments()
    }

    #[inline(never)]
    fn skip_comments(&mut self) -> bool {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.peek(1) == b'-' => self.skip_line_comment(),
                b'/' if self.peek(1) == b'*' => {
                    if !self.skip_block_comment() {
                        return false;
                    }
                }
                _ => return true,
            }
        }
    }

    fn skip_line_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) -> bool {
        let mut depth = 0usize;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => {
                    let rest = &self.text[self.at + 1..];
                    self.at += 1 + memchr2(b'/', b'*', rest).unwrap_or(rest.len());
                }
            }
        }
        false
    }

    #[inline(always)]
    fn token(&mut self) -> TokenKind {
        let first = self.peek(0);
        if is_word_start(first) {
            return self.word_or_prefixed(first);
        }
        if let Some(kind) = PUNCTUATION[usize::from(first & 0x7f)] {
            self.at += 1;
            return kind;
        }
        match first {
            b'\'' => self.string(self.backslashes),
            b'"' => self.quoted(TokenKind::Quoted),
            b'$' => self.dollar(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'0'..=b'9' => self.number(),
            _ if is_operator_byte(first) => self.operator(),
            _ => self.punctuation(first),
        }
    }

    fn punctuation(&mut self, first: u8) -> TokenKind {
        self.at += 1;
        match first {
            b'.' => TokenKind::Dot,
            b':' => {
                if matches!(self.peek(0), b':' | b'=') {
                    self.at += 1;
                }
                TokenKind::Op
            }
            _ => TokenKind::Junk,
        }
    }

    /// A word, or a string or name whose quote has a letter before it: `E'' B'' X'' N'' U&'' U&""`.
    #[inline(always)]
    fn word_or_prefixed(&mut self, first: u8) -> TokenKind {
        if !matches!(self.peek(1), b'\'' | b'&') {
            self.word();
            return TokenKind::Word;
        }
        match (first, self.peek(1), self.peek(2)) {
            (b'e' | b'E', b'\'', _) => {
                self.at += 1;
                self.string(true)
            }
            (b'b' | b'B' | b'x' | b'X', b'\'', _) => {
                self.at += 1;
                self.string(false)
            }
            (b'n' | b'N', b'\'', _) => {
                self.at += 1;
                self.string(self.backslashes)
            }
            (b'u' | b'U', b'&', b'\'') => {
                self.at += 2;
                self.string(false)
            }
            (b'u' | b'U', b'&', b'"') => {
                self.at += 2;
                self.quoted(TokenKind::EscapedName)
            }
            _ => {
                self.word();
                TokenKind::Word
            }
        }
    }

    #[inline]
    fn word(&mut self) {
        loop {
            let length = word_bytes(eight(self.text, self.at));
            self.at += length;
            if length < 8 {
                return;
            }
        }
    }

    /// A string constant from its opening quote on, with the continuations that follow on later lines.
    fn string(&mut self, backslashes: bool) -> TokenKind {
        loop {
            if !self.string_segment(backslashes) {
                return TokenKind::Unterminated;
            }
            let end = self.at;
            if !self.skip_to_continuation() {
                self.at = end;
                return TokenKind::Str;
            }
        }
    }

    fn string_segment(&mut self, backslashes: bool) -> bool {
        self.at += 1;
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let stop = if backslashes { memchr2(b'\'', b'\\', rest) } else { memchr(b'\'', rest) };
            let Some(stop) = stop else { break };
            self.at += stop;
            match (self.peek(0), self.peek(1)) {
                (b'\'', b'\'') | (b'\\', _) => self.at += 2,
                _ => {
                    self.at += 1;
                    return true;
                }
            }
        }
        self.at = self.text.len();
        false
    }

    /// A string goes on if only whitespace with a newline in it (and `--` comments) lies before the next quote.
    fn skip_to_continuation(&mut self) -> bool {
        let mut newline = false;
        loop {
            match self.peek(0) {
                b'\n' | b'\r' => {
                    newline = true;
                    self.at += 1;
                }
                b' ' | b'\t' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.peek(1) == b'-' => self.skip_line_comment(),
                b'\'' => return newline,
                _ => return false,
            }
        }
    }

    fn quoted(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(stop) = memchr(b'"', rest) else {
                self.at = self.text.len();
                return TokenKind::Unterminated;
            };
            self.at += stop + 1;
            if self.peek(0) != b'"' {
                return kind;
            }
            self.at += 1;
        }
    }

    /// `$1`, `$tag$ … $tag$`, or a lone dollar.
    fn dollar(&mut self) -> TokenKind {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.digits(|byte| byte.is_ascii_digit());
            return TokenKind::Param;
        }
        let mut length = 1;
        if is_word_start(self.peek(1)) {
            while is_word_part(self.peek(length)) && self.peek(length) != b'$' {
                length += 1;
            }
        }
        if self.peek(length) != b'$' {
            self.at += 1;
            return TokenKind::Junk;
        }
        let delimiter = &self.text[self.at..=self.at + length];
        let body = self.at + length + 1;
        match memmem::find(&self.text[body..], delimiter) {
            Some(stop) => {
                self.at = body + stop + delimiter.len();
                TokenKind::Str
            }
            None => {
                self.at = self.text.len();
                TokenKind::Unterminated
            }
        }
    }

    /// Letters that follow a number directly are a word of their own, as before PostgreSQL 15; `0x1F` and
    /// `1_000` are one number, as since 16. Where versions differ, neither reading hides a name from us.
    fn number(&mut self) -> TokenKind {
        if self.peek(0) == b'0' && matches!(self.peek(1) | 0x20, b'x' | b'o' | b'b') {
            let part: fn(u8) -> bool = match self.peek(1) | 0x20 {
                b'x' => |byte| byte.is_ascii_hexdigit() || byte == b'_',
                _ => |byte| byte.is_ascii_digit() || byte == b'_',
            };
            if part(self.peek(2)) {
                self.at += 2;
                self.digits(part);
                return TokenKind::Number;
            }
        }
        self.decimal_digits();
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            self.decimal_digits();
        }
        if self.peek(0) | 0x20 == b'e' {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.decimal_digits();
            }
        }
        TokenKind::Number
    }

    fn decimal_digits(&mut self) {
        while self.peek(0).is_ascii_digit() || (self.peek(0) == b'_' && self.peek(1).is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn digits(&mut self, part: impl Fn(u8) -> bool) {
        while part(self.peek(0)) {
            self.at += 1;
        }
    }

    /// The longest run of operator bytes that no comment interrupts, less trailing signs where PostgreSQL would
    /// not let an operator end so. A run is measured once, however many operators it falls into.
    fn operator(&mut self) -> TokenKind {
        if self.at >= self.run.end {
            self.run = OperatorRun::measure(self.text, self.at);
        }
        let keeps_signs = self.run.last_special.is_some_and(|special| special >= self.at);
        let end = if keeps_signs { self.run.end } else { self.run.signs_from };
        self.at = end.max(self.at + 1);
        TokenKind::Op
    }
}

/// A run of operator bytes in the text.
#[derive(Default)]
struct OperatorRun {
    end: usize,
    /// Where the `+` and `-` begin that the run ends with.
    signs_from: usize,
    /// The last byte which lets an operator end with a sign.
    last_special: Option<usize>,
}

impl OperatorRun {
    fn measure(text: &[u8], start: usize) -> Self {
        let mut run = OperatorRun { end: start, signs_from: start, last_special: None };
        while let Some(&byte) = text.get(run.end) {
            let comment = matches!(text[run.end..], [b'-', b'-', ..] | [b'/', b'*', ..]);
            if !is_operator_byte(byte) || (comment && run.end > start) {
                break;
            }
            if b"~!@#%^&|`?".contains(&byte) {
                run.last_special = Some(run.end);
            }
            run.end += 1;
            if !matches!(byte, b'+' | b'-') {
                run.signs_from = run.end;
            }
        }
        run
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.advance()
    }
}

/// The block comments before the first token, line comments and one that is never closed left out.
pub(crate) fn leading_comments(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut lexer = Lexer::new(text, false);
    std::iter::from_fn(move || {
        loop {
            let start = lexer.at;
            match (lexer.peek(0), lexer.peek(1)) {
                (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => lexer.at += 1,
                (b'-', b'-') => lexer.skip_line_comment(),
                (b'/', b'*') => return lexer.skip_block_comment().then(|| &text[start..lexer.at]),
                _ => return None,
            }
        }
    })
}

/// An identifier as PostgreSQL stores it: unquoted ones folded to lower case (ASCII), quoted ones stripped of
/// their quotes, both cut to 63 bytes. `None` for other tokens and for `U&""`.
pub(crate) fn folded(text: &[u8], token: Token) -> Option<String> {
    let raw = token.of(text);
    let name = match token.kind {
        TokenKind::Word => String::from_utf8_lossy(raw).to_ascii_lowercase(),
        TokenKind::Quoted => String::from_utf8_lossy(&raw[1..raw.len() - 1]).replace("\"\"", "\""),
        _ => return None,
    };
    Some(cut_to_identifier(name))
}

pub(crate) fn cut_to_identifier(mut name: String) -> String {
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// Bytes that are a token each, whatever follows.
static PUNCTUATION: [Option<TokenKind>; 128] = {
    let mut kinds = [None; 128];
    kinds[b'(' as usize] = Some(TokenKind::Open);
    kinds[b')' as usize] = Some(TokenKind::Close);
    kinds[b'[' as usize] = Some(TokenKind::OpenBracket);
    kinds[b']' as usize] = Some(TokenKind::CloseBracket);
    kinds[b',' as usize] = Some(TokenKind::Comma);
    kinds[b';' as usize] = Some(TokenKind::Semicolon);
    kinds
};

#[cfg(test)]
mod tests;
