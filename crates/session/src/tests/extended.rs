//! The extended query protocol.

use super::frames::*;
use super::{Pieces, Shared, Shell, check, directly, shell};
use crate::Event;

#[test]
fn unnamed_statements() {
    check(&[all(&[run("SELECT 'a'"), sync()])]);
    check(&[
        all(&[run("INSERT INTO t VALUES ('1')"), sync()]),
        all(&[run("SELECT count(*) FROM t"), sync()]),
    ]);
    check(&[all(&[parse("", "SELECT $1::text"), bind_portal("", "", Some("x")), execute(), sync()])]);
    check(&[all(&[parse("", ""), bind(""), describe_portal(""), execute(), sync()])]);
}

#[test]
fn another_sessions_settings_cost_the_unnamed_statement_on_the_server() {
    let mut one = shell();
    let mut other = Shell::new(super::shell::settings(&[("my.x", "one")]), &Shared::default(), Pieces::Whole);
    one.ask(&all(&[parse("", "SELECT 'a'"), sync()]));
    other.idle = std::mem::take(&mut one.idle);
    other.ask(&all(&[parse("s", "SELECT 'b'"), bind("s"), execute(), sync()]));
    one.idle = std::mem::take(&mut other.idle);
    assert_eq!(shown(&one.ask(&all(&[bind(""), execute(), sync()]))), "2 D(a) C(SELECT 1) Z(I)");
}

#[test]
fn errors_of_a_bind_name_the_statement_as_its_client_does() {
    let wrong = all(&[parse("mine", "SELECT $1::text"), bind("mine"), close_statement("mine"), sync()]);
    check(std::slice::from_ref(&wrong));
    check(&[wrong.clone(), wrong]);
}

#[test]
fn a_known_statement_is_not_parsed_in_a_block_that_fails() {
    let known = all(&[parse("known", "SELECT 'a'"), sync()]);
    let fails = all(&[run("SELECT 1/0"), sync(), parse("s", "SELECT 'a'"), sync()]);
    check(&[known, query("BEGIN"), query("INSERT INTO t VALUES ('1')"), fails, query("ROLLBACK")]);
}

#[test]
fn what_was_parsed_before_something_holds_the_server_is_there() {
    let fails = all(&[parse("s", "LISTEN c"), bind("s"), execute_portal("none", 0), sync()]);
    let used = all(&[describe_statement("s"), describe_statement("s"), bind("s"), sync()]);
    let begin = || all(&[query("BEGIN"), query("INSERT INTO t VALUES ('1')")]);
    check(&[begin(), all(&[fails.clone(), used.clone()]), query("ROLLBACK"), used.clone()]);
    check(&[begin(), fails, used.clone(), query("ROLLBACK"), used]);
}

/// Whether its name is taken is the last thing that PostgreSQL asks of a Parse.
#[test]
fn a_parse_of_a_taken_name_fails_for_the_first_reason() {
    let define = all(&[parse("s", "SELECT 'a'"), sync()]);
    for text in ["SELECT 'b'", "FROBNICATE", "SELECT 'b'; SELECT 'c'", "ROLLBACK"] {
        let again = all(&[parse("s", text), sync(), query("SELECT 'after'")]);
        check(&[define.clone(), again.clone()]);
        check(&[define.clone(), query("BEGIN"), query("SELECT 1/0"), again, query("ROLLBACK")]);
    }
    check(&[
        query("BEGIN"),
        query("SELECT 1/0"),
        all(&[parse("s", "FROBNICATE"), sync()]),
        query("ROLLBACK"),
    ]);
}

#[test]
fn a_close_that_is_skipped_closes_nothing() {
    let fails = all(&[parse("s", "SELECT 'a'"), execute_portal("p", 0), close_statement("s"), sync()]);
    check(&[fails.clone(), all(&[bind("s"), execute(), sync()])]);
    check(&[all(&[fails, all(&[bind("s"), execute(), sync()])])]);
}

#[test]
fn an_error_in_the_middle_skips_to_the_sync() {
    let fails = all(&[
        run("SELECT 'a'"),
        run("SELECT 1/0"),
        run("SELECT 'b'"),
        query("SELECT 'c'"),
        function_call(),
        sync(),
    ]);
    let works = all(&[run("SELECT 'd'"), sync(), sync(), run("INSERT INTO t VALUES ('1')"), sync()]);
    check(&[all(&[fails.clone(), works.clone()])]);
    check(&[fails, works]);
}

