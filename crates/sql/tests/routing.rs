//! `docs/routing.md` lists what the code knows: its tables are rendered from the code's. Examples are judged with the
//! catalog of a made-up database, whose objects have names that begin with `my_`.
//!
//! `PGWEIR_BLESS=1` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pgweir_sql::{
    Body, BuiltinRow, CastRow, Catalog, CatalogRows, CatalogSlot, Classifier, ColumnRow, FunctionRow,
    Language, Lexing, Naming, OperatorRow, Reason, References, RelationKind, RelationRow, SearchPath,
    SearchPathRow, Settings, Target, TypeRow, Volatility, Wish, decide, hints,
};

#[path = "../src/catalog/fixture.rs"]
mod fixture;

#[test]
fn the_page_has_every_reason_with_its_target_meaning_and_example() {
    let page = fs::read_to_string(page()).expect("the page exists");
    let rendered = with_table(&page, &table_of_reasons());
    if std::env::var_os("PGWEIR_BLESS").is_some() {
        fs::write(self::page(), &rendered).expect("the tree is writable");
    } else {
        assert!(
            page == rendered,
            "docs/routing.md is not what crates/sql/src/reason.rs says: run with PGWEIR_BLESS=1"
        );
    }
}

#[test]
fn every_example_goes_where_the_page_says() {
    let rows = fixture::rows(include_str!("../src/catalog/fixture.txt"));
    let naming = fixture::naming(&rows, SearchPath::Default);
    for reason in Reason::ALL.iter().filter(|reason| !reason.example().is_empty()) {
        let lexing = Lexing { standard_conforming_strings: *reason != Reason::LexingNonstandard };
        let text = reason.example().as_bytes();
        let (hints, setting) = (hints(text), Wish::default());
        let verdict = Classifier::new(Settings::default(), 7).classify(text, lexing, Some(&naming));
        let found = decide(&verdict, hints.as_ref().map(|hints| &hints.wish), &setting);
        assert_eq!((found.reason, found.target), (*reason, reason.target()), "{}", reason.example());
    }
}

/// The page with the rows of its only table replaced.
fn with_table(page: &str, table: &str) -> String {
    let is_row = |line: &&str| line.starts_with("| ") || line.starts_with("|--");
    let start = page.find(HEAD).unwrap_or(page.len());
    let rows: usize = page[start..].split_inclusive('\n').take_while(is_row).map(str::len).sum();
    format!("{}{table}{}", &page[..start], &page[start + rows..])
}

fn table_of_reasons() -> String {
    let mut table = format!("{HEAD}\n|---|---|---|---|\n");
    for reason in Reason::ALL {
        let example = match reason.example() {
            "" => String::new(),
            example => format!("`{}`", example.replace('|', "\\|")),
        };
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {example} |",
            reason.code(),
            if reason.target() == Target::Standby { "standby" } else { "primary" },
            reason.meaning()
        );
    }
    table
}

fn page() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the crate lies in the repository").join("docs/routing.md")
}

const HEAD: &str = "| reason | target | meaning | example |";
