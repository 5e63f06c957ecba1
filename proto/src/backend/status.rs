//! Messages about the session: settings, cancel key, readiness, protocol version, notifications.

use std::fmt;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::SECRET_KEY_BYTES_MAX;
use crate::read::Reader;
use crate::types::{Oid, TransactionStatus};

/// BackendKeyData: `Int32 process, bytes key`.
///
/// The key is four bytes in protocol 3.0 and may be longer in 3.2. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// The server process of this session (`pg_backend_pid()`).
    pub process_id: i32,
    /// Whoever knows it may cancel this session's commands.
    pub secret_key: &'a [u8],
}

impl<'a> BackendKeyData<'a> {
    /// Decodes the body of BackendKeyData.
    ///
    /// # Errors
    /// `UnexpectedEnd` for a key shorter than 4 bytes, `TooLong` beyond 256.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("BackendKeyData", body);
        let process_id = reader.i32()?;
        let at = reader.clone();
        let secret_key = reader.rest();
        let length = secret_key.len();
        if length < 4 {
            return Err(at.error(DecodeErrorKind::UnexpectedEnd { needed: 4, available: length }));
        }
        if length > SECRET_KEY_BYTES_MAX {
            return Err(at.error(DecodeErrorKind::TooLong {
                length: length as u64,
                limit: SECRET_KEY_BYTES_MAX as u64,
            }));
        }
        Ok(Self { process_id, secret_key })
    }
}

impl fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendKeyData({})", self.process_id)
    }
}

/// ParameterStatus: `String name, String value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// The setting's name.
    pub name: &'a [u8],
    /// Its present value.
    pub value: &'a [u8],
}

impl<'a> ParameterStatus<'a> {
    /// Decodes the body of ParameterStatus.
    ///
    /// # Errors
    /// `MissingTerminator`, `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("ParameterStatus", body);
        let status = Self { name: reader.cstr()?, value: reader.cstr()? };
        reader.finish().map(|()| status)
    }
}

/// NegotiateProtocolVersion: `Int32 newest minor version, Int32 n, n × String option`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The newest protocol version that the server speaks for the major version asked for. Servers
    /// send either the minor number alone or the whole version (`0x0003_0000`).
    pub version: u32,
    /// Protocol options (`_pq_.…`) that the server does not know.
    pub unsupported_options: Vec<&'a [u8]>,
}

impl<'a> NegotiateProtocolVersion<'a> {
    /// Decodes the body of NegotiateProtocolVersion.
    ///
    /// # Errors
    /// `UnexpectedEnd`, `MissingTerminator` when there are fewer options than claimed,
    /// `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("NegotiateProtocolVersion", body);
        let version = reader.u32()?;
        let count = reader.u32()?;
        // Grown by what is there, never by what is claimed.
        let mut unsupported_options = Vec::new();
        for _ in 0..count {
            unsupported_options.push(reader.cstr()?);
        }
        reader.finish().map(|()| Self { version, unsupported_options })
    }
}

/// NotificationResponse: `Int32 process, String channel, String payload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The server process of the session that notified.
    pub process_id: i32,
    /// The channel's name.
    pub channel: &'a [u8],
    /// What was passed along.
    pub payload: &'a [u8],
}

impl<'a> Notification<'a> {
    /// Decodes the body of NotificationResponse.
    ///
    /// # Errors
    /// `UnexpectedEnd`, `MissingTerminator`, `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("NotificationResponse", body);
        let notification =
            Self { process_id: reader.i32()?, channel: reader.cstr()?, payload: reader.cstr()? };
        reader.finish().map(|()| notification)
    }
}

/// ParameterDescription: `Int16 n, n × Int32 type`. Checked when decoded.
#[derive(Debug, Clone)]
pub struct ParameterDescription<'a> {
    count: u16,
    types: Reader<'a>,
}

