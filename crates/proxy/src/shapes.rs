//! Statements by shape, over all threads.
//!
//! Why a global: each thread's classifier counts in a table of its own, and threads are the runtime's, not the proxy's.
//! Invariant: as many tables as threads, each of bounded size.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pgweir_sql::{ShapeCount, ShapeCounts, Target};

use crate::report::RouteRow;

static TABLES: Mutex<Vec<Arc<ShapeCounts>>> = Mutex::new(Vec::new());

/// A table for the thread at hand.
pub(crate) fn table() -> Arc<ShapeCounts> {
    let table = Arc::new(ShapeCounts::default());
    TABLES.lock().push(Arc::clone(&table));
    table
}

/// The shapes that came most often, first.
pub(crate) fn most_frequent() -> Vec<RouteRow> {
    let tables = TABLES.lock().clone();
    added_up(tables.iter().flat_map(|table| table.read()))
}

fn added_up(counts: impl Iterator<Item = ShapeCount>) -> Vec<RouteRow> {
    let mut rows: HashMap<(String, &'static str, &'static str), RouteRow> = HashMap::new();
    for count in counts {
        let key = (count.text.clone(), count.kind, count.reason.code());
        let row = rows.entry(key).or_insert_with(|| RouteRow {
            statement: count.text,
            kind: count.kind,
            target: if count.reason.target() == Target::Standby { "standby" } else { "primary" },
            reason: count.reason.code(),
            on_standby: 0,
            on_primary: 0,
        });
        row.on_standby += count.on_standby;
        row.on_primary += count.on_primary;
    }
    let mut rows: Vec<RouteRow> = rows.into_values().collect();
    rows.sort_by(|one, other| {
        let total = |row: &RouteRow| row.on_standby + row.on_primary;
        total(other).cmp(&total(one)).then_with(|| one.statement.cmp(&other.statement))
    });
    rows.truncate(ROWS_MAX);
    rows
}

/// Shapes that are shown.
const ROWS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use pgweir_sql::Reason;

    use super::*;

    #[test]
    fn tables_are_added_up_and_the_most_frequent_come_first() {
        let count = |text: &str, reason, on_standby, on_primary| ShapeCount {
            text: text.to_owned(),
            kind: "query",
            reason,
            on_standby,
            on_primary,
        };
        let counts = [
            count("b", Reason::Read, 3, 1),
            count("a", Reason::FunctionUnknown, 0, 5),
            count("b", Reason::Read, 4, 0),
            count("b", Reason::RouteHint, 0, 1),
        ];
        let rows: Vec<_> = added_up(counts.into_iter())
            .into_iter()
            .map(|row| (row.statement, row.target, row.reason, row.on_standby, row.on_primary))
            .collect();
        let expected = [
            ("b", "standby", "read", 7, 1),
            ("a", "primary", "function.unknown", 0, 5),
            ("b", "primary", "route.hint", 0, 1),
        ];
        assert_eq!(
            rows,
            expected.map(|(text, target, reason, s, p)| (text.to_owned(), target, reason, s, p))
        );
    }
}
