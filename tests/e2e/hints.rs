//! What clients ask of routing is done where it may be: hints in comments, `pgweir.route`, rules of the settings file.

use pgweir_sandbox::{Binaries, Client, SandboxError};

use crate::harness::{Setup, Site};
use crate::programs::{Login, tool};

const PORT: &str = "SELECT current_setting('sandbox.port')";

#[test]
fn hints_choose_the_node_on_every_version() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(2).start();
        let [one, two] = standbys(&site);
        let mut client = site.connect();
        for _ in 0..6 {
            assert_eq!(on(&mut client, "/* pgweir: primary */ "), site.primary_port());
            assert_eq!(on(&mut client, &format!("/* pgweir: node={} */ ", one.0)), one.1);
            assert_eq!(on(&mut client, &format!("/* app='x' */ /*pgweir:node={}*/ ", two.0)), two.1);
            assert_ne!(on(&mut client, "/* pgweir: standby */ "), site.primary_port());
            assert_ne!(on(&mut client, "/* pgweir: nonsense */ "), site.primary_port());
        }
        let primary = site.cluster.primary().name();
        assert_eq!(on(&mut client, &format!("/* pgweir: node={primary} */ ")), site.primary_port());
        let refused = sqlstate(&mut client, "/* pgweir: node=nowhere */ SELECT 1");
        assert_eq!(refused, "22023: there is no node \"nowhere\" in this cluster");
        assert_ne!(on(&mut client, ""), site.primary_port(), "the session goes on");
        let seen = |outcome| site.pgweir.metric("pgweir_hints_total", &[("outcome", outcome)]);
        assert_eq!((seen("ignored"), seen("overruled")), (Some(6.0), Some(0.0)));
        let hinted = [("reason", "route.hint"), ("node", primary)];
        assert_eq!(site.pgweir.metric("pgweir_queries_total", &hinted), Some(6.0));
    }
}

#[test]
fn no_hint_sends_a_write_to_a_standby() {
    let site = Setup::newest().standbys(1).start();
    let [one] = standbys(&site);
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int)").unwrap();
    for wish in ["standby".to_owned(), format!("node={}", one.0), "staleness=1d".to_owned()] {
        client.query(&format!("/* pgweir: {wish} */ INSERT INTO t VALUES (1)")).unwrap();
        client.query(&format!("SET pgweir.route TO '{wish}'")).unwrap();
        client.query("INSERT INTO t VALUES (1)").unwrap();
        client.query("RESET pgweir.route").unwrap();
    }
    let written = site.cluster.primary().query("postgres", "SELECT count(*) FROM t").unwrap();
    assert_eq!(written.value(), "6");
    assert_eq!(site.pgweir.metric("pgweir_hints_total", &[("outcome", "overruled")]), Some(3.0));
}

#[test]
fn a_bound_on_staleness_leaves_a_standby_that_is_too_old() {
    let site = Setup::newest().standbys(1).set("cluster.main", "staleness_max", "\"1h\"").start();
    let standby = site.cluster.standbys()[0];
    let mut client = site.connect();
    client.query("CREATE TABLE t (n int)").unwrap();
    site.wait_caught_up();
    standby.query("postgres", "SELECT pg_wal_replay_pause()").unwrap();
    client.query("INSERT INTO t VALUES (1)").unwrap();
    // Another session has written nothing: only the bound keeps it away.
    let mut reader = site.connect();
    site.wait_for("the standby is older than the bound", || {
        on(&mut reader, "/* pgweir: staleness=300ms */ ") == site.primary_port()
    });
    assert_eq!(on(&mut reader, ""), standby.port().to_string());
    assert_eq!(on(&mut reader, "/* pgweir: staleness=30m */ "), standby.port().to_string());
    reader.query("SET pgweir.route TO 'staleness=300ms'").unwrap();
    assert_eq!(on(&mut reader, ""), site.primary_port());
    standby.query("postgres", "SELECT pg_wal_replay_resume()").unwrap();
    site.wait_for("the standby is young again", || on(&mut reader, "") != site.primary_port());
}

