//! The way from a text to its verdict, cheapest step first.
//!
//! Exact text in the cache, normal form in the cache, first words, then the two analyses. The verdict is a
//! function of the normal form and of what names mean, so the caches can be left out or emptied without changing an answer.
//! Invariant: never fails and never panics, whatever the bytes; memory and time are bounded by the length of
//! the text and by [`Settings`].
//! Absent: routing hints.

use std::ops::Range;
use std::sync::Arc;

use memchr::memchr;

use crate::cache::Cache;
use crate::catalog::Naming;
use crate::depends::depends;
use crate::head::{self, Rest, Words};
use crate::lexer::Token;
use crate::names::Names;
use crate::normal::{Normalised, normalise};
use crate::redact;
use crate::survey::{Survey, survey};
use crate::tree::{self, Tree};
use crate::walk::{self, Walked};
use crate::{Depends, Kind, Leaves, Reason, ShapeCounts, ShapeId, Target, Verdict};

/// Bounds of a [`Classifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Verdicts remembered.
    pub cache_entries: usize,
    /// Longest text, in bytes, that is remembered.
    pub cached_text_max: usize,
    /// Longest statement in normal form, in bytes, that the parser sees.
    pub parse_bytes_max: usize,
    /// Most tokens that the parser sees.
    pub parse_tokens_max: usize,
    /// Most tokens of a text that are analysed at all; longer texts go to the primary.
    pub walk_tokens_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            cache_entries: 4096,
            cached_text_max: 2048,
            parse_bytes_max: 16 * 1024,
            parse_tokens_max: 4000,
            walk_tokens_max: 16_000,
        }
    }
}

/// How the server reads quotes in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexing {
    /// The setting of this name; when off, a backslash escapes in plain strings.
    pub standard_conforming_strings: bool,
}

impl Default for Lexing {
    fn default() -> Self {
        Lexing { standard_conforming_strings: true }
    }
}

/// Answers what a text is. One per worker thread: it owns its cache and shares nothing.
#[derive(Debug)]
pub struct Classifier {
    settings: Settings,
    cache: Cache,
    /// The normal form at hand, kept to save an allocation per text.
    normal: Vec<u8>,
    /// Its tokens.
    tokens: Vec<Token>,
    /// Where statements are counted by shape.
    counts: Option<Arc<ShapeCounts>>,
}

