//! Prepared statements of the protocol: the names that clients give, and the names that servers know.
//!
//! Why: in transaction pooling a statement prepared through one server is executed on another. A named statement is
//! known to every server under one name made from its text and parameter types, so clients with the same text share
//! it; the unnamed statement keeps its place and is parsed again where another client's took it.
//!
//! Invariants: two statements have one name only if text and parameter types are the same bytes (128 bits of keyed
//! hash, the key unknown to clients), the settings that shape parsing are the same ([`crate::sharing`]), and no schema
//! changed between their Parses, as far as we know: a server that parsed the text before such a change would refuse to run
//! it; what a failed Parse defined is undone.
//! Absent: SQL's PREPARE, which pins the session instead.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pgweir_wire::body::Parse;

use crate::effect::AfterStatement;
use crate::names::Judged;
use crate::settings::SettingValue;
use crate::shapes::Shape;

/// Names statements; one for the process.
#[derive(Debug, Default)]
pub struct StatementNamer {
    keys: [RandomState; 2],
    /// Grows when a schema changes.
    generation: AtomicU64,
}

/// The name of a statement on every server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatementId(u128);

/// What tells statements of one text apart that were parsed under different settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Salt(u64);

impl StatementNamer {
    /// The salt of these settings.
    pub(crate) fn salt_of_settings<'a>(
        &self,
        settings: impl Iterator<Item = (&'a String, &'a SettingValue)>,
    ) -> Salt {
        let mut hasher = self.keys[0].build_hasher();
        let mut count = 0;
        for setting in settings {
            setting.hash(&mut hasher);
            count += 1;
        }
        if count == 0 { Salt::default() } else { Salt(hasher.finish()) }
    }

    /// A salt that no other session has; another one for each `change`.
    pub(crate) fn salt_of_session(&self, session: u64, change: u64) -> Salt {
        Salt(self.keys[1].hash_one((session, change)))
    }

    /// Tables or types may have changed: what is parsed from now on gets new names.
    pub(crate) fn schema_changed(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// The name of the statement with this text and these parameter types.
    pub(crate) fn name(&self, text: &[u8], types: &[u8]) -> StatementId {
        let generation = self.generation.load(Relaxed);
        let half = |key: &RandomState| {
            let mut hasher = key.build_hasher();
            hasher.write_u64(generation);
            hasher.write_usize(text.len());
            hasher.write(text);
            hasher.write(types);
            u128::from(hasher.finish())
        };
        StatementId(half(&self.keys[0]) << 64 | half(&self.keys[1]))
    }
}

impl StatementId {
    /// Our own question's; no hash is as regular.
    pub(crate) const QUESTION: Self = Self(0);

    /// The name of the same text and types under the settings of `salt`.
    pub(crate) fn under(self, salt: Salt) -> Self {
        Self(self.0 ^ u128::from(salt.0).wrapping_mul(SPREAD))
    }

    /// The name as servers know it. Made for each Bind, so it takes no memory of its own.
    pub(crate) fn server_name(self) -> [u8; SERVER_NAME_BYTES] {
        let mut name = *b"pgweir_00000000000000000000000000000000";
        for (place, digit) in name.iter_mut().rev().take(32).enumerate() {
            *digit = b"0123456789abcdef"[(self.0 >> (4 * place)) as usize % 16];
        }
        name
    }
}

/// Odd, so that different salts never meet.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
/// A word and 128 bits in hexadecimal digits.
pub(crate) const SERVER_NAME_BYTES: usize = 39;
/// What no client's name of a statement begins with, unless it means to.
pub(crate) const SERVER_NAME_PREFIX: &str = "pgweir_";

/// A named statement of a client.
#[derive(Debug)]
pub(crate) struct Statement {
    /// The client's name of it, for errors.
    pub(crate) name: Box<[u8]>,
    /// Before the settings are told apart.
    pub(crate) id: StatementId,
    /// Text, NUL, parameter types: the body of a Parse behind its name.
    pub(crate) definition: Box<[u8]>,
    pub(crate) judged: Judged,
    pub(crate) after: Option<Arc<AfterStatement>>,
    /// What tells it apart from others of its text.
    apart: Salt,
    /// Whether a server bound or described it since the client parsed it.
    used: AtomicBool,
    /// What the client was last told that it returns; 0: nothing.
    told: AtomicU64,
    /// Whether a server would return something else, so that the client must prepare again.
    outdated: AtomicBool,
}

impl Statement {
    /// The text, without what follows it.
    pub(crate) fn text(&self) -> &[u8] {
        text_of(&self.definition)
    }

    pub(crate) fn new(
        namer: &StatementNamer,
        parse: &Parse<'_>,
        judged: Judged,
        after: Option<Arc<AfterStatement>>,
    ) -> Self {
        let definition = [parse.text, b"\0", parse.types].concat().into_boxed_slice();
        Self {
            name: parse.name.into(),
            id: namer.name(parse.text, parse.types),
            definition,
            judged,
            after,
            apart: Salt::default(),
            used: AtomicBool::new(false),
            told: AtomicU64::new(0),
            outdated: AtomicBool::new(false),
        }
    }

