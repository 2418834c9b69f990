//! The words of a console command.
//!
//! Invariant: names keep their case and may be quoted with `"` or `'` (a quote inside is doubled).
//! Absent: which words mean something.

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// As typed.
    Bare(String),
    /// One of `=`, `,`, `(`, `)`, and `;` where something follows it.
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

/// The words of `text` without the semicolons at its end; `None` when a quote has no end.
pub(crate) fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => quoted(&rest[1..], first)?,
            ';' | '=' | ',' | '(' | ')' => (Word::Mark(first), &rest[1..]),
            _ => bare(rest),
        };
        words.push(word);
        rest = after.trim_ascii_start();
    }
    while words.last() == Some(&Word::Mark(';')) {
        words.pop();
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
        check("; BEGIN;COMMIT ; ;", &[";", "BEGIN", ";", "COMMIT"]);
    }

    #[test]
    fn refuses_a_quote_without_an_end() {
        for text in ["PAUSE \"x", "PAUSE 'x''", "'"] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
