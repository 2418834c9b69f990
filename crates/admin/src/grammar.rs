//! The words of a console command.
//!
//! Invariants: names keep their case and may be quoted with `"` or `'` (a quote inside is doubled); one command a
//! query, with or without semicolons at its end.
//! Absent: which words mean something.

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// As typed.
    Bare(String),
    /// One of `=`, `,`, `(`, `)`.
    Mark(char),
    /// Without its quotes; never a keyword.
    Quoted(String),
}

impl Word {
    /// Whether this is the keyword `keyword`, which is given in capitals.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Bare(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// The word as a name; `None` for a mark.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Bare(name) | Self::Quoted(name) => Some(name),
            Self::Mark(_) => None,
        }
    }
}

/// The words of `text`; `None` when a quote has no end or something follows a semicolon.
pub(crate) fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            ';' => return rest.chars().all(|c| c == ';' || c.is_ascii_whitespace()).then_some(words),
            '"' | '\'' => quoted(&rest[1..], first)?,
            '=' | ',' | '(' | ')' => (Word::Mark(first), &rest[1..]),
            _ => bare(rest),
        };
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Some(words)
}

fn bare(text: &str) -> (Word, &str) {
    let ends = |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '"' | '\'' | '=' | ',' | '(' | ')');
    let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    (Word::Bare(word.to_owned()), rest)
}

/// `text` begins behind the opening quote.
fn quoted(text: &str, quote: char) -> Option<(Word, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once(quote)?;
        name.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Some((Word::Quoted(name), after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let shown: Option<Vec<String>> = words(text).map(|words| {
            let show = |word| match word {
                Word::Bare(name) => name,
                Word::Quoted(name) => format!("<{name}>"),
                Word::Mark(mark) => mark.to_string(),
            };
            words.into_iter().map(show).collect()
        });
        assert_eq!(shown.as_deref(), Some(&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]));
    }

    #[test]
    fn splits_into_words() {
        check("", &[]);
        check(" ; ;", &[]);
        check("SHOW POOLS", &["SHOW", "POOLS"]);
        check("\tshow\n pools ; ", &["show", "pools"]);
        check("PAUSE MixedCase;", &["PAUSE", "MixedCase"]);
        check("PAUSE \"My \"\"db\"\"; it\"", &["PAUSE", "<My \"db\"; it>"]);
        check("SET a='b''c'", &["SET", "a", "=", "<b'c>"]);
        check("select version()", &["select", "version", "(", ")"]);
        check("KILL größe", &["KILL", "größe"]);
        check("KILL ''", &["KILL", "<>"]);
    }

    #[test]
    fn refuses_what_is_more_or_less_than_a_command() {
        for text in ["SHOW POOLS; SHOW LISTS", "PAUSE \"x", "PAUSE 'x''", "; SHOW POOLS"] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
