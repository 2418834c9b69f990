//! One client's conversation: which replies are owed, which statements and settings the client has, what pins it.
//!
//! Why a machine without I/O: everything a pooler gets wrong is in here, so it must be testable byte by byte. Bytes go
//! in, bytes and decisions come out; the shell waits, the session never does.
//!
//! Invariants: replies reach the client in the order of its requests; a server is given back only with an [`AtRest`],
//! minted where ReadyForQuery said idle with nothing owed; a request is sent a second time only if nothing of its
//! answer was shown and it is a proven read.
//!
//! Absent: sockets, locks, clocks, the choice of a node.

mod accepted;
mod apart;
mod attempt;
mod books;
mod bound;
mod boundary;
mod copy;
mod dispatch;
mod effect;
mod endings;
mod ensure;
mod error;
mod extended;
mod failures;
mod frames;
mod held;
mod hold;
mod ledger;
mod lent;
mod malformed;
mod modes;
mod names;
mod notifiers;
mod portals;
mod proven;
mod provoked;
mod question;
mod refusal;
mod replay;
mod replies;
mod reports;
mod resets;
mod route;
mod script;
mod segment;
mod sequences;
mod server;
mod session;
mod settings;
mod shapes;
mod sharing;
mod stale;
mod statements;
mod terms;
mod undo;
mod unnamed;

pub use accepted::AcceptedSettings;
pub use effect::{Event, HintOutcome, PinReason, Step};
pub use endings::{AtRest, AtTheEnd, OnServerLost};
pub use error::{Blame, SessionError};
pub use notifiers::{Notifier, Notifiers};
pub use proven::ProvenStatements;
pub use replies::{AfterReplies, ServerTook};
pub use route::{ROUTE_SETTING, invalid_route};
pub use server::{Reported, ServerState};
pub use session::{ClientTook, Next, Pinned, Session};
pub use settings::{SettingMap, SettingValue, startup_settings};
pub use statements::StatementNamer;
pub use terms::{Limits, Liveness, NodeRole, PoolMode, Refusal, SessionSettings, TransactionReads};

#[cfg(test)]
mod tests;
