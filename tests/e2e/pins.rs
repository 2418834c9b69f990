//! What holds a server for its session, and what lets it go: seen by a second client that needs the only server.

use pgweir_sandbox::{Binaries, Client};

use crate::harness::{Setup, Site};

/// The reason for which the only session with a server holds it; empty if none does.
fn pin(site: &Site) -> String {
    let held = |reason: &&str| {
        site.pgweir.metric("pgweir_pinned_sessions", &[("reason", reason)]).is_some_and(|held| held > 0.0)
    };
    REASONS.iter().copied().filter(held).collect::<Vec<_>>().join(" ")
}

const REASONS: [&str; 8] = [
    "advisory_lock",
    "hold_cursor",
    "listen",
    "multi_set",
    "set_config",
    "sql_prepare",
    "temporary_table",
    "unasked",
];

/// Waits for the reason: the server is asked behind the client's back.
#[track_caller]
fn wait_pin(site: &Site, after: &str, reason: &str) {
    site.wait_for(&format!("after {after}: {reason:?}"), || pin(site) == reason);
}

fn run(client: &mut Client, text: &str) {
    client.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

#[test]
fn a_server_is_held_until_its_state_is_gone() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).set("pool", "size", "1").start();
        let mut setup = site.connect();
        for function in FUNCTIONS {
            run(&mut setup, function);
        }
        let mut client = site.connect();
        for (hold, reason, end) in HOLDS {
            run(&mut client, hold);
            wait_pin(&site, hold, reason);
            run(&mut client, "SELECT 1");
            assert_eq!(pin(&site), *reason, "after a read behind {hold}");
            run(&mut client, end);
            wait_pin(&site, end, "");
            // The only server is free for another one, who finds nothing.
            assert_eq!(held(&mut setup), NOTHING, "after {hold} and {end}");
        }
    }
}

/// What holds a server, as which reason, and what ends it.
#[rustfmt::skip]
const HOLDS: &[(&str, &str, &str)] = &[
    ("LISTEN c", "listen", "UNLISTEN c"),
    ("LISTEN c; LISTEN d", "listen", "UNLISTEN *"),
    ("CREATE TEMP TABLE mine (n int)", "temporary_table", "DROP TABLE mine"),
    ("CREATE TEMP TABLE mine (n int)", "temporary_table", "DISCARD TEMP"),
    ("SELECT 1 AS n INTO TEMP mine", "temporary_table", "DISCARD ALL"),
    ("CREATE TYPE pg_temp.mine AS ENUM ('a')", "temporary_table", "DROP TYPE pg_temp.mine"),
    ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "hold_cursor", "CLOSE c"),
    ("SELECT pg_advisory_lock(1)", "advisory_lock", "SELECT pg_advisory_unlock(1)"),
    ("SELECT pg_try_advisory_lock_shared(1, 2)", "advisory_lock", "SELECT pg_advisory_unlock_all()"),
    ("PREPARE p AS SELECT 1", "sql_prepare", "DEALLOCATE p"),
    ("PREPARE p AS SELECT 1; PREPARE q AS SELECT 1", "sql_prepare", "SET work_mem TO '1MB'; DEALLOCATE ALL; RESET work_mem"),
    ("SELECT takes_lock()", "advisory_lock", "SELECT gives_lock()"),
    ("DO $$ BEGIN CREATE TEMP TABLE mine AS SELECT 1; END $$", "temporary_table", "DO $$ BEGIN DROP TABLE mine; END $$"),
    ("SELECT makes_table()", "temporary_table", "SELECT drops_table()"),
    ("CALL listens()", "listen", "UNLISTEN *"),
];

#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "CREATE FUNCTION takes_lock() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(7)'",
    "CREATE FUNCTION gives_lock() RETURNS bool LANGUAGE sql AS 'SELECT pg_advisory_unlock(7)'",
    "CREATE FUNCTION makes_table() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE mine (n int); END $$",
    "CREATE FUNCTION drops_table() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE mine; END $$",
    "CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '3MB', false) $$",
    "CREATE FUNCTION hides() RETURNS text LANGUAGE sql AS $$ SELECT set_config('my.hidden', 'mine', false) $$",
    "CREATE PROCEDURE listens() LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'LISTEN c'; END $$",
];

/// What the server's session holds, as a client sees it who has not left it there.
fn held(client: &mut Client) -> Vec<String> {
    let text = "SELECT (SELECT count(*) FROM pg_listening_channels()), \
        (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
        (SELECT count(*) FROM pg_cursors WHERE is_holdable), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), \
        (SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE 'pgweir%'), \
        coalesce(current_setting('my.hidden', true), ''), current_setting('work_mem')";
    let reply = client.query(text).expect("the only server is free");
    reply.rows.into_iter().flatten().flatten().collect()
}

const NOTHING: [&str; 7] = ["0", "0", "0", "0", "0", "", "4MB"];

