//! The pure crates do no I/O, spawn nothing, and read no clock and no environment: time and seeds are arguments.

use crate::source::has_word;
use crate::toml;
use crate::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust().filter(|(file, _)| is_pure(&file.path) && !tree.is_test(&file.path)) {
        let name = crate_of(&file.path);
        for line in source.lines().filter(|line| !line.in_test) {
            let words =
                BANNED.iter().filter(|word| has_word(&line.code, word)).map(|word| (*word).to_owned());
            findings.extend(words.chain(banned_in_group(&line.code)).map(|word| {
                Finding::new(file, line.number, format!("`{name}` is pure and may not use `{word}`"))
            }));
        }
    }
    for file in tree.files().filter(|file| is_pure(&file.path) && file.path.ends_with("/Cargo.toml")) {
        let impure = toml::entries(&file.text).filter(|entry| {
            entry.section == "dependencies"
                && IMPURE_PACKAGES.iter().any(|package| entry.key.starts_with(package))
        });
        let name = crate_of(&file.path);
        findings.extend(impure.map(|entry| {
            let package = entry.key.trim_end_matches(".workspace");
            Finding::new(file, entry.line, format!("`{name}` is pure and may not depend on `{package}`"))
        }));
    }
    findings
}

fn is_pure(path: &str) -> bool {
    let mut parts = path.split('/');
    let crate_is_pure =
        parts.next() == Some("crates") && parts.next().is_some_and(|name| PURE.contains(&name));
    crate_is_pure && parts.next().is_some_and(|part| part == "src" || part == "Cargo.toml")
}

fn crate_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or(path)
}

/// `use std::{net, ...}` names modules that the plain search does not see.
fn banned_in_group(code: &str) -> Vec<String> {
    let Some((_, group)) = code.split_once("std::{") else { return Vec::new() };
    let modules = BANNED.iter().filter_map(|word| word.strip_prefix("std::"));
    modules.filter(|module| has_word(group, module)).map(|module| format!("std::{module}")).collect()
}

const PURE: [&str; 5] = ["auth", "cluster", "session", "sql", "wire"];

const BANNED: [&str; 12] = [
    "tokio",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "thread::spawn",
    "Instant::now",
    "SystemTime::now",
    "eprintln!",
    "print!",
    "println!",
];

const IMPURE_PACKAGES: [&str; 6] = ["hyper", "rustls", "socket2", "tokio", "tracing", "pgweir-proxy"];

#[test]
fn finds_io_clocks_and_tokio_outside_tests_only() {
    crate::finds(
        check,
        &[
            (
                "crates/wire/src/lib.rs",
                "// tokio\nuse tokio::net;\nuse std::{fmt, fs};\nfn a() { Instant::now(); }\n\
                 #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            ),
            ("crates/wire/src/tests.rs", "use std::fs;"),
            (
                "crates/wire/Cargo.toml",
                "[dependencies]\ntokio.workspace = true\n[dev-dependencies]\ntokio = \"1\"\n",
            ),
            ("crates/proxy/src/lib.rs", "use tokio::net;"),
        ],
        &[
            "crates/wire/src/lib.rs:2: `wire` is pure and may not use `tokio`",
            "crates/wire/src/lib.rs:3: `wire` is pure and may not use `std::fs`",
            "crates/wire/src/lib.rs:4: `wire` is pure and may not use `Instant::now`",
            "crates/wire/Cargo.toml:2: `wire` is pure and may not depend on `tokio`",
        ],
    );
}
