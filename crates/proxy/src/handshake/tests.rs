use std::time::Duration;

use pgweir_auth::ServerCredentials;
use pgweir_wire::frame::HEADER_BYTES;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::fixtures::{self, packet, startup, told};

mod hostile;
mod logins;
mod over_tls;

/// A gate without TLS. `method` is a word of the configuration; every secret of `USERS` is known.
fn plain_gate(method: &str) -> (Gate, TempDir) {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("users.txt"), USERS).unwrap();
    let text = format!("[auth]\nmethod = \"{method}\"\nusers_file = \"users.txt\"");
    (fixtures::gate(fixtures::config(&text, dir.path())), dir)
}

/// One user for each form of a secret; each password is the user's name.
const USERS: &str = "\"plain\" \"plain\"\n\
     \"md5\" \"md53062e1e11c64939824f4f249890f7157\"\n\
     \"empty\" \"\"\n";

/// Sends `sent` and no more; gives what came back and how the handshake ended.
async fn exchange(gate: &Gate, sent: &[u8]) -> (String, Result<Arrival, Turned>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(sent).await.unwrap();
    theirs.shutdown().await.unwrap();
    let arrival = admit(Stream::Unix(ours), gate).await;
    let mut heard = Vec::new();
    if arrival.is_err() {
        // What was not read is thrown away with the connection, which the client may see as a reset.
        let _reset = theirs.read_to_end(&mut heard).await;
    }
    (told(&heard), arrival)
}

fn code(outcome: &Result<Arrival, Turned>) -> &'static str {
    match outcome {
        Ok(Arrival::Client(_)) => "client",
        Ok(Arrival::Cancel { .. }) => "cancel",
        Err(why) => why.sqlstate(),
    }
}

async fn admitted(gate: &Gate, sent: &[u8]) -> Admitted {
    match exchange(gate, sent).await {
        (_, Ok(Arrival::Client(admitted))) => *admitted,
        (heard, outcome) => panic!("{}: {heard}", code(&outcome)),
    }
}

#[tokio::test]
async fn a_client_that_is_trusted_waits_for_nothing() {
    let (gate, _dir) = plain_gate("trust");
    let mut sent = startup(0, &[("user", "ann"), ("options", "-c a.b=1"), ("search_path", "x")]);
    sent.extend_from_slice(b"Q\0\0\0\x09abcd\0");
    let client = admitted(&gate, &sent).await;
    assert_eq!((client.proved.user.as_str(), client.startup.database.as_str()), ("ann", "ann"));
    assert_eq!(client.startup.setting("a.b"), Some("1"));
    assert_eq!(told(&client.unsent), "R0");
    assert_eq!(client.early, b"Q\0\0\0\x09abcd\0");
    assert!(matches!(client.proved.credentials, ServerCredentials::None));
}

#[tokio::test]
async fn versions_and_options_of_the_protocol_are_negotiated() {
    let (gate, _dir) = plain_gate("trust");
    let user = ("user", "ann");
    for (minor, option, negotiated) in
        [(0, "a", None), (2, "a", None), (3, "a", Some(2)), (9, "_pq_.x", Some(2)), (0, "_pq_.x", Some(0))]
    {
        let client = admitted(&gate, &startup(minor, &[user, (option, "1")])).await;
        match negotiated {
            None => assert_eq!(told(&client.unsent), "R0", "3.{minor} {option}"),
            Some(version) => {
                assert_eq!(told(&client.unsent), "v, R0", "3.{minor} {option}");
                assert_eq!(client.unsent[HEADER_BYTES..HEADER_BYTES + 4], [0, 3, 0, version]);
            }
        }
    }
}

#[tokio::test]
async fn encryption_that_is_not_there_is_declined() {
    let (gate, _dir) = plain_gate("trust");
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = async {
        for request in [hostile::GSSENC_REQUEST, hostile::SSL_REQUEST] {
            theirs.write_all(&packet(request)).await.unwrap();
            assert_eq!(theirs.read_u8().await.unwrap(), b'N');
        }
        theirs.write_all(&startup(0, &[("user", "ann")])).await.unwrap();
    };
    let (arrival, ()) = tokio::join!(admit(Stream::Unix(ours), &gate), client);
    assert_eq!(code(&arrival), "client");
}

#[tokio::test]
async fn cancel_requests_carry_short_and_long_keys() {
    let (gate, _dir) = plain_gate("scram-sha-256");
    for length in [4, 32, 256] {
        let mut request = b"\x04\xd2\x16\x2e\0\0\0\x07".to_vec();
        request.resize(8 + length, 5);
        let (_, arrival) = exchange(&gate, &packet(&request)).await;
        let Ok(Arrival::Cancel { key, .. }) = arrival else { panic!("{}", code(&arrival)) };
        assert_eq!((key.process_id, key.secret), (7, vec![5; length]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dawdles_is_left_without_a_word() {
    let (gate, _dir) = plain_gate("password");
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let whole = startup(0, &[("user", "a long name of a user who types slowly")]);
    let began = tokio::time::Instant::now();
    let dawdle = async {
        for byte in whole {
            if theirs.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let (arrival, heard) = tokio::join!(admit(Stream::Unix(ours), &gate), dawdle);
    assert_eq!(code(&arrival), "57014");
    assert_eq!(told(&heard), "");
    let waited = began.elapsed();
    assert!((15..=16).contains(&waited.as_secs()), "{waited:?}");
}
