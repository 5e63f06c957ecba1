//! Large objects: identifiers kept (trap V-4), contents, owners, privileges and comments copied.
//!
//! `pg_dump` 17 and later leave large objects out of the schema sections altogether; before, the
//! pre-data section creates them empty, with owner, privileges and comment. Both start points end
//! alike, because what differs is compared and set:
//!
//! ```text
//! windows     the source's identifiers in windows of 1024, every n-th window to this worker,
//!   │         sparse ones joined to batches of about 1000 objects
//!   │ per batch
//!   ├─ describe   owner, privileges, comment, size           one round trip on the source
//!   ├─ prepare    create the missing, empty the others       one round trip on the target
//!   ├─ contents   read one batch ahead of what is written    one round trip each per batch
//!   └─ finish     owner, privileges, comment; ledger mark    one transaction on the target
//! ```
//!
//! Contents travel as arrays: one `lo_get` or `lo_put` per chunk, but one statement for thousands of
//! chunks, with binary parameters. All workers hold [`BATCHES_BYTES`] times a small number, whatever
//! the size of an object, the descriptions of one batch of objects, and eight bytes per window of its
//! share; nothing else grows with the number of objects.
//!
//! A window without a mark is done again: its objects are emptied first, so what an interrupted run
//! left behind cannot shine through. Windows are fixed ranges of numbers, so a mark means the same to
//! a later run that sees other objects or has another number of workers.
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

use source::{Chunk, Contents, Description};

/// Width of a window, as a power of two: the unit of resuming holds at most 1024 objects.
const WINDOW_BITS: u32 = 10;

/// How many objects a batch holds at most, unless its first window holds more.
///
/// ALTER LARGE OBJECT and COMMENT take a lock per object; the default lock table holds 6400 in all.
const OBJECTS_PER_BATCH: u64 = 1000;

/// Content bytes that all workers together read or write per round trip, give or take a chunk each.
///
/// What a gigabit line of 30 ms holds. Memory is about six times as much, however many workers there are:
/// the array being read, the message being written, a chunk as a row and in the source's buffer, and what
/// the allocator has not given back.
const BATCHES_BYTES: u64 = 4 << 20;

/// Fewest content bytes that a worker reads or writes in one round trip: one chunk.
const BATCH_BYTES_MIN: u64 = CHUNK_BYTES_MAX;

/// Bytes read by one `lo_get`: 127 pages of a large object, so that a row with its header fits a
/// session's read buffer of 256 KiB, and no write begins inside a page.
const CHUNK_BYTES_MAX: u64 = 127 * 2048;

/// Most chunks in one round trip, for databases with many tiny objects.
const BATCH_CHUNKS_MAX: usize = 4096;

/// Sample identifiers named in a finding.
const SAMPLES_MAX: usize = 5;

/// A worker's share of the large objects.
pub struct Share<'a> {
    /// Which share, from 0.
    pub shard: u32,
    /// How many shares there are, at least 1.
    pub shards: u32,
    /// Exported snapshot to read under; without one each worker reads under its own.
    pub snapshot: Option<String>,
    /// What to copy beside the contents.
    pub metadata: Metadata,
    /// Whether an earlier run has copied the window; by the window's lowest identifier.
    pub is_done: &'a (dyn Fn(Oid) -> bool + Sync),
    /// SQL that records a window as copied, by its lowest identifier; run in the transaction that
    /// completes it.
    pub mark: &'a (dyn Fn(Oid) -> String + Sync),
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

/// A window of identifiers: those that agree in all but the lowest [`WINDOW_BITS`] bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Window {
    /// Its number: the identifiers without their lowest bits.
    number: u32,
    /// How many objects it holds.
    objects: u32,
}

impl Window {
    /// Lowest identifier.
    fn first(self) -> Oid {
        self.number << WINDOW_BITS
    }

    /// Highest identifier.
    fn last(self) -> Oid {
        self.first() | ((1 << WINDOW_BITS) - 1)
    }
}

/// What a worker did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LargeObjectReport {
    /// Objects copied.
    pub objects: u64,
    /// Content bytes copied.
    pub bytes: u64,
    /// Objects that an earlier run had copied.
    pub already_done: u64,
    /// What could not be copied.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub duration: Duration,
}

