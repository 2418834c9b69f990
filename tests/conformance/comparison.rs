//! What differs between the two runs of a suite.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use crate::documented::{self, Documented};
use crate::{Suite, Way};

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// Whether it printed what PostgreSQL's authors expect.
    pub(crate) passed: bool,
    pub(crate) output: String,
}

/// Both runs of a suite.
pub(crate) struct Comparison {
    major: u32,
    suite: Suite,
    directly: Vec<Outcome>,
    through: Vec<Outcome>,
    /// Where the outputs of both are.
    kept: PathBuf,
}

/// How a test comes out otherwise through pgweir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    PassesDirectlyOnly,
    PassesThroughPgweirOnly,
    FailsInAnotherWay,
}

impl Comparison {
    pub(crate) fn new(
        major: u32,
        suite: Suite,
        directly: Vec<Outcome>,
        through: Vec<Outcome>,
        kept: PathBuf,
    ) -> Self {
        Self { major, suite, directly, through, kept }
    }

    /// Adds a paragraph to the report; how many differences are not documented.
    pub(crate) fn report(&self, documented: &Documented, report: &mut String) -> usize {
        let passed = |outcomes: &[Outcome]| outcomes.iter().filter(|outcome| outcome.passed).count();
        let mut line = |text: String| writeln!(report, "{text}").expect("a String takes everything");
        let differences = self.differences();
        line(format!(
            "PostgreSQL {}, {}: {} tests, {} pass directly, {} pass through pgweir, {} differ",
            self.major,
            self.suite,
            self.directly.len(),
            passed(&self.directly),
            passed(&self.through),
            differences.len()
        ));
        let mut unlisted = 0;
        for (name, difference) in &differences {
            let listed = documented.lists(self.suite, self.major, name);
            unlisted += usize::from(!listed);
            let mark = if listed { "listed" } else { "NOT LISTED" };
            line(format!("  {name} {}, {mark}: {}", difference.text(), self.diff(name)));
        }
        let ran = |test: &&str| self.directly.iter().any(|outcome| outcome.name == **test);
        let gone = |test: &&str| ran(test) && differences.iter().all(|(name, _)| name != test);
        for test in documented.tests(self.suite, self.major).filter(gone) {
            line(format!("  {test} is listed in {} and did not differ", documented::PATH));
        }
        unlisted
    }

    fn differences(&self) -> Vec<(String, Difference)> {
        let through = |name: &str| self.through.iter().find(|outcome| outcome.name == name);
        let difference = |directly: &Outcome| {
            let difference = Difference::between(directly, through(&directly.name))?;
            Some((directly.name.clone(), difference))
        };
        self.directly.iter().filter_map(difference).collect()
    }

    /// Writes what differs in a test's output beside the outputs; the file's path.
    fn diff(&self, name: &str) -> String {
        let output = |way: Way| self.kept.join(way.to_string()).join(format!("{name}.out"));
        let file = self.kept.join(format!("{name}.diff"));
        let diff = Command::new("diff")
            .arg("-U3")
            .args([output(Way::Directly), output(Way::ThroughPgweir)])
            .output()
            .expect("there is a diff");
        std::fs::write(&file, diff.stdout).expect("the directory of the results takes files");
        file.display().to_string()
    }
}

impl Difference {
    /// A test that never came to its end through pgweir has failed there.
    fn between(directly: &Outcome, through: Option<&Outcome>) -> Option<Self> {
        let passed = through.is_some_and(|through| through.passed);
        let same_output =
            through.is_some_and(|through| comparable(&through.output) == comparable(&directly.output));
        match (directly.passed, passed) {
            (true, true) => None,
            (true, false) => Some(Self::PassesDirectlyOnly),
            (false, true) => Some(Self::PassesThroughPgweirOnly),
            (false, false) => (!same_output).then_some(Self::FailsInAnotherWay),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::PassesDirectlyOnly => "passes directly only",
            Self::PassesThroughPgweirOnly => "passes through pgweir only",
            Self::FailsInAnotherWay => "fails in another way",
        }
    }
}

/// The lines without what differs between any two runs, for a test that fails in both. PostgreSQL 18 counts buffers in
/// every EXPLAIN ANALYZE, which PostgreSQL 15's scripts do not expect and so do not mask; it lists constraints that they do
/// not sort, so the order of lines says nothing; and some names count the cursors that a server has opened so far.
fn comparable(output: &str) -> Vec<&str> {
    let counted = |line: &&str| {
        let text = line.trim_matches([' ', '-', '>']);
        text == "Planning:"
            || text.starts_with("Buffers: ")
            || text.starts_with('(') && text.ends_with(" rows)")
    };
    let uncounted = output.lines().filter(|line| !counted(line));
    let cursor = |line| str::split_once(line, " from <unnamed portal ").map_or(line, |(before, _)| before);
    let mut lines: Vec<&str> = uncounted.map(cursor).collect();
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_come_out_otherwise_are_counted_unless_listed() {
        let outcome =
            |name: &str, passed, output: &str| Outcome { name: name.into(), passed, output: output.into() };
        let directly = vec![
            outcome("same", true, "a variant"),
            outcome("lost", true, ""),
            outcome("won", false, ""),
            outcome("as_bad", false, "x"),
            outcome("worse", false, "x"),
            outcome("counts", false, "x\ny\n   Buffers: shared hit=5\n Planning:\n(3 rows)"),
            outcome("hangs", true, ""),
        ];
        let through = vec![
            outcome("same", true, "another variant"),
            outcome("lost", false, ""),
            outcome("won", true, ""),
            outcome("as_bad", false, "x"),
            outcome("worse", false, "y"),
            outcome("counts", false, "y\nx\n   Buffers: shared read=1\n(2 rows)"),
        ];
        let kept = PathBuf::from("nowhere");
        let comparison = Comparison::new(15, Suite::Regress, directly, through, kept);
        let differences = comparison.differences();
        let found: Vec<_> = differences.iter().map(|(name, what)| (name.as_str(), *what)).collect();
        assert_eq!(
            found,
            [
                ("lost", Difference::PassesDirectlyOnly),
                ("won", Difference::PassesThroughPgweirOnly),
                ("worse", Difference::FailsInAnotherWay),
                ("hangs", Difference::PassesDirectlyOnly),
            ]
        );
    }
}
