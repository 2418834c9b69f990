//! pgweir in front of real PostgreSQL clusters, asked by the clients that applications use.
//!
//! Why: the crates' own tests show that each piece keeps its word; these show that a user gets what was promised.
//! Invariants: a test starts its own cluster and pgweir and leaves nothing behind; it waits for conditions and never for
//! time; pgweir must not have panicked in any of them.
//! Absent: retries. What fails now and then is broken.

#![allow(clippy::unwrap_used, reason = "all of this is test code, also where no attribute says so")]

mod agreement;
mod benchmarks;
mod blocks;
mod cancel;
mod catalog;
mod clients;
mod console;
mod databases;
mod economy;
mod encryption;
mod explained;
mod failures;
mod floods;
mod harness;
mod hints;
mod hostile;
mod leaks;
mod limits;
mod logins;
mod names;
mod networks;
mod notifications;
mod operation;
mod oracle;
mod pins;
mod pipelines;
mod pools;
mod prepared;
mod programs;
mod replication;
mod routing;
mod settings;
mod stale;
mod truth;
mod until_write;
