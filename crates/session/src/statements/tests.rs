//! Names of statements, and what servers have of them.

use super::*;

#[test]
fn names_depend_on_text_and_types() {
    let namer = StatementNamer::default();
    let name = namer.name(b"select $1", b"\0\0");
    assert_eq!(name, namer.name(b"select $1", b"\0\0"));
    assert_ne!(name, namer.name(b"select $1", b"\0\x01\0\0\0\x17"));
    assert_ne!(name, namer.name(b"select $1\0", b"\0"));
    let digits = format!("pgweir_{:032x}", name.0);
    assert_eq!(str::from_utf8(&name.server_name()), Ok(&digits[..]));
    namer.schema_changed();
    assert_ne!(name, namer.name(b"select $1", b"\0\0"), "a server would refuse what it parsed before");
}

#[test]
fn a_name_is_shared_only_under_equal_settings() {
    let namer = StatementNamer::default();
    let id = namer.name(b"select", b"");
    let named = |zone: &str| {
        let settings = [("timezone".to_owned(), SettingValue::Sql(zone.to_owned()))];
        id.under(namer.salt_of_settings(settings.iter().map(|(name, value)| (name, value))))
    };
    assert_eq!(id.under(namer.salt_of_settings(std::iter::empty())), id);
    assert_eq!(named("'UTC'"), named("'UTC'"));
    assert_ne!(named("'UTC'"), named("'Asia/Tokyo'"));
    let alone = |session, change| id.under(namer.salt_of_session(session, change));
    assert_eq!(alone(1, 0), alone(1, 0));
    assert!(alone(1, 0) != alone(2, 0) && alone(1, 0) != alone(1, 1) && alone(1, 0) != id);
}

#[test]
fn the_least_used_statement_makes_room() {
    let mut server = ServerStatements::default();
    let [a, b, c] = [1, 2, 3].map(StatementId);
    for id in [a, b] {
        assert_eq!(server.add(id, 0, 2), None);
        server.parsed(id);
    }
    assert_eq!(server.touch(a), Presence::Yes);
    assert_eq!(server.add(c, 1, 2), Some(b));
    assert_eq!(server.touch(b), Presence::Since(1), "the Close may yet be skipped");
    server.closed(b);
    assert_eq!((server.touch(b), server.len()), (Presence::No, 2));
}

#[test]
fn a_later_change_of_a_name_is_not_undone_with_an_earlier_one() {
    let namer = StatementNamer::default();
    let verdict = pgweir_sql::Classifier::new(pgweir_sql::Settings::default(), 1).classify(
        b"SELECT 1",
        pgweir_sql::Lexing::default(),
        None,
    );
    let named = |text: &[u8]| Named {
        statement: Arc::new(Statement::new(
            &namer,
            &Parse { name: b"s", text, types: b"\0\0" },
            Judged::unseen(verdict),
            None,
        )),
        defined_in: 0,
    };
    let mut names = ClientStatements::default();
    let first = names.define(b"s", named(b"SELECT 1"));
    names.forget(b"s");
    names.define(b"s", named(b"SELECT 2"));
    names.undo(first);
    assert!(names.get(b"s").unwrap().definition.starts_with(b"SELECT 2"));
}
