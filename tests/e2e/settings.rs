//! Settings of sessions that share servers: each has its own, and hears of them what PostgreSQL would say.

use pgweir_sandbox::{Binaries, Client};

use crate::harness::{Setup, Site, query};

/// Two clients with one server between them, on every version.
fn on_one_server(test: impl Fn(&Site)) {
    for binaries in Binaries::installed() {
        test(&Setup::on(&binaries).set("pool", "size", "1").start());
    }
}

fn ask(client: &mut Client, text: &str) -> String {
    client.query(text).unwrap_or_else(|error| panic!("{text}: {error}")).value().to_owned()
}

#[test]
fn a_date_style_is_built_on_the_sessions_own() {
    on_one_server(|site| {
        let (mut one, mut two) = (site.connect(), site.connect());
        ask(&mut one, "SET datestyle TO 'German'");
        ask(&mut two, "SET datestyle TO 'SQL, DMY'");
        ask(&mut one, "SET datestyle TO ymd");
        ask(&mut two, "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE");
        for _ in 0..2 {
            assert_eq!(ask(&mut one, "SELECT date '2024-03-09'"), "09.03.2024");
            assert_eq!(ask(&mut two, "SELECT date '2024-03-09'"), "09/03/2024");
            assert_eq!(ask(&mut one, "SHOW datestyle"), "German, YMD");
            assert_eq!(ask(&mut two, "SHOW timezone"), "<-08>+08");
            assert_eq!(one.parameter("DateStyle"), Some("German, YMD"));
            assert_eq!(two.parameter("DateStyle"), Some("SQL, DMY"));
        }
    });
}

#[test]
fn a_client_hears_of_its_own_settings_alone() {
    on_one_server(|site| {
        let (mut one, mut two) = (site.connect(), site.connect());
        ask(&mut one, "SET application_name TO 'one'");
        for text in ["SET timezone TO 'CET'", "SELECT 1", "BEGIN", "SET LOCAL timezone TO 'EST'", "ROLLBACK"]
        {
            ask(&mut two, text);
            assert_eq!(two.parameter("application_name"), Some(""), "{text}");
        }
        assert_eq!(two.parameter("TimeZone"), Some("CET"));
        // What we set on the server for one of them is not said to it.
        let (mut direct, mut through) = (site.cluster.primary().connect("postgres").unwrap(), site.connect());
        let block = ["BEGIN", "SET timezone TO 'CET'", "SELECT 2", "ROLLBACK"];
        for text in ["SET timezone TO 'UTC'", "SELECT 1"].into_iter().chain(block).chain(["RESET ALL"]) {
            if !block[1..].contains(&text) {
                ask(&mut one, "SHOW application_name");
            }
            let said = [&mut direct, &mut through].map(|client| {
                client.wire().send(&query(text)).unwrap();
                std::iter::repeat_with(|| client.wire().recv().unwrap())
                    .map(|message| (char::from(message.tag), message.body))
                    .take_while(|(tag, _)| *tag != 'Z')
                    .collect::<Vec<_>>()
            });
            assert_eq!(said[0], said[1], "{text}");
        }
    });
}

#[test]
fn a_reset_goes_back_to_the_start_up_packet() {
    on_one_server(|site| {
        let startup = [
            ("user", "postgres"),
            ("database", "postgres"),
            ("application_name", "app"),
            ("search_path", "a, \"B\""),
        ];
        let mut client = Client::connect_with(&site.pgweir.address(), &startup, None).unwrap();
        let mut other = site.connect();
        for reset in ["RESET ALL", "DISCARD ALL", "RESET application_name", "SET application_name TO DEFAULT"]
        {
            ask(&mut client, "SET application_name TO 'other'");
            ask(&mut other, "SELECT 1");
            ask(&mut client, reset);
            assert_eq!(client.parameter("application_name"), Some("app"), "{reset}");
            assert_eq!(ask(&mut client, "SHOW application_name"), "app", "{reset}");
            assert_eq!(ask(&mut client, "SHOW search_path"), "a, \"B\"", "{reset}");
        }
        ask(&mut client, "BEGIN");
        ask(&mut client, "SET application_name TO 'other'");
        ask(&mut client, "RESET application_name");
        assert_eq!(ask(&mut client, "SHOW application_name"), "app");
        ask(&mut client, "ROLLBACK");
        assert_eq!(ask(&mut other, "SHOW application_name"), "");
    });
}

#[test]
fn a_role_stays_with_its_session() {
    on_one_server(|site| {
        let (mut one, mut two) = (site.connect(), site.connect());
        ask(&mut one, "CREATE ROLE ann");
        ask(&mut one, "CREATE ROLE bob IN ROLE ann");
        ask(&mut one, "SET ROLE ann");
        let who = "SELECT session_user || ' ' || current_user";
        assert_eq!(ask(&mut two, who), "postgres postgres");
        ask(&mut two, "SET SESSION AUTHORIZATION bob");
        for _ in 0..2 {
            assert_eq!(ask(&mut one, who), "postgres ann");
            assert_eq!(ask(&mut two, who), "bob bob");
        }
        assert_eq!(two.parameter("session_authorization"), Some("bob"));
        assert_eq!(two.parameter("is_superuser"), Some("off"));
        assert_eq!(one.parameter("session_authorization"), Some("postgres"));
        ask(&mut two, "SET ROLE ann");
        two.query("CREATE ROLE eve").expect_err("bob may not");
        assert_eq!(ask(&mut two, who), "bob ann");
        ask(&mut two, "BEGIN");
        ask(&mut two, "RESET SESSION AUTHORIZATION");
        assert_eq!(ask(&mut two, who), "postgres postgres");
        ask(&mut two, "ROLLBACK");
        assert_eq!(ask(&mut one, who), "postgres ann");
        assert_eq!(ask(&mut two, "SELECT session_user"), "bob");
        ask(&mut two, "RESET ALL");
        assert_eq!(ask(&mut two, "SELECT session_user"), "bob", "RESET ALL leaves it alone");
        ask(&mut two, "DISCARD ALL");
        assert_eq!(ask(&mut two, who), "postgres postgres");
        assert_eq!(site.pgweir.metric("pgweir_pinned_sessions", &[]).unwrap_or(0.0), 0.0);
    });
}

#[test]
fn session_characteristics_stay_with_their_session() {
    on_one_server(|site| {
        let (mut one, mut two) = (site.connect(), site.connect());
        ask(&mut one, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE");
        ask(&mut two, "CREATE TABLE t (n int)");
        one.query("INSERT INTO t VALUES (1)").expect_err("it may only read");
        assert_eq!(ask(&mut one, "SHOW transaction_isolation"), "serializable");
        assert_eq!(ask(&mut two, "SHOW transaction_isolation"), "read committed");
        ask(&mut two, "INSERT INTO t VALUES (1)");
        ask(&mut one, "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE");
        ask(&mut one, "INSERT INTO t VALUES (2)");
    });
}

#[test]
fn a_custom_setting_without_a_value_is_empty_on_every_server() {
    for binaries in Binaries::installed() {
        let site = Setup::on(&binaries).set("pool", "size", "2").start();
        let mut client = site.connect();
        ask(&mut client, "SET my.x TO 'one'");
        ask(&mut client, "RESET my.x");
        ask(&mut client, "RESET plpgsql.variable_conflict");
        let mut holder = site.connect();
        ask(&mut holder, "BEGIN");
        ask(&mut holder, "SELECT 1");
        assert_eq!(ask(&mut client, "SHOW my.x"), "");
        assert_eq!(ask(&mut client, "SELECT count(*) FROM pg_class WHERE oid = 0"), "0");
    }
}
