//! Segment and spool files: names, first record, and a walk over their records.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use proto::lsn::Lsn;
use proto::read::Reader;

use super::record::{self, Decoded, FLAG_STREAMED, HEADER_BYTES, Kind, Record, RecordHeader};
use crate::base::error::{Error, Result};
use crate::config::Plugin;

/// Version of the file format, in every header.
const FORMAT: u32 = 1;

/// Bytes read at once.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// Where the messages of a segment come from and how they are to be decoded. Everything but the
/// protocol's settings must be the same in all segments of a store.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StreamIdentity {
    /// Output plugin.
    pub plugin: Plugin,
    /// pgoutput's `proto_version`; 0 for the others.
    pub protocol_version: u8,
    /// `system_identifier` of the source.
    pub system_identifier: u64,
    /// Timeline of the source when the segment was begun.
    pub timeline: u32,
    /// Database.
    pub database: String,
    /// Replication slot.
    pub slot: String,
}

/// What a header record holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct HeaderPayload {
    format: u32,
    #[serde(flatten)]
    identity: StreamIdentity,
}

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Where its messages come from.
    pub identity: StreamIdentity,
    /// Everything that ends at or before this position is in earlier segments, or was never wanted.
    pub start: Lsn,
}

impl SegmentHeader {
    /// Appends the header record.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let payload = HeaderPayload { format: FORMAT, identity: self.identity.clone() };
        let payload = serde_json::to_vec(&payload)
            .map_err(|error| Error::internal(format!("segment header: {error}")))?;
        let header = RecordHeader { kind: Kind::Header, flags: 0, xid: 0, lsn: self.start };
        record::encode(header, &payload, out);
        Ok(())
    }

    /// Decodes the header record. `None` when it is none, or of a format that is not known.
    pub(super) fn decode(record: &Record<'_>) -> Option<Self> {
        if record.header.kind != Kind::Header {
            return None;
        }
        let payload: HeaderPayload = serde_json::from_slice(record.payload).ok()?;
        (payload.format == FORMAT)
            .then_some(Self { identity: payload.identity, start: record.header.lsn })
    }

    /// Reads the header of a segment file; `None` when it is cut or no header.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        let mut header = None;
        walk(&file, 0, None, |_, record| {
            header = Self::decode(&record);
            ControlFlow::Break(())
        })
        .map_err(|error| Error::file(path, error).during("read"))?;
        Ok(header)
    }
}

/// Path of a segment. Numbers begin at 1 and have no gaps, but the front may have been pruned.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.segment"))
}

/// Path of the spool of a streamed transaction that is complete.
pub(super) fn spool_path(dir: &Path, end: Lsn, xid: u32) -> PathBuf {
    dir.join(format!("{:016X}-{xid}.spool", end.0))
}

/// Path of the spool of a streamed transaction that is not.
pub(super) fn open_spool_path(dir: &Path, xid: u32) -> PathBuf {
    dir.join(format!("{xid}.open"))
}

/// A file of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileName {
    /// A segment, by number.
    Segment(u64),
    /// The spool of a complete transaction, by the end of its commit record.
    Spool(Lsn),
    /// The spool of an incomplete one.
    OpenSpool,
}

/// A file of the store on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredFile {
    pub(super) name: FileName,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// Reads the kind of file from its name; `None` when it is not ours.
fn parse_name(name: &str) -> Option<FileName> {
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        "segment" if stem.len() == 16 => stem.parse().ok().map(FileName::Segment),
        "spool" => {
            let (lsn, _) = stem.split_once('-')?;
            u64::from_str_radix(lsn, 16).ok().map(|lsn| FileName::Spool(Lsn(lsn)))
        }
        "open" => Some(FileName::OpenSpool),
        _ => None,
    }
}

/// The files of a store, segments first and in order. Files of others are left out.
///
/// # Errors
/// `File` when the directory cannot be read.
pub(super) fn list(dir: &Path) -> Result<Vec<StoredFile>> {
    let failed = |error| Error::file(dir, error).during("list");
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().and_then(parse_name) else { continue };
        // Another process may prune meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        files.push(StoredFile { name, path: entry.path(), bytes: metadata.len() });
    }
    files.sort_by_key(|file| match file.name {
        FileName::Segment(number) => (0, number),
        FileName::Spool(lsn) => (1, lsn.0),
        FileName::OpenSpool => (2, 0),
    });
    Ok(files)
}

