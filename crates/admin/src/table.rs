//! Columns and values of what the console shows.
//!
//! Invariant: a value's wire type is its column's, so the description and the data cannot disagree.

use std::time::Duration;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// The types that PgBouncer's console uses. Timestamps go as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int4,
    Int8,
    Numeric,
    Text,
}

/// One field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    /// For the three number types; `Int4` and `Int8` columns show the nearest number that fits.
    Number(i128),
    Text(String),
}

/// One row, as long as the columns it was made for.
pub(crate) type Row = Vec<Value>;

pub(crate) const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

pub(crate) const fn int4(name: &'static str) -> Column {
    Column { name, kind: Kind::Int4 }
}

pub(crate) const fn int8(name: &'static str) -> Column {
    Column { name, kind: Kind::Int8 }
}

pub(crate) const fn numeric(name: &'static str) -> Column {
    Column { name, kind: Kind::Numeric }
}

impl Value {
    /// Whole microseconds.
    pub(crate) fn micros(time: Duration) -> Self {
        Self::Number(time.as_micros().try_into().unwrap_or(i128::MAX))
    }

    /// `yes` or `no`, as PgBouncer writes truth in text columns.
    pub(crate) fn yes_no(truth: bool) -> Self {
        Self::from(if truth { "yes" } else { "no" })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// PgBouncer writes truth in number columns as 1 or 0.
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Number(truth.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
