//! Which session state a text visibly leaves on its server.
//!
//! Why a separate pass: every text needs it, writes and overlong ones too, so it reads tokens in order and
//! keeps a few words of state. Conservative: it may see state that is not left, and must not miss any that the
//! text shows. Absent: what functions and procedures do inside.

use crate::PinCause;
use crate::lexer::{Token, TokenKind};
use crate::names;

/// The first word of a statement, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Declare,
    Do,
    /// INSERT or MERGE, whose INTO makes nothing.
    Insert,
    Prepare,
    Set,
    Other,
}

/// The words of `ON COMMIT DROP` seen so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnCommit {
    No,
    On,
    Commit,
}

/// Watches the tokens of a normalised text go by.
pub(crate) struct PinWatch<'t> {
    text: &'t [u8],
    found: Option<PinCause>,
    verb: Verb,
    /// Tokens of this statement seen so far.
    seen: u32,
    previous: &'t [u8],
    /// A function whose call would leave state; certain once a parenthesis follows.
    called: Option<PinCause>,
    /// The call of `set_config` that is open.
    set_config: Option<SetConfigCall>,
    /// A temporary object in this statement, kept apart since `ON COMMIT DROP` takes it back.
    temporary: bool,
    on_commit: OnCommit,
    /// What counts only if the text has several statements.
    if_multi: Option<PinCause>,
}

impl<'t> PinWatch<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        PinWatch {
            text,
            found: None,
            verb: Verb::Other,
            seen: 0,
            previous: b"",
            called: None,
            set_config: None,
            temporary: false,
            on_commit: OnCommit::No,
            if_multi: None,
        }
    }

    /// The next token; semicolons between statements go to [`PinWatch::end_statement`].
    pub(crate) fn see(&mut self, token: Token) {
        let bytes = token.of(self.text);
        self.seen += 1;
        if let Some(cause) = self.called.take().filter(|_| token.kind == TokenKind::Open) {
            match cause {
                PinCause::SetConfig if self.set_config.is_none() => {
                    self.set_config = Some(SetConfigCall::default());
                }
                cause => self.find(cause),
            }
        } else if let Some(call) = &mut self.set_config
            && let Some(ended) = call.see(token.kind, bytes)
        {
            self.set_config = None;
            if ended == CallEnd::Session {
                self.find(PinCause::SetConfig);
            }
        }
        if self.seen == 2
            && self.verb == Verb::Set
            && !matches!(bytes, b"local" | b"transaction" | b"constraints")
        {
            self.if_multi = self.if_multi.or(Some(PinCause::MultiSet));
        }
        match token.kind {
            TokenKind::Word => {
                self.word(bytes);
                self.name(bytes);
                self.previous = bytes;
            }
            TokenKind::Quoted => {
                self.name(&bytes[1..bytes.len() - 1]);
                self.previous = b"";
            }
            TokenKind::Str => self.string(bytes),
            _ => self.previous = b"",
        }
    }

    fn word(&mut self, word: &'t [u8]) {
        if self.seen == 1 {
            self.first_word(word);
        }
        match word {
            b"temp" | b"temporary" => {
                self.temporary |= match self.previous {
                    b"create" | b"replace" | b"local" | b"global" => true,
                    b"into" => self.verb != Verb::Insert,
                    _ => false,
                };
            }
            // PREPARE TRANSACTION has no further word.
            _ if self.verb == Verb::Prepare && self.seen > 1 && (self.seen > 2 || word != b"transaction") => {
                self.find(PinCause::SqlPrepare);
            }
            b"hold" if self.verb == Verb::Declare && self.previous == b"with" => {
                self.find(PinCause::HoldCursor)
            }
            b"drop" if self.on_commit == OnCommit::Commit => self.temporary = false,
            _ => {}
        }
        self.on_commit = match (self.on_commit, word) {
            (_, b"on") => OnCommit::On,
            (OnCommit::On, b"commit") => OnCommit::Commit,
            _ => OnCommit::No,
        };
    }

    fn first_word(&mut self, word: &[u8]) {
        self.verb = match word {
            b"declare" => Verb::Declare,
            b"do" => Verb::Do,
            b"insert" | b"merge" => Verb::Insert,
            b"prepare" => Verb::Prepare,
            b"set" => Verb::Set,
            _ => Verb::Other,
        };
        match word {
            b"listen" => self.find(PinCause::Listen),
            b"load" => self.find(PinCause::Load),
            b"reset" | b"discard" => self.if_multi = self.if_multi.or(Some(PinCause::MultiSet)),
            b"deallocate" => self.if_multi = self.if_multi.or(Some(PinCause::MultiDeallocate)),
            _ => {}
        }
    }

    /// A word or the inside of a quoted name.
    fn name(&mut self, name: &[u8]) {
        if name == b"pg_temp" || name.starts_with(b"pg_temp_") {
            self.find(PinCause::TemporaryTable);
        }
        self.called = names::function_binds(name);
    }

    /// Strings are kept in `DO` and `SET` only.
    fn string(&mut self, string: &[u8]) {
        self.previous = b"";
        match self.verb {
            Verb::Do => {
                if let Some(cause) = in_code(string) {
                    self.find(cause);
                }
            }
            Verb::Set if memchr::memmem::find(string, b"pg_temp").is_some() => {
                self.find(PinCause::TemporaryTable)
            }
            Verb::Set | Verb::Declare | Verb::Insert | Verb::Prepare | Verb::Other => {}
        }
    }

    /// What nothing takes back counts most, then what the server's catalogs do not show: it is not found again.
    fn find(&mut self, cause: PinCause) {
        let weight = |cause: PinCause| (cause.outlives_discard(), !cause.is_shown());
        if self.found.is_none_or(|found| weight(found) < weight(cause)) {
            self.found = Some(cause);
        }
    }

    /// A statement ends here, by a semicolon or with the text.
    pub(crate) fn end_statement(&mut self) {
        if self.temporary {
            self.find(PinCause::TemporaryTable);
        }
        if self.set_config.take().is_some() || self.called.take() == Some(PinCause::SetConfig) {
            self.find(PinCause::SetConfig);
        }
        self.verb = Verb::Other;
        self.seen = 0;
        self.previous = b"";
        self.temporary = false;
        self.on_commit = OnCommit::No;
    }

    /// What was found, after the last [`PinWatch::end_statement`].
    pub(crate) fn finish(self, multi: bool) -> Option<PinCause> {
        self.found.or(self.if_multi.filter(|_| multi))
    }
}

