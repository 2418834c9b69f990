//! One client's session: its books, and the steps in which it gets and loses a server.

use std::sync::Arc;
use std::time::Instant;

use pgweir_cluster::{Access, Demand, NodeId};
use pgweir_sql::Lexing;
use pgweir_wire::say::{self, Complaint, Severity};
use pgweir_wire::{Header, TransactionStatus};

use crate::attempt::Attempt;
use crate::dispatch::{Block, CopyIn, OpenSegment, Passing, Portals, Skipping};
use crate::effect::{Event, PinReason, Step};
use crate::error::SessionError;
use crate::ledger::{Audience, Ledger, Owed};
use crate::replies::{Outcome, ReplyRest};
use crate::segment::{Extent, Known, Needs, Segment};
use crate::server::{Reported, ServerState};
use crate::settings::{self, SettingMap, Settings};
use crate::sharing::Sharing;
use crate::statements::{ClientStatements, StatementNamer, Unnamed};

/// When a server goes back to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// When the transaction ends.
    Transaction,
    /// When the statement ends; transaction blocks are refused.
    Statement,
}

/// How much one session may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest segment that is held for classification, in bytes; a longer one goes to the primary as it comes.
    pub query_bytes_max: usize,
    /// The most bytes of unanswered reads that are kept to be sent again.
    pub segment_bytes_max: usize,
    /// The most prepared statements of one client; beyond it 53400.
    pub client_statements_max: usize,
    /// The most prepared statements kept on one server; beyond it the least used is closed.
    pub server_statements_max: usize,
    /// The most replies that may be outstanding; beyond it the client is not read.
    pub pipeline_depth_max: usize,
}

/// What a session is made of.
#[derive(Debug)]
pub struct SessionSettings {
    /// A number no other session has.
    pub id: u64,
    /// When servers go back.
    pub mode: PoolMode,
    /// Bounds.
    pub limits: Limits,
    /// The settings of the start-up packet.
    pub startup: Arc<SettingMap>,
    /// Names of prepared statements on servers.
    pub namer: Arc<StatementNamer>,
    /// Whether reads must see the session's own writes.
    pub reads_own_writes: bool,
}

/// Whether a server may be given writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It takes anything.
    Primary,
    /// It takes proven reads.
    Standby,
}

/// Whether a server must prove that it lives before it is given anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It must.
    Ask,
    /// It was in use a moment ago.
    Known,
}

/// Proof that a server is at rest: idle, with nothing owed and no segment open.
#[derive(Debug)]
pub struct AtRest(());

/// How much of the client's bytes a step took, and what the session waits for.
#[derive(Debug)]
pub struct ClientTook {
    /// Bytes that are done with.
    pub bytes: usize,
    /// What must happen before the rest is looked at.
    pub next: Next,
}

/// What a session waits for.
#[derive(Debug)]
pub enum Next {
    /// More bytes of the client.
    Input,
    /// A server; call [`Session::link`] with it and then give the same bytes again.
    Lease(Demand),
    /// Replies of the server.
    Replies,
    /// Nothing: the client said good-bye.
    Goodbye,
}

/// What the loss of a server means.
#[derive(Debug)]
pub enum OnServerLost {
    /// Nothing was owed.
    Unnoticed,
    /// These bytes of the client must be given again, before any others.
    SendAgain(Vec<u8>),
    /// The client must be told, and the session ends.
    Fatal(SessionError),
}

/// What to do with the server when the client is gone.
#[derive(Debug)]
pub enum AtTheEnd {
    /// It can serve another session.
    GiveBack(AtRest),
    /// It can once the reset that was just written has been answered.
    ResetFirst,
    /// It must be closed.
    Discard,
    /// There is none.
    NoServer,
}

/// Why a demand was not met; the client gets it as an error and the session goes on.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The five-character code.
    pub sqlstate: &'static str,
    /// The text for the client.
    pub message: String,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: u64,
    pub(crate) mode: PoolMode,
    pub(crate) limits: Limits,
    pub(crate) namer: Arc<StatementNamer>,
    pub(crate) settings: Settings,
    pub(crate) statements: ClientStatements,
    pub(crate) sharing: Sharing,
    pub(crate) unnamed: Option<Unnamed>,
    pub(crate) unnamed_count: u64,
    pub(crate) portals: Portals,
    pub(crate) ledger: Ledger,
    pub(crate) link: Option<Link>,
    pub(crate) status: TransactionStatus,
    pub(crate) pinned: Pinned,
    pub(crate) passing: Passing,
    pub(crate) copy_in: CopyIn,
    pub(crate) open_segment: OpenSegment,
    pub(crate) block: Block,
    pub(crate) skipping: Skipping,
    pub(crate) segment: Segment,
    pub(crate) attempt: Attempt,
    pub(crate) lexing: Lexing,
    pub(crate) writes: Writes,
    reads_own_writes: bool,
    /// The rest of a reply that came in part.
    pub(crate) reply_rest: ReplyRest,
    pub(crate) outcome: Outcome,
    /// The body of the error with which a server refused the session's settings.
    pub(crate) refused: Option<Vec<u8>>,
}

