//! What travels in CopyData while a replication stream runs.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>, START_REPLICATION.

use bytes::{BufMut, BytesMut};

use crate::backend::tag::COPY_DATA;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::lsn::Lsn;
use crate::read::Reader;
use crate::time::PgTimestamp;

/// First bytes of the messages inside CopyData.
pub mod tag {
    /// XLogData, from the server.
    pub const XLOG_DATA: u8 = b'w';
    /// Primary keepalive, from the server.
    pub const KEEPALIVE: u8 = b'k';
    /// Standby status update, to the server.
    pub const STATUS_UPDATE: u8 = b'r';
}

/// A message of the server inside a replication stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationMessage<'a> {
    /// One message of the output plugin.
    XLogData(XLogData<'a>),
    /// A sign of life.
    Keepalive(Keepalive),
}

impl<'a> ReplicationMessage<'a> {
    /// Decodes the payload of one CopyData message.
    ///
    /// # Errors
    /// `UnexpectedMessage` for another first byte, `UnexpectedEnd`, `TrailingBytes`, `BadValue`
    /// when a flag is neither 0 nor 1.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("replication message", payload);
        match reader.u8()? {
            tag::XLOG_DATA => XLogData::read(reader).map(Self::XLogData),
            tag::KEEPALIVE => Keepalive::read(reader).map(Self::Keepalive),
            other => Err(DecodeError::new(
                DecodeErrorKind::UnexpectedMessage {
                    expected: "XLogData or keepalive",
                    tag: other,
                },
                "replication message",
                0,
            )),
        }
    }
}

/// One message of the output plugin with its place in the log.
///
/// Layout: `'w', Int64 start, Int64 end of the log, Int64 clock, bytes`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct XLogData<'a> {
    /// Where the message belongs; [`Lsn::INVALID`] for all but the last one of a callback (a
    /// relation in front of its row has none). With a commit it is the end of the commit record.
    pub wal_start: Lsn,
    /// As `wal_start` in logical replication.
    pub wal_end: Lsn,
    /// The server's clock.
    pub sent_at: PgTimestamp,
    /// What the plugin wrote.
    pub data: &'a [u8],
}

impl<'a> XLogData<'a> {
    /// Bytes before the plugin's.
    pub const HEADER_BYTES: usize = 25;

    /// Reads everything after the tag.
    fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            wal_start: Lsn(reader.u64()?),
            wal_end: Lsn(reader.u64()?),
            sent_at: PgTimestamp(reader.i64()?),
            data: reader.rest(),
        })
    }
}

impl std::fmt::Debug for XLogData<'_> {
    /// Sizes only: rows belong to the user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "XLogData({}, {} bytes)", self.wal_start, self.data.len())
    }
}

/// A sign of life, with the position up to which everything has been sent.
///
/// Layout: `'k', Int64 end of the log, Int64 clock, Byte1 whether an answer is wanted now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Everything before this position has been decoded and sent, as far as it concerns the stream.
    pub wal_end: Lsn,
    /// The server's clock.
    pub sent_at: PgTimestamp,
    /// Whether the server waits for an answer; without one it ends the stream.
    pub reply: ReplyWish,
}

impl Keepalive {
    /// Reads everything after the tag.
    fn read(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let wal_end = Lsn(reader.u64()?);
        let sent_at = PgTimestamp(reader.i64()?);
        let at = reader.clone();
        let reply = match reader.u8()? {
            0 => ReplyWish::WhenConvenient,
            1 => ReplyWish::Now,
            other => return Err(at.bad("reply requested", i64::from(other))),
        };
        reader.finish()?;
        Ok(Self { wal_end, sent_at, reply })
    }
}

/// Whether an answer is wanted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyWish {
    /// No.
    WhenConvenient,
    /// Yes.
    Now,
}

/// What we tell the server about our progress.
///
/// Layout: `'r', Int64 written, Int64 flushed, Int64 applied, Int64 clock, Byte1 whether an answer
/// is wanted`. Each position is the one after the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandbyStatusUpdate {
    /// Received.
    pub written: Lsn,
    /// Durable on our side: the server forgets what is before it.
    pub flushed: Lsn,
    /// Applied, for the server's views only.
    pub applied: Lsn,
    /// Our clock.
    pub sent_at: PgTimestamp,
    /// Whether we want a keepalive at once.
    pub reply: ReplyWish,
}

impl StandbyStatusUpdate {
    /// Length of the payload, in bytes.
    pub const PAYLOAD_BYTES: u32 = 34;

    /// Appends the whole CopyData message.
    pub fn encode(&self, buf: &mut BytesMut) {
        buf.put_u8(COPY_DATA);
        buf.put_u32(Self::PAYLOAD_BYTES.saturating_add(4));
        buf.put_u8(tag::STATUS_UPDATE);
        buf.put_u64(self.written.0);
        buf.put_u64(self.flushed.0);
        buf.put_u64(self.applied.0);
        buf.put_i64(self.sent_at.0);
        buf.put_u8(match self.reply {
            ReplyWish::WhenConvenient => 0,
            ReplyWish::Now => 1,
        });
    }

