//! Everything that can go wrong in a login, and what each party is told of it.
//!
//! Invariant: the text for a client never tells a wrong password from an unknown user; that fact is in `Display`,
//! which is for the log alone. Texts and SQLSTATEs are PostgreSQL's where PostgreSQL has one.

use std::fmt;

/// Why a login ended without proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// The client wants to act as another user than the one it authenticates as.
    AuthorizationIdentity,
    /// The client bound its proof to another TLS channel, or to none.
    ChannelBindingMismatch,
    /// The client asked for a kind of channel binding that we do not know.
    ChannelBindingUnknown,
    /// The client believes that we cannot bind channels, although we offered it: someone is in between.
    ChannelBindingWithheld,
    /// A message of the client breaks the format.
    ClientMalformed(Flaw),
    /// The server wants a secret and the client's login left us none.
    CredentialsMissing,
    /// The server wants a proof that what we hold cannot make: a hash is no password.
    CredentialsUnfit,
    /// The client sent an empty password.
    EmptyPassword,
    /// The client needs an extension of SCRAM that does not exist in PostgreSQL.
    ExtensionMandatory,
    /// The server asks for more hashing than any honest server does.
    IterationsExcessive(u32),
    /// The client chose a SASL mechanism that we did not offer.
    MechanismNotOffered,
    /// The server offers no SASL mechanism that we speak.
    MechanismsUnsupported,
    /// The server asks for an authentication method that we do not speak.
    MethodUnsupported(u32),
    /// The client's proof is about another nonce than ours.
    NonceMismatch,
    /// The server sent this authentication request when it had to send another.
    OutOfTurn(u32),
    /// The client did not prove that it is the user.
    PasswordRejected(Rejection),
    /// A message of the server breaks the format.
    ServerMalformed(Flaw),
    /// The server's signature is not the one that knowledge of the secret makes.
    ServerSignatureWrong,
    /// The server declared success before it proved that it knows the secret.
    ServerUnproved,
    /// The server keeps another SCRAM secret than the one which the client proved to know.
    VerifierDiffers,
}

/// Why a password was not accepted. For the log, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The stored secret cannot serve the configured method.
    SecretUnfit,
    /// No such user, or a user without a password.
    UserUnknown,
    /// The proof does not match the stored secret.
    WrongPassword,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The SCRAM attribute of this letter is missing, out of order or has no `=`.
    Attribute(char),
    /// The channel-binding flag is none of `n`, `y`, `p`.
    ChannelBindingFlag,
    /// The channel-binding flag contradicts the chosen mechanism.
    ChannelBindingMechanism,
    /// The iteration count is not a positive number.
    Iterations,
    /// A length field disagrees with the message.
    Length,
    /// The nonce is empty, too long, not printable, or does not continue ours.
    Nonce,
    /// A NUL byte stands where text was expected, or the final one is missing.
    Nul,
    /// The proof is not 32 bytes of base64.
    Proof,
    /// The salt is not base64, is empty, or too long.
    Salt,
    /// The signature is not 32 bytes of base64.
    Signature,
}

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client, or whoever set it up.
    Client,
    /// The proxy's configuration: what it holds cannot log in to the server.
    Pgweir,
    /// The server.
    Server,
}

