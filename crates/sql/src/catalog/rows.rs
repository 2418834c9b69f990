//! What a catalog is built from: plain rows, as the shell read them from the primary's system catalogs.
//!
//! Why plain: only the shell asks servers, so everything that decides can be tested with rows that no server has.
//! Invariant: an object that has no row is unknown, and unknown never means safe, except for plain tables.
//! Manual: "System Catalogs".

/// Everything that was read of one database.
#[derive(Clone, Debug, Default)]
pub struct CatalogRows {
    /// Functions, aggregates and window functions that are not PostgreSQL's own.
    pub functions: Vec<FunctionRow>,
    /// Relations of which more is to be known than that they are plain tables.
    pub relations: Vec<RelationRow>,
    /// Types that are not PostgreSQL's own, the row types of relations included.
    pub types: Vec<TypeRow>,
    /// Operators that are not PostgreSQL's own.
    pub operators: Vec<OperatorRow>,
    /// Casts by function that are not PostgreSQL's own.
    pub casts: Vec<CastRow>,
    /// PostgreSQL's own functions and relations that rows refer to.
    pub builtins: Vec<BuiltinRow>,
    /// Columns whose type is operand of a user's operator or cast.
    pub columns: Vec<ColumnRow>,
    /// The `search_path` of sessions that set none.
    pub search_paths: Vec<SearchPathRow>,
    /// Isolation levels that transactions begin with.
    pub isolations: Vec<IsolationRow>,
}

/// A row of `pg_proc`.
#[derive(Clone, Debug)]
pub struct FunctionRow {
    /// Its OID.
    pub oid: u32,
    /// The schema that it lies in.
    pub schema: String,
    /// Its name, as stored.
    pub name: String,
    /// What it promises.
    pub volatility: Volatility,
    /// What it is written in.
    pub language: Language,
    /// Arguments that a call must give.
    pub arguments_min: u16,
    /// Arguments that a call may give; `None`: any number.
    pub arguments_max: Option<u16>,
    /// The OID of its result's type.
    pub returns: u32,
    /// It takes one row, so `row.name` calls it.
    pub of_row: bool,
    /// PostgreSQL has a function of the same name and argument types, which comes first where `pg_catalog` does.
    pub shadowed: bool,
    /// The extension that it belongs to.
    pub extension: Option<String>,
    /// What it does.
    pub body: Body,
    /// What its defaults, its parsed body, or the functions of the aggregate refer to.
    pub uses: References,
}

/// What a function does, as far as the catalog tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Not here: compiled code, an aggregate's functions, or a text too long to be read.
    Unseen,
    /// SQL that PostgreSQL parsed when the function was made: [`FunctionRow::uses`] tells.
    Parsed,
    /// A text.
    Text(String),
}

/// What a function promises about its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Depends on nothing but its arguments.
    Immutable,
    /// Reads the database.
    Stable,
    /// May do anything.
    Volatile,
}

/// What a function is written in, as far as its text tells something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// SQL, whose text can be judged like a client's.
    Sql,
    /// PL/pgSQL: its text shows some effects, its volatility is its word on the others.
    PlPgSql,
    /// Compiled code.
    Compiled,
    /// Another language, of whose texts nothing is known.
    Other,
}

/// OIDs that an expression tree refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Functions.
    pub functions: Vec<u32>,
    /// Operators.
    pub operators: Vec<u32>,
    /// Relations.
    pub relations: Vec<u32>,
    /// Types of results, arguments and parts.
    pub types: Vec<u32>,
    /// A statement in it writes or takes row locks.
    pub writes: bool,
}

/// A row of `pg_class`.
#[derive(Clone, Debug)]
pub struct RelationRow {
    /// Its OID.
    pub oid: u32,
    /// The schema that it lies in.
    pub schema: String,
    /// Its name, as stored.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// Its writes leave no WAL, so standbys have nothing of it.
    pub unlogged: bool,
    /// What a view's query refers to.
    pub uses: References,
    /// What its row-level security policies for reads refer to.
    pub policies: References,
    /// Its partitions, or what else inherits from it.
    pub children: Vec<u32>,
    /// Functions that a write to it runs: triggers' and defaults'.
    pub runs: Vec<u32>,
}

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A table, partitioned or not, or a materialised view.
    Table,
    /// A view.
    View,
    /// A foreign table.
    Foreign,
    /// A sequence.
    Sequence,
}

/// A row of `pg_type`.
#[derive(Clone, Debug)]
pub struct TypeRow {
    /// Its OID.
    pub oid: u32,
    /// The schema that it lies in.
    pub schema: String,
    /// Its name, as stored.
    pub name: String,
    /// Its input, output and ordering functions, and what a domain's constraints refer to; and the types that it is made of.
    pub uses: References,
}

/// A row of `pg_operator`.
#[derive(Clone, Debug)]
pub struct OperatorRow {
    /// Its OID.
    pub oid: u32,
    /// The schema that it lies in.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The OID of its function.
    pub function: u32,
    /// Its operands' types.
    pub operands: Vec<u32>,
}

/// A row of `pg_cast` that has a function.
#[derive(Clone, Copy, Debug)]
pub struct CastRow {
    /// From this type.
    pub source: u32,
    /// To this type.
    pub target: u32,
    /// By this function.
    pub function: u32,
}

/// A function or relation of PostgreSQL's own.
#[derive(Clone, Debug)]
pub struct BuiltinRow {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// A function's promise; `None` of a relation.
    pub volatility: Option<Volatility>,
}

/// A column of a type on which a user's operator or cast works.
#[derive(Clone, Debug)]
pub struct ColumnRow {
    /// The OID of the relation.
    pub relation: u32,
    /// The relation's schema.
    pub schema: String,
    /// The relation's name.
    pub name: String,
    /// The OID of the column's type.
    pub type_oid: u32,
}

/// The `search_path` with which sessions of a role begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPathRow {
    /// The role; `None`: all that have no other.
    pub role: Option<String>,
    /// The setting's value, as `SHOW search_path` gives it.
    pub value: String,
}

/// The `default_transaction_isolation` that sessions of a role begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsolationRow {
    /// The role; `None`: all that have no other.
    pub role: Option<String>,
    /// The setting's value.
    pub value: String,
}
