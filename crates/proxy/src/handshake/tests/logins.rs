//! Whole logins, with our own `dial` as the client.

use pgweir_auth::AuthError;

use super::*;
use crate::dial::{DialError, Dialed, dial};
use crate::fixtures::{Caller, accept, listen, welcome};

/// What both sides make of a login with `password`.
async fn log_in(gate: &Gate, user: &str, password: &str) -> (Result<Dialed, DialError>, Option<Proved>) {
    let (listener, address) = listen().await;
    let caller = Caller::new(address, user, password);
    let serve = async {
        let Ok(Arrival::Client(mut client)) = admit(accept(&listener).await, gate).await else { return None };
        client.unsent.extend_from_slice(&welcome());
        client.stream.write_all(&client.unsent).await.unwrap();
        Some(client.proved)
    };
    tokio::join!(dial(caller.target()), serve)
}

#[tokio::test]
async fn each_method_lets_in_who_knows_the_password() {
    for (method, user) in [
        ("password", "plain"),
        ("password", "md5"),
        ("md5", "plain"),
        ("md5", "md5"),
        ("scram-sha-256", "plain"),
    ] {
        let (gate, _dir) = plain_gate(method);
        let (dialed, proved) = log_in(&gate, user, user).await;
        let dialed = dialed.unwrap();
        assert_eq!(dialed.parameters, [("server_version".to_owned(), "15.4".to_owned())], "{method}");
        assert_eq!(dialed.key.unwrap().process_id, 7);
        assert_eq!(proved.unwrap().user, user);
    }
}

#[tokio::test]
async fn unknown_users_and_wrong_passwords_look_alike() {
    for method in ["password", "md5", "scram-sha-256"] {
        let (gate, _dir) = plain_gate(method);
        for (user, password) in [("plain", "wrong"), ("nobody", "x"), ("empty", "empty")] {
            let (dialed, proved) = log_in(&gate, user, password).await;
            let Err(DialError::Refused { sqlstate, message, .. }) = dialed else {
                panic!("{method} {user}: {dialed:?}")
            };
            assert_eq!(sqlstate.as_str(), "28P01", "{method}");
            assert_eq!(message, format!("password authentication failed for user \"{user}\""));
            assert!(proved.is_none());
        }
    }
}

#[tokio::test]
async fn a_proof_by_scram_logs_in_further_on() {
    let (gate, dir) = plain_gate("scram-sha-256");
    let (_, proved) = log_in(&gate, "plain", "plain").await;
    let credentials = proved.unwrap().credentials;
    assert!(!matches!(credentials, ServerCredentials::None), "{credentials:?}");
    let (listener, address) = listen().await;
    let mut caller = Caller::new(address, "plain", "");
    caller.credentials = credentials;
    let serve = async {
        let Ok(Arrival::Client(mut client)) = admit(accept(&listener).await, &gate).await else { panic!() };
        client.unsent.extend_from_slice(&welcome());
        client.stream.write_all(&client.unsent).await.unwrap();
    };
    let (dialed, ()) = tokio::join!(dial(caller.target()), serve);
    dialed.unwrap();
    drop(dir);
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_wants_more_than_we_know() {
    let (gate, _dir) = plain_gate("password");
    let (listener, address) = listen().await;
    let mut caller = Caller::new(address, "plain", "");
    caller.credentials = ServerCredentials::None;
    let serve = async { admit(accept(&listener).await, &gate).await };
    let (dialed, arrival) = tokio::join!(dial(caller.target()), serve);
    assert!(matches!(dialed, Err(DialError::Authentication(AuthError::CredentialsMissing))), "{dialed:?}");
    assert_eq!(code(&arrival), "08006");
}
