//! What a session needs to know beyond the kind: which setting a `SET` changes, which name a `SAVEPOINT` has.
//!
//! Parsed on demand, since most texts are none of these. Absent: what a session does with it.

/// What a single `SET` or `RESET` statement changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// For how long.
    pub scope: Scope,
    /// What.
    pub change: Change,
}

/// How long a setting lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To the end of the session, if the transaction commits.
    Session,
    /// To the end of the transaction (`SET LOCAL`).
    Local,
}

/// The change itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `SET name = value`.
    Set {
        /// The setting's name as PostgreSQL spells it: lower case; `timezone`, `client_encoding`, `role`,
        /// `session_authorization`, `xmloption`, `seed` for their SQL spellings.
        name: String,
        /// The raw SQL of the value list, exactly as written (`'a', b`), without a trailing semicolon.
        value: String,
    },
    /// `RESET name`, `SET name TO DEFAULT`.
    Reset {
        /// The setting's name, as in [`Change::Set`].
        name: String,
    },
    /// `RESET ALL`.
    ResetAll,
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION …`.
    TransactionDefaults {
        /// The raw SQL of the modes, exactly as written.
        text: String,
    },
    /// A setting changes, but which cannot be told.
    Other,
}

/// What a `DEALLOCATE` frees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deallocated {
    /// `DEALLOCATE ALL`.
    All,
    /// `DEALLOCATE name`, folded as PostgreSQL folds it.
    Name(String),
}

/// What an `UNLISTEN` ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlistened {
    /// `UNLISTEN *`.
    All,
    /// `UNLISTEN channel`, folded.
    Channel(String),
}

/// What a single `SET` or `RESET` statement changes; `None` if the text is neither.
pub fn setting_change(_text: &[u8]) -> Option<SettingChange> {
    None
}

/// What a single `DEALLOCATE` frees.
pub fn deallocated(_text: &[u8]) -> Option<Deallocated> {
    None
}

/// The name in `SAVEPOINT x`, `RELEASE [SAVEPOINT] x` or `ROLLBACK TO [SAVEPOINT] x`, folded.
pub fn savepoint_name(_text: &[u8]) -> Option<String> {
    None
}

/// What a single `UNLISTEN` ends.
pub fn unlistened(_text: &[u8]) -> Option<Unlistened> {
    None
}

/// The name in `PREPARE x AS …` or `EXECUTE x`, folded.
pub fn prepared_name(_text: &[u8]) -> Option<String> {
    None
}
