//! Large objects: identifiers kept (trap V-4), contents, owners, privileges and comments copied.
//!
//! `pg_dump` 17 and later leave large objects out of the schema sections altogether; before, the
//! pre-data section creates them empty, with owner, privileges and comment. Both start points end
//! alike, because what differs is compared and set:
//!
//! ```text
//! ranges      the source's identifiers in ranges of 1000, every n-th to this worker
//!   │ per range
//!   ├─ describe   owner, privileges, comment, size           one round trip on the source
//!   ├─ prepare    create the missing, empty the others       one round trip on the target
//!   ├─ contents   read 4 MiB ahead of what is written        one round trip each per 4 MiB
//!   └─ finish     owner, privileges, comment; ledger mark    one transaction on the target
//! ```
//!
//! Contents travel as arrays: one `lo_get` or `lo_put` per chunk, but one statement for thousands of
//! chunks, with binary parameters. Memory is bounded by [`BATCH_BYTES_MAX`] times a small number,
//! whatever the size of an object.
//!
//! A range without a mark is done again: its objects are emptied first, so what an interrupted run
//! left behind cannot shine through. Only the mark's transaction is atomic with anything.
//!
//! Not copied: security labels, and objects that our role may not read; the latter are reported.

mod acl;
mod array;
mod source;
mod target;

use std::time::{Duration, Instant};

use crate::base::counters::JobCounters;
use crate::base::error::{Error, Result, Side};
use crate::base::summary::{Finding, Severity};
use crate::catalog::model::Oid;
use crate::connect::client::Session;

use source::{Chunk, Description};

/// How many objects one range holds at most, and so one transaction on the target.
///
/// ALTER LARGE OBJECT and COMMENT take a lock per object; the default lock table holds 6400 in all.
const OBJECTS_PER_RANGE: u32 = 1000;

/// Content bytes read or written in one round trip, give or take one chunk.
///
/// A worker holds about four times as much: one batch being read, one being written, each once more
/// in a socket buffer. 4 MiB per round trip keep a gigabit line of 30 ms full with four workers.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// Bytes read by one `lo_get`, in bytes: 512 pages of a large object.
const CHUNK_BYTES_MAX: u64 = 1 << 20;

/// Most chunks in one round trip, for databases with many tiny objects.
const BATCH_CHUNKS_MAX: usize = 4096;

/// Sample identifiers named in a finding.
const SAMPLES_MAX: usize = 5;

/// A worker's share of the large objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeObjectShare {
    /// Which share, from 0.
    pub index: u32,
    /// How many shares there are, at least 1.
    pub count: u32,
    /// What to copy beside the contents.
    pub metadata: Metadata,
}

/// What to copy beside the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Owners; off with `--no-owner`.
    pub owner: bool,
    /// Privileges; off with `--no-acl`.
    pub acl: bool,
    /// Comments; off with `--no-comments`.
    pub comment: bool,
}

/// Consecutive large objects of the source, bounds included. The unit of resuming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OidRange {
    /// Lowest identifier.
    pub first: Oid,
    /// Highest identifier.
    pub last: Oid,
}

/// What the caller's ledger knows and wants to know.
pub struct Bookkeeping<'a> {
    /// Whether an earlier run has copied the range.
    pub is_done: &'a (dyn Fn(OidRange) -> bool + Sync),
    /// SQL that records the range as copied, run in the transaction that completes it.
    pub mark: &'a (dyn Fn(OidRange) -> Option<String> + Sync),
}

/// What a worker did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LargeObjectReport {
    /// Objects copied.
    pub objects: u64,
    /// Content bytes copied.
    pub bytes: u64,
    /// Objects in ranges that an earlier run had copied are not counted; these ranges are.
    pub ranges_already_done: u64,
    /// What could not be copied.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub duration: Duration,
}

