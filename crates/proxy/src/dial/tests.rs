use std::time::Duration;

use pgweir_auth::{AuthError, Flaw};
use pgweir_config::TlsMode;
use pgweir_wire::{SqlState, TransactionStatus};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::fixtures::{Caller, accept, fatal, listen, welcome};
use crate::tls::{TlsClient, TlsFiles};

/// Lets in whoever comes.
const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

/// A server that reads what comes and says `script`, whatever was asked, and then nothing more. It hears on, so
/// that nothing is lost by a reset.
async fn play(listener: &TcpListener, script: &[u8]) -> (Vec<u8>, Stream) {
    let mut server = accept(listener).await;
    let mut heard = vec![0; 4096];
    let count = server.read(&mut heard).await.unwrap();
    heard.truncate(count);
    // The client may have heard enough before the end.
    let _gone = server.write_all(script).await;
    let _gone = server.shutdown().await;
    (heard, server)
}

async fn dial_scripted(script: &[u8]) -> (Result<Dialed, DialError>, Vec<u8>) {
    let (listener, address) = listen().await;
    let caller = Caller::new(address, "ann", "secret");
    let (dialed, (heard, _server)) = tokio::join!(dial(caller.target()), play(&listener, script));
    (dialed, heard)
}

fn ready() -> Vec<u8> {
    [LET_IN, &welcome()].concat()
}

#[tokio::test]
async fn a_server_that_lets_us_in_is_ready() {
    let notice = b"N\0\0\0\x05\0";
    let late = b"S\0\0\0\x0bTZ\0UTC\0N\0\0\0\x05\0";
    let script = [notice, LET_IN, notice, &welcome(), &late[..]].concat();
    let (dialed, heard) = dial_scripted(&script).await;
    let dialed = dialed.unwrap();
    let names: Vec<_> = dialed.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["server_version", "TZ"]);
    assert_eq!(dialed.key.unwrap(), BackendKey { process_id: 7, secret: vec![1, 2, 3, 4] });
    let asked =
        crate::fixtures::startup(0, &[("user", "ann"), ("database", "shop"), ("application_name", "test")]);
    assert_eq!(heard, asked);
}

#[tokio::test]
async fn hostile_servers_are_told_apart() {
    let message = |tag: u8, body: &[u8]| {
        let mut out = Vec::new();
        say::frame(&mut out, tag, &[body]);
        out
    };
    let then = |rest: &[u8]| [LET_IN, rest].concat();
    let breach = |breach| DialError::Protocol(breach).to_string();
    let auth = |error: AuthError| DialError::Authentication(error).to_string();
    let in_transaction = {
        let mut out = then(b"");
        say::ready_for_query(&mut out, TransactionStatus::InTransaction);
        out
    };
    let sasl = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let closed = "server closed the connection".to_owned();
    for (name, script, outcome) in [
        ("silence", vec![], closed.clone()),
        ("half a header", b"R\0\0".to_vec(), closed.clone()),
        ("half a body", b"R\0\0\0\x08\0\0".to_vec(), closed.clone()),
        ("closed before it was ready", LET_IN.to_vec(), closed.clone()),
        ("length 3", b"R\0\0\0\x03".to_vec(), breach(Breach::InvalidLength)),
        ("2 GB", b"R\x7f\xff\xff\xff".to_vec(), breach(Breach::InvalidLength)),
        ("negative length", then(b"S\xff\xff\xff\xff"), breach(Breach::InvalidLength)),
        ("ready at once", message(b'Z', b"I"), breach(Breach::Unexpected(b'Z'))),
        ("a parameter too soon", message(b'S', b"a\0b\0"), breach(Breach::Unexpected(b'S'))),
        ("a web server", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), breach(Breach::InvalidLength)),
        ("a row", then(&message(b'D', b"\0\0")), breach(Breach::Unexpected(b'D'))),
        ("half a parameter", then(&message(b'S', b"a\0b")), breach(Breach::Malformed(b'S'))),
        ("a short key", then(&message(b'K', b"\0\0\0\x01\0")), breach(Breach::Malformed(b'K'))),
        ("no status", then(&message(b'Z', b"")), breach(Breach::Malformed(b'Z'))),
        ("an unknown status", then(&message(b'Z', b"X")), breach(Breach::NotIdle)),
        ("in a transaction", in_transaction, breach(Breach::NotIdle)),
        ("let in twice", then(LET_IN), breach(Breach::Unexpected(b'R'))),
        ("an unknown method", message(b'R', b"\0\0\0\x63"), auth(AuthError::MethodUnsupported(99))),
        ("Kerberos", message(b'R', b"\0\0\0\x02"), auth(AuthError::MethodUnsupported(2))),
        ("half a request", message(b'R', b"\0\0"), auth(AuthError::ServerMalformed(Flaw::Length))),
        ("let in before it proved itself", [&sasl[..], LET_IN].concat(), auth(AuthError::ServerUnproved)),
        ("the end of what was not begun", message(b'R', b"\0\0\0\x0cv=x"), auth(AuthError::OutOfTurn(12))),
    ] {
        let (dialed, _) = dial_scripted(&script).await;
        assert_eq!(dialed.unwrap_err().to_string(), outcome, "{name}");
    }
}

