//! Everything that decides about a text, put down for people.
//!
//! Why here: the console, the explain command and the audit show the same, and what they show comes from the functions
//! that sessions use.
//! Absent: what a session does for other reasons (a transaction block, a pin, its pool mode), and nodes.

use std::ops::Range;
use std::time::Duration;

use crate::{
    Classifier, Decision, Fate, Hints, Leaves, Lexing, Naming, Reason, Target, Verdict, Wish, decide, hints,
    statements,
};

/// One text, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What it is.
    pub verdict: Verdict,
    /// Where it goes.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// The node that was asked for, of a read.
    pub node: Option<String>,
    /// How old its data may be.
    pub staleness_max: Option<Duration>,
    /// Whether it should leave the primary alone.
    pub spares_primary: bool,
    /// What was asked for, and what became of it.
    pub wishes: String,
    /// What all texts of its shape have in common; empty if it cannot be told.
    pub shape: String,
}

/// Explains a text as a session with this `pgweir.route` would send it in one simple query.
pub fn explain(
    classifier: &mut Classifier,
    text: &[u8],
    lexing: Lexing,
    naming: Option<&Naming>,
    setting: &Wish,
) -> Explanation {
    let verdict = classifier.classify(text, lexing, naming);
    let hints = hints(text);
    let decision = decide(&verdict, hints.as_ref().map(|hints| &hints.wish), setting);
    Explanation {
        verdict,
        target: decision.target,
        reason: decision.reason,
        node: decision.node.map(|node| node.to_string()),
        staleness_max: decision.staleness_max,
        spares_primary: decision.spares_primary,
        wishes: wishes(hints.as_ref(), setting, &decision),
        shape: classifier.shape(text, lexing).unwrap_or_default(),
    }
}

/// The statements of a text, each to be explained alone with the comments before it; the whole text where they cannot
/// be told apart.
pub fn parts(text: &[u8], lexing: Lexing) -> Vec<&[u8]> {
    let Some(ranges) = statements(text, lexing).filter(|ranges| !ranges.is_empty()) else {
        return vec![text];
    };
    let mut from = 0;
    let mut part = |range: Range<usize>| {
        let part = &text[from..range.end];
        from = range.end;
        let separators = part.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b';').count();
        &part[separators..]
    };
    ranges.into_iter().map(&mut part).collect()
}

impl Explanation {
    /// Names and values, in the order in which they are shown.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let target = match self.target {
            Target::Standby => "standby",
            Target::Primary => "primary",
        };
        let mut rows = vec![
            ("target", target.to_owned()),
            ("reason", self.reason.code().to_owned()),
            ("meaning", self.reason.meaning().to_owned()),
            ("kind", self.verdict.kind.code().to_owned()),
        ];
        if let Some(cause) = self.verdict.binds {
            rows.push(("pins", cause.code().to_owned()));
        }
        if self.verdict.leaves == Leaves::Unknown {
            let leaves = "It may leave session state that its text does not show.";
            rows.push(("leaves", leaves.to_owned()));
        }
        if !self.wishes.is_empty() {
            rows.push(("wishes", self.wishes.clone()));
        }
        rows.push(("shape", self.shape.clone()));
        rows
    }
}

fn wishes(hints: Option<&Hints>, setting: &Wish, decision: &Decision<'_>) -> String {
    let mut parts = Vec::new();
    if let Some(hints) = hints {
        if !hints.wish.is_empty() {
            parts.push(format!("hint {}: {}", hints.wish, fate(decision.hints)));
        }
        parts.extend(hints.ignored.iter().map(|fault| format!("hint ignored: {fault}")));
    }
    if !setting.is_empty() {
        parts.push(format!("pgweir.route {setting}: {}", fate(decision.setting)));
    }
    parts.join("; ")
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Silent | Fate::Followed => "followed",
        Fate::Overridden => "a hint goes before it",
        Fate::Overruled => "overruled, since the text is no proven read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn shown(text: &str, setting: &str) -> String {
        let mut classifier = Classifier::new(Settings::default(), 7);
        let setting = Wish::parse(setting).unwrap_or_default();
        let it = explain(&mut classifier, text.as_bytes(), Lexing::default(), None, &setting);
        let rows: Vec<String> = it.rows().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        rows.join("\n")
    }

    #[test]
    fn an_explanation_says_where_why_and_what_was_asked_for() {
        assert_eq!(
            shown("/* pgweir: standby, fast */ UPDATE t SET a = 'x' WHERE b IN (1, 2)", "node=b"),
            "target: primary\nreason: write.update\nmeaning: UPDATE.\nkind: modify\n\
             wishes: hint standby: overruled, since the text is no proven read; hint ignored: \"fast\" is none of auto, \
             primary, standby, node=NAME, staleness=DURATION; pgweir.route node=b: a hint goes before it\n\
             shape: update t set a = '' where b in(0)"
        );
        assert_eq!(
            shown("SELECT pg_advisory_lock(1)", ""),
            "target: primary\nreason: function.lock\n\
             meaning: A call takes or frees an advisory lock, which is known to one server only.\nkind: query\n\
             pins: advisory_lock\nshape: select pg_advisory_lock(0)"
        );
        assert!(shown("DO $$ BEGIN END $$", "").contains("leaves: It may leave"));
        assert!(shown("SELECT 1", "").contains("target: standby\nreason: read\n"));
        assert!(shown("SELECT 'x", "").ends_with("shape: "));
    }

    #[test]
    fn a_shape_shows_no_secret() {
        for text in
            ["SET a.key = 'sesame'", "DO 'BEGIN PERFORM ''sesame''; END'", "SELECT 1; SET x = 'sesame'"]
        {
            assert!(!shown(text, "").contains("sesame"), "{text}");
        }
    }

    #[test]
    fn a_string_falls_into_its_statements_with_the_comments_before_them() {
        let text = b" /* pgweir: primary */ SELECT 1; ;\n/* pgweir: standby */ SELECT ';' ; -- end\n";
        let parts = parts(text, Lexing::default());
        assert_eq!(parts, [&b"/* pgweir: primary */ SELECT 1"[..], b"/* pgweir: standby */ SELECT ';'"]);
        assert_eq!(super::parts(b"SELECT 'x", Lexing::default()), [&b"SELECT 'x"[..]]);
        assert_eq!(super::parts(b"", Lexing::default()), [&b""[..]]);
    }
}
