//! Numbers with units: durations and sizes, in PostgreSQL's manner.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use crate::fault::{Fault, Quantity, Refusal};
use crate::section::{Setting, Written};
use crate::setting::wrong_type;

/// A size in bytes, never zero. Units are binary, as in PostgreSQL: `1kB` is 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(u64);

impl ByteCount {
    /// So many bytes.
    ///
    /// # Panics
    /// When there are none, or more than 1 TB: such a limit is a mistake of the programmer.
    pub const fn new(bytes: u64) -> Self {
        assert!(bytes > 0 && bytes <= BYTES_MAX);
        ByteCount(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self.0, BYTE_UNITS))
    }
}

impl Setting for ByteCount {
    fn kind() -> String {
        "size".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        read_bytes(value, 1).map(ByteCount)
    }

    fn written(&self) -> Written {
        Written::Text(self.to_string())
    }
}

impl Setting for Option<ByteCount> {
    fn kind() -> String {
        "size".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        let bytes = read_bytes(value, 0)?;
        Ok((bytes > 0).then_some(ByteCount(bytes)))
    }

    fn written(&self) -> Written {
        Written::Text(show(self.map_or(0, ByteCount::bytes), BYTE_UNITS))
    }
}

impl Setting for Duration {
    fn kind() -> String {
        "duration".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        read_micros(value, 1).map(Duration::from_micros)
    }

    fn written(&self) -> Written {
        Written::Text(show_duration(*self))
    }
}

impl Setting for Option<Duration> {
    fn kind() -> String {
        "duration".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        let micros = read_micros(value, 0)?;
        Ok((micros > 0).then(|| Duration::from_micros(micros)))
    }

    fn written(&self) -> Written {
        Written::Text(show_duration(self.unwrap_or_default()))
    }
}

/// A duration as it would be written in the file.
pub(crate) fn show_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    show(micros, TIME_UNITS).replace("0us", "0s")
}

fn read_bytes(value: &DeValue<'_>, least: u64) -> Result<u64, Refusal> {
    let range = Range { quantity: Quantity::Bytes, units: BYTE_UNITS, least, most: BYTES_MAX };
    match value {
        DeValue::String(given) => range.read(given),
        DeValue::Integer(number) => {
            let decimal = u64::from_str_radix(number.as_str(), number.radix()).ok();
            range.check(&number.to_string(), decimal)
        }
        _ => Err(wrong_type("a size like \"64kB\"", value)),
    }
}

fn read_micros(value: &DeValue<'_>, least: u64) -> Result<u64, Refusal> {
    let range = Range { quantity: Quantity::Duration, units: TIME_UNITS, least, most: MICROS_MAX };
    match value {
        DeValue::String(given) => range.read(given),
        DeValue::Integer(number) => Err(range.unit_missing(&number.to_string())),
        _ => Err(wrong_type("a duration like \"10s\"", value)),
    }
}

type Units = &'static [(&'static str, u64)];

struct Range {
    quantity: Quantity,
    units: Units,
    least: u64,
    most: u64,
}

impl Range {
    fn read(&self, given: &str) -> Result<u64, Refusal> {
        let digits = given.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = given.split_at(digits);
        let unit = unit.trim_start();
        if number.is_empty() {
            return Err(self.refuse(given, None));
        }
        if unit.is_empty() {
            return if self.quantity == Quantity::Bytes || number == "0" {
                self.read_number(given, 1, number)
            } else {
                Err(self.unit_missing(number))
            };
        }
        match self.units.iter().find(|(name, _)| *name == unit) {
            Some((_, scale)) => self.read_number(given, *scale, number),
            None => {
                let spelled = meant(self.units, unit).map(|unit| format!("{number}{unit}"));
                Err(self.refuse(given, spelled.or_else(|| self.without_fraction(given))))
            }
        }
    }

    /// `1.5h` in a smaller unit.
    fn without_fraction(&self, given: &str) -> Option<String> {
        let (whole, rest) = given.split_once('.')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, unit) = rest.split_at(digits);
        let scale = self.units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
        let tenths = 10_u64.checked_pow(u32::try_from(digits).ok()?)?;
        let part = fraction.parse::<u64>().ok()?.checked_mul(scale)? / tenths;
        Some(show(whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)?, self.units))
    }

    fn read_number(&self, given: &str, scale: u64, number: &str) -> Result<u64, Refusal> {
        self.check(given, number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)))
    }

    /// `None`: beyond what 64 bits hold, or negative.
    fn check(&self, given: &str, value: Option<u64>) -> Result<u64, Refusal> {
        value.filter(|value| (self.least..=self.most).contains(value)).ok_or_else(|| {
            let smallest = format!("{}{}", self.least, self.units[0].0);
            let (least, most) = (smallest, show(self.most, self.units));
            Fault::OutOfRange { given: given.to_owned(), least, most }.into()
        })
    }

    fn refuse(&self, given: &str, meant: Option<String>) -> Refusal {
        let fault = Fault::NotAQuantity { given: given.to_owned(), quantity: self.quantity };
        Refusal::from(fault).advise(meant.map(|text| format!("write \"{text}\"")))
    }

    fn unit_missing(&self, number: &str) -> Refusal {
        Refusal::new(Fault::UnitMissing { quantity: self.quantity }, format!("write \"{number}s\""))
    }
}

/// The unit that a common misspelling stands for.
fn meant(units: Units, unit: &str) -> Option<&'static str> {
    let lower = unit.to_ascii_lowercase();
    let spelled = match lower.as_str() {
        "min" | "mins" | "minute" | "minutes" => "m",
        "sec" | "secs" | "second" | "seconds" => "s",
        "msec" | "millis" => "ms",
        "hour" | "hours" => "h",
        "day" | "days" => "d",
        "k" | "kib" | "kb" => "kB",
        "m" | "mib" | "mb" => "MB",
        "g" | "gib" | "gb" => "GB",
        "t" | "tib" | "tb" => "TB",
        "byte" | "bytes" => "B",
        other => other,
    };
    units
        .iter()
        .find(|(name, _)| *name == spelled || name.eq_ignore_ascii_case(&lower))
        .map(|(name, _)| *name)
}

/// With the largest unit that needs no fraction.
fn show(value: u64, units: Units) -> String {
    let fitting = units.iter().rev().find(|(_, scale)| value > 0 && value.is_multiple_of(*scale));
    let (unit, scale) = fitting.unwrap_or(&units[0]);
    format!("{}{unit}", value / scale)
}

const TIME_UNITS: Units = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
];
const BYTE_UNITS: Units = &[("B", 1), ("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];

/// A hundred years: adding it to a clock overflows nothing.
const MICROS_MAX: u64 = 36_500 * 86_400 * 1_000_000;
const BYTES_MAX: u64 = 1 << 40;
