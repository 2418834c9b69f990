//! TLS towards servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use pgweir_config::TlsMode;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::verify::{Authorities, Belief, Verifier};
use super::{ALPN, TlsError, TlsFiles, provider, read_authorities, read_certificates, read_key};
use crate::stream::Stream;

/// How connections to the servers of one cluster are encrypted.
#[derive(Clone)]
pub struct TlsClient {
    mode: TlsMode,
    /// Missing only where no attempt needs it.
    connector: Option<TlsConnector>,
}

/// One try at a connection. libpq's modes are lists of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Plain text.
    Plain,
    /// TLS, or plain text where the server does not offer it.
    Preferred,
    /// TLS or nothing.
    Required,
}

impl TlsClient {
    /// Plain text only.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { mode: TlsMode::Disable, connector: None }
    }

    /// Reads the certificates that `files` names. As with libpq, an authority that is named is verified against
    /// in every mode that reaches TLS; the server's host only in `verify-full`.
    ///
    /// # Errors
    /// A file that is named and cannot be used, or none named where one is needed.
    pub fn load(mode: TlsMode, files: &TlsFiles) -> Result<Self, TlsError> {
        if mode == TlsMode::Disable {
            return Ok(Self::disabled());
        }
        let provider = provider();
        let verifier =
            Verifier { belief: belief(mode, files)?, algorithms: provider.signature_verification_algorithms };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)
                .map_err(|error| TlsError::CertificateUnusable(certificate.clone(), error))?,
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Server connections live for an hour: tickets would only cost memory.
        config.resumption = Resumption::disabled();
        Ok(Self { mode, connector: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// What to try, in order, as libpq does. Servers never offer TLS on a Unix socket.
    #[must_use]
    pub fn attempts(&self, unix: bool) -> &'static [Attempt] {
        match self.mode {
            _ if unix => &[Attempt::Plain],
            TlsMode::Disable => &[Attempt::Plain],
            TlsMode::Allow => &[Attempt::Plain, Attempt::Required],
            TlsMode::Prefer => &[Attempt::Preferred, Attempt::Plain],
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => &[Attempt::Required],
        }
    }

    /// Shakes hands with the server `host`, which has agreed to it.
    pub(crate) async fn connect(&self, socket: TcpStream, host: &str) -> io::Result<Stream> {
        let connector = self.connector.as_ref().expect("only attempts with TLS come here, and they have one");
        let tls = connector.connect(server_name(host, self.mode)?, socket).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(tls))))
    }
}

/// The name to verify and to announce (SNI). A host that is no valid name can still be encrypted to.
fn server_name(host: &str, mode: TlsMode) -> io::Result<ServerName<'static>> {
    match ServerName::try_from(host.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) if mode != TlsMode::VerifyFull => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
    }
}

fn belief(mode: TlsMode, files: &TlsFiles) -> Result<Belief, TlsError> {
    let authorities = match files.authority.as_deref() {
        Some(file) => Some(Authorities { roots: read_authorities(file)?, listed: read_certificates(file)? }),
        None => None,
    };
    match (mode, authorities) {
        (TlsMode::VerifyFull, Some(authorities)) => Ok(Belief::ChainAndHost(authorities)),
        (TlsMode::VerifyCa | TlsMode::VerifyFull, None) => Err(TlsError::AuthorityMissing),
        (_, Some(authorities)) => Ok(Belief::Chain(authorities)),
        (_, None) => Ok(Belief::Anyone),
    }
}
