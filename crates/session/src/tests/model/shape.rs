//! Tables whose columns change.

use pgweir_wire::say;

use super::sql::Command;
use super::{Failed, Model};

/// What PostgreSQL says of a statement that was prepared before the columns changed.
pub(super) const STALE: &str = "cached plan must not change result type";

/// That error, with the routine by which drivers know it.
pub(super) fn stale() -> Vec<u8> {
    let fields = ["SERROR", "VERROR", "C0A000", &format!("M{STALE}"), "RRevalidateCachedQuery"];
    let mut out = Vec::new();
    say::frame(&mut out, b'E', &[fields.join("\0").as_bytes(), b"\0\0"]);
    out
}

impl Model {
    /// PostgreSQL plans a statement again when something that it reads has changed.
    pub(super) fn replan(&self, command: &Command, shape: u64) -> Result<(), Failed> {
        let stale = command.returns_whole_rows() && shape != self.database.borrow().shape;
        if stale { Err(("0A000", STALE.to_owned())) } else { Ok(()) }
    }

    /// The RowDescription's body, if the command returns rows. Whole rows have a column of another name for each shape.
    pub(super) fn columns(&self, command: &Command) -> Option<Vec<u8>> {
        let mut columns = command.columns()?;
        if command.returns_whole_rows() {
            columns[2] += u8::try_from(self.database.borrow().shape).unwrap();
        }
        Some(columns)
    }
}
