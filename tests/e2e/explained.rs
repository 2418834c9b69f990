//! pgweir says where statements go and why: the commands `explain` and `audit`, and the console.

use std::collections::BTreeMap;
use std::process::Command;

use pgweir_sandbox::{Binaries, SandboxError};

use crate::harness::{Setup, Site, bind, execute, parse, program, sync};
use crate::programs::{Finished, Running};

#[test]
fn explain_says_where_each_statement_goes() {
    let site = Setup::newest().start();
    let read = pgweir(&site, &["explain", "SELECT 1"]);
    assert_eq!(read.status.code(), Some(0), "{read}");
    assert!(read.stdout.contains("target   standby\n  reason   read\n"), "{read}");
    let both = pgweir(&site, &["explain", "SELECT 1; /* pgweir: standby */ DELETE FROM t"]);
    assert_eq!(both.status.code(), Some(1), "{both}");
    for line in
        ["reason   write.delete", "reason   multi.other", "hint standby: overruled", "meaning  DELETE."]
    {
        assert!(both.stdout.contains(line), "{line} is missing: {both}");
    }
    let routed = pgweir(&site, &["explain", "--route", "primary", "SELECT 1"]);
    assert_eq!(routed.status.code(), Some(1), "{routed}");
    assert!(routed.stdout.contains("reason   route.setting"), "{routed}");
    for (arguments, complaint) in [
        (&["explain", ""][..], "nothing to explain"),
        (&["explain", "--route", "replica", "SELECT 1"], "\"replica\" is none of"),
        (&["explain", "--config", "/nowhere.toml", "SELECT 1"], "/nowhere.toml"),
        (&["explain"], "nothing to explain"),
    ] {
        let failed = pgweir(&site, arguments);
        assert_eq!(failed.status.code(), Some(2), "{failed}");
        failed.failed_with(complaint);
    }
}

#[test]
fn audit_tells_what_would_move_on_every_version() {
    for binaries in Binaries::installed() {
        let setup = Setup::on(&binaries).standbys(1);
        let site = setup
            .servers(|servers| {
                let library = ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned());
                servers.extra_config.push(library);
            })
            .start();
        let file = site.pgweir.settings_file().display().to_string();
        let missing = pgweir(&site, &["audit", "--config", &file]);
        assert_eq!(missing.status.code(), Some(2), "{missing}");
        missing.failed_with("CREATE EXTENSION pg_stat_statements");

        let mut client = site.connect();
        for statement in [
            "CREATE SCHEMA \"Odd\"",
            "CREATE EXTENSION pg_stat_statements SCHEMA \"Odd\"",
            "CREATE TABLE audited (n int)",
            "INSERT INTO audited VALUES (1)",
        ] {
            client.query(statement).unwrap();
        }
        for n in 0..5 {
            site.cluster
                .primary()
                .query("postgres", &format!("SELECT n FROM audited WHERE n = {n}"))
                .unwrap();
        }
        let audit = pgweir(&site, &["audit", "--config", &file, "--top", "0"]);
        assert_eq!(audit.status.code(), Some(0), "{audit}");
        let (moves, stays) = audit.stdout.split_once("\nStays on the primary: ").expect("both are told");
        let shown = |part: &str, line: &str| part.lines().any(|it| it.contains(line));
        assert!(shown(moves, "5 calls") && shown(moves, "SELECT n FROM audited WHERE n = $1"), "{audit}");
        assert!(shown(stays, "write.insert") && shown(stays, "INSERT INTO audited VALUES ($1)"), "{audit}");
        assert!(!shown(moves, "INSERT") && !shown(stays, "FROM audited WHERE"), "{audit}");

        let nowhere = pgweir(&site, &["audit", "--config", &file, "--database", "nosuch"]);
        nowhere.failed_with("does not exist");
        site.cluster.primary().kill9().unwrap();
        pgweir(&site, &["audit", "--config", &file]).failed_with("no node is a primary");
    }
}

