//! Settings follow the session from server to server.

use super::frames::*;
use super::shell::Shell;
use super::{check, check_with, shell};
use pgweir_sql::{Lexing, PinCause};

use crate::effect::AfterStatement;
use crate::{PinReason, Pinned, SessionSettings, SettingValue};

const SHOW: &str = "SHOW my.x";

/// What the client sees of a setting on a node that it has not used.
fn elsewhere(shell: &mut Shell, name: &str) -> String {
    shell.idle.clear();
    let answer = shell.ask(&query(&format!("SHOW {name}")));
    let row = shown(&answer);
    row.split("D(").nth(1).unwrap().split(')').next().unwrap().trim().to_owned()
}

#[test]
fn a_setting_is_replayed() {
    check(&[query("SET my.x TO 'one'"), query(SHOW), query("RESET my.x"), query(SHOW)]);
    check(&[all(&[
        query("SET my.x TO 'one'"),
        query(SHOW),
        query("SELECT 'a'"),
        query("RESET ALL"),
        query(SHOW),
    ])]);
    check(&[all(&[run("SET my.x TO 'one'"), sync()]), query(SHOW), query("DISCARD ALL"), query(SHOW)]);
    check(&[query("SET LOCAL my.x TO 'one'"), query(SHOW)]);
}

#[test]
fn a_setting_that_was_rolled_back_is_not() {
    let block = |end: &str| {
        [
            query("BEGIN"),
            query("SET my.x TO 'one'"),
            query("SET LOCAL my.y TO 'two'"),
            query(SHOW),
            query(end),
        ]
        .concat()
    };
    check(&[query("SET my.x TO 'zero'"), block("COMMIT"), query(SHOW), query("SHOW my.y")]);
    check(&[query("SET my.x TO 'zero'"), block("ROLLBACK"), query(SHOW), query("SHOW my.y")]);
    check(&[query("SET my.x TO 'zero'"), block("SELECT 1/0"), query("COMMIT"), query(SHOW)]);
    check(&[all(&[run("SET my.x TO 'one'"), run("SELECT 1/0"), sync()]), query(SHOW)]);
    check(&[all(&[run("SET my.x TO 'one'"), sync(), run("SELECT 1/0"), sync()]), query(SHOW)]);
}

#[test]
fn savepoints() {
    let chunk = |end: &str| {
        let texts = [
            "BEGIN",
            "SET my.x TO 'one'",
            "SAVEPOINT s",
            "SET my.x TO 'two'",
            "SAVEPOINT t",
            "SET my.x TO '3'",
        ];
        texts.into_iter().chain(end.split(';')).map(query).collect::<Vec<_>>().concat()
    };
    for end in [
        "COMMIT",
        "ROLLBACK TO s;COMMIT",
        "ROLLBACK TO t;COMMIT",
        "RELEASE s;COMMIT",
        "RELEASE t;ROLLBACK TO s;COMMIT",
    ] {
        check(&[chunk(end), query(SHOW)]);
    }
    check(&[chunk("SELECT 1/0;ROLLBACK TO t;RELEASE s;COMMIT"), query(SHOW)]);
}

#[test]
fn the_setting_is_there_before_the_clients_bytes() {
    let mut shell = shell();
    shell.ask(&query("SET my.x TO 'one'"));
    assert_eq!(elsewhere(&mut shell, "my.x"), "one");
    assert_eq!(shell.leased, [0, 1]);
}

#[test]
fn what_a_node_took_before_goes_out_with_the_statement() {
    let mut shell = shell();
    shell.ask(&query("SET my.x TO 'one'"));
    let both = |written: &str| (written.contains("SET \"my\".\"x\""), written.contains(SHOW));
    assert_eq!(both(&shell.first_write(&query(SHOW))), (true, false), "no standby has taken it yet");
    shell.settle();
    shell.idle.clear();
    assert_eq!(both(&shell.first_write(&query(SHOW))), (true, true), "now one has");
    shell.settle();
    assert!(shown(&shell.received).ends_with("T D(one) C(SELECT 1) Z(I)"));
    for role in ["SET role TO 'ann'", "SET session_authorization TO 'ann'"] {
        shell.ask(&query(role));
        for _ in 0..2 {
            shell.idle.clear();
            assert_eq!(
                both(&shell.first_write(&query(SHOW))),
                (true, false),
                "never as somebody else: {role}"
            );
            shell.settle();
        }
    }
    shell.ask(&query("DISCARD ALL"));
    shell.ask(&query("SET my.x TO 'one'"));
    shell.next_client(super::shell::settings(&[]));
    let written = shell.first_write(&query("INSERT INTO t VALUES ('1')"));
    assert!(written.contains("RESET") && written.contains("INSERT"), "a RESET is always taken: {written}");
}

