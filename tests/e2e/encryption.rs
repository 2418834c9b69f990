//! TLS and Unix sockets, towards clients and towards servers.
//!
//! On Debian's PostgreSQL, since the wheel's has no TLS; the clients are its psql, and psycopg for what that is too old for.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgweir_sandbox::{Authority, Binaries, Certificate};

use crate::harness::{Setup, Site};
use crate::programs::{Finished, Login, Running, from_environment, tool};

#[test]
fn clients_are_encrypted_as_they_and_the_settings_want() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let setup = with_certificate();
    let cluster = setup.cluster();
    let files = Files(cluster.directory().to_owned());
    files.put("server", &authority.issue(&["127.0.0.1", "localhost"]));
    files.put("stranger", &stranger.issue(&["127.0.0.1"]));
    let site = setup.before(cluster);
    let trusted = files.path("server.ca");
    let root = |file: &str| format!("sslrootcert={file}");

    for mode in ["allow", "prefer", "require"] {
        site.pgweir.reload(&setup.clone().set("listen", "tls_mode", &format!("\"{mode}\"")).text_for(&site));
        encrypted(&ask(&site, "sslmode=require"));
        encrypted(&ask(&site, &format!("sslmode=verify-full {}", root(&trusted))));
        ask(&site, &format!("sslmode=verify-full {}", root(&files.path("stranger.ca"))))
            .failed_with("SSL error");
        let plain = ask(&site, "sslmode=disable");
        if mode == "require" {
            plain.failed_with("FATAL");
        } else {
            assert_eq!(plain.printed(), "off", "{mode}: {plain}");
        }
    }
    site.pgweir.reload(&setup.clone().set("listen", "tls_mode", "\"disable\"").text_for(&site));
    ask(&site, "sslmode=require").failed_with("server does not support SSL");
    assert_eq!(ask(&site, "sslmode=prefer").printed(), "off");
}

#[test]
fn a_reload_takes_up_a_new_certificate_and_leaves_open_sessions() {
    let (old, new) = (Authority::new(), Authority::new());
    let setup = with_certificate();
    let cluster = setup.cluster();
    let files = Files(cluster.directory().to_owned());
    files.put("server", &old.issue(&["127.0.0.1"]));
    let site = setup.before(cluster);
    let (old_root, new_root) = (files.path("old.ca"), files.path("new.ca"));
    fs::write(&old_root, old.certificate_pem()).expect("the file is written");
    fs::write(&new_root, new.certificate_pem()).expect("the file is written");
    let verify = |root: &str| format!("sslmode=verify-full sslrootcert={root}");
    encrypted(&ask(&site, &verify(&old_root)));
    let open = psql(&site, &verify(&old_root), "SELECT pg_sleep(600), 'sleeps'");
    let sleepers = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%sleeps%' \
                    AND pid <> pg_backend_pid()";
    let sleeping = || site.cluster.primary().query("postgres", sleepers).expect("it answers").value() == "1";
    site.wait_for("the statement runs", sleeping);

    files.put("server", &new.issue(&["127.0.0.1"]));
    site.pgweir.reload(&setup.text_for(&site));
    encrypted(&ask(&site, &verify(&new_root)));
    ask(&site, &verify(&old_root)).failed_with("SSL error");
    assert!(sleeping(), "the session that was open goes on");

    // A certificate that cannot be used changes nothing.
    fs::write(files.path("server.crt"), "no certificate").expect("the file is written");
    let complaints = || site.pgweir.log().matches("the old configuration stays in force").count();
    let before = complaints();
    site.pgweir.hang_up();
    site.wait_for("the reload is refused", || complaints() > before);
    encrypted(&ask(&site, &verify(&new_root)));
    open.interrupt();
    open.finish_anyhow().failed_with("canceling statement due to user request");
}

