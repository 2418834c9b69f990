//! TLS on both sides, with libpq's names for how much is demanded of it.
//!
//! Why here: certificates are files, and the rest of the proxy should only ever see a [`crate::stream::Stream`].
//! Invariants: the provider of cryptography is passed on explicitly, since a process-wide default panics when two
//! are linked in; a certificate that was asked for and cannot be read is an error and never plain text.
//! Absent: revocation lists, and client certificates as a way to log in: here they only guard the door.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

mod client;
mod server;
#[cfg(test)]
mod tests;
mod verify;

pub use client::{Attempt, TlsClient};
pub(crate) use server::Opening;
pub use server::TlsServer;

/// The protocol name of PostgreSQL in TLS (ALPN). Manual: Frontend/Backend Protocol, "SSL Session Encryption".
const ALPN: &[u8] = b"postgresql";

/// The files TLS is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities that may sign the peer's certificate.
    pub authority: Option<PathBuf>,
    /// Our own certificate, and the intermediate ones behind it.
    pub certificate: Option<PathBuf>,
    /// The key of our certificate.
    pub key: Option<PathBuf>,
}

/// Why TLS cannot be set up from the files that were named.
#[derive(Debug)]
pub enum TlsError {
    /// No certificate authority is named, though one must be verified against.
    AuthorityMissing,
    /// A certificate authority in this file cannot be used.
    AuthorityUnusable(PathBuf, rustls::Error),
    /// Certificate and key do not fit each other, or are of a kind that is not supported.
    CertificateUnusable(PathBuf, rustls::Error),
    /// The file cannot be read, or holds nothing of the kind that was looked for.
    Unreadable(PathBuf, pem::Error),
    /// The trust anchors cannot be used.
    VerifierUnusable(rustls::server::VerifierBuilderError),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthorityMissing => f.write_str("tls_mode verifies certificates, but tls_ca names no file"),
            Self::AuthorityUnusable(file, error) => {
                write!(f, "certificate authority in {} cannot be used: {error}", file.display())
            }
            Self::CertificateUnusable(file, error) => {
                write!(f, "certificate in {} cannot be used: {error}", file.display())
            }
            Self::Unreadable(file, pem::Error::Io(error)) => {
                write!(f, "cannot read {}: {error}", file.display())
            }
            Self::Unreadable(file, error) => write!(f, "no usable PEM in {}: {error}", file.display()),
            Self::VerifierUnusable(error) => write!(f, "certificates cannot be verified: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(file.to_owned(), error);
    let found = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let certificates = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| TlsError::Unreadable(file.to_owned(), error))
}

fn read_authorities(file: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(file)? {
        roots.add(certificate).map_err(|error| TlsError::AuthorityUnusable(file.to_owned(), error))?;
    }
    Ok(Arc::new(roots))
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
