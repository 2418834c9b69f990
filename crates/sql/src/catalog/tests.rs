//! Verdicts that rest on a catalog.

use std::sync::Arc;

use super::fixture::{naming, rows};
use super::*;
use crate::classifier::tests::{Case, printed};
use crate::{Classifier, Lexing, Settings, Target};

const DATABASE: &str = include_str!("fixture.txt");

fn classifier() -> Classifier {
    Classifier::new(Settings::default(), 3)
}

fn target(classifier: &mut Classifier, sql: &str, naming: &Naming) -> Target {
    classifier.classify(sql.as_bytes(), Lexing::default(), Some(naming)).target
}

#[test]
fn table_of_verdicts() {
    let naming = naming(&rows(DATABASE), SearchPath::Default);
    let cases = Case::all(include_str!("catalog.tests"));
    assert!(cases.len() > 150, "the table has shrunk");
    let mut warm = classifier();
    Case::check(&cases, |sql| {
        let cold = classifier().classify(sql.as_bytes(), Lexing::default(), Some(&naming));
        for _ in 0..3 {
            let again = warm.classify(sql.as_bytes(), Lexing::default(), Some(&naming));
            assert_eq!(printed(again), printed(cold), "{sql}");
        }
        cold
    });
}

#[test]
fn a_catalog_changes_nothing_about_postgresqls_own_names() {
    let naming = naming(&rows("path: public\nfunction f(0) volatile sql: SELECT 1"), SearchPath::Default);
    let cases = Case::all(include_str!("../classifier/classify.tests"));
    Case::check(&cases, |sql| classifier().classify(sql.as_bytes(), Lexing::default(), Some(&naming)));
}

/// Where each of these goes with this search path.
#[track_caller]
fn check_path(path: SearchPath<'_>, expected: &[(&str, Target)]) {
    let naming = naming(&rows(DATABASE), path);
    for (sql, target_expected) in expected {
        assert_eq!(target(&mut classifier(), sql, &naming), *target_expected, "{path:?}: {sql}");
    }
}

#[test]
fn the_search_path_decides_what_a_name_means() {
    use SearchPath::{Default, List, Sql, Unknown};
    use Target::{Primary, Standby};
    check_path(List("tenant"), &[("SELECT mine()", Standby), ("SELECT my_reader(1)", Primary)]);
    check_path(List("other"), &[("SELECT mine()", Primary), ("SELECT far()", Standby)]);
    check_path(Sql("'tenant', other"), &[("SELECT mine()", Primary)]);
    check_path(List("tenant"), &[("TABLE tenant_log", Primary), ("TABLE hidden", Standby)]);
    check_path(List("other, public"), &[("TABLE hidden", Primary), ("TABLE tenant_log", Standby)]);
    // A function of PostgreSQL's own comes first, unless pg_catalog does not.
    check_path(List("public"), &[("SELECT lower('A')", Standby), ("SELECT upper('a')", Primary)]);
    check_path(List("public, pg_catalog"), &[("SELECT lower('A')", Primary)]);
    check_path(List("pg_catalog, public"), &[("SELECT lower('A')", Standby)]);
    check_path(List("other, pg_catalog"), &[("SELECT lower('A')", Standby), ("SELECT length('A')", Primary)]);
    // Where nobody knows the path, a name may mean anything.
    check_path(Unknown, &[("SELECT mine()", Primary), ("SELECT far()", Standby), ("TABLE hidden", Primary)]);
    check_path(Unknown, &[("SELECT lower('A')", Primary), ("SELECT tenant.mine()", Standby)]);
    check_path(Default, &[("SELECT her()", Standby), ("SELECT mine()", Primary)]);
}

#[test]
fn a_role_has_a_path_of_its_own() {
    let slot = CatalogSlot::new(1);
    slot.set(Some(Arc::new(Catalog::new(&rows(DATABASE)))));
    let ask = |role| target(&mut classifier(), "SELECT mine()", &slot.naming(SearchPath::Default, role));
    assert_eq!((ask("tenant"), ask("anna")), (Target::Standby, Target::Primary));
}

#[test]
fn verdicts_follow_the_catalog_that_is_swapped() {
    let slot = CatalogSlot::new(1);
    let mut classifier = classifier();
    let mut ask = |slot: &CatalogSlot| {
        let naming = slot.naming(SearchPath::Default, "anna");
        for _ in 0..3 {
            target(&mut classifier, "SELECT f(1)", &naming);
        }
        target(&mut classifier, "SELECT f(1)", &naming)
    };
    let with = |line: &str| Some(Arc::new(Catalog::new(&rows(&format!("path: public\n{line}")))));
    assert_eq!(ask(&slot), Target::Primary, "nothing is known");
    let first = slot.generation();
    slot.set(with("function f(1) stable plpgsql: BEGIN END"));
    assert_eq!(ask(&slot), Target::Standby);
    assert!(slot.generation() > first);
    slot.set(with("function f(1) volatile plpgsql: BEGIN END"));
    assert_eq!(ask(&slot), Target::Primary);
    slot.set(with("function f(1) stable plpgsql: BEGIN END"));
    assert_eq!(ask(&slot), Target::Standby);
    slot.set(None);
    assert_eq!(ask(&slot), Target::Primary);
}

