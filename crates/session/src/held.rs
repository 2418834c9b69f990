//! BEGIN without a server: the client is told that its block began, and a server hears of it with the first statement.
//!
//! Why: a client that says BEGIN and thinks would keep a server idle; and the first statement helps to choose the node.
//!
//! Invariants: only a BEGIN that cannot fail is held; it goes out in one write with what follows it, and PostgreSQL
//! answers that, be it a second BEGIN; a block that no server knows of is ended, or fails, without one.
//! Absent: everything behind the first statement. From then on it is an ordinary block.

use std::sync::Arc;

use pgweir_cluster::NodeId;
use pgweir_sql::{BeginMode, Isolation, Kind, Target, Verdict, decide, hints};
use pgweir_wire::body::{self, BindNames, Parse, executed_portal, query_text};
use pgweir_wire::{TransactionStatus, say};

use crate::boundary::{Boundary, Chain};
use crate::dispatch::OpenSegment;
use crate::effect::{AfterStatement, Event, Step};
use crate::frames::Frames;
use crate::ledger::{Audience, Owed};
use crate::route::Running;
use crate::segment::{Extent, Needs, Segment};
use crate::session::{Advance, Pinned, Preparing, Session, linked};
use crate::terms::{NodeRole, PoolMode, Refusal};

/// A block of the client's that may have no server yet.
#[derive(Debug, Default)]
pub(crate) enum Held {
    /// There is none, or a server has it.
    #[default]
    No,
    /// The client was told that it began.
    Begun(Box<Begin>),
    /// A standby runs a read of it by itself; no server has the block.
    Apart(Box<Begin>),
    /// Its BEGIN was sent with the first statements, and they are not answered.
    Sent(Box<Begin>),
    /// It failed before any server had it.
    Failed(Box<Begin>),
}

/// How a block begins.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) text: Vec<u8>,
    pub(crate) mode: BeginMode,
    verdict: Verdict,
    /// What ran of it apart.
    pub(crate) apart: RanApart,
}

/// What ran of a block on a standby, which knew nothing of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RanApart {
    Nothing,
    /// Reads, on this one.
    Reads(NodeId),
    /// A read that failed: so has the block.
    Failed,
}

/// A segment that is just one statement.
struct Single<'a> {
    text: &'a [u8],
    by: By<'a>,
}

/// How the statement is asked for.
enum By<'a> {
    Query,
    /// By the unnamed statement and portal: what Parse says of it, and what is described.
    Portal(&'a [u8], Described),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Described {
    Nothing,
    Portal,
    Statement,
}

impl Held {
    /// Whether the client is in a block that is not, or not surely, on a server.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Begun(_) | Self::Apart(_) | Self::Sent(_))
    }

    /// Whether the first statements can still be sent to another server, with the BEGIN.
    pub(crate) const fn is_begun(&self) -> bool {
        matches!(self, Self::Begun(_))
    }

    /// Whether the client is in a block of which no server knows, and nothing of it is under way.
    pub(crate) const fn is_unknown_to_server(&self) -> bool {
        matches!(self, Self::Begun(_) | Self::Failed(_))
    }

    pub(crate) const fn is_sent(&self) -> bool {
        matches!(self, Self::Sent(_))
    }

    /// The server that had the block is gone, and the client was shown nothing of it.
    pub(crate) fn take_back(&mut self) {
        *self = match std::mem::take(self) {
            Self::Apart(begin) | Self::Sent(begin) => Self::Begun(begin),
            other => other,
        };
    }
}

