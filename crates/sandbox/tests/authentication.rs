//! Clusters with passwords and with TLS, as real clients see them.
#![allow(clippy::unwrap_used, reason = "a test may panic, also in what its tests share")]

mod support;

use pgweir_sandbox::client::{Address, Client};
use pgweir_sandbox::{Authority, Binaries, Cluster, ClusterSettings, Hba, SandboxError};
use support::each_major;

#[test]
fn each_method_asks_for_its_proof() {
    each_major(|binaries| {
        for (hba, code) in [(Hba::Password, 3), (Hba::Md5, 5), (Hba::ScramSha256, 10)] {
            let settings = ClusterSettings { hba, ..ClusterSettings::default() };
            let cluster = Cluster::start(binaries, &settings).unwrap();
            let address = Address::Tcp(cluster.primary().address());
            let error = Client::connect(&address, "postgres", "postgres").unwrap_err();
            let SandboxError::AuthenticationUnsupported { code: asked } = error else {
                panic!("{hba:?}: {error}")
            };
            assert_eq!(asked, code, "{hba:?}");
            assert_eq!(psql_over_tcp(&cluster, "SELECT 1", "").unwrap(), "1");
        }
    });
}

#[test]
fn a_plain_password_opens_the_door_and_a_wrong_one_does_not() {
    let settings = ClusterSettings { hba: Hba::Password, ..ClusterSettings::with_standbys(1) };
    let cluster = Cluster::start(&Binaries::newest().unwrap(), &settings).unwrap();
    for node in cluster.nodes() {
        let log_in = |password| {
            let parameters = [("user", "postgres"), ("database", "postgres"), ("application_name", "test")];
            Client::connect_with(&Address::Tcp(node.address()), &parameters, Some(password))
        };
        let client = log_in("postgres").unwrap();
        assert_eq!(client.parameter("application_name"), Some("test"));
        assert_eq!(client.transaction_status(), 'I');
        assert_eq!(log_in("wrong").unwrap_err().sqlstate(), Some("28P01"));
    }
}

#[test]
fn a_server_with_tls_proves_who_it_is() {
    let Some(binaries) = Binaries::installed().into_iter().find(Binaries::tls) else {
        eprintln!("no installed PostgreSQL has TLS");
        return;
    };
    let authority = Authority::new();
    let settings = ClusterSettings {
        tls: Some(authority.issue(&["localhost", "127.0.0.1"])),
        tls_required: true,
        ..ClusterSettings::default()
    };
    let cluster = Cluster::start(&binaries, &settings).unwrap();
    let root = cluster.directory().join("root.crt");
    std::fs::write(&root, authority.certificate_pem()).unwrap();
    let verified = format!("sslmode=verify-full sslrootcert={}", root.display());
    let tls = psql_over_tcp(&cluster, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &verified);
    assert_eq!(tls.unwrap(), "t");
    assert!(psql_over_tcp(&cluster, "SELECT 1", "sslmode=disable").is_err());
    std::fs::write(&root, Authority::new().certificate_pem()).unwrap();
    assert!(psql_over_tcp(&cluster, "SELECT 1", &verified).is_err(), "signed by somebody else");
}

fn psql_over_tcp(cluster: &Cluster, sql: &str, options: &str) -> Result<String, String> {
    let conninfo = format!("{} {options}", cluster.primary().connection_string("postgres"));
    let output = std::process::Command::new(cluster.primary().binaries().tool("psql"))
        .args(["-XAtc", sql, &conninfo])
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}
