//! What operators see: the console, which speaks PostgreSQL's protocol, and the HTTP side.
//!
//! Why its own crate: a scrape or a `SHOW` must never touch a client's socket, so neither is given one. Both read
//! the proxy through [`Report`](pgweir_proxy::report::Report) and nothing else.
//!
//! Invariants: whoever is not an admin can change nothing (only a command that shows is open to a stats user); the
//! columns of PgBouncer's commands are PgBouncer's, in its order and with its types, and ours come after them.
//!
//! Absent: authentication, which is over before a session arrives here, and any knowledge of pools or sessions.
//!
//! A new command is one file in `commands/` and one row in `commands.rs`; a new metric is one row in
//! `metrics/families.rs`.

mod commands;
mod console;
mod driver;
mod encode;
mod error;
#[cfg(test)]
mod fake;
mod grammar;
mod http;
mod metrics;
mod plan;
mod shell;
mod table;
mod timestamp;

pub use console::{Console, Ended, Privilege};
pub use error::ConsoleError;
pub use http::serve_http;
pub use metrics::Metrics;
pub use shell::serve;
