use super::*;

/// Every error with its four answers. A new variant belongs into this table.
#[test]
fn every_error_and_its_answers() {
    use AuthError as E;
    use Blame::{Client, Pgweir, Server};
    let table = [
        (
            E::AuthorizationIdentity,
            "0A000",
            Client,
            "client uses authorization identity, but it is not supported",
        ),
        (E::ChannelBindingMismatch, "28000", Client, "SCRAM channel binding check failed"),
        (E::ChannelBindingUnknown, "08P01", Client, "unsupported SCRAM channel-binding type"),
        (E::ChannelBindingWithheld, "28000", Client, "SCRAM channel binding negotiation error"),
        (E::ClientMalformed(Flaw::Nul), "08P01", Client, "invalid password packet size"),
        (E::ClientMalformed(Flaw::Nonce), "08P01", Client, "malformed SCRAM message"),
        (
            E::CredentialsMissing,
            "28000",
            Pgweir,
            "the server asks for a password of user \"u\", and none is known here",
        ),
        (
            E::CredentialsUnfit,
            "28000",
            Pgweir,
            "the secret known here for user \"u\" does not fit the server's authentication method",
        ),
        (E::EmptyPassword, "28P01", Client, "empty password returned by client"),
        (E::ExtensionMandatory, "0A000", Client, "client requires an unsupported SCRAM extension"),
        (E::IterationsExcessive(9), "08P01", Server, "the server broke the authentication protocol"),
        (E::MechanismNotOffered, "08P01", Client, "client selected an invalid SASL authentication mechanism"),
        (
            E::MechanismsUnsupported,
            "28000",
            Server,
            "the server asks for an authentication method that is not supported",
        ),
        (
            E::MethodUnsupported(7),
            "28000",
            Server,
            "the server asks for an authentication method that is not supported",
        ),
        (E::NonceMismatch, "08P01", Client, "invalid SCRAM response"),
        (E::OutOfTurn(3), "08P01", Server, "the server broke the authentication protocol"),
        (
            E::PasswordRejected(Rejection::UserUnknown),
            "28P01",
            Client,
            "password authentication failed for user \"u\"",
        ),
        (E::ServerMalformed(Flaw::Salt), "08P01", Server, "the server broke the authentication protocol"),
        (E::ServerSignatureWrong, "28000", Server, "the server did not prove that it knows the password"),
        (E::ServerUnproved, "28000", Server, "the server did not prove that it knows the password"),
        (
            E::VerifierDiffers,
            "28000",
            Pgweir,
            "the server keeps another SCRAM secret for user \"u\" than the one known here",
        ),
    ];
    for (error, sqlstate, blame, text) in table {
        println!("{sqlstate} {blame:?} | {text} | log: {error}");
        assert_eq!((error.sqlstate(), error.blame()), (sqlstate, blame), "{error:?}");
        assert_eq!(error.client_text("u"), text, "{error:?}");
        assert!(!error.to_string().is_empty());
    }
}

/// Why a password was rejected is for the log alone.
#[test]
fn a_client_cannot_tell_rejections_apart() {
    let all = [Rejection::SecretUnfit, Rejection::UserUnknown, Rejection::WrongPassword];
    let answers = all.map(|rejection| {
        let error = AuthError::PasswordRejected(rejection);
        (error.sqlstate(), error.client_text("u"))
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let logged = all.map(|rejection| AuthError::PasswordRejected(rejection).to_string());
    assert!(logged[0] != logged[1] && logged[1] != logged[2] && logged[0] != logged[2]);
}
