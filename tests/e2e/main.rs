//! pgweir in front of real PostgreSQL clusters, asked by the clients that applications use.
//!
//! Why: the crates' own tests show that each piece keeps its word; these show that a user gets what was promised.
//! Invariants: a test starts its own cluster and pgweir and leaves nothing behind; it waits for conditions and never for
//! time; pgweir must not have panicked in any of them.
//! Absent: retries. What fails now and then is broken.

mod benchmarks;
mod clients;
mod encryption;
mod failures;
mod floods;
mod harness;
mod hostile;
mod logins;
mod programs;
mod routing;
