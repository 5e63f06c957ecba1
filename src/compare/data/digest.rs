//! Count and sum of the hashes of tables, read by several sessions per side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::pairs::{Relation, TablePair};
use crate::base::comparison::TableDigest;
use crate::base::error::{Class, Error, Result, Side};
use crate::compare::end::Reader;
use crate::connect::client::retry::Backoff;
use crate::connect::client::{Row, Session};

/// Bytes on disk that one statement reads, about.
///
/// Hashing reads some 100 to 200 MB a second, so a statement takes half a second: short against the
/// table, so that all sessions end together, and long against a round trip.
const CHUNK_BYTES: u64 = 64 << 20;

/// Number and sum of hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    /// Rows.
    pub(super) rows: u64,
    /// Sum of the hashes. 64 bits each, so it would take 2^63 rows to leave this type.
    pub(super) sum: i128,
}

impl Digest {
    /// Reads count and sum from two columns.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self> {
        Ok(Self { rows: row.parse(first)?, sum: row.parse(first + 1)? })
    }

    /// Adds the rows of another part of the table.
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// The form that people see.
    pub(super) fn shown(self) -> TableDigest {
        let text = format!("{}-{}", self.sum, self.rows);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let checksum = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        TableDigest { rows: self.rows, checksum }
    }
}

/// What became of the tables of one side, by their position.
pub(super) type Digests = BTreeMap<usize, Result<Digest>>;

/// One statement: a table or a range of its pages.
struct Chunk {
    table: usize,
    name: String,
    sql: String,
    check: Option<String>,
}

/// The sessions that read one side, for those that wait for a connection.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// How many have ever been connected.
    joined: AtomicUsize,
    /// How many are connected now.
    working: AtomicUsize,
    limit_reported: AtomicBool,
}

/// The crews of both sides: with one server or one pooler at both ends they share its limit.
#[derive(Debug, Clone, Default)]
pub(super) struct Crews {
    /// Reads this side.
    own: Arc<Crew>,
    /// Reads the other side.
    other: Arc<Crew>,
}

impl Crews {
    /// As the other side sees them.
    pub(super) fn turned(&self) -> Self {
        Self { own: Arc::clone(&self.other), other: Arc::clone(&self.own) }
    }
}

/// What the sessions of one side work on.
struct Work {
    reader: Reader,
    crews: Crews,
    chunks: Vec<Chunk>,
    /// The next chunk to take.
    next: AtomicUsize,
    /// A session was lost: the others stop.
    failed: AtomicBool,
}

/// Reads the tables of one side with as many sessions as there are jobs, or as the server allows.
///
/// A table that cannot be read has its error in the result; the others are read all the same.
///
/// # Errors
/// A lost connection ends everything.
pub(super) async fn side(
    reader: &Reader,
    crews: Crews,
    pairs: &[TablePair],
    hashes: &[String],
    jobs: usize,
) -> Result<Digests> {
    let chunks = chunks(reader.side(), pairs, hashes);
    let sessions = jobs.min(chunks.len());
    let work = Arc::new(Work {
        reader: reader.clone(),
        crews,
        chunks,
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    });
    let mut workers = JoinSet::new();
    for number in 0..sessions {
        let work = Arc::clone(&work);
        workers.spawn(async move {
            let outcome = work.share(number).await;
            if outcome.is_err() {
                work.failed.store(true, Ordering::Relaxed);
            }
            outcome
        });
    }
    let mut digests = Digests::new();
    let mut failure = None;
    while let Some(joined) = workers.join_next().await {
        match joined.map_err(|error| Error::internal(format!("a worker ended: {error}")))? {
            Ok(parts) => {
                parts.into_iter().for_each(|(table, part)| merge(&mut digests, table, part))
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(digests), Err)
}

/// Adds a part to its table; the first error of a table stays.
fn merge(digests: &mut Digests, table: usize, part: Result<Digest>) {
    match (digests.entry(table).or_insert_with(|| Ok(Digest::default())), part) {
        (Ok(digest), Ok(part)) => digest.add(part),
        (slot @ Ok(_), Err(error)) => *slot = Err(error),
        (Err(_), _) => {}
    }
}

impl Work {
    /// One session's share.
    async fn share(&self, number: usize) -> Result<Vec<(usize, Result<Digest>)>> {
        let Some(mut session) = self.join(number).await? else { return Ok(Vec::new()) };
        self.crews.own.working.fetch_add(1, Ordering::Relaxed);
        let parts = self.read(&mut session).await;
        drop(session);
        self.crews.own.working.fetch_sub(1, Ordering::Relaxed);
        parts
    }

    /// Opens a session; `None` when the server allows no more and others do the work.
    ///
    /// While nobody reads this side yet, waits: as long as the other side holds connections that may
    /// become free, else for a minute.
    async fn join(&self, number: usize) -> Result<Option<Session>> {
        let Crews { own, other } = &self.crews;
        let mut backoff = Backoff::new(number as u64);
        loop {
            let error = match self.reader.connect().await {
                Ok(session) => {
                    own.joined.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(session));
                }
                Err(error) => error,
            };
            if error.class() != Class::Transient {
                return Err(error);
            }
            if error.is_connection_limit() {
                if own.joined.load(Ordering::Relaxed) > 0 || self.failed.load(Ordering::Relaxed) {
                    if !own.limit_reported.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%error, "connection limit reached, going on with fewer sessions");
                    }
                    return Ok(None);
                }
                if other.working.load(Ordering::Relaxed) > 0 {
                    backoff.reset();
                }
            }
            match backoff.next_pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Reads chunk after chunk until there is none left.
    async fn read(&self, session: &mut Session) -> Result<Vec<(usize, Result<Digest>)>> {
        let mut parts = Vec::new();
        while !self.failed.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = self.chunks.get(next) else { break };
            let part = chunk.read(&self.reader, session).await;
            let part = part.map_err(|error| error.during(format!("compare {}", chunk.name)));
            match part {
                Err(error) if session.is_broken() => return Err(error),
                part => parts.push((chunk.table, part)),
            }
        }
        Ok(parts)
    }
}

