//! Replies that no model gives: every one of them written by hand.

use std::sync::Arc;
use std::time::Instant;

use pgweir_cluster::NodeId;
use pgweir_wire::say::{self, Complaint, Severity};

use super::frames::*;
use crate::*;

/// A session whose server is played by the test.
struct Pair {
    session: Session,
    classifier: pgweir_sql::Classifier,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    events: Vec<Event>,
    role: NodeRole,
}

impl Pair {
    fn new(role: NodeRole) -> Self {
        let session = Session::new(super::shell::settings(&[]));
        let classifier = super::shell::classifier();
        Self { session, classifier, to_client: Vec::new(), to_server: Vec::new(), events: Vec::new(), role }
    }

    fn step<T>(&mut self, run: impl FnOnce(&mut Session, &mut Step<'_>) -> T) -> T {
        let mut step = Step {
            now: Instant::now(),
            classifier: &mut self.classifier,
            to_client: &mut self.to_client,
            to_server: &mut self.to_server,
            events: &mut self.events,
        };
        run(&mut self.session, &mut step)
    }

    fn client(&mut self, bytes: &[u8]) {
        let took = self.step(|session, step| session.on_client(bytes, step)).unwrap();
        if let Next::Lease(_) = took.next {
            let (role, state) = (self.role, Box::new(ServerState::new(Arc::default(), Reported::new())));
            self.step(|session, step| session.link(state, NodeId::new(1), role, Liveness::Known, step));
            self.client(&bytes[took.bytes..]);
        }
    }

    /// What follows from these replies, and what the client got.
    fn server(&mut self, replies: &[Vec<u8>]) -> (Result<AfterReplies, SessionError>, String) {
        let replies = replies.concat();
        let took = self.step(|session, step| session.on_server(&replies, step));
        let got = shown(&self.to_client);
        self.to_client.clear();
        (took.map(|took| took.then), got)
    }
}

fn reply(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    say::frame(&mut out, tag, &[body]);
    out
}

fn error(severity: Severity, sqlstate: &str) -> Vec<u8> {
    let mut out = Vec::new();
    say::error(&mut out, &Complaint { severity, sqlstate, message: "no", hint: None });
    out
}

fn ready(status: u8) -> Vec<u8> {
    reply(b'Z', &[status])
}

#[test]
fn errors_that_send_a_read_elsewhere() {
    for (sqlstate, severity) in [
        ("25006", Severity::Error),
        ("40001", Severity::Error),
        ("0A000", Severity::Error),
        ("55000", Severity::Error),
        ("53300", Severity::Fatal),
        ("57P01", Severity::Fatal),
        ("57P02", Severity::Fatal),
        ("57P03", Severity::Fatal),
    ] {
        let read = all(&[run("SELECT 'a'"), sync()]);
        let withheld = [reply(b'1', b""), reply(b'2', b""), reply(b'n', b""), error(severity, sqlstate)];
        let mut pair = Pair::new(NodeRole::Standby);
        pair.client(&read);
        let (then, got) = pair.server(&withheld);
        assert!(matches!(then, Ok(AfterReplies::SendAgain(bytes)) if bytes == read), "{sqlstate}");
        assert_eq!(got, "", "{sqlstate}");

        let mut pair = Pair::new(NodeRole::Primary);
        pair.client(&read);
        let (_, got) = pair.server(&withheld);
        assert_eq!(got, format!("1 2 n E({sqlstate} no)"), "on the primary");

        let mut pair = Pair::new(NodeRole::Standby);
        pair.client(&read);
        let (_, got) = pair.server(&[&withheld[..3], &[reply(b'D', b"\0\0")], &withheld[3..]].concat());
        assert_eq!(got, format!("1 2 n D() E({sqlstate} no)"), "behind a row");
    }
}

#[test]
fn errors_that_are_the_clients() {
    for sqlstate in ["22012", "42601", "42P01", "57014", "XX000"] {
        let mut pair = Pair::new(NodeRole::Standby);
        pair.client(&query("SELECT 'a'"));
        let (then, got) = pair.server(&[error(Severity::Error, sqlstate), ready(b'I')]);
        assert!(matches!(then, Ok(AfterReplies::Release(_))));
        assert_eq!(got, format!("E({sqlstate} no) Z(I)"));
    }
}

#[test]
fn a_server_that_ends_is_passed_on() {
    let mut pair = Pair::new(NodeRole::Primary);
    pair.client(&query("SELECT 'a'"));
    let (then, got) = pair.server(&[reply(b'T', b"\0\0"), error(Severity::Fatal, "57P01")]);
    assert!(matches!(then, Ok(AfterReplies::ServerEnds)));
    assert_eq!(got, "T E(57P01 no)");
}

#[test]
fn replies_that_were_not_owed_end_the_session() {
    let owed_nothing = [b"1", b"2", b"3", b"D", b"C", b"T", b"n", b"s", b"I", b"V", b"G", b"H", b"Z", b"t"];
    for tag in owed_nothing {
        let mut pair = Pair::new(NodeRole::Primary);
        pair.client(&query("SAVEPOINT s"));
        assert!(pair.server(&[reply(b'C', b"SAVEPOINT\0"), ready(b'T')]).0.is_ok());
        let unasked = SessionError::ServerReply { tag: tag[0] };
        assert_eq!(pair.server(&[reply(tag[0], b"I")]).0.unwrap_err(), unasked);
    }
    for tag in [b'R', b'K', b'W', b'v', b'?'] {
        let mut pair = Pair::new(NodeRole::Primary);
        pair.client(&query("SELECT 'a'"));
        assert_eq!(pair.server(&[reply(tag, b"")]).0.unwrap_err(), SessionError::ServerReply { tag });
    }
}

#[test]
fn a_second_ready_is_not_taken_for_another_answer() {
    let mut pair = Pair::new(NodeRole::Primary);
    pair.client(&all(&[query("SAVEPOINT s"), sync()]));
    assert!(pair.server(&[reply(b'C', b"SAVEPOINT\0"), ready(b'T'), ready(b'T')]).0.is_ok());
    assert!(pair.server(&[ready(b'T')]).0.is_err());
}

#[test]
fn nothing_is_taken_from_a_server_that_was_let_go() {
    let mut pair = Pair::new(NodeRole::Primary);
    pair.client(&query("SELECT 'a'"));
    let (then, _) = pair.server(&[ready(b'I')]);
    assert!(matches!(then, Ok(AfterReplies::Release(_))));
    drop(pair.session.unlink());
    for late in [ready(b'I'), error(Severity::Fatal, "57P01"), reply(b'S', b"a\0b\0"), reply(b'N', b"\0")] {
        assert!(pair.server(&[late]).0.is_err());
    }
}

#[test]
fn notifications_reach_who_listens() {
    let notification = reply(b'A', b"\0\0\0\x01c\0p\0");
    let mut pair = Pair::new(NodeRole::Primary);
    pair.client(&query("LISTEN c"));
    assert_eq!(pair.server(&[reply(b'C', b"LISTEN\0"), ready(b'I')]).1, "C(LISTEN) Z(I)");
    let row = reply(b'D', b"\0\x02\0\0\0\x06listen\0\0\0\0");
    let answer = [reply(b'1', b""), reply(b'2', b""), row, reply(b'C', b"SELECT 1\0"), ready(b'I')];
    assert_eq!(pair.server(&answer).1, "", "it is asked what it holds");
    assert_eq!(pair.server(std::slice::from_ref(&notification)).1, "A", "while nothing is asked");
    pair.client(&query("SELECT 'a'"));
    let replies = [reply(b'T', b"\0\0"), notification.clone(), reply(b'C', b"SELECT 0\0"), ready(b'I')];
    assert_eq!(pair.server(&replies).1, "T A C(SELECT 0) Z(I)");

    let mut pair = Pair::new(NodeRole::Primary);
    pair.client(&query("SELECT 'a'"));
    assert_eq!(pair.server(&[notification, ready(b'I')]).1, "Z(I)", "somebody listened there before");
}

#[test]
fn notices_and_reports_go_to_who_caused_them() {
    let aside = [reply(b'N', b"SNOTICE\0\0"), reply(b'S', b"TimeZone\0UTC\0")];
    let mut pair = Pair::new(NodeRole::Primary);
    pair.client(&query("SET TimeZone TO 'UTC'"));
    assert!(pair.server(&[reply(b'C', b"SET\0"), ready(b'I')]).0.is_ok());
    drop(pair.session.unlink());
    pair.to_server.clear();
    pair.session.accepted = Arc::default();
    pair.client(&query("SELECT 'a'"));
    assert_eq!(shown(&pair.to_server), "Q", "settings that nobody has taken come first, and alone");
    let (then, got) = pair.server(&[&aside[..], &[reply(b'C', b"SET\0"), ready(b'I')]].concat());
    assert!(matches!(then, Ok(AfterReplies::Prepared)));
    assert_eq!(got, "", "the client has known this");
    assert_eq!(pair.session.reported().unwrap()[&b"TimeZone"[..]], b"UTC");
    pair.client(&query("SELECT 'a'"));
    assert_eq!(pair.server(&[&aside[..], &[ready(b'I')]].concat()).1, "N S(TimeZone UTC) Z(I)");
}

#[test]
fn settings_that_another_server_refuses_end_the_session() {
    let prepared = |role: NodeRole, replies: &[Vec<u8>]| {
        let mut pair = Pair::new(role);
        pair.session = Session::new(super::shell::settings(&[("my.x", "one")]));
        pair.client(&query("SELECT 'a'"));
        let then = pair.server(replies).0;
        (then, pair.session.take_refused())
    };
    let refusal = error(Severity::Error, "22023");
    let (then, refused) = prepared(NodeRole::Primary, std::slice::from_ref(&refusal));
    assert_eq!(then.unwrap_err(), SessionError::SettingsRefused);
    assert_eq!(refused.unwrap(), refusal[5..]);
    let fatal = || error(Severity::Fatal, "57P01");
    for (role, says, why) in [
        (NodeRole::Primary, fatal(), "it was only going away"),
        (NodeRole::Standby, fatal(), "it was only going away"),
        (NodeRole::Standby, refusal, "it may know less than the primary"),
    ] {
        let (then, _) = prepared(role, &[says]);
        assert!(matches!(then, Ok(AfterReplies::SendAgain(bytes)) if bytes.is_empty()), "{why}");
    }
}

#[test]
fn a_proven_setting_that_is_refused_all_the_same_ends_the_session_unseen() {
    let mut pair = Pair::new(NodeRole::Primary);
    pair.session = Session::new(super::shell::settings(&[("my.x", "one")]));
    pair.session.accepted.add(NodeId::new(1), pair.session.settings.current());
    pair.client(&query("INSERT INTO t VALUES ('1')"));
    let refusal = error(Severity::Error, "22023");
    let (then, shown) =
        pair.server(&[refusal.clone(), ready(b'I'), reply(b'C', b"INSERT 0 1\0"), ready(b'I')]);
    assert_eq!(then.unwrap_err(), SessionError::SettingsRefused);
    assert_eq!(pair.session.take_refused().unwrap(), refusal[5..]);
    assert_eq!(shown, "");
}

#[test]
fn an_error_longer_than_what_is_looked_into_is_passed_on() {
    let mut long = Vec::new();
    let message = "x".repeat(50_000);
    say::error(
        &mut long,
        &Complaint { severity: Severity::Error, sqlstate: "22012", message: &message, hint: None },
    );
    let replies = [long, ready(b'I')].concat();
    for piece in [1_000, 8_191, 8_200, 60_000] {
        let mut pair = Pair::new(NodeRole::Primary);
        pair.client(&query("SELECT 'a'"));
        let mut waiting = Vec::new();
        for bytes in replies.chunks(piece) {
            waiting.extend_from_slice(bytes);
            let took = pair.step(|session, step| session.on_server(&waiting, step)).unwrap();
            waiting.drain(..took.bytes);
        }
        assert_eq!(pair.to_client, replies, "in pieces of {piece}");
        assert!(waiting.is_empty());
    }
}

#[test]
fn messages_that_do_not_add_up_are_the_servers_to_refuse() {
    let refusal = || error(Severity::Error, "08P01");
    for (tag, body) in [
        (b'P', &b"no end"[..]),
        (b'B', b"no end"),
        (b'D', b"X\0"),
        (b'C', b"S"),
        (b'E', b"\0\0"),
        (b'H', b"more"),
    ] {
        let mut pair = Pair::new(NodeRole::Primary);
        let bad = reply(tag, body);
        pair.client(&all(&[query("SELECT 'a'"), bad.clone(), sync()]));
        let (then, got) = pair.server(&[reply(b'C', b"SELECT 0\0"), ready(b'I'), refusal(), ready(b'I')]);
        assert!(matches!(then, Ok(AfterReplies::Release(_))), "{}", char::from(tag));
        assert!(got.ends_with("Z(I)") && got.matches("E(08P01").count() == 1, "{}: {got}", char::from(tag));
        assert!(pair.to_server.windows(bad.len()).any(|sent| sent == bad), "it is sent as it came");
    }
    for bad in [reply(b'Q', b"no end"), reply(b'S', b"more")] {
        let mut pair = Pair::new(NodeRole::Primary);
        pair.client(&bad);
        let (then, got) = pair.server(&[refusal(), ready(b'I')]);
        assert!(matches!(then, Ok(AfterReplies::Release(_))));
        assert!(got.contains("E(08P01") && got.ends_with("Z(I)"), "{got}");
    }
}
