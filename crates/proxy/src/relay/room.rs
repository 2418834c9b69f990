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
        let runs = Arc::new(());
        tokio::spawn(make_room(Arc::downgrade(&runs), Arc::clone(pool), database));
        Self { _runs: runs }
    }
}

/// Closes what nobody uses, and what comes back from its clients, for as long as the server waits for that.
async fn make_room(claim: Weak<()>, pool: Arc<ServerPool>, database: Box<str>) {
    tokio::time::sleep(AT_ONCE).await;
    for _ in 0..LOOKS {
        if claim.strong_count() == 0 {
            return;
        }
        pool.all.leave(&pool.cluster, &database);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A statement that is refused is refused sooner.
const AT_ONCE: Duration = Duration::from_millis(20);
/// As PostgreSQL does.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 60;