#[test]
fn clients_show_certificates_where_they_are_demanded() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for mode in ["verify-ca", "verify-full"] {
        let setup = with_certificate().set("listen", "tls_mode", &format!("\"{mode}\"")).set(
            "listen",
            "tls_ca",
            "\"server.ca\"",
        );
        let cluster = setup.cluster();
        let files = Files(cluster.directory().to_owned());
        files.put("server", &authority.issue(&["127.0.0.1"]));
        files.put("client", &authority.issue(&["postgres"]));
        files.put("foreign", &stranger.issue(&["postgres"]));
        let site = setup.before(cluster);
        let shows = |name: &str| {
            let (certificate, key) = (files.path(&format!("{name}.crt")), files.path(&format!("{name}.key")));
            ask(&site, &format!("sslmode=require sslcert={certificate} sslkey={key}"))
        };
        encrypted(&shows("client"));
        assert!(!shows("foreign").status.success(), "{mode}: another authority's certificate");
        assert!(!ask(&site, "sslmode=require").status.success(), "{mode}: no certificate");
        assert!(!ask(&site, "sslmode=disable").status.success(), "{mode}: no TLS");
    }
}

#[test]
fn tls_may_begin_without_asking() {
    let python = from_environment("PGWEIR_PYTHON");
    let authority = Authority::new();
    let setup = with_certificate();
    let cluster = setup.cluster();
    let files = Files(cluster.directory().to_owned());
    files.put("server", &authority.issue(&["127.0.0.1"]));
    let site = setup.before(cluster);
    let mut command = Command::new(python);
    command.args(["-B", "-c", DIRECT_TLS]).arg(files.path("server.ca"));
    Login::superuser(site.pgweir.port()).apply(&mut command);
    Running::start(site.cluster.directory(), "direct-tls", command).finish();
}

/// Direct TLS with psycopg's libpq, and by hand without the ALPN that it needs.
const DIRECT_TLS: &str = r#"
import os, socket, ssl, sys
import psycopg
root = sys.argv[1]
options = f"sslnegotiation=direct sslmode=verify-full sslrootcert={root} gssencmode=disable"
with psycopg.connect(options) as connection:
    assert connection.pgconn.ssl_in_use
    assert connection.execute("SELECT 1").fetchone() == (1,)
context = ssl.create_default_context(cafile=root)
for protocols in ([], ["http/1.1"]):
    if protocols:
        context.set_alpn_protocols(protocols)
    with socket.create_connection((os.environ["PGHOST"], int(os.environ["PGPORT"]))) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(bytes.fromhex("0000000804d2162f"))
                assert tls.recv(1) == b"", "nothing is said without ALPN"
        except (ssl.SSLError, ConnectionError):
            pass
"#;

#[test]
fn servers_are_encrypted_as_the_settings_want() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let plain_servers = newest_with_tls();
    let setup = plain_servers.clone().standbys(1).servers(|servers| {
        servers.tls = Some(authority.issue(&["127.0.0.1", "localhost"]));
    });
    let cluster = setup.cluster();
    let files = Files(cluster.directory().to_owned());
    files.put("authority", &authority.issue(&["x"]));
    files.put("stranger", &stranger.issue(&["x"]));
    let of = |mode: &str, authority: &str| {
        setup.clone().set("cluster.main", "tls_mode", &format!("\"{mode}\"")).set(
            "cluster.main",
            "tls_ca",
            &format!("\"{authority}\""),
        )
    };
    let mut cluster = Some(cluster);
    for (mode, authority, expected) in [
        ("disable", "", "f"),
        ("allow", "", "f"),
        ("prefer", "", "t"),
        ("require", "", "t"),
        ("verify-ca", "authority.ca", "t"),
        ("verify-full", "authority.ca", "t"),
    ] {
        let site = of(mode, authority).before(cluster.take().expect("it was put back"));
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let on_primary = psql(&site, "sslmode=disable", &format!("BEGIN; {query}")).finish();
        assert_eq!(on_primary.printed(), expected, "{mode}: {on_primary}");
        let Site { pgweir, cluster: again } = site;
        drop(pgweir);
        cluster = Some(again);
    }
    // A server of another authority is not believed, and then nobody is served.
    let site = of("verify-ca", "stranger.ca")
        .before_unready(cluster.take().expect("it was put back"), |nodes| nodes);
    site.wait_for("the servers are not believed", || {
        site.pgweir.log().contains("its certificate is not trusted")
    });
    assert_eq!(site.pgweir.page("/readyz").map(|(status, _)| status), Some(503));
}

