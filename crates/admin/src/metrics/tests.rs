use std::collections::BTreeMap;

use super::*;
use crate::fake::Fake;

/// One line of the text format: the name, the labels, the value.
type Line = (String, BTreeMap<String, String>, f64);

fn render() -> String {
    Metrics::new(Arc::new(Fake::default())).render()
}

/// Reads a sample line as Prometheus does.
fn read_line(line: &str) -> Line {
    let name_end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, quoted) = rest.split_once("=\"").unwrap();
            let (value, after) = read_quoted(quoted);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}: a label twice");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    (name.to_owned(), labels, rest.trim().parse().unwrap())
}

/// A quoted value without its escapes, and what follows its closing quote.
fn read_quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            plain => value.push(plain),
        }
    }
    panic!("no closing quote: {text}");
}

fn value(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    let lines = render();
    let mut samples = lines.lines().filter(|line| !line.starts_with('#')).map(read_line);
    samples.find(|line| line.0 == name && line.1 == labels).map(|line| line.2)
}

#[test]
fn every_line_can_be_read_back_and_belongs_to_a_described_family() {
    let text = render();
    let mut kinds = BTreeMap::new();
    let mut series = Vec::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            let (name, help) = described.split_once(' ').unwrap();
            assert!(help.len() > 5, "{name} has no help");
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else {
            let (name, labels, _) = read_line(line);
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let family = family.filter(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"));
            assert!(kinds.contains_key(family.unwrap_or(&name)), "{name} has no type");
            series.push((name, labels));
        }
    }
    let all = series.len();
    series.sort();
    series.dedup();
    assert_eq!(series.len(), all, "no series comes twice");
    for (name, kind) in kinds {
        assert!(name.starts_with("pgweir_") || name.starts_with("process_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    }
}

#[test]
fn every_family_of_the_table_appears() {
    let text = render();
    for family in FAMILIES {
        assert!(text.contains(&format!("# HELP {} {}\n", family.name, family.help)), "{}", family.name);
    }
    assert!(text.contains("process_resident_memory_bytes"));
}

#[test]
fn nodes_show_role_health_and_how_far_behind_they_are() {
    let n1 = [("cluster", "main"), ("node", "n1")];
    let n3 = [("cluster", "main"), ("node", "n3")];
    let role = |role| value("pgweir_node_role", &[n1[0], n1[1], ("role", role)]);
    assert_eq!((role("primary"), role("standby"), role("unknown")), (Some(1.0), Some(0.0), Some(0.0)));
    assert_eq!(value("pgweir_node_health", &[n3[0], n3[1], ("health", "up")]), Some(1.0));
    assert_eq!(value("pgweir_node_staleness_seconds", &n1), Some(0.15));
    assert_eq!(value("pgweir_node_staleness_seconds", &n3), None, "unknown is not 0");
    assert_eq!(value("pgweir_node_lag_bytes", &n3), Some(77e9));
    assert_eq!(value("pgweir_node_serves_reads", &n3), Some(0.0));
    assert_eq!(value("pgweir_node_out", &[n3[0], n3[1], ("reason", "stale")]), Some(1.0));
}

#[test]
fn counts_carry_their_labels() {
    let query = [("cluster", "main"), ("kind", "read"), ("node", "n2"), ("reason", "select")];
    assert_eq!(value("pgweir_queries_total", &query), Some(9.0));
    assert_eq!(value("pgweir_node_reads_resent_total", &[("cluster", "main"), ("node", "n1")]), Some(6.0));
    assert_eq!(value("pgweir_reads_not_resent_total", &[("cluster", "main")]), Some(5.0));
    assert_eq!(value("pgweir_prepared_transactions", &[("cluster", "main")]), Some(3.0));
    assert_eq!(value("pgweir_prepared_transaction_oldest_seconds", &[("cluster", "main")]), Some(61.5));
    assert_eq!(value("pgweir_errors_total", &[("blame", "client"), ("code", "bad_startup")]), Some(2.0));
    assert_eq!(value("pgweir_pins_total", &[("reason", "listen")]), Some(8.0));
    assert_eq!(value("pgweir_pinned_sessions", &[("reason", "listen")]), Some(1.0));
    let pool = [("database", "shop"), ("user", "ann \"the\\first\"")];
    assert_eq!(value("pgweir_pool_maxwait_seconds", &pool), Some(1.5));
    assert_eq!(value("pgweir_pool_servers", &[pool[0], pool[1], ("state", "idle")]), Some(6.0));
    assert_eq!(value("pgweir_database_query_seconds_total", &[("database", "shop")]), Some(1.5));
    assert_eq!(value("pgweir_build_info", &[("version", "9.8.7")]), Some(1.0));
}

#[test]
fn catalogs_show_their_age_and_what_they_cost() {
    let shop = [("cluster", "main"), ("database", "shop")];
    let new = [("cluster", "main"), ("database", "new")];
    assert_eq!(value("pgweir_catalog_age_seconds", &shop), Some(1.5));
    assert_eq!(value("pgweir_catalog_age_seconds", &new), None, "unknown is not 0");
    assert_eq!(value("pgweir_catalog_objects", &[shop[0], shop[1], ("kind", "function")]), Some(3000.0));
    assert_eq!(value("pgweir_catalog_bytes", &shop), Some(65_536.0));
    assert_eq!(value("pgweir_catalog_reads_total", &shop), Some(4.0));
    assert_eq!(value("pgweir_catalog_read_seconds_total", &shop), Some(0.25));
    assert_eq!(value("pgweir_catalog_errors_total", &new), Some(1.0));
}

#[test]
fn histograms_are_cumulative_and_end_with_everything() {
    let bucket = |le| value("pgweir_query_duration_seconds_bucket", &[("le", le)]);
    assert_eq!((bucket("0.001"), bucket("0.01"), bucket("+Inf")), (Some(5.0), Some(8.0), Some(10.0)));
    assert_eq!(value("pgweir_query_duration_seconds_count", &[]), Some(10.0));
    assert_eq!(value("pgweir_query_duration_seconds_sum", &[]), Some(0.07));
}
