//! The part of a login that takes about a millisecond of CPU, kept off the threads that relay.
//!
//! Why here: deriving keys from a password (PBKDF2) happens in logins of clients and towards servers alike, and a
//! thousand clients on one relay would all wait for each of them.
//! Invariant: at most `at_once` derivations run at a time, also when those who asked for them have left.

use std::panic::resume_unwind;
use std::sync::Arc;

use pgweir_auth::{Entropy, KeyCache};
use tokio::sync::Semaphore;

/// Runs expensive derivations a few at a time, and remembers keys. One for the whole process; clones share it.
#[derive(Clone)]
pub struct Hashing {
    permits: Arc<Semaphore>,
    keys: Arc<KeyCache>,
}

impl Hashing {
    /// At most `at_once` derivations at a time.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_once.max(1))),
            keys: Arc::new(KeyCache::new(REMEMBERED_KEYS)),
        }
    }

    /// Waits for its turn and runs `work` on a thread of its own.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeyCache) -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let keys = Arc::clone(&self.keys);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&keys)
        });
        match task.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(outcome) => outcome,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime is shutting down and will not ask again.
            Err(Err(_cancelled)) => std::future::pending().await,
        }
    }
}

/// Random bytes for one login.
pub(crate) fn entropy() -> Entropy {
    let mut entropy = Entropy { nonce: [0; 18], salt: [0; 16] };
    fill_random(&mut entropy.nonce);
    fill_random(&mut entropy.salt);
    entropy
}

/// Fills `bytes` from the operating system's source.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(bytes).expect("the operating system always has random bytes");
}

/// Keys of this many passwords are remembered.
const REMEMBERED_KEYS: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn runs_no_more_at_a_time_than_it_may() {
        let hashing = Hashing::new(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (hashing, running, most) = (hashing.clone(), Arc::clone(&running), Arc::clone(&most));
            waiting.spawn(async move {
                let work = move |_: &KeyCache| {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                hashing.run(work).await;
            });
        }
        waiting.join_all().await;
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn who_leaves_takes_no_permit_along_while_the_work_goes_on() {
        let hashing = Hashing::new(1);
        let (finish, finished) = mpsc::channel();
        let (begun, mut beginning) = tokio::sync::mpsc::channel(1);
        let asked = tokio::spawn({
            let hashing = hashing.clone();
            let work = move |_: &KeyCache| {
                begun.blocking_send(()).unwrap();
                finished.recv().unwrap();
            };
            async move { hashing.run(work).await }
        });
        beginning.recv().await.unwrap();
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        assert_eq!(hashing.permits.available_permits(), 0);
        finish.send(()).unwrap();
        assert_eq!(hashing.run(|_| 7).await, 7);
    }

    #[tokio::test]
    #[should_panic(expected = "a mistake of ours")]
    async fn a_panic_reaches_who_asked() {
        Hashing::new(1).run(|_| panic!("a mistake of ours")).await
    }

    #[test]
    fn no_two_logins_share_their_random_bytes() {
        let (first, second) = (entropy(), entropy());
        assert_ne!(first.nonce, second.nonce);
        assert_ne!(first.salt, second.salt);
    }
}
