//! Values as the target reads them: COPY rows and arrays in binary form.

use super::row::value_bytes;
use crate::follow::change::Value;

/// `text`, the element type of arrays whose elements are values in text form.
const TEXT_OID: u32 = 25;

/// How a column's values reach a statement over many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnForm {
    /// All in text form (or NULL).
    Text,
    /// All in binary form (or NULL), at least one.
    Binary,
}

/// The form that all values of a column have; `None` when they differ or one was not sent.
pub(super) fn column_form<'a>(
    values: impl Iterator<Item = Option<&'a Value>>,
) -> Option<ColumnForm> {
    let mut form = None;
    for value in values {
        let this = match value? {
            Value::Null => continue,
            Value::Unchanged => return None,
            Value::Text(_) => ColumnForm::Text,
            Value::Binary(_) => ColumnForm::Binary,
        };
        if *form.get_or_insert(this) != this {
            return None;
        }
    }
    Some(form.unwrap_or(ColumnForm::Text))
}

/// A one-dimensional array in binary form.
///
/// Layout: `Int32 dimensions = 1, Int32 has nulls, Int32 element type, Int32 count, Int32 lower bound
/// = 1`, then per element `Int32 length or -1, bytes`.
/// Source: array_recv, src/backend/utils/adt/arrayfuncs.c.
#[derive(Debug)]
pub(super) struct Array {
    bytes: Vec<u8>,
    count: u32,
    has_null: bool,
}

/// Bytes before the first element.
const ARRAY_HEADER_BYTES: usize = 20;

impl Array {
    /// An empty array; `element` is the element type of values in binary form.
    pub(super) fn new(form: ColumnForm, element: u32, capacity: usize) -> Self {
        let element = if form == ColumnForm::Text { TEXT_OID } else { element };
        let mut bytes = Vec::with_capacity(ARRAY_HEADER_BYTES + capacity * 12);
        for word in [1, 0, element, 0, 1] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        Self { bytes, count: 0, has_null: false }
    }

    /// Appends a value; a NULL where it has no bytes.
    pub(super) fn push(&mut self, value: Option<&Value>) {
        self.count = self.count.saturating_add(1);
        match value.and_then(value_bytes) {
            Some(value) => put_value(value, &mut self.bytes),
            None => {
                self.has_null = true;
                self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
            }
        }
    }

    /// The parameter's bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let words = [(4, u32::from(self.has_null)), (12, self.count)];
        for (place, word) in words {
            if let Some(slice) = self.bytes.get_mut(place..place + 4) {
                slice.copy_from_slice(&word.to_be_bytes());
            }
        }
        self.bytes
    }
}

/// Appends a length and the bytes. A value longer than a message can be is refused by the server with
/// the message; the length word then only has to be wrong, not to wrap.
fn put_value(value: &[u8], out: &mut Vec<u8>) {
    let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

/// Appends one row in COPY's text format.
pub(super) fn copy_text_row<'a>(
    values: impl Iterator<Item = Option<&'a Value>>,
    out: &mut Vec<u8>,
) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        match value.and_then(value_bytes) {
            Some(value) => escape(value, out),
            None => out.extend_from_slice(b"\\N"),
        }
    }
    out.push(b'\n');
}

/// Appends a field of COPY's text format.
/// Source: <https://www.postgresql.org/docs/current/sql-copy.html>, "Text Format".
fn escape(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r'))
    {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.extend_from_slice(match special.first() {
            Some(b'\t') => b"\\t",
            Some(b'\n') => b"\\n",
            Some(b'\r') => b"\\r",
            _ => b"\\\\",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// What a COPY in binary format begins with: signature, flags, length of the header's extension.
pub(super) const COPY_BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with.
pub(super) const COPY_BINARY_TRAILER: &[u8] = &[0xff, 0xff];

/// Appends one row of `columns` fields in COPY's binary format.
pub(super) fn copy_binary_row<'a>(
    columns: u16,
    values: impl Iterator<Item = Option<&'a Value>>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&columns.to_be_bytes());
    for value in values {
        match value.and_then(value_bytes) {
            Some(value) => put_value(value, out),
            None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn text(value: &'static str) -> Value {
        Value::Text(Bytes::from_static(value.as_bytes()))
    }

    // Escapes as the manual's table of COPY's text format lists them.
    #[test]
    fn special_bytes_of_copy_are_escaped() {
        let values = [text("a\\b\tc\nd\re"), Value::Null, text(""), text("\\N")];
        let mut out = Vec::new();
        copy_text_row(values.iter().map(Some), &mut out);
        assert_eq!(out, b"a\\\\b\\tc\\nd\\re\t\\N\t\t\\\\N\n");
    }

    #[test]
    fn a_column_has_one_form_or_none() {
        let binary = Value::Binary(Bytes::from_static(b"\0\0\0\x01"));
        let form = |values: &[Value]| column_form(values.iter().map(Some));
        assert_eq!(form(&[Value::Null, text("1")]), Some(ColumnForm::Text));
        assert_eq!(form(&[binary.clone(), Value::Null]), Some(ColumnForm::Binary));
        assert_eq!(form(&[Value::Null]), Some(ColumnForm::Text));
        assert_eq!(form(&[text("1"), binary]), None);
        assert_eq!(form(&[text("1"), Value::Unchanged]), None);
        assert_eq!(column_form([None].into_iter()), None);
    }

    #[test]
    fn arrays_carry_their_count_and_nulls() {
        let mut array = Array::new(ColumnForm::Text, 23, 2);
        array.push(Some(&text("ab")));
        array.push(Some(&Value::Null));
        let bytes = array.finish();
        let words: Vec<u32> = bytes
            .chunks(4)
            .take(6)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
            .collect();
        assert_eq!(words, [1, 1, TEXT_OID, 2, 1, 2]);
        assert_eq!(&bytes[24..], b"ab\xff\xff\xff\xff");
    }
}