impl<'a> ParameterDescription<'a> {
    /// Decodes the body of ParameterDescription.
    ///
    /// # Errors
    /// `UnexpectedEnd`, `TrailingBytes`.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("ParameterDescription", body);
        let count = reader.u16()?;
        let types = reader.clone();
        for _ in 0..count {
            reader.u32()?;
        }
        reader.finish().map(|()| Self { count, types })
    }

    /// The types of the parameters `$1`, `$2` … in order.
    pub fn iter(&self) -> impl Iterator<Item = Oid> + use<'a> {
        let mut types = self.types.clone();
        (0..self.count).map_while(move |_| types.u32().ok().map(Oid))
    }
}

impl PartialEq for ParameterDescription<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ParameterDescription<'_> {}

/// Decodes the body of ReadyForQuery: one byte.
///
/// # Errors
/// `BadValue` when it is not one of `I T E`, `UnexpectedEnd`, `TrailingBytes`.
pub(super) fn ready_for_query(body: &[u8]) -> Result<TransactionStatus, DecodeError> {
    let mut reader = Reader::named("ReadyForQuery", body);
    let at = reader.clone();
    let byte = reader.u8()?;
    reader.finish()?;
    TransactionStatus::from_byte(byte).ok_or_else(|| at.bad("transaction status", i64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancel_key_may_be_4_to_256_bytes_and_is_not_shown() {
        for length in [4_usize, 32, 256] {
            let mut body = 77_i32.to_be_bytes().to_vec();
            body.extend(std::iter::repeat_n(0xab, length));
            let key = BackendKeyData::decode(&body).unwrap();
            assert_eq!((key.process_id, key.secret_key.len()), (77, length));
            assert_eq!(format!("{key:?}"), "BackendKeyData(77)");
        }
        for length in [0_usize, 3, 257] {
            let body = vec![0; 4 + length];
            assert!(BackendKeyData::decode(&body).is_err(), "{length}");
        }
    }

    #[test]
    fn ready_for_query_knows_three_states() {
        assert_eq!(ready_for_query(b"I"), Ok(TransactionStatus::Idle));
        assert_eq!(ready_for_query(b"T"), Ok(TransactionStatus::InTransaction));
        assert_eq!(ready_for_query(b"E"), Ok(TransactionStatus::Failed));
        for body in [b"".as_slice(), b"X", b"II"] {
            assert!(ready_for_query(body).is_err());
        }
    }

    #[test]
    fn negotiation_claiming_four_billion_options_fails_at_the_first() {
        let error = NegotiateProtocolVersion::decode(b"\0\0\0\0\xff\xff\xff\xff").unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::MissingTerminator);
        let message = NegotiateProtocolVersion::decode(b"\0\x03\0\0\0\0\0\x01_pq_.x\0").unwrap();
        assert_eq!(message.version, 196_608);
        assert_eq!(message.unsupported_options, [b"_pq_.x"]);
    }

    #[test]
    fn parameter_description_lists_types() {
        let message = ParameterDescription::decode(b"\0\x02\0\0\0\x17\0\0\0\x19").unwrap();
        assert_eq!(message.iter().collect::<Vec<_>>(), [Oid(23), Oid(25)]);
        assert!(ParameterDescription::decode(b"\0\x02\0\0\0\x17").is_err());
        assert!(ParameterDescription::decode(b"\0\0\0").is_err());
    }

    #[test]
    fn strings_need_their_zero_and_nothing_behind() {
        assert_eq!(
            ParameterStatus::decode(b"TimeZone\0UTC\0"),
            Ok(ParameterStatus { name: b"TimeZone", value: b"UTC" })
        );
        assert!(ParameterStatus::decode(b"TimeZone\0UTC").is_err());
        assert!(ParameterStatus::decode(b"TimeZone\0UTC\0x").is_err());
        assert_eq!(
            Notification::decode(b"\0\0\0\x07ch\0p\0"),
            Ok(Notification { process_id: 7, channel: b"ch", payload: b"p" })
        );
        assert!(Notification::decode(b"\0\0\0\x07ch\0").is_err());
    }
}
