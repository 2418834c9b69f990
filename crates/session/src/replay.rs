//! How a server gets from one session's settings to another's.
//!
//! Invariants: whatever settings are in force while it is read, the query means the same; who the session is comes last.

use std::sync::Arc;

use crate::settings::{ROLE, SESSION_AUTHORIZATION, SettingMap, SettingValue, is_identity};

/// One simple query that takes a server from the settings `has` to the settings `wants`; `None` if they are equal.
pub(crate) fn difference(has: &Arc<SettingMap>, wants: &Arc<SettingMap>) -> Option<String> {
    if Arc::ptr_eq(has, wants) || has == wants {
        return None;
    }
    // Whatever role the session takes, its settings are set by who logged in.
    let mut query: String =
        has.keys().filter(|name| is_identity(name)).rev().map(|name| reset(name)).collect();
    for (name, value) in has.iter().filter(|(name, _)| !is_identity(name) && !wants.contains_key(*name)) {
        if *value != SettingValue::Defined {
            query += &reset(name);
        }
    }
    for (name, value) in
        wants.iter().filter(|(name, value)| !is_identity(name) && has.get(*name) != Some(value))
    {
        query += &match value {
            SettingValue::Plain(_) | SettingValue::Sql(_) => set(name, value),
            SettingValue::Defined if has.contains_key(name) => reset(name),
            SettingValue::Defined => {
                let set = assignment(name, "", Lasting::Session);
                format!("SELECT {set} WHERE pg_catalog.current_setting({},true) IS NULL;", literal(name))
            }
        };
    }
    for name in [SESSION_AUTHORIZATION, ROLE] {
        query.extend(wants.get(name).map(|value| set(name, value)));
    }
    (!query.is_empty()).then_some(query)
}

fn reset(name: &str) -> String {
    format!("RESET {};", quoted_name(name))
}

fn set(name: &str, value: &SettingValue) -> String {
    match value {
        SettingValue::Plain(value) => format!("SELECT {};", assignment(name, value, Lasting::Session)),
        SettingValue::Sql(value) => format!("SET {} TO {value};", quoted_name(name)),
        SettingValue::Defined => String::new(),
    }
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
    fn settings_are_set_by_who_logged_in() {
        let sql = |text: &str| SettingValue::Sql(text.to_owned());
        let ann = map(&[("role", sql("ann")), ("session_authorization", sql("bob"))]);
        let also = map(&[("a", sql("1")), ("role", sql("ann")), ("session_authorization", sql("bob"))]);
        let become_ann = r#"SET "session_authorization" TO bob;SET "role" TO ann;"#;
        let leave = r#"RESET "session_authorization";RESET "role";"#;
        assert_eq!(difference(&map(&[]), &ann).unwrap(), become_ann);
        assert_eq!(difference(&ann, &also).unwrap(), format!(r#"{leave}SET "a" TO 1;{become_ann}"#));
        assert_eq!(difference(&ann, &map(&[])).unwrap(), leave);
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
