//! Catalogs for tests, written as lines.
//!
//! `function NAME(MIN[..[MAX]]) VOLATILITY LANGUAGE [option …][: body]`, `view`, `table`, `foreign`, `sequence`, `type NAME`,
//! `operator NAME FUNCTION LEFT RIGHT`, `cast FROM TO FUNCTION`, `column RELATION TYPE`, `path ROLE: value`. Options are
//! `uses=a,b` and their like. Names without a schema lie in `public`; those of `pg_catalog` are PostgreSQL's own.

use std::collections::HashMap;
use std::sync::Arc;

use super::*;

/// The rows that the lines of `text` describe.
pub(crate) fn rows(text: &str) -> CatalogRows {
    let mut draft = Draft::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        draft.line(line);
    }
    draft.rows
}

/// What names of this catalog mean to a session of the role `anna`.
pub(crate) fn naming(rows: &CatalogRows, path: SearchPath<'_>) -> Arc<Naming> {
    let slot = CatalogSlot::new(1);
    slot.set(Some(Arc::new(Catalog::new(rows))));
    slot.naming(path, "anna")
}

#[derive(Default)]
struct Draft {
    rows: CatalogRows,
    oids: HashMap<String, u32>,
}

/// The words and the body of a line.
struct Line<'l> {
    words: Vec<&'l str>,
    body: Option<&'l str>,
}

impl<'l> Line<'l> {
    fn option(&self, key: &str) -> Option<&'l str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

impl Draft {
    fn line(&mut self, line: &str) {
        let (head, body) = match line.split_once(": ") {
            Some((head, body)) => (head, Some(body.to_owned())),
            None => (line, None),
        };
        let line = Line { words: head.split_whitespace().collect(), body: body.as_deref() };
        match line.words[0] {
            "function" => self.function(&line),
            "view" => self.relation(&line, RelationKind::View),
            "table" => self.relation(&line, RelationKind::Table),
            "foreign" => self.relation(&line, RelationKind::Foreign),
            "sequence" => self.relation(&line, RelationKind::Sequence),
            "type" => {
                let (oid, schema, name) = self.named(line.words[1]);
                let uses = self.references(line.option("uses"));
                self.rows.types.push(TypeRow { oid, schema, name, uses });
            }
            "operator" => {
                let (oid, schema, name) = self.named(line.words[1]);
                let function = self.oid(line.words[2]);
                let operands = line.words[3..].iter().map(|word| self.oid(word)).collect();
                self.rows.operators.push(OperatorRow { oid, schema, name, function, operands });
            }
            "cast" => {
                let [source, target, function] = [1, 2, 3].map(|at| self.oid(line.words[at]));
                self.rows.casts.push(CastRow { source, target, function });
            }
            "column" => {
                let (relation, schema, name) = self.named(line.words[1]);
                let type_oid = self.oid(line.words[2]);
                self.rows.columns.push(ColumnRow { relation, schema, name, type_oid });
            }
            "path" => {
                let role = line.words.get(1).map(|role| (*role).to_owned());
                let value = line.body.expect("a path has a value").to_owned();
                self.rows.search_paths.push(SearchPathRow { role, value });
            }
            other => panic!("no such line: {other}"),
        }
    }

    fn function(&mut self, line: &Line<'_>) {
        let (signature, rest) = line.words[1].split_once('(').expect("a function has a signature");
        let arguments = rest.trim_end_matches(')');
        let (minimum, maximum) = match arguments.split_once("..") {
            Some((minimum, "")) => (minimum, None),
            Some((minimum, maximum)) => (minimum, Some(number(maximum))),
            None => (arguments, Some(number(arguments))),
        };
        let (oid, schema, name) = self.named(signature);
        let row = FunctionRow {
            oid,
            schema,
            name,
            volatility: match line.words[2] {
                "immutable" => Volatility::Immutable,
                "stable" => Volatility::Stable,
                "volatile" => Volatility::Volatile,
                other => panic!("no such volatility: {other}"),
            },
            language: match line.words[3] {
                "sql" => Language::Sql,
                "plpgsql" => Language::PlPgSql,
                "c" => Language::Compiled,
                "plperl" => Language::Other,
                other => panic!("no such language: {other}"),
            },
            arguments_min: number(minimum),
            arguments_max: maximum,
            returns: line.option("returns").map_or(23, |name| self.oid(name)),
            of_row: line.has("of_row"),
            shadowed: line.has("shadowed"),
            extension: line.option("extension").map(str::to_owned),
            body: match line.body {
                Some(text) => Body::Text(text.to_owned()),
                None if line.has("parsed") => Body::Parsed,
                None => Body::Unseen,
            },
            uses: References { writes: line.has("writes"), ..self.references(line.option("uses")) },
        };
        self.rows.functions.push(row);
    }

    fn relation(&mut self, line: &Line<'_>, kind: RelationKind) {
        let (oid, schema, name) = self.named(line.words[1]);
        let list = |draft: &mut Self, key| -> Vec<u32> {
            let names = line.option(key).unwrap_or_default();
            names.split(',').filter(|name| !name.is_empty()).map(|name| draft.oid(name)).collect()
        };
        let row = RelationRow {
            oid,
            schema,
            name,
            kind,
            unlogged: line.has("unlogged"),
            uses: References { writes: line.has("locks"), ..self.references(line.option("uses")) },
            policies: self.references(line.option("policies")),
            children: list(self, "children"),
            runs: list(self, "runs"),
        };
        self.rows.relations.push(row);
    }

    /// Each name is referred to as all that it may be: OIDs are unique over all sorts here.
    fn references(&mut self, names: Option<&str>) -> References {
        let oids: Vec<u32> = names
            .unwrap_or_default()
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|name| self.oid(name))
            .collect();
        let mut references = References::default();
        for oid in oids {
            let row = &self.rows;
            if row.types.iter().any(|row| row.oid == oid) {
                references.types.push(oid);
            } else if row.operators.iter().any(|row| row.oid == oid) {
                references.operators.push(oid);
            } else if row.relations.iter().any(|row| row.oid == oid) || self.is_builtin_relation(oid) {
                references.relations.push(oid);
            } else {
                references.functions.push(oid);
            }
        }
        references
    }

    fn is_builtin_relation(&self, oid: u32) -> bool {
        self.rows.builtins.iter().any(|row| row.oid == oid && row.volatility.is_none())
    }

    fn named(&mut self, path: &str) -> (u32, String, String) {
        let (schema, name) = split(path);
        (self.oid(path), schema.to_owned(), name.to_owned())
    }

    fn oid(&mut self, path: &str) -> u32 {
        let (schema, name) = split(path);
        let builtin = schema == "pg_catalog";
        let next = self.oids.len() as u32 + if builtin { 1000 } else { 20_000 };
        let key = format!("{schema}.{name}");
        if let Some(oid) = self.oids.get(&key) {
            return *oid;
        }
        self.oids.insert(key, next);
        if builtin {
            let volatility = (!name.starts_with("pg_stat")).then_some(Volatility::Volatile);
            self.rows.builtins.push(BuiltinRow { oid: next, name: name.to_owned(), volatility });
        }
        next
    }
}

fn split(path: &str) -> (&str, &str) {
    match path.split_once('.') {
        Some((schema, name)) if !schema.is_empty() && !name.is_empty() => (schema, name),
        _ => ("public", path),
    }
}

fn number(text: &str) -> u16 {
    text.parse().expect("a number of arguments")
}
