//! The largest message body accepted from a server, per tag, each with its reason.
//!
//! The length word of a frame is written by the peer. Without a limit one corrupt or hostile word
//! makes the reader wait for, and buffer, 2 GiB. All limits count the body only: the tag and the
//! length word itself are not included.

use crate::backend::tag;

/// Largest body of CopyData and DataRow, in bytes.
///
/// The backend builds a message in one allocation of less than `MaxAllocSize`, so a larger length
/// word is corruption or an attack.
/// Source: PQ_LARGE_MESSAGE_LIMIT (MaxAllocSize − 1), src/include/libpq/libpq.h.
pub const LARGE_MESSAGE_BYTES_MAX: u32 = 0x3fff_fffe;

/// Largest body of ErrorResponse and NoticeResponse, in bytes: 16 MiB.
///
/// `RAISE` may carry any text and an error may quote the whole failing statement, which for a view
/// or a function definition can be megabytes; more than this is not for a person to read.
pub const SERVER_MESSAGE_BYTES_MAX: u32 = 16 << 20;

/// Largest body of RowDescription, in bytes: 1 MiB.
///
/// 1664 columns of 63-byte names that grow fourfold in encoding conversion, plus 19 bytes each,
/// are 451 kB.
pub const ROW_DESCRIPTION_BYTES_MAX: u32 = 1 << 20;

/// Largest body of ParameterDescription, in bytes: an `Int16` count and 65 535 `Int32` types.
pub const PARAMETER_DESCRIPTION_BYTES_MAX: u32 = 2 + 65_535 * 4;

/// Largest body of every other message, in bytes: 64 KiB.
///
/// Each of them carries a few numbers or a short string (a setting, a command tag, a notification
/// of less than 8000 bytes). libpq accepts 30 000 bytes for them.
pub const SMALL_MESSAGE_BYTES_MAX: u32 = 64 << 10;

/// Largest body before authentication has ended, in bytes: 64 KiB, whatever the tag.
///
/// Until then the peer is not known to be a PostgreSQL server at all, and what it may have to say
/// (a request for a password, an error) is short.
pub const STARTUP_MESSAGE_BYTES_MAX: u32 = 64 << 10;

/// Largest number of columns in RowDescription, DataRow and the Copy responses.
///
/// A target list has at most this many entries (a stored table 1600).
/// Source: MaxTupleAttributeNumber, src/include/access/htup_details.h.
pub const COLUMN_COUNT_MAX: u16 = 1664;

/// Largest cancel key, in bytes.
///
/// Four in protocol 3.0, up to 256 in protocol 3.2.
/// Source: <https://www.postgresql.org/docs/18/protocol-message-formats.html>, BackendKeyData.
pub const SECRET_KEY_BYTES_MAX: usize = 256;

/// Largest number of ParameterStatus names kept per session.
///
/// A server reports about fifteen settings; the bound keeps a peer that never stops from filling
/// memory.
pub const PARAMETER_STATUS_COUNT_MAX: usize = 256;

/// Largest payload of a CopyData frame that the relay builds by merging, in bytes: 64 KiB.
///
/// Merging pays because the target's backend then reads fewer messages (8 % overall on 18-byte
/// rows); beyond 64 KiB nothing is gained, and the frame must fit the relay's buffer.
pub const COALESCED_PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// Which set of limits applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// Before AuthenticationOk: nothing may be longer than [`STARTUP_MESSAGE_BYTES_MAX`].
    Startup,
    /// After it: by tag.
    Session,
}

impl Limits {
    /// The largest body of a message with this tag, in bytes.
    #[inline]
    #[must_use]
    pub const fn body_bytes_max(self, message_tag: u8) -> u32 {
        match self {
            Self::Startup => STARTUP_MESSAGE_BYTES_MAX,
            Self::Session => match message_tag {
                tag::COPY_DATA | tag::DATA_ROW => LARGE_MESSAGE_BYTES_MAX,
                tag::ERROR_RESPONSE | tag::NOTICE_RESPONSE => SERVER_MESSAGE_BYTES_MAX,
                tag::ROW_DESCRIPTION => ROW_DESCRIPTION_BYTES_MAX,
                tag::PARAMETER_DESCRIPTION => PARAMETER_DESCRIPTION_BYTES_MAX,
                _ => SMALL_MESSAGE_BYTES_MAX,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_allows_no_tag_more_than_64_kib() {
        for message_tag in 0..=u8::MAX {
            assert_eq!(Limits::Startup.body_bytes_max(message_tag), 65_536);
        }
    }

    #[test]
    fn row_description_limit_holds_the_widest_target_list() {
        let column = 63 * 4 + 1 + 18;
        let widest = 2 + u32::from(COLUMN_COUNT_MAX) * column;
        assert!(Limits::Session.body_bytes_max(b'T') >= widest);
    }
}
