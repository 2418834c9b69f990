use super::*;

fn set(name: &str, value: &str) -> SettingChange {
    let change = Change::Set { name: name.to_owned(), value: value.to_owned() };
    SettingChange { scope: Scope::Session, change }
}

fn reset(name: &str) -> SettingChange {
    SettingChange { scope: Scope::Session, change: Change::Reset { name: name.to_owned() } }
}

fn shown(settings: &Settings) -> String {
    let value = |value: &SettingValue| match value {
        SettingValue::Plain(text) | SettingValue::Sql(text) => text.clone(),
        SettingValue::Defined => String::new(),
    };
    let pairs: Vec<String> = settings.current().iter().map(|(k, v)| format!("{k}={}", value(v))).collect();
    pairs.join(" ")
}

fn fresh() -> Settings {
    let startup = [GucSetting { name: "TimeZone".into(), value: "UTC".into() }];
    Settings::new(Arc::new(startup_settings(&startup)))
}

#[test]
fn a_rolled_back_set_is_forgotten() {
    let mut it = fresh();
    it.apply(&set("work_mem", "'1MB'"));
    assert_eq!(shown(&it), "timezone=UTC work_mem='1MB'");
    it.rollback();
    assert_eq!(shown(&it), "timezone=UTC");
    it.apply(&set("work_mem", "2"));
    it.commit();
    it.rollback();
    assert_eq!(shown(&it), "timezone=UTC work_mem=2");
}

#[test]
fn savepoints_undo_what_came_after_them() {
    let mut it = fresh();
    it.apply(&set("a", "1"));
    it.savepoint("s");
    it.apply(&set("a", "2"));
    it.savepoint("t");
    it.apply(&set("a", "3"));
    it.rollback_to("s");
    assert_eq!(shown(&it), "a=1 timezone=UTC");
    it.apply(&set("a", "4"));
    it.release("s");
    assert_eq!(shown(&it), "a=4 timezone=UTC");
    it.commit();
    assert_eq!(shown(&it), "a=4 timezone=UTC");
}

#[test]
fn a_savepoint_released_first_keeps_its_sets_until_the_end() {
    let mut it = fresh();
    it.savepoint("s");
    it.apply(&set("a", "1"));
    it.release("s");
    assert_eq!(shown(&it), "a=1 timezone=UTC");
    it.rollback();
    assert_eq!(shown(&it), "timezone=UTC");
}

#[test]
fn reset_goes_back_to_the_start_up_value() {
    let mut it = fresh();
    it.apply(&set("timezone", "'CET'"));
    it.apply(&set("a", "1"));
    it.apply(&reset("timezone"));
    assert_eq!(shown(&it), "a=1 timezone=UTC");
    it.apply(&SettingChange { scope: Scope::Session, change: Change::ResetAll });
    assert_eq!(shown(&it), "timezone=UTC");
}

#[test]
fn identity_is_not_replayed() {
    let mut it = fresh();
    assert_eq!(it.apply(&set("role", "ann")), Kept::No);
    assert_eq!(it.apply(&reset("session_authorization")), Kept::No);
    assert_eq!(shown(&it), "timezone=UTC");
}