impl Session {
    /// Answers a segment without a server if it begins a block, or ends or meets one that no server has.
    pub(crate) fn answer_block(&mut self, rest: &[u8], step: &mut Step<'_>) -> Option<Advance> {
        if self.mode != PoolMode::Transaction || self.segment.extent != Extent::Ended {
            return self.refuse_failed(rest, step);
        }
        let segment = &rest[..self.segment.scanned];
        let single = Single::read(segment);
        let Some((boundary, single)) = single.and_then(|single| Some((Boundary::read(single.text)?, single)))
        else {
            return self.refuse_failed(rest, step);
        };
        let verdict = step.classifier.classify(single.text, self.lexing, None);
        let (Boundary::Commit(chain) | Boundary::Rollback(chain)) = boundary else {
            let (Kind::Begin(mode), Held::No) = (verdict.kind, &self.held) else {
                return self.refuse_failed(rest, step);
            };
            let apart = RanApart::Nothing;
            self.held = Held::Begun(Box::new(Begin { text: single.text.to_vec(), mode, verdict, apart }));
            self.status = TransactionStatus::InTransaction;
            return Some(self.say_done(&single, boundary.tag(), verdict, step));
        };
        let (mut begin, tag) = match std::mem::take(&mut self.held) {
            Held::Begun(begin) => {
                self.count_begin(&begin, step);
                let failed = begin.apart == RanApart::Failed;
                (begin, if failed { Boundary::Rollback(chain) } else { boundary }.tag())
            }
            Held::Failed(begin) => (begin, Boundary::Rollback(chain).tag()),
            other => {
                self.held = other;
                return None;
            }
        };
        begin.apart = RanApart::Nothing;
        (self.status, self.held) = match chain {
            Chain::No => (TransactionStatus::Idle, Held::No),
            Chain::Yes => (TransactionStatus::InTransaction, Held::Begun(begin)),
        };
        step.events.extend([Event::Dispatched(verdict), Event::TransactionEnded]);
        Some(self.say_done(&single, tag, verdict, step))
    }

    /// A block that failed takes nothing but its end.
    fn refuse_failed(&mut self, rest: &[u8], step: &mut Step<'_>) -> Option<Advance> {
        if !matches!(self.held, Held::Failed(_)) || self.segment.needs == Needs::Nothing {
            return None;
        }
        let Some(single) = Single::read(&rest[..self.segment.scanned]) else {
            return Some(Advance::By(self.refuse(rest, &aborted(), step)));
        };
        if matches!(single.by, By::Query) && single.text.trim_ascii().is_empty() {
            say::frame(step.to_client, b'I', &[]);
            return Some(self.say_ready(step));
        }
        let verdict = step.classifier.classify(single.text, self.lexing, None);
        let refusal = match (verdict.kind, pgweir_sql::savepoint_name(single.text)) {
            (Kind::RollbackTo, Some(savepoint)) => {
                self.say_bound(&single, verdict, step);
                no_savepoint(&savepoint)
            }
            _ => aborted(),
        };
        Some(Advance::By(self.refuse(rest, &refusal, step)))
    }

    /// Tells the client that the statement is done.
    fn say_done(&mut self, single: &Single<'_>, tag: &str, verdict: Verdict, step: &mut Step<'_>) -> Advance {
        self.say_bound(single, verdict, step);
        say::command_complete(step.to_client, tag);
        self.say_ready(step)
    }

    /// Tells the client whatever comes before its statement is run.
    fn say_bound(&mut self, single: &Single<'_>, verdict: Verdict, step: &mut Step<'_>) {
        self.forget_unnamed();
        let By::Portal(definition, described) = single.by else { return };
        let after = AfterStatement::of(single.text, verdict);
        self.define_unnamed(definition, self.judged(verdict), after.map(Arc::new));
        self.portals.bind(b"", None, None, self.ledger.segment());
        step.to_client.extend_from_slice(say::PARSE_COMPLETE);
        say::frame(step.to_client, b'2', &[]);
        if described == Described::Statement {
            say::frame(step.to_client, b't', &[&[0, 0]]);
        }
        if described != Described::Nothing {
            say::frame(step.to_client, b'n', &[]);
        }
    }

    /// The segment at hand is answered.
    fn say_ready(&mut self, step: &mut Step<'_>) -> Advance {
        say::ready_for_query(step.to_client, self.status);
        let segment = std::mem::replace(&mut self.segment, Segment::new());
        Advance::By(segment.scanned)
    }

