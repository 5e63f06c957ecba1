//! A streamed transaction that is not complete: what of it waits for the disk, and where its
//! subtransactions begin.

use std::collections::HashMap;

use bytes::Bytes;
use proto::lsn::Lsn;

use super::payload::Payload;
use super::record::{self, FLAG_STREAMED, Kind, RecordHeader};
use super::segment::description_key;

/// Bytes gathered before they are handed to the disk.
const PENDING_BYTES: usize = 64 * 1024;

/// The spool of one streamed transaction.
///
/// Subtransactions: the server sends the changes of a transaction in the order of the log, so what
/// follows the first change of a subtransaction up to its rollback belongs to it or to its own
/// subtransactions. Rolling back is cutting the file at that first change.
#[derive(Debug, Default)]
pub(super) struct OpenSpool {
    /// Records not yet handed over.
    pending: Vec<u8>,
    /// Bytes handed over.
    flushed: u64,
    /// Where each subtransaction's first record begins.
    first: HashMap<u32, u64>,
    /// Descriptions in it, with their places.
    descriptions: Vec<(u64, Vec<u8>)>,
}

impl OpenSpool {
    /// Adds a message; returns the bytes it takes, and its payload where that is kept instead of copied:
    /// then it belongs behind everything that is pending.
    pub(super) fn put(
        &mut self,
        subxid: u32,
        lsn: Lsn,
        payload: Payload<'_>,
    ) -> (usize, Option<Bytes>) {
        let message = payload.bytes;
        let place = self.length();
        self.first.entry(subxid).or_insert(place);
        let is_description = matches!(message.first(), Some(b'R' | b'Y'))
            && description_key(message, FLAG_STREAMED).is_some();
        let kind = if is_description { Kind::Description } else { Kind::Change };
        let header = RecordHeader { kind, flags: FLAG_STREAMED, xid: subxid, lsn };
        if is_description {
            self.descriptions.push((place, message.to_vec()));
        }
        let kept = payload.kept();
        match kept {
            Some(_) => self.pending.extend_from_slice(&record::encode_header(header, message)),
            None => record::encode(header, message, &mut self.pending),
        }
        (record::HEADER_BYTES + message.len(), kept)
    }

    /// Notes bytes that were handed over without being pending.
    pub(super) fn passed_by(&mut self, bytes: usize) {
        self.flushed += bytes as u64;
    }

    /// Whether what was gathered should be handed over.
    pub(super) fn should_flush(&self) -> bool {
        self.pending.len() >= PENDING_BYTES
    }

    /// Takes what was gathered, `None` when there is nothing.
    pub(super) fn take_pending(&mut self) -> Option<Vec<u8>> {
        if self.pending.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.pending);
        self.flushed += bytes.len() as u64;
        Some(bytes)
    }

    /// Forgets a subtransaction. Returns the length to cut the file to when part of it was handed over
    /// already.
    pub(super) fn roll_back(&mut self, subxid: u32) -> Option<u64> {
        let length = *self.first.get(&subxid)?;
        self.first.retain(|_, place| *place < length);
        self.descriptions.retain(|(place, _)| *place < length);
        match length.checked_sub(self.flushed) {
            Some(keep) => {
                self.pending.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
                None
            }
            None => {
                self.pending.clear();
                self.flushed = length;
                Some(length)
            }
        }
    }

    /// The descriptions in it.
    pub(super) fn into_descriptions(self) -> Vec<Vec<u8>> {
        self.descriptions.into_iter().map(|(_, message)| message).collect()
    }

    /// Bytes put so far.
    fn length(&self) -> u64 {
        self.flushed + self.pending.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spool as the disk would hold it.
    fn content(spool: &mut OpenSpool, file: &mut Vec<u8>) -> Vec<(u32, Vec<u8>)> {
        file.extend(spool.take_pending().unwrap_or_default());
        let (mut at, mut seen) = (0, Vec::new());
        while let record::Decoded::Record(record) = record::decode(&file[at..]) {
            seen.push((record.header.xid, record.payload.to_vec()));
            at += record.length();
        }
        assert_eq!(at, file.len());
        seen
    }

    // trap C-12
    #[test]
    fn rolling_back_a_subtransaction_removes_it_and_its_own_ones_on_disk_and_in_memory() {
        for flush_after in 0..6 {
            let mut spool = OpenSpool::default();
            let mut file = Vec::new();
            for (index, (subxid, text)) in
                [(1, "a"), (2, "b"), (3, "c"), (2, "d"), (3, "e")].into_iter().enumerate()
            {
                if index == flush_after {
                    file.extend(spool.take_pending().unwrap_or_default());
                }
                spool.put(subxid, Lsn(1), text.as_bytes().into());
            }
            if let Some(length) = spool.roll_back(2) {
                file.truncate(usize::try_from(length).unwrap());
            }
            assert_eq!(spool.roll_back(3), None, "rolled back with its parent");
            spool.put(1, Lsn(2), b"f".as_slice().into());
            let expected = vec![(1, b"a".to_vec()), (1, b"f".to_vec())];
            assert_eq!(content(&mut spool, &mut file), expected, "{flush_after}");
        }
    }

    #[test]
    fn descriptions_of_what_was_rolled_back_are_forgotten() {
        let mut spool = OpenSpool::default();
        let relation = |oid: u8| [b"R\0\0\0\x01\0\0\0".as_slice(), &[oid], b"rest"].concat();
        spool.put(1, Lsn(1), relation(1).as_slice().into());
        spool.put(2, Lsn(1), relation(2).as_slice().into());
        spool.roll_back(2);
        assert_eq!(spool.into_descriptions(), [relation(1)]);
    }
}
