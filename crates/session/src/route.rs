//! Where a session's reads should go: hints of its texts, and its setting `pgweir.route`.
//!
//! Why a setting like any other: servers keep it, so SHOW, RESET, SET LOCAL, savepoints and rollbacks are PostgreSQL's own;
//! the session reads it from the settings it keeps anyway.
//! Invariants: a value that is no wish never gets to a server by SET; one that comes in another way asks for nothing.
//! Absent: SET LOCAL's value. It holds within a transaction, whose server is chosen already.

use std::sync::Arc;
use std::time::Duration;

use pgweir_cluster::{Access, Demand};
use pgweir_sql::{
    Change, Classifier, Decision, Fate, Hints, Lexing, Reason, SettingChange, Target, Verdict, Wish,
    WishFault, decide, hints,
};
use pgweir_wire::say;

use crate::dispatch::OpenSegment;
use crate::effect::{AfterStatement, HintOutcome, Step};
use crate::ledger::{Audience, Owed};
use crate::session::{Link, Session, linked};
use crate::settings::{SettingMap, SettingValue};
use crate::terms::NodeRole;

/// The setting's name.
pub const ROUTE_SETTING: &str = "pgweir.route";

/// What the session's setting asks for, as it was when last looked at.
#[derive(Debug, Default)]
pub(crate) struct RouteSetting {
    seen: Option<Arc<SettingMap>>,
    pub(crate) wish: Wish,
}

/// A statement that is about to run.
#[derive(Clone, Copy)]
pub(crate) struct Running<'a> {
    verdict: Verdict,
    text: &'a [u8],
    node: Target,
    lexing: Lexing,
}

impl<'a> Running<'a> {
    /// `text` may be followed by a NUL and more.
    pub(crate) fn new(verdict: Verdict, text: &'a [u8], link: Option<&Link>, lexing: Lexing) -> Self {
        let node = match link.map(|link| link.role) {
            Some(NodeRole::Standby) => Target::Standby,
            Some(NodeRole::Primary) | None => Target::Primary,
        };
        Self { verdict, text, node, lexing }
    }
}

/// What the reads of a segment ask for, beyond a node that may serve them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) node: Option<Arc<str>>,
    staleness_max: Option<Duration>,
    spares_primary: bool,
    pub(crate) tied: Tied,
}

/// Whether what a segment does, or its answer, may depend on the transaction that it runs in. Looked at only where it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tied {
    #[default]
    No,
    Yes,
}

impl RouteSetting {
    /// Looks again if the settings have changed.
    pub(crate) fn follow(&mut self, settings: &Arc<SettingMap>) {
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, settings)) {
            return;
        }
        self.wish = settings.get(ROUTE_SETTING).and_then(|value| wish(value).ok()).unwrap_or_default();
        self.seen = Some(Arc::clone(settings));
    }

    /// Counts a statement that is about to run; answers why it goes where it goes, and what became of its hints.
    pub(crate) fn judge(
        &mut self,
        settings: &Arc<SettingMap>,
        statement: &Running<'_>,
        classifier: &mut Classifier,
    ) -> (Reason, Option<HintOutcome>) {
        let Running { verdict, text, node, lexing } = *statement;
        self.follow(settings);
        let hints = hints(text);
        let decision = decide(&verdict, hints.as_ref().map(|hints| &hints.wish), &self.wish);
        classifier.count(&Verdict { reason: decision.reason, ..verdict }, node, text, lexing);
        (decision.reason, hints.as_ref().map(|hints| outcome(hints, decision.hints)))
    }
}

/// What a value of the setting asks for.
fn wish(value: &SettingValue) -> Result<Wish, WishFault> {
    match value {
        SettingValue::Plain(text) => Wish::parse(text),
        SettingValue::Sql(text) => Wish::parse(&unquoted(text)),
        SettingValue::Defined => Ok(Wish::default()),
    }
}

/// The value of one word, name or string as SET takes it. Values with backslashes are not kept.
fn unquoted(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    match (inside('\''), inside('"')) {
        (Some(string), _) => string.replace("''", "'"),
        (None, Some(name)) => name.replace("\"\"", "\""),
        (None, None) => value.to_ascii_lowercase(),
    }
}

impl Wants {
    /// Adds what one statement asks for. Of two nodes the first stands.
    pub(crate) fn add(&mut self, decision: &Decision<'_>) {
        if self.node.is_none() {
            self.node = decision.node.cloned();
        }
        self.spares_primary |= decision.spares_primary;
        self.staleness_max = match (self.staleness_max, decision.staleness_max) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Whether a standby that was leased for this may serve reads that ask for `other`.
    pub(crate) fn covers(&self, other: &Wants) -> bool {
        let young =
            other.staleness_max.is_none_or(|bound| self.staleness_max.is_some_and(|own| own <= bound));
        let here = other.node.is_none() || other.node == self.node;
        young && here
    }
}

impl Session {
    /// The demand for a server that the segment at hand may run on.
    pub(crate) fn read_demand(&self) -> Demand {
        let Wants { staleness_max, spares_primary, .. } = self.segment.wants;
        let demand = self.demand(Access::Read);
        let exclude = demand.exclude.or(self.read_elsewhere());
        Demand { staleness_max, spares_primary, exclude, ..demand }
    }

