//! How many reads may be sent again: a standby that fails must not bring its whole load twice upon the others.
//!
//! Invariant: over any time, no more than so many a second, and one second's worth beyond that.

use std::time::Instant;

/// What is left of the budget of one cluster.
#[derive(Debug)]
pub struct RetryBudget {
    /// In millionths of a retry.
    credit: u64,
    since: Instant,
}

impl RetryBudget {
    /// A budget that is full once it is first asked.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { credit: u64::MAX, since: now }
    }

    /// Takes one retry of at most `per_second`; false if none is left.
    pub fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let passed = u64::try_from(now.saturating_duration_since(self.since).as_micros()).unwrap_or(u64::MAX);
        let full = u64::from(per_second) * ONE;
        let earned = passed.saturating_mul(u64::from(per_second));
        self.credit = self.credit.saturating_add(earned).min(full);
        self.since = self.since.max(now);
        let left = self.credit.checked_sub(ONE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }
}

/// One retry.
const ONE: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_one_seconds_worth_and_then_it_is_so_many_a_second() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        let mut taken = |at_ms: u64, tries: usize| {
            let now = start + Duration::from_millis(at_ms);
            (0..tries).filter(|_| budget.take(10, now)).count()
        };
        assert_eq!(taken(0, 100), 10);
        assert_eq!(taken(99, 5), 0);
        assert_eq!(taken(100, 5), 1);
        assert_eq!(taken(50, 5), 0, "time that goes back earns nothing");
        assert_eq!(taken(350, 5), 2);
        assert_eq!(taken(400, 5), 1, "parts of one are kept");
        assert_eq!(taken(60_000, 100), 10, "what was not used is lost");
    }

    #[test]
    fn another_bound_holds_at_once() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        assert!(budget.take(1000, start));
        assert!(budget.take(1, start) && !budget.take(1, start));
        assert!(!budget.take(0, start + Duration::from_secs(9)));
    }
}
