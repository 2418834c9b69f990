//! Messages whose bodies do not add up.
//!
//! PostgreSQL answers them with an error and goes on, as long as it knows where the next message begins. So they go to the
//! server as they are, and the error is its own. Absent: lengths that no message of the type has; those end the session.

use pgweir_wire::{FrontendTag, Header};

use crate::dispatch::OpenSegment;
use crate::effect::Step;
use crate::error::SessionError;
use crate::ledger::{Audience, Owed};
use crate::session::{Advance, Session};

impl Session {
    /// Sends a message that does not add up; its promise is settled by an error.
    pub(crate) fn malformed(&mut self, tag: FrontendTag, frame: &[u8], step: &mut Step<'_>) -> Advance {
        step.to_server.extend_from_slice(frame);
        self.promise_error(tag);
        Advance::By(frame.len())
    }

    /// The promise of an error in place of the answer.
    pub(crate) fn promise_error(&mut self, tag: FrontendTag) {
        match tag {
            FrontendTag::Query => {
                self.open_segment = OpenSegment::No;
                self.ledger.promise(Owed::SimpleQuery(Audience::Client, None));
            }
            FrontendTag::Sync => {
                self.open_segment = OpenSegment::No;
                self.ledger.promise(Owed::Sync(Audience::Client));
            }
            // Any other makes the server skip to the next Sync.
            _ => {
                self.ledger.promise(Owed::Bind(None));
                self.opens(OpenSegment::Prepared);
            }
        }
    }
}

/// Servers hang up on a message of these types that is longer.
pub(crate) fn check_length(tag: FrontendTag, header: Header) -> Result<(), SessionError> {
    let small = matches!(
        tag,
        FrontendTag::Close
            | FrontendTag::Describe
            | FrontendTag::Execute
            | FrontendTag::Flush
            | FrontendTag::Sync
    );
    if small && header.body > SMALL_MESSAGE_MAX {
        return Err(SessionError::ClientMessage { tag: header.tag });
    }
    Ok(())
}

/// PostgreSQL's own limit (`PQ_SMALL_MESSAGE_LIMIT`), less the length itself.
const SMALL_MESSAGE_MAX: usize = 10_000 - 4;