#[tokio::test]
async fn a_login_without_end_ends() {
    let notices = b"N\0\0\x80\x04".iter().copied().chain([0; 32_768]).collect::<Vec<_>>().repeat(40);
    for script in [notices.clone(), [LET_IN, &notices[..]].concat()] {
        let (dialed, _) = dial_scripted(&script).await;
        assert!(matches!(dialed, Err(DialError::Protocol(Breach::TooMuch))), "{dialed:?}");
    }
}

#[tokio::test]
async fn no_bytes_of_a_server_make_it_panic() {
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    for round in 0..300 {
        let noise: Vec<u8> = (0..next()).map(|_| next()).collect();
        let mut script = if round % 2 == 0 { Vec::new() } else { LET_IN.to_vec() };
        match b"RSKZENv".get(round % 9) {
            Some(tag) => say::frame(&mut script, *tag, &[&noise]),
            None => script.extend_from_slice(&noise),
        }
        let (dialed, _) = dial_scripted(&script).await;
        dialed.expect_err("nothing here is a login");
    }
}

#[tokio::test]
async fn refusals_are_passed_on_as_they_came() {
    for (script, sqlstate, blame) in [
        (fatal("3D000", "database \"shop\" does not exist"), "3D000", DialBlame::Login),
        (fatal("28P01", "no"), "28P01", DialBlame::Login),
        (fatal("57P03", "the database system is starting up"), "57P03", DialBlame::Node),
        (fatal("53300", "sorry, too many clients already"), "53300", DialBlame::Capacity),
        ([LET_IN, &fatal("57P01", "terminating")].concat(), "57P01", DialBlame::Node),
        (b"E\0\0\0\x10SFATAL\0Mno\0\0".to_vec(), "XX000", DialBlame::Node),
        (b"E\0\0\0\x04".to_vec(), "XX000", DialBlame::Node),
    ] {
        let (dialed, _) = dial_scripted(&script).await;
        let error = dialed.unwrap_err();
        assert_eq!(error.blame(), blame, "{error}");
        let DialError::Refused { sqlstate: SqlState(code), raw, .. } = error else { panic!("{error}") };
        assert_eq!(code, sqlstate.as_bytes());
        assert!(script.ends_with(&raw));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let (listener, address) = listen().await;
    let caller = Caller::new(address, "ann", "secret");
    let (dialed, server) = tokio::join!(dial(caller.target()), accept(&listener));
    assert!(matches!(dialed, Err(DialError::TimedOut)), "{dialed:?}");
    drop(server);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = dial(Caller::new(address, "ann", "").target()).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable(_)), "{error}");
    assert_eq!(error.blame(), DialBlame::Node);
}

#[tokio::test]
async fn unix_sockets_are_dialled_without_tls() {
    let dir = tempfile::TempDir::new().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5433")).unwrap();
    let address = NodeAddress::Unix { dir: dir.path().to_owned(), port: 5433 };
    let mut caller = Caller::new(address, "ann", "");
    caller.tls = TlsClient::load(TlsMode::Require, &TlsFiles::default()).unwrap();
    let serve = async {
        let mut server = listener.accept().await.unwrap().0;
        server.write_all(&ready()).await.unwrap();
        server
    };
    let (dialed, _server) = tokio::join!(dial(caller.target()), serve);
    assert!(dialed.unwrap().stream.is_unix());
}