#[test]
fn an_error_before_the_sync_is_sent() {
    check(&[
        all(&[run("SELECT 1/0"), flush()]),
        run("SELECT 'a'"),
        all(&[sync(), run("SELECT 'b'"), sync()]),
    ]);
    check(&[parse("", "FROBNICATE"), flush(), all(&[bind(""), execute(), sync()])]);
}

#[test]
fn flush_without_sync() {
    let prepare = all(&[parse("s", "SELECT 'a'"), describe_statement("s"), flush()]);
    check(&[prepare.clone(), all(&[bind("s"), execute(), sync()])]);
    check(&[prepare.clone(), sync(), all(&[bind("s"), execute(), sync()])]);
    check(&[all(&[prepare.clone(), all(&[bind("s"), execute(), sync()])])]);
    check(&[
        prepare,
        all(&[run("INSERT INTO t VALUES ('1')"), sync()]),
        all(&[bind("s"), execute(), sync()]),
    ]);
    check(&[all(&[run("SELECT 'a'"), flush()]), all(&[run("INSERT INTO t VALUES ('1')"), flush()]), sync()]);
    check(&[
        all(&[parse("", "SELECT 'a'"), bind(""), flush()]),
        all(&[run("INSERT INTO t VALUES ('1')"), sync()]),
    ]);
}

#[test]
fn named_statements() {
    let define = all(&[parse("s", "SELECT 'a'"), describe_statement("s"), sync()]);
    let use_it = all(&[bind("s"), describe_portal(""), execute(), sync()]);
    check(&[define.clone(), use_it.clone(), use_it.clone()]);
    check(&[define.clone(), all(&[use_it.clone(), use_it.clone()])]);
    check(&[all(&[define.clone(), use_it.clone(), define.clone(), use_it.clone()])]);
    check(&[
        define.clone(),
        all(&[close_statement("s"), sync()]),
        use_it.clone(),
        define.clone(),
        use_it.clone(),
    ]);
    check(&[define.clone(), all(&[close_statement("s"), parse("s", "SELECT 'b'"), sync()]), use_it]);
    check(&[all(&[describe_statement("none"), sync()]), all(&[bind("none"), execute(), sync()])]);
}

#[test]
fn a_name_that_is_taken() {
    let duplicate = all(&[parse("s", "SELECT 'b'"), bind("s"), execute(), sync()]);
    check(&[
        all(&[parse("s", "SELECT 'a'"), sync()]),
        duplicate.clone(),
        all(&[bind("s"), execute(), sync()]),
    ]);
    check(&[all(&[parse("s", "SELECT 'a'"), duplicate])]);
}

#[test]
fn a_failed_parse_leaves_nothing() {
    let bad = all(&[parse("s", "FROBNICATE"), sync()]);
    let good = all(&[parse("s", "SELECT 'a'"), bind("s"), execute(), sync()]);
    check(&[bad.clone(), good.clone()]);
    check(&[all(&[bad, good.clone()])]);
    let skipped = all(&[run("SELECT 1/0"), parse("s", "SELECT 'a'"), sync()]);
    check(&[skipped.clone(), all(&[bind("s"), execute(), sync()]), good.clone()]);
    check(&[all(&[skipped, bind("s"), execute(), sync(), good])]);
}

#[test]
fn a_statement_that_an_error_made_the_server_skip_is_parsed_later() {
    let define = all(&[parse("a", "INSERT INTO t VALUES ('1')"), parse("b", "SELECT $1::text"), sync()]);
    let [fails, works] = ["bad", "good"]
        .map(|value| all(&[bind_portal("", "b", Some(value)), execute(), bind("a"), execute(), sync()]));
    // Another client's statements are what the second server connection knows.
    let chunks = [define, query("BEGIN"), query("COMMIT"), all(&[fails, works])];
    check(&chunks);
    let mut shell = shell();
    shell.ask(&chunks[0]);
    shell.idle.clear();
    assert_eq!(
        shown(&shell.ask(&chunks[3])),
        shown(&directly(&chunks, &[])[directly(&chunks[..3], &[]).len()..])
    );
}

