//! Files stay short, an exception to a lint says why, and tests wait for what they test instead of for time.

use crate::source::{Line, Source, has_word};
use crate::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust() {
        let (length, exempt) = (source.lines().count(), FLAT_TABLES.contains(&file.path.as_str()));
        if length > LINES_MAX && !exempt {
            let what = format!("has {length} lines: split it by concern ({LINES_MAX} at most)");
            findings.push(Finding::new(file, LINES_MAX + 1, what));
        }
        if length <= LINES_MAX && exempt {
            findings.push(Finding::new(file, 1, "is short enough now: take it off the list of flat tables"));
        }
        let silent = source.lines().filter(|line| silences_a_lint(&line.code) && !has_reason(source, line));
        findings.extend(
            silent.map(|line| Finding::new(file, line.number, "silences a lint and does not say why")),
        );
    }
    findings
}

pub(crate) fn check_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust() {
        let whole = tree.is_test(&file.path);
        for line in source.lines() {
            if line.code.contains("#[ignore")
                || line.code.contains("#[cfg_attr") && has_word(&line.code, "ignore")
            {
                findings.push(Finding::new(
                    file,
                    line.number,
                    "ignores a test: a test that does not run tests nothing",
                ));
            }
            let sleeps = SLEEPS.iter().any(|word| has_word(&line.code, word));
            if sleeps && (whole || line.in_test) && !in_virtual_time(source, line) {
                findings.push(Finding::new(file, line.number, SLEEP));
            }
        }
    }
    for file in tree.files().filter(|file| tree.is_test(&file.path) && !file.path.ends_with(".rs")) {
        let sleeps = |line: &str| CLIENT_SLEEPS.iter().any(|call| line.contains(call));
        let lines = file.text.lines().enumerate().filter(|(_, line)| sleeps(line));
        findings.extend(lines.map(|(index, _)| Finding::new(file, index + 1, SLEEP)));
    }
    findings
}

/// Under a paused clock tokio's sleep takes no time, and moves the clock as a slow client would.
fn in_virtual_time(source: &Source, line: &Line) -> bool {
    let tests = source
        .lines()
        .take(line.number)
        .filter(|line| line.code.contains("test") && line.code.contains("#["));
    let paused = tests.last().is_some_and(|line| has_word(&line.code, "start_paused"));
    paused && !line.code.contains("thread")
}

fn silences_a_lint(code: &str) -> bool {
    let attribute = code.contains("#[") || code.contains("#![");
    attribute && ["allow(", "expect("].iter().any(|call| code.contains(call))
}

/// A reason stands in the attribute, or in a comment beside or above it.
fn has_reason(source: &Source, line: &Line) -> bool {
    let above = line.number.checked_sub(1).and_then(|above| source.line(above));
    let comment_above = above.is_some_and(|above| above.text.trim_start().starts_with("//"));
    let mut attribute = (line.number..).map_while(|number| source.line(number));
    let last = attribute.position(|line| line.code.contains(")]")).unwrap_or(0);
    let within = source.lines().skip(line.number - 1).take(last + 1);
    comment_above || line.text.contains("//") || within.into_iter().any(|line| has_word(&line.code, "reason"))
}

/// Tables of one entry a line, where length is no sign of a second concern.
const FLAT_TABLES: [&str; 0] = [];

const LINES_MAX: usize = 500;

const SLEEP: &str = "sleeps: wait on a condition with a deadline instead";
const SLEEPS: [&str; 2] = ["sleep", "sleep_until"];
const CLIENT_SLEEPS: [&str; 3] = ["time.sleep(", "asyncio.sleep(", "Thread.sleep("];

#[test]
fn finds_long_files_and_silent_exceptions() {
    let long = "fn a() {}\n".repeat(LINES_MAX + 1);
    let silent = "#[allow(dead_code)]\nfn a() {}\n#[expect(dead_code, reason = \"b\")]\nfn b() {}\n\
                  // For c.\n#[allow(dead_code)]\nfn c() {}\n#[expect(\n    dead_code,\n    reason = \"d\"\n)]\nfn d() {}\n";
    crate::finds(
        check,
        &[("crates/a/src/long.rs", &long), ("crates/a/src/lib.rs", silent)],
        &["long.rs:501: has 501 lines", "lib.rs:1: silences a lint"],
    );
}

#[test]
fn finds_tests_that_are_ignored_or_sleep() {
    crate::finds(
        check_tests,
        &[
            (
                "crates/a/src/lib.rs",
                "fn a() { sleep(); }\n#[cfg(test)]\nmod tests {\n    #[ignore = \"slow\"]\n    fn b() { std::thread::sleep(c); }\n\
                 fn c() { query(\"SELECT pg_sleep(1)\"); }\n    #[tokio::test(start_paused = true)]\n    \
                 fn d() { tokio::time::sleep(e); }\n    #[tokio::test]\n    fn f() { sleep(g); }\n}\n",
            ),
            ("tests/clients/a.py", "import time\ntime.sleep(1)\n"),
        ],
        &["lib.rs:4: ignores a test", "lib.rs:5: sleeps", "lib.rs:10: sleeps", "a.py:2: sleeps"],
    );
}