impl Classifier {
    /// A classifier with an empty cache; `seed` keys its hash.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let cache = Cache::new(settings.cache_entries, seed);
        Classifier { settings, cache, normal: Vec::new(), tokens: Vec::new(), counts: None }
    }

    /// The same, counting statements by shape in this table, in which no other counts.
    #[must_use]
    pub fn counting(self, counts: Arc<ShapeCounts>) -> Self {
        Classifier { counts: Some(counts), ..self }
    }

    /// Counts a statement with this verdict that such a node runs. Of `text` counts what stands before a NUL.
    pub fn count(&mut self, verdict: &Verdict, node: Target, text: &[u8], lexing: Lexing) {
        if let Some(counts) = self.counts.take() {
            counts.count(verdict, node, || {
                let text = text.split(|byte| *byte == 0).next()?;
                self.shape(text, lexing)
            });
            self.counts = Some(counts);
        }
    }

    /// What the text is, with names as they are in `naming`; without one only PostgreSQL's own are known. Never fails and
    /// never panics, whatever the bytes. `text` has no trailing NUL.
    pub fn classify(&mut self, text: &[u8], lexing: Lexing, naming: Option<&Naming>) -> Verdict {
        // Without a backslash both ways to read strings agree.
        let backslashes = !lexing.standard_conforming_strings && memchr(b'\\', text).is_some();
        if backslashes {
            let verdict = self.through_normal_form(text, true, naming);
            return without_trust(verdict, Reason::LexingNonstandard);
        }
        if text.len() > self.settings.cached_text_max {
            return self.through_normal_form(text, false, naming);
        }
        let key = self.cache.key(number(naming), text);
        if let Some(verdict) = self.cache.find(key, text) {
            return verdict;
        }
        let verdict = self.through_normal_form(text, false, naming);
        if self.normal != text {
            self.cache.remember(key, text, verdict);
        }
        verdict
    }

    /// The normal form of a text for people, without any of its strings; `None` if a quote or comment is not closed.
    pub fn shape(&mut self, text: &[u8], lexing: Lexing) -> Option<String> {
        let backslashes = !lexing.standard_conforming_strings && memchr(b'\\', text).is_some();
        self.release_buffers();
        match normalise(text, backslashes, &mut self.normal) {
            Normalised::Whole => Some(redact::shown(&self.normal)),
            Normalised::Unterminated => None,
        }
    }

    /// A standby refused the text as a write: its shape is none for standbys, here at once and elsewhere when it is next
    /// judged anew.
    pub fn refused(&mut self, text: &[u8], lexing: Lexing, naming: &Naming) {
        let backslashes = !lexing.standard_conforming_strings && memchr(b'\\', text).is_some();
        self.release_buffers();
        if normalise(text, backslashes, &mut self.normal) == Normalised::Unterminated
            || self.normal.len() > self.settings.cached_text_max
        {
            return;
        }
        naming.refused.add(&self.normal);
        for form in [text, &self.normal] {
            let key = self.cache.key(naming.number, form);
            self.cache.forget(key, form);
        }
    }

    /// What a text is, without looking at what was judged before.
    pub(crate) fn judge(&mut self, text: &[u8], names: Names<'_>) -> Verdict {
        self.release_buffers();
        match normalise(text, false, &mut self.normal) {
            Normalised::Whole => self.analyse(names),
            Normalised::Unterminated => primary(Kind::Other, Reason::TextUnterminated),
        }
    }

    fn through_normal_form(&mut self, text: &[u8], backslashes: bool, naming: Option<&Naming>) -> Verdict {
        let names = Names::under(naming);
        self.release_buffers();
        if normalise(text, backslashes, &mut self.normal) == Normalised::Unterminated {
            return Verdict { leaves: Leaves::Unknown, ..primary(Kind::Other, Reason::TextUnterminated) };
        }
        if std::str::from_utf8(text).is_err() {
            return without_trust(self.analyse(names), Reason::TextEncoding);
        }
        if backslashes || self.normal.len() > self.settings.cached_text_max {
            return self.analyse(names);
        }
        let key = self.cache.key(number(naming), &self.normal);
        if let Some(verdict) = self.cache.find(key, &self.normal) {
            return verdict;
        }
        let mut verdict = self.analyse(names);
        if verdict.target == Target::Standby && naming.is_some_and(|naming| naming.refused.has(&self.normal))
        {
            verdict = without_trust(verdict, Reason::StandbyRefused);
        }
        self.cache.remember(key, &self.normal, verdict);
        verdict
    }

    /// One long text must not hold memory for ever.
    fn release_buffers(&mut self) {
        self.normal.clear();
        self.normal.shrink_to(BUFFER_KEPT);
        self.tokens.clear();
        self.tokens.shrink_to(BUFFER_KEPT / size_of::<Token>());
    }

    /// The verdict on the normal form at hand.
    fn analyse(&mut self, names: Names<'_>) -> Verdict {
        let seen = survey(&self.normal, names, &mut self.tokens, self.settings.walk_tokens_max);
        let mut verdict = match &seen.statements[..] {
            [] => standby(Kind::Empty, Reason::ReadEmpty),
            [statement] if !seen.multi => self.statement(statement.clone(), seen.cut, names),
            _ => self.several(&seen, names),
        };
        verdict.binds = seen.binds;
        verdict.leaves = leaves(verdict, seen.opaque);
        verdict.shape = ShapeId::of(&self.normal);
        if verdict.target == Target::Standby && matches!(verdict.kind, Kind::Query | Kind::Empty) && !seen.cut
        {
            verdict.depends = depends(&self.normal, &self.tokens, names);
        }
        // State that stays behind belongs on the primary, should a read ever look as if it left some.
        if seen.binds.is_some() { without_trust(verdict, Reason::FunctionSession) } else { verdict }
    }

    /// Several statements are a read if each of them is, and no more than a query or SHOW.
    fn several(&self, seen: &Survey, names: Names<'_>) -> Verdict {
        if seen.cut {
            return primary(Kind::Multi, Reason::TextTooLong);
        }
        let read = seen.statements.iter().all(|statement| {
            let verdict = self.statement(statement.clone(), false, names);
            verdict.target == Target::Standby && matches!(verdict.kind, Kind::Query | Kind::Show)
        });
        match read {
            true => standby(Kind::Multi, Reason::Read),
            false => primary(Kind::Multi, Reason::MultiOther),
        }
    }

    fn statement(&self, range: Range<usize>, cut: bool, names: Names<'_>) -> Verdict {
        let head = head::head(Words::new(&self.normal, &self.tokens, range));
        let objection = match head.rest {
            Rest::Decided(target, reason) => {
                return Verdict { target, ..primary(head.kind, reason) };
            }
            _ if cut => Some(Reason::TextTooLong),
            Rest::Query(range) => self.query_objection(range, names),
            Rest::Relation(range) => walk::relation_objection(&self.normal, &self.tokens, range, names),
        };
        match objection {
            Some(reason) => primary(head.kind, reason),
            None => standby(head.kind, Reason::Read),
        }
    }

    /// Both analyses must call a query a read; the walk alone may, in its strict form, where the parser
    /// does not understand the query or must not see it.
    fn query_objection(&self, range: Range<usize>, names: Names<'_>) -> Option<Reason> {
        let walked = walk::walk(&self.normal, &self.tokens, range.clone(), names);
        if let Walked::Objection(reason) = walked {
            return Some(reason);
        }
        match (self.tree(range, names), walked) {
            (Tree::Read, _) | (Tree::Unparsed, Walked::ProvenAlone) => None,
            (Tree::Objection(reason), _) => Some(reason),
            (Tree::Unparsed, _) => Some(Reason::ParseUnknown),
        }
    }

    fn tree(&self, range: Range<usize>, names: Names<'_>) -> Tree {
        let (Some(first), Some(last)) = (self.tokens.get(range.start), self.tokens.get(range.end - 1)) else {
            return Tree::Unparsed;
        };
        let sql = &self.normal[first.start as usize..last.end as usize];
        if sql.len() > self.settings.parse_bytes_max || range.len() > self.settings.parse_tokens_max {
            return Tree::Unparsed;
        }
        std::str::from_utf8(sql).map_or(Tree::Unparsed, |sql| tree::examine(sql, names))
    }
}

