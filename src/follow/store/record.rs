//! Records: the bytes of segment and spool files. Pure.
//!
//! ```text
//! u32 length of the payload │ u32 CRC-32C of all the rest │ u8 kind │ u8 flags │ u32 xid │ u64 lsn │ payload
//! ```
//!
//! Little-endian. The checksum covers the length, everything after itself, and so a record that was
//! cut, shifted or changed is told from a whole one; a run of zeros is no record (kind 0 is none).
//! The payload is the output plugin's message, untouched.

use proto::error::DecodeError;
use proto::lsn::Lsn;
use proto::read::Reader;

use super::crc32c::checksum;

/// Bytes in front of the payload.
pub const HEADER_BYTES: usize = 22;

/// Largest payload, in bytes: what the server can put into one message.
/// Source: [`proto::limits::LARGE_MESSAGE_BYTES_MAX`].
pub const PAYLOAD_BYTES_MAX: u32 = proto::limits::LARGE_MESSAGE_BYTES_MAX;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// First record of a segment: where the messages come from ([`super::StreamIdentity`]), as JSON.
    Header = 1,
    /// A transaction begins; the plugin's message.
    Begin = 2,
    /// A change inside the open transaction.
    Change = 3,
    /// The open transaction is complete; `lsn` is the end of its commit record.
    Commit = 4,
    /// A description of a relation or type that later messages refer to.
    Description = 5,
    /// A description that an earlier segment or a spool holds, said again so that a reader may begin
    /// in this segment.
    Restated = 6,
    /// A streamed transaction is complete; its changes are in the spool file of `lsn` and `xid`.
    StreamCommit = 7,
    /// No transaction is open, nothing at or before `lsn` is still to come.
    Position = 8,
    /// The open transaction is void: the connection broke inside it, the server sends it again.
    Abandon = 9,
    /// Everything that ends at or before `lsn`, an end position, is here.
    EndReached = 10,
}

impl Kind {
    /// The kind of a byte.
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Header,
            2 => Self::Begin,
            3 => Self::Change,
            4 => Self::Commit,
            5 => Self::Description,
            6 => Self::Restated,
            7 => Self::StreamCommit,
            8 => Self::Position,
            9 => Self::Abandon,
            10 => Self::EndReached,
            _ => return None,
        })
    }

    /// Whether it ends a transaction or says that none is open: a durable position.
    pub fn is_boundary(self) -> bool {
        matches!(self, Self::Commit | Self::StreamCommit | Self::Position)
    }
}

/// Flag: the message was sent inside a streamed transaction and holds the xid behind its tag.
pub const FLAG_STREAMED: u8 = 1;

/// Everything of a record but its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What it is.
    pub kind: Kind,
    /// [`FLAG_STREAMED`] or 0.
    pub flags: u8,
    /// Transaction on the source; 0 where it does not matter.
    pub xid: u32,
    /// Position; see the kinds.
    pub lsn: Lsn,
}

/// A record, its payload borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub header: RecordHeader,
    /// The plugin's message.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Bytes of the whole record.
    pub fn length(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

/// Appends a record.
pub fn encode(header: RecordHeader, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(HEADER_BYTES + payload.len());
    out.extend_from_slice(&encode_header(header, payload));
    out.extend_from_slice(payload);
}

/// The bytes in front of a payload.
pub(super) fn encode_header(header: RecordHeader, payload: &[u8]) -> [u8; HEADER_BYTES] {
    // The server's own limit is a quarter of what the word holds; see PAYLOAD_BYTES_MAX.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut rest = [0; HEADER_BYTES - 8];
    rest[0] = header.kind as u8;
    rest[1] = header.flags;
    rest[2..6].copy_from_slice(&header.xid.to_le_bytes());
    rest[6..].copy_from_slice(&header.lsn.0.to_le_bytes());
    let crc = checksum([&length, &rest, payload]);
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(&length);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes[8..].copy_from_slice(&rest);
    bytes
}

/// What the bytes at a place are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole record with a good checksum.
    Record(Record<'a>),
    /// The beginning of a record that has this many bytes in all, as far as can be told.
    Incomplete {
        /// Bytes of the whole record, or of its header when that is cut.
        needed: usize,
    },
    /// No record: the rest of the file cannot be trusted.
    Broken,
}

/// Decodes the record at the front of `bytes`.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let incomplete = |needed| Decoded::Incomplete { needed };
    let Some((word, crc, rest)) = split(bytes) else { return incomplete(HEADER_BYTES) };
    if word > PAYLOAD_BYTES_MAX {
        return Decoded::Broken;
    }
    let needed = HEADER_BYTES + word as usize;
    let Some(body) = rest.get(..needed - 8) else { return incomplete(needed) };
    if checksum([&word.to_le_bytes(), body, b""]) != crc {
        return Decoded::Broken;
    }
    match read(body) {
        Ok(Some(record)) => Decoded::Record(record),
        _ => Decoded::Broken,
    }
}

