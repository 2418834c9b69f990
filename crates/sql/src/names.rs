//! What every analysis knows about names: functions, relations, types, operators, settings, keywords.
//!
//! Why here: the two analyses are independent of each other, but must share one vocabulary, or they would
//! disagree about names instead of structure. [`Names`] adds those of a catalog.
//! Invariant: unknown is an answer, and it never means safe.
//! Absent: overloads of PostgreSQL's own. A name is as safe as its worst overload in `pg_catalog`.

mod functions;
mod lookup;
mod special;
mod words;

use crate::{PinCause, Reason};
pub(crate) use lookup::{Call, Names};

/// What a function does, as far as routing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Reads only, and every node gives an equally good answer.
    Safe,
    /// `current_setting`: safe unless the setting is the node's.
    Setting,
    /// Takes or frees advisory locks.
    Lock,
    /// Answers about, or acts on, one node.
    Node,
    /// Reads or changes state of the session.
    Session,
    /// Volatile, and nothing proves that a standby may run it.
    Unproven,
    /// Writes, or needs a transaction ID.
    Write,
}

impl Class {
    /// The objection to a call; `None` if there is none.
    pub(crate) fn objection(self) -> Option<Reason> {
        match self {
            Class::Safe | Class::Setting => None,
            Class::Lock => Some(Reason::FunctionLock),
            Class::Node => Some(Reason::FunctionNode),
            Class::Session => Some(Reason::FunctionSession),
            Class::Unproven => Some(Reason::FunctionVolatile),
            Class::Write => Some(Reason::FunctionWrite),
        }
    }
}

/// The class of a call of `schema.name`; `None` if the function is not PostgreSQL's own.
pub(crate) fn function(schema: Option<&[u8]>, name: &[u8]) -> Option<Class> {
    match schema {
        None | Some(b"pg_catalog") => builtin_function(name),
        Some(b"information_schema") if name.starts_with(b"_pg_") => Some(Class::Safe),
        Some(_) => None,
    }
}

fn builtin_function(name: &[u8]) -> Option<Class> {
    if let Some(special) = special_function(name) {
        return Some(special.class);
    }
    if name.starts_with(b"pg_stat_") {
        return Some(Class::Node);
    }
    contains(functions::READ_ONLY, name).then_some(Class::Safe)
}

/// Whether a built-in function that objects is safe with so many arguments.
pub(crate) fn is_safe_overload(name: &[u8], arguments: impl Fn() -> Option<usize>) -> bool {
    let mut overloads = SAFE_OVERLOADS.iter().filter(|(function, ..)| function.as_bytes() == name);
    overloads.any(|(_, count, _)| arguments() == Some(*count))
}

/// Whether a function makes rows of its argument's type, with all that their columns' types do, though no text names those.
pub(crate) fn makes_rows(name: &[u8]) -> bool {
    name.strip_prefix(b"json")
        .is_some_and(|rest| rest.strip_prefix(b"b").unwrap_or(rest).starts_with(b"_populate_record"))
        || name == b"populate_record"
}

/// Overloads of functions of the curated table that are better than their worst, by their number of arguments, with the
/// reason.
static SAFE_OVERLOADS: &[(&str, usize, &str)] =
    &[("ts_rewrite", 3, "the other form runs any text, this one none")];

/// The session state that a call leaves behind, whatever the schema.
pub(crate) fn function_binds(name: &[u8]) -> Option<PinCause> {
    special_function(name).and_then(|special| special.binds)
}

fn special_function(name: &[u8]) -> Option<&'static special::Special> {
    let found = special::SPECIAL.binary_search_by(|special| special.name.as_bytes().cmp(name));
    found.ok().map(|at| &special::SPECIAL[at])
}

/// The objection to an identifier anywhere in a read: it may name a relation whose rows are not the
/// database's.
pub(crate) fn relation_objection(name: &[u8]) -> Option<Reason> {
    if name == b"pg_temp" || name.starts_with(b"pg_temp_") || name.starts_with(b"pg_toast_temp") {
        return Some(Reason::RelationTemporary);
    }
    let node = name.starts_with(b"pg_stat_")
        || name.starts_with(b"pg_statio_")
        || NODE_RELATIONS.iter().any(|(relation, _)| relation.as_bytes() == name);
    node.then_some(Reason::RelationNode)
}

