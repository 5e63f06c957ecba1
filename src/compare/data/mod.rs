//! Compares the rows of tables.
//!
//! ```text
//!  pairs   which table with which            hash   a row as 64 bits, in SQL
//!  digest  count and sum, in parallel        drill  the rows that differ
//! ```
//!
//! The servers compute everything; what travels is one line per chunk, and for tables that differ the
//! keys of some buckets.

mod digest;
mod drill;
mod hash;
mod pairs;

pub use pairs::Half;

use super::end::{End, Reader};
use crate::base::comparison::{RowDifferences, TableComparison, TableDigest};
use crate::base::error::{Class, Error, Result};
use crate::connect::client::Session;
use digest::Digest;
use drill::{Reading, Search};
use hash::Hashing;
use pairs::TablePair;

/// How much is done at once, and how much is shown.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Sessions per side.
    pub jobs: usize,
    /// Rows to name per table that differs; 0 names none and spends nothing on it.
    pub show_rows: usize,
}

/// What was found, and the first error of a table that could not be read.
#[derive(Debug, Default)]
pub struct DataOutcome {
    /// All tables, by name.
    pub tables: Vec<TableComparison>,
    /// Why a table could not be read.
    pub error: Option<Error>,
}

/// Compares tables.
///
/// Not cancel safe, but dropping it only drops the sessions.
///
/// # Errors
/// A lost connection, or what a session cannot begin with. A table that cannot be read is no error
/// here: the others are compared all the same.
pub async fn run(
    (source, source_half): (&mut End, Half<'_>),
    (target, target_half): (&mut End, Half<'_>),
    scope: Scope,
) -> Result<DataOutcome> {
    let fast = hashes_agree(source, target).await?;
    let hashing = Hashing::between(&source.facts, &target.facts, fast);
    tracing::debug!(?hashing, "how rows are hashed");
    let mut pairs = pairs::pairs(source_half, target_half);
    let hashes: Vec<String> = pairs.iter().map(|pair| hashing.row(&pair.columns)).collect();
    tracing::info!(tables = pairs.len(), jobs = scope.jobs, "comparing rows");
    let crews = digest::Crews::default();
    let (mut from, mut to) = tokio::try_join!(
        digest::side(&source.reader, crews.clone(), &pairs, &hashes, scope.jobs),
        digest::side(&target.reader, crews.turned(), &pairs, &hashes, scope.jobs),
    )?;
    let mut outcome = DataOutcome::default();
    let mut differing = Vec::new();
    for (position, pair) in pairs.iter_mut().enumerate() {
        let (a, b) = (from.remove(&position), to.remove(&position));
        let (table, sums, error) = judge(pair, a, b);
        outcome.error = outcome.error.or(error);
        if let (true, Some(rows)) = (table.error.is_none(), sums) {
            differing.push((position, rows));
        }
        outcome.tables.push(table);
    }
    if scope.show_rows > 0 {
        for (position, rows) in differing {
            let search = Search { pair: &pairs[position], hashing, rows, limit: scope.show_rows };
            outcome.tables[position].rows = Some(find_rows(search, source, target).await?);
        }
    }
    outcome.tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outcome)
}

/// Whether the hash functions of both servers agree on a sample.
async fn hashes_agree(source: &mut End, target: &mut End) -> Result<bool> {
    if !Hashing::can_be_fast(&source.facts) || !Hashing::can_be_fast(&target.facts) {
        return Ok(false);
    }
    let (a, b) = tokio::try_join!(
        source.session.query(hash::PROBE, &[]),
        target.session.query(hash::PROBE, &[])
    )?;
    let agree = a.rows == b.rows;
    if !agree {
        tracing::warn!("the servers' hash functions differ, going on with md5");
    }
    Ok(agree)
}

/// Puts the outcome of a table together. The second value is set when both sides were read and their
/// rows differ: the rows of both together.
fn judge(
    pair: &mut TablePair,
    source: Option<Result<Digest>>,
    target: Option<Result<Digest>>,
) -> (TableComparison, Option<u64>, Option<Error>) {
    let mut error = None;
    let mut read = |digest: Option<Result<Digest>>| match digest? {
        Ok(digest) => Some(digest),
        Err(found) => {
            error = error.take().or(Some(found));
            None
        }
    };
    let (source, target) = (read(source), read(target));
    let sums = match (source, target) {
        (Some(a), Some(b)) if a != b => Some(a.rows + b.rows),
        _ => None,
    };
    let shown = |digest: Option<Digest>| -> Option<TableDigest> { digest.map(Digest::shown) };
    let table = TableComparison {
        name: pair.name.clone(),
        source: shown(source),
        target: shown(target),
        remarks: std::mem::take(&mut pair.remarks),
        error: error.as_ref().map(ToString::to_string),
        rows: None,
    };
    (table, sums, error)
}

/// Finds the rows that differ; what cannot be told is logged and left out.
async fn find_rows(search: Search<'_>, source: &End, target: &End) -> Result<RowDifferences> {
    let (mut a, mut b) =
        tokio::try_join!(source.reader.connect_patiently(0), target.reader.connect_patiently(1))?;
    let found = drill::find(
        search,
        &mut reading(&source.reader, &mut a),
        &mut reading(&target.reader, &mut b),
    )
    .await;
    match found {
        Err(error) if error.class() != Class::Transient && error.class() != Class::Cancelled => {
            tracing::warn!(%error, "rows that differ cannot be told");
            Ok(RowDifferences::default())
        }
        found => found,
    }
}

/// A session with its reader.
fn reading<'a>(reader: &'a Reader, session: &'a mut Session) -> Reading<'a> {
    Reading { reader, session }
}
