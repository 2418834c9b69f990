//! What PostgreSQL's parser makes of a text.
//!
//! How: the whole tree is printed as Rust prints values for debugging, and the names of nodes are read from that. So no node
//! can hide in a field that a walk forgets.

use std::collections::BTreeSet;

/// What the parse tree says.
pub(crate) enum Opinion {
    Read,
    /// Something in it does more, or may.
    Writes(String),
    /// It is no SQL of the version that the parser knows.
    Unparsed,
}

/// Whether a text is a read if no function does more than these.
pub(crate) fn opinion(sql: &str, functions: &BTreeSet<&str>) -> Opinion {
    let Ok(parsed) = pg_query::parse(sql) else { return Opinion::Unparsed };
    let printed = format!("{:?}", parsed.protobuf);
    let mut strings = Strings { rest: &printed };
    let mut names: Option<Vec<String>> = None;
    while let Some(piece) = strings.next() {
        match piece {
            Piece::Word(word) => {
                if let Some(why) = objection(word) {
                    return Opinion::Writes(why.to_owned());
                }
                match word {
                    "funcname" | "method" => names = Some(Vec::new()),
                    "args" | "agg_order" if names.is_some() => {
                        let called = names.take().unwrap_or_default();
                        if let Some(why) = call_objection(&called, functions) {
                            return Opinion::Writes(why);
                        }
                    }
                    _ => {}
                }
            }
            Piece::Text(text) => {
                if let Some(names) = &mut names {
                    names.push(text);
                }
            }
        }
    }
    Opinion::Read
}

/// The objection to a node of this name.
fn objection(word: &str) -> Option<&'static str> {
    match word {
        "LockingClause" => Some("it locks rows"),
        "IntoClause" => Some("it makes a table"),
        "SelectStmt" | "ExplainStmt" | "VariableShowStmt" | "RawStmt" | "CopyStmt" => None,
        // BEGIN READ ONLY: pgweir looks at the mode.
        "TransactionStmt" => None,
        _ if word.ends_with("Stmt") => Some("it is no query"),
        _ => None,
    }
}

fn call_objection(names: &[String], functions: &BTreeSet<&str>) -> Option<String> {
    let known = match names {
        [name] => functions.contains(name.as_str()),
        [schema, name] => {
            schema == "information_schema" || (schema == "pg_catalog" && functions.contains(name.as_str()))
        }
        _ => false,
    };
    // What the grammar makes of its own syntax, and what only looks like a call.
    let syntax = matches!(names, [schema, name] if schema == "pg_catalog" && SYNTAX.contains(&name.as_str()));
    // Which setting, and which of two forms, is told by the tables of statements.
    let setting = names.last().is_some_and(|name| matches!(name.as_str(), "current_setting" | "ts_rewrite"));
    (!known && !syntax && !setting).then(|| format!("it calls {}", names.join(".")))
}

/// Functions that the grammar names for syntax of its own.
const SYNTAX: [&str; 8] = [
    "like_escape",
    "similar_to_escape",
    "timezone",
    "xmlexists",
    "pg_collation_for",
    "is_normalized",
    "normalize",
    "system_user",
];

/// Words and strings of a value as `{:?}` prints it.
struct Strings<'t> {
    rest: &'t str,
}

enum Piece<'t> {
    Word(&'t str),
    Text(String),
}

impl<'t> Iterator for Strings<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let start =
            self.rest.find(|letter: char| letter == '"' || letter.is_ascii_alphabetic() || letter == '_')?;
        self.rest = &self.rest[start..];
        if let Some(text) = self.rest.strip_prefix('"') {
            let mut escaped = false;
            let end = text.find(|letter| {
                let closes = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                closes
            })?;
            self.rest = &text[end + 1..];
            return Some(Piece::Text(text[..end].to_owned()));
        }
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Some(Piece::Word(word))
    }
}
