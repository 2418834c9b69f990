//! Texts that would like to cost a stack, a minute or a wrong answer.

use super::*;
use crate::PinCause;

/// Runs on a stack as small as a worker's.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread starts");
    thread.join().expect("neither a panic nor an overflow");
}

#[test]
fn hostile_texts_get_an_answer_on_a_small_stack() {
    on_a_small_stack(|| {
        for text in hostile_texts() {
            let verdict = classify(&text);
            let start: String = text.chars().take(60).collect();
            assert_eq!(verdict.target, Target::Primary, "{start}");
            crate::setting_change(text.as_bytes());
            crate::prepared_name(text.as_bytes());
        }
    });
}

/// Reads as nested and as long as the parser may see: its trees must be built, walked and dropped.
#[test]
fn reads_as_large_as_the_parser_sees_get_an_answer_on_a_small_stack() {
    on_a_small_stack(|| {
        let repeated = [
            ("SELECT 1", "+1", ""),
            ("SELECT a", " OR b", " FROM t"),
            ("SELECT a", "::int", " FROM t"),
            ("SELECT a", "||b", " FROM t"),
            ("SELECT 1", " UNION SELECT 1", ""),
            ("SELECT ", "NOT ", "a FROM t"),
            ("SELECT ", "- ", "1"),
            ("SELECT * FROM t", " JOIN t ON true", ""),
            ("SELECT * FROM t", ",t", ""),
            ("SELECT a", "[1]", ""),
            ("SELECT a", ".b", " FROM t"),
            ("SELECT a", " COLLATE x", " FROM t"),
            ("SELECT a", " IS NULL", " FROM t"),
            ("SELECT a", " AT TIME ZONE b", " FROM t"),
        ];
        for (before, part, after) in repeated {
            let parts =
                (Settings::default().parse_tokens_max - 10) / Lexer::new(part.as_bytes(), false).count();
            let sql = format!("{before}{}{after}", part.repeat(parts));
            assert_eq!(classify(&sql).kind, Kind::Query, "{before}{part}");
        }
        for (open, close) in
            [("(", ")"), ("abs(", ")"), ("(SELECT ", ")"), ("ARRAY[", "]"), ("CASE WHEN a THEN ", " END")]
        {
            let sql = format!("SELECT {}1{}", open.repeat(600), close.repeat(600));
            assert_eq!(classify(&sql).kind, Kind::Query, "{open}");
        }
    });
}

/// Texts that need the primary and would like to need more.
fn hostile_texts() -> Vec<String> {
    let many = 100_000;
    vec![
        "(".repeat(many),
        format!("SELECT {}1{}, nextval('s')", "(".repeat(many), ")".repeat(many)),
        format!("SELECT {}1{}, nextval('s')", "(".repeat(1500), ")".repeat(1500)),
        format!("SELECT 1{}, nextval('s')", "+1".repeat(many)),
        format!("SELECT 1{} FROM t FOR UPDATE", "+1".repeat(1900)),
        format!("SELECT a{} FROM t FOR UPDATE", " OR b".repeat(1900)),
        format!("SELECT a{} FROM t FOR UPDATE", "::int".repeat(1900)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(many)),
        format!("SELECT 1{} FOR UPDATE", " UNION SELECT 1".repeat(1200)),
        format!("SELECT {}nextval('s')", "- ".repeat(many)),
        format!("SELECT {}a FROM t FOR UPDATE", "NOT ".repeat(3000)),
        format!("SELECT {}nextval('s'){}", "abs(".repeat(1900), ")".repeat(1900)),
        format!("SELECT {}1{} FOR UPDATE", "ARRAY[".repeat(1900), "]".repeat(1900)),
        format!("SELECT {}1 FOR UPDATE", "CASE WHEN a THEN ".repeat(1300)),
        format!("{}SELECT nextval('s'){}", "SELECT * FROM (".repeat(900), ") x".repeat(900)),
        format!("{} DELETE FROM t", "WITH x AS (".repeat(1000)),
        "EXPLAIN ".repeat(many),
        "COPY (".repeat(many),
        format!("/*{}", "/*".repeat(1 << 19)),
        format!("SELECT '{}", "''".repeat(1 << 19)),
        format!("SELECT \"{}", "\"\"".repeat(1 << 19)),
        format!("SELECT $a$ {}", "$".repeat(1 << 20)),
        format!("SELECT {}", "$".repeat(1 << 20)),
        format!("INSERT INTO t VALUES {}(1)", "(1, 'a'), (2, nextval('s')), ".repeat(30_000)),
        format!("SELECT {}", "a, ".repeat(1 << 18)),
        format!("BEGIN; {}", "SELECT 1; ".repeat(many)),
        format!("SELECT {}('s')", "n".repeat(1 << 20)),
        format!("SET x = {}", "a, ".repeat(1 << 18)),
        format!("DO $$ {} $$", "SET ".repeat(1 << 18)),
        "\0".repeat(1 << 18),
        "@".repeat(1 << 18),
        "+".repeat(1 << 18),
        "<+".repeat(1 << 18),
        "-".repeat(1 << 20) + "\nDELETE FROM t",
        "1".repeat(1 << 20),
        ".".repeat(1 << 18),
        "[".repeat(1 << 18),
        "'a'\n".repeat(1 << 18),
    ]
}

#[test]
fn a_long_text_is_watched_to_its_end() {
    let padding = "SELECT a, b, c FROM t; ".repeat(30_000);
    let pins = [
        ("LISTEN c", PinCause::Listen),
        ("SET work_mem = 1", PinCause::MultiSet),
        ("CREATE TEMP TABLE x (a int)", PinCause::TemporaryTable),
        ("SELECT pg_advisory_lock(1)", PinCause::AdvisoryLock),
    ];
    for (last, cause) in pins {
        let verdict = classify(&format!("{padding}{last}"));
        assert_eq!((verdict.kind, verdict.binds), (Kind::Multi, Some(cause)), "{last}");
        assert_eq!(verdict.target, Target::Primary);
    }
}