#[test]
fn a_catalog_that_knows_the_same_is_none_the_newer() {
    let slot = CatalogSlot::new(1);
    let with = |line: &str| Some(Arc::new(Catalog::new(&rows(line))));
    slot.set(with("function f(1) stable plpgsql: BEGIN END"));
    let before = slot.generation();
    slot.set(with("function f(1) immutable plpgsql: BEGIN RETURN 1; END"));
    assert_eq!(slot.generation(), before, "f is as harmless as it was");
    slot.set(with("function f(1) volatile plpgsql: BEGIN RETURN 1; END"));
    assert!(slot.generation() > before);
}

#[test]
fn databases_do_not_share_verdicts() {
    let mut classifier = classifier();
    let slots = ["stable", "volatile"].map(|volatility| {
        let slot = CatalogSlot::new(u32::from(volatility == "stable"));
        let line = format!("path: public\nfunction f(1) {volatility} plpgsql: BEGIN END");
        slot.set(Some(Arc::new(Catalog::new(&rows(&line)))));
        slot
    });
    for _ in 0..4 {
        let targets = [&slots[0], &slots[1]]
            .map(|slot| target(&mut classifier, "SELECT f(1)", &slot.naming(SearchPath::Default, "anna")));
        assert_eq!(targets, [Target::Standby, Target::Primary]);
    }
}

#[test]
fn what_a_standby_refused_is_no_read_any_more() {
    let slot = CatalogSlot::new(1);
    slot.set(Some(Arc::new(Catalog::new(&rows(DATABASE)))));
    let naming = slot.naming(SearchPath::Default, "anna");
    let (mut here, mut elsewhere) = (classifier(), classifier());
    for _ in 0..3 {
        assert_eq!(target(&mut here, "SELECT my_reader(1)", &naming), Target::Standby);
    }
    here.refused(b"SELECT my_reader(1)", Lexing::default(), &naming);
    for sql in ["SELECT my_reader(1)", "select  my_reader(22)"] {
        for classifier in [&mut here, &mut elsewhere] {
            let verdict = classifier.classify(sql.as_bytes(), Lexing::default(), Some(&naming));
            assert_eq!((verdict.target, verdict.reason), (Target::Primary, Reason::StandbyRefused), "{sql}");
        }
    }
    assert_eq!(target(&mut here, "SELECT my_pure(1)", &naming), Target::Standby);
    slot.set(Some(Arc::new(Catalog::new(&rows(DATABASE)))));
    let naming = slot.naming(SearchPath::Default, "anna");
    assert_eq!(
        target(&mut here, "SELECT my_reader(3)", &naming),
        Target::Primary,
        "a new catalog knows it too"
    );
}

#[test]
fn a_chain_that_is_too_long_is_not_trusted() {
    // Each calls the next, which is made later: the harm travels one step a round.
    let lines = |links: usize| {
        let mut lines: Vec<String> =
            (0..links).map(|at| format!("function f{at}(0) volatile sql: SELECT f{}()", at + 1)).collect();
        lines.push(format!("function f{links}(0) volatile plpgsql: BEGIN END"));
        lines.push("function fine(0) stable plpgsql: BEGIN END".to_owned());
        format!("path: public\n{}", lines.join("\n"))
    };
    for links in [10, 200] {
        let naming = naming(&rows(&lines(links)), SearchPath::Default);
        assert_eq!(target(&mut classifier(), "SELECT f0()", &naming), Target::Primary, "{links}");
        assert_eq!(target(&mut classifier(), "SELECT fine()", &naming), Target::Standby, "{links}");
    }
}

#[test]
fn an_operator_or_cast_between_postgresqls_own_types_hides_anywhere() {
    for line in ["operator = f pg_catalog.int4 pg_catalog.text", "cast pg_catalog.int4 pg_catalog.text f"] {
        let text = format!("path: public\nfunction f(2) volatile plpgsql: BEGIN END\n{line}");
        let naming = naming(&rows(&text), SearchPath::Default);
        for sql in ["SELECT a FROM t", "SELECT a FROM t WHERE a IN ('x')"] {
            assert_eq!(target(&mut classifier(), sql, &naming), Target::Primary, "{line}: {sql}");
        }
    }
}

#[test]
fn deeply_nested_calls_are_counted_in_bounded_time() {
    let naming = naming(&rows(DATABASE), SearchPath::Default);
    let sql = format!("SELECT {}1{}", "overloaded(".repeat(4000), ")".repeat(4000));
    assert_eq!(target(&mut classifier(), &sql, &naming), Target::Primary);
}

#[test]
fn thousands_of_objects_take_little_memory() {
    let mut lines = vec!["path: public".to_owned()];
    for at in 0..5000 {
        lines.push(format!("function a_function_of_the_application_{at}(2) stable plpgsql: BEGIN END"));
        lines.push(format!("type a_table_of_the_application_{at}"));
    }
    let size = Catalog::new(&rows(&lines.join("\n"))).size();
    assert_eq!((size.functions, size.types), (5000, 5000));
    assert!(size.memory_bytes < 1_000_000, "{size:?}");
}
