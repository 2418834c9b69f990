//! The tables are sorted, so that what they hold is found, and hold what routing rests on.

use super::*;

#[test]
fn tables_are_sorted_and_have_no_name_twice() {
    let tables = [
        functions::READ_ONLY,
        words::RESERVED,
        words::FUNCTION_OR_TYPE,
        words::COLUMN_NAME,
        words::UNRESERVED,
        words::TYPES,
        words::OPERATORS,
        words::NODE_SETTINGS,
    ];
    let curated: Vec<&str> = special::SPECIAL.iter().map(|special| special.name).collect();
    for table in tables.into_iter().chain([&curated[..]]) {
        let unsorted = table.windows(2).find(|pair| pair[0].as_bytes() >= pair[1].as_bytes());
        assert_eq!(unsorted, None);
    }
}

#[test]
fn curated_functions_have_a_reason_and_stand_in_one_table_only() {
    for special in special::SPECIAL {
        assert!(!special.why.is_empty(), "{}", special.name);
        assert!(!contains(functions::READ_ONLY, special.name.as_bytes()), "{}", special.name);
        let kept = special.binds.is_some();
        assert!(!kept || special.class.objection().is_some(), "{} binds and is yet a read", special.name);
    }
    assert!(NODE_RELATIONS.iter().all(|(_, why)| !why.is_empty()));
}

#[test]
fn nothing_that_writes_is_among_the_functions_that_read() {
    let suspicious =
        ["nextval", "setval", "lo_", "advisory", "notify", "dblink", "set_config", "pg_stat_", "reset"];
    for name in functions::READ_ONLY {
        assert!(!suspicious.iter().any(|part| name.contains(part)), "{name}");
    }
}

#[test]
fn only_known_schemas_are_trusted() {
    assert_eq!(function(Some(b"pg_catalog"), b"lower"), Some(Class::Safe));
    assert_eq!(function(Some(b"public"), b"lower"), None);
    assert_eq!(function(Some(b"information_schema"), b"_pg_expandarray"), Some(Class::Safe));
    assert_eq!(function(Some(b"information_schema"), b"lower"), None);
    assert!(is_type(Some(b"information_schema"), b"sql_identifier") && !is_type(Some(b"public"), b"text"));
}
