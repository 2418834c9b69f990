//! What a function's text shows: whether SQL in it only reads, and which state code in it may leave behind.
//!
//! Invariant: a text of SQL is a read only if the classifier calls each of its statements one.

use crate::classifier::Classifier;
use crate::lexer::{Lexer, TokenKind};
use crate::names::{self, Class, Names};
use crate::pins;
use crate::{Kind, Reason, Target};

/// What a text of SQL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Reads,
    /// Nobody can tell.
    Unclear,
    /// It does more than read.
    Objection,
}

/// Judges the text of an SQL function.
pub(super) fn judge(classifier: &mut Classifier, text: &str, names: Names<'_>) -> Judgement {
    let verdict = classifier.judge(text.as_bytes(), names);
    match (verdict.target, verdict.kind) {
        (Target::Standby, Kind::Query | Kind::Multi | Kind::Empty) => Judgement::Reads,
        (Target::Primary, _) if is_unclear(verdict.reason) => Judgement::Unclear,
        (Target::Standby | Target::Primary, _) => Judgement::Objection,
    }
}

fn is_unclear(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::FunctionUnknown
            | Reason::NameEscaped
            | Reason::OperatorUnknown
            | Reason::ParseDisagree
            | Reason::ParseUnknown
            | Reason::TextEncoding
            | Reason::TextTooLong
            | Reason::TextUnterminated
            | Reason::TypeUnknown
    )
}

/// Whether code calls a function that takes locks, keeps state or writes, whatever its volatility mark says.
pub(super) fn calls_what_binds(text: &str) -> bool {
    calls(text).any(|name| match names::function(None, &name) {
        Some(Class::Lock | Class::Session | Class::Write) => true,
        Some(Class::Node | Class::Safe | Class::Setting | Class::Unproven) | None => false,
    })
}

/// Whether code shows that it may leave state in its session.
pub(super) fn leaves_state(text: &str) -> bool {
    let unseen = |word: &[u8]| matches!(word, b"call" | b"execute" | b"nextval" | b"setval");
    pins::in_code(text.as_bytes()).is_some() || words(text).any(|word| unseen(&word))
}

/// The names in a text that a parenthesis follows, in lower case unless quoted.
pub(super) fn calls(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let tokens: Vec<_> = Lexer::new(text.as_bytes(), false).collect();
    let bytes = text.as_bytes();
    let called = move |at: usize| tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Open);
    let names = Lexer::new(bytes, false).enumerate();
    names.filter_map(move |(at, token)| called(at).then(|| name(bytes, token)).flatten())
}

/// All names and words in a text, in lower case unless quoted.
pub(super) fn words(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let bytes = text.as_bytes();
    Lexer::new(bytes, false).filter_map(move |token| name(bytes, token))
}

fn name(text: &[u8], token: crate::lexer::Token) -> Option<Vec<u8>> {
    let raw = token.of(text);
    match token.kind {
        TokenKind::Word => Some(raw.to_ascii_lowercase()),
        TokenKind::Quoted => Some(raw[1..raw.len() - 1].to_vec()),
        _ => None,
    }
}
