//! Files cut and mangled at many places: an answer each time, never a panic, and places that exist.

use std::path::Path;

use pgweir_config::Config;

#[test]
fn a_file_cut_or_mangled_anywhere_gets_an_answer() {
    let whole = include_str!("../../../proxy.toml");
    let short: String = whole
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| line.replacen('#', "", 1) + "\n")
        .collect();
    for at in (0..short.len()).step_by(23).filter(|at| short.is_char_boundary(*at)) {
        let (before, after) = short.split_at(at);
        check(before);
        for wedge in ["\"", "[", "=", "\u{1F418}", "\0", "\r"] {
            check(&format!("{before}{wedge}{after}"));
        }
    }
}

#[test]
fn deep_nesting_and_long_lines_get_an_answer() {
    check(&format!("x = {}{}", "[".repeat(10_000), "]".repeat(10_000)));
    check(&format!("{} = 1", "a.".repeat(5_000) + "a"));
    check(&format!("{} = 1", "a".repeat(1_000_000)));
    check(&format!("[pool]\nsize = {}", "9".repeat(1_000_000)));
}

fn check(text: &str) {
    let Err(errors) = Config::parse(text, Path::new("tests/mistakes/files")) else { return };
    assert!(!errors.mistakes.is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for mistake in &errors.mistakes {
        let line = lines.get(mistake.line.wrapping_sub(1));
        let width = line.map(|line| line.chars().count());
        assert!(width.is_some_and(|width| (1..=width + 1).contains(&mistake.column)), "{mistake:?}");
        assert!(mistake.to_string().starts_with("error: "));
    }
}
