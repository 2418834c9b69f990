//! TLS on both sides: our `dial`, or a bare TLS client, at our own gate.

use pgweir_config::TlsMode;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::dial::{DialError, dial};
use crate::fixtures::{Caller, accept, certificates, files, listen, tcp_pair, welcome};
use crate::tls::TlsClient;

fn tls_gate(dir: &TempDir, certificate: &str, mode: &str, more: &str) -> Gate {
    let served = match certificate {
        "" => String::new(),
        name => format!("tls_cert = \"{name}.pem\"\ntls_key = \"{name}.key\""),
    };
    let text = format!("[auth]\nmethod = \"trust\"\n[listen]\ntls_mode = \"{mode}\"\n{served}\n{more}");
    fixtures::gate(fixtures::config(&text, dir.path()))
}

/// Dials `gate` and says whether both see TLS; the error otherwise. A client may try more than once.
async fn meet(gate: Gate, tls: TlsClient) -> Result<bool, DialError> {
    let (listener, address) = listen().await;
    let mut caller = Caller::new(address, "ann", "x");
    caller.tls = tls;
    let served = tokio::spawn(async move {
        loop {
            let Ok(Arrival::Client(mut client)) = admit(accept(&listener).await, &gate).await else {
                continue;
            };
            client.unsent.extend_from_slice(&welcome());
            client.stream.write_all(&client.unsent).await.unwrap();
            client.stream.flush().await.unwrap();
            return client.stream.is_tls();
        }
    });
    match dial(caller.target()).await {
        Ok(dialed) => {
            assert_eq!(dialed.stream.is_tls(), served.await.unwrap());
            Ok(dialed.stream.is_tls())
        }
        Err(error) => {
            served.abort();
            Err(error)
        }
    }
}

fn said(outcome: Result<bool, DialError>) -> String {
    match outcome {
        Ok(true) => "TLS".to_owned(),
        Ok(false) => "plain".to_owned(),
        Err(DialError::Refused { sqlstate, .. }) => sqlstate.to_string(),
        Err(DialError::Tls(error)) => {
            let text = error.to_string();
            text.split(": ").last().unwrap_or_default().split(" (").next().unwrap_or_default().to_owned()
        }
        Err(other) => other.to_string(),
    }
}

#[tokio::test]
async fn modes_of_both_sides_meet_as_in_libpq() {
    let dir = certificates();
    let none = "the server does not offer TLS";
    for (served, mode, client, outcome) in [
        ("server", "prefer", TlsMode::Disable, "plain"),
        ("server", "prefer", TlsMode::Allow, "plain"),
        ("server", "prefer", TlsMode::Prefer, "TLS"),
        ("server", "prefer", TlsMode::Require, "TLS"),
        ("server", "require", TlsMode::Disable, "28000"),
        ("server", "require", TlsMode::Allow, "TLS"),
        ("server", "require", TlsMode::Prefer, "TLS"),
        ("server", "disable", TlsMode::Prefer, "plain"),
        ("server", "disable", TlsMode::Require, none),
        ("", "prefer", TlsMode::Prefer, "plain"),
        ("", "prefer", TlsMode::Require, none),
    ] {
        let tls = TlsClient::load(client, &files(&dir, "", "", "")).unwrap();
        let met = meet(tls_gate(&dir, served, mode, ""), tls).await;
        assert_eq!(said(met), outcome, "{served} {mode} {client}");
    }
}

#[tokio::test]
async fn certificates_of_servers_are_believed_as_far_as_the_mode_says() {
    let dir = certificates();
    for (served, client, authority, outcome) in [
        ("server", TlsMode::VerifyCa, "ca.pem", "TLS"),
        ("server", TlsMode::VerifyFull, "ca.pem", "TLS"),
        ("server", TlsMode::VerifyCa, "other_ca.pem", "UnknownIssuer"),
        ("server", TlsMode::Require, "other_ca.pem", "UnknownIssuer"),
        ("server", TlsMode::Prefer, "other_ca.pem", "plain"),
        ("elsewhere", TlsMode::VerifyCa, "ca.pem", "TLS"),
        ("elsewhere", TlsMode::VerifyFull, "ca.pem", "certificate not valid for name \"127.0.0.1\""),
        ("lone", TlsMode::Require, "", "TLS"),
        ("lone", TlsMode::VerifyFull, "lone.pem", "TLS"),
        ("lone", TlsMode::VerifyCa, "ca.pem", "Other(OtherError(CaUsedAsEndEntity))"),
    ] {
        let tls = TlsClient::load(client, &files(&dir, authority, "", "")).unwrap();
        let met = said(meet(tls_gate(&dir, served, "prefer", ""), tls).await);
        assert!(met.starts_with(outcome), "{served} {client} {authority}: {met}");
    }
}

