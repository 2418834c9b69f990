//! What SET, RESET, DEALLOCATE, SAVEPOINT and their like name.

use super::*;

/// A change in one line: `scope name = value`, `scope reset name`, …
fn printed(text: &str) -> String {
    let Some(SettingChange { scope, change }) = setting_change(text.as_bytes()) else {
        return "none".to_owned();
    };
    let scope = if scope == Scope::Local { "local" } else { "session" };
    match change {
        Change::Set { name, value } => format!("{scope} {name} = {value}"),
        Change::Reset { name } => format!("{scope} reset {name}"),
        Change::ResetAll => format!("{scope} reset all"),
        Change::TransactionDefaults { text } => format!("{scope} transactions {text}"),
        Change::Other => format!("{scope} other"),
    }
}

#[test]
fn settings() {
    let cases = [
        ("SET work_mem = '1MB'", "session work_mem = '1MB'"),
        ("set /* x */ Work_Mem to 4096 ;", "session work_mem = 4096"),
        ("SET SESSION work_mem TO '1MB'", "session work_mem = '1MB'"),
        ("SET LOCAL work_mem TO '1MB'", "local work_mem = '1MB'"),
        ("SET search_path TO a, \"B\", 'c'", "session search_path = a, \"B\", 'c'"),
        ("SET search_path = ''", "session search_path = ''"),
        ("SET \"TimeZone\" = 'UTC'", "session timezone = 'UTC'"),
        ("SET App.User_Id = 'x;y'", "session app.user_id = 'x;y'"),
        ("SET \"a\".\"b\" TO on", "session a.b = on"),
        ("SET extra_float_digits = -1", "session extra_float_digits = -1"),
        ("SET work_mem TO DEFAULT", "session reset work_mem"),
        ("SET LOCAL work_mem = default", "local reset work_mem"),
        ("SET TIME ZONE 'Europe/Rome'", "session timezone = 'Europe/Rome'"),
        ("SET TIME ZONE -7", "session timezone = -7"),
        ("SET LOCAL TIME ZONE DEFAULT", "local reset timezone"),
        ("SET TIME ZONE LOCAL", "session reset timezone"),
        (
            "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
            "session timezone = INTERVAL '-08:00' HOUR TO MINUTE",
        ),
        ("SET NAMES 'utf8'", "session client_encoding = 'utf8'"),
        ("SET NAMES", "session reset client_encoding"),
        ("SET NAMES DEFAULT", "session reset client_encoding"),
        ("SET names = 'x'", "session names = 'x'"),
        ("SET SCHEMA 'a'", "session search_path = 'a'"),
        ("SET ROLE r", "session role = r"),
        ("SET ROLE NONE", "session role = NONE"),
        ("SET LOCAL ROLE 'r'", "local role = 'r'"),
        ("SET role = 'r'", "session role = 'r'"),
        ("SET SESSION ROLE r", "session role = r"),
        ("SET SESSION AUTHORIZATION r", "session session_authorization = r"),
        ("SET SESSION SESSION AUTHORIZATION 'r'", "session session_authorization = 'r'"),
        ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "local reset session_authorization"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, DEFERRABLE;",
            "session transactions READ ONLY, DEFERRABLE",
        ),
        ("SET XML OPTION DOCUMENT", "session xmloption = DOCUMENT"),
        ("SET SEED TO 0.5", "session seed = 0.5"),
        ("SET x = 'a\\'; y'", "session x = 'a\\'; y'"),
        ("SET work_mem", "session other"),
        ("SET U&\"a\" = 1", "session other"),
        ("SET work_mem FROM CURRENT", "session other"),
        ("SET", "session other"),
        ("RESET Work_Mem", "session reset work_mem"),
        ("RESET a.b;", "session reset a.b"),
        ("RESET ALL", "session reset all"),
        ("RESET TIME ZONE", "session reset timezone"),
        ("RESET ROLE", "session reset role"),
        ("RESET SESSION AUTHORIZATION", "session reset session_authorization"),
        ("RESET TRANSACTION ISOLATION LEVEL", "session reset transaction_isolation"),
        ("RESET", "session other"),
        ("SET TRANSACTION READ ONLY", "none"),
        ("SET LOCAL TRANSACTION READ ONLY", "none"),
        ("SET CONSTRAINTS ALL DEFERRED", "none"),
        ("SET a = 1; SET b = 2", "none"),
        ("SELECT 1", "none"),
        ("SET a = 'x", "none"),
        ("", "none"),
    ];
    for (text, expected) in cases {
        assert_eq!(printed(text), expected, "{text}");
    }
    assert_eq!(
        setting_change(b"RESET \"all\"").map(|set| set.change),
        Some(Change::Reset { name: "all".to_owned() })
    );
}

