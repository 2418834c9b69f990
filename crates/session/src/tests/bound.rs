//! What would bind a session to a standby, and what one transaction may hold here.

use super::frames::*;
use super::shell;
use super::shell::Shell;
use crate::Pinned;

/// A session in a READ ONLY block on a standby.
fn on_a_standby() -> Shell {
    let mut shell = shell();
    shell.ask(&all(&[query("BEGIN READ ONLY"), query("SELECT 'a'")]));
    assert_eq!(shell.leased.last(), Some(&1));
    shell
}

#[test]
fn nothing_binds_a_session_to_a_standby() {
    let lock = "SELECT pg_advisory_lock(1)";
    for said in
        [query(lock), all(&[run(lock), sync()]), all(&[parse("s", lock), bind("s"), execute(), sync()])]
    {
        let mut shell = on_a_standby();
        let answer = shown(&shell.ask(&said));
        assert!(answer.contains("E(0A000 a session-level advisory lock would bind"), "{answer}");
        assert!(answer.ends_with("Z(E)"), "{answer}");
        assert_eq!(shown(&shell.ask(&query("ROLLBACK"))), "C(ROLLBACK) Z(I)");
        assert_eq!((shell.session.pinned(), shell.server.is_none()), (Pinned::No, true));
        assert_eq!(shown(&shell.ask(&query("INSERT INTO t VALUES ('1')"))), "C(INSERT 0 1) Z(I)");
        assert!(shown(&shell.ask(&query(lock))).ends_with("Z(I)"), "on the primary it is welcome");
    }
}

#[test]
fn what_no_block_takes_gets_the_primarys_answer_on_a_standby() {
    let vacuum = "VACUUM";
    for said in [query(vacuum), all(&[run(vacuum), sync()])] {
        let mut shell = on_a_standby();
        let answer = shown(&shell.ask(&said));
        assert!(answer.ends_with("E(25001 VACUUM cannot run inside a transaction block) Z(E)"), "{answer}");
        assert_eq!(shown(&shell.ask(&query("ROLLBACK"))), "C(ROLLBACK) Z(I)");
    }
}

#[test]
fn a_write_behind_state_that_code_left_on_a_standby_says_why_it_fails() {
    let mut shell = on_a_standby();
    shell.ask(&all(&[query("SELECT locks()"), query("COMMIT")]));
    assert_ne!(shell.session.pinned(), Pinned::No);
    let answer = shown(&shell.ask(&query("INSERT INTO t VALUES ('1')")));
    assert!(answer.starts_with("E(0A000 the session is bound to a standby (advisory_lock)"), "{answer}");
    shell.ask(&query("SELECT unlocks()"));
    assert_eq!(shown(&shell.ask(&query("INSERT INTO t VALUES ('1')"))), "C(INSERT 0 1) Z(I)");
}

#[test]
fn savepoints_beyond_the_bound_hold_the_server() {
    let mut shell = shell();
    shell.ask(&query("BEGIN"));
    for _ in 0..101 {
        shell.ask(&query("SAVEPOINT s").repeat(100));
    }
    assert_ne!(shell.session.pinned(), Pinned::No);
    shell.ask(&query("COMMIT"));
    assert!(shell.server.is_some());
}

#[test]
fn portals_are_bounded() {
    let mut shell = shell();
    shell.ask(&all(&[query("BEGIN"), parse("s", "SET my.x TO 'one'"), sync()]));
    let bind = |number: usize| bind_portal(&format!("p{number}"), "s", None);
    for from in (0..10_000).step_by(100) {
        shell.ask(&all(&[(from..from + 100).flat_map(bind).collect(), sync()]));
    }
    let answer = shown(&shell.ask(&all(&[bind(10_000), sync()])));
    assert_eq!(answer, "E(53400 more than 10000 portals in one transaction) Z(E)");
}
