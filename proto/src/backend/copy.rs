//! COPY responses and the command tag that ends a command.

use std::borrow::Cow;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::COLUMN_COUNT_MAX;
use crate::read::Reader;
use crate::types::FormatCode;

/// CopyInResponse, CopyOutResponse or CopyBothResponse.
///
/// Layout: `Int8 format, Int16 n, n × Int16 column format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// The format of the whole stream.
    pub format: FormatCode,
    /// The format of each column; empty for streaming replication.
    pub column_formats: ColumnFormats<'a>,
}

impl<'a> CopyResponse<'a> {
    /// Decodes the body of the response called `what`.
    ///
    /// # Errors
    /// `BadValue` for a format other than 0 and 1, `TooLong` for more columns than a table can
    /// have, `UnexpectedEnd` and `TrailingBytes`.
    pub fn decode(what: &'static str, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named(what, body);
        let format = format_code(&reader.clone(), i16::from(reader.u8()?))?;
        let count = column_count(&mut reader)?;
        let codes = reader.clone();
        for _ in 0..count {
            let at = reader.clone();
            format_code(&at, reader.i16()?)?;
        }
        reader.finish()?;
        Ok(Self { format, column_formats: ColumnFormats { codes } })
    }
}

/// The formats of a COPY stream's columns. Checked when decoded.
#[derive(Debug, Clone)]
pub struct ColumnFormats<'a> {
    codes: Reader<'a>,
}

impl ColumnFormats<'_> {
    /// How many columns there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.codes.remaining() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The formats in column order.
    pub fn iter(&self) -> impl Iterator<Item = FormatCode> {
        let mut codes = self.codes.clone();
        std::iter::from_fn(move || codes.i16().ok().and_then(FormatCode::from_code))
    }
}

impl PartialEq for ColumnFormats<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ColumnFormats<'_> {}

/// Reads a column count, bounded by what a server can have.
pub(super) fn column_count(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let at = reader.clone();
    let count = reader.u16()?;
    if count > COLUMN_COUNT_MAX {
        return Err(at.error(DecodeErrorKind::TooLong {
            length: u64::from(count),
            limit: u64::from(COLUMN_COUNT_MAX),
        }));
    }
    Ok(count)
}

/// The meaning of a format number, or the error at `at`.
pub(super) fn format_code(at: &Reader<'_>, code: i16) -> Result<FormatCode, DecodeError> {
    FormatCode::from_code(code).ok_or_else(|| at.bad("format code", i64::from(code)))
}

/// What CommandComplete says: `COPY 12`, `INSERT 0 5`, `CREATE TABLE`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommandTag<'a> {
    text: &'a [u8],
}

impl<'a> CommandTag<'a> {
    /// Decodes the body of CommandComplete: one string.
    ///
    /// # Errors
    /// `MissingTerminator` and `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("CommandComplete", body);
        let text = reader.cstr()?;
        reader.finish().map(|()| Self { text })
    }

    /// The whole tag.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.text)
    }

    /// The command without its numbers: `COPY`, `INSERT`, `CREATE TABLE`.
    #[must_use]
    pub fn verb(&self) -> Cow<'a, str> {
        let mut text = self.text;
        while let Some((head, last)) = split_last_word(text) {
            if !is_number(last) {
                break;
            }
            text = head;
        }
        String::from_utf8_lossy(text)
    }

    /// How many rows the command processed, when its tag says so.
    ///
    /// The last word, when it is a number: `COPY 12` has 12, `INSERT 0 5` has 5, `BEGIN` has none.
    /// Also none for a number beyond 2^64.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        let (_, last) = split_last_word(self.text)?;
        if !is_number(last) {
            return None;
        }
        std::str::from_utf8(last).ok()?.parse().ok()
    }
}

impl std::fmt::Debug for CommandTag<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommandTag({:?})", self.text())
    }
}

/// Whether all of a non-empty word is digits (no sign, unlike `str::parse`).
fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// The text before the last space, and the word after it; `None` without a space.
fn split_last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memrchr(b' ', text)?;
    let (head, tail) = text.split_at_checked(space)?;
    Some((head, tail.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_response_holds_the_format_of_each_column() {
        let response = CopyResponse::decode("CopyOutResponse", b"\x01\0\x02\0\x01\0\x01").unwrap();
        assert_eq!(response.format, FormatCode::Binary);
        let formats: Vec<_> = response.column_formats.iter().collect();
        assert_eq!(formats, [FormatCode::Binary, FormatCode::Binary]);
        assert_eq!(response.column_formats.len(), 2);
        let response = CopyResponse::decode("CopyBothResponse", b"\0\0\0").unwrap();
        assert_eq!(response.format, FormatCode::Text);
        assert!(response.column_formats.is_empty());
    }

    #[test]
    fn copy_response_refuses_what_the_protocol_does_not_define() {
        for body in [
            b"".as_slice(),
            b"\x02\0\0",
            b"\0\0",
            b"\0\0\x01",
            b"\0\0\x01\0\x02",
            b"\0\0\x01\xff\xff",
            b"\0\0\0\0",
            b"\0\xff\xff",
        ] {
            assert!(CopyResponse::decode("CopyInResponse", body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn command_tag_gives_verb_and_rows() {
        for (text, verb, rows) in [
            ("COPY 12", "COPY", Some(12)),
            ("INSERT 0 5", "INSERT", Some(5)),
            ("SELECT 0", "SELECT", Some(0)),
            ("COPY 18446744073709551615", "COPY", Some(u64::MAX)),
            ("COPY 18446744073709551616", "COPY", None),
            ("CREATE TABLE", "CREATE TABLE", None),
            ("BEGIN", "BEGIN", None),
            ("", "", None),
            ("COPY -1", "COPY -1", None),
            ("COPY +1", "COPY +1", None),
            ("COPY ", "COPY ", None),
        ] {
            let body = format!("{text}\0");
            let command_tag = CommandTag::decode(body.as_bytes()).unwrap();
            assert_eq!(command_tag.text(), text);
            assert_eq!(command_tag.verb(), verb);
            assert_eq!(command_tag.rows(), rows, "{text}");
        }
    }
}