    /// No other session's statement has its name on servers.
    pub(crate) fn keep_apart(&mut self, salt: Salt) {
        self.id = self.id.under(salt);
        self.apart = salt;
    }

    /// A server bound or described it: the client may know what it returns.
    pub(crate) fn was_used(&self) {
        self.used.store(true, Relaxed);
    }

    /// Whether the client may know what it returns.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// The client is told what it returns.
    pub(crate) fn was_told(&self, shape: Shape) {
        self.told.store(shape.number(), Relaxed);
    }

    /// The number of the shape that the client was told.
    pub(crate) fn told(&self) -> Option<u64> {
        Some(self.told.load(Relaxed)).filter(|told| *told != 0)
    }

    /// A server would return something else.
    pub(crate) fn outdate(&self) {
        self.outdated.store(true, Relaxed);
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Relaxed)
    }

    /// The same as if it were parsed now.
    fn renewed(&self, namer: &StatementNamer) -> Self {
        let types = &self.definition[self.text().len() + 1..];
        Self {
            name: self.name.clone(),
            id: namer.name(self.text(), types).under(self.apart),
            definition: self.definition.clone(),
            judged: self.judged,
            after: self.after.clone(),
            apart: self.apart,
            used: AtomicBool::new(false),
            told: AtomicU64::new(0),
            outdated: AtomicBool::new(false),
        }
    }
}

/// The text of a Parse's body behind its name.
pub(crate) fn text_of(definition: &[u8]) -> &[u8] {
    definition.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The unnamed statement of a client. Its buffer is used again for the next one.
#[derive(Clone, Debug)]
pub(crate) struct Unnamed {
    pub(crate) definition: Vec<u8>,
    pub(crate) judged: Judged,
    pub(crate) after: Option<Arc<AfterStatement>>,
    /// Which Parse it came from: tells whether a server still has it.
    pub(crate) token: UnnamedToken,
}

/// One Parse of an unnamed statement, by session and count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnnamedToken {
    pub(crate) session: u64,
    pub(crate) count: u64,
}

/// A segment of a session's requests, by the count of those that were ended before it.
pub(crate) type SegmentNumber = u64;

/// The segment of what was answered without a server: it is never in doubt.
pub(crate) const SETTLED: SegmentNumber = SegmentNumber::MAX;

/// What a name meant before a change, and after it.
#[derive(Clone, Debug)]
pub(crate) struct NameChange {
    name: Box<[u8]>,
    before: Option<Named>,
    after: Option<Arc<Statement>>,
}

impl NameChange {
    /// The name, if the change takes it away.
    pub(crate) fn forgets(&self) -> Option<&[u8]> {
        self.after.is_none().then_some(&*self.name)
    }
}

/// What a name means.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) statement: Arc<Statement>,
    /// The segment that gave the name.
    pub(crate) defined_in: SegmentNumber,
}

/// The named statements of one client.
#[derive(Debug, Default)]
pub(crate) struct ClientStatements {
    named: HashMap<Box<[u8]>, Named>,
}

impl ClientStatements {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        Some(&self.named.get(name)?.statement)
    }

    pub(crate) fn named(&self, name: &[u8]) -> Option<&Named> {
        self.named.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.named.len()
    }

    pub(crate) fn define(&mut self, name: &[u8], named: Named) -> NameChange {
        let after = Some(Arc::clone(&named.statement));
        let before = self.named.insert(name.into(), named);
        NameChange { name: name.into(), before, after }
    }

    pub(crate) fn forget(&mut self, name: &[u8]) -> Option<NameChange> {
        let before = self.named.remove(name)?;
        Some(NameChange { name: name.into(), before: Some(before), after: None })
    }

    /// Takes a change back, unless a later one came over it.
    pub(crate) fn undo(&mut self, change: NameChange) {
        let now = self.named.get(&change.name).map(|named| Arc::as_ptr(&named.statement));
        if now != change.after.as_ref().map(Arc::as_ptr) {
            return;
        }
        match change.before {
            Some(before) => self.named.insert(change.name, before),
            None => self.named.remove(&change.name),
        };
    }

    pub(crate) fn clear(&mut self) {
        self.named = HashMap::new();
    }

    /// This statement is as if the client had parsed it now.
    pub(crate) fn renew_one(&mut self, name: &[u8], namer: &StatementNamer) {
        if let Some(Named { statement, .. }) = self.named.get_mut(name) {
            *statement = Arc::new(statement.renewed(namer));
        }
    }

    /// The client's statements are as if it had parsed them now: this one, and those it does not know the results of. None of
    /// them may be in flight: changes of their names could not be taken back any more.
    pub(crate) fn renew(&mut self, stale: &[u8], namer: &StatementNamer) {
        for (name, Named { statement, .. }) in &mut self.named {
            if **name == *stale || !statement.is_used() {
                *statement = Arc::new(statement.renewed(namer));
            }
        }
    }
}

