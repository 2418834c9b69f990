//! What kind of statement the first words tell, and which part of it remains to be proven a read.
//!
//! Level 0 of the classification: for most statements that are no reads, this is all there is to know.
//! Absent: anything behind the first words of a query.

use std::ops::Range;

use crate::lexer::{Token, TokenKind};
use crate::names;
use crate::{BeginMode, CopyDirection, DiscardScope, Isolation, Kind, Reason, Target};

/// A statement's kind and what is left to prove.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) rest: Rest,
}

/// What remains to be proven.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing: the head decides.
    Decided(Target, Reason),
    /// These tokens (absolute positions) are a query: a read if it is one.
    Query(Range<usize>),
    /// These tokens name a relation and its columns: a read unless the relation is the node's.
    Relation(Range<usize>),
}

/// One statement's tokens, read from the front.
pub(crate) struct Words<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    range: Range<usize>,
}

impl<'a> Words<'a> {
    /// The statement which is `range` of `tokens`; `text` is a normal form.
    pub(crate) fn new(text: &'a [u8], tokens: &'a [Token], range: Range<usize>) -> Self {
        Words { text, tokens, range }
    }

    fn kind(&self) -> Option<TokenKind> {
        self.range.clone().next().map(|at| self.tokens[at].kind)
    }

    /// The next token if it is a word, else nothing.
    fn peek(&self) -> &'a [u8] {
        match self.range.clone().next() {
            Some(at) if self.tokens[at].kind == TokenKind::Word => self.tokens[at].of(self.text),
            _ => b"",
        }
    }

    fn next(&mut self) -> &'a [u8] {
        let word = self.peek();
        self.range.next();
        word
    }

    fn eat(&mut self, word: &[u8]) -> bool {
        let eats = self.peek() == word;
        if eats {
            self.range.next();
        }
        eats
    }

    fn eat_any(&mut self, words: &[&[u8]]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Skips a parenthesis with all it holds; answers what it holds.
    fn parenthesis(&mut self) -> Option<Range<usize>> {
        if self.kind() != Some(TokenKind::Open) {
            return None;
        }
        let start = self.range.start + 1;
        let mut depth = 0u32;
        for at in self.range.by_ref() {
            match self.tokens[at].kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close if depth == 1 => return Some(start..at),
                TokenKind::Close => depth -= 1,
                _ => {}
            }
        }
        None
    }
}

/// The head of the statement.
pub(crate) fn head(mut words: Words<'_>) -> Head {
    if let Some(rest) = query(&words) {
        return Head { kind: Kind::Query, rest };
    }
    match words.next() {
        b"insert" => primary(Kind::Modify, Reason::WriteInsert),
        b"update" => primary(Kind::Modify, Reason::WriteUpdate),
        b"delete" => primary(Kind::Modify, Reason::WriteDelete),
        b"merge" => primary(Kind::Modify, Reason::WriteMerge),
        b"show" => show(words),
        b"explain" => explain(words),
        b"copy" => copy(words),
        word => {
            transaction(word, &mut words).or_else(|| session(word, &mut words)).unwrap_or_else(|| other(word))
        }
    }
}

fn primary(kind: Kind, reason: Reason) -> Head {
    Head { kind, rest: Rest::Decided(Target::Primary, reason) }
}

fn standby(kind: Kind, reason: Reason) -> Head {
    Head { kind, rest: Rest::Decided(Target::Standby, reason) }
}