/// Copies one worker's share of the large objects.
///
/// Both sessions are outside any transaction, before and after. `counters` gets bytes, and objects as
/// rows.
///
/// # Errors
/// What either server reports, or a large object that is shorter than the snapshot said. The source
/// session may then be left inside its transaction. Not cancel safe.
pub async fn copy_share(
    source: &mut Session,
    target: &mut Session,
    share: &Share<'_>,
    counters: &JobCounters,
) -> Result<LargeObjectReport> {
    let started = Instant::now();
    let mut report = LargeObjectReport::default();
    let mut unreadable = Unreadable::default();
    source::begin(source, share.snapshot.as_deref()).await?;
    let mut windows = Vec::new();
    let in_share = |window: &Window| in_share(window.first(), share.shard, share.shards);
    source::windows(source, |window| {
        if in_share(&window) {
            windows.push(window);
        }
    })
    .await?;
    for batch in batches_of(&windows) {
        let (done, todo): (Vec<Window>, Vec<Window>) =
            batch.iter().partition(|window| (share.is_done)(window.first()));
        report.already_done += done.iter().map(|window| u64::from(window.objects)).sum::<u64>();
        if !todo.is_empty() {
            let hidden = copy_windows(source, target, share, &todo, counters, &mut report).await?;
            unreadable.add(&hidden);
        }
    }
    source.execute("commit").await?;
    report.findings.extend(unreadable.finding());
    report.duration = started.elapsed();
    tracing::debug!(objects = report.objects, bytes = report.bytes, "copied large objects");
    Ok(report)
}

/// Copies the objects of some windows; returns those that our role may not read.
async fn copy_windows(
    source: &mut Session,
    target: &mut Session,
    share: &Share<'_>,
    windows: &[Window],
    counters: &JobCounters,
    report: &mut LargeObjectReport,
) -> Result<Vec<Oid>> {
    let (readable, hidden): (Vec<Description>, Vec<Description>) =
        source::describe(source, windows)
            .await?
            .into_iter()
            .partition(|object| object.size.is_some());
    let hidden: Vec<Oid> = hidden.into_iter().map(|object| object.oid).collect();
    let found = target::prepare(target, &readable).await?;
    // Objects without content are in no batch.
    counters.add(0, len_u64(readable.iter().filter(|object| object.size == Some(0)).count()));
    let limit = (BATCHES_BYTES / u64::from(share.shards.max(1))).max(BATCH_BYTES_MIN);
    copy_contents(source, target, Batches::new(&readable, limit), counters).await?;
    let mut statements = target::differences(&readable, &found, share.metadata)?;
    // A window with a hidden object is never marked: a later run, with more rights, does it again.
    let marked = windows
        .iter()
        .filter(|window| !hidden.iter().any(|oid| (window.first()..=window.last()).contains(oid)));
    statements.extend(marked.map(|window| (share.mark)(window.first())));
    target::finish(target, &statements).await?;
    report.objects += len_u64(readable.len());
    report.bytes += readable.iter().filter_map(|object| object.size).sum::<u64>();
    Ok(hidden)
}

/// Joins consecutive windows to batches of about [`OBJECTS_PER_BATCH`] objects.
fn batches_of(windows: &[Window]) -> Vec<&[Window]> {
    let mut batches = Vec::new();
    let mut rest = windows;
    while let Some(first) = rest.first() {
        let mut objects = u64::from(first.objects);
        let mut length = 1;
        while let Some(window) = rest.get(length) {
            objects += u64::from(window.objects);
            if objects > OBJECTS_PER_BATCH {
                break;
            }
            length += 1;
        }
        let (batch, after) = rest.split_at(length);
        batches.push(batch);
        rest = after;
    }
    batches
}

/// Whether a window belongs to a share, by its lowest identifier: by its number, so that workers agree
/// even when they do not see the same objects.
pub fn in_share(first: Oid, shard: u32, shards: u32) -> bool {
    (first >> WINDOW_BITS) % shards.max(1) == shard
}

