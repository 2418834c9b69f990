//! What kind of statement a text is, and why.

mod classifier;
mod detail;
mod reason;
mod verdict;

pub use classifier::{Classifier, Lexing, Settings};
pub use detail::{
    Change, Deallocated, Scope, SettingChange, Unlistened, deallocated, prepared_name, savepoint_name,
    setting_change, unlistened,
};
pub use reason::Reason;
pub use verdict::{BeginMode, CopyDirection, DiscardScope, Isolation, Kind, PinCause, Target, Verdict};
