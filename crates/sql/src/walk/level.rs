//! One level of parentheses.

/// What opened a parenthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// The query itself, outside all parentheses.
    Query,
    /// `CAST (` and its like, in which AS is followed by a type.
    Cast,
    /// Definitions of columns, in which a name is followed by its type: `AS x (a int)`, `COLUMNS (a int PATH '$')`.
    Columns,
    /// `XMLTABLE (`, where definitions follow COLUMNS without parentheses.
    XmlTable,
    /// `GROUPING SETS (`, `ROLLUP (`, `CUBE (`.
    Grouping,
    /// `DISTINCT ON (`, `OPERATOR (`: what is closed here is no operand, so a call may follow it.
    NoOperand,
    /// Anything else.
    Group,
}

/// Whether names in a level stand where relations do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Outside of FROM.
    No,
    /// The next name is a relation's.
    Item,
    /// In FROM, behind a relation.
    After,
}

/// What is known inside one level.
pub(super) struct Level {
    pub(super) opener: Opener,
    /// Between WITH and the query which it belongs to.
    pub(super) in_with: bool,
    /// Between GROUP BY and the next clause.
    pub(super) in_group: bool,
    pub(super) from: From,
}

impl Level {
    pub(super) fn new(opener: Opener) -> Self {
        Level { opener, in_with: false, in_group: false, from: From::No }
    }

    /// Clauses begin and end with keywords.
    pub(super) fn on_word(&mut self, word: &[u8], previous: &[u8]) {
        self.from = match word {
            // IS DISTINCT FROM compares.
            b"from" if previous == b"distinct" => self.from,
            b"from" | b"join" | b"table" => From::Item,
            b"select" | b"values" | b"where" | b"group" | b"having" | b"window" | b"order" | b"limit"
            | b"offset" | b"fetch" | b"for" | b"union" | b"intersect" | b"except" | b"returning" => From::No,
            _ => self.from,
        };
        match word {
            b"columns" if self.opener == Opener::XmlTable => self.opener = Opener::Columns,
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

    pub(super) fn on_comma(&mut self) {
        if self.from == From::After {
            self.from = From::Item;
        }
    }

    /// A parenthesis opens: it stands where a relation does, so what is inside may be relations joined.
    pub(super) fn opens_from(&mut self) -> From {
        match self.from {
            From::Item => {
                self.from = From::After;
                From::Item
            }
            From::No | From::After => From::No,
        }
    }
}
