//! Rust text with comments and literals told apart from code, by a small lexer: enough to search in, not to compile.

/// The lines of one Rust file.
pub(crate) struct Source {
    lines: Vec<Line>,
}

/// One line.
pub(crate) struct Line {
    pub(crate) number: usize,
    /// The line with comments and the insides of literals blanked.
    pub(crate) code: String,
    /// The line as it is written.
    pub(crate) text: String,
    /// Inside an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let code = blanked(text);
        let mut lines: Vec<Line> = code
            .lines()
            .zip(text.lines())
            .enumerate()
            .map(|(index, (code, text))| Line {
                number: index + 1,
                code: code.to_owned(),
                text: text.to_owned(),
                in_test: false,
            })
            .collect();
        for (first, last) in test_items(&code) {
            for line in lines.iter_mut().filter(|line| (first..=last).contains(&line.number)) {
                line.in_test = true;
            }
        }
        Self { lines }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    pub(crate) fn line(&self, number: usize) -> Option<&Line> {
        self.lines.get(number.checked_sub(1)?)
    }
}

/// Whether `word` stands in `code` and is not a part of a longer name.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

/// The text with everything that is not code replaced by spaces, line by line the same length in characters.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_token(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that starts at `at` ends; `at` itself when it is code.
fn end_of_token(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    match chars[at] {
        '/' if next == '/' => {
            chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length)
        }
        '/' if next == '*' => end_of_block_comment(chars, at),
        '"' => end_of_string(chars, at + 1),
        'r' if next == '#' || next == '"' => end_of_raw_string(chars, at),
        '\'' if next == '\\' => {
            let close = chars.iter().skip(at + 3).position(|&c| c == '\'');
            close.map_or(chars.len(), |length| at + 4 + length)
        }
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// A raw string's end, or `start` when the `r` is a name's letter or a raw identifier's.
fn end_of_raw_string(chars: &[char], start: usize) -> usize {
    let before = start.checked_sub(1).map(|before| chars[before]);
    if before.is_some_and(|c| (c.is_alphanumeric() || c == '_') && c != 'b' && c != 'c') {
        return start;
    }
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let mut at = start + 1 + hashes;
    if chars.get(at) != Some(&'"') {
        return start;
    }
    at += 1;
    while at < chars.len() {
        let closes =
            chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
        if closes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    chars.len()
}

/// First and last line of each item under `#[cfg(test)]`.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let starts = code.match_indices("#[cfg(test)]").chain(code.match_indices("#[cfg(any(test"));
    starts.map(|(start, _)| (line_of(start), line_of(end_of_item(code, start)))).collect()
}

/// The item's last byte: its `;` outside all brackets, or the brace that closes its first.
fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[start..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return start + offset;
                }
            }
            ';' if depth == 0 => return start + offset,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "let a = \"tokio \\\" b\"; // tokio\nlet c = 'x'; /* tokio /* tokio */ */ fn d<'a>() {}\n\
                let r = br#\"tokio \" \"#; let e = '\\''; done";
    let source = Source::new(text);
    assert!(
        source.lines().all(|line| !has_word(&line.code, "tokio")),
        "{:?}",
        source.lines().next().map(|l| &l.code)
    );
    assert!(source.line(2).is_some_and(|line| has_word(&line.code, "fn") && line.code.contains("<'a>")));
    assert!(source.line(3).is_some_and(|line| line.code.ends_with("done")));
}

#[test]
fn items_for_tests_are_known_to_their_last_line() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b(x: [u8; 3]) {}\n}\nfn c() {}\n#[cfg(test)]\nuse x;\nfn d() {}\n";
    let in_test: Vec<usize> =
        Source::new(text).lines().filter(|line| line.in_test).map(|line| line.number).collect();
    assert_eq!(in_test, [2, 3, 4, 5, 7, 8]);
}