    /// What the next segment needs with the block that it would begin.
    pub(crate) fn needs_with_block(&mut self, rest: &[u8], step: &mut Step<'_>) -> Needs {
        let needs = self.segment.needs;
        let (Held::Begun(begin) | Held::Sent(begin)) = &self.held else { return needs };
        let reads_only = self.block_reads_only() == Some(true);
        if needs == Needs::Nothing || (!reads_only && self.may_run_apart(begin)) {
            return needs;
        }
        if !reads_only || begin.mode.isolation == Some(Isolation::Serializable) {
            return Needs::Primary;
        }
        let single = Single::read(&rest[..self.segment.scanned]);
        let naming = Some(self.names.naming());
        let verdict = single.map(|single| step.classifier.classify(single.text, self.lexing, naming));
        let hints = hints(&begin.text);
        let decision = decide(&begin.verdict, hints.as_ref().map(|hints| &hints.wish), &self.route.wish);
        if decision.target == Target::Primary {
            return if hints.is_some() { Needs::Primary } else { needs };
        }
        self.segment.wants.add(&decision);
        match verdict {
            Some(Verdict { kind: Kind::Declare | Kind::Savepoint | Kind::Set, binds: None, .. }) => {
                Needs::Read
            }
            _ => needs,
        }
    }

    /// Whether the block that the client began is READ ONLY; `None`: there is none that no server knows of.
    pub(crate) fn block_reads_only(&self) -> Option<bool> {
        let (Held::Begun(begin) | Held::Sent(begin)) = &self.held else { return None };
        let default = || self.told.get(&b"default_transaction_read_only"[..]).is_some_and(|on| on == b"on");
        Some(begin.mode.read_only.unwrap_or_else(default))
    }

    /// Tells the server at hand of the block that the client began, before anything in it.
    pub(crate) fn send_held(&mut self, step: &mut Step<'_>) {
        if self.link.is_none() || !self.held.is_begun() || self.goes_apart() {
            return;
        }
        if let Held::Begun(begin) = std::mem::take(&mut self.held) {
            Self::say_begin(&begin, step);
            self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
            self.count_begin(&begin, step);
            // A simple query drops the server's unnamed statement.
            linked(&mut self.link).server.statements.forget_unnamed();
            self.held = Held::Sent(begin);
        }
    }

    fn count_begin(&mut self, begin: &Begin, step: &mut Step<'_>) {
        let running = Running::new(begin.verdict, &begin.text, self.link.as_ref(), self.lexing);
        let (reason, hinted) = self.route.judge(self.settings.current(), &running, step.classifier);
        step.events.push(Event::Dispatched(Verdict { reason, ..begin.verdict }));
        step.events.extend(hinted.map(Event::Hinted));
    }

    /// Whether a string ends the block on the standby at hand with its first statement, and goes on with what the primary must
    /// run. Then the whole of it goes there, behind a block that is as empty as this one is once it has ended; so the errors
    /// of the string are those of PostgreSQL. Nor can a block be prepared on a standby.
    pub(crate) fn ends_block_first(&self, text: &[u8], verdict: Verdict) -> Option<Boundary> {
        let standby = self.link.as_ref().is_some_and(|link| link.role == NodeRole::Standby);
        if !standby || self.pinned != Pinned::No || verdict.target != Target::Primary {
            return None;
        }
        match verdict.kind {
            Kind::Multi => {}
            Kind::PrepareTransaction if self.status == TransactionStatus::InTransaction => {
                return Some(Boundary::Commit(Chain::No));
            }
            _ => return None,
        }
        let first = pgweir_sql::statements(text, self.lexing)?.into_iter().next()?;
        match (Boundary::read(&text[first])?, self.status) {
            (end @ Boundary::Commit(Chain::No), TransactionStatus::InTransaction) => Some(end),
            // Where the block has failed, COMMIT says otherwise than in one that has not.
            (end @ Boundary::Rollback(Chain::No), status) if status != TransactionStatus::Idle => Some(end),
            _ => None,
        }
    }