/// The header at the front of `bytes` and the length of its record, its checksum not looked at: for
/// finding one's way in a file that was checked before. `None` when it is cut or no header.
pub fn peek(bytes: &[u8]) -> Option<(RecordHeader, usize)> {
    let (word, _, rest) = split(bytes)?;
    let record = read(rest.get(..HEADER_BYTES - 8)?).ok()??;
    (word <= PAYLOAD_BYTES_MAX).then_some((record.header, HEADER_BYTES + word as usize))
}

/// Length word, checksum, and what follows.
fn split(bytes: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    (rest.len() >= HEADER_BYTES - 8).then_some((
        u32::from_le_bytes(*word),
        u32::from_le_bytes(*crc),
        rest,
    ))
}

/// Reads what the checksum covers, the length word excepted. `None` for a kind that is not known.
fn read(body: &[u8]) -> Result<Option<Record<'_>>, DecodeError> {
    let mut reader = Reader::named("record", body);
    let kind = Kind::of(reader.u8()?);
    let flags = reader.u8()?;
    // The wire's numbers are big-endian, ours are not.
    let xid = reader.u32()?.swap_bytes();
    let lsn = Lsn(reader.u64()?.swap_bytes());
    let payload = reader.rest();
    Ok(kind.map(|kind| Record { header: RecordHeader { kind, flags, xid, lsn }, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = RecordHeader> {
        (1_u8..=10, 0_u8..=1, any::<u32>(), any::<u64>()).prop_map(|(kind, flags, xid, lsn)| {
            RecordHeader { kind: Kind::of(kind).unwrap(), flags, xid, lsn: Lsn(lsn) }
        })
    }

    proptest! {
        #[test]
        fn records_round_trip(header in header(), payload: Vec<u8>, after: Vec<u8>) {
            let mut bytes = Vec::new();
            encode(header, &payload, &mut bytes);
            let length = bytes.len();
            bytes.extend_from_slice(&after);
            let expected = Record { header, payload: &payload };
            prop_assert_eq!(expected.length(), length);
            prop_assert_eq!(decode(&bytes), Decoded::Record(expected));
            prop_assert_eq!(peek(&bytes), Some((header, length)));
        }

        #[test]
        fn every_cut_is_incomplete_and_every_flipped_bit_is_noticed(
            header in header(), payload: Vec<u8>, place: prop::sample::Index, bit in 0_u8..8,
        ) {
            let mut bytes = Vec::new();
            encode(header, &payload, &mut bytes);
            let cut = place.index(bytes.len());
            let is_incomplete = matches!(decode(&bytes[..cut]), Decoded::Incomplete { .. });
            prop_assert!(is_incomplete, "{} of {}", cut, bytes.len());
            bytes[cut] ^= 1 << bit;
            prop_assert!(!matches!(decode(&bytes), Decoded::Record(_)), "byte {}", cut);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = peek(&bytes);
            if let Decoded::Record(record) = decode(&bytes) {
                prop_assert!(record.length() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_run_of_zeros_is_no_record() {
        assert_eq!(decode(&[0; 64]), Decoded::Broken);
    }
}