#[tokio::test]
async fn only_s_and_n_answer_a_request_for_tls() {
    for (answer, outcome) in [
        (&b"E"[..], "TLS failed: the server answered the request for TLS with an error"),
        (b"N", "TLS failed: the server does not offer TLS"),
        (b"R", "server broke the protocol: message of type 0x52 out of place"),
        (b"", "server closed the connection"),
    ] {
        let (listener, address) = listen().await;
        let mut caller = Caller::new(address, "ann", "");
        caller.tls = TlsClient::load(TlsMode::Require, &TlsFiles::default()).unwrap();
        let (dialed, (heard, _server)) = tokio::join!(dial(caller.target()), play(&listener, answer));
        assert_eq!(dialed.unwrap_err().to_string(), outcome);
        assert_eq!(heard, SSL_REQUEST);
    }
}

#[tokio::test]
async fn what_a_server_says_before_the_handshake_is_not_believed() {
    let (listener, address) = listen().await;
    let mut caller = Caller::new(address, "ann", "");
    caller.tls = TlsClient::load(TlsMode::Require, &TlsFiles::default()).unwrap();
    let script = [b"S", &ready()[..]].concat();
    let (dialed, _) = tokio::join!(dial(caller.target()), play(&listener, &script));
    assert!(matches!(dialed, Err(DialError::Tls(_))), "{dialed:?}");
}

#[tokio::test]
async fn a_preference_for_tls_gives_way_only_where_tls_may_matter() {
    // Refused by pg_hba.conf: tried again in plain text. Refused for another reason: not.
    for (sqlstate, tries) in [("28000", 2), ("3D000", 1)] {
        let (listener, address) = listen().await;
        let mut caller = Caller::new(address, "ann", "");
        caller.tls = TlsClient::load(TlsMode::Allow, &TlsFiles::default()).unwrap();
        let refusal = fatal(sqlstate, "no");
        let serve = async {
            for heard in 0..tries {
                let expected = if heard == 0 { b'u' } else { 0x2f };
                let (heard, _server) = play(&listener, if heard == 0 { &refusal } else { b"N" }).await;
                assert!(heard.contains(&expected), "{heard:?}");
            }
        };
        let (dialed, ()) = tokio::join!(dial(caller.target()), serve);
        assert!(dialed.is_err());
    }
}

#[tokio::test]
async fn a_cancel_request_waits_until_the_server_has_seen_to_it() {
    let (listener, address) = listen().await;
    let key = BackendKey { process_id: 7, secret: vec![1, 2, 3, 4] };
    let tls = TlsClient::disabled();
    let sent = send_cancel(&address, &tls, &key, Duration::from_secs(10));
    let mut request = [0; 16];
    let serve = async {
        accept(&listener).await.read_exact(&mut request).await.unwrap();
    };
    let (sent, ()) = tokio::join!(sent, serve);
    sent.unwrap();
    assert_eq!(&request, b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\x01\x02\x03\x04");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_request_that_nobody_sees_to_is_given_up() {
    let (listener, address) = listen().await;
    let key = BackendKey { process_id: 7, secret: vec![1, 2, 3, 4] };
    let tls = TlsClient::disabled();
    let sent = send_cancel(&address, &tls, &key, Duration::from_secs(10));
    let (sent, _server) = tokio::join!(sent, accept(&listener));
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn every_error_tells_whom_it_speaks_against() {
    let gone = || io::Error::other("gone");
    let table = [
        (DialError::Authentication(AuthError::CredentialsMissing), DialBlame::Login),
        (DialError::Authentication(AuthError::ServerUnproved), DialBlame::Node),
        (DialError::Protocol(Breach::TooMuch), DialBlame::Node),
        (DialError::TimedOut, DialBlame::Node),
        (DialError::Tls(gone()), DialBlame::Node),
        (DialError::Unreachable(gone()), DialBlame::Node),
    ];
    for (error, blame) in table {
        assert_eq!(error.blame(), blame, "{error}");
    }
}
