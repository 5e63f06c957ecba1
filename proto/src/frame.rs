//! Frames: `Byte1 tag, Int32 length (including itself, not the tag), body`.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::Limits;

/// Bytes of a frame before its body: the tag and the length word.
pub const HEADER_BYTES: usize = 5;

/// Bytes that the length word counts although they are not body: itself.
const LENGTH_WORD_BYTES: u32 = 4;

/// The first five bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the message is, see [`crate::backend::tag`].
    pub tag: u8,
    /// Bytes of body that follow.
    pub body_length: u32,
}

impl FrameHeader {
    /// Bytes of the whole frame, header included.
    #[inline]
    #[must_use]
    pub const fn total_length(self) -> usize {
        // A u32 fits a usize on every platform with sockets worth speaking of; the sum saturates.
        HEADER_BYTES.saturating_add(self.body_length as usize)
    }
}

/// One complete frame at the start of a buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the message is.
    pub tag: u8,
    /// Its body, without tag and length word.
    pub body: &'a [u8],
    /// How many bytes of the buffer the frame takes.
    pub total_length: usize,
}

impl std::fmt::Debug for Frame<'_> {
    /// Tag and length only: a body may hold rows or secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}, {} bytes)", self.tag.escape_ascii(), self.body.len())
    }
}

/// Reads the header at the start of `buf`; `None` when fewer than five bytes are there.
///
/// # Errors
/// `BadValue` when the length word is below 4, `TooLong` when the body would exceed the limit for
/// its tag: in both cases the stream cannot be trusted any further.
#[inline]
pub fn parse_header(buf: &[u8], limits: Limits) -> Result<Option<FrameHeader>, DecodeError> {
    let Some(&[tag, a, b, c, d]) = buf.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    let Some(body_length) = length.checked_sub(LENGTH_WORD_BYTES) else {
        return Err(length_error(length));
    };
    let limit = limits.body_bytes_max(tag);
    if body_length > limit {
        return Err(limit_error(body_length, limit));
    }
    Ok(Some(FrameHeader { tag, body_length }))
}

/// Reads the frame at the start of `buf`; `None` until all of it is there.
///
/// # Errors
/// As [`parse_header`]: a bad length is reported as soon as the header is there.
#[inline]
pub fn next_frame(buf: &[u8], limits: Limits) -> Result<Option<Frame<'_>>, DecodeError> {
    let Some(header) = parse_header(buf, limits)? else {
        return Ok(None);
    };
    let total_length = header.total_length();
    Ok(buf.get(HEADER_BYTES..total_length).map(|body| Frame {
        tag: header.tag,
        body,
        total_length,
    }))
}

#[cold]
const fn length_error(length: u32) -> DecodeError {
    let kind = DecodeErrorKind::BadValue { field: "message length", found: length as i64 };
    DecodeError::new(kind, "frame header", 1)
}

#[cold]
const fn limit_error(length: u32, limit: u32) -> DecodeError {
    let kind = DecodeErrorKind::TooLong { length: length as u64, limit: limit as u64 };
    DecodeError::new(kind, "frame header", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_needs_every_byte_of_its_body() {
        let bytes = b"Z\0\0\0\x05Irest";
        for n in 0..6 {
            assert_eq!(next_frame(&bytes[..n], Limits::Session), Ok(None), "{n}");
        }
        let frame = next_frame(bytes, Limits::Session).unwrap().unwrap();
        assert_eq!((frame.tag, frame.body, frame.total_length), (b'Z', b"I".as_slice(), 6));
    }

    #[test]
    fn empty_body_is_a_frame_of_five_bytes() {
        let frame = next_frame(b"c\0\0\0\x04", Limits::Session).unwrap().unwrap();
        assert_eq!((frame.body.len(), frame.total_length), (0, 5));
    }

    #[test]
    fn length_word_below_four_is_refused() {
        for length in 0..4_u8 {
            let error = parse_header(&[b'Z', 0, 0, 0, length], Limits::Session).unwrap_err();
            assert_eq!(
                error.kind,
                DecodeErrorKind::BadValue { field: "message length", found: i64::from(length) }
            );
        }
    }

    #[test]
    fn limits_are_inclusive_and_refused_at_the_header() {
        for (tag, limits) in [
            (b'd', Limits::Session),
            (b'D', Limits::Session),
            (b'E', Limits::Session),
            (b'T', Limits::Session),
            (b't', Limits::Session),
            (b'S', Limits::Session),
            (b'?', Limits::Session),
            (b'd', Limits::Startup),
        ] {
            let limit = limits.body_bytes_max(tag);
            let header = |body_length: u32| {
                let [a, b, c, d] = (body_length + 4).to_be_bytes();
                parse_header(&[tag, a, b, c, d], limits)
            };
            assert_eq!(header(limit), Ok(Some(FrameHeader { tag, body_length: limit })));
            let kind =
                DecodeErrorKind::TooLong { length: u64::from(limit) + 1, limit: u64::from(limit) };
            assert_eq!(header(limit + 1).unwrap_err().kind, kind);
        }
        assert!(parse_header(&[b'd', 0xff, 0xff, 0xff, 0xff], Limits::Session).is_err());
    }
}
