//! TLS towards clients.

use std::io;
use std::sync::Arc;

use pgweir_config::TlsMode;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{ALPN, TlsError, TlsFiles, broken, provider, read_authorities, read_certificates, read_key};
use crate::stream::Stream;

/// Answers a client's wish for TLS with one certificate. Certificates are read once, when it is made: a reload
/// makes another one, and sessions that are open keep what they have.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: TlsAcceptor,
}

/// How the client came to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It sent an SSLRequest first.
    Asked,
    /// It began with the TLS handshake (`sslnegotiation=direct`), where ALPN must prove that it means PostgreSQL.
    Direct,
}

impl TlsServer {
    /// Reads the certificate and key that `files` names; `None` when TLS is off or no certificate is named.
    ///
    /// # Errors
    /// A file that is named and cannot be used.
    pub fn load(mode: TlsMode, files: &TlsFiles) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else { return Ok(None) };
        if mode == TlsMode::Disable {
            return Ok(None);
        }
        let chain = read_certificates(certificate)?;
        let unusable = |error| TlsError::CertificateUnusable(certificate.clone(), error);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match mode {
            TlsMode::VerifyCa | TlsMode::VerifyFull => {
                let file = files.authority.as_deref().ok_or(TlsError::AuthorityMissing)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(read_authorities(file)?, provider());
                builder.with_client_cert_verifier(verifier.build().map_err(TlsError::VerifierUnusable)?)
            }
            TlsMode::Disable | TlsMode::Allow | TlsMode::Prefer | TlsMode::Require => {
                builder.with_no_client_auth()
            }
        };
        let mut config = builder.with_single_cert(chain, read_key(key)?).map_err(unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(config)) }))
    }

    /// Shakes hands on `socket`, of which nothing that belongs to TLS may have been read.
    pub(crate) async fn accept(&self, socket: TcpStream, opening: Opening) -> io::Result<Stream> {
        let tls = self.acceptor.accept(socket).await?;
        if opening == Opening::Direct && tls.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(broken("direct TLS without the ALPN protocol \"postgresql\""));
        }
        Ok(Stream::Tls(Box::new(TlsStream::Server(tls))))
    }
}
