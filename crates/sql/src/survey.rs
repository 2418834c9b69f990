//! Splits a normalised text into its statements and watches for session state, in one pass over its tokens.
//!
//! Invariant: texts of any length are surveyed to their end; only the tokens kept for analysis are bounded.
//! Absent: what a statement means.

use std::ops::Range;

use crate::PinCause;
use crate::lexer::{Lexer, Token, TokenKind};
use crate::names::Names;
use crate::opaque::OpaqueWatch;
use crate::pins::PinWatch;

/// What one pass tells.
pub(crate) struct Survey {
    /// The first statements, as ranges of the kept tokens.
    pub(crate) statements: Vec<Range<usize>>,
    /// Statements or tokens were left out because there are too many.
    pub(crate) cut: bool,
    /// Whether there is more than one statement.
    pub(crate) multi: bool,
    /// Session state that the text leaves behind.
    pub(crate) binds: Option<PinCause>,
    /// Whether it runs code that may leave more.
    pub(crate) opaque: bool,
}

/// Surveys `text`, a normal form. `tokens` is cleared first and then holds at most `tokens_max`.
pub(crate) fn survey(text: &[u8], names: Names<'_>, tokens: &mut Vec<Token>, tokens_max: usize) -> Survey {
    tokens.clear();
    let mut pins = PinWatch::new(text);
    let mut opaque = OpaqueWatch::new(text, names);
    let mut survey = Survey { statements: Vec::new(), cut: false, multi: false, binds: None, opaque: false };
    let mut body = CompoundBody::default();
    let mut start = 0;
    for token in Lexer::new(text, false) {
        if token.kind == TokenKind::Semicolon && !body.inside() {
            survey.end_statement(start..tokens.len());
            pins.end_statement();
            opaque.end_statement();
            body = CompoundBody::default();
            start = tokens.len();
            survey.multi = true;
            continue;
        }
        pins.see(token);
        opaque.see(token);
        body.see(token.kind, token.of(text));
        if tokens.len() < tokens_max {
            tokens.push(token);
        } else {
            survey.cut = true;
        }
    }
    survey.end_statement(start..tokens.len());
    pins.end_statement();
    survey.binds = pins.finish(survey.multi);
    survey.opaque = opaque.finish();
    survey
}

impl Survey {
    fn end_statement(&mut self, range: Range<usize>) {
        if self.statements.len() == STATEMENTS_MAX {
            self.cut = true;
        } else if !range.is_empty() {
            self.statements.push(range);
        }
    }
}

/// Strings of more statements than this are never reads.
const STATEMENTS_MAX: usize = 64;

/// `BEGIN ATOMIC … END` in `CREATE FUNCTION`, and the parenthesis in `CREATE RULE`, have semicolons of their
/// own.
#[derive(Default)]
pub(crate) struct CompoundBody {
    /// Words of the statement seen so far, up to 4.
    words: u32,
    creates: bool,
    body: Body,
    depth: u32,
    previous_begin: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Body {
    #[default]
    None,
    Routine,
    Rule,
}

impl CompoundBody {
    pub(crate) fn inside(&self) -> bool {
        self.depth > 0
    }

    /// The next token; words in lower case.
    pub(crate) fn see(&mut self, kind: TokenKind, bytes: &[u8]) {
        match (self.body, kind) {
            (Body::Rule, TokenKind::Open) => self.depth += 1,
            (Body::Rule, TokenKind::Close) => self.depth = self.depth.saturating_sub(1),
            (Body::None | Body::Routine, TokenKind::Word) => self.word(bytes),
            _ => {}
        }
    }

    fn word(&mut self, word: &[u8]) {
        if self.words < 4 {
            self.words += 1;
            self.creates |= self.words == 1 && word == b"create";
            match word {
                b"function" | b"procedure" if self.creates => self.body = Body::Routine,
                b"rule" if self.creates => self.body = Body::Rule,
                _ => {}
            }
        }
        if self.body != Body::Routine {
            return;
        }
        match word {
            b"atomic" if self.previous_begin && self.depth == 0 => self.depth = 1,
            b"case" | b"begin" if self.depth > 0 => self.depth += 1,
            b"end" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.previous_begin = word == b"begin";
    }
}
