use std::sync::Arc;

use pgweir_proxy::report::ShutdownMode;
use pgweir_wire::{ErrorFields, Header};

use super::*;
use crate::fake::Fake;

mod extended;
mod hostile;

/// One message of the console: its type and its body.
type Message = (u8, Vec<u8>);

fn console(privilege: Privilege) -> Console {
    Console::new(privilege, Arc::new(Fake::default()))
}

/// Feeds `bytes` until the console wants more or ends.
fn feed(console: &mut Console, bytes: &[u8]) -> (Vec<u8>, Option<Ended>) {
    let (mut out, mut rest) = (Vec::new(), bytes);
    loop {
        match console.on_client(rest, &mut out) {
            Ok(0) => return (out, None),
            Ok(taken) => rest = &rest[taken..],
            Err(ended) => return (out, Some(ended)),
        }
    }
}

fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(header) = Header::read(bytes).unwrap() {
        messages.push((header.tag, bytes[5..header.total()].to_vec()));
        bytes = &bytes[header.total()..];
    }
    assert!(bytes.is_empty(), "half a message");
    messages
}

fn tags(messages: &[Message]) -> String {
    messages.iter().map(|(tag, _)| char::from(*tag)).collect()
}

fn simple(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    say::query(&mut bytes, text.as_bytes());
    bytes
}

fn ask(privilege: Privilege, text: &str) -> Vec<Message> {
    let (out, ended) = feed(&mut console(privilege), &simple(text));
    assert_eq!(ended, None);
    messages(&out)
}

/// SQLSTATE and message of the first error or notice.
fn said(messages: &[Message]) -> (String, String) {
    let (_, body) = messages.iter().find(|(tag, _)| matches!(tag, b'E' | b'N')).expect("an error or notice");
    let fields = ErrorFields::new(body);
    (fields.sqlstate().as_str().to_owned(), fields.message())
}

/// The fields of a DataRow, `None` for NULL.
fn fields(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = &body[2..];
    let mut fields = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        fields.push(length.map(|length| String::from_utf8(after[..length].to_vec()).unwrap()));
        rest = &after[length.unwrap_or(0)..];
    }
    assert_eq!(fields.len(), usize::from(u16::from_be_bytes([body[0], body[1]])));
    fields
}

fn tag_of(messages: &[Message]) -> &str {
    let (_, body) = messages.iter().find(|(tag, _)| *tag == b'C').expect("a CommandComplete");
    std::str::from_utf8(&body[..body.len() - 1]).unwrap()
}

#[test]
fn the_welcome_tells_drivers_what_they_want_to_know() {
    let mut out = Vec::new();
    console(Privilege::Admin).welcome(&mut out);
    let welcome = messages(&out);
    assert_eq!(tags(&welcome), "SSSSSSSSKZ");
    assert_eq!(welcome[0].1, b"server_version\x0014.0 (pgweir 9.8.7)\0");
    assert_eq!(welcome[1].1, b"client_encoding\0UTF8\0");
}

#[test]
fn a_show_answers_with_rows() {
    let answer = ask(Privilege::Stats, "show nodes;");
    assert_eq!(tags(&answer), "TDDDCZ");
    assert_eq!(tag_of(&answer), "SHOW");
    assert_eq!(answer[5].1, b"I");
    let late = fields(&answer[3].1);
    assert_eq!(late[..3], ["main", "n3", "n3.example:5432"].map(|field| Some(field.to_owned())));
    assert_eq!((&late[6], &late[7]), (&Some("77000000000".to_owned()), &None));
}

#[test]
fn commands_are_found_whatever_their_case_and_select_is_show() {
    for text in ["SHOW VERSION", " show\tversion ;; ", "SeLeCt Version;", "select version"] {
        let answer = ask(Privilege::Stats, text);
        assert_eq!((tags(&answer).as_str(), tag_of(&answer)), ("TDCZ", "SHOW"), "{text}");
        assert_eq!(fields(&answer[1].1), [Some("pgweir 9.8.7".to_owned())]);
    }
}

#[test]
fn what_is_unknown_is_said_in_pgbouncers_words() {
    let several =
        ["SHOW POOLS; SHOW LISTS", "; SHOW POOLS", "BEGIN; SHOW POOLS", "BEGIN; SELECT 1", "SHUTDOWN; BEGIN"];
    for text in ["SHOW NOTHING", "DROP TABLE t", "PAUSE \"x"].into_iter().chain(several) {
        let answer = ask(Privilege::Admin, text);
        assert_eq!(tags(&answer), "EZ", "{text}");
        assert_eq!(said(&answer), ("42601".to_owned(), format!("invalid command '{text}', use SHOW HELP;")));
    }
}

