//! What the statements behind the portals change in the session's books when they are done, and which they are.
//!
//! Invariant: what an error takes back of one segment is not put over what a later one has changed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::effect::AfterStatement;
use crate::statements::{SegmentNumber, Statement};

/// The portals whose statements change something.
#[derive(Debug, Default)]
pub(crate) struct Portals {
    unnamed: Bound,
    /// The named statement behind the unnamed portal.
    unnamed_of: Option<Arc<Statement>>,
    named: Option<Box<Named>>,
}

/// What portals run, by name. One that runs nothing of interest any more stays until the transaction ends.
type Named = HashMap<Box<[u8]>, Bound>;

/// What the statement of a portal changes when it is done.
#[derive(Clone, Debug, Default)]
struct Bound {
    after: Option<Arc<AfterStatement>>,
    /// The segment that changed this; `None`: it was never anything else.
    changed_in: Option<SegmentNumber>,
}

/// Changes of a portal that can be taken back together.
#[derive(Debug)]
pub(crate) struct PortalChange {
    name: Box<[u8]>,
    /// The segments that made them.
    segments: RangeInclusive<SegmentNumber>,
    before: Bound,
}

impl PortalChange {
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The newest segment of them.
    pub(crate) fn segment(&self) -> SegmentNumber {
        *self.segments.end()
    }

    /// With later ones, up to this segment.
    pub(crate) fn up_to(self, newest: Option<SegmentNumber>) -> Self {
        let oldest = *self.segments.start();
        let newest = newest.unwrap_or(*self.segments.end());
        Self { segments: oldest..=newest, ..self }
    }

    /// If `older`, which is taken back, came right before: what it was before that is what it was before this.
    pub(crate) fn amend(&mut self, older: &PortalChange) -> bool {
        let follows = older.made(&self.before) && older.name == self.name;
        if follows {
            self.before = older.before.clone();
        }
        follows
    }

    fn made(&self, bound: &Bound) -> bool {
        bound.changed_in.is_some_and(|segment| self.segments.contains(&segment))
    }
}

impl Portals {
    /// Binds a portal, or closes it. Answers how to take that back, if it changed anything.
    pub(crate) fn bind(
        &mut self,
        name: &[u8],
        after: Option<Arc<AfterStatement>>,
        of: Option<Arc<Statement>>,
        segment: SegmentNumber,
    ) -> Option<PortalChange> {
        if name.is_empty() {
            self.unnamed_of = of;
        }
        let known = self.portal(name).is_some_and(|portal| portal.changed_in.is_some());
        if after.is_none() && !known {
            return None;
        }
        let portal = self.portal_mut(name);
        let before = std::mem::replace(portal, Bound { after, changed_in: Some(segment) });
        Some(PortalChange { name: name.into(), segments: segment..=segment, before })
    }

    /// Whether no more named ones can be kept.
    pub(crate) fn are_full(&self) -> bool {
        self.named.as_ref().is_some_and(|named| named.len() >= PORTALS_MAX)
    }

    pub(crate) fn after(&self, name: &[u8]) -> Option<Arc<AfterStatement>> {
        self.portal(name)?.after.clone()
    }

    /// The named statement behind the portal, as far as that is remembered.
    pub(crate) fn statement(&self, portal: &[u8]) -> Option<Arc<Statement>> {
        self.unnamed_of.as_ref().filter(|_| portal.is_empty()).map(Arc::clone)
    }

    /// Which statement is behind which portal is not known any more.
    pub(crate) fn forget_statements(&mut self) {
        self.unnamed_of = None;
    }

    /// The segment that made the portal what it is, if it was ever something else.
    pub(crate) fn changed_in(&self, name: &[u8]) -> Option<SegmentNumber> {
        self.portal(name)?.changed_in
    }

    /// Takes changes back, unless a later segment changed the portal again. Answers whether it did.
    pub(crate) fn undo(&mut self, change: &PortalChange) -> bool {
        let portal = self.portal_mut(&change.name);
        let is_last = change.made(portal);
        if is_last {
            *portal = change.before.clone();
        }
        is_last
    }

    fn portal(&self, name: &[u8]) -> Option<&Bound> {
        if name.is_empty() { Some(&self.unnamed) } else { self.named.as_ref()?.get(name) }
    }

    fn portal_mut(&mut self, name: &[u8]) -> &mut Bound {
        if name.is_empty() {
            &mut self.unnamed
        } else {
            self.named.get_or_insert_default().entry(name.into()).or_default()
        }
    }
}

/// Named portals of one transaction whose statements change something.
pub(crate) const PORTALS_MAX: usize = 10_000;