/// Follows a call of `set_config` to its last argument.
#[derive(Default)]
struct SetConfigCall {
    depth: u32,
    commas: u32,
    last: LastArgument,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum LastArgument {
    #[default]
    Empty,
    True,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CallEnd {
    Session,
    Transaction,
}

impl SetConfigCall {
    /// The next token after the opening parenthesis; answers when the call is closed.
    fn see(&mut self, kind: TokenKind, bytes: &[u8]) -> Option<CallEnd> {
        match kind {
            TokenKind::Close if self.depth == 0 => {
                let local = self.commas == 2 && self.last == LastArgument::True;
                return Some(if local { CallEnd::Transaction } else { CallEnd::Session });
            }
            TokenKind::Comma if self.depth == 0 => {
                self.commas += 1;
                self.last = LastArgument::Empty;
                return None;
            }
            TokenKind::Open => self.depth += 1,
            TokenKind::Close => self.depth -= 1,
            _ => {}
        }
        let first = self.last == LastArgument::Empty && self.depth == 0;
        let literal = kind == TokenKind::Word && bytes == b"true";
        self.last = if first && literal { LastArgument::True } else { LastArgument::Other };
        None
    }
}

/// What the code in a `DO` body may leave behind, strings within strings included: its words are read
/// without regard to quotes and comments. A SET is one unless it may belong to an UPDATE, MERGE or ALTER.
pub(crate) fn in_code(code: &[u8]) -> Option<PinCause> {
    let (mut set, mut changes) = (false, false);
    for part in code.split_inclusive(|byte| !is_word_byte(*byte)) {
        let separator = part.last().copied().filter(|byte| !is_word_byte(*byte));
        let word = part[..part.len() - usize::from(separator.is_some())].to_ascii_lowercase();
        if !word.is_empty() {
            if set && !matches!(&word[..], b"local" | b"transaction" | b"constraints") {
                return Some(PinCause::SetConfig);
            }
            if let Some(cause) = code_word(&word) {
                return Some(cause);
            }
            set = word == b"set" && !changes;
            changes = match &word[..] {
                b"update" | b"merge" | b"alter" => true,
                b"begin" | b"then" | b"else" | b"loop" => false,
                _ => changes,
            };
        }
        changes &= separator != Some(b';');
    }
    None
}

fn code_word(word: &[u8]) -> Option<PinCause> {
    match word {
        b"listen" => Some(PinCause::Listen),
        b"load" => Some(PinCause::Load),
        b"hold" => Some(PinCause::HoldCursor),
        b"prepare" => Some(PinCause::SqlPrepare),
        b"deallocate" => Some(PinCause::SqlPrepare),
        b"reset" | b"discard" => Some(PinCause::SetConfig),
        b"temp" | b"temporary" => Some(PinCause::TemporaryTable),
        _ if word.starts_with(b"pg_temp") => Some(PinCause::TemporaryTable),
        _ => names::function_binds(word),
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