#[test]
fn savepoints() {
    let cases = [
        ("SAVEPOINT A", Some("a")),
        ("savepoint \"A\";", Some("A")),
        ("SAVEPOINT savepoint", Some("savepoint")),
        ("RELEASE a", Some("a")),
        ("RELEASE SAVEPOINT a", Some("a")),
        ("RELEASE SAVEPOINT", Some("savepoint")),
        ("ROLLBACK TO a", Some("a")),
        ("ROLLBACK WORK TO SAVEPOINT a", Some("a")),
        ("ROLLBACK /**/ TRANSACTION TO a", Some("a")),
        ("ROLLBACK", None),
        ("SAVEPOINT a b", None),
        ("SAVEPOINT a; SAVEPOINT b", None),
        ("SAVEPOINT U&\"a\"", None),
        ("SELECT 1", None),
    ];
    for (text, expected) in cases {
        assert_eq!(savepoint_name(text.as_bytes()).as_deref(), expected, "{text}");
    }
}

#[test]
fn prepared_statements() {
    let name = |text: &str| prepared_name(text.as_bytes());
    assert_eq!(name("PREPARE P (int) AS SELECT $1").as_deref(), Some("p"));
    assert_eq!(name("EXECUTE \"P\"(1)").as_deref(), Some("P"));
    assert_eq!(name("SELECT 1"), None);
    let freed = |text: &str| deallocated(text.as_bytes());
    assert_eq!(freed("DEALLOCATE P"), Some(Deallocated::Name("p".to_owned())));
    assert_eq!(freed("DEALLOCATE PREPARE \"P\";"), Some(Deallocated::Name("P".to_owned())));
    assert_eq!(freed("DEALLOCATE prepare"), Some(Deallocated::Name("prepare".to_owned())));
    assert_eq!(freed("deallocate all"), Some(Deallocated::All));
    assert_eq!(freed("DEALLOCATE PREPARE ALL"), Some(Deallocated::All));
    assert_eq!(freed("DEALLOCATE \"all\""), Some(Deallocated::Name("all".to_owned())));
    assert_eq!(freed("DEALLOCATE"), None);
}

#[test]
fn channels() {
    assert_eq!(unlistened(b"UNLISTEN *"), Some(Unlistened::All));
    assert_eq!(unlistened(b"unlisten C;"), Some(Unlistened::Channel("c".to_owned())));
    assert_eq!(unlistened(b"LISTEN c"), None);
}

#[test]
fn statements_that_a_text_may_name() {
    let names = |text: &str| statement_names(text.as_bytes()).join(" ");
    assert_eq!(names("execute A(1); EXPLAIN ANALYZE EXECUTE \"B\"; DEALLOCATE PREPARE c"), "a B prepare c");
    assert_eq!(names("CREATE TABLE t AS EXECUTE x WITH NO DATA"), "x");
    assert_eq!(names("PREPARE p (int) AS SELECT 'EXECUTE q' -- EXECUTE r"), "p");
    assert_eq!(names("SELECT 1; EXECUTE"), "");
}

#[test]
fn databases_that_a_statement_needs_for_itself() {
    let cases = [
        ("DROP DATABASE Shop", "shop"),
        ("; drop database if exists \"Shop\" ;", "Shop"),
        ("DROP DATABASE a WITH (FORCE)", "a"),
        ("/* x */ ALTER DATABASE a RENAME TO b", "a"),
        ("ALTER DATABASE a SET TABLESPACE b", "a"),
        ("ALTER DATABASE a SET work_mem TO '1MB'", "none"),
        ("ALTER DATABASE a OWNER TO b", "none"),
        ("CREATE DATABASE a", "template1"),
        ("CREATE DATABASE a TEMPLATE DEFAULT", "template1"),
        ("CREATE DATABASE a TEMPLATE \"default\"", "default"),
        ("CREATE DATABASE a WITH OWNER = template CONNECTION LIMIT -1 TEMPLATE = B ENCODING 'UTF8'", "b"),
        ("create database a template 'It''s'", "It's"),
        ("CREATE DATABASE a TEMPLATE", "none"),
        ("DROP TABLE database", "none"),
        ("DROP DATABASE", "none"),
        ("DROP DATABASE a; SELECT 1", "none"),
        ("SELECT 'DROP DATABASE a'", "none"),
        ("", "none"),
    ];
    for (text, expected) in cases {
        assert_eq!(database_alone(text.as_bytes()).as_deref().unwrap_or("none"), expected, "{text}");
    }
}