#[test]
fn a_read_behind_its_settings_is_sent_again_when_the_standby_fails() {
    let mut shell = shell();
    shell.ask(&query("SET my.x TO 'one'"));
    shell.ask(&query(SHOW));
    shell.idle.clear();
    shell.first_write(&query(SHOW));
    shell.kill();
    assert_eq!(shown(&shell.ask(&[])), "T D(one) C(SELECT 1) Z(I)");
    assert_eq!(shell.leased, [0, 1, 1, 2]);
}

#[test]
fn the_next_client_sees_nothing_of_it() {
    let mut shell = shell();
    shell.ask(&query("SET my.x TO 'one'"));
    shell.next_client(super::shell::settings(&[("my.y", "two")]));
    shell.ask(&query("INSERT INTO t VALUES ('1')"));
    let model = &shell.idle[0].model;
    assert_eq!(model.gucs.session().iter().collect::<Vec<_>>(), [(&"my.y".to_owned(), &"two".to_owned())]);
}

#[test]
fn start_up_values() {
    let startup = [("my.x", "it is"), ("application_name", "app")];
    check_with(
        &[query(SHOW), query("SET my.x TO 'two'"), query(SHOW), query("INSERT INTO t VALUES ('1')")],
        &startup,
    );
    let mut shell =
        Shell::new(super::shell::settings(&startup), &super::Shared::default(), super::Pieces::Whole);
    for reset in ["RESET my.x", "RESET ALL", "DISCARD ALL", "SET my.x TO DEFAULT"] {
        shell.ask(&query("SET my.x TO 'two'"));
        shell.ask(&query(reset));
        shell.ask(&query("INSERT INTO t VALUES ('1')"));
        let model = &shell.idle[0].model;
        assert_eq!(model.gucs.session()["my.x"], "it is", "after {reset}, on the server that ran it");
        assert_eq!(elsewhere(&mut shell, "my.x"), "it is", "after {reset}, on another one");
    }
}

#[test]
fn a_value_that_builds_on_another_is_kept_as_the_server_reports_it() {
    let mut shell = shell();
    shell.ask(&query("SET datestyle TO 'German'"));
    shell.ask(&query("SET datestyle TO 'YMD'"));
    shell.next_client(super::shell::settings(&[("datestyle", "SQL")]));
    shell.ask(&query("SET datestyle TO 'YMD'"));
    assert_eq!(shown(&shell.ask(&query("INSERT INTO t VALUES ('1')"))), "C(INSERT 0 1) Z(I)");
    assert_eq!(shell.idle[0].model.gucs.session()["datestyle"], "SQL, YMD");
    assert_eq!(elsewhere(&mut shell, "datestyle"), "SQL, YMD");
    for end in ["COMMIT", "ROLLBACK"] {
        check(&[
            all(&["BEGIN", "SET datestyle TO 'YMD'", "SET LOCAL datestyle TO 'SQL'"].map(query)),
            query("SHOW datestyle"),
            query(end),
            query("SHOW datestyle"),
            query("INSERT INTO t VALUES ('1')"),
        ]);
    }
}

