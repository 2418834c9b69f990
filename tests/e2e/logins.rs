//! How clients prove who they are, and how pgweir proves it to the servers.

mod lookup;

use std::fs;

use pgweir_sandbox::{Client, Hba, SandboxError};

use crate::harness::{Setup, Site};
use crate::programs::{Finished, Login, tool};

#[test]
fn each_method_takes_the_secrets_that_it_can_use() {
    let setup = Setup::newest().set("auth", "users_file", "\"users.txt\"");
    let method = |method: &str| setup.clone().set("auth", "method", &format!("\"{method}\""));
    let cluster = setup.cluster();
    let mut users = "\"plain\" \"pass \"\"word\"\"\"\n".to_owned();
    for (role, encryption) in [("hashed", "md5"), ("verified", "scram-sha-256")] {
        let create = format!(
            "SET password_encryption = '{encryption}'; CREATE ROLE {role} LOGIN PASSWORD 'pass \"word\"'"
        );
        cluster.primary().query("postgres", &create).expect("the role is created");
        let secret = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
        let secret = cluster.primary().query("postgres", &secret).expect("the secret is there");
        users += &format!("\"{role}\" \"{}\"\n", secret.value());
    }
    cluster.primary().query("postgres", "CREATE ROLE plain LOGIN").expect("the role is created");
    fs::write(cluster.directory().join("users.txt"), users).expect("the file is written");
    let site = method("password").before(cluster);

    for (name, may) in [
        ("password", ["plain", "hashed", "verified"].as_slice()),
        // As PostgreSQL does, MD5 becomes SCRAM where a verifier is stored.
        ("md5", &["plain", "hashed", "verified"]),
        ("scram-sha-256", &["plain", "verified"]),
    ] {
        site.pgweir.reload(&method(name).text_for(&site));
        for role in ["plain", "hashed", "verified"] {
            let login = |password| Login { user: role, password, ..Login::superuser(site.pgweir.port()) };
            let answer = attempt(&site, &login("pass \"word\""));
            if may.contains(&role) {
                assert_eq!(answer.printed(), role, "{name}: {answer}");
            } else {
                answer.failed_with(&format!("password authentication failed for user \"{role}\""));
            }
            attempt(&site, &login("wrong"))
                .failed_with(&format!("password authentication failed for user \"{role}\""));
        }
        let stranger = Login { user: "nobody", password: "x", ..Login::superuser(site.pgweir.port()) };
        attempt(&site, &stranger).failed_with("password authentication failed for user \"nobody\"");
    }
}

#[test]
fn a_wrong_password_has_the_code_of_postgresql() {
    let setup =
        Setup::newest().set("auth", "users_file", "\"users.txt\"").set("auth", "method", "\"password\"");
    let cluster = setup.cluster();
    fs::write(cluster.directory().join("users.txt"), "\"postgres\" \"right\"\n")
        .expect("the file is written");
    let site = setup.before(cluster);
    let parameters = [("user", "postgres"), ("database", "postgres")];
    let connect = |password| Client::connect_with(&site.pgweir.address(), &parameters, Some(password));
    assert_eq!(connect("right").expect("it is right").query("SELECT 1").expect("it answers").value(), "1");
    let Err(SandboxError::Server(error)) = connect("wrong") else { panic!("a wrong password is refused") };
    assert_eq!((error.sqlstate.as_str(), error.severity.as_str()), ("28P01", "FATAL"), "{error:?}");
    assert_eq!(error.message, "password authentication failed for user \"postgres\"");
}

#[test]
fn servers_are_logged_into_by_password_and_md5_and_scram() {
    for hba in [Hba::Password, Hba::Md5, Hba::ScramSha256] {
        let setup = Setup::newest()
            .servers(|servers| servers.hba = hba)
            .set("auth", "users_file", "\"users.txt\"")
            .set("auth", "method", "\"scram-sha-256\"")
            .set("cluster.main", "monitor_password", "\"postgres\"");
        let cluster = setup.cluster();
        cluster
            .primary()
            .query("postgres", "CREATE ROLE app LOGIN PASSWORD 'secret'")
            .expect("the role is created");
        let users = "\"app\" \"secret\"\n\"postgres\" \"not what the server thinks\"\n";
        fs::write(cluster.directory().join("users.txt"), users).expect("the file is written");
        let site = setup.before(cluster);
        let login = |user, password| Login { user, password, ..Login::superuser(site.pgweir.port()) };
        assert_eq!(attempt(&site, &login("app", "secret")).printed(), "app", "{hba:?}");
        // Good for us and not for the server: the client hears the server's own words.
        attempt(&site, &login("postgres", "not what the server thinks"))
            .failed_with("password authentication failed for user \"postgres\"");
        attempt(&site, &login("app", "wrong")).failed_with("password authentication failed for user \"app\"");
    }
}

#[test]
fn an_md5_hash_proves_a_client_to_us_and_us_to_the_server() {
    let setup = Setup::newest()
        .servers(|servers| servers.hba = Hba::Md5)
        .set("auth", "users_file", "\"users.txt\"")
        .set("auth", "method", "\"md5\"")
        .set("cluster.main", "monitor_password", "\"postgres\"");
    let cluster = setup.cluster();
    let ask = |sql: &str| cluster.primary().query("postgres", sql).expect("the primary answers");
    ask("CREATE ROLE app LOGIN PASSWORD 'secret'");
    let hash = ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'").value().to_owned();
    assert!(hash.starts_with("md5"), "{hash}");
    fs::write(cluster.directory().join("users.txt"), format!("\"app\" \"{hash}\"\n"))
        .expect("the file is written");
    let site = setup.before(cluster);
    let login = |password| Login { user: "app", password, ..Login::superuser(site.pgweir.port()) };
    assert_eq!(attempt(&site, &login("secret")).printed(), "app");
    attempt(&site, &login("wrong")).failed_with("password authentication failed for user \"app\"");
}

#[test]
fn whoever_is_trusted_still_needs_a_role_and_a_database_on_the_server() {
    let site = Setup::newest().start();
    site.cluster.primary().query("postgres", "CREATE ROLE app LOGIN").expect("the role is created");
    let login = |user, database| Login { user, database, ..Login::superuser(site.pgweir.port()) };
    assert_eq!(attempt(&site, &login("app", "postgres")).printed(), "app");
    attempt(&site, &login("nobody", "postgres")).failed_with("FATAL:  role \"nobody\" does not exist");
    attempt(&site, &login("app", "nowhere")).failed_with("FATAL:  database \"nowhere\" does not exist");
    let refused = site.try_connect("nobody", "postgres");
    assert!(matches!(refused, Err(SandboxError::Server(error)) if error.sqlstate == "28000"));
    let refused = site.try_connect("app", "nowhere");
    assert!(matches!(refused, Err(SandboxError::Server(error)) if error.sqlstate == "3D000"));
    // One who is refused does not keep the others out.
    assert_eq!(attempt(&site, &login("app", "postgres")).printed(), "app");
}

/// Logs in and says as whom.
fn attempt(site: &Site, login: &Login<'_>) -> Finished {
    tool(&site.cluster, "psql", login, &["-XAtqc", "SELECT session_user"]).finish_anyhow()
}

/// Changes something as superuser, on the primary itself.
fn on_primary(site: &Site, sql: &str) {
    site.cluster.primary().query("postgres", sql).expect("the primary does it");
}
