use std::time::{Duration, Instant};

use super::*;
use crate::fixture::{SEGMENT_BYTES, writable};

const ORIGIN: Origin = Origin { node: NodeId::new(0), system_identifier: 1, timeline: 1 };

struct Sampled {
    samples: Samples,
    start: Instant,
}

impl Sampled {
    fn new(taken: &[(u64, u64)]) -> Self {
        let mut it = Self { samples: Samples::default(), start: Instant::now() };
        for &(ms, lsn) in taken {
            it.add(ms, lsn);
        }
        it
    }

    fn add(&mut self, ms: u64, lsn: u64) -> bool {
        let reset = self.samples.add(ORIGIN, self.start + Duration::from_millis(ms), &writable(1, lsn));
        if self.samples.ring.len() < SAMPLES_MAX || ms.is_multiple_of(100_000) {
            self.samples.check();
        }
        reset
    }

    fn fresh_ms(&self, replay: u64) -> Option<u128> {
        let at = self.samples.fresh_as_of(Lsn::new(replay))?;
        Some(at.duration_since(self.start).as_millis())
    }
}

#[test]
fn a_standby_is_as_fresh_as_the_latest_sample_that_it_has_replayed() {
    let it = Sampled::new(&[(0, 100), (200, 150), (400, 300)]);
    let expected =
        [(99, None), (100, Some(0)), (149, Some(0)), (150, Some(200)), (300, Some(400)), (999, Some(400))];
    for (replay, fresh) in expected {
        assert_eq!(it.fresh_ms(replay), fresh, "replayed {replay}");
    }
}

#[test]
fn each_sample_of_an_idle_primary_proves_freshness_anew_and_takes_no_memory() {
    let mut it = Sampled::new(&[]);
    for ms in (0..600_000).step_by(200) {
        it.add(ms, 100);
        assert_eq!(it.fresh_ms(100), Some(u128::from(ms)));
    }
    assert_eq!(it.samples.ring.len(), 1);
}

#[test]
fn wal_that_a_crash_undid_is_no_proof() {
    let mut it = Sampled::new(&[(0, 100), (200, 500), (400, 200)]);
    assert_eq!(it.fresh_ms(199), Some(0), "500 was never flushed: the log goes on from 200");
    it.add(600, 500);
    assert_eq!(it.fresh_ms(499), Some(400));
    assert_eq!(it.fresh_ms(500), Some(600));
}

#[test]
fn another_primary_or_timeline_voids_all_samples() {
    let mut it = Sampled::new(&[(0, 100)]);
    assert!(!it.add(200, 200));
    let at = it.start + Duration::from_millis(400);
    let promoted = Origin { timeline: 2, ..ORIGIN };
    assert!(it.samples.add(promoted, at, &writable(2, 300)));
    assert_eq!(it.fresh_ms(250), None);
    assert_eq!(it.fresh_ms(300), Some(400));
}

#[test]
fn samples_out_of_order_are_ignored() {
    let mut it = Sampled::new(&[(200, 100)]);
    it.add(0, 90);
    it.add(200, 95);
    assert_eq!(it.fresh_ms(99), None);
}

#[test]
fn memory_is_bounded_and_thinning_only_makes_the_far_past_coarser() {
    let mut it = Sampled::new(&[]);
    let newest = 8000;
    for sample in 0..=newest {
        it.add(sample * 200, sample);
    }
    assert_eq!(it.samples.ring.len(), SAMPLES_MAX);
    assert_eq!(it.fresh_ms(newest - 300), Some(u128::from(newest - 300) * 200), "a minute ago is exact");
    for seconds in [300, 600, 1200] {
        let truth = u128::from(newest - seconds * 5) * 200;
        let fresh = it.fresh_ms(newest - seconds * 5).unwrap();
        assert!(fresh <= truth, "never fresher than the truth");
        assert!(truth - fresh <= u128::from(seconds) * 50, "{seconds} s ago: {} ms off", truth - fresh);
    }
}

#[test]
fn a_page_header_that_no_record_follows_yet_is_not_waited_for() {
    let page = 5 * SEGMENT_BYTES + 7 * PAGE_BYTES;
    let segment = 5 * SEGMENT_BYTES;
    let cases = [
        (page + 24, page),
        (page + 40, page + 40),
        (page, page),
        (page + 32, page + 32),
        (segment + 40, segment),
        (segment + 24, segment + 24),
        (segment + 48, segment + 48),
    ];
    for (insert, end) in cases {
        assert_eq!(end_of_record(Lsn::new(insert), SEGMENT_BYTES), Lsn::new(end), "{insert:#x}");
    }
    for nonsense in [0, 3, u64::MAX] {
        let at = end_of_record(Lsn::new(segment + 40), nonsense);
        assert_eq!(at, Lsn::new(segment + 40), "without a segment size nothing is known of long headers");
    }
}
