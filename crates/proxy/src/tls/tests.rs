use pgweir_config::TlsMode;

use super::*;
use crate::fixtures::{certificates, files};

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = certificates();
    std::fs::write(dir.path().join("empty.pem"), "not a certificate").unwrap();
    let unusable = |mode, (authority, certificate, key)| {
        let files = files(&dir, authority, certificate, key);
        let client = TlsClient::load(mode, &files).err().map(|error| error.to_string());
        let server = TlsServer::load(mode, &files).err().map(|error| error.to_string());
        (client.unwrap_or_default(), server.unwrap_or_default())
    };
    let both = |text: &str| (text.to_owned(), text.to_owned());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let nothing = |name: &str| both(&format!("no usable PEM in {}: no items found", path(name)));

    assert_eq!(unusable(TlsMode::Prefer, ("", "server.pem", "server.key")), both(""));
    assert_eq!(unusable(TlsMode::Prefer, ("", "empty.pem", "server.key")), nothing("empty.pem"));
    assert_eq!(unusable(TlsMode::Prefer, ("", "server.pem", "ca.pem")), nothing("ca.pem"));
    let missing = format!("cannot read {}: No such file or directory (os error 2)", path("none.pem"));
    assert_eq!(unusable(TlsMode::Prefer, ("", "none.pem", "server.key")), both(&missing));
    let (client, server) = unusable(TlsMode::Prefer, ("", "server.pem", "client.key"));
    assert!(
        client.starts_with(&format!("certificate in {} cannot be used: ", path("server.pem"))),
        "{client}"
    );
    assert_eq!(client, server);
    let authority = "tls_mode verifies certificates, but tls_ca names no file";
    assert_eq!(unusable(TlsMode::VerifyFull, ("", "server.pem", "server.key")), both(authority));
    assert_eq!(unusable(TlsMode::VerifyCa, ("empty.pem", "server.pem", "server.key")), nothing("empty.pem"));
}

#[test]
fn tls_that_is_off_reads_no_files() {
    let dir = certificates();
    let missing = files(&dir, "none.pem", "none.pem", "none.pem");
    assert_eq!(TlsClient::load(TlsMode::Disable, &missing).unwrap().attempts(false), [Attempt::Plain]);
    assert!(TlsServer::load(TlsMode::Disable, &missing).unwrap().is_none());
    assert!(TlsServer::load(TlsMode::Prefer, &TlsFiles::default()).unwrap().is_none());
}