/// The statements that one server connection has, oldest use first out.
#[derive(Debug, Default)]
pub(crate) struct ServerStatements {
    named: HashMap<StatementId, Entry>,
    clock: u64,
    unnamed: Option<(UnnamedToken, State)>,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    state: State,
}

/// How sure it is that a server has a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Present,
    /// It was told to parse it in this segment.
    Parsing(SegmentNumber),
    /// It was told to close it in this segment.
    Closing(SegmentNumber),
}

/// Whether a server has a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Yes,
    No,
    /// It was told to parse or close it in this segment.
    Since(SegmentNumber),
}

impl State {
    const fn presence(self) -> Presence {
        match self {
            Self::Present => Presence::Yes,
            Self::Parsing(segment) | Self::Closing(segment) => Presence::Since(segment),
        }
    }
}

impl ServerStatements {
    /// Whether the server has the statement, which is about to be used.
    pub(crate) fn touch(&mut self, id: StatementId) -> Presence {
        self.clock += 1;
        if let Some(entry) = self.named.get_mut(&id) {
            entry.used = self.clock;
        }
        self.named.get(&id).map_or(Presence::No, |entry| entry.state.presence())
    }

    /// Whether the server will have the statement where the segment at hand is read.
    pub(crate) fn has(&self, id: StatementId) -> bool {
        self.named.get(&id).is_some_and(|entry| !matches!(entry.state, State::Closing(_)))
    }

    /// The server is being told to parse `id`; answers which statement it must close to stay within `limit`.
    pub(crate) fn add(
        &mut self,
        id: StatementId,
        segment: SegmentNumber,
        limit: usize,
    ) -> Option<StatementId> {
        self.clock += 1;
        self.named.insert(id, Entry { used: self.clock, state: State::Parsing(segment) });
        if self.len() <= limit {
            return None;
        }
        let present = self.named.iter_mut().filter(|(_, entry)| entry.state == State::Present);
        let (oldest, entry) = present.min_by_key(|(_, entry)| entry.used)?;
        entry.state = State::Closing(segment);
        Some(*oldest)
    }

    /// ParseComplete.
    pub(crate) fn parsed(&mut self, id: StatementId) {
        if let Some(entry) = self.named.get_mut(&id) {
            entry.state = State::Present;
        }
    }

    /// CloseComplete.
    pub(crate) fn closed(&mut self, id: StatementId) {
        if self.named.get(&id).is_some_and(|entry| matches!(entry.state, State::Closing(_))) {
            self.named.remove(&id);
        }
    }

    /// The Close was skipped: the server still has it, one more than the limit says.
    pub(crate) fn not_closed(&mut self, id: StatementId) {
        self.named.insert(id, Entry { used: self.clock, state: State::Present });
    }

    /// The server does not have it.
    pub(crate) fn remove(&mut self, id: StatementId) {
        self.named.remove(&id);
    }

    /// Whose unnamed statement the server has.
    pub(crate) fn unnamed(&self, token: UnnamedToken) -> Presence {
        match self.unnamed {
            Some((on_server, state)) if on_server == token => state.presence(),
            Some(_) | None => Presence::No,
        }
    }

    /// The server is being told to parse an unnamed statement.
    pub(crate) fn add_unnamed(&mut self, token: UnnamedToken, segment: SegmentNumber) {
        self.unnamed = Some((token, State::Parsing(segment)));
    }

    /// ParseComplete of an unnamed statement.
    pub(crate) fn parsed_unnamed(&mut self, token: UnnamedToken) {
        if let Some((on_server, state)) = &mut self.unnamed
            && *on_server == token
        {
            *state = State::Present;
        }
    }

    /// Nobody knows what unnamed statement the server has.
    pub(crate) fn forget_unnamed(&mut self) {
        self.unnamed = None;
    }

    /// The Parse of this unnamed statement failed or was skipped.
    pub(crate) fn not_parsed_unnamed(&mut self, token: UnnamedToken) {
        if self.unnamed.is_some_and(|(on_server, _)| on_server == token) {
            self.unnamed = None;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.named.values().filter(|entry| !matches!(entry.state, State::Closing(_))).count()
    }

    pub(crate) fn clear(&mut self) {
        self.named.clear();
        self.unnamed = None;
    }

    /// The names of all statements that the server should have now.
    #[cfg(test)]
    pub(crate) fn names(&self) -> std::collections::BTreeSet<Vec<u8>> {
        self.named.keys().map(|id| id.server_name().to_vec()).collect()
    }
}

#[cfg(test)]
mod tests;
