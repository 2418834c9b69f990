//! Where the present catalog of one database is found, and what its names mean to sessions.
//!
//! Why here: many sessions read it and one reader swaps it whole; a session must see that with one comparison.
//! Invariants: a naming's number is never given to another one, so it can stand for the naming in a cache's key; sessions
//! with the same path and role share a naming. Bounded: [`NAMINGS_MAX`] namings, [`REFUSED_MAX`] refused texts.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Catalog, Path, SearchPath};

/// The present catalog of one database.
#[derive(Debug)]
pub struct CatalogSlot {
    /// Goes up with every change.
    generation: AtomicU64,
    inner: Mutex<Inner>,
    refused: Arc<Refused>,
}

#[derive(Debug)]
struct Inner {
    catalog: Option<Arc<Catalog>>,
    namings: HashMap<Key, Arc<Naming>>,
    /// The next naming's number.
    next: u64,
}

/// The setting's form and text, and the role.
type Key = (bool, Option<String>, String);

/// What names mean to a session.
#[derive(Debug)]
pub struct Naming {
    pub(crate) number: u64,
    pub(crate) catalog: Option<Arc<Catalog>>,
    pub(crate) path: Path,
    pub(crate) refused: Arc<Refused>,
    reads_committed: bool,
}

/// Under what a verdict was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamingId {
    /// Never 0, which keeps sessions small: they remember one, or none, for each statement.
    number: NonZeroU64,
    refusals: u64,
}

/// Normal forms of texts that looked like reads and that a standby refused as writes.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    texts: Mutex<HashSet<Box<[u8]>>>,
    /// How many there ever were.
    count: AtomicU64,
}

impl Default for CatalogSlot {
    /// The only slot there is.
    fn default() -> Self {
        Self::new(0)
    }
}

impl CatalogSlot {
    /// A slot without a catalog. `number` is the slot's own among all of the process.
    #[must_use]
    pub fn new(number: u32) -> Self {
        let inner = Inner { catalog: None, namings: HashMap::new(), next: (u64::from(number) << 32) + 1 };
        Self { generation: AtomicU64::new(1), inner: Mutex::new(inner), refused: Arc::default() }
    }

    /// A number that goes up whenever names may have got another meaning.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts another catalog in, or takes it out. One that knows the same changes nothing: verdicts stay remembered.
    pub fn set(&self, catalog: Option<Arc<Catalog>>) {
        let mut inner = self.lock();
        if inner.catalog == catalog {
            return;
        }
        inner.catalog = catalog;
        inner.namings.clear();
        // Still locked: who sees the number gets this catalog's naming.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The present catalog.
    #[must_use]
    pub fn catalog(&self) -> Option<Arc<Catalog>> {
        self.lock().catalog.clone()
    }

    /// What names mean to a session of this role.
    #[must_use]
    pub fn naming(&self, value: SearchPath<'_>, role: &str) -> Arc<Naming> {
        let mut inner = self.lock();
        // Without a catalog no path matters.
        let value = if inner.catalog.is_none() { SearchPath::Unknown } else { value };
        let key = match value {
            SearchPath::Default => (false, None, role.to_owned()),
            SearchPath::Unknown => (true, None, String::new()),
            SearchPath::List(text) => (false, Some(text.to_owned()), role.to_owned()),
            SearchPath::Sql(text) => (true, Some(text.to_owned()), role.to_owned()),
        };
        if let Some(naming) = inner.namings.get(&key) {
            return Arc::clone(naming);
        }
        if inner.namings.len() >= NAMINGS_MAX {
            inner.namings.clear();
        }
        // An unknown path is shared by all roles.
        let reads_committed = value != SearchPath::Unknown
            && inner.catalog.as_ref().is_some_and(|catalog| catalog.reads_committed(role));
        let path = inner.catalog.as_ref().map_or(Path::All, |catalog| catalog.path(value, role));
        let naming = Arc::new(Naming {
            number: inner.next,
            catalog: inner.catalog.clone(),
            path,
            refused: Arc::clone(&self.refused),
            reads_committed,
        });
        inner.next += 1;
        inner.namings.insert(key, Arc::clone(&naming));
        naming
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one assignment or one insertion: a panic leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Naming {
    /// Whether transactions of the session's role are known to be READ COMMITTED unless the session says otherwise.
    #[must_use]
    pub fn reads_committed(&self) -> bool {
        self.reads_committed
    }

    /// Tells this naming, with what standbys refused up to now, from any other of the process.
    #[must_use]
    pub fn id(&self) -> NamingId {
        let number = NonZeroU64::new(self.number).expect("numbers begin at 1");
        NamingId { number, refusals: self.refused.count.load(Ordering::Acquire) }
    }
}

impl Refused {
    /// Whether a standby refused a text of this normal form.
    pub(crate) fn has(&self, normal: &[u8]) -> bool {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).contains(normal)
    }

    /// A standby refused a text of this normal form. When there are too many, the old ones are forgotten, and learnt again.
    pub(crate) fn add(&self, normal: &[u8]) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() >= REFUSED_MAX {
            texts.clear();
        }
        texts.insert(normal.into());
        self.count.fetch_add(1, Ordering::Release);
    }
}

/// Scopes kept at a time; each is a path and two pointers.
const NAMINGS_MAX: usize = 1024;
/// Refused texts kept at a time.
const REFUSED_MAX: usize = 1024;
