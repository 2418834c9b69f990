//! What is known of one database's own functions, relations, types and operators, as far as routing goes.
//!
//! Why: what a name does stands in no text. With the catalog, a call of a function that only reads is a read, and a view
//! over a function that writes is none.
//! Invariants: immutable once built; unknown is an answer, and never means safe (of relations, plain tables are not
//! listed); of all that a name can mean, the worst counts.
//! Absent: how rows are read, and when; argument types, of which only the number is known.

mod body;
mod build;
mod extensions;
mod path;
mod rows;
mod slot;
mod table;

use crate::{Depends, Leaves, Reason};

pub(crate) use path::Path;
pub use path::SearchPath;
pub use rows::{
    Body, BuiltinRow, CastRow, CatalogRows, ColumnRow, FunctionRow, IsolationRow, Language, OperatorRow,
    References, RelationKind, RelationRow, SearchPathRow, TypeRow, Volatility,
};
pub use slot::{CatalogSlot, Naming, NamingId};
use table::NameTable;

/// The knowledge of one database at one time.
#[derive(Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Sorted; other tables name schemas by their place here.
    schemas: Vec<Box<str>>,
    functions: NameTable<FunctionFact>,
    relations: NameTable<RelationFact>,
    /// Why a mention of the type objects.
    types: NameTable<Option<Reason>>,
    /// Why its use objects.
    operators: NameTable<Option<Reason>>,
    /// Sorted names that, behind a dot, call a function which objects.
    attributes: Vec<Box<str>>,
    /// Why any query may run what objects, with nothing in its text to show it.
    implied: Option<Reason>,
    has_volatile_types: bool,
    search_paths: Vec<SearchPathRow>,
    isolations: Vec<IsolationRow>,
}

/// What is known of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FunctionFact {
    arguments_min: u8,
    /// [`ANY_NUMBER`]: no limit.
    arguments_max: u8,
    objection: Option<Reason>,
    leaves: Leaves,
    shadowed: bool,
}

/// What is known of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RelationFact {
    /// To a read.
    objection: Option<Reason>,
    /// What a use of it may leave behind.
    leaves: Leaves,
    /// A view or a policy may look at the transaction.
    depends: Depends,
}

/// As many arguments as one likes.
const ANY_NUMBER: u8 = u8::MAX;

/// What a name means in a place where an object of one sort stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Unknown,
    Harmless,
    Objection(Reason),
}

/// How much a catalog knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogSize {
    /// Functions.
    pub functions: usize,
    /// Relations that are more than plain tables.
    pub relations: usize,
    /// Types.
    pub types: usize,
    /// Operators.
    pub operators: usize,
    /// The bytes that it takes.
    pub memory_bytes: usize,
}

impl Catalog {
    /// The knowledge that these rows give.
    #[must_use]
    pub fn new(rows: &CatalogRows) -> Self {
        build::build(rows)
    }

    /// How much it knows.
    #[must_use]
    pub fn size(&self) -> CatalogSize {
        let bytes = [
            self.functions.memory_bytes(),
            self.relations.memory_bytes(),
            self.types.memory_bytes(),
            self.operators.memory_bytes(),
        ];
        CatalogSize {
            functions: self.functions.len(),
            relations: self.relations.len(),
            types: self.types.len(),
            operators: self.operators.len(),
            memory_bytes: bytes.iter().sum(),
        }
    }

    /// Whether this names a function, in any schema, or a relation whose use runs more than its rows.
    pub(crate) fn runs_code(&self, name: &[u8]) -> bool {
        let relations = self.relations.named(name);
        !self.functions.named(name).is_empty()
            || relations.iter().any(|entry| entry.fact.depends == Depends::Transaction)
    }

    /// Whether transactions of this role are READ COMMITTED unless its session says otherwise.
    pub(crate) fn reads_committed(&self, role: &str) -> bool {
        let own = self.isolations.iter().find(|row| row.role.as_deref() == Some(role));
        let row = own.or_else(|| self.isolations.iter().find(|row| row.role.is_none()));
        row.is_some_and(|row| row.value.eq_ignore_ascii_case("read committed"))
    }

    /// The path of a session of this role.
    fn path(&self, value: SearchPath<'_>, role: &str) -> Path {
        let own = |row: &&SearchPathRow| row.role.as_deref() == Some(role);
        let default = || {
            let row = self.search_paths.iter().find(own);
            let row = row.or_else(|| self.search_paths.iter().find(|row| row.role.is_none()));
            row.map_or(SearchPath::Unknown, |row| SearchPath::List(&row.value))
        };
        let value = if value == SearchPath::Default { default() } else { value };
        Path::resolve(value, role, |name| self.schema(name.as_bytes()))
    }

