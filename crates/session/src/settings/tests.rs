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
fn who_the_session_is_decides_about_its_role() {
    let mut it = fresh();
    it.apply(&set("role", "ann"));
    it.apply(&SettingChange { scope: Scope::Session, change: Change::ResetAll });
    assert_eq!(shown(&it), "role=ann timezone=UTC");
    it.apply(&set("session_authorization", "bob"));
    assert_eq!(shown(&it), "session_authorization=bob timezone=UTC");
    it.rollback();
    assert_eq!(shown(&it), "timezone=UTC");
    it.apply(&set("role", "ann"));
    it.discard_all();
    assert_eq!(shown(&it), "timezone=UTC");
}

#[test]
fn session_characteristics_are_settings() {
    let defaults = |text: &str| {
        let mut it = Settings::new(Arc::default());
        let change = Change::TransactionDefaults { text: text.to_owned() };
        let kept = it.apply(&SettingChange { scope: Scope::Session, change });
        (kept, shown(&it), it.needs_primary())
    };
    let kept = |shown: &str, needs_primary| (Kept::Yes, shown.to_owned(), needs_primary);
    assert_eq!(
        defaults("ISOLATION LEVEL Serializable, READ ONLY"),
        kept("default_transaction_isolation=serializable default_transaction_read_only=on", true)
    );
    assert_eq!(
        defaults("read write isolation level repeatable read, not deferrable"),
        kept(
            "default_transaction_deferrable=off default_transaction_isolation=repeatable read default_transaction_read_only=off",
            false
        )
    );
    assert_eq!(defaults("READ /* what */ ONLY").0, Kept::No);
}