impl AuthError {
    /// The SQLSTATE to answer with.
    #[must_use]
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::AuthorizationIdentity | Self::ExtensionMandatory => "0A000",
            Self::ChannelBindingMismatch
            | Self::ChannelBindingWithheld
            | Self::CredentialsMissing
            | Self::CredentialsUnfit
            | Self::MechanismsUnsupported
            | Self::MethodUnsupported(_)
            | Self::ServerSignatureWrong
            | Self::ServerUnproved
            | Self::VerifierDiffers => "28000",
            Self::ChannelBindingUnknown
            | Self::ClientMalformed(_)
            | Self::IterationsExcessive(_)
            | Self::MechanismNotOffered
            | Self::NonceMismatch
            | Self::OutOfTurn(_)
            | Self::ServerMalformed(_) => "08P01",
            Self::EmptyPassword | Self::PasswordRejected(_) => "28P01",
        }
    }

    /// What the client that logs in, or waits for a server, may read.
    #[must_use]
    pub fn client_text(&self, user: &str) -> String {
        match self {
            Self::AuthorizationIdentity => {
                "client uses authorization identity, but it is not supported".to_owned()
            }
            Self::ChannelBindingMismatch => "SCRAM channel binding check failed".to_owned(),
            Self::ChannelBindingUnknown => "unsupported SCRAM channel-binding type".to_owned(),
            Self::ChannelBindingWithheld => "SCRAM channel binding negotiation error".to_owned(),
            Self::ClientMalformed(Flaw::Length | Flaw::Nul) => "invalid password packet size".to_owned(),
            Self::ClientMalformed(_) => "malformed SCRAM message".to_owned(),
            Self::CredentialsMissing => {
                format!("the server asks for a password of user \"{user}\", and none is known here")
            }
            Self::CredentialsUnfit => format!(
                "the secret known here for user \"{user}\" does not fit the server's authentication method"
            ),
            Self::EmptyPassword => "empty password returned by client".to_owned(),
            Self::ExtensionMandatory => "client requires an unsupported SCRAM extension".to_owned(),
            Self::MechanismNotOffered => {
                "client selected an invalid SASL authentication mechanism".to_owned()
            }
            Self::MechanismsUnsupported | Self::MethodUnsupported(_) => {
                "the server asks for an authentication method that is not supported".to_owned()
            }
            Self::NonceMismatch => "invalid SCRAM response".to_owned(),
            Self::PasswordRejected(_) => format!("password authentication failed for user \"{user}\""),
            Self::IterationsExcessive(_) | Self::OutOfTurn(_) | Self::ServerMalformed(_) => {
                "the server broke the authentication protocol".to_owned()
            }
            Self::ServerSignatureWrong | Self::ServerUnproved => {
                "the server did not prove that it knows the password".to_owned()
            }
            Self::VerifierDiffers => {
                format!("the server keeps another SCRAM secret for user \"{user}\" than the one known here")
            }
        }
    }

    /// Who has to change something.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::AuthorizationIdentity
            | Self::ChannelBindingMismatch
            | Self::ChannelBindingUnknown
            | Self::ChannelBindingWithheld
            | Self::ClientMalformed(_)
            | Self::EmptyPassword
            | Self::ExtensionMandatory
            | Self::MechanismNotOffered
            | Self::NonceMismatch
            | Self::PasswordRejected(_) => Blame::Client,
            Self::CredentialsMissing | Self::CredentialsUnfit | Self::VerifierDiffers => Blame::Pgweir,
            Self::IterationsExcessive(_)
            | Self::MechanismsUnsupported
            | Self::MethodUnsupported(_)
            | Self::OutOfTurn(_)
            | Self::ServerMalformed(_)
            | Self::ServerSignatureWrong
            | Self::ServerUnproved => Blame::Server,
        }
    }
}

/// For the log: what happened, with the facts that a client must not see.
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthorizationIdentity => f.write_str("client sent an authorization identity"),
            Self::ChannelBindingMismatch => f.write_str("client is bound to another TLS channel"),
            Self::ChannelBindingUnknown => f.write_str("client asked for an unknown kind of channel binding"),
            Self::ChannelBindingWithheld => {
                f.write_str("client did not see our offer of channel binding: possible downgrade attack")
            }
            Self::ClientMalformed(flaw) => write!(f, "malformed message of the client: {flaw}"),
            Self::CredentialsMissing => f.write_str("server asks for a password and none is known"),
            Self::CredentialsUnfit => f.write_str("known secret does not fit the server's method"),
            Self::EmptyPassword => f.write_str("client sent an empty password"),
            Self::ExtensionMandatory => f.write_str("client requires a SCRAM extension"),
            Self::IterationsExcessive(count) => write!(f, "server asks for {count} SCRAM iterations"),
            Self::MechanismNotOffered => f.write_str("client chose a SASL mechanism that was not offered"),
            Self::MechanismsUnsupported => f.write_str("server offers no SASL mechanism known here"),
            Self::MethodUnsupported(code) => write!(f, "server asks for authentication method {code}"),
            Self::NonceMismatch => f.write_str("client's proof is about another nonce"),
            Self::OutOfTurn(code) => write!(f, "server sent authentication request {code} out of turn"),
            Self::PasswordRejected(rejection) => write!(f, "password rejected: {rejection}"),
            Self::ServerMalformed(flaw) => write!(f, "malformed message of the server: {flaw}"),
            Self::ServerSignatureWrong => f.write_str("server's signature is wrong"),
            Self::ServerUnproved => f.write_str("server declared success before it signed"),
            Self::VerifierDiffers => f.write_str("server keeps another SCRAM secret than the proven one"),
        }
    }
}

impl std::error::Error for AuthError {}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretUnfit => "the stored secret cannot serve the method",
            Self::UserUnknown => "no such user, or the user has no password",
            Self::WrongPassword => "wrong password",
        })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(letter) => write!(f, "attribute \"{letter}\" is missing or out of order"),
            Self::ChannelBindingFlag => f.write_str("unexpected channel-binding flag"),
            Self::ChannelBindingMechanism => f.write_str("channel-binding flag contradicts the mechanism"),
            Self::Iterations => f.write_str("iteration count is not a positive number"),
            Self::Length => f.write_str("length disagrees with the message"),
            Self::Nonce => f.write_str("unacceptable nonce"),
            Self::Nul => f.write_str("NUL byte misplaced or missing"),
            Self::Proof => f.write_str("proof is not 32 bytes of base64"),
            Self::Salt => f.write_str("unacceptable salt"),
            Self::Signature => f.write_str("signature is not 32 bytes of base64"),
        }
    }
}

#[cfg(test)]
mod tests;
