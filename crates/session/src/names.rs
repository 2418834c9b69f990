//! What names in a text mean to the session now: its database's catalog, seen through its search path.
//!
//! Invariant: every statement is judged by what names mean when it runs, also one that was prepared when they meant something
//! else. Looking whether anything changed costs two comparisons.

use std::sync::Arc;

use pgweir_sql::{
    CatalogSlot, Classifier, Depends, Kind, Leaves, Lexing, Naming, NamingId, Reason, SearchPath, ShapeId,
    Target, Verdict,
};

use crate::settings::{SettingMap, SettingValue, Settings};

/// The session's view of the catalog.
#[derive(Debug)]
pub(crate) struct Names {
    slot: Arc<CatalogSlot>,
    /// The role with which servers are logged in to.
    role: Arc<str>,
    naming: Arc<Naming>,
    /// What `naming` was made of.
    generation: u64,
    settings: Arc<SettingMap>,
    local: Local,
}

/// The verdict on a statement that runs later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    verdict: Verdict,
    /// What names meant; `None`: nobody looked at them.
    under: Option<NamingId>,
}

/// Whether SET LOCAL may have changed the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    No,
    Maybe,
}

impl Names {
    pub(crate) fn new(slot: Arc<CatalogSlot>, role: Arc<str>, settings: &Settings) -> Self {
        let generation = slot.generation();
        let settings = Arc::clone(settings.current());
        let naming = slot.naming(path(&settings, Local::No), &role);
        Self { slot, role, naming, generation, settings, local: Local::No }
    }

    /// Looks whether names mean something else by now.
    pub(crate) fn refresh(&mut self, settings: &Settings) {
        let generation = self.slot.generation();
        let local = if settings.has_local() { Local::Maybe } else { Local::No };
        let same = generation == self.generation
            && local == self.local
            && Arc::ptr_eq(settings.current(), &self.settings);
        if same {
            return;
        }
        self.generation = generation;
        self.settings = Arc::clone(settings.current());
        self.local = local;
        self.naming = self.slot.naming(path(&self.settings, local), &self.role);
    }

    /// What names mean.
    pub(crate) fn naming(&self) -> &Naming {
        &self.naming
    }
}

impl Judged {
    /// The verdict on a text that was looked into.
    pub(crate) fn new(verdict: Verdict, naming: &Naming) -> Self {
        Self { verdict, under: Some(naming.id()) }
    }

    /// The verdict on a text that nobody looked into.
    pub(crate) const fn unseen(verdict: Verdict) -> Self {
        Self { verdict, under: None }
    }

    /// Whether nobody looked into the text.
    pub(crate) fn is_unseen(self) -> bool {
        self.under.is_none()
    }

    /// The verdict now. `definition` begins with the text and a NUL.
    pub(crate) fn now(
        self,
        definition: &[u8],
        naming: &Naming,
        lexing: Lexing,
        classifier: &mut Classifier,
    ) -> Verdict {
        if self.under.is_none_or(|under| under == naming.id()) {
            return self.verdict;
        }
        let text = definition.split(|byte| *byte == 0).next().unwrap_or_default();
        classifier.classify(text, lexing, Some(naming))
    }
}

fn path(settings: &SettingMap, local: Local) -> SearchPath<'_> {
    // Under another role "$user" is another schema.
    let other_role = ["role", "session_authorization"].iter().any(|name| settings.contains_key(*name));
    match settings.get("search_path") {
        _ if local == Local::Maybe || other_role => SearchPath::Unknown,
        None => SearchPath::Default,
        Some(SettingValue::Plain(value)) => SearchPath::List(value),
        Some(SettingValue::Sql(value)) => SearchPath::Sql(value),
        Some(SettingValue::Defined) => SearchPath::Unknown,
    }
}

/// The verdict on a text that nobody looked into.
pub(crate) const TOO_LONG: Verdict = Verdict {
    target: Target::Primary,
    kind: Kind::Other,
    reason: Reason::TextTooLong,
    binds: None,
    leaves: Leaves::Unknown,
    depends: Depends::Transaction,
    shape: ShapeId::NONE,
};
