//! `pgweir audit`: of the statements that ran on a primary, which would move to standbys, which cannot, and why.
//!
//! Exit status: 0 if the audit was made, 2 if not.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use pgweir_proxy::inspect::{InspectError, Primary, StatementUse};
use pgweir_sql::{Classifier, Kind, Lexing, Naming, Reason, Settings, Target, Wish, explain};

/// Whose statements are looked at.
#[derive(Args)]
pub(crate) struct AuditArgs {
    /// The configuration, which says where the nodes are.
    #[arg(long)]
    config: PathBuf,
    /// The database as clients name it.
    #[arg(long, default_value = "postgres")]
    database: String,
    /// The role as clients name it: a rule may hold for it, and its schema may be in the search path.
    #[arg(long, default_value = "postgres")]
    user: String,
    /// Statements shown for each reason, those with the most time first; 0: all.
    #[arg(long, default_value_t = 10)]
    top: usize,
}

/// Reads the statements of a running primary and prints what becomes of each.
pub(crate) fn run(arguments: &AuditArgs) -> ExitCode {
    match audit(arguments) {
        Ok(report) => {
            crate::explain::print(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

fn audit(arguments: &AuditArgs) -> Result<String, String> {
    let config = crate::explain::load(&arguments.config)?;
    let asked = async {
        let mut primary = Primary::find(&config, &arguments.database).await?;
        let uses = primary.statements().await?;
        let naming = primary.naming(&arguments.user).await?;
        let title = format!("Database {} on {}, the primary", primary.database, primary.node);
        let rule = config.reads(&arguments.database, &arguments.user, None);
        let wish = rule.map_or_else(Wish::default, pgweir_proxy::route::wish);
        Ok(report(&title, &uses, naming.as_deref(), &wish, arguments.top))
    };
    crate::explain::runtime()?.block_on(asked).map_err(|error: InspectError| error.to_string())
}

/// Statements with the same fate.
#[derive(Default)]
struct Group {
    statements: Vec<(String, Sum)>,
    sum: Sum,
}

/// Calls, and their time together.
#[derive(Clone, Copy, Default)]
struct Sum {
    calls: u64,
    time: Duration,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.calls += other.calls;
        self.time += other.time;
    }

    /// Such as `12.5 % of calls, 80.0 % of time`.
    fn shares(self, whole: Sum) -> String {
        let of = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
        let calls = of(self.calls as f64, whole.calls as f64);
        let time = of(self.time.as_secs_f64(), whole.time.as_secs_f64());
        format!("{calls:.1} % of calls, {time:.1} % of time")
    }
}

fn report(title: &str, uses: &[StatementUse], naming: Option<&Naming>, wish: &Wish, top: usize) -> String {
    let mut classifier = Classifier::new(Settings::default(), 0);
    let mut groups: BTreeMap<(bool, Reason), Group> = BTreeMap::new();
    let (mut whole, mut unseen, mut blocks) = (Sum::default(), Sum::default(), 0);
    for one in uses {
        let sum = Sum { calls: one.calls, time: one.time };
        whole.add(sum);
        let Some(text) = &one.text else {
            unseen.add(sum);
            continue;
        };
        let explanation = explain(&mut classifier, text.as_bytes(), Lexing::default(), naming, wish);
        let stays = explanation.target == Target::Primary;
        if stays && matches!(explanation.verdict.kind, Kind::Begin(_)) {
            blocks += one.calls;
        }
        let group = groups.entry((stays, explanation.reason)).or_default();
        group.statements.push((one_line(text), sum));
        group.sum.add(sum);
    }
    let mut report = format!(
        "{title}: {} statements, {} calls, {:.1} s\n",
        uses.len(),
        whole.calls,
        whole.time.as_secs_f64()
    );
    for (stays, heading) in [(false, "Moves to standbys"), (true, "Stays on the primary")] {
        let mut sorted: Vec<_> = groups.iter().filter(|((group, _), _)| *group == stays).collect();
        sorted.sort_by_key(|(_, group)| Reverse((group.sum.time, group.sum.calls)));
        let mut sum = Sum::default();
        sorted.iter().for_each(|(_, group)| sum.add(group.sum));
        report += &format!("\n{heading}: {}\n", sum.shares(whole));
        for ((_, reason), group) in sorted {
            report += &listed(*reason, group, whole, top);
        }
    }
    if unseen.calls > 0 {
        let shares = unseen.shares(whole);
        report += &format!(
            "\nNot seen: {shares}. The monitor's role needs pg_read_all_stats to see these texts.\n"
        );
    }
    if blocks > 0 {
        report += &format!(
            "\nBEGIN without READ ONLY was called {blocks} times. What runs inside such blocks stays on the primary, reads too, \
             and the figures above do not tell which reads those are.\n"
        );
    }
    report
}

fn listed(reason: Reason, group: &Group, whole: Sum, top: usize) -> String {
    let mut lines = format!("\n  {}: {} {}\n", reason.code(), reason.meaning(), group.sum.shares(whole));
    let shown = if top == 0 { group.statements.len() } else { top };
    let mut statements: Vec<_> = group.statements.iter().collect();
    statements.sort_by_key(|(_, sum)| Reverse((sum.time, sum.calls)));
    for (text, sum) in statements.iter().take(shown) {
        lines += &format!("  {:>12} calls {:>12.3} s  {text}\n", sum.calls, sum.time.as_secs_f64());
    }
    if statements.len() > shown {
        lines += &format!("  ... and {} more\n", statements.len() - shown);
    }
    lines
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TEXT_CHARS {
        line
    } else {
        line.chars().take(TEXT_CHARS).chain("...".chars()).collect()
    }
}

const FAILED: u8 = 2;
/// Characters of a statement that are shown.
const TEXT_CHARS: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: Option<&str>, calls: u64, ms: u64) -> StatementUse {
        StatementUse { text: text.map(str::to_owned), calls, time: Duration::from_millis(ms) }
    }

    #[test]
    fn the_report_says_what_moves_what_stays_and_why() {
        let uses = [
            used(Some("SELECT *\n  FROM t WHERE id = $1"), 70, 7000),
            used(Some("SELECT nextval($1)"), 20, 1000),
            used(Some("UPDATE t SET a = $1"), 5, 1000),
            used(Some("UPDATE t SET b = $1"), 1, 500),
            used(Some("BEGIN"), 2, 0),
            used(None, 2, 500),
        ];
        assert_eq!(
            report("Database d on a, the primary", &uses, None, &Wish::default(), 1),
            "Database d on a, the primary: 6 statements, 100 calls, 10.0 s\n\
             \nMoves to standbys: 70.0 % of calls, 70.0 % of time\n\
             \n  read: Every part of it is proven to only read. 70.0 % of calls, 70.0 % of time\n\
             \x20           70 calls        7.000 s  SELECT * FROM t WHERE id = $1\n\
             \nStays on the primary: 28.0 % of calls, 25.0 % of time\n\
             \n  write.update: UPDATE. 6.0 % of calls, 15.0 % of time\n\
             \x20            5 calls        1.000 s  UPDATE t SET a = $1\n\
             \x20 ... and 1 more\n\
             \n  function.write: A call writes, or needs a transaction ID. 20.0 % of calls, 10.0 % of time\n\
             \x20           20 calls        1.000 s  SELECT nextval($1)\n\
             \n  kind.begin: A transaction block that may write, or is SERIALIZABLE. 2.0 % of calls, 0.0 % of time\n\
             \x20            2 calls        0.000 s  BEGIN\n\
             \nNot seen: 2.0 % of calls, 5.0 % of time. The monitor's role needs pg_read_all_stats to see these texts.\n\
             \nBEGIN without READ ONLY was called 2 times. What runs inside such blocks stays on the primary, reads too, \
             and the figures above do not tell which reads those are.\n"
        );
    }

    #[test]
    fn what_a_rule_keeps_on_the_primary_does_not_move() {
        let wish = Wish::parse("primary").unwrap();
        let said = report("Database d", &[used(Some("SELECT 1"), 1, 1)], None, &wish, 1);
        assert!(said.contains("Moves to standbys: 0.0 %") && said.contains("route.setting"), "{said}");
    }

    #[test]
    fn nothing_that_ran_is_no_division_by_zero() {
        assert!(
            report("Database d", &[], None, &Wish::default(), 10)
                .contains("Moves to standbys: 0.0 % of calls, 0.0 % of time")
        );
    }
}
