//! COPY text format: fields of a line, and their escapes.
//!
//! Fields are separated by tabs, rows end with a newline, null is `\N`. The backslash makes a
//! control character from a letter, a byte from octal or hexadecimal digits, and takes the special
//! meaning from anything else.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html>, File Formats, Text Format.

use std::borrow::Cow;

use crate::error::{DecodeError, DecodeErrorKind};

/// What stands for null.
pub const NULL: &[u8] = br"\N";

/// The raw fields of one line without its newline, in order and with their escapes.
///
/// A tab inside a value is always escaped (`\t`), so every tab is a separator.
pub fn raw_fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let tab = memchr::memchr(b'\t', line).and_then(|at| line.split_at_checked(at));
        match tab {
            Some((field, tail)) => {
                rest = Some(tail.strip_prefix(b"\t").unwrap_or_default());
                Some(field)
            }
            None => rest.take(),
        }
    })
}

/// Decodes one raw field; `None` is null.
///
/// Borrowed when there is nothing to decode. `\.` alone is not treated as the end of data, which in
/// the protocol is a message of its own.
///
/// # Errors
/// `UnexpectedEnd` when the field ends with a lone backslash.
pub fn decode_field(raw: &[u8]) -> Result<Option<Cow<'_, [u8]>>, DecodeError> {
    if raw == NULL {
        return Ok(None);
    }
    if memchr::memchr(b'\\', raw).is_none() {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, tail)) =
        memchr::memchr(b'\\', rest).and_then(|at| rest.split_at_checked(at))
    {
        value.extend_from_slice(plain);
        let escape = tail.strip_prefix(b"\\").unwrap_or_default();
        let (byte, after) = unescape(escape).ok_or_else(|| lone_backslash(raw))?;
        value.push(byte);
        rest = after;
    }
    value.extend_from_slice(rest);
    Ok(Some(Cow::Owned(value)))
}

/// The byte that follows a backslash stands for, and what comes after; `None` at the end.
fn unescape(escape: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, after) = escape.split_first()?;
    Some(match first {
        b'b' => (0x08, after),
        b'f' => (0x0c, after),
        b'n' => (b'\n', after),
        b'r' => (b'\r', after),
        b't' => (b'\t', after),
        b'v' => (0x0b, after),
        b'0'..=b'7' => digits(escape, 8, 3),
        b'x' if after.first().is_some_and(u8::is_ascii_hexdigit) => digits(after, 16, 2),
        other => (other, after),
    })
}

/// Up to `count_max` digits of `radix` as one byte, and what comes after.
///
/// Only the low eight bits of three octal digits count, as in the server.
fn digits(text: &[u8], radix: u32, count_max: usize) -> (u8, &[u8]) {
    let mut value = 0_u8;
    let mut rest = text;
    for _ in 0..count_max {
        let Some((&byte, after)) = rest.split_first() else { break };
        let Some(digit) = char::from(byte).to_digit(radix) else { break };
        // A digit is below 16 and the radix at most 16: both fit a byte.
        let (radix, digit) = (u8::try_from(radix), u8::try_from(digit));
        value = value.wrapping_mul(radix.unwrap_or(0)).wrapping_add(digit.unwrap_or(0));
        rest = after;
    }
    (value, rest)
}

#[cold]
fn lone_backslash(raw: &[u8]) -> DecodeError {
    let kind = DecodeErrorKind::UnexpectedEnd { needed: 1, available: 0 };
    DecodeError::new(kind, "COPY text field", raw.len())
}

/// Appends one field with its escapes, without separator.
pub fn put_field(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(value) = value else {
        out.extend_from_slice(NULL);
        return;
    };
    let mut rest = value;
    while let Some((plain, tail)) = rest
        .iter()
        .position(|byte| escape_letter(*byte).is_some())
        .and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(plain);
        let Some((&special, after)) = tail.split_first() else { break };
        out.push(b'\\');
        out.push(escape_letter(special).unwrap_or(special));
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// What follows the backslash for a byte that must not appear bare; `None` for the others.
const fn escape_letter(byte: u8) -> Option<u8> {
    Some(match byte {
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x0b => b'v',
        b'\\' => b'\\',
        _ => return None,
    })
}

/// Appends one row: fields separated by tabs, ended by a newline.
pub fn put_row<'v>(values: impl IntoIterator<Item = Option<&'v [u8]>>, out: &mut Vec<u8>) {
    let mut first = true;
    for value in values {
        if !first {
            out.push(b'\t');
        }
        first = false;
        put_field(value, out);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(raw: &[u8]) -> Option<Vec<u8>> {
        decode_field(raw).unwrap().map(Cow::into_owned)
    }

    // Each pair from the table of backslash sequences in the documentation of COPY.
    #[test]
    fn every_documented_sequence_is_decoded() {
        for (raw, value) in [
            (br"\b".as_slice(), b"\x08".as_slice()),
            (br"\f", b"\x0c"),
            (br"\n", b"\n"),
            (br"\r", b"\r"),
            (br"\t", b"\t"),
            (br"\v", b"\x0b"),
            (br"\101", b"A"),
            (br"\7x", b"\x07x"),
            (br"\1234", b"S4"),
            (br"\x41", b"A"),
            (br"\x4g", b"\x04g"),
            (br"\x414", b"A4"),
            (br"\\", br"\"),
            (br"\\N", br"\N"),
            (br"\q", b"q"),
            (br"\xyz", b"xyz"),
            (br"\.", b"."),
            (br"a\Nb", b"aNb"),
            (br"\777", b"\xff"),
            (b"", b""),
        ] {
            assert_eq!(decoded(raw).as_deref(), Some(value), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn only_an_unescaped_capital_n_alone_is_null() {
        assert_eq!(decoded(br"\N"), None);
        assert_eq!(decoded(b"N"), Some(b"N".to_vec()));
        assert_eq!(decoded(br"\n"), Some(b"\n".to_vec()));
    }

    #[test]
    fn lone_backslash_at_the_end_is_refused() {
        let error = decode_field(br"ab\").unwrap_err();
        assert_eq!(error.offset, 3);
    }

    #[test]
    fn line_has_one_field_more_than_tabs() {
        let fields: Vec<_> = raw_fields(b"a\t\t\\N").collect();
        assert_eq!(fields, [b"a".as_slice(), b"", br"\N"]);
        assert_eq!(raw_fields(b"").count(), 1);
        assert_eq!(raw_fields(b"\t").count(), 2);
    }

    proptest! {
        #[test]
        fn row_round_trips(row in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 1..6)) {
            let mut line = Vec::new();
            put_row(row.iter().map(|value| value.as_deref()), &mut line);
            prop_assert_eq!(line.pop(), Some(b'\n'));
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            let back: Vec<_> = raw_fields(&line).map(decoded).collect();
            prop_assert_eq!(back, row);
        }
    }
}