#[test]
fn the_setting_is_like_any_other_of_postgresql_on_every_version() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).standbys(2).set("pool", "size", "1").start();
        let [one, two] = standbys(&site);
        let (mut client, mut other) = (site.connect(), site.connect());
        let show = |client: &mut Client| client.query("SHOW pgweir.route").unwrap().value().to_owned();
        assert_eq!(show(&mut client), "auto");
        client.query(&format!("SET pgweir.route = 'node={}'", one.0)).unwrap();
        for _ in 0..4 {
            assert_eq!(on(&mut client, ""), one.1);
            assert_eq!(show(&mut other), "auto", "another client of the same servers");
            assert_eq!(show(&mut client), format!("node={}", one.0));
        }
        assert_eq!(
            on(&mut client, &format!("/* pgweir: node={} */ ", two.0)),
            two.1,
            "a hint goes before it"
        );

        for (statements, port) in [
            (&["BEGIN", "SET pgweir.route = 'primary'", "ROLLBACK"][..], &one.1),
            (&["BEGIN", "SET LOCAL pgweir.route = 'primary'", "COMMIT"], &one.1),
            (
                &[
                    "BEGIN",
                    "SET pgweir.route = 'primary'",
                    "SAVEPOINT s",
                    "RESET pgweir.route",
                    "ROLLBACK TO s",
                    "COMMIT",
                ],
                &site.primary_port(),
            ),
        ] {
            statements.iter().for_each(|statement| drop(client.query(statement).unwrap()));
            assert_eq!(on(&mut client, ""), *port, "{statements:?}");
        }
        client.query("RESET pgweir.route").unwrap();
        assert_eq!(show(&mut client), "auto");
        assert_ne!(on(&mut client, ""), site.primary_port());

        let refused = sqlstate(&mut client, "SET pgweir.route = 'replica'");
        assert!(
            refused
                .starts_with("22023: invalid value for parameter \"pgweir.route\": \"replica\" is none of"),
            "{refused}"
        );
        assert_eq!(show(&mut client), "auto");
        client.query("BEGIN").unwrap();
        assert!(sqlstate(&mut client, "SET pgweir.route = 'staleness=1'").starts_with("22023"));
        assert!(sqlstate(&mut client, "SELECT 1").starts_with("25P02"), "the block has failed");
        client.query("ROLLBACK").unwrap();
        client.query("SET pgweir.route = 'node=nowhere'").unwrap();
        assert!(sqlstate(&mut client, "SELECT 1").starts_with("22023: there is no node"));
        client.query("DISCARD ALL").unwrap();
        client.query("SELECT 1").unwrap();
    }
}

#[test]
fn psql_gives_the_setting_at_start_up_and_hints_in_statements() {
    let site = Setup::newest().standbys(1).start();
    let ask = |options: &str, query: &str| {
        let login = Login::superuser(site.pgweir.port());
        let arguments = ["-XAtq", "-c", query, &format!("options='{options}'")];
        tool(&site.cluster, "psql", &login, &arguments).finish()
    };
    assert_eq!(ask("-c pgweir.route=primary", PORT).printed(), site.primary_port());
    assert_eq!(ask("-c pgweir.route=primary", "SHOW pgweir.route").printed(), "primary");
    assert_ne!(ask("", PORT).printed(), site.primary_port());
    assert_eq!(ask("", &format!("/* pgweir: primary */ {PORT}")).printed(), site.primary_port());
    for (value, complaint) in [("replica", "\"replica\" is none of"), ("node=x", "there is no node \"x\"")] {
        let startup = [
            ("user", "postgres"),
            ("database", "postgres"),
            ("options", &format!("-c pgweir.route={value}")),
        ];
        let Err(SandboxError::Server(refused)) = Client::connect_with(&site.pgweir.address(), &startup, None)
        else {
            panic!("{value} is let in")
        };
        assert_eq!((refused.severity.as_str(), refused.sqlstate.as_str()), ("FATAL", "22023"));
        assert!(refused.message.contains(complaint), "{refused:?}");
    }
}