#[test]
fn a_reset_gives_the_start_up_value_at_once() {
    let startup = [("my.x", "it is"), ("application_name", "app"), ("datestyle", "SQL, YMD")];
    for reset in
        ["RESET my.x", "RESET ALL", "SET my.x TO DEFAULT", "SET LOCAL my.x TO DEFAULT", "RESET datestyle"]
    {
        let set = [query("SET my.x TO 'two'"), query("SET datestyle TO 'German'")].concat();
        let show = [query(SHOW), query("SHOW datestyle")].concat();
        check_with(&[[set.clone(), query(reset), show.clone()].concat()], &startup);
        for end in ["COMMIT", "ROLLBACK"] {
            let block = [query("BEGIN"), query(reset), show.clone(), query(end), show.clone()].concat();
            check_with(&[set.clone(), block], &startup);
            let segment = all(&[run("BEGIN"), run(reset), run(SHOW), run(end), run(SHOW), sync()]);
            check_with(&[set.clone(), segment], &startup);
        }
        let failed =
            all(&[query("BEGIN"), query("SELECT 1/0"), query(reset), query("ROLLBACK"), show.clone()]);
        check_with(&[set.clone(), failed], &startup);
        check_with(&[set, all(&[run("SELECT 1/0"), run(reset), sync()]), show], &startup);
    }
    check_with(&[all(&[run("DISCARD ALL"), run(SHOW), run("SELECT 1/0"), sync()]), query(SHOW)], &startup);
}

#[test]
fn a_reset_in_a_string_gives_the_start_up_value_behind_it() {
    let startup = [("my.x", "it is"), ("datestyle", "SQL, YMD")];
    let set = query("SET my.x TO 'two'; SET datestyle TO 'German'");
    for string in [
        "RESET my.x; RESET datestyle",
        "SELECT 'a'; RESET ALL",
        "RESET my.x; SET my.x TO 'three'",
        "BEGIN; RESET ALL; ROLLBACK",
        "BEGIN; RESET ALL; COMMIT; SELECT 'a'",
        "RESET ALL; SELECT 1/0",
    ] {
        check_with(&[[set.clone(), query(string), query(SHOW), query("SHOW datestyle")].concat()], &startup);
    }
}

#[test]
fn a_custom_setting_that_was_reset_is_there_on_every_server() {
    for text in ["RESET my.x", "DISCARD ALL", "BEGIN"] {
        let mut shell = shell();
        shell.ask(&query("SET my.x TO 'one'"));
        shell.ask(&query(text));
        if text == "BEGIN" {
            shell.ask(&query("SET my.y TO 'two'"));
            shell.ask(&query("ROLLBACK"));
        }
        shell.idle.clear();
        shell.ask(&query("INSERT INTO t VALUES ('1')"));
        let known = shell.idle[0].model.gucs.session();
        let name = if text == "BEGIN" { "my.y" } else { "my.x" };
        assert_eq!(known.get(name).map(String::as_str), Some(""), "after {text}");
    }
}

#[test]
fn reported_settings_reach_the_client_once() {
    check(&[
        query("SET application_name TO 'app'"),
        query("SELECT 'a'"),
        query("INSERT INTO t VALUES ('1')"),
    ]);
    check(&[query("BEGIN"), query("SET application_name TO 'app'"), query("ROLLBACK"), query("SELECT 'a'")]);
}

#[test]
fn what_cannot_be_replayed_pins() {
    let pinned = |text: &str| {
        let mut shell = shell();
        shell.ask(&query(text));
        match shell.session.pinned() {
            Pinned::No => String::new(),
            Pinned::By(reason) => reason.code().to_owned(),
        }
    };
    for (text, reason) in [
        ("LISTEN c", "listen"),
        ("SET my.x TO 'one'; SELECT 'a'", ""),
        ("SELECT 'a'; SELECT 'b'; SET my.x TO 'one'; SELECT 1/0", ""),
        ("SET role TO 'ann'", ""),
        ("SET LOCAL role TO 'ann'", ""),
        ("SET my.x TO 'one'", ""),
        ("SET transaction_read_only TO 'on'", ""),
        ("SELECT 'a'; SELECT 'b'", ""),
    ] {
        assert_eq!(pinned(text), reason, "{text}");
    }
}

