//! The table of verdicts, and properties that hold for every text.

mod hostile;
mod mutated;

use super::*;
use crate::catalog::SearchPath;
use crate::catalog::fixture::{naming, rows};
use crate::lexer::{Lexer, TokenKind};
use crate::names;
use crate::{BeginMode, CopyDirection, DiscardScope, Isolation};

/// One line of a table such as `classify.tests`.
pub(crate) struct Case {
    line: usize,
    sql: String,
    expected: String,
}

impl Case {
    /// The lines of a table.
    pub(crate) fn all(table: &str) -> Vec<Case> {
        let lines = table.lines().enumerate();
        let cases = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(at, line)| {
            let (sql, expected) = line.rsplit_once(" => ").expect("each line has an arrow");
            Case { line: at + 1, sql: sql.replace('¶', "\n"), expected: expected.to_owned() }
        });
        cases.collect()
    }

    /// Compares a table with what `verdict` makes of each text, and prints all differences at once.
    #[track_caller]
    pub(crate) fn check(cases: &[Case], mut verdict: impl FnMut(&str) -> Verdict) {
        let wrong: Vec<String> = cases
            .iter()
            .filter_map(|case| {
                let found = printed(verdict(&case.sql));
                let right = found == case.expected;
                (!right).then(|| {
                    format!(
                        "line {}: {}\n  found    {found}\n  expected {}",
                        case.line, case.sql, case.expected
                    )
                })
            })
            .collect();
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn cases() -> Vec<Case> {
    Case::all(include_str!("classify.tests"))
}

fn fresh() -> Classifier {
    Classifier::new(Settings::default(), 7)
}

fn classify(sql: &str) -> Verdict {
    fresh().classify(sql.as_bytes(), Lexing::default(), None)
}

pub(crate) fn printed(verdict: Verdict) -> String {
    let target = match verdict.target {
        Target::Standby => "standby",
        Target::Primary => "primary",
    };
    let pin = verdict.binds.map_or(String::new(), |cause| format!(", {}", cause.code()));
    let opaque = if verdict.leaves == Leaves::Unknown { ", opaque" } else { "" };
    format!("{target}, {}, {}{pin}{opaque}", printed_kind(verdict.kind), verdict.reason.code())
}

fn printed_kind(kind: Kind) -> String {
    match kind {
        Kind::Begin(mode) => format!("begin{}", printed_mode(mode)),
        Kind::Copy(CopyDirection::In) => "copy_in".to_owned(),
        Kind::Copy(CopyDirection::Out) => "copy_out".to_owned(),
        Kind::Discard(DiscardScope::All) => "discard_all".to_owned(),
        Kind::Discard(DiscardScope::Plans) => "discard_plans".to_owned(),
        Kind::Discard(DiscardScope::Sequences) => "discard_sequences".to_owned(),
        Kind::Discard(DiscardScope::Temporary) => "discard_temporary".to_owned(),
        plain => snake_case(&format!("{plain:?}")),
    }
}

fn printed_mode(mode: BeginMode) -> String {
    let access = mode.read_only.map(|only| if only { "read_only" } else { "read_write" });
    let isolation = mode.isolation.map(|level| match level {
        Isolation::ReadUncommitted => "read_uncommitted",
        Isolation::ReadCommitted => "read_committed",
        Isolation::RepeatableRead => "repeatable_read",
        Isolation::Serializable => "serializable",
    });
    let deferrable = mode.deferrable.map(|yes| if yes { "deferrable" } else { "not_deferrable" });
    let modes: Vec<&str> = [access, isolation, deferrable].into_iter().flatten().collect();
    if modes.is_empty() { String::new() } else { format!("[{}]", modes.join(",")) }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn check(verdict: impl FnMut(&str) -> Verdict) {
    Case::check(&cases(), verdict);
}

#[test]
fn table_of_verdicts() {
    assert!(cases().len() >= 300, "the table has shrunk");
    check(classify);
}

#[test]
fn a_warm_cache_answers_as_a_fresh_one() {
    let mut classifier = fresh();
    for _ in 0..4 {
        check(|sql| classifier.classify(sql.as_bytes(), Lexing::default(), None));
    }
}

#[test]
fn a_tiny_cache_answers_as_a_large_one() {
    let settings = Settings { cache_entries: 3, ..Settings::default() };
    let mut classifier = Classifier::new(settings, 1);
    for _ in 0..3 {
        check(|sql| {
            classifier.classify(sql.as_bytes(), Lexing::default(), None);
            classifier.classify(sql.as_bytes(), Lexing::default(), None)
        });
    }
}

#[test]
fn comments_and_whitespace_around_a_text_change_nothing() {
    for (before, after) in [("/* a ; b */", ""), ("-- x\n", " -- y"), (" \n\t", "\n;;\n"), (";", "/* z */;")]
    {
        check(|sql| {
            let open = classify(sql).reason == Reason::TextUnterminated;
            classify(&if open { sql.to_owned() } else { format!("{before}{sql}\n{after}") })
        });
    }
}

#[test]
fn comments_that_differ_each_time_evict_nothing_from_the_cache() {
    let mut classifier = Classifier::new(Settings { cache_entries: 8, ..Settings::default() }, 7);
    for _ in 0..2 {
        classifier.classify(b"SELECT a FROM hot", Lexing::default(), None);
    }
    for request in 0..10_000 {
        let text = format!("/* pgweir: standby */ SELECT b FROM t /*traceparent='00-{request:032x}-01'*/");
        assert_eq!(classifier.classify(text.as_bytes(), Lexing::default(), None).reason, Reason::Read);
    }
    // The shape of the many, and the one text that came twice, in both its forms.
    let shown = format!("{:?}", classifier.cache);
    assert!(shown.contains("entries: 3"), "{shown}");
}

/// Pseudo-random numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// The same tokens with other case, other blanks, and other literals where literals do not matter.
fn varied(sql: &str, random: &mut Random) -> String {
    let text = sql.as_bytes();
    let tokens: Vec<Token> = Lexer::new(text, false).collect();
    let literals_matter =
        ["set", "do", "current_setting"].iter().any(|word| sql.to_lowercase().contains(word));
    let mut out = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let raw = &sql[token.start as usize..token.end as usize];
        match token.kind {
            TokenKind::Unterminated => return sql.to_owned(),
            TokenKind::Word if random.below(2) == 0 => out.push_str(&raw.to_ascii_uppercase()),
            TokenKind::Str if !literals_matter => {
                out.push_str(random.pick(&["''", "'a;b'", "$$x'y$$", "E'\\''", "'--'"]))
            }
            TokenKind::Number => out.push_str(random.pick(&["0", "42", "1.5", "1e3"])),
            _ => out.push_str(raw),
        }
        let gap = tokens.get(at + 1).is_some_and(|next| next.start > token.end);
        if gap {
            out.push_str(random.pick(&[" ", "\t ", "/* ' */", " /* ; */ ", " --\"\n "]));
        }
    }
    out
}

#[test]
fn case_blanks_and_literals_change_nothing() {
    for seed in 1..20 {
        let mut random = Random(seed * 0x9e37_79b9);
        let mut classifier = fresh();
        check(|sql| {
            let varied = varied(sql, &mut random);
            let cold = classify(&varied);
            for _ in 0..3 {
                assert_eq!(classifier.classify(varied.as_bytes(), Lexing::default(), None), cold, "{varied}");
            }
            cold
        });
    }
}

#[test]
fn no_read_stays_one_once_something_in_it_writes() {
    let reads: Vec<Case> =
        cases().into_iter().filter(|case| case.expected == "standby, query, read").collect();
    assert!(reads.len() > 100);
    for case in reads {
        let sql = case.sql.trim().trim_end_matches(';').trim_end();
        for spoiled in [
            format!("WITH zz AS (DELETE FROM t RETURNING *) SELECT * FROM zz, ({sql}\n) zy"),
            format!("WITH zz AS ({sql}\n) INSERT INTO t SELECT * FROM zz"),
            format!("SELECT * FROM ({sql}\n) zz FOR UPDATE"),
            format!("SELECT * INTO zy FROM ({sql}\n) zz"),
            format!("SELECT zz_function(ARRAY({sql}\n))"),
            format!("SELECT ARRAY({sql}\n), nextval('s')"),
            format!("SELECT * FROM ({sql}\n) zz, LATERAL zz_function(1)"),
            format!("SELECT ARRAY({sql}\n)::zz_type"),
            format!("{sql}\n; DELETE FROM t"),
            format!("UPDATE t SET a = 1; {sql}"),
            format!("EXPLAIN ANALYZE DELETE FROM t USING ({sql}\n) zz"),
            format!("CREATE TABLE zz AS {sql}"),
            format!("DECLARE zz CURSOR FOR {sql}"),
            format!("COPY ({sql}\n) TO '/tmp/zz'"),
        ] {
            assert_eq!(classify(&spoiled).target, Target::Primary, "{spoiled}");
        }
    }
}

#[test]
fn no_read_stays_one_once_a_function_in_it_is_unknown() {
    let mut spoiled = 0;
    for case in cases().iter().filter(|case| case.expected.starts_with("standby")) {
        let text = case.sql.as_bytes();
        let tokens: Vec<Token> = Lexer::new(text, false).collect();
        for pair in tokens.windows(2) {
            let name = String::from_utf8_lossy(pair[0].of(text)).to_lowercase();
            let called = pair[0].kind == TokenKind::Word && pair[1].kind == TokenKind::Open;
            // Types, and keywords that are syntax here, are no calls.
            let plain = names::keyword(name.as_bytes()).is_none() && !names::is_type(None, name.as_bytes());
            if !called || !plain || names::function(None, name.as_bytes()).is_none() {
                continue;
            }
            let (start, end) = (pair[0].start as usize, pair[0].end as usize);
            let sql = format!("{}zz_function{}", &case.sql[..start], &case.sql[end..]);
            assert_eq!(classify(&sql).target, Target::Primary, "{sql}");
            spoiled += 1;
        }
    }
    assert!(spoiled > 80, "only {spoiled} calls were found");
}

#[test]
fn a_normal_form_is_its_own_normal_form() {
    let mut random = Random(99);
    let texts = cases().into_iter().map(|case| case.sql).chain((0..3000).map(|_| soup(&mut random)));
    for text in texts {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        if normalise(text.as_bytes(), false, &mut once) == Normalised::Whole {
            assert_eq!(normalise(&once, false, &mut twice), Normalised::Whole, "{text}");
            assert_eq!(String::from_utf8_lossy(&once), String::from_utf8_lossy(&twice), "{text}");
        }
    }
}

/// Fragments of SQL in any order.
fn soup(random: &mut Random) -> String {
    const PARTS: &[&str] = &[
        "select",
        "with",
        "x",
        "as",
        "(",
        ")",
        ",",
        ";",
        "'a'",
        "$1",
        "1",
        ".",
        "*",
        "from",
        "values",
        "in",
        "array",
        "[",
        "]",
        "::",
        "\"q\"",
        "u&\"q\"",
        "-",
        "+",
        "/",
        "<",
        "e'\\''",
        "$$d$$",
        "/* c */",
        "--\n",
        "\n",
        " ",
        "do",
        "set",
        "begin",
        "atomic",
        "end",
        "create",
        "function",
        "rule",
        "temp",
        "into",
        "for",
        "update",
        "set_config",
        "current_setting",
        "nextval",
        "operator",
        "cast",
        "on",
        "distinct",
        "insert",
        "1e",
        "0x",
        "$",
        "\\",
        "{",
        "é",
        "true",
        "prepare",
        "transaction",
        "declare",
        "hold",
        "explain",
        "copy",
        "to",
        "stdout",
        "show",
        "null",
        "..",
    ];
    (0..1 + random.below(40)).map(|_| random.pick(PARTS).to_owned() + random.pick(&["", " ", " "])).collect()
}

#[test]
fn any_bytes_get_an_answer() {
    let mut random = Random(5);
    let mut classifier = fresh();
    for round in 0..4000 {
        let mut text = soup(&mut random).into_bytes();
        for _ in 0..random.below(4) {
            let at = random.below(text.len());
            text[at] = random.below(256) as u8;
        }
        for standard_conforming_strings in [true, false] {
            let lexing = Lexing { standard_conforming_strings };
            let verdict = classifier.classify(&text, lexing, None);
            assert_eq!(
                fresh().classify(&text, lexing, None),
                verdict,
                "round {round}: {}",
                String::from_utf8_lossy(&text)
            );
        }
        crate::setting_change(&text);
        crate::deallocated(&text);
        crate::savepoint_name(&text);
        crate::unlistened(&text);
        crate::prepared_name(&text);
    }
}

#[test]
fn long_lists_of_literals_are_one_shape() {
    let numbers = (1..20_000).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(classify(&format!("SELECT * FROM t WHERE id IN ({numbers})")).reason, Reason::Read);
    let rows = (1..20_000).map(|number| format!("({number}, 'x{number}')")).collect::<Vec<_>>().join(",");
    let mut normal = Vec::new();
    normalise(format!("INSERT INTO t VALUES {rows}").as_bytes(), false, &mut normal);
    assert_eq!(String::from_utf8_lossy(&normal), "insert into t values(0,'')");
}

#[test]
fn a_row_that_differs_from_its_neighbours_is_kept() {
    let mut normal = Vec::new();
    normalise(b"VALUES (1, 2), (3, nextval('s')), (4, nextval('u')), (5, 6)", false, &mut normal);
    assert_eq!(String::from_utf8_lossy(&normal), "values(0,0),(0,nextval('')),(0,0)");
}

#[test]
fn backslashes_are_not_trusted_when_they_may_escape() {
    let lexing = Lexing { standard_conforming_strings: false };
    let mut classifier = fresh();
    let mut ask = |sql: &str| {
        let verdict = classifier.classify(sql.as_bytes(), lexing, None);
        (verdict.target, verdict.kind, verdict.reason)
    };
    assert_eq!(ask("SELECT 'a'"), (Target::Standby, Kind::Query, Reason::Read));
    assert_eq!(ask(r"SELECT 'a\'"), (Target::Primary, Kind::Other, Reason::TextUnterminated));
    assert_eq!(
        ask(r"SELECT 'a\'; DELETE FROM t; --'"),
        (Target::Primary, Kind::Query, Reason::LexingNonstandard)
    );
    assert_eq!(ask(r"SELECT 'a\\'; DELETE FROM t; --'"), (Target::Primary, Kind::Multi, Reason::MultiOther));
    assert_eq!(ask(r"SET x = 'a\'; b'"), (Target::Primary, Kind::Set, Reason::KindSet));
    // The same text read the standard way is another text, and the cache must know.
    let standard = classifier.classify(br"SELECT 'a\'", Lexing::default(), None);
    assert_eq!(standard.target, Target::Standby);
}

#[test]
fn text_that_is_not_utf8_goes_to_the_primary() {
    let verdict = fresh().classify(b"SELECT '\xff'", Lexing::default(), None);
    assert_eq!(
        (verdict.target, verdict.kind, verdict.reason),
        (Target::Primary, Kind::Query, Reason::TextEncoding)
    );
    let verdict = fresh().classify(b"BEGIN /* \xff */", Lexing::default(), None);
    assert_eq!(verdict.kind, Kind::Begin(BeginMode::default()));
}

#[test]
fn every_reason_has_its_own_code_and_a_true_example() {
    let mut codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Reason::ALL.len());
    let naming = naming(&rows(include_str!("../catalog/fixture.txt")), SearchPath::Default);
    let lexing = |reason| Lexing { standard_conforming_strings: reason != Reason::LexingNonstandard };
    for reason in Reason::ALL.iter().copied().filter(|reason| !reason.example().is_empty()) {
        let text = reason.example().as_bytes();
        let (hints, setting) = (crate::hints(text), crate::Wish::default());
        let verdict = fresh().classify(text, lexing(reason), Some(&naming));
        let decision = crate::decide(&verdict, hints.as_ref().map(|it| &it.wish), &setting);
        assert_eq!(decision.reason, reason, "{}", reason.example());
    }
}