/// Copies one worker's share of the large objects.
///
/// The source session is inside a transaction that holds the run's snapshot; every worker sees the
/// same ranges under it. The target session is outside any transaction. `counters` gets bytes, and
/// objects as rows.
///
/// # Errors
/// What either server reports, or a large object that is shorter than the snapshot said. Not cancel
/// safe.
pub async fn copy(
    source: &mut Session,
    target: &mut Session,
    share: &LargeObjectShare,
    books: &Bookkeeping<'_>,
    counters: &JobCounters,
) -> Result<LargeObjectReport> {
    let started = Instant::now();
    let mut report = LargeObjectReport::default();
    let mut unreadable: Vec<Oid> = Vec::new();
    let ranges = source::ranges(source, OBJECTS_PER_RANGE).await?;
    for range in shared(&ranges, *share) {
        if (books.is_done)(range) {
            report.ranges_already_done += 1;
            continue;
        }
        let (readable, hidden): (Vec<_>, Vec<_>) =
            source::describe(source, range).await?.into_iter().partition(|o| o.size.is_some());
        // A range with a hidden object is never marked: a later run, with more rights, does it again.
        let mark = if hidden.is_empty() { (books.mark)(range) } else { None };
        unreadable.extend(hidden.iter().map(|object| object.oid));
        let found = target::prepare(target, &readable).await?;
        copy_contents(source, target, &readable, counters).await?;
        let mut statements = target::differences(&readable, &found, share.metadata)?;
        statements.extend(mark);
        target::finish(target, &statements).await?;
        report.objects += len_u64(readable.len());
        report.bytes += readable.iter().filter_map(|object| object.size).sum::<u64>();
    }
    report.findings.extend(not_readable(&unreadable));
    report.duration = started.elapsed();
    tracing::debug!(objects = report.objects, bytes = report.bytes, "copied large objects");
    Ok(report)
}

/// The ranges of one worker.
fn shared(ranges: &[OidRange], share: LargeObjectShare) -> impl Iterator<Item = OidRange> {
    let count = usize::try_from(share.count.max(1)).unwrap_or(usize::MAX);
    let index = usize::try_from(share.index).unwrap_or(usize::MAX);
    ranges.iter().copied().skip(index).step_by(count)
}

/// Copies the contents of the objects, reading the next batch while the last one is written.
async fn copy_contents(
    source: &mut Session,
    target: &mut Session,
    objects: &[Description],
    counters: &JobCounters,
) -> Result<()> {
    let mut batches = Batches::new(objects);
    let mut next = batches.next();
    let mut written: Option<(Vec<Chunk>, Vec<Vec<u8>>)> = None;
    // Objects without content are in no batch.
    counters.add(0, len_u64(objects.iter().filter(|object| object.size == Some(0)).count()));
    while next.is_some() || written.is_some() {
        let read = async {
            match &next {
                Some(chunks) => source::read(source, chunks).await.map(Some),
                None => Ok(None),
            }
        };
        let write = async {
            match &written {
                Some((chunks, contents)) => target::write(target, chunks, contents).await,
                None => Ok(()),
            }
        };
        let (contents, ()) = tokio::try_join!(read, write)?;
        if let Some((chunks, _)) = &written {
            let bytes = chunks.iter().map(|chunk| chunk.length).sum();
            counters.add(bytes, len_u64(chunks.iter().filter(|chunk| chunk.last).count()));
        }
        written = next.zip(contents);
        next = batches.next();
    }
    Ok(())
}

/// Cuts the contents of objects into batches of one round trip each.
struct Batches<'a> {
    objects: std::slice::Iter<'a, Description>,
    /// The object being cut, and how far.
    current: Option<(Oid, u64, u64)>,
}

impl<'a> Batches<'a> {
    /// Starts at the first object. Those of unknown size have no contents here.
    fn new(objects: &'a [Description]) -> Self {
        Self { objects: objects.iter(), current: None }
    }

