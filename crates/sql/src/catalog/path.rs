//! `search_path`: which schemas an unqualified name may lie in.
//!
//! Invariant: where the path cannot be told with certainty, a name may lie in any schema.
//! Manual: "The Schema Search Path"; "Statement Behavior", search_path.

use crate::lexer::{Lexer, Token, TokenKind, folded};

/// A setting's value, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchPath<'a> {
    /// The session set none.
    Default,
    /// Nobody knows.
    Unknown,
    /// One string, as in a start-up packet or as SHOW gives it: `"$user", public`.
    List(&'a str),
    /// What stands behind `=` in a SET: strings are names there.
    Sql(&'a str),
}

/// The schemas of a path, by their places in the catalog's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Any schema.
    All,
    /// These.
    Some {
        schemas: Vec<u16>,
        /// PostgreSQL's own objects come before those of the other schemas.
        builtin_first: bool,
    },
}

impl Path {
    /// The path of a setting's value; `place` tells a schema's place in the catalog's list.
    pub(super) fn resolve(value: SearchPath<'_>, role: &str, place: impl Fn(&str) -> Option<u16>) -> Self {
        let (text, strings_are_names) = match value {
            SearchPath::Default | SearchPath::Unknown => return Self::All,
            SearchPath::List(text) => (text, false),
            SearchPath::Sql(text) => (text, true),
        };
        let Some(names) = names(text, strings_are_names) else { return Self::All };
        let explicit = names.iter().position(|name| name == "pg_catalog");
        let names = names.iter().map(|name| if name == "$user" { role } else { name });
        // Searched in any case, and not always first.
        let schemas = names.filter_map(&place).chain(place("pg_catalog")).collect();
        Self::Some { schemas, builtin_first: explicit.is_none_or(|at| at == 0) }
    }

    /// Whether an unqualified name may mean an object of this schema.
    pub(super) fn sees(&self, schema: u16) -> bool {
        match self {
            Self::All => true,
            Self::Some { schemas, .. } => schemas.contains(&schema),
        }
    }

    /// Whether PostgreSQL's own function is found before another with the same arguments.
    pub(super) fn builtin_first(&self) -> bool {
        matches!(self, Self::Some { builtin_first: true, .. })
    }
}

/// The names of a list; `None` if it is no plain one.
fn names(text: &str, strings_are_names: bool) -> Option<Vec<String>> {
    let bytes = text.as_bytes();
    let tokens: Vec<Token> = Lexer::new(bytes, false).collect();
    if tokens.is_empty() {
        return Some(Vec::new());
    }
    let mut names = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match (at % 2, token.kind) {
            (0, TokenKind::Word | TokenKind::Quoted) => names.push(folded(bytes, *token)?),
            (0, TokenKind::Str) if strings_are_names => names.push(plain_string(token.of(bytes))?),
            (1, TokenKind::Comma) => {}
            _ => return None,
        }
    }
    (tokens.len() % 2 == 1).then_some(names)
}

/// The value of `'…'` without anything that needs reading.
fn plain_string(raw: &[u8]) -> Option<String> {
    let inside = raw.strip_prefix(b"'")?.strip_suffix(b"'")?;
    let plain = !inside.iter().any(|byte| matches!(byte, b'\'' | b'\\' | b'\n'));
    plain.then(|| String::from_utf8_lossy(inside).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(value: SearchPath<'_>) -> Option<(Vec<u16>, bool)> {
        let place = |name: &str| ["public", "anna", "Shop"].iter().position(|s| *s == name);
        match Path::resolve(value, "anna", |name| place(name).map(|at| at as u16)) {
            Path::All => None,
            Path::Some { schemas, builtin_first } => Some((schemas, builtin_first)),
        }
    }

    #[test]
    fn paths_are_read_as_postgresql_reads_them() {
        use SearchPath::{Default, List, Sql, Unknown};
        assert_eq!(resolved(List("\"$user\", public")), Some((vec![1, 0], true)));
        assert_eq!(resolved(List("PUBLIC,\"Shop\", nowhere")), Some((vec![0, 2], true)));
        assert_eq!(resolved(List("public, pg_catalog")), Some((vec![0], false)));
        assert_eq!(resolved(List("pg_catalog, public")), Some((vec![0], true)));
        assert_eq!(resolved(List("")), Some((vec![], true)));
        assert_eq!(resolved(Sql("'Shop', public")), Some((vec![2, 0], true)));
        assert_eq!(resolved(Sql("''")), Some((vec![], true)));
        for unclear in [Default, Unknown, List("'x'"), List("a b"), List("a,"), Sql("E'x'"), Sql("'a''b'")] {
            assert_eq!(resolved(unclear), None, "{unclear:?}");
        }
    }
}