#[test]
fn settings_made_by_code_follow_their_session_and_reach_no_other() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).set("pool", "size", "1").start();
        let (mut one, mut two) = (site.connect(), site.connect());
        for function in FUNCTIONS {
            run(&mut one, function);
        }
        run(&mut one, "SELECT sets()");
        run(&mut one, "SELECT hides()");
        assert_eq!(held(&mut two), NOTHING);
        assert_eq!(one.query("SHOW work_mem").unwrap().value(), "3MB");
        assert_eq!(pin(&site), "");
        run(&mut one, "RESET work_mem");
        assert_eq!(one.query("SHOW work_mem").unwrap().value(), "4MB");
    }
}

#[test]
fn what_was_rolled_back_holds_nothing() {
    let site = Setup::newest().set("pool", "size", "1").start();
    let (mut one, mut two) = (site.connect(), site.connect());
    run(&mut one, "BEGIN");
    run(&mut one, "CREATE TEMP TABLE mine (n int)");
    run(&mut one, "LISTEN c");
    run(&mut one, "ROLLBACK");
    assert_eq!(held(&mut two), NOTHING);
    one.query("CREATE TEMP TABLE mine (n int, n int)").expect_err("a column comes twice");
    assert_eq!(held(&mut two), NOTHING);
}

#[test]
fn no_search_path_bends_the_question() {
    let site = Setup::newest().set("pool", "size", "1").start();
    let (mut one, mut two) = (site.connect(), site.connect());
    run(&mut one, "CREATE SCHEMA bent");
    run(
        &mut one,
        "CREATE FUNCTION bent.pg_listening_channels() RETURNS SETOF text LANGUAGE sql AS 'SELECT ''x'''",
    );
    run(&mut one, "CREATE FUNCTION bent.never(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false'");
    run(&mut one, "CREATE OPERATOR bent.= (FUNCTION = bent.never, LEFTARG = text, RIGHTARG = text)");
    run(&mut one, "SET search_path TO bent, pg_catalog");
    run(&mut one, "CREATE TABLE plain (n int)");
    assert_eq!(held(&mut two)[0], "0");
    run(&mut one, "SELECT pg_advisory_lock(1)");
    wait_pin(&site, "a lock", "advisory_lock");
}

#[test]
fn several_statements_in_one_string_hold_no_server() {
    let site = Setup::newest().set("pool", "size", "1").start();
    let (mut one, mut two) = (site.connect(), site.connect());
    run(&mut one, "SET work_mem TO '1MB'; SET my.hidden TO 'a'; SELECT 1");
    assert_eq!(held(&mut two), NOTHING);
    let seen = |client: &mut Client| held(client)[5..].join(" ");
    assert_eq!(seen(&mut one), "a 1MB");
    one.query("SET my.hidden TO 'b'; COMMIT; SET my.hidden TO 'c'; SELECT 1/0").expect_err("a zero");
    assert_eq!((held(&mut two)[5..].join(" "), seen(&mut one)), (" 4MB".to_owned(), "b 1MB".to_owned()));
    one.query("BEGIN; SET my.hidden TO 'd'; COMMIT; RESET work_mem").unwrap();
    assert_eq!((held(&mut two)[5..].join(" "), seen(&mut one)), (" 4MB".to_owned(), "d 4MB".to_owned()));
}

#[test]
fn sequence_values_are_the_sessions_own() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).set("pool", "size", "2").start();
        let (mut one, mut two) = (site.connect(), site.connect());
        run(&mut one, "CREATE TABLE numbered (id serial, n int)");
        run(&mut one, "INSERT INTO numbered VALUES (DEFAULT, 1)");
        let lastval = "SELECT lastval()";
        let error = two.query(lastval).expect_err("it has had no value").to_string();
        assert!(error.contains("lastval is not yet defined in this session"), "{error}");
        two.close().expect("it says goodbye");
        let mut two = site.connect();
        // From now on the pool knows that somebody asks.
        for round in 2..6 {
            run(&mut one, "INSERT INTO numbered VALUES (DEFAULT, 1)");
            run(&mut two, "INSERT INTO numbered VALUES (DEFAULT, 1)");
            assert_eq!(one.query(lastval).unwrap().value(), (2 * round - 2).to_string());
            assert_eq!(
                two.query("SELECT currval('numbered_id_seq')").unwrap().value(),
                (2 * round - 1).to_string()
            );
        }
        run(&mut two, "DISCARD SEQUENCES");
        two.query(lastval).expect_err("it has thrown them away");
        one.close().expect("it says goodbye");
        site.connect().query(lastval).expect_err("a new session has had no value");
    }
}

#[test]
fn nothing_binds_a_session_to_a_standby() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    run(&mut client, "CREATE TABLE plain (n int)");
    run(&mut client, "BEGIN READ ONLY");
    site.wait_for("a block on the standby", || {
        let at_the_standby = client.query("SHOW port").unwrap().value() != site.primary_port();
        if !at_the_standby {
            run(&mut client, "ROLLBACK");
            run(&mut client, "BEGIN READ ONLY");
        }
        at_the_standby
    });
    let error = client.query("SELECT pg_advisory_lock(1)").expect_err("it would stay here").to_string();
    assert!(error.contains("would bind the session to a standby"), "{error}");
    run(&mut client, "ROLLBACK");
    run(&mut client, "INSERT INTO plain VALUES (1)");
    run(&mut client, "SELECT pg_advisory_lock(1)");
    wait_pin(&site, "a lock", "advisory_lock");
}
