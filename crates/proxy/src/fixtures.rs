//! What the tests of this crate share: configurations, certificates, and a peer that speaks in raw bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pgweir_auth::{Password, ServerCredentials};
use pgweir_config::{Config, NodeAddress};
use pgweir_wire::say::{self, Complaint, Severity};
use pgweir_wire::{BackendKey, ErrorFields, Header, TransactionStatus};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::dial::DialTarget;
use crate::handshake::Gate;
use crate::hashing::Hashing;
use crate::secrets::Secrets;
use crate::stream::Stream;
use crate::tls::{TlsClient, TlsFiles};

/// A directory with certificates in it: `ca.pem` signed `server.pem` and `client.pem` (both localhost and
/// 127.0.0.1) and `elsewhere.pem`; `other_ca.pem` signed nothing; `lone.pem` is its own authority.
pub(crate) fn certificates() -> TempDir {
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
    let ca = authority("ca");
    write("ca.pem", ca.pem());
    write("other_ca.pem", authority("other").pem());
    for (name, params) in [("server", hosts()), ("client", hosts()), ("elsewhere", elsewhere())] {
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &ca).unwrap();
        write(&format!("{name}.pem"), signed.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    let key = KeyPair::generate().unwrap();
    let mut params = hosts();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("lone.pem", params.self_signed(&key).unwrap().pem());
    write("lone.key", key.serialize_pem());
    dir
}

fn hosts() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

fn elsewhere() -> CertificateParams {
    CertificateParams::new(["elsewhere.example".to_owned()]).unwrap()
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Files in `dir`; an empty name is no file.
pub(crate) fn files(dir: &TempDir, authority: &str, certificate: &str, key: &str) -> TlsFiles {
    let file = |name: &str| (!name.is_empty()).then(|| dir.path().join(name));
    TlsFiles { authority: file(authority), certificate: file(certificate), key: file(key) }
}

/// A configuration with one cluster; `text` holds other sections.
pub(crate) fn config(text: &str, dir: &Path) -> Config {
    let text = format!("{text}\n[[cluster.main.node]]\naddress = \"127.0.0.1:5432\"\n");
    match Config::parse(&text, dir) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{errors}"),
    }
}

/// A gate for one configuration, whose cluster has no primary.
pub(crate) fn gate(config: Config) -> Gate {
    let config = Arc::new(config);
    let secrets = Secrets::load(&config, Arc::new(|_| None)).unwrap();
    Gate::new(&config, Arc::new(secrets), Hashing::new(2)).unwrap()
}

/// Both ends of a TCP connection; the first is the one that was accepted.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listen().await;
    let (host, port) = match &address {
        NodeAddress::Tcp { host, port } => (host.as_str(), *port),
        NodeAddress::Unix { .. } => unreachable!("listen() listens on TCP"),
    };
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect((host, port)));
    (accepted.unwrap().0, connected.unwrap())
}

/// A listener on a free port.
pub(crate) async fn listen() -> (TcpListener, NodeAddress) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, NodeAddress::Tcp { host: "127.0.0.1".to_owned(), port })
}

/// The next client of `listener`.
pub(crate) async fn accept(listener: &TcpListener) -> Stream {
    Stream::tcp(listener.accept().await.unwrap().0).unwrap()
}

/// Whom and where to dial; built once a test, borrowed by each dial.
pub(crate) struct Caller {
    pub(crate) address: NodeAddress,
    pub(crate) tls: TlsClient,
    pub(crate) user: String,
    pub(crate) credentials: ServerCredentials,
    hashing: Hashing,
}

impl Caller {
    pub(crate) fn new(address: NodeAddress, user: &str, password: &str) -> Self {
        let credentials = ServerCredentials::Plain(Password::new(password));
        let (tls, hashing) = (TlsClient::disabled(), Hashing::new(2));
        Self { address, tls, user: user.to_owned(), credentials, hashing }
    }

    pub(crate) fn target(&self) -> DialTarget<'_> {
        DialTarget {
            address: &self.address,
            tls: &self.tls,
            user: &self.user,
            database: "shop",
            credentials: &self.credentials,
            parameters: &[("application_name", "test")],
            timeout: Duration::from_secs(10),
            hashing: &self.hashing,
        }
    }
}

/// What a server says behind AuthenticationOk.
pub(crate) fn welcome() -> Vec<u8> {
    let mut out = Vec::new();
    say::parameter_status(&mut out, b"server_version", b"15.4");
    say::backend_key_data(&mut out, &BackendKey { process_id: 7, secret: vec![1, 2, 3, 4] });
    say::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

/// An ErrorResponse that ends the session.
pub(crate) fn fatal(sqlstate: &str, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    say::error(&mut out, &Complaint { severity: Severity::Fatal, sqlstate, message, hint: None });
    out
}

/// `bytes` behind a length word of their own: the shape of a first packet.
pub(crate) fn packet(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() + 4).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// A start-up message of protocol 3 with `minor`.
pub(crate) fn startup(minor: u8, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3, 0, minor];
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    packet(&body)
}

/// What a server said, for people: bare bytes as they are, errors with their code, other messages by type.
pub(crate) fn told(mut bytes: &[u8]) -> String {
    let mut words = Vec::new();
    while let [b'N' | b'S', rest @ ..] = bytes
        && !matches!(Header::read(bytes), Ok(Some(header)) if header.total() <= bytes.len())
    {
        words.push(char::from(bytes[0]).to_string());
        bytes = rest;
    }
    while let Ok(Some(header)) = Header::read(bytes) {
        let (message, rest) = bytes.split_at(header.total());
        let fields = ErrorFields::new(&message[5..]);
        words.push(match header.tag {
            b'E' => format!("FATAL {} {}", fields.sqlstate(), fields.message()),
            b'R' => format!("R{}", message[8]),
            tag => char::from(tag).to_string(),
        });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a message: {bytes:?}");
    words.join(", ")
}
