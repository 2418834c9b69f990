//! TOML as far as the rules need it: which keys stand in which section, on which line.

/// A key with the section that it stands in.
pub(crate) struct Entry<'a> {
    pub(crate) line: usize,
    /// As written between the brackets, `[[` and `]]` included in neither.
    pub(crate) section: &'a str,
    pub(crate) key: &'a str,
    /// Without its quotes.
    pub(crate) value: &'a str,
}

/// The entries that fit on one line each.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(index, line)| {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            return None;
        }
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some(Entry { line: index + 1, section, key: key.trim(), value: value.trim().trim_matches('"') })
    })
}
