//! Names say what a thing is. A word that fits anything says nothing, so some words may not name a file or an item.

use crate::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust() {
        let named = file.path.trim_end_matches(".rs").split('/').find(|part| EMPTY_MODULES.contains(part));
        findings.extend(
            named.map(|part| Finding::new(file, 1, format!("`{part}` says nothing as a file's name"))),
        );
        for line in source.lines() {
            let items = items(&line.code).filter(|(keyword, name)| is_empty_name(keyword, name));
            findings.extend(items.map(|(keyword, name)| {
                Finding::new(
                    file,
                    line.number,
                    format!("`{keyword} {name}` has a word in its name that says nothing"),
                )
            }));
        }
    }
    findings
}

/// The items that a line of code declares, as keyword and name.
fn items(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let words: Vec<&str> =
        code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let pairs: Vec<(&str, &str)> = words.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.into_iter().filter(|(keyword, _)| KEYWORDS.contains(keyword))
}

fn is_empty_name(keyword: &str, name: &str) -> bool {
    match keyword {
        "mod" => EMPTY_MODULES.contains(&name),
        "fn" if name.starts_with("get_") => true,
        _ => words_of(name).any(|word| EMPTY_WORDS.contains(&word.as_str())),
    }
}

/// The words of a name in either case: `FooBar` and `foo_bar` are both `foo` and `bar`.
fn words_of(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_ascii_uppercase() && name.contains(|c: char| c.is_ascii_lowercase()) {
            words.push(String::new());
        }
        words
            .last_mut()
            .expect("one word was there from the start")
            .extend(c.to_lowercase().filter(|&c| c != '_'));
    }
    words.into_iter()
}

const KEYWORDS: [&str; 8] = ["const", "enum", "fn", "mod", "static", "struct", "trait", "type"];

const EMPTY_MODULES: [&str; 9] =
    ["common", "core", "handler", "handlers", "helper", "helpers", "manager", "util", "utils"];

const EMPTY_WORDS: [&str; 7] = ["handler", "helper", "helpers", "manager", "misc", "util", "utils"];

#[test]
fn finds_words_that_say_nothing() {
    crate::finds(
        check,
        &[
            ("crates/a/src/util.rs", ""),
            (
                "crates/a/src/lib.rs",
                "mod common;\npub struct PoolManager;\nfn get_x() {}\nfn target() {}\n// fn get_y\n",
            ),
        ],
        &[
            "util.rs:1: `util`",
            "lib.rs:1: `mod common`",
            "lib.rs:2: `struct PoolManager`",
            "lib.rs:3: `fn get_x`",
        ],
    );
}