#[test]
fn rules_are_what_sessions_begin_with_and_clients_may_choose_otherwise_on_every_version() {
    for binaries in Binaries::installed() {
        let setup = Setup::on(&binaries).standbys(2);
        let rules = setup.clone().set("user.postgres", "route", "\"primary\"");
        let rules = rules.set("database.\"*\"", "route", "\"standby\"");
        let rules = rules.set("application.report", "route", "\"node=node2\"");
        let site = rules.start();
        let [one, _] = standbys(&site);
        let report = || log_in(&site, &[("application_name", "report")]);
        let (mut client, mut reporting) = (site.connect(), report());
        let show = |client: &mut Client| client.query("SHOW pgweir.route").unwrap().value().to_owned();
        assert_eq!(
            (show(&mut client), show(&mut reporting)),
            ("primary".to_owned(), "node=node2".to_owned())
        );
        for _ in 0..3 {
            assert_eq!(
                on(&mut client, ""),
                site.primary_port(),
                "the role's rule goes before the database's"
            );
            assert_eq!(on(&mut reporting, ""), one.1, "the application's rule goes before both");
        }
        assert_ne!(on(&mut client, "/* pgweir: standby */ "), site.primary_port());
        client.query("SET pgweir.route = 'standby'").unwrap();
        assert_ne!(on(&mut client, ""), site.primary_port());
        client.query("RESET pgweir.route").unwrap();
        assert_eq!((on(&mut client, ""), show(&mut client)), (site.primary_port(), "primary".to_owned()));
        let options = [("application_name", "report"), ("options", "-c pgweir.route=primary")];
        assert_eq!(on(&mut log_in(&site, &options), ""), site.primary_port());
        client.query("CREATE TABLE t (n int)").unwrap();
        reporting.query("INSERT INTO t VALUES (1)").expect("no rule sends a write to a standby");

        let mut console = site.try_connect("postgres", "pgweir").unwrap();
        let mut target = |whose: &str| {
            let rows = console.query(&format!("EXPLAIN ROUTE {whose} SELECT 1")).unwrap().rows;
            let cell = |name: &str| {
                let row = rows.iter().find(|row| row[0].as_deref() == Some(name));
                row.and_then(|row| row[1].clone()).unwrap_or_default()
            };
            format!("{} {} {}", cell("target"), cell("reason"), cell("nodes"))
        };
        let primary = site.cluster.primary().name();
        assert_eq!(target("FOR postgres"), format!("primary route.setting {primary}"));
        assert_eq!(target("APPLICATION report"), "standby read node2");
        assert_eq!(target("USER somebody"), "standby read node2, node3");

        // A reload is for those who come later.
        site.pgweir.reload(&setup.text_for(&site));
        assert_eq!(on(&mut client, ""), site.primary_port());
        assert_eq!(show(&mut site.connect()), "auto");
        assert_ne!(on(&mut site.connect(), ""), site.primary_port());
    }
}

/// A session of the superuser with these settings in its start-up packet.
fn log_in(site: &Site, settings: &[(&str, &str)]) -> Client {
    let startup = [&[("user", "postgres"), ("database", "postgres")], settings].concat();
    Client::connect_with(&site.pgweir.address(), &startup, None).unwrap()
}

/// The names and ports of the standbys.
fn standbys<const N: usize>(site: &Site) -> [(String, String); N] {
    let standbys = site.cluster.standbys();
    std::array::from_fn(|at| (standbys[at].name().to_owned(), standbys[at].port().to_string()))
}

/// The port of the node that answers a read with this hint.
fn on(client: &mut Client, hint: &str) -> String {
    client.query(&format!("{hint}{PORT}")).unwrap().value().to_owned()
}

/// The error that a statement gets.
fn sqlstate(client: &mut Client, sql: &str) -> String {
    let Err(SandboxError::Server(error)) = client.query(sql) else { panic!("{sql} succeeds") };
    format!("{}: {}", error.sqlstate, error.message)
}
