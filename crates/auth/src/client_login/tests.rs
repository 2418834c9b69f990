//! A client's login against our own login to a server, and against another implementation of the client.

use postgres_protocol::authentication::sasl;

use super::*;
use crate::{Flaw, ScramVerifier, ServerLogin, ServerStep};

const MOCK: MockKey = MockKey::new([9; 32]);

fn entropy(seed: u8) -> Entropy {
    Entropy { nonce: [seed; 18], salt: [seed; 16] }
}

fn plain(password: &str) -> StoredSecret {
    StoredSecret::Plain(Password::new(password))
}

fn md5(user: &str, password: &str) -> StoredSecret {
    StoredSecret::Md5(md5_hash(user, &Password::new(password)))
}

fn scram(password: &str) -> StoredSecret {
    StoredSecret::Scram(ScramVerifier::derive(&Password::new(password), b"a stored salt", 4096))
}

/// What a client with `password` saw, and the verdict.
struct Played {
    requests: Vec<&'static str>,
    verdict: Result<Proved, AuthError>,
}

fn play(method: Method, secret: Option<&StoredSecret>, credentials: &ServerCredentials) -> Played {
    let cache = KeyCache::new(8);
    let client = ServerLogin::new("alice", credentials, entropy(1));
    let begun = ClientLogin::begin(method, "alice", secret, entropy(2), &MOCK, ChannelBinding::None);
    let (mut login, mut request) = match begun {
        Begun::Admitted(proved) => return Played { requests: Vec::new(), verdict: Ok(proved) },
        Begun::Ask(login, request) => (login, request),
    };
    let mut client = Some(client);
    let mut requests = Vec::new();
    loop {
        requests.push(name(&request));
        let answer = match client.take().unwrap().on_authentication(&body(&request), &cache).unwrap() {
            ServerStep::Send(next, answer) => {
                client = Some(next);
                answer
            }
            other => panic!("the client has nothing to say to {request:?}: {other:?}"),
        };
        match login.on_password_message(&answer[5..], &cache) {
            Ok(Step::Ask(next, asked)) => (login, request) = (next, asked),
            Ok(Step::Admitted { proved, last }) => {
                assert_client_is_done(client.take().unwrap(), last, &cache);
                return Played { requests, verdict: Ok(proved) };
            }
            Err(error) => return Played { requests, verdict: Err(error) },
        }
    }
}

fn assert_client_is_done(client: ServerLogin, last: Option<AuthenticationRequest>, cache: &KeyCache) {
    let client = match last {
        Some(last) => match client.on_authentication(&body(&last), cache).unwrap() {
            ServerStep::Wait(client) => client,
            other => panic!("{other:?}"),
        },
        None => client,
    };
    let mut ok = Vec::new();
    AuthenticationRequest::encode_ok(&mut ok);
    assert!(matches!(client.on_authentication(&ok[5..], cache), Ok(ServerStep::Done)));
}

fn body(request: &AuthenticationRequest) -> Vec<u8> {
    let mut frame = Vec::new();
    request.encode(&mut frame);
    assert_eq!(frame[0], b'R');
    assert_eq!(frame[1..5], u32::try_from(frame.len() - 1).unwrap().to_be_bytes());
    frame.split_off(5)
}

fn name(request: &AuthenticationRequest) -> &'static str {
    match request {
        AuthenticationRequest::Cleartext => "cleartext",
        AuthenticationRequest::Md5 { .. } => "md5",
        AuthenticationRequest::Sasl { .. } => "sasl",
        AuthenticationRequest::SaslContinue(_) => "continue",
        AuthenticationRequest::SaslFinal(_) => "final",
    }
}

fn form(credentials: &ServerCredentials) -> &'static str {
    match credentials {
        ServerCredentials::None => "none",
        ServerCredentials::Plain(_) => "plain",
        ServerCredentials::Md5(_) => "md5",
        ServerCredentials::Scram(_) => "scram",
    }
}

