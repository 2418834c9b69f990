use super::attributes::{BindingFlag, ClientFinal, ClientFirst};
use super::*;
use crate::{
    AuthError, ChannelBinding, Flaw, KeyCache, Password, Rejection, ServerCredentials, StoredSecret,
};

/// RFC 7677, section 3.
const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &[u8] =
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn rfc_salt() -> Vec<u8> {
    bytes_of(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap()
}

fn awaiting_first(challenge: Challenge) -> AwaitingClientFirst {
    let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
    AwaitingClientFirst { challenge, binding: ChannelBinding::None, bound: false, nonce }
}

#[test]
fn verifies_the_exchange_of_the_rfc() {
    let pencil = Password::new("pencil");
    let challenges = [
        Challenge::Verifier(ScramVerifier::derive(&pencil, &rfc_salt(), 4096)),
        Challenge::Plain { password: pencil, salt: rfc_salt() },
    ];
    for challenge in challenges {
        let (last, answer) = awaiting_first(challenge).on_client_first(CLIENT_FIRST).unwrap();
        assert_eq!(answer, SERVER_FIRST);
        let verified = last.on_client_final(CLIENT_FINAL, &KeyCache::new(4)).unwrap();
        assert_eq!(verified.last, SERVER_FINAL);
    }
}

#[test]
fn makes_the_proof_of_the_rfc() {
    let keys = ScramKeys::derive(&Password::new("pencil"), &rfc_salt(), 4096);
    let client_final = ClientFinal::read(CLIENT_FINAL).unwrap();
    let signed = auth_message(&CLIENT_FIRST[3..], SERVER_FIRST, client_final.without_proof);
    assert_eq!(base64_of(&keys.proof(&signed)).as_bytes(), client_final.proof);
    assert_eq!(base64_of(&keys.server_signature(&signed)).as_bytes(), &SERVER_FINAL[2..]);
}

/// Made by PostgreSQL 15: `CREATE ROLE ... PASSWORD`, then `SELECT rolpassword FROM pg_authid`.
#[test]
fn derives_what_postgresql_stores() {
    for (password, stored) in [
        (
            "xyzzy",
            "SCRAM-SHA-256$4096:Vf1SDR57T/HGwSjB6rvtng==$tnBamRC73MXzt3qxsCI2VYynKi3MbEI5oFe2jH6D5ic=:D2nIGJpClndZJ0b3EpVsxEpTIbiA3fzZoecPor1Crt0=",
        ),
        // Mapped: a Roman numeral to letters, a soft hyphen to nothing.
        (
            "\u{2168} \u{aa}\u{ad}",
            "SCRAM-SHA-256$4096:ICcxeXEIzAtHQlOGZiVCLg==$fNFaUJt15kIxbPTl6RRX9CO8AKegeJ71CsUb8Er8oAU=:oAE1KRbHlXTUXVrw1zXAIBSpy5EaD9Sbhzdk8NC0zFM=",
        ),
        (
            "a\u{a0}b",
            "SCRAM-SHA-256$4096:KaEbh75KZS7RpHv9LAudOQ==$tlSca8xihi/j6gAjApLdutmlrtZ6xP/bh85svC0Hrh4=:Gbx41emWg8rwebIYnr2XlFhu9I6qi5Me2vkDdEPPIPQ=",
        ),
        // Taken as they are: a control character, mixed directions, an unassigned code point, nothing left.
        (
            "\u{a0}pass\u{7}",
            "SCRAM-SHA-256$4096:Z8olnWWB4m39xphppfnhLA==$g4T2rMF/kZODuRslHN/JKNYZK+obVVBRbC7T9BKnHVw=:aGj13zCNvu13zbYJEqPlMCrXyu1Sfp09qMCtjt8GQDU=",
        ),
        (
            "\u{5d0}b",
            "SCRAM-SHA-256$4096:iUP5EvdHoHnstY3SCVLTJw==$XpIwrrapAsqG8SPJK7waDTYZrLyOZn/x0csI4sfYIb0=:Sw36IGnup84OeQQg24xoT2aQ3ukRGnMgwT9kywVvivQ=",
        ),
        (
            "x\u{378}",
            "SCRAM-SHA-256$4096:FaOnirSsLk4u3MPK4DkgbA==$RwIgS9IN0S6EjGE2DqZWv7qix3IBOH+asarZLXBbobw=:WF6OM6FdCaZzwRl2rAmzNH1nV0eiv2GCHzc+gyGPD9A=",
        ),
        (
            "\u{ad}",
            "SCRAM-SHA-256$4096:v1bt/W0wrQ8ZmdqH+quopg==$tZUB5GoUUjuHSvJdNxf8ZbZ7g9ThrQqeniZtR7rFD10=:YGmL1hLn7yZWFmkEOUvT7XD75G06eViNJ4R3sL9olHE=",
        ),
        (
            "\u{5bc6}\u{7801}",
            "SCRAM-SHA-256$4096:x1roJel+WNbXMqOJzfTNuQ==$AWnpMGdxfjs8xULe6XFoHpVkjjvI4jFdd4X51KWLj2M=:0VBB7DL6qKIoDPBUPffQC3soLgnm9DxdAtaJRnIUEng=",
        ),
    ] {
        let verifier = ScramVerifier::parse(stored).unwrap();
        let derived = ScramVerifier::derive(&Password::new(password), &verifier.salt, verifier.iterations);
        assert_eq!(derived.to_string(), stored, "{password:?}");
    }
}

#[test]
fn derives_what_another_implementation_stores() {
    for password in [&b"secret"[..], b"\xff\xfe not UTF-8", b"", "pässwörd".as_bytes()] {
        let stored = postgres_protocol::password::scram_sha_256(password);
        let verifier = ScramVerifier::parse(&stored).unwrap();
        let derived = ScramVerifier::derive(&Password::from_bytes(password), &verifier.salt, 4096);
        assert_eq!(derived.to_string(), stored);
    }
}

#[test]
fn what_is_not_quite_a_verifier_is_a_password() {
    let right = ScramVerifier::derive(&Password::new("x"), b"salt", 1).to_string();
    assert!(matches!(StoredSecret::parse(&right), StoredSecret::Scram(_)));
    for wrong in [
        right.replace("SHA-256", "SHA-1"),
        right.replace("$1:", "$0:"),
        right.replace("$1:", "$x:"),
        right.replace("$1:", "$99999999999:"),
        right.replace("c2FsdA==", ""),
        right.replace("c2FsdA==", "?"),
        right.replacen(':', "", 1),
        format!("{right}A"),
        right[..right.len() - 5].to_owned(),
    ] {
        assert!(matches!(StoredSecret::parse(&wrong), StoredSecret::Plain(_)), "{wrong}");
    }
}

/// What a client's first message leads to, without and with an offer of channel binding.
#[test]
fn reads_the_header_as_postgresql_does() {
    use AuthError::{
        AuthorizationIdentity, ChannelBindingUnknown, ChannelBindingWithheld, ClientMalformed,
        ExtensionMandatory,
    };
    let offered = ChannelBinding::Offered { tls_server_end_point: vec![7; 32] };
    let mechanism = ClientMalformed(Flaw::ChannelBindingMechanism);
    let long = format!("n,,n=,r={}", "x".repeat(1025));
    type Case<'a> = (&'a ChannelBinding, bool, &'a [u8], Result<(), AuthError>);
    let table: &[Case<'_>] = &[
        (&ChannelBinding::None, false, b"n,,n=,r=abc", Ok(())),
        (&ChannelBinding::None, false, b"y,,n=,r=abc", Ok(())),
        (&ChannelBinding::None, false, b"n,,n=a=2Cb,r=abc,x=ext", Ok(())),
        (&ChannelBinding::None, false, b"p=tls-server-end-point,,n=,r=abc", Err(mechanism)),
        (&offered, false, b"n,,n=,r=abc", Ok(())),
        (&offered, false, b"y,,n=,r=abc", Err(ChannelBindingWithheld)),
        (&offered, false, b"p=tls-server-end-point,,n=,r=abc", Err(mechanism)),
        (&offered, true, b"p=tls-server-end-point,,n=,r=abc", Ok(())),
        (&offered, true, b"p=tls-unique,,n=,r=abc", Err(ChannelBindingUnknown)),
        (&offered, true, b"n,,n=,r=abc", Err(mechanism)),
        (&offered, true, b"y,,n=,r=abc", Err(mechanism)),
        (&ChannelBinding::None, false, b"n,a=root,n=,r=abc", Err(AuthorizationIdentity)),
        (&ChannelBinding::None, false, b"n,,m=x,n=,r=abc", Err(ExtensionMandatory)),
        (&ChannelBinding::None, false, b"", Err(ClientMalformed(Flaw::ChannelBindingFlag))),
        (&ChannelBinding::None, false, b"x,,n=,r=abc", Err(ClientMalformed(Flaw::ChannelBindingFlag))),
        (&ChannelBinding::None, false, b"n,x,n=,r=abc", Err(ClientMalformed(Flaw::Attribute('a')))),
        (&ChannelBinding::None, false, b"n,", Err(ClientMalformed(Flaw::Attribute('n')))),
        (&ChannelBinding::None, false, b"n,,r=abc", Err(ClientMalformed(Flaw::Attribute('n')))),
        (&ChannelBinding::None, false, b"n,,n=", Err(ClientMalformed(Flaw::Attribute('r')))),
        (&ChannelBinding::None, false, b"n,,n=,r=", Err(ClientMalformed(Flaw::Nonce))),
        (&ChannelBinding::None, false, b"n,,n=,r=a b", Err(ClientMalformed(Flaw::Nonce))),
        (&ChannelBinding::None, false, long.as_bytes(), Err(ClientMalformed(Flaw::Nonce))),
        (&ChannelBinding::None, false, b"n,,n=,r=abc\0", Err(ClientMalformed(Flaw::Nul))),
    ];
    for (binding, bound, message, expected) in table {
        let mut first = awaiting_first(Challenge::Mock { salt: vec![1], rejection: Rejection::UserUnknown });
        (first.binding, first.bound) = ((*binding).clone(), *bound);
        let outcome = first.on_client_first(message).map(drop);
        assert_eq!(outcome, *expected, "{binding:?} {bound} {}", message.escape_ascii());
    }
}

#[test]
fn the_header_is_cut_where_the_nonce_part_begins() {
    let first = ClientFirst::read(b"p=tls-server-end-point,,n=,r=abc").unwrap();
    assert_eq!(first.flag, BindingFlag::Bound(b"tls-server-end-point"));
    assert_eq!((first.header, first.bare), (&b"p=tls-server-end-point,,"[..], &b"n=,r=abc"[..]));
}

#[test]
fn a_proof_bound_to_another_channel_is_refused() {
    let password = Password::new("pencil");
    let final_message = |hash: &[u8]| -> Result<Verified, AuthError> {
        let mut first = awaiting_first(Challenge::Plain { password: password.clone(), salt: rfc_salt() });
        first.binding = ChannelBinding::Offered { tls_server_end_point: vec![7; 32] };
        first.bound = true;
        let (last, server_first) = first.on_client_first(b"p=tls-server-end-point,,n=,r=abc").unwrap();
        let bound = base64_of(&[b"p=tls-server-end-point,,", hash].concat());
        let nonce = server_first.split(|b| *b == b',').next().unwrap();
        let without_proof = [b"c=", bound.as_bytes(), b",", nonce].concat();
        let signed = auth_message(b"n=,r=abc", &server_first, &without_proof);
        let proof = ScramKeys::derive(&password, &rfc_salt(), 4096).proof(&signed);
        let message = [&without_proof, &b",p="[..], base64_of(&proof).as_bytes()].concat();
        last.on_client_final(&message, &KeyCache::new(0))
    };
    assert!(final_message(&[7; 32]).is_ok());
    assert_eq!(final_message(&[8; 32]).err(), Some(AuthError::ChannelBindingMismatch));
    assert_eq!(final_message(b"").err(), Some(AuthError::ChannelBindingMismatch));
}

#[test]
fn a_final_message_must_repeat_what_was_said() {
    let right = String::from_utf8(CLIENT_FINAL.to_vec()).unwrap();
    for (message, expected) in [
        (right.replace("biws", "eSws"), AuthError::ClientMalformed(Flaw::Attribute('c'))),
        (right.replace("%hv", "%hw"), AuthError::NonceMismatch),
        (right.replace("=rOp", "=sOp"), AuthError::NonceMismatch),
        (right.replace(",p=dHzb", ",p=dHzc"), AuthError::PasswordRejected(Rejection::WrongPassword)),
        (right.replace(",p=dHzb", ",x=1,p=dHzb"), AuthError::PasswordRejected(Rejection::WrongPassword)),
        (right.replace(",p=dHzb", ",p=dHz"), AuthError::ClientMalformed(Flaw::Proof)),
        (right.replace(",p=", ",q="), AuthError::ClientMalformed(Flaw::Attribute('p'))),
        (format!("{right},x=1"), AuthError::ClientMalformed(Flaw::Attribute('p'))),
        (format!("{right}\0"), AuthError::ClientMalformed(Flaw::Nul)),
        (String::new(), AuthError::ClientMalformed(Flaw::Attribute('c'))),
        ("c=biws".to_owned(), AuthError::ClientMalformed(Flaw::Attribute('r'))),
    ] {
        let verifier = ScramVerifier::derive(&Password::new("pencil"), &rfc_salt(), 4096);
        let first = awaiting_first(Challenge::Verifier(verifier));
        let (last, _) = first.on_client_first(CLIENT_FIRST).unwrap();
        let outcome = last.on_client_final(message.as_bytes(), &KeyCache::new(4));
        assert_eq!(outcome.err(), Some(expected), "{message}");
    }
}

#[test]
fn a_servers_first_message_is_not_trusted() {
    let plain = ServerCredentials::Plain(Password::new("pencil"));
    let long = format!("r=abc{},s=c2FsdA==,i=1", "x".repeat(1024));
    let long_salt = format!("r=abcd,s={},i=1", base64_of(&[0; 1025]));
    let huge = b"r=abcd,s=c2FsdA==,i=100001";
    for (message, expected) in [
        (&b"r=abcd,s=c2FsdA==,i=1"[..], Ok(())),
        (b"r=abc,s=c2FsdA==,i=1", Err(AuthError::ServerMalformed(Flaw::Nonce))),
        (b"r=xbcd,s=c2FsdA==,i=1", Err(AuthError::ServerMalformed(Flaw::Nonce))),
        (b"r=abc\xff,s=c2FsdA==,i=1", Err(AuthError::ServerMalformed(Flaw::Nonce))),
        (long.as_bytes(), Err(AuthError::ServerMalformed(Flaw::Nonce))),
        (b"r=abcd,s=,i=1", Err(AuthError::ServerMalformed(Flaw::Salt))),
        (b"r=abcd,s=?,i=1", Err(AuthError::ServerMalformed(Flaw::Salt))),
        (long_salt.as_bytes(), Err(AuthError::ServerMalformed(Flaw::Salt))),
        (b"r=abcd,s=c2FsdA==,i=0", Err(AuthError::ServerMalformed(Flaw::Iterations))),
        (b"r=abcd,s=c2FsdA==,i=-1", Err(AuthError::ServerMalformed(Flaw::Iterations))),
        (b"r=abcd,s=c2FsdA==,i=+1", Err(AuthError::ServerMalformed(Flaw::Iterations))),
        (b"r=abcd,s=c2FsdA==,i=99999999999", Err(AuthError::ServerMalformed(Flaw::Iterations))),
        (huge, Err(AuthError::IterationsExcessive(100_001))),
        (b"r=abcd,s=c2FsdA==,i=1,x=1", Err(AuthError::ServerMalformed(Flaw::Length))),
        (b"m=x,r=abcd,s=c2FsdA==,i=1", Err(AuthError::ServerMalformed(Flaw::Attribute('r')))),
        (b"r=abcd", Err(AuthError::ServerMalformed(Flaw::Attribute('s')))),
        (b"", Err(AuthError::ServerMalformed(Flaw::Attribute('r')))),
    ] {
        let (first, _) = AwaitingServerFirst::begin("abc".to_owned());
        let outcome = first.on_server_first(message, &plain, &KeyCache::new(0)).map(drop);
        assert_eq!(outcome, expected, "{}", message.escape_ascii());
    }
}

#[test]
fn a_salt_made_up_for_a_user_never_changes() {
    let (key, other) = ([1; 32], [2; 32]);
    assert_eq!(invented_salt(&key, "alice"), invented_salt(&key, "alice"));
    assert_ne!(invented_salt(&key, "alice"), invented_salt(&key, "bob"));
    assert_ne!(invented_salt(&key, "alice"), invented_salt(&other, "alice"));
    assert_eq!(invented_salt(&key, "").len(), 16);
}