/// The numbers of the segments, ascending.
pub(super) fn segment_numbers(dir: &Path) -> Result<Vec<u64>> {
    let number = |file: &StoredFile| match file.name {
        FileName::Segment(number) => Some(number),
        _ => None,
    };
    Ok(list(dir)?.iter().filter_map(number).collect())
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::file(path, error).during("open"))
}

/// Where a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WalkEnd {
    /// First byte that was not visited as part of a record.
    pub(super) offset: u64,
    /// Whether bytes that are no record follow it (not just the end of the file, or of the range).
    pub(super) broken: bool,
}

/// Visits the records of a file from `from` to `to` (or its end) in order, until the first bytes that
/// are none or until told to stop. Memory: one block, or one record when that is larger.
pub(super) fn walk(
    file: &File,
    from: u64,
    to: Option<u64>,
    mut visit: impl FnMut(u64, Record<'_>) -> ControlFlow<()>,
) -> std::io::Result<WalkEnd> {
    let mut buffer: Vec<u8> = Vec::new();
    // Offset of the buffer's first byte in the file, and of the first unread byte in the buffer.
    let (mut base, mut at) = (from, 0);
    loop {
        let rest = buffer.get(at..).unwrap_or_default();
        let needed = match record::decode(rest) {
            Decoded::Record(record) => {
                let offset = base + at as u64;
                if visit(offset, record).is_break() {
                    return Ok(WalkEnd { offset, broken: false });
                }
                at += record.length();
                continue;
            }
            Decoded::Broken => return Ok(WalkEnd { offset: base + at as u64, broken: true }),
            Decoded::Incomplete { needed } => needed,
        };
        buffer.drain(..at);
        base += at as u64;
        at = 0;
        let have = buffer.len();
        let place = base + have as u64;
        let end = to.unwrap_or(u64::MAX).min(file.metadata()?.len());
        buffer.resize(have + bytes_to_read(needed, have, end.saturating_sub(place)), 0);
        let count = read_fully(file, &mut buffer[have..], base + have as u64)?;
        buffer.truncate(have + count);
        if count == 0 {
            return Ok(WalkEnd { offset: base, broken: have > 0 });
        }
    }
}

/// How many bytes to read next, when a record of `needed` bytes has begun with `have` and so many are
/// left in the file: a length that a broken record claims never makes us ask for more memory.
pub(super) fn bytes_to_read(needed: usize, have: usize, left: u64) -> usize {
    let wanted = needed.saturating_sub(have).max(BLOCK_BYTES);
    usize::try_from(left).map_or(wanted, |left| wanted.min(left))
}

/// Reads until the buffer is full or the file ends; returns how much.
pub(super) fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// What a description describes: the message's tag and the object's identifier.
pub(super) type DescriptionKey = (u8, u32);

/// Reads what a description message of pgoutput describes; the only plugin that has them.
///
/// Layout: `tag, [Int32 xid,] Int32 oid, …`; `R` a relation, `Y` a type.
pub(super) fn description_key(payload: &[u8], flags: u8) -> Option<DescriptionKey> {
    let mut reader = Reader::named("description", payload);
    let tag = reader.u8().ok()?;
    if flags & FLAG_STREAMED != 0 {
        reader.u32().ok()?;
    }
    Some((tag, reader.u32().ok()?))
}

/// Where to begin to read in a segment so that everything after `after` comes, and nothing before.
///
/// Headers are hopped over without looking at checksums: about 10 ns per record.
pub(super) fn find_after(file: &File, after: Lsn, to: u64) -> std::io::Result<u64> {
    let (mut offset, mut start) = (0, 0);
    let mut block = vec![0; BLOCK_BYTES];
    while offset < to {
        let count = read_fully(file, &mut block, offset)?;
        let block = block.get(..count).unwrap_or_default();
        let mut at = 0;
        while let Some((header, length)) = block.get(at..).and_then(record::peek) {
            at += length;
            if header.kind.is_boundary() {
                if header.lsn > after {
                    return Ok(start);
                }
                start = offset + at as u64;
            }
            if at + HEADER_BYTES > block.len() {
                break;
            }
        }
        if at == 0 {
            break;
        }
        offset += at as u64;
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn identity() -> StreamIdentity {
        StreamIdentity {
            plugin: Plugin::Pgoutput,
            protocol_version: 4,
            system_identifier: u64::MAX,
            timeline: 3,
            database: "d\"b".into(),
            slot: "pgcopydb".into(),
        }
    }

    fn put(kind: Kind, lsn: u64, payload: &[u8], out: &mut Vec<u8>) {
        record::encode(RecordHeader { kind, flags: 0, xid: 7, lsn: Lsn(lsn) }, payload, out);
    }

    #[test]
    fn headers_round_trip() {
        let header = SegmentHeader { identity: identity(), start: Lsn(77) };
        let mut bytes = Vec::new();
        header.encode(&mut bytes).unwrap();
        let Decoded::Record(record) = record::decode(&bytes) else { panic!("no record") };
        assert_eq!(SegmentHeader::decode(&record), Some(header));
    }

    #[test]
    fn names_are_told_apart() {
        let dir = Path::new("/x");
        let name = |path: PathBuf| parse_name(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(name(segment_path(dir, 12)), Some(FileName::Segment(12)));
        assert_eq!(name(spool_path(dir, Lsn(0xAB), 9)), Some(FileName::Spool(Lsn(0xAB))));
        assert_eq!(name(open_spool_path(dir, 9)), Some(FileName::OpenSpool));
        assert_eq!(parse_name("notes.txt"), None);
    }

    #[test]
    fn a_walk_crosses_blocks_and_stops_at_the_first_bytes_that_are_no_record() {
        let mut bytes = Vec::new();
        let large = vec![b'x'; BLOCK_BYTES * 2];
        for (lsn, payload) in [(1, &b"a"[..]), (2, &large), (3, b""), (4, &large)] {
            put(Kind::Change, lsn, payload, &mut bytes);
        }
        let whole = bytes.len() as u64;
        for (tail, broken) in [(&b""[..], false), (b"\0\0\0", true), (&[0xff; 64], true)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.write_all(tail).unwrap();
            let mut seen = Vec::new();
            let end = walk(&file, 0, None, |_, record| {
                seen.push((record.header.lsn.0, record.payload.len()));
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(end, WalkEnd { offset: whole, broken }, "{tail:?}");
            assert_eq!(seen, [(1, 1), (2, large.len()), (3, 0), (4, large.len())]);
        }
    }

    #[test]
    fn a_length_that_a_broken_record_claims_takes_no_memory() {
        let huge = record::PAYLOAD_BYTES_MAX as usize + HEADER_BYTES;
        assert_eq!(bytes_to_read(huge, HEADER_BYTES, 0), 0);
        assert_eq!(bytes_to_read(huge, HEADER_BYTES, 1000), 1000);
        assert_eq!(bytes_to_read(HEADER_BYTES, 3, u64::MAX), BLOCK_BYTES);
        assert_eq!(bytes_to_read(huge, HEADER_BYTES, u64::MAX), huge - HEADER_BYTES);
    }

    #[test]
    fn reading_begins_behind_the_last_boundary_that_is_applied() {
        let mut bytes = Vec::new();
        let mut places = vec![0];
        for end in [10, 20, 30] {
            put(Kind::Begin, end - 5, b"B", &mut bytes);
            put(Kind::Change, end - 4, &vec![b'c'; BLOCK_BYTES], &mut bytes);
            put(Kind::Commit, end, b"C", &mut bytes);
            places.push(bytes.len() as u64);
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let to = bytes.len() as u64;
        for (after, place) in [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3), (99, 3)]
        {
            assert_eq!(find_after(&file, Lsn(after), to).unwrap(), places[place], "{after}");
        }
    }
}
