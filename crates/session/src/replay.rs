//! How a server gets from one session's settings to another's.
//!
//! Invariant: whatever settings are in force while it is read, the query means the same.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::settings::{SettingMap, SettingValue};

/// One simple query that takes a server from the settings `has` to the settings `wants`; `None` if they are equal.
pub(crate) fn difference(has: &Arc<SettingMap>, wants: &Arc<SettingMap>) -> Option<String> {
    if Arc::ptr_eq(has, wants) || has == wants {
        return None;
    }
    let mut query = String::new();
    for (name, value) in has.iter().filter(|(name, _)| !wants.contains_key(*name)) {
        if *value != SettingValue::Defined {
            let _ = write!(query, "RESET {};", quoted_name(name));
        }
    }
    for (name, value) in wants.iter().filter(|(name, value)| has.get(*name) != Some(value)) {
        let _ = match value {
            SettingValue::Plain(value) => {
                write!(query, "SELECT {};", assignment(name, value, Lasting::Session))
            }
            SettingValue::Sql(value) => write!(query, "SET {} TO {value};", quoted_name(name)),
            SettingValue::Defined if has.contains_key(name) => write!(query, "RESET {};", quoted_name(name)),
            SettingValue::Defined => {
                let set = assignment(name, "", Lasting::Session);
                let missing = format!("pg_catalog.current_setting({},true) IS NULL", literal(name));
                write!(query, "SELECT {set} WHERE {missing};")
            }
        };
    }
    (!query.is_empty()).then_some(query)
}

/// How long a value lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    Session,
    /// To the end of the transaction.
    Transaction,
}

/// The call that gives a setting a value.
pub(crate) fn assignment(name: &str, value: &str, lasting: Lasting) -> String {
    let local = lasting == Lasting::Transaction;
    format!("pg_catalog.set_config({},{},{local})", literal(name), literal(value))
}
/// A custom setting's name has dots, each part an identifier.
fn quoted_name(name: &str) -> String {
    let parts: Vec<String> =
        name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    parts.join(".")
}

/// A literal that reads the same whatever `standard_conforming_strings` is.
fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(settings: &[(&str, SettingValue)]) -> Arc<SettingMap> {
        Arc::new(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn the_difference_is_one_query() {
        let sql = |text: &str| SettingValue::Sql(text.to_owned());
        let none = map(&[]);
        let some = map(&[
            ("my.var", sql("1")),
            ("search_path", sql("a, 'b'")),
            ("timezone", SettingValue::Plain("UTC".to_owned())),
        ]);
        assert_eq!(
            difference(&none, &some).unwrap(),
            "SET \"my\".\"var\" TO 1;SET \"search_path\" TO a, 'b';SELECT pg_catalog.set_config('timezone','UTC',false);"
        );
        assert_eq!(difference(&some, &some), None);
        let back = difference(&some, &none).unwrap();
        assert_eq!(back, "RESET \"my\".\"var\";RESET \"search_path\";RESET \"timezone\";");
        assert_eq!(literal(r"it's a \"), r"E'it''s a \\'");
    }

    #[test]
    fn a_custom_setting_without_a_value_is_there() {
        let (none, empty) = (map(&[]), map(&[("my.var", SettingValue::Defined)]));
        let set = map(&[("my.var", SettingValue::Plain("1".to_owned()))]);
        assert_eq!(difference(&set, &empty).unwrap(), "RESET \"my\".\"var\";");
        assert_eq!(
            difference(&none, &empty).unwrap(),
            "SELECT pg_catalog.set_config('my.var','',false) WHERE pg_catalog.current_setting('my.var',true) IS NULL;"
        );
        assert_eq!(difference(&empty, &none), None, "nothing undoes a name");
    }
}
