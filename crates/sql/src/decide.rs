//! Where a text goes, given its verdict and what the client asks for.
//!
//! Why here: sessions, the console and the explain command must decide alike, so all of them ask this.
//! Invariant: what is not a proven read goes to the primary, whatever is asked for.
//! Absent: nodes, and what a session must do for other reasons (a transaction block, a pin).

use std::sync::Arc;

use crate::{Reason, Route, Target, Verdict, Wish};

/// Where a text goes, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'w> {
    /// Where to.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// The only node that will do, of a read.
    pub node: Option<&'w Arc<str>>,
    /// Whether a read should leave the primary alone while a standby is fit.
    pub spares_primary: bool,
    /// How old the data of a standby may be.
    pub staleness_max: Option<std::time::Duration>,
    /// What became of the hints.
    pub hints: Fate,
    /// What became of the setting.
    pub setting: Fate,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was asked for.
    Silent,
    /// It holds.
    Followed,
    /// A hint says something else.
    Overridden,
    /// The text needs the primary.
    Overruled,
}

/// Decides on a text with this verdict; `hints` are its own, `setting` is the session's `pgweir.route`.
pub fn decide<'w>(verdict: &Verdict, hints: Option<&'w Wish>, setting: &'w Wish) -> Decision<'w> {
    let reads = verdict.target == Target::Standby && verdict.binds.is_none();
    let hinted = hints.and_then(|hints| hints.route.as_ref());
    let route = hinted.or(setting.route.as_ref());
    let mut decision = Decision {
        target: if reads { Target::Standby } else { Target::Primary },
        reason: verdict.reason,
        node: None,
        spares_primary: false,
        staleness_max: None,
        hints: fate(hints, reads),
        setting: fate(Some(setting), reads),
    };
    if hinted.is_some() && setting.route.is_some() {
        decision.setting = Fate::Overridden;
    }
    if !reads {
        return decision;
    }
    decision.staleness_max = hints.and_then(|hints| hints.staleness_max).or(setting.staleness_max);
    match route {
        None | Some(Route::Auto) => {}
        Some(Route::Standby) => decision.spares_primary = true,
        Some(Route::Node(name)) => decision.node = Some(name),
        Some(Route::Primary) => {
            decision.target = Target::Primary;
            decision.reason = if hinted.is_some() { Reason::RouteHint } else { Reason::RouteSetting };
        }
    }
    decision
}

/// What becomes of a wish if no other is in its way. To ask for the primary is never in vain.
fn fate(wish: Option<&Wish>, reads: bool) -> Fate {
    match wish {
        None => Fate::Silent,
        Some(wish) if wish.is_empty() => Fate::Silent,
        Some(_) if reads => Fate::Followed,
        Some(Wish { route: Some(Route::Auto | Route::Primary), .. }) => Fate::Followed,
        Some(Wish { route: None | Some(Route::Node(_) | Route::Standby), .. }) => Fate::Overruled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Classifier, Lexing, Settings, hints};

    fn decided(text: &str, setting: &str) -> String {
        let verdict =
            Classifier::new(Settings::default(), 7).classify(text.as_bytes(), Lexing::default(), None);
        let hints = hints(text.as_bytes());
        let setting = if setting.is_empty() { Wish::default() } else { Wish::parse(setting).expect(setting) };
        let it = decide(&verdict, hints.as_ref().map(|hints| &hints.wish), &setting);
        let target = if it.target == Target::Standby { "standby" } else { "primary" };
        let node = it.node.map_or(String::new(), |node| format!(" on {node}"));
        let spares = if it.spares_primary { " sparing" } else { "" };
        let age = it.staleness_max.map_or(String::new(), |age| format!(" within {age:?}"));
        format!("{target}{node}{spares}{age} {} {:?} {:?}", it.reason.code(), it.hints, it.setting)
    }

    #[test]
    fn hints_go_before_the_setting_and_the_text_before_both() {
        let table = [
            ("SELECT 1", "", "standby read Silent Silent"),
            ("/* pgweir: primary */ SELECT 1", "", "primary route.hint Followed Silent"),
            ("SELECT 1", "primary", "primary route.setting Silent Followed"),
            ("/* pgweir: standby */ SELECT 1", "primary", "standby sparing read Followed Overridden"),
            ("/* pgweir: auto */ SELECT 1", "primary", "standby read Followed Overridden"),
            ("/* pgweir: node=b */ SELECT 1", "node=a", "standby on b read Followed Overridden"),
            ("SELECT 1", "node=a", "standby on a read Silent Followed"),
            (
                "/* pgweir: staleness=1s */ SELECT 1",
                "node=a",
                "standby on a within 1s read Followed Followed",
            ),
            ("SELECT 1", "standby,staleness=2s", "standby sparing within 2s read Silent Followed"),
            ("/* pgweir: standby */ DELETE FROM t", "", "primary write.delete Overruled Silent"),
            ("/* pgweir: node=b */ DELETE FROM t", "standby", "primary write.delete Overruled Overridden"),
            ("/* pgweir: staleness=1s */ DELETE FROM t", "", "primary write.delete Overruled Silent"),
            ("/* pgweir: primary */ DELETE FROM t", "", "primary write.delete Followed Silent"),
            ("DELETE FROM t", "standby", "primary write.delete Silent Overruled"),
            ("/* pgweir: standby */ SELECT nextval('s')", "", "primary function.write Overruled Silent"),
            ("/* pgweir: standby */ SELECT f()", "", "primary function.unknown Overruled Silent"),
            ("/* pgweir: standby */ SELECT 1; DELETE FROM t", "", "primary multi.other Overruled Silent"),
            ("/* pgweir: node=b */ BEGIN READ ONLY", "", "standby on b read.transaction Followed Silent"),
            ("/* pgweir: node=b */ BEGIN", "", "primary kind.begin Overruled Silent"),
            ("/* pgweir: rubbish */ SELECT 1", "", "standby read Silent Silent"),
        ];
        for (text, setting, expected) in table {
            assert_eq!(decided(text, setting), expected, "{text} under {setting:?}");
        }
    }

    #[test]
    fn no_wish_makes_a_read_of_what_is_none() {
        let wishes = ["auto", "primary", "standby", "node=x", "staleness=1d", "standby,staleness=1d"];
        let mut classifier = Classifier::new(Settings::default(), 7);
        for reason in Reason::ALL {
            let verdict = classifier.classify(reason.example().as_bytes(), Lexing::default(), None);
            for (hint, setting) in wishes.iter().flat_map(|hint| wishes.map(|setting| (hint, setting))) {
                let (hint, setting) = (Wish::parse(hint).unwrap(), Wish::parse(setting).unwrap());
                let decision = decide(&verdict, Some(&hint), &setting);
                assert!(
                    verdict.target == Target::Standby || decision.target == Target::Primary,
                    "{reason:?}"
                );
                assert!(decision.target == Target::Standby || decision.node.is_none(), "{reason:?}");
            }
        }
    }
}