    /// The name of the only node that will do for the read which is waiting for a server.
    #[must_use]
    pub fn wanted_node(&self) -> Option<&Arc<str>> {
        self.segment.wants.node.as_ref()
    }

    /// Keeps the books on a statement that is about to run.
    pub(crate) fn track_running(&mut self, verdict: Verdict, text: &[u8], step: &mut Step<'_>) {
        let running = Running::new(verdict, text, self.link.as_ref(), self.lexing);
        let told = self.route.judge(self.settings.current(), &running, step.classifier);
        self.track(verdict, told, step);
    }

    /// Refuses a SET of the setting by a Parse, if its value asks for nothing that there is.
    pub(crate) fn refuses_parse(&mut self, after: Option<&AfterStatement>, step: &mut Step<'_>) -> bool {
        let refused = RefusedRoute::find(after);
        let refuses = refused.is_some();
        if let Some(refused) = refused {
            self.provoke(RefusedRoute::SQLSTATE, refused.message, step);
        }
        refuses
    }

    /// Refuses a simple query.
    pub(crate) fn refuse_query(&mut self, sqlstate: &'static str, message: String, step: &mut Step<'_>) {
        self.forget_unnamed();
        self.provoke(sqlstate, message, step);
        step.to_server.extend_from_slice(say::SYNC);
        self.ledger.promise(Owed::Sync(Audience::Client));
        self.open_segment = OpenSegment::No;
        // The Parse that fails has dropped the server's.
        linked(&mut self.link).server.statements.forget_unnamed();
    }
}

const fn outcome(hints: &Hints, fate: Fate) -> HintOutcome {
    match fate {
        _ if !hints.ignored.is_empty() => HintOutcome::Ignored,
        Fate::Overruled => HintOutcome::Overruled,
        Fate::Followed | Fate::Overridden | Fate::Silent => HintOutcome::Followed,
    }
}

/// Why a SET is not passed on.
pub(crate) struct RefusedRoute {
    pub(crate) message: String,
}

impl RefusedRoute {
    pub(crate) const SQLSTATE: &str = "22023";

    /// The fault of a statement that gives the setting a value.
    pub(crate) fn find(after: Option<&AfterStatement>) -> Option<Self> {
        let after = after?;
        let settings = after.parts.iter().map(|part| &part.setting).chain([&after.setting]);
        settings.flatten().find_map(Self::of)
    }

    fn of(change: &SettingChange) -> Option<Self> {
        match &change.change {
            Change::Set { name, value } if name == ROUTE_SETTING => {
                let fault = wish(&SettingValue::Sql(value.clone())).err()?;
                Some(Self { message: invalid(&fault) })
            }
            _ => None,
        }
    }
}

/// What a client is told of such a value.
#[must_use]
pub fn invalid_route(value: &str) -> Option<String> {
    Wish::parse(value).err().map(|fault| invalid(&fault))
}

fn invalid(fault: &WishFault) -> String {
    format!("invalid value for parameter \"{ROUTE_SETTING}\": {fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_set_takes_them() {
        let table = [
            ("primary", "primary"),
            ("'primary'", "primary"),
            ("\"Primary\"", "primary"),
            ("'node=Db2, staleness=1s'", "node=Db2, staleness=1000000us"),
            ("'node=it''s'", "node=it's"),
        ];
        for (value, expected) in table {
            let wish = wish(&SettingValue::Sql(value.to_owned())).expect(value);
            assert_eq!(wish.to_string(), expected, "{value}");
        }
        for value in ["'x'", "'a', 'b'", "1", "''", "E'primary'", "default_route"] {
            assert!(wish(&SettingValue::Sql(value.to_owned())).is_err(), "{value}");
        }
    }

    #[test]
    fn a_server_leased_for_more_serves_less() {
        let wants = |node: Option<&str>, ms: Option<u64>| Wants {
            node: node.map(Arc::from),
            staleness_max: ms.map(Duration::from_millis),
            spares_primary: false,
            tied: Tied::No,
        };
        let leased = wants(Some("b"), Some(500));
        for less in
            [wants(None, None), wants(Some("b"), None), wants(None, Some(500)), wants(None, Some(900))]
        {
            assert!(leased.covers(&less), "{less:?}");
        }
        for more in [wants(Some("c"), None), wants(None, Some(499))] {
            assert!(!leased.covers(&more), "{more:?}");
        }
        assert!(!wants(None, None).covers(&wants(None, Some(500))));
    }
}
