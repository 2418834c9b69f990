//! A normal form as people may see it.
//!
//! Why: a normal form keeps the strings of SET and DO, and the words that SET and ALTER … SET give as values. They may be
//! secrets, and who looks at shapes need not be who sent the text.

use crate::lexer::{Lexer, TokenKind};

/// The shape as it is shown: no longer than [`SHAPE_BYTES_MAX`], without strings and values of settings.
pub(crate) fn shown(normal: &[u8]) -> String {
    let mut shape = Vec::with_capacity(normal.len().min(SHAPE_BYTES_MAX));
    let (mut copied, mut statement) = (0, Assigns::AtStart);
    for token in Lexer::new(normal, false) {
        let (start, end) = (token.start as usize, token.end as usize);
        let hides = token.kind == TokenKind::Str || statement == Assigns::Value;
        statement = statement.behind(token.kind, &normal[start..end]);
        if !hides || statement == Assigns::AtStart {
            continue;
        }
        if !shape.ends_with(b"''") || normal[copied..start].iter().any(|byte| *byte != b' ') {
            shape.extend_from_slice(&normal[copied..start]);
            shape.extend_from_slice(b"''");
        }
        copied = end;
        if shape.len() > SHAPE_BYTES_MAX {
            break;
        }
    }
    let rest = SHAPE_BYTES_MAX.saturating_sub(shape.len()).min(normal.len() - copied);
    shape.extend_from_slice(&normal[copied..copied + rest]);
    String::from_utf8_lossy(&shape).into_owned()
}

/// Where in a statement a token is that may give a setting its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Assigns {
    AtStart,
    /// Behind ALTER.
    Alters,
    /// Behind SET, of a statement that begins with it or with ALTER.
    Names,
    /// Behind TO or `=`: all of it is value.
    Value,
    /// The statement is another one.
    No,
}

impl Assigns {
    fn behind(self, kind: TokenKind, token: &[u8]) -> Self {
        match (self, kind, token) {
            (_, TokenKind::Semicolon, _) => Self::AtStart,
            (Self::AtStart, _, b"alter") => Self::Alters,
            (Self::AtStart | Self::Alters, TokenKind::Word, b"set") => Self::Names,
            (Self::AtStart, _, _) => Self::No,
            (Self::Names, _, b"to" | b"=") => Self::Value,
            (Self::Alters | Self::Names | Self::Value | Self::No, _, _) => self,
        }
    }
}

/// Bytes of a shape that are shown.
const SHAPE_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use crate::{Classifier, Lexing, Settings};

    #[test]
    fn neither_strings_nor_values_of_settings_are_shown() {
        let mut classifier = Classifier::new(Settings::default(), 7);
        for (text, shown) in [
            ("SET app.key TO 'secret'", "set app.key to ''"),
            ("SET app.key TO secret", "set app.key to ''"),
            ("SET LOCAL app.key = secret, \"secret\"; SELECT a", "set local app.key = '';select a"),
            ("ALTER ROLE a SET app.key = secret", "alter role a set app.key = ''"),
            ("ALTER ROLE a PASSWORD 'secret' VALID UNTIL 'x'", "alter role a password '' valid until ''"),
            ("DO $$ secret $$", "do ''"),
            ("SELECT E'a\\'secret', 'b' AS c", "select '','' as c"),
            ("ALTER TABLE a RENAME TO b", "alter table a rename to b"),
            ("UPDATE t SET a = b", "update t set a = b"),
            ("SET ROLE a", "set role a"),
        ] {
            let shape = classifier.shape(text.as_bytes(), Lexing::default());
            assert_eq!(shape.as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn a_long_shape_is_cut() {
        let mut classifier = Classifier::new(Settings::default(), 7);
        for text in [format!("SELECT {}", "a ".repeat(5000)), format!("DO {}", "'a' + ".repeat(5000))] {
            let shape = classifier.shape(text.as_bytes(), Lexing::default()).unwrap();
            assert!((1000..1100).contains(&shape.len()), "{} bytes", shape.len());
        }
    }
}
