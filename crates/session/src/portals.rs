//! What the statements behind the portals change in the session's books when they are done, and which they are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::effect::AfterStatement;
use crate::statements::Statement;

/// What statements change when they are done, by the name of their portal.
type Named = HashMap<Box<[u8]>, Arc<AfterStatement>>;

/// The portals whose statements change something.
#[derive(Debug, Default)]
pub(crate) struct Portals {
    unnamed: Option<Arc<AfterStatement>>,
    /// The named statement behind the unnamed portal.
    unnamed_of: Option<Arc<Statement>>,
    named: Option<Box<Named>>,
}

impl Portals {
    pub(crate) fn bind(
        &mut self,
        portal: &[u8],
        after: Option<Arc<AfterStatement>>,
        of: Option<Arc<Statement>>,
    ) {
        if portal.is_empty() {
            (self.unnamed, self.unnamed_of) = (after, of);
        } else if let Some(after) = after {
            self.named.get_or_insert_default().insert(portal.into(), after);
        } else {
            self.close(portal);
        }
    }

    /// Whether no more named ones can be kept.
    pub(crate) fn are_full(&self) -> bool {
        self.named.as_ref().is_some_and(|named| named.len() >= PORTALS_MAX)
    }

    pub(crate) fn close(&mut self, portal: &[u8]) {
        if portal.is_empty() {
            (self.unnamed, self.unnamed_of) = (None, None);
        } else if let Some(named) = &mut self.named {
            named.remove(portal);
        }
    }

    /// The named statement behind the portal, as far as that is remembered.
    pub(crate) fn statement(&self, portal: &[u8]) -> Option<Arc<Statement>> {
        self.unnamed_of.as_ref().filter(|_| portal.is_empty()).map(Arc::clone)
    }

    pub(crate) fn after(&self, portal: &[u8]) -> Option<Arc<AfterStatement>> {
        if portal.is_empty() {
            return self.unnamed.clone();
        }
        self.named.as_ref()?.get(portal).cloned()
    }
}

/// Named portals of one transaction whose statements change something.
pub(crate) const PORTALS_MAX: usize = 10_000;
