//! EXPLAIN ROUTE: where a text would go now, and why. What follows the words is SQL, and is taken as it stands.

use super::{Action, Asked, Command};
use crate::error::ConsoleError;
use crate::grammar::Word;
use crate::table::{Row, text};

pub(crate) const EXPLAIN_ROUTE: Command = Command {
    name: "EXPLAIN ROUTE",
    arguments: "[FOR database] statement",
    action: Action::Rows { columns: &[text("name"), text("value")], rows },
};

/// The database, if one is named, and the SQL; `None` if the text is no such command.
pub(crate) fn arguments(command: &str) -> Option<Vec<Word>> {
    let rest = keyword("ROUTE", keyword("EXPLAIN", command)?)?;
    let sql = |sql: &str| Word::Quoted(sql.trim_ascii().to_owned());
    let Some(named) = keyword("FOR", rest) else { return Some(vec![sql(rest)]) };
    let (database, rest) = match named.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => named.split_once(|c: char| c.is_ascii_whitespace())?,
    };
    Some(vec![sql(rest), Word::Quoted(database.to_owned())])
}

/// What follows a keyword at the start of a text.
fn keyword<'t>(keyword: &str, text: &'t str) -> Option<&'t str> {
    let text = text.trim_ascii_start();
    let (word, rest) = text.split_at_checked(keyword.len())?;
    let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '/');
    (word.eq_ignore_ascii_case(keyword) && ends).then(|| rest.trim_ascii_start())
}

fn rows(asked: &Asked<'_>) -> Result<Vec<Row>, ConsoleError> {
    let mut arguments = asked.arguments.iter().filter_map(Word::name);
    let sql = arguments.next().filter(|sql| !sql.is_empty());
    let sql = sql.ok_or_else(|| ConsoleError::InvalidCommand(asked.text.to_owned()))?;
    let explained = asked.report.explain(arguments.next(), sql).map_err(ConsoleError::NotExplained)?;
    Ok(explained.into_iter().map(|row| vec![row.name.into(), row.value.into()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_is_taken_as_it_stands() {
        let table: [(&str, Option<&[&str]>); 9] = [
            ("EXPLAIN ROUTE SELECT 1", Some(&["SELECT 1"])),
            ("explain  route\nSELECT 'a''b; \"c' ;", Some(&["SELECT 'a''b; \"c' ;"])),
            ("EXPLAIN ROUTE /* pgweir: primary */ SELECT 1", Some(&["/* pgweir: primary */ SELECT 1"])),
            ("EXPLAIN ROUTE/* x */ SELECT 1", Some(&["/* x */ SELECT 1"])),
            ("EXPLAIN ROUTE FOR shop SELECT 1", Some(&["SELECT 1", "shop"])),
            ("EXPLAIN ROUTE FOR \"My shop\" SELECT 1", Some(&["SELECT 1", "My shop"])),
            ("EXPLAIN ROUTE", Some(&[""])),
            ("EXPLAIN ROUTES", None),
            ("EXPLAIN SELECT 1", None),
        ];
        for (command, expected) in table {
            let words = arguments(command);
            let found = words.as_ref().map(|words| words.iter().filter_map(Word::name).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{command}");
        }
    }
}
