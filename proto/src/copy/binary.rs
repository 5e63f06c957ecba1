//! The PGCOPY binary format: header, tuples, trailer.
//!
//! ```text
//!  "PGCOPY\n\377\r\n\0"  Int32 flags  Int32 n, n bytes of extension
//!  { Int16 fields  { Int32 length or −1, bytes }* }*
//!  Int16 −1
//! ```
//!
//! Two readers: [`BinaryWalker`] counts rows in a stream cut anywhere, keeping nothing;
//! [`read_item`] gives the fields of a tuple that lies whole in a buffer.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html>, File Formats, Binary Format.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, DecodeErrorKind};
use crate::frontend::EncodeError;
use crate::limits::COLUMN_COUNT_MAX;
use crate::read::Reader;

/// The eleven bytes every stream begins with; they show damage by newline and high-bit filters.
pub const SIGNATURE: [u8; 11] = *b"PGCOPY\n\xff\r\n\0";

/// Bytes of signature, flags and extension length.
pub const HEADER_BYTES: usize = 19;

/// Flag bits that a reader must understand or refuse: 16 to 31. None is in use since version 12
/// (bit 16 announced OIDs before).
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// What a reader says of a stream.
const WHAT: &str = "PGCOPY stream";

/// One piece of a stream that lies whole in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BinaryItem<'a> {
    /// One row.
    Tuple(BinaryTuple<'a>),
    /// The end of the stream.
    Trailer,
}

/// The fields of one row. Checked when read.
#[derive(Clone)]
pub struct BinaryTuple<'a> {
    count: u16,
    fields: Reader<'a>,
}

impl<'a> BinaryTuple<'a> {
    /// How many fields there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none: a table without columns.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The fields in order; `None` is null.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut fields = self.fields.clone();
        (0..self.count).map_while(move |_| fields.nullable().ok())
    }
}

impl PartialEq for BinaryTuple<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for BinaryTuple<'_> {}

impl std::fmt::Debug for BinaryTuple<'_> {
    /// The number of fields only: rows belong to the user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BinaryTuple({} fields)", self.count)
    }
}

/// Reads the header at the start of `buf`: how many bytes it takes, or `None` until it is whole.
///
/// # Errors
/// `BadValue` for a wrong signature or an unknown critical flag.
pub fn read_header(buf: &[u8]) -> Result<Option<usize>, DecodeError> {
    let mut reader = Reader::named(WHAT, buf);
    let common = SIGNATURE.iter().zip(buf).take_while(|(a, b)| a == b).count();
    if common < buf.len().min(SIGNATURE.len()) {
        return Err(bad_signature(common, buf));
    }
    if buf.len() < HEADER_BYTES {
        return Ok(None);
    }
    reader.bytes(SIGNATURE.len())?;
    let extension = header_tail(&mut reader)?;
    let total = HEADER_BYTES.saturating_add(extension);
    Ok((buf.len() >= total).then_some(total))
}

/// Reads flags and extension length; the length.
fn header_tail(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let at = reader.clone();
    let flags = reader.u32()?;
    if flags & CRITICAL_FLAGS != 0 {
        return Err(at.bad("flags", i64::from(flags)));
    }
    let at = reader.clone();
    let length = reader.i32()?;
    usize::try_from(length).map_err(|_| at.bad("header extension length", i64::from(length)))
}

