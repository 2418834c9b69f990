//! Where reads go that use a database's own functions, views, types and operators.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Binaries, Client};

use crate::harness::{Setup, Site, wait_for};

/// A database with some of everything.
const OBJECTS: &str = "
CREATE TABLE t (a int, b text, at timestamptz DEFAULT now());
INSERT INTO t VALUES (1, 'x'), (2, 'y');
CREATE TABLE log (a int);
CREATE SEQUENCE s;
CREATE FUNCTION reads(int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT max(a) FROM t); END $$;
CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN $1 + 1; END $$;
CREATE FUNCTION undeclared(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$;
CREATE FUNCTION writes(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES ($1); RETURN 1; END $$;
CREATE FUNCTION sql_reads(int) RETURNS int LANGUAGE sql AS $$ SELECT max(a) FROM t WHERE a <> $1 $$;
CREATE FUNCTION sql_writes(int) RETURNS int LANGUAGE sql AS $$ INSERT INTO log VALUES ($1) RETURNING a $$;
CREATE FUNCTION sql_next() RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT nextval('s') $$;
CREATE FUNCTION sql_calls(int) RETURNS int LANGUAGE sql AS $$ SELECT writes($1) $$;
CREATE FUNCTION atomic_reads(i int) RETURNS int BEGIN ATOMIC SELECT max(a) FROM t WHERE a <> i; END;
CREATE FUNCTION atomic_writes(i int) RETURNS int BEGIN ATOMIC INSERT INTO log VALUES (i) RETURNING a; END;
CREATE FUNCTION atomic_next() RETURNS bigint BEGIN ATOMIC SELECT nextval('s'); END;
CREATE FUNCTION over(int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION two(int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION two(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); RETURN 1; END $$;
CREATE FUNCTION variadic_writes(VARIADIC int[]) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN writes(1); END $$;
CREATE FUNCTION default_next(a bigint DEFAULT nextval('s')) RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT a $$;
CREATE FUNCTION t_label(t) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM writes(1); RETURN 'l'; END $$;
CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM writes(1); RETURN $1; END $$;
CREATE FUNCTION public.upper(t) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM writes(1); RETURN 'u'; END $$;
CREATE AGGREGATE my_max(int) (SFUNC = int4larger, STYPE = int);
CREATE FUNCTION add_and_log(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN $1 + writes($2); END $$;
CREATE AGGREGATE logged_sum(int) (SFUNC = add_and_log, STYPE = int, INITCOND = '0');
CREATE VIEW good_view AS SELECT a, reads(a) AS r, pg_catalog.lower(b) AS l, random() AS x FROM t;
CREATE VIEW bad_view AS SELECT nextval('s') AS n;
CREATE VIEW view_of_bad AS SELECT * FROM bad_view;
CREATE VIEW view_of_writes AS SELECT writes(1) AS w;
CREATE VIEW view_of_node AS SELECT count(*) AS c FROM pg_stat_activity;
CREATE VIEW recovery_view AS SELECT pg_is_in_recovery() AS r;
CREATE VIEW locking_view AS SELECT * FROM t FOR UPDATE;
CREATE MATERIALIZED VIEW materialised AS SELECT nextval('s') AS n;
CREATE FUNCTION from_bad_view() RETURNS bigint LANGUAGE sql AS $$ SELECT n FROM bad_view $$;
CREATE UNLOGGED TABLE unlogged (a int);
CREATE TABLE parent (a int) PARTITION BY LIST (a);
CREATE TABLE part_one PARTITION OF parent FOR VALUES IN (1);
CREATE TABLE mixed (a int) PARTITION BY LIST (a);
CREATE UNLOGGED TABLE mixed_one PARTITION OF mixed FOR VALUES IN (1);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 10);
CREATE DOMAIN watched AS int CHECK (writes(VALUE) = 1);
CREATE TYPE pair AS (x int, y int);
CREATE FUNCTION pair_same(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql AS $$ SELECT ($1).x = ($2).x $$;
CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_same);
CREATE FUNCTION pair_logged(pair, pair) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN writes(1) = 1; END $$;
CREATE OPERATOR !== (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_logged);
CREATE TABLE guarded (a int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded FOR SELECT USING (writes(a) = 1);
CREATE TABLE tenants (a int);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON tenants FOR SELECT USING (a::text = current_setting('app.tenant', true));
CREATE POLICY w ON tenants FOR INSERT WITH CHECK (writes(a) = 1);
CREATE SCHEMA other;
CREATE FUNCTION other.mine() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION lying() RETURNS bigint STABLE LANGUAGE plpgsql AS
  $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT next' || 'val(''s'')' INTO n; RETURN n; END $$;
CREATE PROCEDURE proc() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;";

/// What standbys serve.
const READS: &[&str] = &[
    "reads(1)",
    "pure(1)",
    "public.reads(1)",
    "\"reads\"(1)",
    "sql_reads(1)",
    "atomic_reads(1)",
    "over(1)",
    "two(1)",
    "pg_catalog.lower('X')",
    "lower('X')",
    "other.mine()",
    "(SELECT my_max(a) FROM t)",
    "(SELECT count(*) FROM good_view)",
    "(SELECT count(*) FROM materialised)",
    "(SELECT count(*) FROM parent)",
    "(SELECT count(*) FROM tenants)",
    "'sad'::mood",
    "'x'::short",
    "(SELECT array_agg(m) FROM unnest('{sad}'::mood[]) m)",
    "ROW(1, 2)::pair === ROW(1, 3)::pair",
    "ROW(1, 2)::pair OPERATOR(public.===) ROW(1, 3)::pair",
    "(SELECT b FROM t LIMIT 1)",
];

/// What needs the primary, with the reason.
const WRITES: &[(&str, &str)] = &[
    ("undeclared(1)", "function.volatile"),
    ("writes(1)", "function.volatile"),
    ("sql_writes(1)", "function.body"),
    ("sql_next()", "function.body"),
    ("sql_calls(1)", "function.body"),
    ("atomic_writes(1)", "function.body"),
    ("atomic_next()", "function.body"),
    ("two(1, 2)", "function.volatile"),
    ("variadic_writes(1, 2, 3)", "function.volatile"),
    ("default_next()", "function.body"),
    ("(SELECT t.t_label FROM t LIMIT 1)", "function.volatile"),
    ("public.lower('X')", "function.volatile"),
    ("upper('X')", "function.volatile"),
    ("(SELECT logged_sum(a) FROM t)", "function.body"),
    ("(SELECT n FROM bad_view)", "relation.view"),
    ("(SELECT n FROM view_of_bad)", "relation.view"),
    ("(SELECT w FROM view_of_writes)", "relation.view"),
    ("(SELECT c FROM view_of_node)", "relation.view"),
    ("(SELECT r FROM recovery_view)", "relation.view"),
    ("(SELECT count(*) FROM locking_view)", "relation.view"),
    ("from_bad_view()", "function.body"),
    ("(SELECT count(*) FROM unlogged)", "relation.unlogged"),
    ("(SELECT count(*) FROM mixed)", "relation.unlogged"),
    ("(SELECT last_value FROM s)", "relation.sequence"),
    ("1::watched", "type.volatile"),
    ("ROW(1, 2)::pair !== ROW(1, 3)::pair", "operator.volatile"),
    ("(SELECT count(*) FROM guarded)", "relation.policy"),
];

/// The port of the node that serves an expression.
fn port(client: &mut Client, expression: &str) -> String {
    let reply = client.query(&format!("SELECT inet_server_port(), {expression}"));
    let reply = reply.unwrap_or_else(|error| panic!("{expression}: {error}"));
    reply.rows[0][0].clone().expect("a port")
}

/// Waits until a standby serves the expression: the catalog was read.
fn wait_served_by_standby(site: &Site, client: &mut Client, expression: &str) {
    let primary = site.primary_port();
    wait_for(&format!("a standby serves {expression}"), || {
        // What the primary served counts as a write, and is proven to be on a standby when all WAL is flushed. Hints that
        // the read left on pages wait for a commit, or for seconds.
        site.cluster.primary().query("postgres", "INSERT INTO log VALUES (0)").expect("the primary answers");
        port(client, expression) != primary
    });
}

fn with_objects(setup: &Setup) -> Site {
    let site = setup.start();
    site.cluster.primary().query("postgres", OBJECTS).expect("the objects are made");
    site.wait_caught_up();
    site
}

/// How many statements went anywhere for this reason.
fn count(site: &Site, reason: &str) -> f64 {
    site.pgweir.metric("pgweir_queries_total", &[("reason", reason)]).unwrap_or(0.0)
}

#[test]
fn what_a_databases_own_objects_do_decides_where_reads_go_on_every_version() {
    for binaries in Binaries::installed() {
        let site = with_objects(&Setup::on(&binaries).standbys(1));
        let mut client = site.connect();
        wait_served_by_standby(&site, &mut client, "reads(1)");
        let primary = site.primary_port();
        for expression in READS {
            assert_ne!(port(&mut client, expression), primary, "{expression}");
        }
        for (expression, reason) in WRITES {
            let before = count(&site, reason);
            assert_eq!(port(&mut client, expression), primary, "{expression}");
            // Twice: before and after the verdict is remembered.
            assert_eq!(port(&mut client, expression), primary, "{expression}");
            assert_eq!(count(&site, reason), before + 2.0, "{expression} for {reason}");
        }
    }
}

#[test]
fn the_search_path_of_the_session_decides_what_names_mean() {
    let site = with_objects(&Setup::newest().standbys(1));
    let mut client = site.connect();
    wait_served_by_standby(&site, &mut client, "other.mine()");
    let primary = site.primary_port();
    client.query("SET search_path TO other").expect("pgweir answers");
    wait_served_by_standby(&site, &mut client, "mine()");
    wait_served_by_standby(&site, &mut client, "lower('X')");
    client.query("SET search_path TO public, pg_catalog").expect("pgweir answers");
    assert_eq!(port(&mut client, "lower('X')"), primary, "the user's own comes first");
    client.query("RESET search_path").expect("pgweir answers");
    wait_served_by_standby(&site, &mut client, "lower('X')");
    // So does that of the role.
    site.cluster.primary().query("postgres", "CREATE ROLE visitor LOGIN; ALTER ROLE visitor SET search_path TO other; GRANT USAGE ON SCHEMA other TO visitor").expect("the role is made");
    site.wait_caught_up();
    let mut visitor = site.try_connect("visitor", "postgres").expect("the visitor is let in");
    wait_served_by_standby(&site, &mut visitor, "mine()");
}

#[test]
fn changes_are_seen_that_pass_through_and_that_do_not() {
    let site = with_objects(&Setup::newest().standbys(1));
    let mut client = site.connect();
    wait_served_by_standby(&site, &mut client, "reads(1)");
    let primary = site.primary_port();
    let create = |name: &str, volatility: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS int {volatility} LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$"
        )
    };
    // Through pgweir, alone and in a block; a statement prepared before is judged anew.
    client.query(&create("fresh", "STABLE")).expect("pgweir answers");
    wait_served_by_standby(&site, &mut client, "fresh()");
    client.query("BEGIN").expect("pgweir answers");
    client.query(&create("fresh", "VOLATILE")).expect("pgweir answers");
    client.query("COMMIT").expect("pgweir answers");
    let before = count(&site, "function.volatile");
    wait_for("the change is known", || {
        assert!(!port(&mut client, "fresh()").is_empty());
        count(&site, "function.volatile") > before
    });
    assert_eq!(port(&mut client, "fresh()"), primary);
    // Beside it.
    site.cluster.primary().query("postgres", &create("fresh", "STABLE")).expect("the function is changed");
    site.wait_caught_up();
    wait_served_by_standby(&site, &mut client, "fresh()");
    site.cluster
        .primary()
        .query(
            "postgres",
            "CREATE OR REPLACE VIEW good_view AS SELECT a, writes(1) AS r, b AS l, random() AS x FROM t",
        )
        .expect("the view is changed");
    let before = count(&site, "relation.view");
    wait_for("the change is known", || {
        assert!(!port(&mut client, "(SELECT count(*) FROM good_view)").is_empty());
        count(&site, "relation.view") > before
    });
}

#[test]
fn a_function_that_lies_is_found_out_and_never_seen_to_fail() {
    let site =
        with_objects(&Setup::newest().standbys(2).set("cluster.main", "reads_on_primary", "\"never\""));
    let mut client = site.connect();
    wait_served_by_standby(&site, &mut client, "reads(1)");
    let primary = site.primary_port();
    for _ in 0..5 {
        assert_eq!(port(&mut client, "lying()"), primary);
    }
    assert!(count(&site, "standby.refused") >= 4.0, "it was refused more than once");
}

#[test]
fn another_primarys_catalog_is_read_when_it_takes_over() {
    let mut setup = Setup::newest().standbys(2);
    setup = setup.set("cluster.main", "staleness_max", "\"60s\"");
    let site = with_objects(&setup);
    let mut client = site.connect();
    wait_served_by_standby(&site, &mut client, "reads(1)");
    let standbys = site.cluster.standbys();
    site.cluster.primary().stop(pgweir_sandbox::StopMode::Immediate).expect("the primary stops");
    standbys[0].promote().expect("a standby is promoted");
    let new = "CREATE FUNCTION newer() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$";
    wait_for("the new primary takes writes", || {
        site.try_connect("postgres", "postgres").and_then(|mut client| client.query(new).map(drop)).is_ok()
    });
    let mut client = site.connect();
    wait_for("its catalog is known", || {
        let before = count(&site, "read");
        client.query("SELECT newer()").is_ok() && count(&site, "read") > before
    });
}

#[test]
fn without_the_catalog_a_users_function_goes_to_the_primary() {
    let site = with_objects(&Setup::newest().standbys(1).set("cluster.main", "catalog", "\"off\""));
    let mut client = site.connect();
    for _ in 0..20 {
        assert_eq!(port(&mut client, "reads(1)"), site.primary_port());
    }
    wait_served_by_standby(&site, &mut client, "1");
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgweir catalog'";
    assert_eq!(site.cluster.primary().query("postgres", connections).unwrap().value(), "0");
    // A reload turns it on.
    let setup = Setup::newest().standbys(1);
    site.pgweir.reload(&setup.text_for(&site));
    wait_served_by_standby(&site, &mut client, "reads(1)");
}

#[test]
fn the_metrics_tell_how_old_and_how_large_a_catalog_is_and_that_it_cannot_be_read() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    let metric = |name: &str| {
        site.pgweir
            .metric(&format!("pgweir_catalog_{name}"), &[("cluster", "main"), ("database", "postgres")])
    };
    site.wait_for("the catalog is read", || metric("age_seconds").is_some_and(|age| age < 2.0));
    let (reads, objects) = (metric("reads_total"), metric("objects"));
    client.query("CREATE TABLE t (a int)").unwrap();
    site.wait_for("it is read again", || metric("reads_total") > reads && metric("objects") > objects);
    assert!(metric("bytes") > Some(0.0) && metric("read_seconds_total") > Some(0.0));
    assert_eq!(metric("errors_total"), Some(0.0));
    // Who is in already stays in.
    let mut admin = site.cluster.primary().connect("postgres").unwrap();
    admin.query("ALTER ROLE postgres SET idle_session_timeout TO '1ms'").unwrap();
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgweir catalog'";
    admin.query(end).unwrap();
    site.wait_for("the errors are counted", || metric("errors_total") > Some(0.0));
}

#[test]
fn thousands_of_objects_cost_little_memory_and_no_waiting() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    client.query("SELECT 1").expect("pgweir answers");
    let before = site.pgweir.resident_bytes();
    let mut objects = String::from("BEGIN; CREATE TABLE log (a int); SET LOCAL check_function_bodies = off;");
    for number in 0..3000 {
        let _ = write!(
            objects,
            "CREATE FUNCTION reader_{number}(a int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
             CREATE FUNCTION caller_{number}(a int) RETURNS int LANGUAGE sql AS $$ SELECT reader_{number}(a) $$;
             CREATE TABLE table_{number} (a int);
             CREATE VIEW view_{number} AS SELECT a, reader_{number}(a) AS r FROM table_{number};"
        );
    }
    objects.push_str("COMMIT");
    let done = &std::sync::atomic::AtomicBool::new(false);
    let slowest = std::thread::scope(|threads| {
        let asking = threads.spawn(move || {
            let mut slowest = Duration::ZERO;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let began = Instant::now();
                client.query("SELECT 1").expect("pgweir answers");
                slowest = slowest.max(began.elapsed());
            }
            slowest
        });
        site.cluster.primary().query("postgres", &objects).expect("the objects are made");
        site.wait_caught_up();
        let mut other = site.connect();
        wait_served_by_standby(&site, &mut other, "caller_2999(1)");
        assert_ne!(port(&mut other, "(SELECT count(*) FROM view_7)"), site.primary_port());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        asking.join().expect("the asking client goes on")
    });
    let grown = site.pgweir.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 12,000 objects");
    assert!(slowest < Duration::from_secs(2), "a client waited for {slowest:?}");
}
