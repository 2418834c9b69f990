//! EXPLAIN ROUTE: where a text would go now, and why. What follows the words is SQL, and is taken as it stands.

use pgweir_proxy::report::Whose;

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::grammar::Word;
use crate::table::{Row, text};

pub(crate) const EXPLAIN_ROUTE: Command = Command {
    name: "EXPLAIN ROUTE",
    arguments: "[FOR database] [USER role] [APPLICATION name] statement",
    action: Action::Rows { columns: &[text("name"), text("value")], rows },
};

/// The SQL, and the names behind each of [`WHOSE`], empty where there is none; `None` if the text is no such command.
pub(crate) fn arguments(command: &str) -> Option<Vec<Word>> {
    let mut rest = keyword("ROUTE", keyword("EXPLAIN", command)?)?;
    let mut names = Vec::new();
    for whose in WHOSE {
        let Some(named) = keyword(whose, rest) else {
            names.push("");
            continue;
        };
        let (name, behind) = match named.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => named.split_once(|c: char| c.is_ascii_whitespace())?,
        };
        names.push(name);
        rest = behind;
    }
    let words = [rest.trim_ascii()].into_iter().chain(names);
    Some(words.map(|word| Word::Quoted(word.to_owned())).collect())
}

/// What may stand before the SQL, each with a name. No statement begins with one of these words.
const WHOSE: [&str; 3] = ["FOR", "USER", "APPLICATION"];

/// What follows a keyword at the start of a text.
fn keyword<'t>(keyword: &str, text: &'t str) -> Option<&'t str> {
    let text = text.trim_ascii_start();
    let (word, rest) = text.split_at_checked(keyword.len())?;
    let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '/');
    (word.eq_ignore_ascii_case(keyword) && ends).then(|| rest.trim_ascii_start())
}

fn rows(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let mut arguments = asked.arguments.iter().map(|word| word.name().filter(|name| !name.is_empty()));
    let mut next = || arguments.next().flatten();
    let sql = next().ok_or_else(|| ConsoleError::InvalidCommand(asked.text.to_owned()))?;
    let whose = Whose { database: next(), user: next(), application: next() };
    let explained = asked.report.explain(&whose, sql).map_err(ConsoleError::NotExplained)?;
    Ok(explained.into_iter().map(|row| vec![row.name.into(), row.value.into()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_is_taken_as_it_stands() {
        let table: [(&str, Option<&[&str]>); 12] = [
            ("EXPLAIN ROUTE SELECT 1", Some(&["SELECT 1"])),
            ("explain  route\nSELECT 'a''b; \"c' ;", Some(&["SELECT 'a''b; \"c' ;"])),
            ("EXPLAIN ROUTE /* pgweir: primary */ SELECT 1", Some(&["/* pgweir: primary */ SELECT 1"])),
            ("EXPLAIN ROUTE/* x */ SELECT 1", Some(&["/* x */ SELECT 1"])),
            ("EXPLAIN ROUTE FOR shop SELECT 1", Some(&["SELECT 1", "FOR shop"])),
            ("EXPLAIN ROUTE FOR \"My shop\" SELECT 1", Some(&["SELECT 1", "FOR My shop"])),
            ("EXPLAIN ROUTE user a application b SELECT 1", Some(&["SELECT 1", "USER a", "APPLICATION b"])),
            (
                "EXPLAIN ROUTE FOR a APPLICATION \"b c\"SELECT 1",
                Some(&["SELECT 1", "FOR a", "APPLICATION b c"]),
            ),
            ("EXPLAIN ROUTE FOR a", None),
            ("EXPLAIN ROUTE", Some(&[])),
            ("EXPLAIN ROUTES", None),
            ("EXPLAIN SELECT 1", None),
        ];
        for (command, expected) in table {
            let words = arguments(command);
            let found = words.map(|words| {
                let labels = ["", "FOR ", "USER ", "APPLICATION "];
                let names = words.iter().map(|word| word.name().unwrap_or_default());
                let given = labels.iter().zip(names).filter(|(_, name)| !name.is_empty());
                given.map(|(label, name)| format!("{label}{name}")).collect::<Vec<_>>()
            });
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(found, expected, "{command}");
        }
    }
}