#[test]
fn strings_of_statements() {
    for string in [
        "SET my.x TO 'one'; SET my.y TO 'two'; SELECT 'a'",
        "SET my.x TO 'one'; SELECT 1/0; SET my.y TO 'two'",
        "SET my.x TO 'one'; COMMIT; SET my.y TO 'two'; SELECT 1/0",
        "SET my.x TO 'one'; ROLLBACK; SET my.y TO 'two'",
        "SET my.x TO 'one'; BEGIN; SET my.y TO 'two'; ROLLBACK",
        "BEGIN; SET my.x TO 'one'; COMMIT; BEGIN; SET my.y TO 'two'; ROLLBACK",
        "BEGIN; SET my.x TO 'one'; SAVEPOINT s; SET my.x TO '2'; ROLLBACK TO s; COMMIT; RESET my.y",
        "SET LOCAL my.x TO 'one'; SHOW my.x; RESET ALL",
        "COPY t TO STDOUT; SET my.x TO 'one'; FROBNICATE",
        "SAVEPOINT s; SET my.x TO 'one'",
        "SET my.x TO 'one'; DISCARD ALL",
    ] {
        let before = query("SET my.y TO 'zero'; SET my.x TO 'zero'");
        check(&[before.clone(), query(string), query(SHOW), query("SHOW my.y")]);
        check(&[before, query(string), query("COMMIT"), query(SHOW), query("SHOW my.y")]);
        let mut shell = shell();
        shell.ask(&query(string));
        assert!(shell.server.is_none(), "{string} holds its server");
    }
    let block =
        [query("SET my.x TO 'zero'"), query("BEGIN; SET my.x TO 'one'"), query("ROLLBACK; SELECT 'a'")];
    check(&[block.concat(), query(SHOW)]);
    let copy = query("SET my.x TO 'one'; COPY t FROM STDIN; SET my.y TO 'two'");
    check(&[all(&[copy.clone(), copy_data("row"), copy_done()]), query(SHOW), query("SHOW my.y")]);
    check(&[all(&[copy, copy_data("bad"), copy_done()]), query(SHOW), query("SHOW my.y")]);
}

#[test]
fn a_string_that_nobody_can_cut_pins() {
    let text = br"SET standard_conforming_strings TO 'off'; SELECT '\'; SET my.x TO 'one' --'";
    let bound = |standard_conforming_strings| {
        let lexing = Lexing { standard_conforming_strings };
        let mut classifier = super::shell::classifier();
        let verdict = classifier.classify(text, lexing, None);
        let after = AfterStatement::of_string(text, verdict, &mut classifier, lexing);
        AfterStatement::binds(after.as_ref(), verdict)
    };
    assert_eq!((bound(false), bound(true)), (Some(PinCause::MultiSet), None));
}

#[test]
fn a_pin_holds_the_server_until_discard_all() {
    let mut shell = shell();
    shell.ask(&query("LISTEN c"));
    shell.ask(&query("SELECT 'a'"));
    assert_eq!(shell.leased, [0]);
    assert!(shell.events.iter().any(|event| matches!(event, crate::Event::Pinned(PinReason::Statement(_)))));
    shell.ask(&query("DISCARD ALL"));
    assert!(shell.server.is_none());
    shell.ask(&query("SELECT 'a'"));
    assert_eq!(shell.leased, [0, 1]);
}

#[test]
fn session_mode_stays_with_the_primary() {
    let settings = SessionSettings { mode: crate::PoolMode::Session, ..super::shell::settings(&[]) };
    let mut shell = Shell::new(settings, &super::Shared::default(), super::Pieces::Whole);
    shell.ask(&query("SELECT 'a'"));
    let answer = shell.ask(&query("INSERT INTO t VALUES ('1')"));
    assert_eq!((shown(&answer).as_str(), &shell.leased[..]), ("C(INSERT 0 1) Z(I)", &[0][..]));
    assert_eq!(shell.session.pinned(), Pinned::By(PinReason::SessionMode));
}

/// A style of dates builds on the order that was in force: what was set is the whole value, also behind a COMMIT in its string.
#[test]
fn what_a_string_commits_before_its_end_is_known_as_the_server_reports_it() {
    let mut shell = shell();
    let set = "SET datestyle TO 'German'";
    let string = "SET datestyle TO 'German'; COMMIT; SHOW my.x";
    for text in [set, "SHOW my.x", string, string] {
        shell.ask(&query(text));
        let reported = shell.idle[0].model.gucs.reported()[&b"DateStyle"[..]].clone();
        let known = shell.session.settings.committed()["datestyle"].clone();
        assert_eq!(known, SettingValue::Plain(String::from_utf8(reported).unwrap()), "{text}");
    }
}
