//! What kind of statement a text is, whether any node may run it, and why.
//!
//! Why here: routing, pooling and the explain command must judge a text alike, so the judgement is one pure
//! function of its bytes, with a cache in front of it.
//! Invariants: **unknown means primary**; a read is what two independent analyses call one, or what the
//! strict token walk proves where the parser understands nothing; every verdict has a stable reason code.
//! Absent: frames, nodes, clocks, and any syntax tree that outlives one call.

mod bytes;
mod cache;
mod catalog;
mod classifier;
mod decide;
mod depends;
mod detail;
mod explain;
mod head;
mod hints;
mod kind;
mod lexer;
mod names;
mod normal;
mod opaque;
mod pins;
mod reason;
mod redact;
mod shapes;
mod split;
mod survey;
mod tree;
mod verdict;
mod walk;
mod wish;

pub use catalog::{
    Body, BuiltinRow, CastRow, Catalog, CatalogRows, CatalogSize, CatalogSlot, ColumnRow, FunctionRow,
    IsolationRow, Language, Naming, NamingId, OperatorRow, References, RelationKind, RelationRow, SearchPath,
    SearchPathRow, TypeRow, Volatility,
};
pub use classifier::{Classifier, Lexing, Settings};
pub use decide::{Decision, Fate, decide};
pub use depends::may_name_a_time;
pub use detail::{
    Change, Deallocated, Scope, SettingChange, Unlistened, database_alone, deallocated, prepared_name,
    savepoint_name, setting_change, statement_names, unlistened,
};
pub use explain::{Explanation, explain, parts};
pub use hints::{Hints, hints};
pub use reason::Reason;
pub use shapes::{ShapeCount, ShapeCounts, ShapeId};
pub use split::statements;
pub use verdict::{
    BeginMode, CopyDirection, Depends, DiscardScope, Isolation, Kind, Leaves, PinCause, Target, Verdict,
};
pub use wish::{Route, Wish, WishFault};