#[test]
fn servers_that_demand_tls_are_served_by_default() {
    let authority = Authority::new();
    let setup = newest_with_tls().standbys(1).servers(|servers| {
        servers.tls = Some(authority.issue(&["127.0.0.1"]));
        servers.tls_required = true;
    });
    for mode in ["allow", "prefer"] {
        let site = setup.clone().set("cluster.main", "tls_mode", &format!("\"{mode}\"")).start();
        assert_eq!(ask(&site, "sslmode=disable").printed(), "off", "{mode}");
    }
    let site = setup
        .clone()
        .set("cluster.main", "tls_mode", "\"disable\"")
        .before_unready(setup.cluster(), |nodes| nodes);
    site.wait_for("the servers refuse", || site.pgweir.log().contains("does not accept the monitor"));
}

#[test]
fn unix_sockets_on_both_sides() {
    let setup = Setup::newest().standbys(1);
    let cluster = setup.cluster();
    let directory = cluster.directory().to_str().expect("a plain path").to_owned();
    let setup = setup.set("listen", "unix_socket_dir", &format!("\"{directory}\"")).set(
        "listen",
        "unix_socket_mode",
        "\"0700\"",
    );
    let site = setup.before_unready(cluster, |mut nodes| {
        for node in &mut nodes {
            node.address = node.address.replace("127.0.0.1", &directory);
        }
        nodes
    });
    site.pgweir.wait_ready();
    site.wait_serving(&site.cluster.standbys());
    let login = Login { host: &directory, ..Login::superuser(site.pgweir.port()) };
    // Neither side has an address there.
    let query = "BEGIN; SELECT coalesce(inet_client_addr()::text, 'a socket')";
    let finished = tool(&site.cluster, "psql", &login, &["-XAtqc", query]).finish();
    assert_eq!(finished.printed(), "a socket");
    let socket = Path::new(&directory).join(format!(".s.PGSQL.{}", site.pgweir.port()));
    let mode = fs::metadata(&socket).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let mut site = site;
    site.pgweir.process().terminate();
    assert!(site.pgweir.wait_ended().success());
    assert!(!socket.exists(), "pgweir takes its socket away");
}

/// The newest PostgreSQL that was built with TLS.
fn newest_with_tls() -> Setup {
    let installed = Binaries::installed();
    let binaries = installed.iter().find(|binaries| binaries.tls());
    Setup::on(binaries.expect("a PostgreSQL with TLS is installed, as Debian's is"))
}

/// pgweir has a certificate; what it says is up to the test.
fn with_certificate() -> Setup {
    newest_with_tls().set("listen", "tls_cert", "\"server.crt\"").set("listen", "tls_key", "\"server.key\"")
}

/// Certificates in the directory that the settings lie in.
struct Files(PathBuf);

impl Files {
    fn put(&self, name: &str, certificate: &Certificate) {
        let put = |kind: &str, text: &str| {
            let path = self.path(&format!("{name}.{kind}"));
            fs::write(&path, text).expect("the file is written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
        };
        put("crt", &certificate.certificate_pem);
        put("key", &certificate.key_pem);
        put("ca", &certificate.authority_pem);
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain path").to_owned()
    }
}

/// Starts psql with these options of libpq.
fn psql(site: &Site, options: &str, query: &str) -> Running {
    let arguments = ["-XAtq", "-c", query, options];
    tool(&site.cluster, "psql", &Login::superuser(site.pgweir.port()), &arguments)
}

/// Connects with these options, and says whether TLS is on: `on` or `off`.
fn ask(site: &Site, options: &str) -> Finished {
    let mut finished = psql(site, options, "\\conninfo").finish_anyhow();
    if finished.status.success() {
        let state = if finished.stdout.contains("SSL connection") { "on" } else { "off" };
        finished.stdout = state.to_owned();
    }
    finished
}

#[track_caller]
fn encrypted(finished: &Finished) {
    assert_eq!(finished.printed(), "on", "{finished}");
}
