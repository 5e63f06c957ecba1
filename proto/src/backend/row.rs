//! RowDescription and DataRow, borrowed from the read buffer.

use super::copy::{column_count, format_code};
use crate::error::DecodeError;
use crate::read::Reader;
use crate::types::{FormatCode, Oid};

/// The columns of a result.
///
/// Layout: `Int16 n, n × (String name, Int32 table, Int16 column, Int32 type, Int16 type length,
/// Int32 type modifier, Int16 format)`. Checked when decoded.
#[derive(Debug, Clone)]
pub struct RowDescription<'a> {
    count: u16,
    fields: Reader<'a>,
}

impl<'a> RowDescription<'a> {
    /// Decodes the body of RowDescription.
    ///
    /// # Errors
    /// `TooLong` for more columns than a result can have, `BadValue` for an unknown format,
    /// `MissingTerminator`, `UnexpectedEnd`, `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("RowDescription", body);
        let count = column_count(&mut reader)?;
        let fields = reader.clone();
        for _ in 0..count {
            FieldDescription::read(&mut reader)?;
        }
        reader.finish().map(|()| Self { count, fields })
    }

    /// How many columns there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in order.
    pub fn iter(&self) -> impl Iterator<Item = FieldDescription<'a>> + use<'a> {
        let mut fields = self.fields.clone();
        (0..self.count).map_while(move |_| FieldDescription::read(&mut fields).ok())
    }
}

impl PartialEq for RowDescription<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for RowDescription<'_> {}

/// One column of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDescription<'a> {
    /// The column's name, in the client encoding.
    pub name: &'a [u8],
    /// The table it comes from, or none.
    pub table: Oid,
    /// Its number in that table from 1, 0 when it is an expression, negative for system columns.
    pub column: i16,
    /// Its type.
    pub type_oid: Oid,
    /// Bytes of a value, negative when variable (`pg_type.typlen`).
    pub type_length: i16,
    /// The type modifier, −1 for none.
    pub type_modifier: i32,
    /// How values travel. Text when only described, as the format is not yet known then.
    pub format: FormatCode,
}

impl<'a> FieldDescription<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.cstr()?,
            table: Oid(reader.u32()?),
            column: reader.i16()?,
            type_oid: Oid(reader.u32()?),
            type_length: reader.i16()?,
            type_modifier: reader.i32()?,
            format: format_code(&reader.clone(), reader.i16()?)?,
        })
    }
}

/// One row of a result.
///
/// Layout: `Int16 n, n × (Int32 length or −1, bytes)`. Checked when decoded, so that reading the
/// values afterwards cannot fail; nothing is allocated.
#[derive(Clone)]
pub struct DataRow<'a> {
    count: u16,
    values: Reader<'a>,
}

impl<'a> DataRow<'a> {
    /// Decodes the body of DataRow.
    ///
    /// # Errors
    /// `TooLong` for more columns than a result can have, `BadValue` for a length below −1,
    /// `UnexpectedEnd`, `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("DataRow", body);
        let count = column_count(&mut reader)?;
        let values = reader.clone();
        for _ in 0..count {
            reader.nullable()?;
        }
        reader.finish().map(|()| Self { count, values })
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in order; `None` is null.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut values = self.values.clone();
        (0..self.count).map_while(move |_| values.nullable().ok())
    }

    /// The value of column `index` from 0: outer `None` beyond the last, inner `None` for null.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Option<&'a [u8]>> {
        self.iter().nth(index)
    }
}

impl PartialEq for DataRow<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for DataRow<'_> {}

impl std::fmt::Debug for DataRow<'_> {
    /// Sizes only: rows belong to the user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataRow({} columns, {} bytes)", self.count, self.values.remaining())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DecodeErrorKind;

    #[test]
    fn row_description_gives_every_attribute() {
        let body = b"\0\x02id\0\0\0\x40\x01\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01\
                     x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x0c\0\0";
        let description = RowDescription::decode(body).unwrap();
        let fields: Vec<_> = description.iter().collect();
        assert_eq!(
            fields,
            [
                FieldDescription {
                    name: b"id",
                    table: Oid(16385),
                    column: 1,
                    type_oid: Oid(23),
                    type_length: 4,
                    type_modifier: -1,
                    format: FormatCode::Binary,
                },
                FieldDescription {
                    name: b"x",
                    table: Oid(0),
                    column: 0,
                    type_oid: Oid(25),
                    type_length: -1,
                    type_modifier: 12,
                    format: FormatCode::Text,
                },
            ]
        );
    }

    #[test]
    fn data_row_tells_null_from_empty() {
        let row = DataRow::decode(b"\0\x03\xff\xff\xff\xff\0\0\0\0\0\0\0\x02hi").unwrap();
        let values: Vec<_> = row.iter().collect();
        assert_eq!(values, [None, Some(b"".as_slice()), Some(b"hi")]);
        assert_eq!(row.get(2), Some(Some(b"hi".as_slice())));
        assert_eq!(row.get(0), Some(None));
        assert_eq!(row.get(3), None);
        assert_eq!(format!("{row:?}"), "DataRow(3 columns, 14 bytes)");
    }

    #[test]
    fn no_columns_at_all_is_valid() {
        assert!(DataRow::decode(b"\0\0").unwrap().is_empty());
        assert!(RowDescription::decode(b"\0\0").unwrap().is_empty());
    }

    // trap V-33
    #[test]
    fn widest_row_passes_and_one_column_more_is_refused() {
        let row = |count: u16| {
            let mut body = count.to_be_bytes().to_vec();
            body.extend(std::iter::repeat_n(0xff, usize::from(count) * 4));
            DataRow::decode(&body).map(|row| row.iter().count())
        };
        assert_eq!(row(1664), Ok(1664));
        let kind = DecodeErrorKind::TooLong { length: 1665, limit: 1664 };
        assert_eq!(row(1665).unwrap_err().kind, kind);
    }

    #[test]
    fn malformed_rows_are_refused() {
        for body in [
            b"".as_slice(),
            b"\0",
            b"\0\x01",
            b"\0\x01\0\0\0\x02x",
            b"\0\x01\x7f\xff\xff\xffx",
            b"\0\x01\xff\xff\xff\xfe",
            b"\0\0x",
            b"\xff\xff",
        ] {
            assert!(DataRow::decode(body).is_err(), "{body:?}");
        }
        for body in [
            b"".as_slice(),
            b"\0\x01",
            b"\0\x01a",
            b"\0\x01a\0",
            b"\0\x01a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02",
            b"\0\0x",
        ] {
            assert!(RowDescription::decode(body).is_err(), "{body:?}");
        }
    }
}