    fn schema(&self, name: &[u8]) -> Option<u16> {
        let found = self.schemas.binary_search_by(|schema| schema.as_bytes().cmp(name));
        found.ok().and_then(|at| u16::try_from(at).ok())
    }

    /// Whether an object of the schema may be meant by a name with this qualifier.
    fn is_meant(&self, path: &Path, qualifier: Option<&[u8]>, schema: u16) -> bool {
        match qualifier {
            None => path.sees(schema),
            Some(name) => self.schema(name) == Some(schema),
        }
    }

    /// What a call means; without a number of arguments, any number is possible.
    pub(crate) fn call(
        &self,
        path: &Path,
        schema: Option<&[u8]>,
        name: &[u8],
        arguments: impl FnOnce() -> Option<usize>,
    ) -> Meaning {
        let named = self.functions.named(name);
        if named.is_empty() {
            return Meaning::Unknown;
        }
        let arguments = arguments();
        let candidates = named.iter().filter(|function| {
            let fact = function.fact;
            let hidden = fact.shadowed && schema.is_none() && path.builtin_first();
            let fits = arguments.is_none_or(|count| {
                let limit =
                    if fact.arguments_max == ANY_NUMBER { usize::MAX } else { fact.arguments_max.into() };
                (usize::from(fact.arguments_min)..=limit).contains(&count)
            });
            fits && !hidden && self.is_meant(path, schema, function.schema)
        });
        worst(candidates.map(|function| function.fact.objection))
    }

    /// What a call may leave behind; `None` if there is no such function.
    pub(crate) fn call_leaves(&self, path: &Path, schema: Option<&[u8]>, name: &[u8]) -> Option<Leaves> {
        let functions = self.functions.named(name).iter();
        let meant = functions.filter(|function| self.is_meant(path, schema, function.schema));
        meant.map(|function| function.fact.leaves).max()
    }

    /// What the name of a relation objects to.
    pub(crate) fn relation(&self, path: &Path, schema: Option<&[u8]>, name: &[u8]) -> Option<Reason> {
        let relations = self.relations.named(name).iter();
        let mut meant = relations.filter(|relation| self.is_meant(path, schema, relation.schema));
        meant.find_map(|relation| relation.fact.objection)
    }

    /// What a use of any relation of this name may leave behind.
    pub(crate) fn relation_leaves(&self, name: &[u8]) -> Leaves {
        let relations = self.relations.named(name).iter();
        relations.map(|relation| relation.fact.leaves).max().unwrap_or(Leaves::Nothing)
    }

    /// What the name of a type means.
    pub(crate) fn type_name(&self, path: &Path, schema: Option<&[u8]>, name: &[u8]) -> Meaning {
        let types = self.types.named(name).iter();
        let meant = types.filter(|found| self.is_meant(path, schema, found.schema));
        worst(meant.map(|found| found.fact))
    }

    /// Whether there is a type that objects.
    pub(crate) fn has_volatile_types(&self) -> bool {
        self.has_volatile_types
    }

    /// What an operator means.
    pub(crate) fn operator(&self, path: &Path, schema: Option<&[u8]>, name: &[u8]) -> Meaning {
        let operators = self.operators.named(name).iter();
        let meant = operators.filter(|found| self.is_meant(path, schema, found.schema));
        worst(meant.map(|found| found.fact))
    }

    /// What a name behind a dot objects to: `row.f` is `f(row)` where the row has no such column.
    pub(crate) fn attribute(&self, name: &[u8]) -> Option<Reason> {
        let found = self.attributes.binary_search_by(|attribute| attribute.as_bytes().cmp(name));
        found.is_ok().then_some(Reason::FunctionVolatile)
    }

    /// What any query may run unseen.
    pub(crate) fn implied(&self) -> Option<Reason> {
        self.implied
    }
}

/// Of all that a name can mean, the worst.
fn worst(objections: impl Iterator<Item = Option<Reason>>) -> Meaning {
    objections.fold(Meaning::Unknown, |meaning, objection| match (meaning, objection) {
        (Meaning::Objection(_), _) => meaning,
        (_, Some(reason)) => Meaning::Objection(reason),
        (Meaning::Unknown | Meaning::Harmless, None) => Meaning::Harmless,
    })
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