impl Chunk {
    /// Counts and sums.
    async fn read(&self, reader: &Reader, session: &mut Session) -> Result<Digest> {
        let statements: Vec<&str> =
            std::iter::once(self.sql.as_str()).chain(self.check.as_deref()).collect();
        let results = reader.read(&statements, session).await?;
        let mut results = results.iter();
        let digest = results.next().map_or_else(
            || Err(Error::internal("a table was hashed without a result")),
            |rows| Digest::read(rows.one()?, 0),
        )?;
        if let Some(rows) = results.next()
            && rows.one()?.parse::<u64>(0)? > 0
        {
            return Err(rewritten(reader.side()));
        }
        Ok(digest)
    }
}

/// The error for a table that was rewritten after the snapshot: it may look empty (S-1).
pub(super) fn rewritten(side: Side) -> Error {
    Error::stale(side, "the table was rewritten, truncated or dropped after the snapshot").hint(
        "Run the comparison again when TRUNCATE, ALTER TABLE, CLUSTER or VACUUM FULL are done.",
    )
}

/// The statements of one side, largest tables first.
fn chunks(side: Side, pairs: &[TablePair], hashes: &[String]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (table, (pair, hash)) in pairs.iter().zip(hashes).enumerate() {
        let Some(relation) = relation(side, pair) else { continue };
        let sql = format!(
            "select pg_catalog.count(*), coalesce(pg_catalog.sum({hash}), 0)::pg_catalog.text \
             from {}",
            relation.from
        );
        for range in page_ranges(relation) {
            chunks.push(Chunk {
                table,
                name: pair.name.to_string(),
                sql: format!("{sql}{range}"),
                check: file_check(relation),
            });
        }
    }
    chunks
}

/// The table of a side.
pub(super) fn relation(side: Side, pair: &TablePair) -> Option<&Relation> {
    match side {
        Side::Source => pair.source.as_ref(),
        Side::Target | Side::Local => pair.target.as_ref(),
    }
}

/// A statement that counts the files that are no longer those of the snapshot. It runs behind the one
/// that locked the table.
pub(super) fn file_check(relation: &Relation) -> Option<String> {
    if relation.files.is_empty() {
        return None;
    }
    let files: Vec<String> =
        relation.files.iter().map(|(oid, node)| format!("({oid}, {node})")).collect();
    Some(format!(
        "select pg_catalog.count(*) from (values {}) as f (oid, node) \
         where pg_catalog.pg_relation_filenode(f.oid::pg_catalog.oid)::pg_catalog.int8 \
         is distinct from f.node",
        files.join(", ")
    ))
}

/// Conditions that cut a table into ranges of pages; the last one is open, since the table may have
/// grown.
fn page_ranges(relation: &Relation) -> Vec<String> {
    let count = relation.bytes.div_ceil(CHUNK_BYTES);
    let Some(pages) = relation.pages.filter(|pages| count > 1 && *pages >= count) else {
        return vec![String::new()];
    };
    let first = |chunk: u64| pages * chunk / count;
    (0..count)
        .map(|chunk| {
            let from = format!(" where ctid >= '({},0)'", first(chunk));
            match chunk + 1 == count {
                true => from,
                false => format!("{from} and ctid < '({},0)'", first(chunk + 1)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(bytes: u64, pages: Option<u64>) -> Relation {
        Relation { from: "t".into(), files: Vec::new(), bytes, pages }
    }

    #[test]
    fn ranges_cover_every_page_once_and_the_last_is_open() {
        let ranges = page_ranges(&relation(CHUNK_BYTES * 2 + 1, Some(10)));
        assert_eq!(
            ranges,
            [
                " where ctid >= '(0,0)' and ctid < '(3,0)'",
                " where ctid >= '(3,0)' and ctid < '(6,0)'",
                " where ctid >= '(6,0)'"
            ]
        );
        assert_eq!(page_ranges(&relation(CHUNK_BYTES, Some(10))), [""]);
        assert_eq!(page_ranges(&relation(CHUNK_BYTES * 9, None)), [""]);
        // Nearly everything is in TOAST.
        assert_eq!(page_ranges(&relation(CHUNK_BYTES * 9, Some(2))), [""]);
    }

    #[test]
    fn checksum_is_sha256_of_sum_and_count() {
        // printf '%s' '-12-3' | sha256sum
        let shown = Digest { rows: 3, sum: -12 }.shown();
        assert_eq!(shown.rows, 3);
        let expected = "d88272ca5f4e14992ef4f603819f8149e213a222efb10ebed16851b814c7de7a";
        assert_eq!(shown.checksum, expected);
    }

    #[test]
    fn parts_add_up_and_an_error_stays() {
        let mut digests = Digests::new();
        merge(&mut digests, 0, Ok(Digest { rows: 1, sum: i128::from(i64::MAX) }));
        merge(&mut digests, 0, Ok(Digest { rows: 2, sum: 5 }));
        let digest = digests[&0].as_ref().unwrap();
        assert_eq!((digest.rows, digest.sum), (3, i128::from(i64::MAX) + 5));
        merge(&mut digests, 0, Err(Error::internal("x")));
        merge(&mut digests, 0, Ok(Digest::default()));
        assert!(digests[&0].is_err());
    }
}