    /// Decodes the payload of a CopyData message, as a server would.
    ///
    /// # Errors
    /// `UnexpectedMessage` for another first byte, `UnexpectedEnd`, `TrailingBytes`, `BadValue`.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::named("standby status update", payload);
        let at = reader.clone();
        let first = reader.u8()?;
        if first != tag::STATUS_UPDATE {
            let expected = "standby status update";
            return Err(at.error(DecodeErrorKind::UnexpectedMessage { expected, tag: first }));
        }
        let written = Lsn(reader.u64()?);
        let flushed = Lsn(reader.u64()?);
        let applied = Lsn(reader.u64()?);
        let sent_at = PgTimestamp(reader.i64()?);
        let at = reader.clone();
        let reply = match reader.u8()? {
            0 => ReplyWish::WhenConvenient,
            1 => ReplyWish::Now,
            other => return Err(at.bad("reply requested", i64::from(other))),
        };
        reader.finish()?;
        Ok(Self { written, flushed, applied, sent_at, reply })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::next_frame;
    use crate::limits::Limits;
    use proptest::prelude::*;

    const XLOG: &[u8] =
        b"w\0\0\0\x16\xb3\x74\xd8\x48\0\0\0\x16\xb3\x74\xd8\x50\0\0\0\0\0\0\0\x05rest";
    const ALIVE: &[u8] = b"k\0\0\0\0\0\0\x01\0\xff\xff\xff\xff\xff\xff\xff\xff\x01";

    #[test]
    fn plugin_data_comes_with_its_positions() {
        assert_eq!(
            ReplicationMessage::decode(XLOG),
            Ok(ReplicationMessage::XLogData(XLogData {
                wal_start: Lsn(0x16_B374_D848),
                wal_end: Lsn(0x16_B374_D850),
                sent_at: PgTimestamp(5),
                data: b"rest",
            }))
        );
        assert_eq!(XLOG.len(), XLogData::HEADER_BYTES + 4);
    }

    #[test]
    fn keepalive_tells_whether_an_answer_is_wanted() {
        let alive = |wish| Keepalive { wal_end: Lsn(256), sent_at: PgTimestamp(-1), reply: wish };
        assert_eq!(
            ReplicationMessage::decode(ALIVE),
            Ok(ReplicationMessage::Keepalive(alive(ReplyWish::Now)))
        );
        let mut later = ALIVE.to_vec();
        *later.last_mut().unwrap() = 0;
        assert_eq!(
            ReplicationMessage::decode(&later),
            Ok(ReplicationMessage::Keepalive(alive(ReplyWish::WhenConvenient)))
        );
    }

    #[test]
    fn rows_do_not_appear_in_debug_output() {
        let text = format!("{:?}", ReplicationMessage::decode(XLOG).unwrap());
        assert_eq!(text, "XLogData(XLogData(16/B374D848, 4 bytes))");
    }

    #[test]
    fn everything_truncated_or_unknown_is_refused() {
        for length in 0..XLogData::HEADER_BYTES {
            assert!(ReplicationMessage::decode(&XLOG[..length]).is_err(), "{length}");
        }
        for length in 0..ALIVE.len() {
            assert!(ReplicationMessage::decode(&ALIVE[..length]).is_err(), "{length}");
        }
        let longer = [ALIVE, b"x"].concat();
        let kind = ReplicationMessage::decode(&longer).unwrap_err().kind;
        assert_eq!(kind, DecodeErrorKind::TrailingBytes { count: 1 });
        let mut bad = ALIVE.to_vec();
        *bad.last_mut().unwrap() = 2;
        let kind = ReplicationMessage::decode(&bad).unwrap_err().kind;
        assert_eq!(kind, DecodeErrorKind::BadValue { field: "reply requested", found: 2 });
        let error = ReplicationMessage::decode(b"r").unwrap_err();
        assert!(error.to_string().contains("XLogData or keepalive"), "{error}");
    }

    #[test]
    fn status_update_has_the_documented_layout() {
        let mut buf = BytesMut::new();
        StandbyStatusUpdate {
            written: Lsn(3),
            flushed: Lsn(2),
            applied: Lsn(1),
            sent_at: PgTimestamp(4),
            reply: ReplyWish::Now,
        }
        .encode(&mut buf);
        assert_eq!(
            buf.as_ref(),
            b"d\0\0\0\x26r\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x04\x01"
        );
    }

    proptest! {
        #[test]
        fn status_update_round_trips(written: u64, flushed: u64, applied: u64, at: i64, now: bool) {
            let update = StandbyStatusUpdate {
                written: Lsn(written),
                flushed: Lsn(flushed),
                applied: Lsn(applied),
                sent_at: PgTimestamp(at),
                reply: if now { ReplyWish::Now } else { ReplyWish::WhenConvenient },
            };
            let mut buf = BytesMut::new();
            update.encode(&mut buf);
            let frame = next_frame(&buf, Limits::Session).unwrap().unwrap();
            prop_assert_eq!(frame.total_length, buf.len());
            prop_assert_eq!(StandbyStatusUpdate::decode(frame.body), Ok(update));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            if let Ok(ReplicationMessage::XLogData(data)) = ReplicationMessage::decode(&bytes) {
                let header = bytes.len().checked_sub(data.data.len());
                prop_assert_eq!(header, Some(XLogData::HEADER_BYTES));
            }
        }
    }
}
