//! Bad files and what is said about them: `mistakes/*.toml` and `warnings/*.toml`, each with its exact text beside it.
//!
//! `PGWEIR_BLESS=1` writes the texts anew, to be read before they are committed.

use std::fs;
use std::path::{Path, PathBuf};

use pgweir_config::Config;

#[test]
fn every_mistake_is_told_with_its_place_and_advice() {
    check_folder("mistakes", |text, files| Config::parse(text, files).expect_err("has mistakes").to_string());
}

#[test]
fn what_is_odd_is_told_and_prevents_nothing() {
    check_folder("warnings", |text, files| {
        let loaded = Config::parse(text, files).unwrap_or_else(|errors| panic!("{errors}"));
        loaded.warnings.iter().map(|warning| format!("{warning}\n\n")).collect()
    });
}

/// Compares what is said about each file of a folder with the text beside it.
fn check_folder(folder: &str, say: impl Fn(&str, &Path) -> String) {
    let bless = std::env::var_os("PGWEIR_BLESS").is_some();
    let files = Path::new("tests/mistakes/files");
    let mut wrong = Vec::new();
    let cases = cases(&Path::new("tests").join(folder));
    assert!(cases.len() >= 3, "the cases of {folder} are gone");
    for case in cases {
        let said =
            say(&fs::read_to_string(&case).expect("a case can be read"), files).trim_end().to_owned() + "\n";
        let beside = case.with_extension("txt");
        if bless {
            fs::write(&beside, &said).expect("the tree is writable");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if said != expected {
            wrong.push(format!("=== {}\n--- expected\n{expected}\n--- said\n{said}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("the folder of cases is here")
        .map(|entry| entry.expect("it can be listed").path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    cases.sort();
    cases
}