#[test]
fn the_console_explains_as_sessions_do_and_so_does_the_command_on_every_version() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(1).start();
        let standby = site.cluster.standbys()[0].name().to_owned();
        let mut client = site.connect();
        for statement in [
            "CREATE TABLE t (n int)",
            "CREATE FUNCTION harmless() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM t'",
            "CREATE FUNCTION harmful() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING n'",
        ] {
            client.query(statement).unwrap();
        }
        let mut console = site.try_connect("postgres", "pgweir").unwrap();
        let mut explained = |sql: &str| {
            let rows = console.query(&format!("EXPLAIN ROUTE {sql}")).unwrap().rows;
            let cell = |cell: Option<String>| cell.unwrap_or_default();
            let pairs = rows.into_iter().map(|mut row| {
                let value = cell(row.pop().unwrap());
                (cell(row.pop().unwrap()), value)
            });
            pairs.collect::<BTreeMap<_, _>>()
        };
        site.wait_for("the catalog is read", || explained("SELECT harmless()")["target"] == "standby");

        let file = site.pgweir.settings_file().display().to_string();
        for (sql, target, reason) in [
            ("SELECT 'it''s' FROM t", "standby", "read"),
            ("SELECT harmless() FROM t", "standby", "read"),
            ("SELECT harmful() FROM t", "primary", "function.harmful"),
            ("/* pgweir: primary */ SELECT 1", "primary", "route.hint"),
            ("DELETE FROM t", "primary", "write.delete"),
            ("SELECT 1; DELETE FROM t", "primary", "multi.other"),
        ] {
            let it = explained(sql);
            assert_eq!(
                (it["target"].as_str(), it["database"].as_str()),
                (target, "postgres"),
                "{sql}: {it:?}"
            );
            assert_eq!(
                it["nodes"],
                if target == "standby" { &standby } else { site.cluster.primary().name() },
                "{sql}"
            );
            let reason = if reason == "function.harmful" { it["reason"].as_str() } else { reason };
            assert_eq!(it["reason"], reason, "{sql}: {it:?}");
            // What was explained is what is done.
            let node = if target == "standby" { &standby } else { site.cluster.primary().name() };
            let labels = [("node", node), ("reason", reason)];
            let before = site.pgweir.metric("pgweir_queries_total", &labels).unwrap_or(0.0);
            client.query(sql).unwrap();
            site.wait_caught_up();
            assert_eq!(site.pgweir.metric("pgweir_queries_total", &labels), Some(before + 1.0), "{sql}");
            let command = pgweir(&site, &["explain", "--config", &file, sql]);
            assert!(
                command.stdout.contains(&format!("  target   {target}\n  reason   {reason}\n")),
                "{sql}: {command}"
            );
        }
        assert_eq!(explained("FOR postgres SELECT 1")["target"], "standby");
        let Err(SandboxError::Server(refused)) = console.query("EXPLAIN ROUTE") else {
            panic!("it explains nothing")
        };
        assert_eq!(refused.sqlstate, "42601");
    }
}

#[test]
fn the_console_shows_what_came_most_often() {
    let setup = Setup::newest().standbys(1).set("admin", "stats_users", "[\"watcher\"]");
    let site = setup.start();
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int, secret text)").unwrap();
    site.wait_caught_up();
    for n in 0..20 {
        client.query(&format!("SELECT n FROM t WHERE n = {n} AND secret = 'sesame{n}' -- {n}")).unwrap();
        if n % 2 == 0 {
            client
                .query(&format!("/* pgweir: primary */ SELECT n FROM t WHERE n = {n} AND secret = ''"))
                .unwrap();
        }
        client
            .wire()
            .send(&[parse("", "UPDATE t SET n = $1::int"), bind("", &["5"]), execute(), sync()].concat())
            .unwrap();
        client.reply().unwrap();
    }
    let mut console = site.try_connect("watcher", "pgweir").unwrap();
    let shown: Vec<String> = console
        .query("SHOW ROUTES")
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|"))
        .collect();
    let shape = "select n from t where n = 0 and secret = ''";
    let of = |reason: &str| {
        let row = shown.iter().find(|row| row.starts_with(&format!("{shape}|query|{reason}|")));
        let counts = row.unwrap_or_else(|| panic!("{reason}: {shown:?}")).rsplit('|').take(2);
        counts.map(|count| count.parse::<u32>().unwrap()).sum::<u32>()
    };
    assert_eq!((of("standby|read"), of("primary|route.hint")), (20, 10));
    let update = "update t set n = $1 :: int|modify|primary|write.update|0|20";
    assert!(shown.contains(&update.to_owned()), "{shown:?}");
    assert!(!shown.iter().any(|row| row.contains("sesame")), "{shown:?}");
}

/// Runs pgweir with these arguments and nothing to read.
fn pgweir(site: &Site, arguments: &[&str]) -> Finished {
    let mut command = Command::new(program());
    command.args(arguments);
    Running::start(site.cluster.directory(), "pgweir-once", command).finish_anyhow()
}