#[tokio::test]
async fn clients_show_certificates_where_they_must() {
    let dir = certificates();
    for (certificate, key, welcome) in
        [("client.pem", "client.key", true), ("lone.pem", "lone.key", false), ("", "", false)]
    {
        let gate = tls_gate(&dir, "server", "verify-full", "tls_ca = \"ca.pem\"");
        let tls = TlsClient::load(TlsMode::Require, &files(&dir, "", certificate, key)).unwrap();
        assert_eq!(meet(gate, tls).await.is_ok(), welcome, "{certificate}");
    }
}

#[tokio::test]
async fn a_plain_client_is_told_that_tls_is_demanded() {
    let dir = certificates();
    let gate = tls_gate(&dir, "server", "require", "");
    let (accepted, mut client) = tcp_pair().await;
    client.write_all(&startup(0, &[("user", "ann")])).await.unwrap();
    let outcome = admit(Stream::tcp(accepted).unwrap(), &gate).await;
    assert_eq!(code(&outcome), "28000");
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(told(&heard), "FATAL 28000 connections without TLS are not accepted here");
}

#[tokio::test]
async fn what_is_injected_before_the_handshake_is_not_heard() {
    let dir = certificates();
    let gate = tls_gate(&dir, "server", "prefer", "");
    let login = startup(0, &[("user", "mallory")]);
    let request = packet(hostile::SSL_REQUEST);

    // Along with the request.
    let (accepted, mut client) = tcp_pair().await;
    client.write_all(&[&request[..], &login[..]].concat()).await.unwrap();
    let outcome = admit(Stream::tcp(accepted).unwrap(), &gate).await;
    assert_eq!(code(&outcome), "08P01");
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(told(&heard), "FATAL 08P01 received unencrypted data after SSL request");

    // Once the request was granted.
    let (accepted, mut client) = tcp_pair().await;
    let inject = async {
        client.write_all(&request).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'S');
        client.write_all(&login).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(admit(Stream::tcp(accepted).unwrap(), &gate), inject);
    assert!(matches!(outcome, Err(Turned::TlsFailed(_))), "{}", code(&outcome));
}

/// A TLS handshake without an SSLRequest in front of it, as `sslnegotiation=direct` begins.
async fn direct(dir: &TempDir, socket: TcpStream, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.path().join("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

#[tokio::test]
async fn direct_tls_needs_its_protocol_named() {
    let dir = certificates();
    for (alpn, outcome) in [(&[&b"postgresql"[..]][..], "client"), (&[], "08P01"), (&[b"http/1.1"], "08P01")]
    {
        let gate = tls_gate(&dir, "server", "require", "");
        let (accepted, connected) = tcp_pair().await;
        let client = async {
            let mut tls = direct(&dir, connected, alpn).await.ok()?;
            tls.write_all(&startup(2, &[("user", "ann")])).await.ok()?;
            // Neither request for encryption has a place under TLS; the connection stays open meanwhile.
            Some(tls)
        };
        let (arrival, _tls) = tokio::join!(admit(Stream::tcp(accepted).unwrap(), &gate), client);
        assert_eq!(code(&arrival), outcome, "{alpn:?}");
        if let Ok(Arrival::Client(client)) = arrival {
            assert!(client.stream.tls_text().starts_with("TLSv1.3/TLS_"), "{}", client.stream.tls_text());
        }
    }
}

#[tokio::test]
async fn nothing_asks_for_encryption_under_tls() {
    let dir = certificates();
    for (request, version) in [(hostile::SSL_REQUEST, "1234.5679"), (hostile::GSSENC_REQUEST, "1234.5680")] {
        let gate = tls_gate(&dir, "server", "prefer", "");
        let (accepted, connected) = tcp_pair().await;
        let client = async {
            let mut tls = direct(&dir, connected, &[b"postgresql"]).await.unwrap();
            tls.write_all(&packet(request)).await.unwrap();
            let mut heard = Vec::new();
            tls.read_to_end(&mut heard).await.unwrap();
            told(&heard)
        };
        let (arrival, heard) = tokio::join!(admit(Stream::tcp(accepted).unwrap(), &gate), client);
        assert_eq!(code(&arrival), "0A000");
        let text = format!("FATAL 0A000 unsupported frontend protocol {version}: server supports 3.0 to 3.2");
        assert_eq!(heard, text);
    }
}
