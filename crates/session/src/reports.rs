//! What the client is told of the settings that servers report.
//!
//! One rule: before a ReadyForQuery that the client hears, it is told what its server reports and it was last told
//! otherwise. So what we replay never shows, and what a SET, a RESET or a rollback changes does.
//! Why then: since PostgreSQL 14 reports come right before ReadyForQuery, whatever the transaction status.
//! Absent: what belongs to a node. Its version stays what the login said.

use std::sync::Arc;

use pgweir_wire::say;

use crate::effect::Step;
use crate::server::{Reported, lexing};
use crate::session::Session;

impl Session {
    /// The client was told this when it logged in, under the settings of its start-up packet.
    pub fn welcomed(&mut self, reported: &Arc<Reported>) {
        self.told = Arc::clone(reported);
        self.settings.welcomed(reported);
        self.read_strings_as(lexing(reported));
    }

    /// What the server made of the settings is what the session wants, once its transaction is over or goes on well.
    pub(crate) fn adopt_reported(&mut self) {
        let Some(link) = &self.link else { return };
        self.settings.adopt(&link.server.reported, &link.server.defaults);
    }

    /// Tells the client what changed since it was last told.
    pub(crate) fn tell_reported(&mut self, step: &mut Step<'_>) {
        let Some(link) = &mut self.link else { return };
        let reported = &mut link.server.reported;
        if *reported == self.told {
            // The next comparison is one of addresses.
            *reported = Arc::clone(&self.told);
            return;
        }
        let told = Arc::make_mut(&mut self.told);
        let differs = |(name, value): &(&Vec<u8>, &Vec<u8>)| {
            *name != b"server_version" && told.get(*name) != Some(*value)
        };
        let mut news: Vec<(&Vec<u8>, &Vec<u8>)> = reported.iter().filter(differs).collect();
        news.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        for (name, value) in news {
            say::parameter_status(step.to_client, name, value);
            told.insert(name.clone(), value.clone());
        }
    }

    /// Whether the server reports something that the client was told otherwise, or may do so.
    pub(crate) fn has_news(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !Arc::ptr_eq(&link.server.reported, &self.told))
    }
}
