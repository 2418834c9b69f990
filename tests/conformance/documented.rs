//! The differences that docs/conformance.md admits to, by its headings.

use std::fs;
use std::path::Path;

use crate::Suite;

/// The headings `### SUITE on VERSIONS: TEST` of the document, such as `### regress on 15 and 18: stats`.
pub(crate) struct Documented {
    headings: Vec<Heading>,
}

struct Heading {
    suite: String,
    majors: Vec<u32>,
    test: String,
}

impl Documented {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(PATH);
        Self::parse(&fs::read_to_string(path).expect("the document is in the repository"))
    }

    fn parse(document: &str) -> Self {
        let headings = document.lines().filter_map(|line| line.strip_prefix("### "));
        Self { headings: headings.filter_map(Heading::parse).collect() }
    }

    pub(crate) fn lists(&self, suite: Suite, major: u32, test: &str) -> bool {
        let same = |h: &Heading| h.suite == suite.to_string() && h.majors.contains(&major) && h.test == test;
        self.headings.iter().any(same)
    }

    /// The tests that are listed for a suite on a version.
    pub(crate) fn tests(&self, suite: Suite, major: u32) -> impl Iterator<Item = &str> {
        let same = move |h: &&Heading| h.suite == suite.to_string() && h.majors.contains(&major);
        self.headings.iter().filter(same).map(|heading| heading.test.as_str())
    }
}

impl Heading {
    fn parse(heading: &str) -> Option<Self> {
        let (place, test) = heading.split_once(": ")?;
        let (suite, majors) = place.split_once(" on ")?;
        let majors = majors.split(" and ").map(|major| major.parse().ok()).collect::<Option<_>>()?;
        Some(Self { suite: suite.to_owned(), majors, test: test.trim().to_owned() })
    }
}

/// From the repository's root.
pub(crate) const PATH: &str = "docs/conformance.md";

#[test]
fn a_heading_lists_a_test_for_its_suite_and_versions_only() {
    let documented =
        Documented::parse("# A\n### regress on 15 and 18: stats\n### isolation on 15: x\n### On: what\n");
    assert!(documented.lists(Suite::Regress, 15, "stats") && documented.lists(Suite::Regress, 18, "stats"));
    assert!(!documented.lists(Suite::Isolation, 15, "stats") && !documented.lists(Suite::Regress, 15, "x"));
    assert!(!documented.lists(Suite::Isolation, 18, "x"));
    assert_eq!(documented.tests(Suite::Isolation, 15).collect::<Vec<_>>(), ["x"]);
}
