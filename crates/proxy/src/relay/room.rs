//! Room for a statement that needs a database for itself, such as DROP DATABASE: connections to it that no client uses are
//! closed, those of the catalog included.
//!
//! Why not before it is sent: whoever may not do that is told so at once, and must not disturb others. PostgreSQL looks for
//! five seconds whether the others go, and lets nobody in who comes meanwhile.
//! Absent: sessions that use a server there. They are in the way, as they are without us.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::pool::ServerPool;

/// A statement runs that needs a database for itself; over when dropped.
pub(super) struct Claim {
    _runs: Arc<()>,
}

impl Claim {
    pub(super) fn new(pool: &Arc<ServerPool>, database: Box<str>) -> Self {
        let (claim, runs) = Self::begin();
        let pool = Arc::clone(pool);
        tokio::spawn(make_room(runs, move || pool.all.leave(&pool.cluster, &database)));
        claim
    }

    fn begin() -> (Self, Weak<()>) {
        let runs = Arc::new(());
        let seen = Arc::downgrade(&runs);
        (Self { _runs: runs }, seen)
    }
}

/// Has closed what nobody uses, and what comes back from its clients, for as long as the server waits for that.
async fn make_room(claim: Weak<()>, close_unused: impl Fn()) {
    tokio::time::sleep(AT_ONCE).await;
    for _ in 0..LOOKS {
        if claim.strong_count() == 0 {
            return;
        }
        close_unused();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A statement that is refused is refused sooner.
const AT_ONCE: Duration = Duration::from_millis(200);
/// As PostgreSQL does.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// PostgreSQL gives up before.
const LOOKS: u32 = 60;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_made_while_a_statement_waits_for_it_and_not_for_one_that_is_refused() {
        let closed = Cell::new(0);
        let close = || closed.set(closed.get() + 1);
        let (refused, runs) = Claim::begin();
        drop(refused);
        make_room(runs, close).await;
        assert_eq!(closed.get(), 0);
        let (_waits, runs) = Claim::begin();
        make_room(runs, close).await;
        assert_eq!(closed.get(), LOOKS);
    }
}
