//! What names mean in one session: PostgreSQL's own, and those of its database where a catalog is known.
//!
//! Invariant: of all that a name can mean, the worst counts; without a catalog only PostgreSQL's own names are known.

use std::borrow::Cow;

use super::Class;
use crate::catalog::{Catalog, Meaning, Naming, Path};
use crate::{Leaves, Reason};

/// The names that an analysis may know.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    user: Option<(&'a Catalog, &'a Path)>,
}

/// What a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Harmless,
    Objection(Reason),
    /// It makes rows of its first argument's type, in a database where some types object.
    Rows,
    /// `current_setting`: it depends on which.
    Setting,
    Unknown,
}

impl<'a> Names<'a> {
    /// Also those of a catalog.
    pub(crate) fn of(catalog: &'a Catalog, path: &'a Path) -> Self {
        Self { user: Some((catalog, path)) }
    }

    /// Those that a session knows.
    pub(crate) fn under(naming: Option<&'a Naming>) -> Self {
        let known = naming.and_then(|naming| Some((naming.catalog.as_deref()?, &naming.path)));
        Self { user: known }
    }

    /// What a call means; without a number of arguments, any number is possible.
    pub(crate) fn call(
        self,
        schema: Option<&[u8]>,
        name: &[u8],
        arguments: impl Fn() -> Option<usize>,
    ) -> Call {
        let builtin = super::function(schema, name);
        if let Some(reason) = builtin.and_then(Class::objection)
            && !super::is_safe_overload(name, &arguments)
        {
            return Call::Objection(reason);
        }
        if super::makes_rows(name) && self.user.is_some_and(|(catalog, _)| catalog.has_volatile_types()) {
            return Call::Rows;
        }
        let user = self.user.map(|(catalog, path)| catalog.call(path, schema, name, &arguments));
        match (builtin, user.unwrap_or(Meaning::Unknown)) {
            (_, Meaning::Objection(reason)) => Call::Objection(reason),
            (Some(Class::Setting), _) => Call::Setting,
            (Some(_), _) | (None, Meaning::Harmless) => Call::Harmless,
            (None, Meaning::Unknown) if self.is_cast(schema, name, &arguments) => Call::Harmless,
            (None, Meaning::Unknown) => Call::Unknown,
        }
    }

    /// Where no function has a name, a call with one argument is a cast to the type of that name. Manual: "Type Casts".
    fn is_cast(self, schema: Option<&[u8]>, name: &[u8], arguments: impl Fn() -> Option<usize>) -> bool {
        self.user.is_some() && self.type_objection(schema, name).is_none() && arguments() == Some(1)
    }

    /// Whether a call may leave session state that no text shows.
    pub(crate) fn call_leaves(self, schema: Option<&[u8]>, name: &[u8]) -> Leaves {
        let user = self.user.and_then(|(catalog, path)| catalog.call_leaves(path, schema, name));
        let builtin = match super::function(schema, name) {
            Some(Class::Unproven) => Some(Leaves::Unknown),
            Some(_) => Some(Leaves::Nothing),
            None => None,
        };
        user.max(builtin).unwrap_or(Leaves::Unknown)
    }

    /// Whether the use of a relation, if this names one, may leave session state that no text shows.
    pub(crate) fn relation_leaves(self, name: &[u8]) -> Leaves {
        self.user.map_or(Leaves::Nothing, |(catalog, _)| catalog.relation_leaves(name))
    }

    /// What the name of a relation that is read objects to. `name` is the inside of the quotes.
    pub(crate) fn relation_objection(self, schema: Option<&[u8]>, name: &[u8]) -> Option<Reason> {
        let (catalog, path) = self.user?;
        catalog.relation(path, schema.map(stored).as_deref(), &stored(name))
    }

    /// Whether the database's own names are known.
    pub(crate) fn has_catalog(self) -> bool {
        self.user.is_some()
    }

    /// Whether this names a function of the database's own in any schema, or a relation whose use runs more than its rows.
    pub(crate) fn is_of_database(self, name: &[u8]) -> bool {
        self.user.is_some_and(|(catalog, _)| catalog.runs_code(&stored(name)))
    }

    /// What the name of a type objects to.
    pub(crate) fn type_objection(self, schema: Option<&[u8]>, name: &[u8]) -> Option<Reason> {
        let user = self.user.map(|(catalog, path)| catalog.type_name(path, schema, name));
        match user.unwrap_or(Meaning::Unknown) {
            Meaning::Objection(reason) => Some(reason),
            Meaning::Harmless => None,
            Meaning::Unknown => (!super::is_type(schema, name)).then_some(Reason::TypeUnknown),
        }
    }

    /// What an operator objects to.
    pub(crate) fn operator_objection(self, schema: Option<&[u8]>, operator: &[u8]) -> Option<Reason> {
        let user = self.user.map(|(catalog, path)| catalog.operator(path, schema, operator));
        let builtin = matches!(schema, None | Some(b"pg_catalog")) && super::is_operator(operator);
        match user.unwrap_or(Meaning::Unknown) {
            Meaning::Objection(reason) => Some(reason),
            Meaning::Harmless => None,
            Meaning::Unknown => (!builtin).then_some(Reason::OperatorUnknown),
        }
    }

    /// What a name behind a dot objects to.
    pub(crate) fn attribute_objection(self, name: &[u8]) -> Option<Reason> {
        self.user.and_then(|(catalog, _)| catalog.attribute(name))
    }

    /// What any query may run unseen.
    pub(crate) fn implied_objection(self) -> Option<Reason> {
        self.user.and_then(|(catalog, _)| catalog.implied())
    }
}

/// A name as PostgreSQL stores it: without doubled quotes, cut to 63 bytes.
fn stored(name: &[u8]) -> Cow<'_, [u8]> {
    if name.len() <= 63 && !name.contains(&b'"') {
        return Cow::Borrowed(name);
    }
    Cow::Owned(crate::lexer::cut_to_identifier(String::from_utf8_lossy(name).replace("\"\"", "\"")).into())
}
