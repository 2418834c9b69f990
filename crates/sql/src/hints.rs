//! Hints: comments such as `/* pgweir: primary */` at the start of a text.
//!
//! Read from the text as written, since normal forms have no comments. Only block comments before the first
//! word count, so whatever stands in the text's own strings and comments means nothing.
//! Invariant: a text that begins with neither a blank nor a comment costs one look at its first byte.
//! Absent: other comments (sqlcommenter's, pg_hint_plan's); they are left alone.

use crate::lexer;
use crate::wish::{Wish, WishFault};

/// The hints of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// What they ask for.
    pub wish: Wish,
    /// Items that mean nothing, at most a few; they are ignored.
    pub ignored: Vec<WishFault>,
}

/// The hints at the start of `text`, if there are any.
pub fn hints(text: &[u8]) -> Option<Hints> {
    match text.first() {
        Some(b'/' | b'-' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => {}
        _ => return None,
    }
    let mut found = None;
    for comment in lexer::leading_comments(text).take(COMMENTS_MAX) {
        if let Some(items) = items(comment) {
            found.get_or_insert_with(Hints::default).read(items);
        }
    }
    found
}

/// What stands behind `pgweir:` in a comment.
fn items(comment: &[u8]) -> Option<&[u8]> {
    let inside = comment.strip_prefix(b"/*")?.strip_suffix(b"*/")?.trim_ascii();
    let (mark, items) = inside.split_at_checked(MARK.len())?;
    mark.eq_ignore_ascii_case(MARK).then_some(items)
}

impl Hints {
    fn read(&mut self, items: &[u8]) {
        let items = String::from_utf8_lossy(&items[..items.len().min(ITEMS_BYTES_MAX)]);
        for item in items.split(',') {
            if let Err(fault) = self.wish.item(item)
                && self.ignored.len() < IGNORED_MAX
            {
                self.ignored.push(fault);
            }
        }
    }
}

const MARK: &[u8] = b"pgweir:";

/// Comments of a text that are looked into.
const COMMENTS_MAX: usize = 16;
/// Bytes of a hint that are looked at.
const ITEMS_BYTES_MAX: usize = 1024;
/// Faults that are remembered.
const IGNORED_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        match hints(text.as_bytes()) {
            None => "none".to_owned(),
            Some(hints) => {
                let ignored: Vec<String> = hints.ignored.iter().map(WishFault::to_string).collect();
                let wish = hints.wish.to_string();
                if ignored.is_empty() { wish } else { format!("{wish} without {}", ignored.join("; ")) }
            }
        }
    }

    #[test]
    fn hints_stand_in_comments_before_the_first_word() {
        let table = [
            ("/* pgweir: primary */ SELECT 1", "primary"),
            ("/*pgweir:standby*/SELECT 1", "standby"),
            ("  \n\t/* PGWEIR: Node=db2 , staleness=500ms */\nSELECT 1", "node=db2, staleness=500000us"),
            ("/* pgweir: node=db2 */ /* pgweir: staleness=2s */ SELECT 1", "node=db2, staleness=2000000us"),
            ("/* app */ -- x\n/* pgweir: primary */ SELECT 1", "primary"),
            ("/*traceparent='00-5b'*/ /* pgweir: primary */ SELECT 1", "primary"),
            ("-- /* pgweir: primary */\nSELECT 1", "none"),
            ("/* /* pgweir: primary */ */ SELECT 1", "none"),
            ("/* see pgweir: primary */ SELECT 1", "none"),
            ("SELECT 1 /* pgweir: primary */", "none"),
            ("SELECT /* pgweir: primary */ 1", "none"),
            ("SELECT '/* pgweir: primary */'", "none"),
            ("; /* pgweir: primary */ SELECT 1", "none"),
            ("/*route='%2Fusers',db_driver='x'*/ SELECT 1", "none"),
            ("/*+ IndexScan(t) */ SELECT 1", "none"),
            ("/* pgweir: primary", "none"),
            ("/*", "none"),
            ("", "none"),
            ("/* pgweir primary */ SELECT 1", "none"),
            ("/* pgweir: primary */", "primary"),
        ];
        for (text, expected) in table {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_ignored_and_the_rest_holds() {
        assert_eq!(found("/* pgweir: */ SELECT 1"), " without an item is empty");
        let mixed = found("/* pgweir: fast, primary, staleness=5 */ SELECT 1");
        assert!(mixed.starts_with("primary without \"fast\" is none of"), "{mixed}");
        assert!(mixed.ends_with("\"5\" is no duration: write a number and a unit, such as 500ms"), "{mixed}");
        let many = format!("/* pgweir: {}primary */ SELECT 1", "x,".repeat(100));
        assert_eq!(hints(many.as_bytes()).expect("a hint").ignored.len(), IGNORED_MAX);
    }

    #[test]
    fn no_text_makes_it_fail() {
        for text in
            [&b"/* pgweir: node=\xff */"[..], b"/**/", b"/*/", b"/* pgweir:", b" ", b"--", b"/*pgweir:*/"]
        {
            let _any = hints(text);
        }
        let long = format!("/* pgweir: node={} */ SELECT 1", "é".repeat(10_000));
        let _any = hints(long.as_bytes());
    }
}
