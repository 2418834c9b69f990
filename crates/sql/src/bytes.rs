//! What bytes mean to PostgreSQL's scanner, one at a time or eight.
//!
//! Why eight: most of a text is words, and a loop over bytes costs a mispredicted branch at the end of each.
//! Absent: bytes behind the end of a text, which read as 0.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// The eight bytes from `at` on, the first in the lowest bits.
#[inline]
pub(crate) fn eight(text: &[u8], at: usize) -> u64 {
    match text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last(text, at),
    }
}

fn last(text: &[u8], at: usize) -> u64 {
    let mut chunk = [0; 8];
    let rest = text.get(at..).unwrap_or_default();
    chunk[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(chunk)
}

/// The high bits of those bytes, all below 128, that lie between two ASCII characters.
#[inline]
const fn between(ascii: u64, low: u8, high: u8) -> u64 {
    (ascii + (0x80 - low as u64) * ONES) & !(ascii + (0x7f - high as u64) * ONES) & HIGH
}

/// How many of the bytes, from the first on, may be part of an unquoted identifier.
#[inline]
pub(crate) fn word_bytes(eight: u64) -> usize {
    let ascii = eight & !HIGH;
    let letters = between(ascii | (0x20 * ONES), b'a', b'z');
    let others = between(ascii, b'0', b'9') | between(ascii, b'_', b'_') | between(ascii, b'$', b'$');
    // No byte but a letter becomes one by the bit that makes upper case lower.
    let part = letters | others | (eight & HIGH);
    ((!part & HIGH).trailing_zeros() / 8) as usize
}

/// The bytes with ASCII letters in lower case.
#[inline]
pub(crate) fn lowered(eight: u64) -> u64 {
    let upper = between(eight & !HIGH, b'A', b'Z') & !eight;
    eight | ((upper & HIGH) >> 2)
}

/// Whether an unquoted identifier may begin with a byte.
#[inline]
pub(crate) fn is_word_start(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & WORD_START != 0
}

/// Whether a byte may be part of an unquoted identifier.
#[inline]
pub(crate) fn is_word_part(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & WORD_PART != 0
}

/// Whether a byte may be part of an operator.
#[inline]
pub(crate) fn is_operator_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & OPERATOR != 0
}

/// Whether a byte is whitespace.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & BLANK != 0
}

const WORD_START: u8 = 1;
const WORD_PART: u8 = 2;
const OPERATOR: u8 = 4;
const BLANK: u8 = 8;

/// What each byte may be part of.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        classes[at] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD_START | WORD_PART,
            b'0'..=b'9' | b'$' => WORD_PART,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => BLANK,
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%' | b'^'
            | b'&' | b'|' | b'`' | b'?' => OPERATOR,
            _ => 0,
        };
        at += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_a_time_are_what_one_at_a_time_are() {
        for byte in 0..=u8::MAX {
            for other in 0..=u8::MAX {
                let mut text = [b'a'; 8];
                (text[3], text[6]) = (byte, other);
                let length = text.iter().position(|byte| !is_word_part(*byte)).unwrap_or(8);
                assert_eq!(word_bytes(eight(&text, 0)), length, "{text:?}");
                assert_eq!(lowered(eight(&text, 0)).to_le_bytes(), text.to_ascii_lowercase()[..], "{text:?}");
            }
        }
    }

    #[test]
    fn behind_the_end_is_nothing() {
        assert_eq!(eight(b"ab", 1), u64::from(b'b'));
        assert_eq!(eight(b"ab", 2), 0);
        assert_eq!(eight(b"ab", 9), 0);
    }
}