/// The server a session has.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) server: Box<ServerState>,
    pub(crate) role: NodeRole,
    pub(crate) node: NodeId,
    pub(crate) preparing: Preparing,
}

/// Whether the server is still being given the session's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preparing {
    No,
    Settings,
    /// Asked only to end a segment that was opened on a standby, before going to the primary.
    Leaving,
}

/// Whether the session holds its server, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// The server goes back when the transaction ends.
    No,
    /// The server is held.
    By(PinReason),
}

/// What the session has written, for reads that must see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Writes {
    /// Something that may write went to the primary and its transaction is not over.
    pub(crate) open: bool,
    /// When the last of the session's writes was over.
    pub(crate) last: Option<Instant>,
}

impl Session {
    /// A session that has just been admitted.
    #[must_use]
    pub fn new(settings: SessionSettings) -> Self {
        Self {
            id: settings.id,
            mode: settings.mode,
            limits: settings.limits,
            namer: settings.namer,
            settings: Settings::new(settings.startup),
            statements: ClientStatements::default(),
            sharing: Sharing::default(),
            unnamed: None,
            unnamed_count: 0,
            portals: Portals::default(),
            ledger: Ledger::default(),
            link: None,
            status: TransactionStatus::Idle,
            pinned: Pinned::No,
            passing: Passing::Nothing,
            copy_in: CopyIn::No,
            open_segment: OpenSegment::No,
            block: Block::Settled,
            skipping: Skipping::No,
            segment: Segment::new(),
            attempt: Attempt::default(),
            lexing: Lexing { standard_conforming_strings: true },
            writes: Writes::default(),
            reads_own_writes: settings.reads_own_writes,
            reply_rest: ReplyRest::Nothing,
            outcome: Outcome::Fine,
            refused: None,
        }
    }

    /// Takes the next step with the client's bytes, which begin where the last step stopped.
    ///
    /// # Errors
    /// The client broke the protocol; the session is over.
    pub fn on_client(&mut self, input: &[u8], step: &mut Step<'_>) -> Result<ClientTook, SessionError> {
        let mut bytes = 0;
        let next = loop {
            let rest = &input[bytes..];
            let taken = self.pass(rest, step);
            if taken > 0 {
                bytes += taken;
                continue;
            }
            if self.must_wait() {
                break Next::Replies;
            }
            if rest.is_empty() {
                break Next::Input;
            }
            let advance = if self.must_hold() { self.hold(rest, step)? } else { self.forward(rest, step)? };
            match advance {
                Advance::By(taken) => bytes += taken,
                Advance::Until(next) => break next,
            }
        };
        Ok(ClientTook { bytes, next })
    }

    /// The demand for a server that this session would make now for its welcome.
    #[must_use]
    pub fn demand(&self, access: Access) -> Demand {
        let fresh_as_of = if self.reads_own_writes { self.writes.last } else { None };
        Demand { access, fresh_as_of, floor: None, exclude: self.attempt.tried, only: None }
    }

    /// Gives the session the server it asked for. Its settings are brought to the session's first, and if it was unused for
    /// long it is asked whether it lives; nothing of the client's is sent before that is answered.
    pub fn link(
        &mut self,
        server: Box<ServerState>,
        node: NodeId,
        role: NodeRole,
        liveness: Liveness,
        step: &mut Step<'_>,
    ) {
        assert!(self.link.is_none() && self.ledger.is_empty(), "a session has one server at a time");
        let difference = settings::difference(&server.settings, self.settings.current())
            .or_else(|| (liveness == Liveness::Ask).then(String::new));
        let preparing = match &difference {
            Some(query) => {
                say::query(step.to_server, query.as_bytes());
                self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
                Preparing::Settings
            }
            None => Preparing::No,
        };
        self.link = Some(Link { server, role, node, preparing });
        if self.mode == PoolMode::Session {
            self.pin(PinReason::SessionMode, step);
        }
    }

    /// Takes the server back from a session at rest, or from one whose server is lost.
    ///
    /// # Panics
    /// If the session has no server.
    #[must_use]
    pub fn unlink(&mut self) -> Box<ServerState> {
        self.link.take().expect("only a linked session is unlinked").server
    }

    /// Whether the session has a server.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    /// What the server reports, once the session's settings are in force there.
    #[must_use]
    pub fn reported(&self) -> Option<&Arc<Reported>> {
        let link = self.link.as_ref()?;
        (link.preparing == Preparing::No).then_some(&link.server.reported)
    }

