//! What came of all statements.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::judge::Judged;
use super::listed;

/// What came of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The standby gave the primary's answer.
    Same,
    /// The same rows in another order.
    OtherOrder,
    /// The primary itself answers otherwise when it is asked again.
    Volatile,
    /// The standby answers otherwise: how.
    Different(String),
    /// A statement for the primary, of which no standby's answer is known to be right.
    Untried,
}

/// Counts, and what is worth a look.
#[derive(Debug, Default)]
pub(super) struct Tally {
    same: usize,
    volatile: usize,
    other_order: Vec<String>,
    listed: Vec<String>,
    findings: Vec<String>,
    /// By reason: texts that a standby could have served.
    kept: BTreeMap<&'static str, Kept>,
}

/// Texts that a standby could have served, by one reason.
#[derive(Debug, Default)]
struct Kept {
    count: usize,
    texts: BTreeSet<String>,
}

impl Tally {
    pub(super) fn add(&mut self, text: &str, judged: &Judged, outcome: Outcome) {
        if !judged.is_read {
            if outcome == Outcome::Same {
                let kept = self.kept.entry(judged.reason).or_default();
                kept.count += 1;
                kept.texts.insert(one_line(text));
            }
            return;
        }
        match outcome {
            Outcome::Same => self.same += 1,
            Outcome::Volatile => self.volatile += 1,
            Outcome::OtherOrder => self.other_order.push(one_line(text)),
            Outcome::Different(how) => match listed::reason(text) {
                Some(why) => self.listed.push(format!("{}\n    {why}", one_line(text))),
                None => self.findings.push(format!("{}\n    {how}", one_line(text))),
            },
            Outcome::Untried => unreachable!("reads are always tried"),
        }
    }

    /// Adds a paragraph to the report, and writes the texts into the directory; how many findings there are.
    pub(super) fn report(&self, major: u32, directory: &Path, report: &mut String) -> usize {
        let reads =
            self.same + self.volatile + self.other_order.len() + self.listed.len() + self.findings.len();
        let kept: usize = self.kept.values().map(|kept| kept.count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = 100.0 * reads as f64 / (reads + kept).max(1) as f64;
        let mut line = |text: String| writeln!(report, "{text}").expect("a String takes everything");
        line(format!(
            "PostgreSQL {major}, reads: {reads} ran on a standby, {} the same, {} in another order, {} volatile on the \
             primary too, {} listed, {} NOT LISTED",
            self.same,
            self.other_order.len(),
            self.volatile,
            self.listed.len(),
            self.findings.len()
        ));
        for finding in &self.findings {
            line(format!("  NOT LISTED: {finding}"));
        }
        line(format!("  {share:.1} % of what a standby could serve; kept on the primary: {kept}"));
        let mut reasons: Vec<_> = self.kept.iter().collect();
        reasons.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.count));
        let mut texts = String::new();
        for (reason, kept) in reasons {
            line(format!("    {reason:20} {}", kept.count));
            kept.texts.iter().for_each(|text| texts.push_str(&format!("{reason}\t{text}\n")));
        }
        let lists =
            [("kept", texts), ("order", self.other_order.join("\n")), ("listed", self.listed.join("\n"))];
        for (name, list) in lists {
            fs::write(directory.join(name), list).expect("the directory of the results takes files");
        }
        self.findings.len()
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