#[test]
fn a_stats_user_changes_nothing() {
    let fake = Arc::new(Fake::default());
    let mut console = Console::new(Privilege::Stats, Arc::clone(&fake) as Arc<dyn Report>);
    for text in ["SHUTDOWN", "shutdown wait_for_clients", "RELOAD"] {
        let (out, _) = feed(&mut console, &simple(text));
        assert_eq!(said(&messages(&out)), ("42501".to_owned(), "admin access needed".to_owned()), "{text}");
    }
    assert!(fake.shutdowns.lock().unwrap().is_empty());
}

#[test]
fn help_is_a_notice() {
    let answer = ask(Privilege::Stats, "SHOW HELP");
    assert_eq!((tags(&answer).as_str(), tag_of(&answer)), ("NCZ", "SHOW"));
    let detail = ErrorFields::new(&answer[0].1).field(b'D').unwrap();
    assert!(detail.starts_with(b"\n\tSHOW HELP | CLIENTS"));
}

#[test]
fn an_empty_query_is_answered_as_such() {
    for text in ["", " ", ";", " ; "] {
        assert_eq!(tags(&ask(Privilege::Stats, text)), "IZ");
    }
}

#[test]
fn reload_passes_on_what_it_heard() {
    let answer = ask(Privilege::Admin, "RELOAD");
    assert_eq!((tags(&answer).as_str(), tag_of(&answer)), ("NCZ", "RELOAD"));
    assert_eq!(said(&answer).1, "listen.address needs a restart");

    let fake = Fake { reload: Err("proxy.toml:3: no such key".to_owned()), ..Fake::default() };
    let (out, _) = feed(&mut Console::new(Privilege::Admin, Arc::new(fake)), &simple("RELOAD"));
    let (code, text) = said(&messages(&out));
    assert_eq!(tags(&messages(&out)), "EZ");
    assert_eq!(code, "F0000");
    assert!(text.ends_with("the old configuration stays in force: proxy.toml:3: no such key"), "{text}");
}

#[test]
fn shutdown_waits_for_what_it_is_told() {
    let fake = Arc::new(Fake::default());
    let mut console = Console::new(Privilege::Admin, Arc::clone(&fake) as Arc<dyn Report>);
    for text in ["SHUTDOWN WAIT_FOR_SERVERS", "shutdown wait_for_clients;", "SHUTDOWN"] {
        let (out, _) = feed(&mut console, &simple(text));
        assert_eq!(tag_of(&messages(&out)), "SHUTDOWN");
    }
    let (out, _) = feed(&mut console, &simple("SHUTDOWN WAIT"));
    assert_eq!(tags(&messages(&out)), "EZ");
    let expected = [ShutdownMode::WaitForServers, ShutdownMode::WaitForClients, ShutdownMode::Immediate];
    assert_eq!(*fake.shutdowns.lock().unwrap(), expected);
}

#[test]
fn drivers_may_say_what_they_say_to_every_server() {
    let cases = [
        ("BEGIN", "CZ", "BEGIN"),
        ("BEGIN READ ONLY", "CZ", "BEGIN"),
        ("COMMIT", "CZ", "COMMIT"),
        ("ROLLBACK", "CZ", "ROLLBACK"),
        ("DISCARD ALL", "CZ", "DISCARD ALL"),
        ("UNLISTEN *", "CZ", "UNLISTEN"),
        ("SET extra_float_digits = 3", "NCZ", "SET"),
        ("SET application_name TO 'psql'", "NCZ", "SET"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "NCZ", "SET"),
        ("set datestyle='ISO, MDY'", "NCZ", "SET"),
        ("SELECT 1", "TDCZ", "SELECT 1"),
        ("select pg_catalog.version()", "TDCZ", "SELECT 1"),
        ("SELECT version();", "TDCZ", "SELECT 1"),
        ("SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;", "CZ", "RESET"),
        ("SHOW transaction isolation level", "TDCZ", "SHOW"),
    ];
    for privilege in [Privilege::Admin, Privilege::Stats] {
        for (text, expected, tag) in cases {
            let answer = ask(privilege, text);
            assert_eq!((tags(&answer).as_str(), tag_of(&answer)), (expected, tag), "{text}");
        }
    }
    assert_eq!(said(&ask(Privilege::Stats, "SET datestyle = 'ISO'")).1, "SET ignored");
}

#[test]
fn settings_that_drivers_read_have_pgbouncers_values() {
    for (name, value) in [
        ("client_encoding", "UTF-8"),
        ("datestyle", "ISO"),
        ("default_transaction_isolation", "read committed"),
        ("standard_conforming_strings", "on"),
        ("timezone", "GMT"),
    ] {
        let answer = ask(Privilege::Stats, &format!("SHOW {name};"));
        assert!(answer[0].1[2..].starts_with(format!("{name}\0").as_bytes()));
        assert_eq!(fields(&answer[1].1), [Some(value.to_owned())]);
    }
}

#[test]
fn other_settings_are_not_set_in_silence() {
    let answer = ask(Privilege::Admin, "SET pool_size = 50");
    assert_eq!(said(&answer), ("42704".to_owned(), "the console cannot set \"pool_size\"".to_owned()));
    assert_eq!(tags(&answer), "EZ");
}
