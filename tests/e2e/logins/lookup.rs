//! Secrets that pgweir asks the primary for (auth_query), and logins that are passed through to the servers.

use std::fs;

use pgweir_sandbox::{Hba, StopMode};

use super::{attempt, on_primary};
use crate::harness::{Setup, Site};
use crate::programs::Login;

#[test]
fn a_scram_login_is_passed_through_without_any_plain_password() {
    let setup = Setup::newest()
        .standbys(1)
        .servers(|servers| servers.hba = Hba::ScramSha256)
        .set("auth", "users_file", "\"users.txt\"")
        .set("auth", "method", "\"scram-sha-256\"")
        .set("cluster.main", "monitor_password", "\"postgres\"");
    let cluster = setup.cluster();
    let ask = |sql: &str| cluster.primary().query("postgres", sql).expect("the primary answers");
    ask("CREATE ROLE app LOGIN PASSWORD 'secret'");
    let verifier = ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'").value().to_owned();
    assert!(verifier.starts_with("SCRAM-SHA-256$"), "{verifier}");
    fs::write(cluster.directory().join("users.txt"), format!("\"app\" \"{verifier}\"\n"))
        .expect("the file is written");
    let site = setup.before(cluster);
    site.wait_serving(&site.cluster.standbys());
    for _ in 0..3 {
        assert_eq!(attempt(&site, &app(&site, "app", "secret")).printed(), "app");
    }
    attempt(&site, &app(&site, "app", "wrong")).failed_with("password authentication failed");

    // The server's verifier changes: what was proved before is no good there any more.
    on_primary(&site, "ALTER ROLE app PASSWORD 'secret'");
    site.wait_caught_up();
    for node in site.cluster.nodes() {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
        node.query("postgres", end).expect("the node answers");
    }
    attempt(&site, &app(&site, "app", "secret"))
        .failed_with("the server keeps another SCRAM secret for user \"app\" than the one known here");
}

#[test]
fn roles_are_looked_up_on_the_primary() {
    let site = looking_up();
    on_primary(&site, ROLES);
    site.wait_caught_up();
    for role in ["app", "Odd \"name", "early"] {
        assert_eq!(attempt(&site, &app(&site, role, "secret")).printed(), role);
        attempt(&site, &app(&site, role, "wrong")).failed_with("password authentication failed");
    }
    // SCRAM cannot be done with an MD5 hash; the others may not log in at all.
    for role in ["hashed", "late", "barred", "bare", "nobody", "x' OR true --"] {
        attempt(&site, &app(&site, role, "secret")).failed_with("password authentication failed");
    }
    // A login to a database that does not exist is told so, but only after it was proved.
    let nowhere = |password| Login { database: "nowhere", ..app(&site, "app", password) };
    attempt(&site, &nowhere("secret")).failed_with("database \"nowhere\" does not exist");
    attempt(&site, &nowhere("wrong")).failed_with("password authentication failed");

    // Without a cache, a change holds at once.
    on_primary(&site, "ALTER ROLE app PASSWORD 'changed'");
    site.wait_caught_up();
    attempt(&site, &app(&site, "app", "secret")).failed_with("password authentication failed");
    assert_eq!(attempt(&site, &app(&site, "app", "changed")).printed(), "app");
    on_primary(&site, "ALTER ROLE app NOLOGIN");
    attempt(&site, &app(&site, "app", "changed")).failed_with("password authentication failed");
}

#[test]
fn a_lookup_that_fails_lets_nobody_in_and_recovers() {
    let site = looking_up();
    on_primary(&site, "CREATE ROLE app LOGIN PASSWORD 'secret'");
    site.wait_caught_up();
    assert_eq!(attempt(&site, &app(&site, "app", "secret")).printed(), "app");

    on_primary(&site, "ALTER ROLE looker NOSUPERUSER");
    attempt(&site, &app(&site, "app", "secret")).failed_with("password authentication failed");
    assert!(site.pgweir.log().contains("auth_query failed"), "{}", site.pgweir.log());
    on_primary(&site, "ALTER ROLE looker SUPERUSER");
    assert_eq!(attempt(&site, &app(&site, "app", "secret")).printed(), "app");

    site.cluster.primary().stop(StopMode::Immediate).expect("the primary stops");
    attempt(&site, &app(&site, "app", "secret")).failed_with("password authentication failed");
    site.cluster.primary().start().expect("the primary starts");
    site.pgweir.wait_ready();
    site.wait_for("the login works again", || {
        attempt(&site, &app(&site, "app", "secret")).printed() == "app"
    });
}

/// SCRAM on both sides, with nothing known here but the role that looks up the others.
fn looking_up() -> Site {
    let setup = Setup::newest()
        .standbys(1)
        .servers(|servers| servers.hba = Hba::ScramSha256)
        .set("auth", "method", "\"scram-sha-256\"")
        .set("auth", "query_user", "\"looker\"")
        .set("auth", "query_password", "\"looks up\"")
        .set("auth", "query_cache", "\"0s\"")
        .set("auth", "query_cache_negative", "\"0s\"")
        .set("cluster.main", "monitor_password", "\"postgres\"");
    let cluster = setup.cluster();
    let create = "CREATE ROLE looker LOGIN SUPERUSER PASSWORD 'looks up'";
    cluster.primary().query("postgres", create).expect("the role is created");
    let site = setup.before(cluster);
    site.wait_serving(&site.cluster.standbys());
    site
}

fn app<'a>(site: &Site, user: &'a str, password: &'a str) -> Login<'a> {
    Login { user, password, ..Login::superuser(site.pgweir.port()) }
}

/// The hash is that of `secret` for this role.
const ROLES: &str = r#"
    CREATE ROLE app LOGIN PASSWORD 'secret';
    CREATE ROLE hashed LOGIN PASSWORD 'md504d4a9616f5b4c7cdb75992b7c5a43e9';
    CREATE ROLE "Odd ""name" LOGIN PASSWORD 'secret';
    CREATE ROLE late LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
    CREATE ROLE early LOGIN PASSWORD 'secret' VALID UNTIL '2999-01-01';
    CREATE ROLE barred NOLOGIN PASSWORD 'secret';
    CREATE ROLE bare LOGIN"#;