#[test]
fn the_unnamed_statement_of_another_client_is_never_run() {
    let mut shell = shell();
    shell.ask(&all(&[run("INSERT INTO t VALUES ('theirs')"), sync()]));
    shell.next_client(crate::SessionSettings { id: 2, ..super::shell::settings(&[]) });
    let skipped = all(&[run("SELECT 1/0"), parse("", "INSERT INTO t VALUES ('ours')"), sync()]);
    let answer = shell.ask(&all(&[skipped, bind(""), execute(), sync()]));
    let again = "2 E(22012 division by zero) Z(I)";
    assert!(shown(&answer).ends_with(again), "{}", shown(&answer));
}

/// No server was asked to parse it, so nothing of ours in front of its use decides whether it is there.
#[test]
fn a_statement_that_was_answered_alone_is_used_behind_settings_in_one_write() {
    let mut shell = shell();
    shell.ask(&all(&[parse("first", "SELECT 'a'"), bind("first"), execute(), sync()]));
    shell.ask(&query("SET my.x TO 'one'"));
    // From now on the node is known to take this.
    shell.idle.clear();
    shell.ask(&query("SELECT 'b'"));
    shell.idle.clear();
    assert_eq!(shown(&shell.ask(&all(&[parse("second", "SELECT 'a'"), sync()]))), "1 Z(I)");
    let used = all(&[bind("second"), execute(), sync()]);
    assert_eq!(shown(&shell.ask(&used)), "2 D(a) C(SELECT 1) Z(I)");
}

#[test]
fn the_unnamed_statement_goes_along_to_another_server() {
    let mut shell = shell();
    shell.ask(&all(&[parse("", "SELECT $1::text"), sync()]));
    shell.idle.clear();
    let answer = shell.ask(&all(&[bind_portal("", "", Some("x")), execute(), sync()]));
    assert_eq!(shown(&answer), "2 D(x) C(SELECT 1) Z(I)");
}

#[test]
fn a_server_that_knows_the_statement_is_not_asked_again() {
    let mut shell = shell();
    shell.ask(&all(&[parse("s", "SELECT 'a'"), sync()]));
    let settings =
        crate::SessionSettings { namer: shell.session.namer.clone(), ..super::shell::settings(&[]) };
    shell.next_client(settings);
    shell.events.clear();
    let chunk =
        all(&[parse("other", "SELECT 'a'"), describe_statement("other"), bind("other"), execute(), sync()]);
    let answer = shell.ask(&chunk);
    assert_eq!(shown(&answer), shown(&directly(&[chunk], &[])));
    assert!(shell.events.contains(&Event::Parsed { on_server: false }));
}

#[test]
fn what_another_client_has_prepared_needs_no_server() {
    let mut shell = shell();
    let prepare = all(&[parse("s", "INSERT INTO t VALUES ('1')"), sync()]);
    shell.ask(&prepare);
    let first = shell.session.proven.clone();
    let again = crate::SessionSettings {
        namer: shell.session.namer.clone(),
        proven: first,
        ..super::shell::settings(&[])
    };
    shell.next_client(again);
    shell.leased.clear();
    assert_eq!(shown(&shell.ask(&prepare)), "1 Z(I)");
    assert_eq!(shell.leased, [0usize; 0], "a Parse of a known text alone is answered without a server");
    let twice = all(&[parse("t", "INSERT INTO t VALUES ('1')"), bind("t"), execute(), sync()]);
    assert_eq!(shown(&shell.ask(&twice)), "1 2 C(INSERT 0 1) Z(I)");
    assert_eq!(shell.leased, [0], "what runs in the same segment decides where it goes");
    let answer = shown(&shell.ask(&all(&[parse("s", "INSERT INTO t VALUES ('1')"), sync()])));
    assert!(answer.contains("42P05"), "{answer}");
    let answer = shown(&shell.ask(&all(&[parse("u", "INSERT INTO t VALUES ('2')"), sync()])));
    assert_eq!(answer, "1 Z(I)");
    assert_eq!(shell.leased.len(), 3, "an unknown text, and a name that is taken, are the server's to judge");
}

