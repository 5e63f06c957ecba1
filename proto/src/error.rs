//! Why bytes could not be decoded: kind, what was being read, and where.

use std::fmt;

/// A fault in bytes that came from the peer.
///
/// Small and `Copy`, so that the hot paths can return it without allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The message or value that was being read, in PostgreSQL's words (`RowDescription`).
    pub what: &'static str,
    /// Where reading stopped, in bytes from the start of the slice that was decoded.
    pub offset: usize,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// The bytes ended before the value did.
    UnexpectedEnd {
        /// Bytes the value needs, counted from the offset.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A string without its closing zero byte.
    MissingTerminator,
    /// A field holds a value that the protocol does not define.
    BadValue {
        /// The field's name in the protocol documentation.
        field: &'static str,
        /// The value found.
        found: i64,
    },
    /// Bytes are left after the end of the value.
    TrailingBytes {
        /// How many are left.
        count: usize,
    },
    /// A length or a count is larger than the named limit.
    TooLong {
        /// The length or count found.
        length: u64,
        /// The largest that is accepted, see [`crate::limits`].
        limit: u64,
    },
    /// A message that may not appear in this state.
    UnexpectedMessage {
        /// What the state allows.
        expected: &'static str,
        /// The tag that arrived.
        tag: u8,
    },
}

impl DecodeError {
    /// An error of `kind` while reading `what` at `offset`.
    #[must_use]
    pub const fn new(kind: DecodeErrorKind, what: &'static str, offset: usize) -> Self {
        Self { kind, what, offset }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {} at byte {}: ", self.what, self.offset)?;
        match self.kind {
            DecodeErrorKind::UnexpectedEnd { needed, available } => {
                write!(f, "expected {needed} more bytes, found {available}")
            }
            DecodeErrorKind::MissingTerminator => f.write_str("string has no terminating zero"),
            DecodeErrorKind::BadValue { field, found } => {
                write!(f, "unexpected value {found} in field {field}")
            }
            DecodeErrorKind::TrailingBytes { count } => {
                write!(f, "{count} bytes left after the end of the message")
            }
            DecodeErrorKind::TooLong { length, limit } => {
                write!(f, "length {length} exceeds the limit of {limit}")
            }
            DecodeErrorKind::UnexpectedMessage { expected, tag } => {
                write!(f, "expected {expected}, found message type \"{}\"", tag.escape_ascii())
            }
        }
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_message_offset_and_both_numbers() {
        let error = DecodeError::new(
            DecodeErrorKind::UnexpectedEnd { needed: 4, available: 1 },
            "DataRow",
            17,
        );
        assert_eq!(error.to_string(), "invalid DataRow at byte 17: expected 4 more bytes, found 1");
    }

    #[test]
    fn display_escapes_an_unprintable_tag() {
        let kind = DecodeErrorKind::UnexpectedMessage { expected: "CopyData", tag: 0 };
        let text = DecodeError::new(kind, "COPY stream", 0).to_string();
        assert!(text.ends_with(r#"found message type "\x00""#), "{text}");
    }
}