/// Every method with every form of secret: what is asked, what is earned, and that a wrong password and an unknown
/// user look the same.
#[test]
fn every_method_with_every_secret() {
    let right = ServerCredentials::Plain(Password::new("xyzzy"));
    let wrong = ServerCredentials::Plain(Password::new("plugh"));
    let (plain, md5, scram) = (plain("xyzzy"), md5("alice", "xyzzy"), scram("xyzzy"));
    for (method, secret, asked, earned) in [
        (Method::Password, &plain, &["cleartext"][..], Some("plain")),
        (Method::Password, &md5, &["cleartext"], Some("plain")),
        (Method::Password, &scram, &["cleartext"], Some("plain")),
        (Method::Md5, &plain, &["md5"], Some("plain")),
        (Method::Md5, &md5, &["md5"], Some("md5")),
        (Method::Md5, &scram, &["sasl", "continue"], Some("scram")),
        (Method::ScramSha256, &plain, &["sasl", "continue"], Some("plain")),
        (Method::ScramSha256, &md5, &["sasl", "continue"], None),
        (Method::ScramSha256, &scram, &["sasl", "continue"], Some("scram")),
    ] {
        let case = format!("{method:?} with {secret:?}");
        let good = play(method, Some(secret), &right);
        assert_eq!(good.requests, asked, "{case}");
        assert_eq!(good.verdict.as_ref().ok().map(|p| form(&p.credentials)), earned, "{case}");

        let bad = play(method, Some(secret), &wrong);
        let error = bad.verdict.unwrap_err();
        assert_eq!(bad.requests, asked, "{case}");
        assert_eq!(error.sqlstate(), "28P01", "{case}");
        assert_eq!(error.client_text("alice"), "password authentication failed for user \"alice\"");

        let by_method = play(method, None, &right);
        let unknown = by_method.verdict.unwrap_err();
        assert_eq!(unknown, AuthError::PasswordRejected(Rejection::UserUnknown), "{case}");
        assert_eq!(unknown.sqlstate(), error.sqlstate());
        assert_eq!(unknown.client_text("alice"), error.client_text("alice"));
        if !(method == Method::Md5 && asked.len() == 2) {
            assert_eq!(by_method.requests, asked, "{case}");
        }
    }
}

#[test]
fn trust_admits_anyone_with_what_is_known() {
    for (secret, earned) in [
        (None, "none"),
        (Some(plain("x")), "plain"),
        (Some(md5("alice", "x")), "md5"),
        (Some(scram("x")), "none"),
    ] {
        let played = play(Method::Trust, secret.as_ref(), &ServerCredentials::None);
        assert!(played.requests.is_empty());
        let proved = played.verdict.unwrap();
        assert_eq!((proved.user.as_str(), form(&proved.credentials)), ("alice", earned));
    }
}

#[test]
fn an_empty_stored_password_admits_nobody() {
    let empty = ServerCredentials::Plain(Password::new(""));
    for (method, expected) in [
        (Method::Password, AuthError::EmptyPassword),
        (Method::Md5, AuthError::PasswordRejected(Rejection::UserUnknown)),
        (Method::ScramSha256, AuthError::PasswordRejected(Rejection::UserUnknown)),
    ] {
        assert_eq!(play(method, Some(&plain("")), &empty).verdict.unwrap_err(), expected, "{method:?}");
    }
}

/// Pass-through: the keys that a login revealed log in wherever the same verifier is kept, and nowhere else.
#[test]
fn keys_of_a_login_log_in_to_servers() {
    let verifier = scram("xyzzy");
    let typed = ServerCredentials::Plain(Password::new("xyzzy"));
    let earned = play(Method::ScramSha256, Some(&verifier), &typed).verdict.unwrap().credentials;
    assert_eq!(form(&earned), "scram");
    let again = play(Method::ScramSha256, Some(&verifier), &earned).verdict.unwrap().credentials;
    assert_eq!(form(&again), "scram");

    let changed = StoredSecret::Scram(ScramVerifier::derive(&Password::new("new"), b"a stored salt", 4096));
    let refused = play(Method::ScramSha256, Some(&changed), &earned).verdict.unwrap_err();
    assert_eq!(refused, AuthError::PasswordRejected(Rejection::WrongPassword));
}

/// The challenge of one user is the same at every login, be it stored, made up for a password, or for nobody.
#[test]
fn the_salt_of_a_user_never_changes() {
    let cache = KeyCache::new(8);
    for secret in [None, Some(plain("x")), Some(md5("alice", "x")), Some(scram("x"))] {
        let salt = |seed| {
            let begun = ClientLogin::begin(
                Method::ScramSha256,
                "alice",
                secret.as_ref(),
                entropy(seed),
                &MOCK,
                ChannelBinding::None,
            );
            let Begun::Ask(login, _) = begun else { panic!("{begun:?}") };
            let first = b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc";
            let Step::Ask(_, AuthenticationRequest::SaslContinue(text)) =
                login.on_password_message(first, &cache).unwrap()
            else {
                panic!("expected a challenge")
            };
            String::from_utf8(text).unwrap().split_once(',').unwrap().1.to_owned()
        };
        assert_eq!(salt(1), salt(2), "{secret:?}");
        assert!(salt(1).ends_with(",i=4096"), "{secret:?}");
    }
}