    /// The next chunk, up to [`CHUNK_BYTES_MAX`].
    fn chunk(&mut self) -> Option<Chunk> {
        loop {
            let Some((oid, offset, size)) = self.current else {
                let object = self.objects.next()?;
                self.current = Some((object.oid, 0, object.size.unwrap_or(0)));
                continue;
            };
            if offset >= size {
                self.current = None;
                continue;
            }
            let length = (size - offset).min(CHUNK_BYTES_MAX);
            self.current = Some((oid, offset + length, size));
            return Some(Chunk { oid, offset, length, last: offset + length == size });
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Vec<Chunk>;

    fn next(&mut self) -> Option<Vec<Chunk>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX && batch.len() < BATCH_CHUNKS_MAX {
            let Some(chunk) = self.chunk() else { break };
            bytes += chunk.length;
            batch.push(chunk);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

/// The finding for objects that our role may not read.
fn not_readable(oids: &[Oid]) -> Option<Finding> {
    let first = oids.first()?;
    let samples: Vec<String> = oids.iter().take(SAMPLES_MAX).map(Oid::to_string).collect();
    let dots = if oids.len() > SAMPLES_MAX { ", …" } else { "" };
    Some(Finding {
        severity: Severity::Error,
        object: "large objects".to_owned(),
        reason: format!(
            "{} not copied, our role may not read them on the source: {}{dots}",
            oids.len(),
            samples.join(", ")
        ),
        hint: Some(format!(
            "Run as a superuser or owner, or `GRANT SELECT ON LARGE OBJECT {first}` and the others \
             to our role on the source; then run the same command again."
        )),
    })
}

/// A length as a count.
fn len_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// An offset or length as the server's signed type.
fn signed(value: u64) -> Result<i64> {
    i64::try_from(value)
        .map_err(|_| Error::data(Side::Source, format!("a large object is {value} bytes long")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(oid: Oid, size: u64) -> Description {
        Description { oid, size: Some(size), ..Description::default() }
    }

    #[test]
    fn batches_cover_every_byte_once_and_in_order() {
        let sizes = [0, 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 9 * CHUNK_BYTES_MAX - 1, 0, 3];
        let objects: Vec<Description> =
            (1..).zip(sizes).map(|(oid, size)| object(oid, size)).collect();
        let mut reached = [0_u64; 8];
        for batch in Batches::new(&objects) {
            let bytes: u64 = batch.iter().map(|chunk| chunk.length).sum();
            assert!(bytes < BATCH_BYTES_MAX + CHUNK_BYTES_MAX, "{bytes}");
            for chunk in batch {
                assert!(chunk.length > 0 && chunk.length <= CHUNK_BYTES_MAX);
                let position = &mut reached[chunk.oid as usize];
                assert_eq!(chunk.offset, *position, "object {}", chunk.oid);
                *position += chunk.length;
                assert_eq!(chunk.last, *position == sizes[chunk.oid as usize - 1]);
            }
        }
        assert_eq!(reached[1..], sizes);
    }

    #[test]
    fn many_tiny_objects_are_cut_by_number() {
        let objects: Vec<Description> = (1..=10_000).map(|oid| object(oid, 1)).collect();
        let lengths: Vec<usize> = Batches::new(&objects).map(|batch| batch.len()).collect();
        assert_eq!(lengths, [4096, 4096, 1808]);
    }

    #[test]
    fn shares_are_disjoint_and_complete() {
        let ranges: Vec<OidRange> =
            (0..10).map(|n| OidRange { first: n * 10, last: n * 10 + 9 }).collect();
        let metadata = Metadata { owner: true, acl: true, comment: true };
        for count in 1..=12 {
            let mut all: Vec<OidRange> = (0..count)
                .flat_map(|index| shared(&ranges, LargeObjectShare { index, count, metadata }))
                .collect();
            all.sort_by_key(|range| range.first);
            assert_eq!(all, ranges, "{count} shares");
        }
    }

    #[test]
    fn a_finding_names_five_objects_and_counts_all() {
        assert!(not_readable(&[]).is_none());
        let finding = not_readable(&[1, 2, 3, 4, 5, 6, 7]).unwrap();
        assert!(finding.reason.starts_with("7 not copied"), "{}", finding.reason);
        assert!(finding.reason.ends_with("1, 2, 3, 4, 5, …"), "{}", finding.reason);
        assert_eq!(finding.severity, Severity::Error);
    }
}
