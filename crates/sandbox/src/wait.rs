//! The one place where this crate waits for something that nobody announces: a server that becomes
//! ready, a process that ends, a standby that catches up.

use std::thread;
use std::time::{Duration, Instant};

use crate::SandboxError;

/// Waits until `condition` holds, asking it again after short and growing pauses; `what` names it in
/// the error when `within` passes first.
///
/// The condition is asked at once and once more at the deadline, so a condition that holds never
/// times out. This is the only allowed use of a timed pause: it bounds how often we ask, and no
/// outcome depends on its length.
pub fn wait_until(
    within: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<(), SandboxError> {
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    loop {
        let now = Instant::now();
        if condition() {
            return Ok(());
        }
        if now >= deadline {
            return Err(SandboxError::TimedOut { what: what.to_owned(), within });
        }
        thread::park_timeout(pause.min(deadline - now));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_even_without_time_and_named_when_it_fails() {
        wait_until(Duration::ZERO, "true", || true).unwrap();
        let mut asked = 0;
        let error = wait_until(Duration::from_millis(5), "pigs fly", || {
            asked += 1;
            false
        });
        assert!(error.unwrap_err().to_string().contains("pigs fly"));
        assert!(asked >= 2, "at once, and once more at the deadline");
        let mut answers = [false, false, true].into_iter();
        wait_until(Duration::from_secs(60), "third time lucky", || answers.next().unwrap()).unwrap();
    }
}
