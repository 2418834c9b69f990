//! One client's session: its books, and the steps in which it gets and loses a server.

use std::sync::Arc;
use std::time::Instant;

use pgweir_cluster::{Access, Demand, NodeId, NodeSet};
use pgweir_sql::Lexing;
use pgweir_wire::TransactionStatus;
use pgweir_wire::say;

use crate::accepted::AcceptedSettings;
use crate::attempt::Attempt;
use crate::copy::CopyIn;
use crate::dispatch::{Block, OpenSegment, Passing, Skipping};
use crate::effect::{Event, PinReason, Step};
use crate::error::SessionError;
use crate::held::Held;
use crate::ledger::{Audience, Ledger, Owed};
use crate::lent::OwnNames;
use crate::names::Names;
use crate::portals::Portals;
use crate::proven::ProvenStatements;
use crate::question::Inquiry;
use crate::replies::{Outcome, ReplyRest};
use crate::route::{RouteSetting, Wants};
use crate::segment::Segment;
use crate::server::{Reported, ServerState};
use crate::settings::Settings;
use crate::shapes::Checks;
use crate::sharing::Sharing;
use crate::statements::{ClientStatements, StatementNamer, Unnamed};
use crate::terms::{Limits, Liveness, NodeRole, PoolMode, SessionSettings, TransactionReads};

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

/// One client's session.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: u64,
    pub(crate) process_id: u32,
    pub(crate) mode: PoolMode,
    pub(crate) limits: Limits,
    pub(crate) namer: Arc<StatementNamer>,
    pub(crate) proven: Arc<ProvenStatements>,
    pub(crate) accepted: Arc<AcceptedSettings>,
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    pub(crate) route: RouteSetting,
    /// What the client was last told of the settings that servers report.
    pub(crate) told: Arc<Reported>,
    pub(crate) statements: ClientStatements,
    pub(crate) sharing: Sharing,
    pub(crate) unnamed: Option<Unnamed>,
    /// How often the unnamed statement was changed, ever.
    pub(crate) unnamed_count: u64,
    /// The change that made it what it is.
    pub(crate) unnamed_change: u64,
    pub(crate) portals: Portals,
    pub(crate) ledger: Ledger,
    pub(crate) link: Option<Link>,
    pub(crate) status: TransactionStatus,
    pub(crate) held: Held,
    pub(crate) pinned: Pinned,
    pub(crate) passing: Passing,
    pub(crate) copy_in: CopyIn,
    pub(crate) open_segment: OpenSegment,
    pub(crate) block: Block,
    pub(crate) skipping: Skipping,
    pub(crate) segment: Segment,
    pub(crate) attempt: Attempt,
    pub(crate) checks: Checks,
    pub(crate) lexing: Lexing,
    pub(crate) writes: Writes,
    reads_own_writes: bool,
    pub(crate) transaction_reads: TransactionReads,
    /// The rest of a reply that came in part.
    pub(crate) reply_rest: ReplyRest,
    pub(crate) outcome: Outcome,
    pub(crate) inquiry: Inquiry,
    pub(crate) own_names: OwnNames,
    /// Statements that are done of the string being answered.
    pub(crate) string_done: usize,
    /// The body of the error with which a server refused the session's settings.
    pub(crate) refused: Option<Box<[u8]>>,
}

/// The server a session has.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) server: Box<ServerState>,
    pub(crate) role: NodeRole,
    pub(crate) node: NodeId,
    pub(crate) preparing: Preparing,
    /// What the reads asked for that it was leased for.
    pub(crate) wants: Wants,
}