    /// Ends the block on the standby at hand, where nothing is outstanding, and has another begin with what comes next.
    pub(crate) fn move_block(&mut self, end: Boundary, step: &mut Step<'_>) {
        if let Boundary::Rollback(_) = end {
            self.settings.rollback();
        }
        say::query(step.to_server, end.tag().as_bytes());
        self.ledger.promise(Owed::SimpleQuery(Audience::Proxy, None));
        self.open_segment = OpenSegment::No;
        let link = linked(&mut self.link);
        link.server.statements.forget_unnamed();
        link.preparing = Preparing::Leaving;
        let text = b"BEGIN READ ONLY";
        let verdict = step.classifier.classify(text, self.lexing, None);
        let mode = BeginMode { read_only: Some(true), ..BeginMode::default() };
        self.held =
            Held::Begun(Box::new(Begin { text: text.to_vec(), mode, verdict, apart: RanApart::Nothing }));
        self.status = TransactionStatus::InTransaction;
    }

    /// ReadyForQuery. What we asked before the block is no news to the client, which is in it already.
    pub(crate) fn settle_block(&mut self, status: TransactionStatus, audience: Audience) {
        if audience == Audience::Client {
            if self.held.is_sent() {
                self.held = Held::No;
            }
        } else if self.held.is_open() {
            return;
        }
        self.status = status;
    }

    /// A block that has no server gets none: it has failed.
    pub(crate) fn fail_held(&mut self) {
        self.held = match std::mem::take(&mut self.held) {
            Held::Begun(begin) => {
                self.status = TransactionStatus::Failed;
                Held::Failed(begin)
            }
            other => other,
        };
    }
}

/// What PostgreSQL says of anything in a failed block.
fn aborted() -> Refusal {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    Refusal { sqlstate: "25P02", message: message.to_owned() }
}

fn no_savepoint(name: &str) -> Refusal {
    Refusal { sqlstate: "3B001", message: format!("savepoint \"{name}\" does not exist") }
}

impl<'a> Single<'a> {
    fn read(segment: &'a [u8]) -> Option<Self> {
        let mut frames = Frames(segment);
        match frames.next()? {
            (b'Q', body) => {
                let text = query_text(body)?;
                frames.next().is_none().then_some(Self { text, by: By::Query })
            }
            (b'P', body) => {
                let parse =
                    Parse::read(body).filter(|parse| parse.name.is_empty() && parse.types == [0, 0])?;
                let described = run_once(&mut frames)?;
                Some(Self { text: parse.text, by: By::Portal(&body[1..], described) })
            }
            _ => None,
        }
    }
}

/// Bind, Describe, Execute and Sync of the unnamed statement without parameters.
fn run_once(frames: &mut Frames<'_>) -> Option<Described> {
    let (b'B', bind) = frames.next()? else { return None };
    let names =
        BindNames::read(bind).filter(|names| names.portal.is_empty() && names.statement.is_empty())?;
    if !has_no_parameters(&bind[names.bytes..]) {
        return None;
    }
    let mut described = Described::Nothing;
    let mut next = frames.next()?;
    if let (b'D', target) = next {
        described = match body::Target::read(target)? {
            body::Target::Portal(b"") => Described::Portal,
            body::Target::Statement(b"") => Described::Statement,
            body::Target::Portal(_) | body::Target::Statement(_) => return None,
        };
        next = frames.next()?;
    }
    let (b'E', execute) = next else { return None };
    let (b'S', _) = frames.next()? else { return None };
    (executed_portal(execute)?.is_empty() && frames.next().is_none()).then_some(described)
}

/// Whether a Bind, behind its names, has at most one format, no values, and formats of results that add up.
fn has_no_parameters(rest: &[u8]) -> bool {
    let rest = match rest {
        [0, 0, rest @ ..] | [0, 1, _, _, rest @ ..] => rest,
        _ => return false,
    };
    let [0, 0, high, low, results @ ..] = rest else { return false };
    results.len() == usize::from(u16::from_be_bytes([*high, *low])) * 2
}
