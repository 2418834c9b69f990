//! The modes of a transaction, as BEGIN and SET SESSION CHARACTERISTICS list them.
//!
//! Manual: SQL Commands, SET TRANSACTION. Absent: comments in between, which nobody writes there.

pub(crate) const ISOLATION: &str = "default_transaction_isolation";
pub(crate) const READ_ONLY: &str = "default_transaction_read_only";
pub(crate) const DEFERRABLE: &str = "default_transaction_deferrable";

/// A setting and its value.
pub(crate) type Mode = (&'static str, &'static str);

/// The settings whose values the modes of a list are, or nothing if there is more, or less, in the text.
pub(crate) fn transaction_modes(text: &str) -> Option<Vec<Mode>> {
    let text = text.to_ascii_lowercase().replace(',', " , ");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let mut rest = &words[..];
    let mut modes = Vec::new();
    while !rest.is_empty() {
        let (mode, behind) = first_mode(rest)?;
        modes.push(mode);
        rest = match behind {
            [","] => return None,
            [",", behind @ ..] => behind,
            behind => behind,
        };
    }
    Some(modes)
}

/// Whether BEGIN takes these modes for certain: each of them at most once.
pub(crate) fn is_plain_list(text: &str) -> bool {
    let Some(modes) = transaction_modes(text) else { return false };
    modes.iter().enumerate().all(|(at, (name, _))| modes[..at].iter().all(|(other, _)| other != name))
}

fn first_mode<'a, 'w>(words: &'a [&'w str]) -> Option<(Mode, &'a [&'w str])> {
    Some(match words {
        ["isolation", "level", "serializable", rest @ ..] => ((ISOLATION, "serializable"), rest),
        ["isolation", "level", "repeatable", "read", rest @ ..] => ((ISOLATION, "repeatable read"), rest),
        ["isolation", "level", "read", "committed", rest @ ..] => ((ISOLATION, "read committed"), rest),
        ["isolation", "level", "read", "uncommitted", rest @ ..] => ((ISOLATION, "read uncommitted"), rest),
        ["read", "only", rest @ ..] => ((READ_ONLY, "on"), rest),
        ["read", "write", rest @ ..] => ((READ_ONLY, "off"), rest),
        ["deferrable", rest @ ..] => ((DEFERRABLE, "on"), rest),
        ["not", "deferrable", rest @ ..] => ((DEFERRABLE, "off"), rest),
        _ => return None,
    })
}