/// The first SCRAM message may come on its own; then it is asked for by an empty challenge.
#[test]
fn the_first_scram_message_may_come_separately() {
    let cache = KeyCache::new(8);
    let begun = ClientLogin::begin(
        Method::ScramSha256,
        "alice",
        Some(&scram("x")),
        entropy(1),
        &MOCK,
        ChannelBinding::None,
    );
    let Begun::Ask(login, _) = begun else { panic!("{begun:?}") };
    let step = login.on_password_message(b"SCRAM-SHA-256\0\xff\xff\xff\xff", &cache).unwrap();
    let Step::Ask(login, AuthenticationRequest::SaslContinue(empty)) = step else { panic!("{step:?}") };
    assert!(empty.is_empty());
    let step = login.on_password_message(b"n,,n=,r=abc", &cache).unwrap();
    assert!(
        matches!(step, Step::Ask(_, AuthenticationRequest::SaslContinue(text)) if text.starts_with(b"r=abc"))
    );
}

#[test]
fn malformed_answers_are_refused() {
    let malformed = |flaw| Some(AuthError::ClientMalformed(flaw));
    for (method, body, expected) in [
        (Method::Password, &b""[..], malformed(Flaw::Nul)),
        (Method::Password, b"xyzzy", malformed(Flaw::Nul)),
        (Method::Password, b"xyzzy\0more\0", malformed(Flaw::Nul)),
        (Method::Password, b"\0", Some(AuthError::EmptyPassword)),
        (Method::Md5, b"md5\0\0", malformed(Flaw::Nul)),
        (Method::Md5, b"\0", Some(AuthError::EmptyPassword)),
        (Method::ScramSha256, b"SCRAM-SHA-256", malformed(Flaw::Nul)),
        (Method::ScramSha256, b"SCRAM-SHA-256\0", malformed(Flaw::Length)),
        (Method::ScramSha256, b"SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abc", malformed(Flaw::Length)),
        (Method::ScramSha256, b"SCRAM-SHA-256\0\0\0\0\x0an,,n=,r=abc", malformed(Flaw::Length)),
        (Method::ScramSha256, b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=abc", malformed(Flaw::Length)),
        (Method::ScramSha256, b"SCRAM-SHA-256\0\xff\xff\xff\xfen,,n=,r=abc", malformed(Flaw::Length)),
        (Method::ScramSha256, b"SCRAM-SHA-256\0\xff\xff\xff\xffn,,n=,r=abc", malformed(Flaw::Length)),
        (Method::ScramSha256, b"SCRAM-SHA-1\0\xff\xff\xff\xff", Some(AuthError::MechanismNotOffered)),
        (Method::ScramSha256, b"SCRAM-SHA-256-PLUS\0\xff\xff\xff\xff", Some(AuthError::MechanismNotOffered)),
    ] {
        let begun = ClientLogin::begin(
            method,
            "alice",
            Some(&plain("xyzzy")),
            entropy(1),
            &MOCK,
            ChannelBinding::None,
        );
        let Begun::Ask(login, _) = begun else { panic!("{begun:?}") };
        let outcome = login.on_password_message(body, &KeyCache::new(0)).err();
        assert_eq!(outcome, expected, "{method:?} {}", body.escape_ascii());
    }
}

/// The client of another implementation gets in with and without channel binding, and checks our signature.
#[test]
fn another_implementation_logs_in() {
    let hash = vec![7; 32];
    let offered = ChannelBinding::Offered { tls_server_end_point: hash.clone() };
    for (ours, theirs, mechanism) in [
        (ChannelBinding::None, sasl::ChannelBinding::unsupported(), SCRAM_SHA_256),
        (ChannelBinding::None, sasl::ChannelBinding::unrequested(), SCRAM_SHA_256),
        (offered, sasl::ChannelBinding::tls_server_end_point(hash), SCRAM_SHA_256_PLUS),
    ] {
        let cache = KeyCache::new(8);
        let begun =
            ClientLogin::begin(Method::ScramSha256, "alice", Some(&scram("xyzzy")), entropy(1), &MOCK, ours);
        let Begun::Ask(login, AuthenticationRequest::Sasl { mechanisms }) = begun else {
            panic!("{begun:?}")
        };
        assert_eq!(mechanisms[0], mechanism);

        let mut client = sasl::ScramSha256::new(b"xyzzy", theirs);
        let first = client.message();
        let length = u32::try_from(first.len()).unwrap().to_be_bytes();
        let body = [mechanism.as_bytes(), b"\0", &length, first].concat();
        let step = login.on_password_message(&body, &cache).unwrap();
        let Step::Ask(login, AuthenticationRequest::SaslContinue(text)) = step else { panic!("{step:?}") };
        client.update(&text).unwrap();
        let step = login.on_password_message(client.message(), &cache).unwrap();
        let Step::Admitted { proved, last: Some(AuthenticationRequest::SaslFinal(text)) } = step else {
            panic!("{step:?}")
        };
        client.finish(&text).unwrap();
        assert_eq!(form(&proved.credentials), "scram");
    }
}
