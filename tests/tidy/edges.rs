//! Crates depend only on what ARCHITECTURE.md lists, and it lists nothing else.
//!
//! The list is a fenced block named `edges`, a line `crate -> a, b` for each crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::toml;
use crate::tree::{File, Finding, Tree};

type Edges<'a> = BTreeMap<String, (BTreeSet<String>, usize, &'a File)>;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.file(MAP) else {
        return vec![Finding::missing(MAP, "is missing: it lists which crate may depend on which")];
    };
    let (legal, found) = (listed(map), found(tree));
    let mut findings = Vec::new();
    for (name, (dependencies, _, manifest)) in &found {
        match legal.get(name) {
            None => {
                findings.push(Finding::new(manifest, 1, format!("{MAP} has no line for the crate `{name}`")))
            }
            Some((allowed, ..)) => findings.extend(dependencies.difference(allowed).map(|dependency| {
                let what = format!("`{name} -> {dependency}` is not an edge that {MAP} lists");
                Finding::new(manifest, line_of(manifest, dependency), what)
            })),
        }
    }
    for (name, (allowed, line, _)) in &legal {
        let used = found.get(name).map(|(dependencies, ..)| dependencies);
        let unused = allowed.iter().filter(|edge| !used.is_some_and(|used| used.contains(*edge)));
        findings.extend(
            unused.map(|edge| Finding::new(map, *line, format!("nothing uses the edge `{name} -> {edge}`"))),
        );
    }
    findings
}

/// The legal edges, from the map.
fn listed(map: &File) -> Edges<'_> {
    let lines = map.text.lines().enumerate().skip_while(|(_, line)| line.trim() != "```edges").skip(1);
    let lines = lines.take_while(|(_, line)| line.trim() != "```");
    lines
        .filter_map(|(index, line)| {
            let (name, dependencies) = line.split_once("->")?;
            let dependencies = dependencies.split(',').map(str::trim).filter(|name| !name.is_empty());
            Some((name.trim().to_owned(), (dependencies.map(str::to_owned).collect(), index + 1, map)))
        })
        .collect()
}

/// The edges that the manifests have; what only tests need does not count.
fn found(tree: &Tree) -> Edges<'_> {
    let manifests = tree.files().filter_map(|file| {
        let name = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        Some((name, file))
    });
    manifests.map(|(name, file)| (name.to_owned(), (internal_dependencies(&file.text), 1, file))).collect()
}

fn internal_dependencies(manifest: &str) -> BTreeSet<String> {
    let counted = |section: &str| section.ends_with("dependencies") && !section.ends_with("dev-dependencies");
    let keys = toml::entries(manifest).filter(|entry| counted(entry.section)).map(|entry| entry.key);
    let packages = keys.filter_map(|key| key.split('.').next()?.strip_prefix("pgweir-"));
    packages.map(str::to_owned).collect()
}

fn line_of(manifest: &File, dependency: &str) -> usize {
    let package = format!("pgweir-{dependency}");
    toml::entries(&manifest.text).find(|entry| entry.key.starts_with(&package)).map_or(1, |entry| entry.line)
}

const MAP: &str = "ARCHITECTURE.md";

#[test]
fn finds_an_edge_too_many_a_crate_unlisted_and_an_edge_unused() {
    let map = "# Map\n```edges\nwire ->\nsql ->\nproxy -> wire, sql\n```\n";
    crate::finds(
        check,
        &[
            (MAP, map),
            ("crates/wire/Cargo.toml", "[dependencies]\npgweir-sql.workspace = true\n"),
            ("crates/sql/Cargo.toml", "[dev-dependencies]\npgweir-wire.workspace = true\n"),
            ("crates/proxy/Cargo.toml", "[dependencies]\npgweir-wire.workspace = true\n"),
            ("crates/new/Cargo.toml", ""),
        ],
        &[
            "crates/new/Cargo.toml:1: ARCHITECTURE.md has no line for the crate `new`",
            "crates/wire/Cargo.toml:2: `wire -> sql` is not an edge",
            "ARCHITECTURE.md:5: nothing uses the edge `proxy -> sql`",
        ],
    );
    crate::finds(check, &[], &["ARCHITECTURE.md:1: is missing"]);
}
