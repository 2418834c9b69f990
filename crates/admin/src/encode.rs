//! Rows on the wire, in text and in binary.
//!
//! Why binary at all: asyncpg, pgx and JDBC ask for it and have no other way.
//! Manual: Frontend/Backend Protocol, "Message Formats"; the binary form of `numeric` is that of `numeric_send`.

use pgweir_wire::say;

use crate::error::ConsoleError;
use crate::table::{Column, Kind, Row, Value};

/// How a portal's columns are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formats(Vec<Format>);

/// How one column is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Binary,
}

impl Formats {
    /// The formats that a Bind asks for: none means all text, one holds for all columns.
    pub(crate) fn new(codes: &[i16], columns: usize) -> Result<Self, ConsoleError> {
        if codes.len() > 1 && codes.len() != columns {
            return Err(ConsoleError::ResultFormats { given: codes.len(), columns });
        }
        codes.iter().map(|code| Format::from_code(*code)).collect::<Result<_, _>>().map(Self)
    }

    fn of(&self, column: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each[column],
        }
    }
}

impl Format {
    const fn from_code(code: i16) -> Result<Self, ConsoleError> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            other => Err(ConsoleError::UnsupportedFormat(other)),
        }
    }
}

impl Kind {
    /// Object identifier and length in bytes, from `pg_type.dat`.
    const fn oid_and_length(self) -> (u32, i16) {
        match self {
            Self::Int4 => (23, 4),
            Self::Int8 => (20, 8),
            Self::Numeric => (1700, -1),
            Self::Text => (25, -1),
        }
    }
}

/// Appends a RowDescription.
pub(crate) fn row_description(out: &mut Vec<u8>, columns: &[Column], formats: &Formats) {
    let mut body = count(columns.len()).to_vec();
    for (at, column) in columns.iter().enumerate() {
        let (oid, length) = column.kind.oid_and_length();
        body.extend_from_slice(column.name.as_bytes());
        body.extend_from_slice(&[0; 7]); // end of the name, no table, no column number
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&(-1i32).to_be_bytes()); // no type modifier
        let format: i16 = match formats.of(at) {
            Format::Text => 0,
            Format::Binary => 1,
        };
        body.extend_from_slice(&format.to_be_bytes());
    }
    say::frame(out, b'T', &[&body]);
}

/// Appends a DataRow.
pub(crate) fn data_row(out: &mut Vec<u8>, columns: &[Column], row: &Row, formats: &Formats) {
    assert_eq!(columns.len(), row.len(), "a row is as long as its description");
    let mut body = count(row.len()).to_vec();
    for (at, (column, value)) in columns.iter().zip(row).enumerate() {
        match field(column.kind, value, formats.of(at)) {
            None => body.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(bytes) => {
                let length = i32::try_from(bytes.len()).expect("a field is far below 2 GB");
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(&bytes);
            }
        }
    }
    say::frame(out, b'D', &[&body]);
}

fn count(columns: usize) -> [u8; 2] {
    i16::try_from(columns).expect("a table has few columns").to_be_bytes()
}

fn field(kind: Kind, value: &Value, format: Format) -> Option<Vec<u8>> {
    let number = match value {
        Value::Null => return None,
        Value::Text(text) => {
            assert_eq!(kind, Kind::Text, "text stands in text columns only");
            // A NUL cannot be in a text value; clients would cut the row there.
            return Some(text.replace('\0', "").into_bytes());
        }
        Value::Number(number) => *number,
    };
    Some(match (kind, format) {
        (Kind::Text, _) => unreachable!("numbers stand in number columns only"),
        (Kind::Int4, Format::Text) => int4(number).to_string().into_bytes(),
        (Kind::Int4, Format::Binary) => int4(number).to_be_bytes().to_vec(),
        (Kind::Int8, Format::Text) => int8(number).to_string().into_bytes(),
        (Kind::Int8, Format::Binary) => int8(number).to_be_bytes().to_vec(),
        (Kind::Numeric, Format::Text) => number.to_string().into_bytes(),
        (Kind::Numeric, Format::Binary) => numeric(number),
    })
}

fn int4(number: i128) -> i32 {
    number.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

fn int8(number: i128) -> i64 {
    number.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Count of digits, weight of the first, sign, scale, then digits to the base 10,000.
fn numeric(number: i128) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    let weight = (digits.len() as i16 - 1).max(0); // at most ten digits
    let zeros = digits.iter().take_while(|digit| **digit == 0).count(); // said by the weight
    let digits = &digits[zeros..];
    let sign: i16 = if number < 0 { 0x4000 } else { 0 };
    let header = [digits.len() as i16, weight, sign, 0];
    header.iter().chain(digits.iter().rev()).flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_is_what_numeric_send_writes() {
        // As `select numeric_send(n)` on PostgreSQL 15 prints it.
        for (number, sent) in [
            (0, "0000000000000000"),
            (7, "00010000000000000007"),
            (10_000, "00010001000000000001"),
            (-12_345, "000200014000000000010929"),
            (i128::from(u64::MAX), "000500040000000007341a5802e103bb064f"),
        ] {
            let hex: String = numeric(number).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, sent, "{number}");
        }
    }

    #[test]
    fn integers_show_the_nearest_number_that_fits() {
        let big = Value::Number(i128::from(u64::MAX));
        assert_eq!(field(Kind::Int4, &big, Format::Text).unwrap(), b"2147483647");
        assert_eq!(field(Kind::Int8, &big, Format::Text).unwrap(), b"9223372036854775807");
        assert_eq!(field(Kind::Numeric, &big, Format::Text).unwrap(), b"18446744073709551615");
    }

    #[test]
    fn formats_follow_the_rules_of_bind() {
        assert_eq!(Formats::new(&[1], 3).unwrap().of(2), Format::Binary);
        assert_eq!(Formats::new(&[0, 1], 2).unwrap().of(1), Format::Binary);
        assert_eq!(Formats::new(&[0, 1], 3), Err(ConsoleError::ResultFormats { given: 2, columns: 3 }));
        assert_eq!(Formats::new(&[2], 1), Err(ConsoleError::UnsupportedFormat(2)));
    }
}
