//! Servers that are broken, hostile, or want what we do not have.

use super::*;
use crate::{Flaw, Password, ScramKeys};

fn login(credentials: &ServerCredentials) -> ServerLogin {
    ServerLogin::new("alice", credentials, Entropy { nonce: [1; 18], salt: [1; 16] })
}

fn all_credentials() -> [ServerCredentials; 4] {
    let password = Password::new("xyzzy");
    [
        ServerCredentials::None,
        ServerCredentials::Plain(password.clone()),
        ServerCredentials::Md5(md5_hash("alice", &password)),
        ServerCredentials::Scram(ScramKeys::derive(&password, b"salt", 1)),
    ]
}

/// What we answer to each first request with each kind of credentials.
#[test]
fn answers_only_what_the_credentials_can() {
    use AuthError::{
        CredentialsMissing, CredentialsUnfit, MechanismsUnsupported, MethodUnsupported, OutOfTurn,
    };
    let (missing, unfit) = (Err(CredentialsMissing), Err(CredentialsUnfit));
    let plus_only = Err(MechanismsUnsupported);
    type Row = (&'static [u8], [Result<u8, AuthError>; 4]);
    let table: [Row; 9] = [
        (b"\0\0\0\0", [Ok(b'!'); 4]),
        (b"\0\0\0\x03", [missing, Ok(b'x'), unfit, unfit]),
        (b"\0\0\0\x05salt", [missing, Ok(b'm'), Ok(b'm'), unfit]),
        (b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", [missing, Ok(b'S'), unfit, Ok(b'S')]),
        (b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0", [plus_only; 4]),
        (b"\0\0\0\x0a\0", [plus_only; 4]),
        (b"\0\0\0\x0br=", [Err(OutOfTurn(11)); 4]),
        (b"\0\0\0\x0cv=", [Err(OutOfTurn(12)); 4]),
        (b"\0\0\0\x07", [Err(MethodUnsupported(7)); 4]),
    ];
    for (body, expected) in table {
        for (credentials, expected) in all_credentials().iter().zip(expected) {
            let outcome = login(credentials).on_authentication(body, &KeyCache::new(0));
            let first_byte = outcome.map(|step| match step {
                ServerStep::Send(_, frame) => frame[5],
                ServerStep::Done => b'!',
                ServerStep::Wait(_) => b'?',
            });
            assert_eq!(first_byte, expected, "{} with {credentials:?}", body.escape_ascii());
        }
    }
}

#[test]
fn malformed_requests_are_refused() {
    for (body, flaw) in [
        (&b""[..], Flaw::Length),
        (b"\0\0\0", Flaw::Length),
        (b"\0\0\0\0x", Flaw::Length),
        (b"\0\0\0\x03x", Flaw::Length),
        (b"\0\0\0\x05sal", Flaw::Length),
        (b"\0\0\0\x05salty", Flaw::Length),
        (b"\0\0\0\x0a", Flaw::Nul),
        (b"\0\0\0\x0aSCRAM-SHA-256", Flaw::Nul),
        (b"\0\0\0\x0aSCRAM-SHA-256\0", Flaw::Nul),
        (b"\0\0\0\x0aSCRAM-SHA-256\0\0x", Flaw::Length),
    ] {
        let outcome = login(&ServerCredentials::None).on_authentication(body, &KeyCache::new(0));
        assert_eq!(outcome.unwrap_err(), AuthError::ServerMalformed(flaw), "{}", body.escape_ascii());
    }
}

fn sent(step: Result<ServerStep, AuthError>) -> (ServerLogin, Vec<u8>) {
    match step {
        Ok(ServerStep::Send(login, frame)) => (login, frame),
        other => panic!("{other:?}"),
    }
}

const SASL: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256\0\0";

/// The login after our proof was sent, with the text that proof was part of.
fn proof_sent(credentials: &ServerCredentials, salt: &str) -> Result<ServerStep, AuthError> {
    let cache = KeyCache::new(0);
    let (login, frame) = sent(login(credentials).on_authentication(SASL, &cache));
    let first = String::from_utf8(frame[5..].to_vec()).unwrap();
    let nonce = first.split_once("r=").unwrap().1;
    login.on_authentication(format!("\0\0\0\x0br={nonce}more,s={salt},i=1").as_bytes(), &cache)
}

/// Success is believed in no state between the beginning of SASL and a right signature.
#[test]
fn a_server_must_prove_itself() {
    let cache = KeyCache::new(0);
    let plain = ServerCredentials::Plain(Password::new("xyzzy"));
    let (begun, _) = sent(login(&plain).on_authentication(SASL, &cache));
    assert_eq!(begun.on_authentication(b"\0\0\0\0", &cache).unwrap_err(), AuthError::ServerUnproved);

    let (proved, _) = sent(proof_sent(&plain, "c2FsdA=="));
    assert_eq!(proved.on_authentication(b"\0\0\0\0", &cache).unwrap_err(), AuthError::ServerUnproved);

    for (text, expected) in [
        (format!("v={}", "A".repeat(43) + "="), AuthError::ServerSignatureWrong),
        ("v=AAAA".to_owned(), AuthError::ServerMalformed(Flaw::Signature)),
        ("v=".to_owned(), AuthError::ServerMalformed(Flaw::Signature)),
        ("e=other-error".to_owned(), AuthError::ServerMalformed(Flaw::Attribute('v'))),
    ] {
        let (login, _) = sent(proof_sent(&plain, "c2FsdA=="));
        let outcome = login.on_authentication(format!("\0\0\0\x0c{text}").as_bytes(), &cache);
        assert_eq!(outcome.unwrap_err(), expected, "{text}");
    }
}

/// A second request in place of the expected one ends the login: no password after a hash, no second proof.
#[test]
fn requests_out_of_turn_are_refused() {
    let cache = KeyCache::new(0);
    let plain = ServerCredentials::Plain(Password::new("xyzzy"));
    for (second, code) in [
        (&b"\0\0\0\x03"[..], 3),
        (b"\0\0\0\x05salt", 5),
        (SASL, 10),
        (b"\0\0\0\x0cv=", 12),
        (b"\0\0\0\x07", 7),
    ] {
        let (begun, _) = sent(login(&plain).on_authentication(SASL, &cache));
        assert_eq!(begun.on_authentication(second, &cache).unwrap_err(), AuthError::OutOfTurn(code));
        let (answered, _) = sent(login(&plain).on_authentication(b"\0\0\0\x05salt", &cache));
        assert_eq!(answered.on_authentication(second, &cache).unwrap_err(), AuthError::OutOfTurn(code));
    }
    let (proved, _) = sent(proof_sent(&plain, "c2FsdA=="));
    assert_eq!(proved.on_authentication(b"\0\0\0\x0br=", &cache).unwrap_err(), AuthError::OutOfTurn(11));
}

/// Keys are of use only where the verifier is the same; another salt is told apart from a wrong password.
#[test]
fn keys_are_not_used_for_another_verifier() {
    let [.., keys] = all_credentials();
    assert!(matches!(proof_sent(&keys, "c2FsdA=="), Ok(ServerStep::Send(..))));
    assert_eq!(proof_sent(&keys, "b3RoZXI=").unwrap_err(), AuthError::VerifierDiffers);
}

#[test]
fn nothing_secret_is_printed() {
    for credentials in all_credentials() {
        let shown = format!("{credentials:?} {:?}", login(&credentials));
        assert!(!shown.contains("xyzzy") && !shown.contains("[1"), "{shown}");
    }
}
