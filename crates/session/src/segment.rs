//! What a client's next requests need, before any of them is sent.
//!
//! A segment is everything up to and including a Sync, a Flush, a simple query or a function call. All its statements
//! run in one transaction, so all of them decide where it goes.
//!
//! Invariant: scanning changes nothing but the scan itself; it goes on where it stopped when more bytes came.

use pgweir_sql::{
    Classifier, Depends, Lexing, Naming, Target, Verdict, Wish, decide, hints, may_name_a_time,
};
use pgweir_wire::body::{self, BindNames, Parse};
use pgweir_wire::{FrontendTag, Header};

use crate::error::SessionError;
use crate::ledger::Ledger;
use crate::proven::ProvenStatements;
use crate::route::{Tied, Wants};
use crate::statements::{ClientStatements, Presence, Salt, ServerStatements, StatementNamer, Unnamed};
use crate::terms::TransactionReads;

/// The scan of a segment that has not been sent.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Bytes looked at, from the segment's beginning.
    pub(crate) scanned: usize,
    /// How far the scan got.
    pub(crate) extent: Extent,
    pub(crate) needs: Needs,
    /// What its reads ask for beyond that.
    pub(crate) wants: Wants,
    /// What a statement needs that was parsed before, should the segment do more than parse it.
    put_off: Needs,
    /// What its messages are, apart from the last.
    pub(crate) begins: Begins,
    /// Whether it uses named statements.
    pub(crate) names: Names,
    runs: Runs,
    unnamed: Origin,
    doubt: Doubt,
}

/// Where a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// More bytes are needed to tell.
    Open,
    /// It ends with a message that ReadyForQuery answers.
    Ended,
    /// It ends with a Flush: more of the same transaction follows.
    Flushed,
    /// Too long to hold: it goes to the primary as it comes.
    TooLong,
    /// The client says good-bye.
    Goodbye,
}

/// What a segment needs; later variants include earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// Nothing: we answer it.
    #[default]
    Nothing,
    /// Any node: all its statements are proven reads.
    Read,
    /// The primary.
    Primary,
}

/// Whether a segment has extended-query messages that an error would make the server skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// It is a simple query, a function call, or a Sync alone.
    Simple,
    Extended,
}

/// Whether a segment uses named statements, which servers may have parsed for somebody before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    None,
    Some,
}

/// Whether a segment binds or runs a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    No,
    Yes,
}

/// Where the unnamed statement comes from that a segment uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The segment parses it.
    Own,
    Earlier,
}

/// Whether replies that are outstanding decide what a segment's statements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    Some,
}

/// What the scan may look at.
pub(crate) struct Known<'a> {
    pub(crate) classifier: &'a mut Classifier,
    pub(crate) lexing: Lexing,
    pub(crate) naming: &'a Naming,
    /// What the session's `pgweir.route` asks for.
    pub(crate) wish: &'a Wish,
    pub(crate) statements: &'a ClientStatements,
    pub(crate) unnamed: Option<&'a Unnamed>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) server: Option<&'a ServerStatements>,
    /// What tells whether a Parse needs a server at all; `None` while there is one.
    pub(crate) proof: Option<Proof<'a>>,
    /// Whether it matters what a segment is tied to.
    pub(crate) transaction_reads: TransactionReads,
    /// The longest segment that is held.
    pub(crate) bytes_max: usize,
}

/// What tells whether a named statement was parsed by a server before, as this session would have it parsed.
pub(crate) struct Proof<'a> {
    pub(crate) namer: &'a StatementNamer,
    pub(crate) salt: Salt,
    pub(crate) proven: &'a ProvenStatements,
    /// Named statements that the client may still define.
    pub(crate) room: usize,
}

impl Segment {
    pub(crate) fn new() -> Self {
        Self {
            scanned: 0,
            extent: Extent::Open,
            needs: Needs::Nothing,
            wants: Wants::default(),
            put_off: Needs::Nothing,
            begins: Begins::Simple,
            names: Names::None,
            runs: Runs::No,
            unnamed: Origin::Earlier,
            doubt: Doubt::None,
        }
    }