/// Statements that begin, divide or end a transaction block.
fn transaction(word: &[u8], words: &mut Words<'_>) -> Option<Head> {
    let control = |kind| Some(primary(kind, Reason::KindTransaction));
    match word {
        b"begin" => {
            words.eat_any(&[b"work", b"transaction"]);
            Some(begin(words))
        }
        b"start" if words.eat(b"transaction") => Some(begin(words)),
        b"commit" if words.eat(b"prepared") => control(Kind::CommitPrepared),
        b"commit" | b"end" => control(if chains(words) { Kind::CommitAndChain } else { Kind::Commit }),
        b"rollback" if words.eat(b"prepared") => control(Kind::RollbackPrepared),
        b"rollback" | b"abort" => {
            let chains = chains(words);
            let to = word == b"rollback" && words.peek() == b"to";
            control(match (to, chains) {
                (true, _) => Kind::RollbackTo,
                (false, true) => Kind::RollbackAndChain,
                (false, false) => Kind::Rollback,
            })
        }
        b"savepoint" => control(Kind::Savepoint),
        b"release" => control(Kind::ReleaseSavepoint),
        b"prepare" if words.peek() == b"transaction" && words.range.len() == 2 => {
            control(Kind::PrepareTransaction)
        }
        _ => None,
    }
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`: whether a new block follows at once.
fn chains(words: &mut Words<'_>) -> bool {
    words.eat_any(&[b"work", b"transaction"]);
    words.eat(b"and") && words.eat(b"chain")
}

fn begin(words: &mut Words<'_>) -> Head {
    let mode = begin_mode(words);
    let kind = Kind::Begin(mode.unwrap_or_default());
    match mode {
        Some(BeginMode { read_only: Some(true), isolation, .. })
            if isolation != Some(Isolation::Serializable) =>
        {
            standby(kind, Reason::ReadTransaction)
        }
        _ => primary(kind, Reason::KindBegin),
    }
}

/// The transaction modes up to the end; the last of a sort counts, as in PostgreSQL.
fn begin_mode(words: &mut Words<'_>) -> Option<BeginMode> {
    let mut mode = BeginMode::default();
    while !words.is_empty() {
        if words.kind() == Some(TokenKind::Comma) {
            words.range.next();
        }
        match words.next() {
            b"read" => mode.read_only = Some(access(words.next())?),
            b"deferrable" => mode.deferrable = Some(true),
            b"not" if words.eat(b"deferrable") => mode.deferrable = Some(false),
            b"isolation" if words.eat(b"level") => mode.isolation = Some(isolation(words)?),
            _ => return None,
        }
    }
    Some(mode)
}

fn access(word: &[u8]) -> Option<bool> {
    match word {
        b"only" => Some(true),
        b"write" => Some(false),
        _ => None,
    }
}

fn isolation(words: &mut Words<'_>) -> Option<Isolation> {
    match words.next() {
        b"serializable" => Some(Isolation::Serializable),
        b"repeatable" if words.eat(b"read") => Some(Isolation::RepeatableRead),
        b"read" if words.eat(b"committed") => Some(Isolation::ReadCommitted),
        b"read" if words.eat(b"uncommitted") => Some(Isolation::ReadUncommitted),
        _ => None,
    }
}

/// Statements about the state of the session.
fn session(word: &[u8], words: &mut Words<'_>) -> Option<Head> {
    Some(match word {
        b"set" => set(words),
        b"reset" => primary(Kind::Reset, Reason::KindSet),
        b"discard" => primary(discard(words.next()).map_or(Kind::Other, Kind::Discard), Reason::KindSet),
        b"prepare" => primary(Kind::Prepare, Reason::KindPrepared),
        b"execute" => primary(Kind::Execute, Reason::KindPrepared),
        b"deallocate" => primary(Kind::Deallocate, Reason::KindPrepared),
        b"declare" => primary(Kind::Declare, Reason::KindCursor),
        b"fetch" => primary(Kind::Fetch, Reason::KindCursor),
        b"move" => primary(Kind::Move, Reason::KindCursor),
        b"close" => primary(Kind::ClosePortal, Reason::KindCursor),
        b"listen" => primary(Kind::Listen, Reason::KindNotify),
        b"unlisten" => primary(Kind::Unlisten, Reason::KindNotify),
        b"notify" => primary(Kind::Notify, Reason::KindNotify),
        b"load" => primary(Kind::Load, Reason::KindSet),
        _ => return None,
    })
}

fn set(words: &mut Words<'_>) -> Head {
    words.eat_any(&[b"local", b"session"]);
    let kind = match words.peek() {
        b"transaction" => Kind::SetTransaction,
        b"constraints" => Kind::Other,
        _ => Kind::Set,
    };
    primary(kind, Reason::KindSet)
}

fn discard(scope: &[u8]) -> Option<DiscardScope> {
    match scope {
        b"all" => Some(DiscardScope::All),
        b"plans" => Some(DiscardScope::Plans),
        b"sequences" => Some(DiscardScope::Sequences),
        b"temp" | b"temporary" => Some(DiscardScope::Temporary),
        _ => None,
    }
}

fn other(word: &[u8]) -> Head {
    match word {
        b"create" | b"alter" | b"drop" | b"truncate" | b"comment" | b"grant" | b"revoke" | b"security"
        | b"reindex" | b"refresh" | b"import" | b"reassign" => primary(Kind::Ddl, Reason::KindDdl),
        b"vacuum" => primary(Kind::Vacuum, Reason::KindMaintenance),
        b"analyze" | b"analyse" | b"checkpoint" | b"cluster" | b"repack" => {
            primary(Kind::Other, Reason::KindMaintenance)
        }
        b"call" => primary(Kind::Call, Reason::KindCall),
        b"do" => primary(Kind::Do, Reason::KindDo),
        b"lock" => primary(Kind::Lock, Reason::KindLock),
        _ => primary(Kind::Other, Reason::KindUnknown),
    }
}

/// `SHOW name`, `SHOW TIME ZONE`, `SHOW TRANSACTION ISOLATION LEVEL`, `SHOW SESSION AUTHORIZATION`.
fn show(mut words: Words<'_>) -> Head {
    let name = match words.kind() {
        Some(TokenKind::Quoted) => {
            let quoted = words.tokens[words.range.start].of(words.text);
            quoted[1..quoted.len() - 1].to_ascii_lowercase()
        }
        _ => words.next().to_vec(),
    };
    if name.is_empty() || names::is_node_setting(&name) {
        return primary(Kind::Show, Reason::ShowNode);
    }
    standby(Kind::Show, Reason::ReadShow)
}

/// `EXPLAIN [ANALYZE] [VERBOSE] statement`, `EXPLAIN (options) statement`.
fn explain(mut words: Words<'_>) -> Head {
    if words.kind() == Some(TokenKind::Open) {
        let start = words.range.start;
        let inside = words.parenthesis();
        // A parenthesis with nothing behind it is the query itself.
        if inside.is_none() || words.is_empty() || starts_query(&words, start + 1) {
            words.range.start = start;
        }
    } else {
        words.eat_any(&[b"analyze", b"analyse"]);
        words.eat(b"verbose");
    }
    let rest = query(&words).unwrap_or(Rest::Decided(Target::Primary, Reason::ExplainWrite));
    Head { kind: Kind::Explain, rest }
}

/// The rest of the words, if they begin a query.
fn query(words: &Words<'_>) -> Option<Rest> {
    let begins = words.range.clone().next().is_some_and(|at| starts_query(words, at));
    begins.then(|| Rest::Query(words.range.clone()))
}

fn starts_query(words: &Words<'_>, at: usize) -> bool {
    let token = words.tokens[at];
    token.kind == TokenKind::Open
        || matches!(token.of(words.text), b"select" | b"values" | b"table" | b"with")
}

/// `COPY (query) TO …`, `COPY table [(columns)] TO | FROM …`.
fn copy(mut words: Words<'_>) -> Head {
    let inside = words.parenthesis();
    let start = words.range.start;
    if inside.is_none() {
        words.eat(b"binary");
        while !words.is_empty() && !matches!(words.peek(), b"to" | b"from") {
            words.range.next();
        }
    }
    let relation = start..words.range.start;
    let direction = if words.next() == b"from" { CopyDirection::In } else { CopyDirection::Out };
    let to_client = matches!(words.next(), b"stdout" | b"stdin");
    let kind = Kind::Copy(direction);
    match (direction, to_client, inside) {
        (CopyDirection::In, ..) => primary(kind, Reason::CopyIn),
        (CopyDirection::Out, false, _) => primary(kind, Reason::CopyFile),
        (CopyDirection::Out, true, Some(inside)) => {
            let rest = query(&Words { range: inside, ..words });
            Head { kind, rest: rest.unwrap_or(Rest::Decided(Target::Primary, Reason::WriteCte)) }
        }
        (CopyDirection::Out, true, None) => Head { kind, rest: Rest::Relation(relation) },
    }
}