#[test]
fn the_least_used_statement_is_closed_on_the_server() {
    let mut shell = shell();
    for i in 0..15 {
        let text = format!("SELECT '{i}'");
        let chunk = all(&[parse(&text, &text), bind(&text), execute(), sync()]);
        assert_eq!(shown(&shell.ask(&chunk)), shown(&directly(&[chunk], &[])));
    }
    assert_eq!(shell.idle[0].model.statement_names().len(), 10);
    let chunk = all(&[bind("SELECT '0'"), execute(), sync()]);
    assert!(shown(&shell.ask(&chunk)).contains("C(SELECT 1)"));
    let failing =
        all(&[run("SELECT 1/0"), parse("n", "SELECT 'n'"), sync(), bind("SELECT '1'"), execute(), sync()]);
    assert!(
        shown(&shell.ask(&failing)).ends_with("C(SELECT 1) Z(I)"),
        "what was not closed is not parsed again"
    );
}

#[test]
fn a_client_may_have_so_many_statements() {
    let mut shell = shell();
    for i in 0..20 {
        shell.ask(&all(&[parse(&i.to_string(), &format!("SELECT '{i}'")), sync()]));
    }
    let refused = shell.ask(&all(&[parse("more", "SELECT 'more'"), bind("more"), execute(), sync()]));
    assert_eq!(shown(&refused), "E(53400 more than 20 prepared statements) Z(I)");
    assert_eq!(shown(&shell.ask(&all(&[bind("3"), execute(), sync()]))), "2 D(3) C(SELECT 1) Z(I)");
}

#[test]
fn deallocate_and_discard() {
    let define = all(&[parse("s", "SELECT 'a'"), sync()]);
    let use_it = all(&[bind("s"), execute(), sync()]);
    for deallocate in [
        query("DEALLOCATE s"),
        query("DEALLOCATE ALL"),
        query("DISCARD ALL"),
        all(&[run("DEALLOCATE s"), sync()]),
        all(&[run("DEALLOCATE ALL"), sync()]),
        all(&[run("DISCARD ALL"), sync()]),
        all(&[query("BEGIN"), query("SELECT 1/0"), query("DEALLOCATE s"), query("ROLLBACK")]),
    ] {
        check(&[define.clone(), deallocate.clone(), use_it.clone()]);
        check(&[define.clone(), deallocate.clone(), define.clone(), use_it.clone()]);
        check(&[all(&[define.clone(), deallocate.clone(), define.clone(), use_it.clone()])]);
        check(&[all(&[define.clone(), deallocate, use_it.clone()])]);
    }
    check(&[query("DEALLOCATE none"), all(&[run("DEALLOCATE none"), sync()])]);
}

#[test]
fn deallocate_of_a_statement_that_this_server_lacks() {
    for deallocate in [query("DEALLOCATE s"), all(&[run("DEALLOCATE s"), sync()])] {
        let mut shell = shell();
        shell.ask(&all(&[parse("s", "SELECT 'a'"), sync()]));
        let direct = directly(&[parse("s", "SELECT 'a'"), deallocate.clone()], &[]);
        assert!(shown(&direct).ends_with(&shown(&shell.ask(&deallocate))));
        assert!(shown(&shell.ask(&all(&[bind("s"), sync()]))).starts_with("E(26000"));
    }
}

#[test]
fn portals() {
    let declare = all(&[
        query("BEGIN"),
        parse("", "VALUES ('a'), ('b'), ('c')"),
        bind_portal("p", "", None),
        execute_portal("p", 2),
        sync(),
    ]);
    check(&[declare.clone(), all(&[execute_portal("p", 0), close_portal("p"), sync()]), query("COMMIT")]);
    check(&[declare.clone(), all(&[bind_portal("p", "", None), sync()]), query("ROLLBACK")]);
    check(&[declare, query("COMMIT"), all(&[execute_portal("p", 0), sync()])]);
    check(&[all(&[describe_portal("none"), sync()]), all(&[execute_portal("none", 0), flush()]), sync()]);
}

#[test]
fn a_failed_block_takes_only_its_end() {
    let define = all(&[parse("r", "ROLLBACK"), parse("s", "SELECT 'a'"), sync()]);
    let fails = [query("BEGIN"), query("SELECT 1/0")].concat();
    check(&[define.clone(), fails.clone(), all(&[parse("t", "SELECT 'a'"), sync()]), query("ROLLBACK")]);
    check(&[define, fails, all(&[bind("s"), execute(), sync()]), all(&[bind("r"), execute(), sync()])]);
}

