//! What strangers say that is wrong, and what PostgreSQL 15 was seen to answer.

use super::*;

pub(super) const SSL_REQUEST: &[u8] = b"\x04\xd2\x16\x2f";
pub(super) const GSSENC_REQUEST: &[u8] = b"\x04\xd2\x16\x30";

/// A name, what is sent, what comes back, and what the log says.
type Case = (&'static str, Vec<u8>, &'static str, &'static str);

async fn check(method: &str, cases: Vec<Case>) {
    let (gate, _dir) = plain_gate(method);
    for (name, sent, hears, sqlstate) in cases {
        let (heard, outcome) = exchange(&gate, &sent).await;
        assert_eq!((heard.as_str(), code(&outcome)), (hears, sqlstate), "{name}");
    }
}

const LAYOUT: &str = "FATAL 08P01 invalid startup packet layout: expected terminator as last byte";
const AGAIN: &str = "N, FATAL 0A000 unsupported frontend protocol";

#[tokio::test]
async fn first_packets() {
    let long = [&10_005_u32.to_be_bytes()[..], &[b'x'; 10_001]].concat();
    check(
        "trust",
        vec![
            ("nothing", vec![], "", "08006"),
            ("half a length", vec![0, 0], "", "08006"),
            ("half a packet", startup(0, &[("user", "a")])[..9].to_vec(), "", "08006"),
            ("length 0", vec![0; 8], "", "08P01"),
            ("length 7", b"\0\0\0\x07abc".to_vec(), "", "08P01"),
            ("negative length", b"\xff\xff\xff\xffabcd".to_vec(), "", "08P01"),
            ("2 GB", b"\x7f\xff\xff\xffabcd".to_vec(), "", "08P01"),
            ("too long", long, "", "08P01"),
            ("a browser", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "", "08P01"),
            ("a TLS handshake", b"\x16\x03\x01\0\x05\x01\0\0\x01\x03".to_vec(), "", "08P01"),
            ("no terminator", packet(b"\0\x03\0\0user\0a\0"), LAYOUT, "08P01"),
            ("no value", packet(b"\0\x03\0\0user\0"), LAYOUT, "08P01"),
            ("nothing in it", packet(b"\0\x03\0\0"), LAYOUT, "08P01"),
            ("something behind", packet(b"\0\x03\0\0user\0a\0\0junk"), LAYOUT, "08P01"),
            (
                "no user",
                packet(b"\0\x03\0\0\0"),
                "FATAL 28000 no PostgreSQL user name specified in startup packet",
                "28000",
            ),
            (
                "version 4",
                packet(b"\0\x04\0\0user\0a\0\0"),
                "FATAL 0A000 unsupported frontend protocol 4.0: server supports 3.0 to 3.2",
                "0A000",
            ),
            (
                "odd replication",
                startup(0, &[("user", "a"), ("replication", "maybe")]),
                "FATAL 22023 invalid value for parameter \"replication\": \"maybe\"",
                "22023",
            ),
            ("short cancel", packet(b"\x04\xd2\x16\x2e\0\0\0\x01"), "", "08P01"),
        ],
    )
    .await;
}

#[tokio::test]
async fn plain_text_behind_a_request_for_encryption() {
    let login = startup(0, &[("user", "a")]);
    let behind = |request| [packet(request), login.clone()].concat();
    check(
        "trust",
        vec![
            (
                "TLS",
                behind(SSL_REQUEST),
                "N, FATAL 08P01 received unencrypted data after SSL request",
                "08P01",
            ),
            (
                "GSSAPI",
                behind(GSSENC_REQUEST),
                "N, FATAL 08P01 received unencrypted data after GSSAPI encryption request",
                "08P01",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_request_for_encryption_that_comes_again() {
    let (gate, _dir) = plain_gate("trust");
    for (request, version) in [(SSL_REQUEST, "1234.5679"), (GSSENC_REQUEST, "1234.5680")] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let client = async {
            let mut heard = vec![0];
            theirs.write_all(&packet(request)).await.unwrap();
            theirs.read_exact(&mut heard).await.unwrap();
            theirs.write_all(&packet(request)).await.unwrap();
            theirs.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let (arrival, heard) = tokio::join!(admit(Stream::Unix(ours), &gate), client);
        assert_eq!(code(&arrival), "0A000");
        assert_eq!(told(&heard), format!("{AGAIN} {version}: server supports 3.0 to 3.2"));
    }
}

fn with(user: &str, message: &[u8]) -> Vec<u8> {
    [&startup(0, &[("user", user)]), message].concat()
}

#[tokio::test]
async fn answers_to_a_request_for_a_password() {
    let expected = |tag: u8| format!("R3, FATAL 08P01 expected password response, got message type {tag}");
    let (query, null, other) = (expected(81).leak(), expected(0).leak(), expected(255).leak());
    let wrong = "R3, FATAL 28P01 password authentication failed for user";
    let (wrong_plain, wrong_nobody) =
        (format!("{wrong} \"plain\"").leak(), format!("{wrong} \"nobody\"").leak());
    check(
        "password",
        vec![
            ("a query", with("plain", b"Q\0\0\0\x0cselect 1\0"), query, "08P01"),
            ("a second start-up", with("plain", &startup(0, &[("user", "root")])), null, "08P01"),
            ("no known type", with("plain", b"\xff\xff\xff\xff\xff"), other, "08P01"),
            ("2 GB", with("plain", b"p\x7f\xff\xff\xff"), "R3", "08P01"),
            ("too long", with("plain", b"p\0\0\x27\x15"), "R3", "08P01"),
            ("length 3", with("plain", b"p\0\0\0\x03"), "R3", "08P01"),
            ("half", with("plain", b"p\0\0\0\x09x"), "R3", "08006"),
            (
                "no terminator",
                with("plain", b"p\0\0\0\x05x"),
                "R3, FATAL 08P01 invalid password packet size",
                "08P01",
            ),
            (
                "empty",
                with("plain", b"p\0\0\0\x05\0"),
                "R3, FATAL 28P01 empty password returned by client",
                "28P01",
            ),
            ("wrong", with("plain", b"p\0\0\0\x06x\0"), wrong_plain, "28P01"),
            ("unknown user", with("nobody", b"p\0\0\0\x06x\0"), wrong_nobody, "28P01"),
        ],
    )
    .await;
}

#[tokio::test]
async fn answers_to_a_request_for_sasl() {
    let expected = |tag: u8| format!("R10, FATAL 08P01 expected SASL response, got message type {tag}");
    let (query, null) = (expected(81).leak(), expected(0).leak());
    let mechanism = "R10, FATAL 08P01 client selected an invalid SASL authentication mechanism";
    check(
        "scram-sha-256",
        vec![
            ("a query", with("plain", b"Q\0\0\0\x0cselect 1\0"), query, "08P01"),
            ("a second start-up", with("plain", &startup(0, &[("user", "root")])), null, "08P01"),
            ("a password", with("plain", b"p\0\0\0\x0bx\0\0\0\0\x01y"), mechanism, "08P01"),
            ("left", with("plain", b""), "R10", "08006"),
        ],
    )
    .await;
}

#[tokio::test]
async fn no_bytes_make_it_panic() {
    let (gate, _dir) = plain_gate("scram-sha-256");
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    for round in 0..400 {
        let noise: Vec<u8> = (0..next()).map(|_| next()).collect();
        let sent = match round % 4 {
            0 => noise,
            1 => packet(&noise),
            2 => packet(&[b"\0\x03\0\0user\0", &noise[..]].concat()),
            _ => {
                let mut message = b"p".to_vec();
                message.extend_from_slice(&packet(&[b"SCRAM-SHA-256\0", &noise[..]].concat()));
                with("plain", &message)
            }
        };
        let (_, outcome) = exchange(&gate, &sent).await;
        assert_ne!(code(&outcome), "client", "round {round}: {sent:?}");
    }
}
