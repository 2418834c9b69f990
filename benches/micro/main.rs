//! What the pure crates cost, a step at a time: `cargo bench -p pgweir-benches`.
//!
//! Prints nanoseconds for each step, the least of many batches, since machines are noisy and only the least is the code's own.
//! Absent: judgement. Wall time on a shared machine proves nothing; compare two builds in one sitting.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

mod classify;
mod lease;
mod step;

fn main() {
    classify::run();
    lease::run();
    step::run();
}

/// Least time of one call over many batches.
fn least(mut call: impl FnMut()) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        least = least.min(began.elapsed() / CALLS);
    }
    least
}

const BATCHES: u32 = 200;
const CALLS: u32 = 200;

fn print(what: &str, time: Duration, beside: &str) {
    eprintln!("{what:<44} {:>8} ns  {beside}", time.as_nanos());
}

/// The peer: one parse by sqlparser.
fn sqlparser_time(text: &str) -> Duration {
    least(|| {
        let _tree = black_box(Parser::parse_sql(&PostgreSqlDialect {}, black_box(text)));
    })
}