#[test]
fn simple_and_extended_in_one_pipeline() {
    check(&[all(&[run("SELECT 'a'"), query("SELECT 'b'"), run("SELECT 'c'"), sync(), query("SELECT 'd'")])]);
    check(&[all(&[parse("s", "SELECT 'a'"), query("SELECT 'b'"), bind("s"), execute(), sync()])]);
    check(&[all(&[
        query("BEGIN"),
        run("INSERT INTO t VALUES ('1')"),
        sync(),
        query("ROLLBACK"),
        run("SELECT count(*) FROM t"),
        sync(),
    ])]);
}

#[test]
fn a_read_behind_a_write_in_its_segment_stays_with_it() {
    let mut shell = shell();
    shell.ask(&all(&[run("SELECT 'a'"), run("INSERT INTO t VALUES ('1')"), sync()]));
    assert_eq!(shell.leased, [0]);
    shell.ask(&all(&[run("SELECT 'a'"), sync()]));
    assert_eq!(shell.leased, [0, 1], "the unnamed statement of before is not the one that is run");
}

/// More promises than may be outstanding, without a Sync that would make the server answer.
#[test]
fn a_deep_pipeline_makes_the_server_answer() {
    let batch = [bind_portal("", "s", Some("x")), execute()].concat().repeat(200);
    check(&[all(&[parse("s", "SELECT $1::text"), batch.clone(), sync()])]);
    check(&[all(&[parse("s", "INSERT INTO t VALUES ('1')"), batch, sync()])]);
    check(&[query("SELECT 'a'").repeat(200)]);
}

#[test]
fn what_is_too_long_is_streamed_to_the_primary() {
    let long = format!("SELECT '{}'", "x".repeat(10_000));
    check(&[query(&long), query("SELECT 'a'")]);
    check(&[all(&[parse("", &long), bind(""), execute(), sync()]), query("SELECT 'a'")]);
    let value = "x".repeat(10_000);
    check(&[all(&[parse("", "SELECT $1::text"), bind_portal("", "", Some(&value)), execute(), sync()])]);
    let mut shell: Shell = shell();
    shell.ask(&query(&long));
    assert_eq!(shell.leased, [0]);
}

#[test]
fn a_long_segment_that_surely_needs_the_primary_is_sent_as_it_comes() {
    let insert = all(&[parse("s", "INSERT INTO t VALUES ('1')"), flush()]);
    let prepared = || {
        let mut shell = shell();
        shell.session.limits.segment_bytes_max = 100;
        shell.ask(&all(&[insert.clone(), sync()]));
        shell.received.clear();
        shell.leased.clear();
        shell
    };
    let some: Vec<u8> = (0..10).flat_map(|_| all(&[bind("s"), execute()])).collect();
    let few = all(&[bind("s"), execute()]);
    // A short one is held, since it can be sent again.
    assert_eq!(prepared().first_write(&few), "");
    let mut shell = prepared();
    assert!(shell.first_write(&some).contains('B'));
    shell.ask(&sync());
    assert_eq!((shown(&shell.received).matches("C(INSERT").count(), &shell.leased[..]), (10, &[0][..]));
    // The error comes before the end.
    let mut shell = prepared();
    let failing = all(&[some.clone(), run("SELECT 1/0")]);
    assert!(shown(&shell.ask(&failing)).ends_with("E(22012 division by zero)"));
    assert_eq!(shown(&shell.ask(&all(&[few.clone(), sync()]))), "Z(I)");
    // Without a server all of it is refused, up to its end.
    let mut shell = prepared();
    shell.refuses = true;
    assert_eq!(shown(&shell.ask(&some)), "E(53300 no server is free)");
    shell.refuses = false;
    assert_eq!(shown(&shell.ask(&all(&[some.clone(), sync()]))), "Z(I)");
    // Reads wait for their end: what comes may write.
    let mut shell = prepared();
    let reads: Vec<u8> = (0..10).flat_map(|_| run("SELECT 'a'")).collect();
    assert_eq!(shell.first_write(&reads), "");
    shell.ask(&all(&[few, sync()]));
    assert_eq!(shell.leased, [0]);
}
