//! The clients that applications and people use, each with a script of its own in `tests/clients`.
//!
//! All of them on the oldest PostgreSQL that is installed, through pgweir in transaction mode with two standbys, and
//! with SCRAM on both sides.

use std::fs;
use std::process::Command;

use pgweir_sandbox::{Binaries, Cluster, Hba};

use crate::harness::{Setup, Site, wait_for};
use crate::programs::{Login, Running, from_environment, psql, script, tool};

#[test]
fn psql_shows_the_same_as_without_pgweir() {
    let site = site();
    let (directly, through) = (app(site.cluster.primary().port()), app(site.pgweir.port()));
    let path = script("psql.sql");
    let run = |login: &Login<'_>| {
        let arguments = ["-X", "-a", "-f", path.to_str().expect("the checkout's path is UTF-8")];
        let finished = tool(&site.cluster, "psql", login, &arguments).finish();
        (comparable(&finished.stdout), comparable(&finished.stderr))
    };
    let (expected, found) = (run(&directly), run(&through));
    for part in ["Foreign-key constraints", "DROP SCHEMA", "the savepoint of psql was rolled back"] {
        assert!(expected.0.contains(part), "the script runs to its end: {}", expected.0);
    }
    assert_eq!(found, expected);
}

/// What differs from run to run is blanked: process numbers, and the time in the titles of \watch.
fn comparable(output: &str) -> String {
    let line = |line: &str| match (line.split_once("with PID "), line.split_once("(every ")) {
        (Some((before, _)), _) => before.to_owned(),
        (None, Some((_, after))) => after.to_owned(),
        (None, None) => line.to_owned(),
    };
    output.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn ctrl_c_in_psql_cancels_the_statement() {
    let site = site();
    for binaries in Binaries::installed() {
        // From version 18 on psql can be told to speak protocol 3.2, whose keys are longer.
        let options = if binaries.major >= 18 { "max_protocol_version=latest" } else { "" };
        let mut command = Command::new(binaries.tool("psql"));
        command.args(["-X", "-c", "SELECT pg_sleep(600), 'psql sleeps'", options]);
        app(site.pgweir.port()).apply(&mut command);
        let sleeper = Running::start(site.cluster.directory(), "psql", command);
        wait_for("the statement runs", || running(&site, "%psql sleeps%") == 1);
        sleeper.interrupt();
        sleeper.finish_anyhow().failed_with("canceling statement due to user request");
        wait_for("the statement is gone", || running(&site, "%psql sleeps%") == 0);
    }
}

/// How many backends on any node run a statement like this.
fn running(site: &Site, pattern: &str) -> usize {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE state = 'active' AND query LIKE '{pattern}' AND pid <> pg_backend_pid()"
    );
    let on = |node: &pgweir_sandbox::Node| node.query("postgres", &query).expect("the node answers");
    site.cluster.nodes().iter().map(|node| on(node).value().parse::<usize>().expect("a count")).sum()
}

#[test]
fn a_dump_restored_through_pgweir_is_the_same_database() {
    let site = site();
    let through = app(site.pgweir.port());
    let directory = site.cluster.directory();
    let path = |name: &str| directory.join(name).to_str().expect("a plain path").to_owned();
    for database in ["source", "by_psql", "by_pg_restore"] {
        psql(&site.cluster, &through, &format!("CREATE DATABASE {database}"));
    }
    let source = || through.clone().database("source");
    let create = script("dump.sql");
    let create =
        ["-Xq", "-v", "ON_ERROR_STOP=1", "-f", create.to_str().expect("the checkout's path is UTF-8")];
    tool(&site.cluster, "psql", &source(), &create).finish();

    let (text, archive) = (path("dump.sql"), path("dump.dir"));
    tool(&site.cluster, "pg_dump", &source(), &["-f", &text]).finish();
    let restore = ["-Xq", "-v", "ON_ERROR_STOP=1", "-f", &text];
    tool(&site.cluster, "psql", &through.clone().database("by_psql"), &restore).finish();

    // Several connections share one snapshot.
    tool(&site.cluster, "pg_dump", &source(), &["-Fd", "-j", "3", "-f", &archive]).finish();
    let restore = ["-j", "3", "--exit-on-error", "-d", "by_pg_restore", &archive];
    tool(&site.cluster, "pg_restore", &through, &restore).finish();

    let expected = dump_directly(&site.cluster, "source");
    assert!(expected.contains("Kundin 500") && expected.contains("CREATE TRIGGER noted"), "{expected}");
    assert_eq!(dump_directly(&site.cluster, "by_psql"), expected);
    assert_eq!(dump_directly(&site.cluster, "by_pg_restore"), expected);
}

/// A database as text, but for the random words that newer versions put around a dump.
fn dump_directly(cluster: &Cluster, database: &str) -> String {
    let login = app(cluster.primary().port()).database(database);
    let dump = tool(cluster, "pg_dump", &login, &[]).finish().stdout;
    let lines =
        dump.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn psycopg() {
    python("psycopg_client.py", "in_parallel");
}

#[test]
fn asyncpg() {
    python("asyncpg_client.py", "pool");
}

/// Runs a script of a Python client, which prints its parts as they are done.
fn python(name: &str, last_part: &str) {
    let interpreter = from_environment("PGWEIR_PYTHON");
    let site = site();
    let mut command = Command::new(interpreter);
    command.arg("-B").arg(script(name));
    app(site.pgweir.port()).apply(&mut command);
    let finished = Running::start(site.cluster.directory(), name, command).finish();
    assert!(finished.stdout.lines().any(|line| line == last_part), "{finished}");
}

#[test]
fn jdbc() {
    let (java, driver) = (from_environment("PGWEIR_JAVA"), from_environment("PGWEIR_JDBC"));
    let site = site();
    let login = app(site.pgweir.port());
    let mut command = Command::new(java);
    command.arg("-cp").arg(driver).arg(script("JdbcClient.java"));
    command.arg(format!("jdbc:postgresql://127.0.0.1:{}/postgres", site.pgweir.port()));
    command.args([login.user, login.password]);
    let finished = Running::start(site.cluster.directory(), "jdbc", command).finish();
    assert!(finished.stdout.lines().any(|line| line == "simpleQueryMode"), "{finished}");
}

/// Two standbys, and a role that proves itself by SCRAM to pgweir and to the servers.
fn site() -> Site {
    let binaries = Binaries::installed().pop().expect("PostgreSQL is installed");
    let setup = Setup::on(&binaries)
        .standbys(2)
        .servers(|servers| servers.hba = Hba::ScramSha256)
        .set("auth", "method", "\"scram-sha-256\"")
        .set("auth", "users_file", "\"users.txt\"")
        .set("cluster.main", "monitor_password", "\"postgres\"");
    let cluster = setup.cluster();
    let create = "CREATE ROLE app SUPERUSER LOGIN PASSWORD 'app''s secret'";
    cluster.primary().query("postgres", create).expect("the role is created");
    fs::write(cluster.directory().join("users.txt"), "\"app\" \"app's secret\"\n")
        .expect("the file is written");
    let site = setup.before(cluster);
    site.wait_serving(&site.cluster.standbys());
    site
}

fn app(port: u16) -> Login<'static> {
    Login { user: "app", password: "app's secret", ..Login::superuser(port) }
}