    /// Whether the session holds its server beyond the transaction.
    #[must_use]
    pub fn pinned(&self) -> Pinned {
        self.pinned
    }

    /// Whether the session is in a transaction block.
    #[must_use]
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether replies are outstanding.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.ledger.is_empty()
    }

    /// How many prepared statements the client has.
    #[must_use]
    pub fn prepared_statements(&self) -> usize {
        self.statements.len()
    }

    /// Answers the request that could not get a server, and goes on behind it. `input` is what `on_client` was given.
    /// Answers how many bytes are done with.
    pub fn refuse(&mut self, input: &[u8], refusal: &Refusal, step: &mut Step<'_>) -> usize {
        let complaint = Complaint {
            severity: Severity::Error,
            sqlstate: refusal.sqlstate,
            message: &refusal.message,
            hint: None,
        };
        say::error(step.to_client, &complaint);
        self.attempt.tried = pgweir_cluster::NodeSet::default();
        let segment = std::mem::replace(&mut self.segment, Segment::new());
        match segment.extent {
            Extent::Ended => say::ready_for_query(step.to_client, TransactionStatus::Idle),
            Extent::Open | Extent::Flushed | Extent::Goodbye => self.skipping = Skipping::Alone,
            Extent::TooLong => self.swallow_long(&input[segment.scanned..], step),
        }
        segment.scanned
    }

    /// The head of a message too long to hold is refused: its rest is swallowed.
    fn swallow_long(&mut self, rest: &[u8], step: &mut Step<'_>) {
        if let Ok(Some(header)) = Header::read(rest) {
            self.passing = Passing::Swallow(header.total());
            if header.tag == b'Q' {
                say::ready_for_query(step.to_client, TransactionStatus::Idle);
            } else {
                self.skipping = Skipping::Alone;
            }
        }
    }

    /// The server's connection is gone.
    pub fn on_server_lost(&mut self) -> OnServerLost {
        let role = self.link.as_ref().map(|link| (link.role, link.node));
        let resting = self.ledger.is_empty()
            && self.status == TransactionStatus::Idle
            && self.open_segment == OpenSegment::No
            && self.pinned == Pinned::No;
        if resting {
            return OnServerLost::Unnoticed;
        }
        match role {
            Some((NodeRole::Standby, node)) if self.attempt.is_hidden() => {
                self.attempt.tried.insert(node);
                OnServerLost::SendAgain(self.take_back())
            }
            // Nothing of the client's was sent. Another connection to the same primary may well live.
            Some((_, _)) if self.is_preparing() => OnServerLost::SendAgain(self.take_back()),
            _ => OnServerLost::Fatal(SessionError::ServerLost),
        }
    }

    /// Whether the server at hand is being prepared: nothing of the client's has been sent yet.
    #[must_use]
    pub fn is_preparing(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.preparing == Preparing::Settings)
    }

    /// Whether replies are outstanding for which the server needs nothing more of the client.
    #[must_use]
    pub fn will_be_answered(&self) -> bool {
        !self.ledger.is_empty()
            && self.open_segment == OpenSegment::No
            && self.copy_in == CopyIn::No
            && !matches!(self.passing, Passing::Forward(_))
    }

    /// Whether all that the server at hand was asked can be asked of another one, and the client will not notice.
    #[must_use]
    pub fn can_ask_elsewhere(&self) -> bool {
        let standby = self.link.as_ref().is_some_and(|link| link.role == NodeRole::Standby);
        standby && !self.ledger.is_empty() && self.attempt.is_hidden()
    }

    /// Undoes everything that is in flight on a server that will not answer.
    pub(crate) fn take_back(&mut self) -> Vec<u8> {
        self.ledger.clear(drop);
        let (bytes, names) = self.attempt.take();
        for change in names.into_iter().rev() {
            self.statements.undo(change);
        }
        self.reset_flow();
        bytes
    }

    /// Forgets where a conversation with a server stood.
    fn reset_flow(&mut self) {
        self.passing = Passing::Nothing;
        self.copy_in = CopyIn::No;
        self.open_segment = OpenSegment::No;
        self.skipping = Skipping::No;
        self.segment = Segment::new();
        self.reply_rest = ReplyRest::Nothing;
        self.block = Block::Settled;
        self.outcome = Outcome::Fine;
        self.status = TransactionStatus::Idle;
        self.portals = Portals::default();
        self.settings.rollback();
        self.sharing.settle();
        self.writes.open = false;
    }

    /// The body of the error with which a server refused the session's settings, if that is why the session ended.
    pub fn take_refused(&mut self) -> Option<Vec<u8>> {
        self.refused.take()
    }

    /// The client is gone: says what becomes of the server, and writes the reset it may need.
    pub fn at_the_end(&mut self, step: &mut Step<'_>) -> AtTheEnd {
        if self.link.is_none() {
            return AtTheEnd::NoServer;
        }
        let Some(proof) = self.proof_of_rest() else { return AtTheEnd::Discard };
        match self.pinned {
            Pinned::No => AtTheEnd::GiveBack(proof),
            Pinned::By(_) => {
                say::query(step.to_server, b"DISCARD ALL");
                self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
                self.pinned = Pinned::No;
                AtTheEnd::ResetFirst
            }
        }
    }

    /// The reset of [`AtTheEnd::ResetFirst`] was answered: the server is as new.
    pub fn was_reset(&mut self) {
        self.settings.discard_all();
        if let Some(link) = &mut self.link {
            link.server.discard_all();
        }
    }

    /// Idle with nothing owed and no segment open: the only place where rest is proven.
    pub(crate) fn proof_of_rest(&self) -> Option<AtRest> {
        let rests = self.ledger.is_empty()
            && self.status == TransactionStatus::Idle
            && self.open_segment == OpenSegment::No
            && self.copy_in == CopyIn::No
            && matches!(self.passing, Passing::Nothing)
            && self.skipping == Skipping::No;
        rests.then_some(AtRest(()))
    }

    pub(crate) fn pin(&mut self, reason: PinReason, step: &mut Step<'_>) {
        if self.pinned == Pinned::No {
            self.pinned = Pinned::By(reason);
            step.events.push(Event::Pinned(reason));
        }
    }

    pub(crate) fn unpin(&mut self, step: &mut Step<'_>) {
        if self.pinned != Pinned::No && self.mode != PoolMode::Session {
            self.pinned = Pinned::No;
            step.events.push(Event::Unpinned);
        }
    }

    /// Whether the client's next bytes wait for replies.
    fn must_wait(&self) -> bool {
        let preparing = self.link.as_ref().is_some_and(|link| link.preparing != Preparing::No);
        preparing || self.ledger.len() >= self.limits.pipeline_depth_max
    }

    /// Whether requests must be seen whole before any of them is sent.
    fn must_hold(&self) -> bool {
        match &self.link {
            None => true,
            Some(link) if link.role == NodeRole::Primary => false,
            Some(_) => self.status == TransactionStatus::Idle && self.pinned == Pinned::No,
        }
    }

    /// Looks at the next segment as a whole, and sends it if the server at hand may have it.
    fn hold(&mut self, rest: &[u8], step: &mut Step<'_>) -> Result<Advance, SessionError> {
        if self.skipping != Skipping::No {
            return self.forward(rest, step);
        }
        let mut known = Known {
            classifier: step.classifier,
            lexing: self.lexing,
            statements: &self.statements,
            unnamed: self.unnamed.as_ref(),
            bytes_max: self.limits.query_bytes_max,
        };
        match self.segment.scan(rest, &mut known)? {
            Extent::Open => return Ok(Advance::Until(Next::Input)),
            Extent::Goodbye => return Ok(Advance::Until(Next::Goodbye)),
            Extent::Ended | Extent::Flushed | Extent::TooLong => {}
        }
        let needs = self.segment.needs.max(self.settings_need());
        match (&self.link, needs) {
            (None, Needs::Nothing) => self.answer_alone(rest, step),
            (None, Needs::Read) => Ok(Advance::Until(Next::Lease(self.demand(Access::Read)))),
            (None, Needs::Primary) => Ok(Advance::Until(Next::Lease(self.demand(Access::Primary)))),
            (Some(_), Needs::Nothing | Needs::Read) if self.block == Block::Settled => {
                self.dispatch_segment(rest, step)
            }
            (Some(_), _) => Ok(self.leave_standby(step)),
        }
    }

    /// Reads on a standby fail with some settings: then everything needs the primary.
    fn settings_need(&self) -> Needs {
        if self.segment.needs > Needs::Nothing && self.settings.needs_primary() {
            Needs::Primary
        } else {
            Needs::Nothing
        }
    }

    /// The next segment cannot run on this standby: ends what is open there, or waits for its replies.
    fn leave_standby(&mut self, step: &mut Step<'_>) -> Advance {
        if self.ledger.is_empty() && self.open_segment == OpenSegment::Prepared {
            step.to_server.extend_from_slice(say::SYNC);
            self.ledger.promise(Owed::Sync(Audience::Proxy));
            self.open_segment = OpenSegment::No;
            let link = self.link.as_mut().expect("a segment is only open on a server");
            link.preparing = Preparing::Leaving;
        }
        Advance::Until(Next::Replies)
    }
}

/// How a step over the client's bytes went on.
pub(crate) enum Advance {
    By(usize),
    Until(Next),
}
