//! pgweir says where statements go and why: the commands `explain` and `audit`, and the console.

use std::process::Command;

use pgweir_sandbox::Binaries;

use crate::harness::{Setup, Site, program};
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

/// Runs pgweir with these arguments and nothing to read.
fn pgweir(site: &Site, arguments: &[&str]) -> Finished {
    let mut command = Command::new(program());
    command.args(arguments);
    Running::start(site.cluster.directory(), "pgweir-once", command).finish_anyhow()
}
