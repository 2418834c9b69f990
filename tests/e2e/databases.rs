//! Statements that need a database for themselves: PostgreSQL refuses them while others are connected to it, and users do
//! not know of the connections that pgweir keeps there.

use pgweir_sandbox::{Binaries, Client, SandboxError};

use crate::harness::{Setup, Site, bind, execute, parse, sync, wait_for};

/// The database that a statement needs for itself, and the statement.
const ALONE: &[(&str, &str)] = &[
    ("shop", "CREATE DATABASE copy WITH OWNER = postgres TEMPLATE = shop"),
    ("copy", "ALTER DATABASE copy RENAME TO \"Copy\""),
    ("Copy", "ALTER DATABASE \"Copy\" SET TABLESPACE elsewhere"),
    ("Copy", "/* the last */ drop database if exists \"Copy\";"),
    ("shop", "DROP DATABASE shop WITH (FORCE)"),
];

#[test]
fn a_database_is_copied_renamed_moved_and_dropped_though_servers_are_pooled_there() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        let mut admin = site.connect();
        for text in [
            "SET allow_in_place_tablespaces = on",
            "CREATE TABLESPACE elsewhere LOCATION ''",
            "CREATE ROLE anna LOGIN SUPERUSER",
            "CREATE DATABASE shop",
        ] {
            admin.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        for (at, (database, text)) in ALONE.iter().enumerate() {
            let mut users = ["postgres", "anna"].map(|role| user(&site, database, role));
            let outcome = if at % 2 == 0 { admin.query(text).map(drop) } else { extended(&mut admin, text) };
            outcome.unwrap_or_else(|error| panic!("{text}: {error}"));
            // Whoever stayed goes on if the database is still there.
            let there = text.starts_with("CREATE") || text.contains("SET");
            for user in &mut users {
                assert_eq!(user.query("SELECT current_database()").is_ok(), there, "after {text}");
            }
        }
        let functions =
            "CREATE FUNCTION own() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$";
        admin.query("CREATE DATABASE shop").expect("the name is free");
        let mut client = site.try_connect("postgres", "shop").expect("pgweir lets a client in");
        client.query(functions).expect("a function is made");
        let standby = site.cluster.standbys()[0].port().to_string();
        site.wait_for("the new database's catalog is read", || {
            let reply = client.query("SELECT current_setting('port') FROM own()");
            reply.expect("a read").value() == standby
        });
    }
}

/// A client of the database that leaves idle servers on all nodes, with the catalog's connection.
fn user(site: &Site, database: &str, role: &str) -> Client {
    site.wait_caught_up();
    let mut client = site.try_connect(role, database).expect("pgweir lets a client in");
    client.query("CREATE TEMP TABLE mine (n int); DROP TABLE mine").expect("a write");
    wait_for("a standby serves the database", || {
        client.query("SELECT current_setting('port')").expect("a read").value() != site.primary_port()
    });
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'pgweir catalog'"
    );
    wait_for("the catalog is kept", || {
        site.cluster.primary().query("postgres", &count).expect("an answer").value() == "1"
    });
    client
}

fn extended(client: &mut Client, text: &str) -> Result<(), SandboxError> {
    client.wire().send(&[parse("", text), bind("", &[]), execute(), sync()].concat())?;
    client.reply().map(drop)
}
