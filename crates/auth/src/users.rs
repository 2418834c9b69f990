//! PgBouncer's `userlist.txt`: who may log in, and with which secret.
//!
//! A line is `"user" "secret"`, a quote inside doubled; what follows on the line is ignored, as are empty lines and
//! those that begin with `;`. A user that appears twice has the later secret, as in PgBouncer.
//!
//! Absent: the file. Reading and re-reading it is the caller's work.

use std::collections::HashMap;
use std::fmt;

use crate::StoredSecret;

/// The users of one file.
#[derive(Clone, Debug, Default)]
pub struct Users {
    secrets: HashMap<String, StoredSecret>,
}

impl Users {
    /// Reads the whole text of a file; the first mistake is told with its line.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut secrets = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            let (user, secret) = entry(line).map_err(|mistake| UsersError { line: index + 1, mistake })?;
            secrets.insert(user, StoredSecret::parse(&secret));
        }
        Ok(Self { secrets })
    }

    /// The secret of `user`.
    #[must_use]
    pub fn secret(&self, user: &str) -> Option<&StoredSecret> {
        self.secrets.get(user)
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// True without any user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }
}

/// A line of a users file that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsersError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub mistake: UsersMistake,
}

/// What can be wrong with a line of a users file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsersMistake {
    /// The user's name is empty.
    NameEmpty,
    /// The user's name is not in quotes.
    NameUnquoted,
    /// A quote is opened and not closed on the line.
    QuoteOpen,
    /// No secret in quotes follows the user's name.
    SecretUnquoted,
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.mistake {
            UsersMistake::NameEmpty => "the user's name is empty",
            UsersMistake::NameUnquoted => "expected a user's name in double quotes",
            UsersMistake::QuoteOpen => "a double quote is opened and not closed",
            UsersMistake::SecretUnquoted => "expected a secret in double quotes after the user's name",
        };
        write!(f, "line {}: {what}", self.line)
    }
}

impl std::error::Error for UsersError {}

fn entry(line: &str) -> Result<(String, String), UsersMistake> {
    let inside = line.strip_prefix('"').ok_or(UsersMistake::NameUnquoted)?;
    let (user, rest) = unquote(inside)?;
    if user.is_empty() {
        return Err(UsersMistake::NameEmpty);
    }
    let inside = rest.trim_start().strip_prefix('"').ok_or(UsersMistake::SecretUnquoted)?;
    let (secret, _ignored) = unquote(inside)?;
    Ok((user, secret))
}

/// The text up to the closing quote, and what follows it.
fn unquote(inside: &str) -> Result<(String, &str), UsersMistake> {
    let mut text = String::new();
    let mut rest = inside;
    loop {
        let (piece, after) = rest.split_once('"').ok_or(UsersMistake::QuoteOpen)?;
        text.push_str(piece);
        let Some(after_pair) = after.strip_prefix('"') else { return Ok((text, after)) };
        text.push('"');
        rest = after_pair;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pgbouncers_file() {
        let text = "\n; comment\n \"alice\" \"secret\"\r\n\"bob \"\"b\"\"\" \"a\"\"b\" \"old\"\n\
                    \"carol\"\t\"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n\"alice\" \"newer\"\n";
        let users = Users::parse(text).unwrap();
        assert_eq!(users.len(), 3);
        let plain = |user: &str| match users.secret(user) {
            Some(StoredSecret::Plain(password)) => password.as_bytes().to_vec(),
            other => panic!("{user}: {other:?}"),
        };
        assert_eq!(plain("alice"), b"newer");
        assert_eq!(plain("bob \"b\""), b"a\"b");
        assert!(matches!(users.secret("carol"), Some(StoredSecret::Md5(_))));
        assert!(users.secret("nobody").is_none());
    }

    #[test]
    fn tells_the_line_of_a_mistake() {
        for (text, line, mistake) in [
            ("\"a\" \"b\"\nalice \"x\"", 2, UsersMistake::NameUnquoted),
            ("\"\" \"x\"", 1, UsersMistake::NameEmpty),
            ("\n\n\"a\"", 3, UsersMistake::SecretUnquoted),
            ("\"a\" md5", 1, UsersMistake::SecretUnquoted),
            ("\"a\" \"b\"\"", 1, UsersMistake::QuoteOpen),
        ] {
            assert_eq!(Users::parse(text).unwrap_err(), UsersError { line, mistake }, "{text:?}");
        }
    }

    #[test]
    fn prints_no_secret() {
        let verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                        wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let text =
            format!("\"a\" \"hunter2\"\n\"b\" \"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n\"c\" \"{verifier}\"");
        let shown = format!("{:?}", Users::parse(&text).unwrap());
        for secret in ["hunter2", "aaaa", "WG5d", "wfPL", "W22Z"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