/// Whether the server is still being given the session's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preparing {
    No,
    Settings,
    /// Asked what a statement would return there.
    Checking,
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
        let own = Settings::new(settings.startup);
        Self {
            id: settings.id,
            process_id: settings.process_id,
            mode: settings.mode,
            limits: settings.limits,
            namer: settings.namer,
            proven: settings.proven,
            accepted: settings.accepted,
            names: Names::new(settings.catalog, settings.role, &own),
            settings: own,
            route: RouteSetting::default(),
            told: Arc::default(),
            statements: ClientStatements::default(),
            sharing: Sharing::default(),
            unnamed: None,
            unnamed_count: 0,
            unnamed_change: 0,
            portals: Portals::default(),
            ledger: Ledger::default(),
            link: None,
            status: TransactionStatus::Idle,
            held: Held::No,
            pinned: Pinned::No,
            passing: Passing::Nothing,
            copy_in: CopyIn::No,
            open_segment: OpenSegment::No,
            block: Block::Settled,
            skipping: Skipping::No,
            segment: Segment::new(),
            attempt: Attempt::default(),
            checks: Checks::Each,
            // Nobody knows before a server tells: both ways to read strings must agree.
            lexing: Lexing { standard_conforming_strings: false },
            writes: Writes::default(),
            reads_own_writes: settings.reads_own_writes,
            transaction_reads: settings.transaction_reads,
            reply_rest: ReplyRest::Nothing,
            outcome: Outcome::Fine,
            inquiry: Inquiry::default(),
            own_names: OwnNames::default(),
            string_done: 0,
            refused: None,
        }
    }

    /// Takes the next step with the client's bytes, which begin where the last step stopped.
    ///
    /// # Errors
    /// The client broke the protocol; the session is over.
    pub fn on_client(&mut self, input: &[u8], step: &mut Step<'_>) -> Result<ClientTook, SessionError> {
        self.names.refresh(&self.settings);
        let mut bytes = 0;
        let next = loop {
            let rest = &input[bytes..];
            let taken = self.pass(rest, step);
            if taken > 0 {
                self.attempt.sent(taken);
                bytes += taken;
                continue;
            }
            if !matches!(self.passing, Passing::Nothing) {
                // Nothing of ours may come into the middle of a message.
                break Next::Input;
            }
            self.ask_for_recount(step);
            if self.is_changing_server() {
                break Next::Replies;
            }
            if self.must_wait() || self.waits_for_copy(rest) {
                match self.wait(step) {
                    Advance::Until(next) => break next,
                    Advance::By(_) => unreachable!("waiting takes nothing"),
                }
            }
            if rest.is_empty() {
                break Next::Input;
            }
            if self.goes_on_behind_block(rest) {
                self.leave_standby(step);
                break Next::Replies;
            }
            self.attempt.goes_on(step.to_client);
            self.keep_for_renewal(rest, step);
            let advance = if self.must_hold() { self.hold(rest, step)? } else { self.forward(rest, step)? };
            match advance {
                Advance::By(taken) => {
                    self.attempt.sent(taken);
                    bytes += taken;
                }
                Advance::Until(next) => break next,
            }
        };
        Ok(ClientTook { bytes, next })
    }

    /// The demand for a server that this session would make now for its welcome.
    #[must_use]
    pub fn demand(&self, access: Access) -> Demand {
        let fresh_as_of = if self.reads_own_writes { self.writes.last } else { None };
        Demand { fresh_as_of, exclude: self.attempt.tried, ..Demand::new(access) }
    }

    /// Gives the session the server it asked for. Its settings are brought to the session's first. If that may fail, or if it
    /// was unused for long and is asked whether it lives, nothing of the client's is sent before that is answered.
    pub fn link(
        &mut self,
        mut server: Box<ServerState>,
        node: NodeId,
        role: NodeRole,
        liveness: Liveness,
        step: &mut Step<'_>,
    ) {
        assert!(self.link.is_none() && self.ledger.is_empty(), "a session has one server at a time");
        let (wants, asks) = (self.settings.current(), liveness == Liveness::Ask);
        let difference = server.query_for(self.id, wants).or_else(|| asks.then(String::new));
        let difference = self.without_others_values(&mut server, difference);
        let mut preparing = Preparing::No;
        if let Some(query) = &difference {
            say::query(step.to_server, query.as_bytes());
            self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
            server.statements.forget_unnamed();
            if asks || !server.takes(self.id, wants, node, &self.accepted) {
                preparing = Preparing::Settings;
            }
        }
        server.checked.clear();
        server.opaque_of.take_if(|of| *of != self.id);
        let wants = self.segment.wants.clone();
        self.read_strings_as(server.lexing());
        self.link = Some(Link { server, role, node, preparing, wants });
        if self.mode == PoolMode::Session {
            self.pin(PinReason::SessionMode, step);
        }
    }

    /// How strings are read from now on. What was scanned otherwise is scanned again.
    pub(crate) fn read_strings_as(&mut self, lexing: Lexing) {
        if self.lexing != lexing {
            self.lexing = lexing;
            self.segment = Segment::new();
        }
    }

    /// Whether the read that is waiting for a server had one that failed.
    #[must_use]
    pub fn sends_again(&self) -> bool {
        self.attempt.tried != NodeSet::EMPTY
    }

    /// Takes the server back from a session at rest, or from one whose server is lost.
    ///
    /// # Panics
    /// If the session has no server.
    #[must_use]
    pub fn unlink(&mut self) -> Box<ServerState> {
        self.dropped_by_sql(None);
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

    pub(crate) fn pin(&mut self, reason: PinReason, step: &mut Step<'_>) {
        match self.pinned {
            Pinned::No => {}
            // What no catalog shows lasts longest.
            Pinned::By(known) if known.is_shown() && !reason.is_shown() => self.unpin(step),
            Pinned::By(_) => return,
        }
        self.pinned = Pinned::By(reason);
        step.events.push(Event::Pinned(reason));
    }

    pub(crate) fn unpin(&mut self, step: &mut Step<'_>) {
        let held = self.mode == PoolMode::Session || self.is_beyond_reset();
        if self.pinned != Pinned::No && !held {
            self.pinned = Pinned::No;
            step.events.push(Event::Unpinned);
        }
    }

    /// Whether the session's server can serve nobody else any more.
    pub(crate) fn is_beyond_reset(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.server.beyond_reset)
    }

    /// Whether the server at hand is being prepared or left.
    fn is_changing_server(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.preparing != Preparing::No)
    }

    /// Whether the client's next bytes wait for replies.
    fn must_wait(&self) -> bool {
        if self.copy_in.is_read() {
            return false;
        }
        let full = self.ledger.len() >= self.limits.pipeline_depth_max;
        let leaves_standby =
            self.block == Block::Ending && self.open_segment == OpenSegment::No && !self.ledger.is_empty();
        full || (self.held.is_apart() && self.skipping == Skipping::No)
            || leaves_standby
            || self.ledger.has_barrier()
            || self.ledger.owes_answer()
    }

    /// Whether a segment that may have ended its block on a standby has more to come than its Sync.
    fn goes_on_behind_block(&self, rest: &[u8]) -> bool {
        self.block == Block::Ending
            && self.open_segment != OpenSegment::No
            && self.skipping == Skipping::No
            && !matches!(rest.first(), Some(b'S' | b'H' | b'X'))
    }

    /// Whether requests must be seen whole before any of them is sent.
    fn must_hold(&self) -> bool {
        match &self.link {
            None => true,
            Some(link) if link.role == NodeRole::Primary => false,
            Some(_) if self.held.is_begun() || self.held.is_apart() => true,
            // What goes out with a BEGIN can be sent to another standby as long as nothing of it was shown.
            Some(_) if self.held.is_sent() => self.attempt.may_move(),
            Some(_) => self.status == TransactionStatus::Idle && self.pinned == Pinned::No,
        }
    }
}

/// How a step over the client's bytes went on.
pub(crate) enum Advance {
    By(usize),
    Until(Next),
}

/// The link, where only a linked session gets to.
pub(crate) fn linked(link: &mut Option<Link>) -> &mut Link {
    link.as_mut().expect("messages are sent only while linked")
}