/// Copies the contents of the objects, reading the next batch while the last one is written.
async fn copy_contents(
    source: &mut Session,
    target: &mut Session,
    mut batches: Batches<'_>,
    counters: &JobCounters,
) -> Result<()> {
    let mut next = batches.next();
    let mut written: Option<(Vec<Chunk>, Contents)> = None;
    while next.is_some() || written.is_some() {
        let read = async {
            match &next {
                Some(chunks) => source::read(source, chunks).await.map(Some),
                None => Ok(None),
            }
        };
        let write = async {
            let Some((chunks, contents)) = written else { return Ok(None) };
            target::write(target, contents).await?;
            Ok::<_, Error>(Some(chunks))
        };
        let (contents, done) = tokio::try_join!(read, write)?;
        if let Some(chunks) = done {
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
    /// Bytes at which a batch ends.
    limit: u64,
}

impl<'a> Batches<'a> {
    /// Starts at the first object; a batch ends with the chunk that reaches `limit` bytes. Objects of
    /// unknown size have no contents here.
    fn new(objects: &'a [Description], limit: u64) -> Self {
        Self { objects: objects.iter(), current: None, limit }
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
        while bytes < self.limit && batch.len() < BATCH_CHUNKS_MAX {
            let Some(chunk) = self.chunk() else { break };
            bytes += chunk.length;
            batch.push(chunk);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

/// Objects that our role may not read: how many, and the first few.
#[derive(Debug, Default)]
struct Unreadable {
    count: u64,
    samples: Vec<Oid>,
}

impl Unreadable {
    /// Adds some.
    fn add(&mut self, oids: &[Oid]) {
        self.count += len_u64(oids.len());
        let room = SAMPLES_MAX.saturating_sub(self.samples.len());
        self.samples.extend(oids.iter().take(room));
    }

    /// The finding, if there are any.
    fn finding(&self) -> Option<Finding> {
        let first = self.samples.first()?;
        let samples: Vec<String> = self.samples.iter().map(Oid::to_string).collect();
        let dots = if self.count > len_u64(SAMPLES_MAX) { ", …" } else { "" };
        Some(Finding {
            severity: Severity::Error,
            object: "large objects".to_owned(),
            reason: format!(
                "{} not copied, our role may not read them on the source: {}{dots}",
                self.count,
                samples.join(", ")
            ),
            hint: Some(format!(
                "Run as a superuser or owner, or `GRANT SELECT ON LARGE OBJECT {first}` and the \
                 others to our role on the source; then run the same command again."
            )),
        })
    }
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

    fn share_of(windows: &[Window], shard: u32, shards: u32) -> Vec<Window> {
        let all = windows.iter().copied();
        all.filter(|window| in_share(window.first(), shard, shards)).collect()
    }

    #[test]
    fn batches_cover_every_byte_once_and_in_order() {
        let sizes = [0, 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 9 * CHUNK_BYTES_MAX - 1, 0, 3];
        let objects: Vec<Description> =
            (1..).zip(sizes).map(|(oid, size)| object(oid, size)).collect();
        let mut reached = [0_u64; 8];
        let limit = 3 * CHUNK_BYTES_MAX;
        for batch in Batches::new(&objects, limit) {
            let bytes: u64 = batch.iter().map(|chunk| chunk.length).sum();
            assert!(bytes < limit + CHUNK_BYTES_MAX, "{bytes}");
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
        let lengths: Vec<usize> =
            Batches::new(&objects, u64::MAX).map(|batch| batch.len()).collect();
        assert_eq!(lengths, [4096, 4096, 1808]);
    }

    #[test]
    fn shares_are_disjoint_and_complete() {
        let windows: Vec<Window> =
            [1, 2, 3, 70, 71, 4_194_303].map(|number| Window { number, objects: 1 }).into();
        for shards in 0..=12 {
            let mut all: Vec<Window> =
                (0..shards.max(1)).flat_map(|shard| share_of(&windows, shard, shards)).collect();
            all.sort_by_key(|window| window.number);
            assert_eq!(all, windows, "{shards} shares");
        }
    }

    #[test]
    fn a_worker_that_sees_more_windows_takes_none_of_another() {
        let window = |number| Window { number, objects: 1 };
        let early = [window(5), window(6), window(7)];
        let late = [window(4), window(5), window(6), window(7)];
        let first = share_of(&early, 0, 2);
        let second = share_of(&late, 1, 2);
        assert_eq!((first, second), (vec![window(6)], vec![window(5), window(7)]));
    }

    #[test]
    fn sparse_windows_are_joined_and_full_ones_stand_alone() {
        let window = |number, objects| Window { number, objects };
        let windows = [window(1, 1024), window(2, 600), window(7, 400), window(8, 1), window(9, 1)];
        let batches = batches_of(&windows);
        let numbers: Vec<Vec<u32>> =
            batches.iter().map(|batch| batch.iter().map(|w| w.number).collect()).collect();
        assert_eq!(numbers, [vec![1], vec![2, 7], vec![8, 9]]);
        assert!(batches_of(&[]).is_empty());
    }

    #[test]
    fn windows_reach_from_the_lowest_to_the_highest_identifier() {
        assert_eq!(Window { number: 0, objects: 1 }.first(), 0);
        assert_eq!(Window { number: 3, objects: 1 }.last(), 4 * 1024 - 1);
        assert_eq!(Window { number: Oid::MAX >> WINDOW_BITS, objects: 1 }.last(), Oid::MAX);
    }

    #[test]
    fn a_finding_names_five_objects_and_counts_all() {
        let mut unreadable = Unreadable::default();
        assert!(unreadable.finding().is_none());
        unreadable.add(&[1, 2, 3]);
        let finding = unreadable.finding().unwrap();
        assert!(
            finding
                .reason
                .ends_with("3 not copied, our role may not read them on the source: 1, 2, 3")
        );
        unreadable.add(&[4, 5, 6, 7]);
        let finding = unreadable.finding().unwrap();
        assert!(finding.reason.starts_with("7 not copied"), "{}", finding.reason);
        assert!(finding.reason.ends_with("1, 2, 3, 4, 5, …"), "{}", finding.reason);
        assert_eq!(finding.severity, Severity::Error);
    }
}
