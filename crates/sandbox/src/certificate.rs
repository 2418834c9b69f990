//! Self-made certificates, for servers and proxies with TLS.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority made for one test; nothing outside trusts it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

/// A certificate with its private key, as PEM texts.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
    /// The authority that signed it.
    pub authority_pem: String,
}

impl Authority {
    /// Makes a new authority with a fresh key.
    pub fn new() -> Self {
        let mut params = named("pgweir sandbox authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = fresh_key();
        let certificate_pem = params.self_signed(&key).expect("the parameters are complete").pem();
        Self { issuer: Issuer::new(params, key), certificate_pem }
    }

    /// The authority's own certificate, for `sslrootcert` and its like.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for these host names and addresses, with the first as common name. For a client
    /// certificate, give the user's name.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        let mut params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
                .expect("callers give ASCII names");
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("localhost"));
        let key = fresh_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are complete");
        Certificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            authority_pem: self.certificate_pem.clone(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn fresh_key() -> KeyPair {
    KeyPair::generate().expect("the system gives random numbers")
}
