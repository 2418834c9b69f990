//! The messages of a login, both ways: requests with tag `R`, answers with tag `p`.
//!
//! Invariant: a body is read through checked splits only, and nothing may be left over.
//! Manual: Message Formats, "AuthenticationOk" and the ones after it, "PasswordMessage", "SASLInitialResponse".

use pgweir_wire::body::split_text;
use pgweir_wire::{BackendTag, FrontendTag, say};

use crate::Flaw;

/// What we ask of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationRequest {
    /// Send the password as it is.
    Cleartext,
    /// Send the MD5 hash of the stored hash and this salt.
    Md5 {
        /// The salt of this challenge.
        salt: [u8; 4],
    },
    /// Choose one of these SASL mechanisms and begin.
    Sasl {
        /// Names, the preferred one first.
        mechanisms: Vec<&'static str>,
    },
    /// Go on with this SASL message.
    SaslContinue(Vec<u8>),
    /// SASL is done; this is our proof.
    SaslFinal(Vec<u8>),
}

impl AuthenticationRequest {
    /// Appends the whole message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tag = BackendTag::Authentication.byte();
        match self {
            Self::Cleartext => say::frame(out, tag, &[&code::CLEARTEXT.to_be_bytes()]),
            Self::Md5 { salt } => say::frame(out, tag, &[&code::MD5.to_be_bytes(), salt]),
            Self::Sasl { mechanisms } => {
                let mut list = Vec::with_capacity(64);
                for mechanism in mechanisms {
                    list.extend_from_slice(mechanism.as_bytes());
                    list.push(0);
                }
                say::frame(out, tag, &[&code::SASL.to_be_bytes(), &list, b"\0"]);
            }
            Self::SaslContinue(text) => say::frame(out, tag, &[&code::SASL_CONTINUE.to_be_bytes(), text]),
            Self::SaslFinal(text) => say::frame(out, tag, &[&code::SASL_FINAL.to_be_bytes(), text]),
        }
    }

    /// Appends AuthenticationOk, which follows when the login is admitted.
    pub fn encode_ok(out: &mut Vec<u8>) {
        say::authentication_ok(out);
    }
}

/// What a server asks of us.
#[derive(Debug)]
pub(crate) enum ServerRequest<'a> {
    Ok,
    Cleartext,
    Md5 {
        salt: [u8; 4],
    },
    Sasl {
        scram_sha_256: bool,
    },
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos, GSSAPI, SSPI and whatever comes.
    Other(u32),
}

impl<'a> ServerRequest<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Flaw> {
        let (code, rest) = body.split_first_chunk::<4>().ok_or(Flaw::Length)?;
        match u32::from_be_bytes(*code) {
            code::OK if rest.is_empty() => Ok(Self::Ok),
            code::CLEARTEXT if rest.is_empty() => Ok(Self::Cleartext),
            code::OK | code::CLEARTEXT => Err(Flaw::Length),
            code::MD5 => rest.try_into().map(|salt| Self::Md5 { salt }).map_err(|_| Flaw::Length),
            code::SASL => offers_scram(rest).map(|scram_sha_256| Self::Sasl { scram_sha_256 }),
            code::SASL_CONTINUE => Ok(Self::SaslContinue(rest)),
            code::SASL_FINAL => Ok(Self::SaslFinal(rest)),
            other => Ok(Self::Other(other)),
        }
    }

    pub(crate) const fn code(&self) -> u32 {
        match self {
            Self::Ok => code::OK,
            Self::Cleartext => code::CLEARTEXT,
            Self::Md5 { .. } => code::MD5,
            Self::Sasl { .. } => code::SASL,
            Self::SaslContinue(_) => code::SASL_CONTINUE,
            Self::SaslFinal(_) => code::SASL_FINAL,
            Self::Other(code) => *code,
        }
    }
}

/// Walks the list of mechanisms: texts, and an empty one at the end.
fn offers_scram(mut list: &[u8]) -> Result<bool, Flaw> {
    let mut offered = false;
    loop {
        let (mechanism, rest) = split_text(list).ok_or(Flaw::Nul)?;
        if mechanism.is_empty() {
            return if rest.is_empty() { Ok(offered) } else { Err(Flaw::Length) };
        }
        offered |= mechanism == SCRAM_SHA_256.as_bytes();
        list = rest;
    }
}

/// The text of a PasswordMessage: everything before the one NUL at its end.
pub(crate) fn password_text(body: &[u8]) -> Result<&[u8], Flaw> {
    match split_text(body) {
        Some((text, [])) => Ok(text),
        Some(_) | None => Err(Flaw::Nul),
    }
}

/// A SASLInitialResponse: the chosen mechanism, and the first SASL message unless that comes separately.
pub(crate) fn sasl_initial_response(body: &[u8]) -> Result<(&[u8], Option<&[u8]>), Flaw> {
    let (mechanism, rest) = split_text(body).ok_or(Flaw::Nul)?;
    let (length, text) = rest.split_first_chunk::<4>().ok_or(Flaw::Length)?;
    match i32::from_be_bytes(*length) {
        -1 if text.is_empty() => Ok((mechanism, None)),
        length if usize::try_from(length) == Ok(text.len()) => Ok((mechanism, Some(text))),
        _ => Err(Flaw::Length),
    }
}

/// A PasswordMessage with `text`, ready to send.
pub(crate) fn encode_password(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 6);
    say::frame(&mut out, FrontendTag::Password.byte(), &[text, b"\0"]);
    out
}

/// A SASLInitialResponse that chooses SCRAM-SHA-256 and begins with `text`, ready to send.
pub(crate) fn encode_sasl_initial_response(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("our first SASL message is a nonce and a few letters");
    let mut out = Vec::with_capacity(text.len() + 32);
    let parts = [SCRAM_SHA_256.as_bytes(), b"\0", &length.to_be_bytes(), text];
    say::frame(&mut out, FrontendTag::Password.byte(), &parts);
    out
}

/// A SASLResponse with `text`, ready to send.
pub(crate) fn encode_sasl_response(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 5);
    say::frame(&mut out, FrontendTag::Password.byte(), &[text]);
    out
}

/// The mechanism of RFC 7677.
pub(crate) const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The same, bound to the TLS channel.
pub(crate) const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

mod code {
    pub(super) const OK: u32 = 0;
    pub(super) const CLEARTEXT: u32 = 3;
    pub(super) const MD5: u32 = 5;
    pub(super) const SASL: u32 = 10;
    pub(super) const SASL_CONTINUE: u32 = 11;
    pub(super) const SASL_FINAL: u32 = 12;
}
