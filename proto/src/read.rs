//! Checked reading of wire bytes: the only code that takes input apart (invariant A2).

use crate::error::{DecodeError, DecodeErrorKind};

/// A cursor over one message body.
///
/// Every method either returns a value and moves behind it, or returns an error naming the message
/// and the offset and does not move. Integers are in network byte order, as the protocol has them.
/// Borrowed results live as long as the input, not as long as the reader.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input`, which errors call "message".
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self::named("message", input)
    }

    /// A reader at the start of `input`, which errors call `what`.
    #[must_use]
    pub const fn named(what: &'static str, input: &'a [u8]) -> Self {
        Self { rest: input, length: input.len(), what }
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// `UnexpectedEnd` when nothing is left.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads an `Int16`.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than 2 bytes are left.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// Reads an `Int16` that is a count and therefore has no sign.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than 2 bytes are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads an `Int32`.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than 4 bytes are left.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Reads an `Int32` without sign: an object or transaction identifier.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than 4 bytes are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads an `Int64`.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than 8 bytes are left.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Reads an `Int64` without sign: an LSN.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than 8 bytes are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads exactly `N` bytes by value.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than `N` bytes are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(self.end(N)),
        }
    }

    /// Reads a string up to its terminating zero byte, which is consumed and not returned.
    ///
    /// # Errors
    /// `MissingTerminator` when no zero byte follows.
    #[inline]
    pub fn cstr(&mut self) -> Result<&'a [u8], DecodeError> {
        let found = memchr::memchr(0, self.rest).and_then(|n| self.rest.split_at_checked(n));
        match found {
            Some((text, [_, tail @ ..])) => {
                self.rest = tail;
                Ok(text)
            }
            _ => Err(self.error(DecodeErrorKind::MissingTerminator)),
        }
    }

    /// Reads `n` bytes.
    ///
    /// # Errors
    /// `UnexpectedEnd` when fewer than `n` bytes are left.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(self.end(n)),
        }
    }

    /// Reads a value with an `Int32` length before it; −1 means null.
    ///
    /// # Errors
    /// `BadValue` for a length below −1, `UnexpectedEnd` when the bytes are fewer than promised.
    #[inline]
    pub fn nullable(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let mut ahead = self.clone();
        let length = ahead.i32()?;
        let value = match usize::try_from(length) {
            Ok(n) => Some(ahead.bytes(n)?),
            Err(_) if length == -1 => None,
            Err(_) => return Err(self.bad("value length", i64::from(length))),
        };
        *self = ahead;
        Ok(value)
    }

    /// Takes everything that is left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// How many bytes are left.
    #[inline]
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// How many bytes have been read.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.length.saturating_sub(self.rest.len())
    }

    /// Ends reading.
    ///
    /// # Errors
    /// `TrailingBytes` when something is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(self.error(DecodeErrorKind::TrailingBytes { count })),
        }
    }

    /// An error of `kind` at the present offset.
    #[cold]
    #[must_use]
    pub const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.what, self.offset())
    }

    /// A `BadValue` error for `field` at the present offset.
    #[cold]
    #[must_use]
    pub const fn bad(&self, field: &'static str, found: i64) -> DecodeError {
        self.error(DecodeErrorKind::BadValue { field, found })
    }

    #[cold]
    const fn end(&self, needed: usize) -> DecodeError {
        self.error(DecodeErrorKind::UnexpectedEnd { needed, available: self.rest.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_big_endian_and_keep_their_sign() {
        let mut reader = Reader::new(&[
            0xff, 0xff, 0xfe, 0x80, 0x00, 0xff, 0xff, 0xff, 0xfd, 0x00, 0x00, 0x00, 0x05,
        ]);
        assert_eq!(reader.u8(), Ok(255));
        assert_eq!(reader.i16(), Ok(-2));
        assert_eq!(reader.u16(), Ok(32768));
        assert_eq!(reader.i32(), Ok(-3));
        assert_eq!(reader.u32(), Ok(5));
        assert_eq!(reader.remaining(), 0);
        let mut reader = Reader::new(&[0xff; 16]);
        assert_eq!(reader.i64(), Ok(-1));
        assert_eq!(reader.u64(), Ok(u64::MAX));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_failed_read_does_not_move() {
        let mut reader = Reader::named("thing", &[1, 2, 3]);
        assert_eq!(reader.u8(), Ok(1));
        let error = reader.i32().unwrap_err();
        assert_eq!((error.what, error.offset), ("thing", 1));
        assert_eq!(error.kind, DecodeErrorKind::UnexpectedEnd { needed: 4, available: 2 });
        assert!(reader.bytes(3).is_err());
        assert!(reader.cstr().is_err());
        assert!(reader.nullable().is_err());
        assert_eq!(reader.rest(), &[2, 3]);
    }

    #[test]
    fn cstr_stops_at_the_first_zero_and_may_be_empty() {
        let mut reader = Reader::new(b"ab\0\0c");
        assert_eq!(reader.cstr(), Ok(b"ab".as_slice()));
        assert_eq!(reader.cstr(), Ok(b"".as_slice()));
        let error = reader.cstr().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::MissingTerminator);
        assert_eq!(error.offset, 4);
    }

    #[test]
    fn nullable_knows_null_empty_and_refuses_other_negative_lengths() {
        let mut reader = Reader::new(b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x01x\xff\xff\xff\xfe");
        assert_eq!(reader.nullable(), Ok(None));
        assert_eq!(reader.nullable(), Ok(Some(b"".as_slice())));
        assert_eq!(reader.nullable(), Ok(Some(b"x".as_slice())));
        let error = reader.nullable().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::BadValue { field: "value length", found: -2 });
    }

    #[test]
    fn finish_counts_what_is_left() {
        let error = Reader::new(&[0; 3]).finish().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { count: 3 });
    }
}
