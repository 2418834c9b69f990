//! Documents stay true and short: the paths that they name exist, and the map and the decisions fit on a few screens.

use crate::tree::{File, Finding, Tree, resolve};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.files().filter(|file| file.path.ends_with(".md"));
    documents.flat_map(|file| too_long(file).into_iter().chain(broken_paths(tree, file))).collect()
}

fn too_long(file: &File) -> Option<Finding> {
    let (lines, limit) = (file.text.lines().count(), line_limit(&file.path)?);
    (lines > limit)
        .then(|| Finding::new(file, limit + 1, format!("has {lines} lines, and {limit} are enough")))
}

fn line_limit(path: &str) -> Option<usize> {
    match path {
        "ARCHITECTURE.md" => Some(250),
        path if path.starts_with("docs/decisions/") => Some(60),
        _ => None,
    }
}

fn broken_paths(tree: &Tree, file: &File) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let links = links(line).filter(|link| !tree.has(&resolve(folder, link)));
            let named = named_paths(line).filter(|path| !tree.has(path));
            let broken = links.chain(named).map(|path| format!("`{path}` does not exist"));
            findings.extend(broken.map(|what| Finding::new(file, index + 1, what)));
        }
    }
    findings
}

/// The targets of a line's links that point into the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

/// What stands in backticks and starts with one of our folders. A name in capitals (`crates/NAME`) is a placeholder.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|path| {
        let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
        let placeholder =
            path.contains(['*', '<', '{', '…', ' ']) || path.split(['/', '-']).any(is_placeholder);
        ours && !placeholder
    })
}

fn is_placeholder(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase())
}

const FOLDERS: [&str; 7] = [".ci/", "benches/", "crates/", "docker/", "docs/", "fuzz/", "tests/"];

#[test]
fn finds_paths_and_links_that_lead_nowhere() {
    crate::finds(
        check,
        &[(
            "docs/a.md",
            "`docs/a.md` and `crates/wire/src/gone.rs`, [b](b.md), [up](../docs/a.md#part), [web](https://example.org)\n\
             ```\n`docs/gone`\n```\n`crates/NAME/src`, `docs/decisions/NNNN-title.md`, `tests/*.rs`\n",
        )],
        &["docs/a.md:1: `b.md` does not exist", "docs/a.md:1: `crates/wire/src/gone.rs` does not exist"],
    );
}

#[test]
fn finds_a_map_and_a_decision_that_grew() {
    let (map, decision) = ("line\n".repeat(251), "line\n".repeat(61));
    crate::finds(
        check,
        &[("ARCHITECTURE.md", &map), ("docs/decisions/0001-a.md", &decision), ("docs/b.md", &map)],
        &["ARCHITECTURE.md:251: has 251 lines", "docs/decisions/0001-a.md:61: has 61 lines"],
    );
}