    /// Looks at what came since the last scan. `input` begins where the segment begins.
    pub(crate) fn scan(&mut self, input: &[u8], known: &mut Known<'_>) -> Result<Extent, SessionError> {
        while self.extent == Extent::Open {
            let rest = &input[self.scanned..];
            let Some(header) = Header::read(rest).map_err(SessionError::ClientFrame)? else { break };
            let tag = FrontendTag::from_byte(header.tag).ok_or(SessionError::ClientTag(header.tag))?;
            if tag == FrontendTag::Terminate && self.scanned == 0 {
                self.extent = Extent::Goodbye;
                break;
            }
            if self.scanned + header.total() > known.bytes_max {
                self.needs = Needs::Primary;
                self.extent = Extent::TooLong;
                break;
            }
            let Some(frame) = rest.get(..header.total()) else { break };
            self.message(tag, &frame[pgweir_wire::frame::HEADER_BYTES..], known)?;
            self.scanned += header.total();
        }
        Ok(self.extent)
    }

    /// Whether it uses a statement that an earlier segment may or may not have brought about.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubt == Doubt::Some
    }

    fn message(&mut self, tag: FrontendTag, body: &[u8], known: &mut Known<'_>) -> Result<(), SessionError> {
        if tag == FrontendTag::Password {
            return Err(SessionError::ClientTag(tag.byte()));
        }
        self.tie_message(tag, body, known);
        if self.read(tag, body, known).is_none() {
            // A server says what is wrong with it, and where the segment ends does not depend on it.
            self.need(Needs::Primary);
            if let FrontendTag::Query | FrontendTag::Sync = tag {
                self.extent = Extent::Ended;
            }
        }
        if let FrontendTag::Parse
        | FrontendTag::Bind
        | FrontendTag::Describe
        | FrontendTag::Execute
        | FrontendTag::Close
        | FrontendTag::Flush = tag
            && self.extent == Extent::Open
        {
            self.begins = Begins::Extended;
        }
        Ok(())
    }

    /// Looks at one message; `None` if it does not add up.
    fn read(&mut self, tag: FrontendTag, body: &[u8], known: &mut Known<'_>) -> Option<()> {
        match tag {
            FrontendTag::Query => {
                let text = body::query_text(body)?;
                let verdict = known.classifier.classify(text, known.lexing, Some(known.naming));
                let needs = self.ask(verdict, text, known);
                self.need(needs);
                self.extent = Extent::Ended;
            }
            FrontendTag::Parse => {
                let parse = Parse::read(body)?;
                let verdict = known.classifier.classify(parse.text, known.lexing, Some(known.naming));
                let needs = self.ask(verdict, parse.text, known);
                if self.begins == Begins::Simple && known.is_proven(&parse) {
                    self.put_off = needs;
                } else {
                    self.need(needs);
                }
                if parse.name.is_empty() {
                    self.unnamed = Origin::Own;
                } else {
                    self.doubts(known.is_doubtful(parse.name));
                }
            }
            FrontendTag::Bind => {
                let names = BindNames::read(body)?;
                self.uses(names.statement, known);
                self.runs = Runs::Yes;
            }
            FrontendTag::Execute => {
                self.need(Needs::Read);
                self.runs = Runs::Yes;
            }
            FrontendTag::Describe => self.describe(body::Target::read(body)?, known),
            FrontendTag::Close => match body::Target::read(body)? {
                body::Target::Portal(_) => self.need(Needs::Read),
                body::Target::Statement(b"") => self.unnamed = Origin::Earlier,
                body::Target::Statement(_) => {}
            },
            FrontendTag::Sync | FrontendTag::Flush if !body.is_empty() => return None,
            FrontendTag::Sync => self.extent = Extent::Ended,
            FrontendTag::Flush => {
                // What follows belongs to the same transaction and may write, once something is bound.
                if self.runs == Runs::Yes {
                    self.need(Needs::Primary);
                }
                self.extent = Extent::Flushed;
            }
            FrontendTag::FunctionCall => {
                self.need(Needs::Primary);
                self.extent = Extent::Ended;
            }
            // Left over from a COPY that failed; servers ignore them too.
            FrontendTag::CopyData | FrontendTag::CopyDone | FrontendTag::CopyFail => {}
            FrontendTag::Password => unreachable!("handled by the caller"),
            FrontendTag::Terminate => self.extent = Extent::Goodbye,
        }
        Some(())
    }

    fn describe(&mut self, target: body::Target<'_>, known: &mut Known<'_>) {
        match target {
            body::Target::Portal(_) => self.need(Needs::Read),
            body::Target::Statement(name) => self.uses(name, known),
        }
    }

    /// A statement is used. The unnamed one that this segment parsed was counted there.
    fn uses(&mut self, name: &[u8], known: &mut Known<'_>) {
        if !name.is_empty() {
            self.names = Names::Some;
        }
        if name.is_empty() && self.unnamed == Origin::Own {
            self.need(Needs::Read);
        } else {
            let needs = self.bound(name, known);
            self.need(needs);
            self.doubts(known.is_doubtful(name));
        }
    }

    /// What a statement needs, with what it and the session ask for.
    fn ask(&mut self, verdict: Verdict, text: &[u8], known: &Known<'_>) -> Needs {
        let hints = hints(text);
        let decision = decide(&verdict, hints.as_ref().map(|hints| &hints.wish), known.wish);
        self.wants.add(&decision);
        self.tie(|| verdict.depends == Depends::Transaction || may_name_a_time(text), known);
        match decision.target {
            Target::Standby => Needs::Read,
            Target::Primary => Needs::Primary,
        }
    }

    /// What running the statement of this name needs. A name defined earlier in the same segment was counted there,
    /// and one that nobody defined fails on any node.
    fn bound(&mut self, name: &[u8], known: &mut Known<'_>) -> Needs {
        let (judged, definition) = if name.is_empty() {
            let Some(unnamed) = known.unnamed else { return Needs::Read };
            (unnamed.judged, &unnamed.definition[..])
        } else {
            let Some(statement) = known.statements.get(name) else { return Needs::Read };
            (statement.judged, &statement.definition[..])
        };
        let verdict = judged.now(definition, known.naming, known.lexing, known.classifier);
        // A definition begins with the text.
        self.ask(verdict, definition, known)
    }

    /// What a message shows of that beside its text. Its portals must be over when it is.
    fn tie_message(&mut self, tag: FrontendTag, body: &[u8], known: &Known<'_>) {
        let (bound, begins) = (self.runs == Runs::Yes, self.begins);
        let tied = || match tag {
            FrontendTag::Parse | FrontendTag::Sync => false,
            // Behind an error in what comes before, a server skips it, and says nothing until a Sync.
            FrontendTag::Query => begins == Begins::Extended,
            FrontendTag::Bind => {
                BindNames::read(body).is_none_or(|names| !names.portal.is_empty() || may_name_a_time(body))
            }
            FrontendTag::Execute => !bound || body != b"\0\0\0\0\0",
            FrontendTag::Describe => match body::Target::read(body) {
                Some(body::Target::Portal(name)) => !bound || !name.is_empty(),
                Some(body::Target::Statement(_)) => false,
                None => true,
            },
            FrontendTag::Close => !matches!(body::Target::read(body), Some(body::Target::Statement(_))),
            FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::Flush
            | FrontendTag::FunctionCall
            | FrontendTag::Password
            | FrontendTag::Terminate => true,
        };
        self.tie(tied, known);
    }

    fn tie(&mut self, tied: impl FnOnce() -> bool, known: &Known<'_>) {
        if known.transaction_reads == TransactionReads::UntilWrite && self.wants.tied == Tied::No && tied() {
            self.wants.tied = Tied::Yes;
        }
    }

    fn doubts(&mut self, doubtful: bool) {
        if doubtful {
            self.doubt = Doubt::Some;
        }
    }

    /// With the first need of a server, what a proven statement needs counts too.
    fn need(&mut self, needs: Needs) {
        if needs > Needs::Nothing {
            self.needs = self.needs.max(needs).max(self.put_off);
        }
    }
}

impl Known<'_> {
    /// Whether we can answer this Parse ourselves.
    fn is_proven(&self, parse: &Parse<'_>) -> bool {
        let Some(proof) = &self.proof else { return false };
        let id = || proof.namer.name(parse.text, parse.types).under(proof.salt);
        let is_new = !parse.name.is_empty() && self.statements.get(parse.name).is_none();
        is_new && proof.room > 0 && proof.proven.contains(id())
    }

    /// Whether an outstanding reply decides if the statement of this name is there.
    fn is_doubtful(&self, name: &[u8]) -> bool {
        if name.is_empty() {
            let token = self.unnamed.map(|unnamed| unnamed.token);
            let presence = token.zip(self.server).map(|(token, server)| server.unnamed(token));
            let parsed = matches!(presence, Some(Presence::Since(segment)) if self.ledger.in_doubt(segment));
            return parsed || self.ledger.may_keep(name);
        }
        let defined = self.statements.named(name).is_some_and(|n| self.ledger.in_doubt(n.defined_in));
        defined || self.ledger.has_parse() || self.ledger.may_keep(name)
    }
}