/// Relations whose rows describe a node or a session, with the reason. Besides these, all of `pg_stat_*` and
/// `pg_statio_*` are counters of the node (`pg_stats` and `pg_statistic` are not).
static NODE_RELATIONS: &[(&str, &str)] = &[
    ("pg_aios", "state of the node"),
    ("pg_available_extension_versions", "files of the node"),
    ("pg_available_extensions", "files of the node"),
    ("pg_backend_memory_contexts", "the server's process"),
    ("pg_buffercache", "state of the node"),
    ("pg_config", "the node's build"),
    ("pg_cursors", "cursors of the session"),
    ("pg_file_settings", "files of the node"),
    ("pg_hba_file_rules", "files of the node"),
    ("pg_ident_file_mappings", "files of the node"),
    ("pg_locks", "locks of the node"),
    ("pg_prepared_statements", "prepared statements of the session"),
    ("pg_prepared_xacts", "prepared transactions end at different times"),
    ("pg_replication_origin_status", "state of the node"),
    ("pg_replication_slots", "slots of the node"),
    ("pg_sequences", "a standby's sequences run ahead"),
    ("pg_settings", "settings of the node"),
    ("pg_shmem_allocations", "state of the node"),
    ("pg_shmem_allocations_numa", "state of the node"),
    ("pg_wait_events", "the node's build"),
];

/// Whether a type is PostgreSQL's own, so that casts to it bring no unknown code along.
pub(crate) fn is_type(schema: Option<&[u8]>, name: &[u8]) -> bool {
    match schema {
        None | Some(b"pg_catalog") => contains(words::TYPES, name),
        Some(b"information_schema") => matches!(
            name,
            b"cardinal_number" | b"character_data" | b"sql_identifier" | b"time_stamp" | b"yes_or_no"
        ),
        Some(_) => false,
    }
}

/// Whether an operator is PostgreSQL's own, or punctuation.
pub(crate) fn is_operator(operator: &[u8]) -> bool {
    contains(words::OPERATORS, operator)
}

/// Whether a setting's value is the node's and not the session's. `name` is in lower case.
pub(crate) fn is_node_setting(name: &[u8]) -> bool {
    contains(words::NODE_SETTINGS, name)
}

/// A keyword's class in PostgreSQL's grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    /// Names nothing unless quoted.
    Reserved,
    /// May name a function or type.
    FunctionOrType,
    /// May name a column, but no function or type.
    ColumnName,
    /// May name anything.
    Unreserved,
}

/// The class of a word in lower case; `None` if it is no keyword.
pub(crate) fn keyword(word: &[u8]) -> Option<Keyword> {
    let classes = [
        (words::RESERVED, Keyword::Reserved),
        (words::UNRESERVED, Keyword::Unreserved),
        (words::COLUMN_NAME, Keyword::ColumnName),
        (words::FUNCTION_OR_TYPE, Keyword::FunctionOrType),
    ];
    classes.into_iter().find(|(table, _)| contains(table, word)).map(|(_, class)| class)
}

/// Whether a keyword begins a statement that is no read. A read that the parser does not understand may not
/// have one of these, except as a label or after a dot.
pub(crate) fn is_statement_verb(word: &[u8]) -> bool {
    STATEMENT_VERBS.iter().any(|verb| verb.as_bytes() == word)
}

#[rustfmt::skip]
static STATEMENT_VERBS: &[&str] = &[
    "abort", "alter", "analyse", "analyze", "begin", "call", "checkpoint", "close", "cluster", "comment", "commit",
    "copy", "create", "deallocate", "declare", "delete", "discard", "do", "drop", "execute", "explain", "grant",
    "import", "insert", "into", "listen", "load", "lock", "merge", "move", "notify", "prepare", "reassign",
    "refresh", "reindex", "release", "reset", "revoke", "rollback", "savepoint", "security", "set", "show",
    "start", "truncate", "unlisten", "update", "vacuum",
];

fn contains(table: &[&str], name: &[u8]) -> bool {
    table.binary_search_by(|entry| entry.as_bytes().cmp(name)).is_ok()
}

#[cfg(test)]
mod tests;