/// What names mean, in a cache's key.
fn number(naming: Option<&Naming>) -> u64 {
    naming.map_or(0, |naming| naming.number)
}

fn primary(kind: Kind, reason: Reason) -> Verdict {
    plain(Target::Primary, kind, reason)
}

fn standby(kind: Kind, reason: Reason) -> Verdict {
    plain(Target::Standby, kind, reason)
}

fn plain(target: Target, kind: Kind, reason: Reason) -> Verdict {
    Verdict {
        target,
        kind,
        reason,
        binds: None,
        leaves: Leaves::Nothing,
        depends: Depends::Transaction,
        shape: ShapeId::NONE,
    }
}

/// What may be left behind that the text does not show. A proven read leaves nothing.
fn leaves(verdict: Verdict, opaque: bool) -> Leaves {
    match verdict.target {
        Target::Primary if opaque || hides_calls(verdict.reason) => Leaves::Unknown,
        Target::Standby | Target::Primary => Leaves::Nothing,
    }
}

/// Whether the reason says that calls in the text may not have been seen.
fn hides_calls(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::KindUnknown
            | Reason::LexingNonstandard
            | Reason::NameEscaped
            | Reason::OperatorUnknown
            | Reason::ParseUnknown
            | Reason::TextEncoding
            | Reason::TextTooLong
            | Reason::TextUnterminated
    )
}

/// The verdict on a text of which more is possible than was proven: its kind stands, a proof does not.
fn without_trust(verdict: Verdict, reason: Reason) -> Verdict {
    match verdict.target {
        Target::Standby => {
            let leaves = if hides_calls(reason) { Leaves::Unknown } else { verdict.leaves };
            Verdict { target: Target::Primary, reason, leaves, ..verdict }
        }
        Target::Primary => verdict,
    }
}

/// Bytes of each buffer that outlive a text.
const BUFFER_KEPT: usize = 64 * 1024;

#[cfg(test)]
pub(crate) mod tests;
