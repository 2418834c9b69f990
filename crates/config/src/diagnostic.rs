//! A fault with its place, printed as a compiler prints it.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::fault::Fault;

/// Whether a start is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// No.
    Error,
    /// Yes, but somebody should know.
    Warning,
}

/// One thing to say about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether a start is possible.
    pub severity: Severity,
    /// The file's name.
    pub file: String,
    /// The line, from 1; 0: the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The setting, such as `pool.size`; empty where none is concerned.
    pub key: String,
    /// What is wrong.
    pub what: Fault,
    /// What to do instead, where that can be told.
    pub suggestion: Option<String>,
    /// The text of the line.
    source: String,
    /// How many characters the mark covers.
    width: usize,
}

/// Every mistake of a file, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The mistakes.
    pub mistakes: Vec<Diagnostic>,
}

impl Diagnostic {
    /// Finds line and column of `span` in `text`.
    pub(crate) fn at(text: &str, span: &Range<usize>, file: &str, key: &str, what: Fault) -> Self {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let marked = &text[start..floor(text, span.end).clamp(start, line_end)];
        let (source, hidden) = without_password(&text[line_start..line_end]);
        let width = if hidden { 1 } else { marked.trim_end().chars().count().max(1) };
        Diagnostic {
            severity: Severity::Error,
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            key: key.to_owned(),
            what,
            suggestion: None,
            source: source.trim_end().replace(char::is_control, " "),
            width,
        }
    }
}

/// A line for printing, and whether something had to be hidden: these lines end up in logs.
fn without_password(line: &str) -> (String, bool) {
    let lower = line.to_ascii_lowercase();
    let words = SECRET_WORDS.iter().filter_map(|word| lower.find(word));
    let Some(word) = words.min() else { return (line.to_owned(), false) };
    match line[word..].split_once('=') {
        Some((name, value)) if !name.contains("_file") && !value.trim().is_empty() => {
            (format!("{}= ********", &line[..word + name.len()]), true)
        }
        _ => (line.to_owned(), false),
    }
}

/// The nearest place at or before `at` where a character starts.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl ConfigErrors {
    /// The file itself could not be read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let what = Fault::Unreadable { path: path.to_owned(), kind: error.kind() };
        let mut mistake = Diagnostic::at("", &(0..0), &path.display().to_string(), "", what);
        mistake.line = 0;
        ConfigErrors { mistakes: vec![mistake] }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if !self.key.is_empty() && !matches!(self.what, Fault::UnknownKey { .. }) {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.what)?;
        if self.line == 0 {
            return Ok(());
        }
        let margin = " ".repeat(self.line.to_string().len());
        write!(f, "\n{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        write!(f, "\n{margin} |\n{} | {}", self.line, self.source)?;
        write!(f, "\n{margin} | {}{}", " ".repeat(self.column - 1), "^".repeat(self.width))?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " {suggestion}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            write!(f, "{mistake}\n\n")?;
        }
        match self.mistakes.len() {
            1 => f.write_str("1 mistake"),
            count => write!(f, "{count} mistakes"),
        }
    }
}

impl Error for ConfigErrors {}

/// What the name of a key with a secret holds, misspelt or not.
const SECRET_WORDS: &[&str] = &["pas", "pwd", "secret"];
