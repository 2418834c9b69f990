//! One level of parentheses.

/// What opened a parenthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// The query itself, outside all parentheses.
    Query,
    /// `CAST (` and its like, in which AS is followed by a type.
    Cast,
    /// `GROUPING SETS (`, `ROLLUP (`, `CUBE (`.
    Grouping,
    /// `DISTINCT ON (`, `OPERATOR (`: what is closed here is no operand, so a call may follow it.
    NoOperand,
    /// Anything else.
    Group,
}

/// What is known inside one level.
pub(super) struct Level {
    pub(super) opener: Opener,
    /// Between WITH and the query which it belongs to.
    pub(super) in_with: bool,
    /// Between GROUP BY and the next clause.
    pub(super) in_group: bool,
}

impl Level {
    pub(super) fn new(opener: Opener) -> Self {
        Level { opener, in_with: false, in_group: false }
    }

    /// Clauses begin and end with keywords.
    pub(super) fn on_word(&mut self, word: &[u8], previous: &[u8]) {
        match word {
            b"by" if previous == b"group" => self.in_group = true,
            b"select" | b"values" | b"table" | b"insert" | b"update" | b"delete" | b"merge" => {
                self.in_with = false;
                self.in_group = false;
            }
            b"from" | b"where" | b"having" | b"window" | b"order" | b"limit" | b"offset" | b"fetch"
            | b"for" | b"union" | b"intersect" | b"except" => self.in_group = false,
            _ => {}
        }
    }
}