/// Reads the tuple or trailer at the start of `buf` and says how many bytes it takes.
///
/// `None` until it is whole. Each call looks at the item from its beginning: meant for CopyData
/// payloads, which hold whole rows.
///
/// # Errors
/// `BadValue` for a field count below −1 or a field length below −1, `TooLong` for more fields than
/// a row can have.
pub fn read_item(buf: &[u8]) -> Result<Option<(BinaryItem<'_>, usize)>, DecodeError> {
    let mut reader = Reader::named(WHAT, buf);
    if reader.remaining() < 2 {
        return Ok(None);
    }
    let at = reader.clone();
    let Some(count) = field_count(&at, reader.i16()?)? else {
        return Ok(Some((BinaryItem::Trailer, reader.offset())));
    };
    let fields = reader.clone();
    for _ in 0..count {
        match reader.nullable() {
            Ok(_) => {}
            Err(DecodeError { kind: DecodeErrorKind::UnexpectedEnd { .. }, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some((BinaryItem::Tuple(BinaryTuple { count, fields }), reader.offset())))
}

/// The number of fields of a tuple, `None` for the trailer.
fn field_count(at: &Reader<'_>, count: i16) -> Result<Option<u16>, DecodeError> {
    match u16::try_from(count) {
        Ok(count) if count <= COLUMN_COUNT_MAX => Ok(Some(count)),
        Ok(count) => Err(at.error(DecodeErrorKind::TooLong {
            length: u64::from(count),
            limit: u64::from(COLUMN_COUNT_MAX),
        })),
        Err(_) if count == -1 => Ok(None),
        Err(_) => Err(at.bad("field count", i64::from(count))),
    }
}

/// The error for a stream that does not begin as PGCOPY does.
fn bad_signature(offset: usize, buf: &[u8]) -> DecodeError {
    let found = buf.get(offset).map_or(-1, |byte| i64::from(*byte));
    DecodeError::new(DecodeErrorKind::BadValue { field: "signature", found }, WHAT, offset)
}

/// Appends the header of a stream without flags and extension.
pub fn put_header(buf: &mut BytesMut) {
    buf.put_slice(&SIGNATURE);
    buf.put_u32(0);
    buf.put_u32(0);
}

/// Appends one row; `None` is null. The buffer is as before on error.
///
/// # Errors
/// `TooLong` for more fields than a row can have or a field of 2 GiB and more.
pub fn put_tuple(fields: &[Option<&[u8]>], buf: &mut BytesMut) -> Result<(), EncodeError> {
    let start = buf.len();
    let count = i16::try_from(fields.len())
        .ok()
        .filter(|_| fields.len() <= usize::from(COLUMN_COUNT_MAX))
        .ok_or(EncodeError::TooLong { what: "row" })?;
    buf.put_i16(count);
    for field in fields {
        let Some(value) = field else {
            buf.put_i32(-1);
            continue;
        };
        let Ok(length) = i32::try_from(value.len()) else {
            buf.truncate(start);
            return Err(EncodeError::TooLong { what: "field" });
        };
        buf.put_i32(length);
        buf.put_slice(value);
    }
    Ok(())
}

/// Appends the trailer.
pub fn put_trailer(buf: &mut BytesMut) {
    buf.put_i16(-1);
}

/// What comes next in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expecting {
    /// Signature, flags, extension length.
    Header,
    /// Bytes to skip, then a field count.
    Extension,
    /// The number of fields of a row, or −1.
    FieldCount,
    /// The length of a field.
    FieldLength,
    /// Bytes of a field to skip.
    FieldData,
    /// Nothing: the trailer has been.
    End,
}

/// Counts the rows of a stream that arrives in pieces cut anywhere.
///
/// Keeps at most [`HEADER_BYTES`] bytes of a value that a cut went through; field data is skipped.
#[derive(Debug, Clone)]
pub struct BinaryWalker {
    expecting: Expecting,
    partial: [u8; HEADER_BYTES],
    partial_length: usize,
    skip_bytes: usize,
    fields_left: u16,
    rows: u64,
    offset: usize,
}

impl Default for BinaryWalker {
    fn default() -> Self {
        Self::new()
    }
}

impl BinaryWalker {
    /// A walker at the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            expecting: Expecting::Header,
            partial: [0; HEADER_BYTES],
            partial_length: 0,
            skip_bytes: 0,
            fields_left: 0,
            rows: 0,
            offset: 0,
        }
    }

    /// How many rows have ended.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the trailer has been read.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.expecting == Expecting::End
    }

    /// Takes the next piece of the stream.
    ///
    /// # Errors
    /// As [`read_header`] and [`read_item`], and `TrailingBytes` behind the trailer; the offset
    /// counts from the start of the stream. After an error the walker must not be used.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::named(WHAT, piece);
        let start = self.offset;
        let result = self.walk(&mut reader);
        self.offset = start.saturating_add(reader.offset());
        result.map_err(|error| DecodeError { offset: self.offset, ..error })
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `UnexpectedEnd` when the trailer has not been read.
    pub fn finish(&self) -> Result<u64, DecodeError> {
        if self.ended() {
            return Ok(self.rows);
        }
        let kind = DecodeErrorKind::UnexpectedEnd { needed: 2, available: 0 };
        Err(DecodeError::new(kind, WHAT, self.offset))
    }

    fn walk(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        loop {
            match self.expecting {
                Expecting::Header => {
                    let Some(header) = self.value::<HEADER_BYTES>(reader)? else { return Ok(()) };
                    read_header(header.get(..SIGNATURE.len()).unwrap_or_default())?;
                    let mut tail = Reader::named(WHAT, &header);
                    tail.bytes(SIGNATURE.len())?;
                    self.skip_bytes = header_tail(&mut tail)?;
                    self.expecting = Expecting::Extension;
                }
                Expecting::Extension => {
                    if !self.skip(reader)? {
                        return Ok(());
                    }
                    self.expecting = Expecting::FieldCount;
                }
                Expecting::FieldCount => {
                    let Some(count) = self.value::<2>(reader)? else { return Ok(()) };
                    self.begin_row(field_count(reader, i16::from_be_bytes(count))?);
                }
                Expecting::FieldLength => {
                    let Some(length) = self.value::<4>(reader)? else { return Ok(()) };
                    let length = i32::from_be_bytes(length);
                    self.skip_bytes = match usize::try_from(length) {
                        Ok(length) => length,
                        Err(_) if length == -1 => 0,
                        Err(_) => return Err(reader.bad("field length", i64::from(length))),
                    };
                    self.expecting = Expecting::FieldData;
                }
                Expecting::FieldData => {
                    if !self.skip(reader)? {
                        return Ok(());
                    }
                    self.end_field();
                }
                Expecting::End => return reader.clone().finish(),
            }
        }
    }

    /// A row begins, or the stream ends.
    const fn begin_row(&mut self, count: Option<u16>) {
        self.expecting = match count {
            None => Expecting::End,
            Some(0) => {
                self.rows = self.rows.saturating_add(1);
                Expecting::FieldCount
            }
            Some(count) => {
                self.fields_left = count;
                Expecting::FieldLength
            }
        };
    }

    /// A field ends, and with the last one the row.
    const fn end_field(&mut self) {
        self.fields_left = self.fields_left.saturating_sub(1);
        self.expecting = if self.fields_left == 0 {
            self.rows = self.rows.saturating_add(1);
            Expecting::FieldCount
        } else {
            Expecting::FieldLength
        };
    }

    /// Skips what is to be skipped; whether it is done.
    fn skip(&mut self, reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
        let here = self.skip_bytes.min(reader.remaining());
        reader.bytes(here)?;
        self.skip_bytes = self.skip_bytes.saturating_sub(here);
        Ok(self.skip_bytes == 0)
    }

    /// Reads `N` bytes that may be spread over pieces; `None` until all are there.
    fn value<const N: usize>(
        &mut self,
        reader: &mut Reader<'_>,
    ) -> Result<Option<[u8; N]>, DecodeError> {
        if self.partial_length == 0 && reader.remaining() >= N {
            return reader.array().map(Some);
        }
        let missing = N.saturating_sub(self.partial_length);
        let here = reader.bytes(missing.min(reader.remaining()))?;
        let room = self.partial.iter_mut().skip(self.partial_length);
        for (slot, byte) in room.zip(here) {
            *slot = *byte;
        }
        self.partial_length = self.partial_length.saturating_add(here.len());
        if self.partial_length < N {
            return Ok(None);
        }
        self.partial_length = 0;
        Ok(self.partial.first_chunk::<N>().copied())
    }
}

#[cfg(test)]
mod tests;
