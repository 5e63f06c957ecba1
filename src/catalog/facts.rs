//! Where to cut a table that is copied by ranges of its split key.
//!
//! Equal steps between the smallest and the largest key leave most parts empty when keys have gaps
//! (S-10), so the cuts are taken from the rows: a sample of pages under the run's snapshot, else the
//! histogram that ANALYZE left, else equal steps.

use proto::types::TransactionStatus;

use super::model::{SplitKey, Table};
use super::query::{self, Fields, ServerVersion, explain_timeout};
use crate::base::error::{Error, Result};
use crate::base::ident::quote_identifier;
use crate::connect::client::Session;

/// Pages sampled per part.
///
/// With m pages a cut lies off its place by about 1/√m of a part's rows when keys follow the order of
/// the pages; 64 pages keep parts within about 12 % of each other.
const SAMPLE_PAGES_PER_PART: u64 = 64;

/// Most pages sampled of one table: 128 MiB of reading, seconds on a slow disk.
const SAMPLE_PAGES_MAX: u64 = 16_384;

/// Fewest sampled rows per part that are trusted to place its cut.
const SAMPLE_ROWS_PER_PART_MIN: u64 = 8;

/// Bytes of a page. Servers can be built with others; a sample four times too large does no harm.
const PAGE_BYTES: u64 = 8192;

/// Smallest and largest value of a key, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
}

/// What the cuts are based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundsSource {
    /// Pages read under the snapshot.
    Sample,
    /// What the last ANALYZE left.
    Histogram,
    /// Equal steps between the smallest and the largest key.
    EqualSteps,
}

/// Where to cut a table by its split key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBounds {
    /// The keys there are; `None` when no row has one: the table is empty, or every key is NULL.
    pub range: Option<KeyRange>,
    /// Where each part but the first begins, strictly increasing, above the smallest key and not above
    /// the largest. Fewer than asked for when the keys do not allow it.
    ///
    /// Cuts `[a, b]` make the parts `key < a`, `a <= key < b` and `b <= key`: the outer two are open,
    /// so no row can fall beside them and no value has a special meaning (S-7).
    pub cuts: Vec<i64>,
    /// What the cuts are based on.
    pub source: BoundsSource,
}

/// Reads where to cut a table into about `parts` parts of equal size.
///
/// The session is in the transaction of the snapshot. Whatever the server refuses is rolled back to a
/// savepoint, so that the snapshot stays usable: a table may be gone, or locked by somebody.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// The server's, naming the table; class `Internal` for a table without split key.
pub async fn key_bounds(session: &mut Session, table: &Table, parts: u32) -> Result<KeyBounds> {
    let Some(key) = &table.split_key else {
        return Err(Error::internal(format!("{} has no split key", table.name)));
    };
    if session.transaction_status() == TransactionStatus::Idle {
        return read_bounds(session, table, key, parts).await;
    }
    session.execute("savepoint pgcopydb_key_bounds").await?;
    let bounds = read_bounds(session, table, key, parts).await;
    if bounds.is_err() && !session.is_broken() {
        session.execute("rollback to savepoint pgcopydb_key_bounds").await?;
    }
    if !session.is_broken() {
        session.execute("release savepoint pgcopydb_key_bounds").await?;
    }
    bounds
}

/// The same without the savepoint; errors name the table.
async fn read_bounds(
    session: &mut Session,
    table: &Table,
    key: &SplitKey,
    parts: u32,
) -> Result<KeyBounds> {
    let bounds = find_bounds(session, table, key, parts).await;
    bounds.map_err(|error| {
        explain_timeout(error, session).during(format!("read key bounds of {}", table.name))
    })
}

/// Takes the best source of cuts that there is.
async fn find_bounds(
    session: &mut Session,
    table: &Table,
    key: &SplitKey,
    parts: u32,
) -> Result<KeyBounds> {
    let Some(range) = key_range(session, table, key).await? else {
        return Ok(KeyBounds { range: None, cuts: Vec::new(), source: BoundsSource::EqualSteps });
    };
    let bounds = |source, cuts| KeyBounds { range: Some(range), cuts: tidy(cuts, range), source };
    if parts < 2 || range.min == range.max {
        return Ok(bounds(BoundsSource::EqualSteps, Vec::new()));
    }
    // Other access methods need not support TABLESAMPLE.
    if table.access_method.as_deref() == Some("heap") {
        let sample = sample_cuts(session, table, key, parts).await?;
        if sample.rows >= u64::from(parts) * SAMPLE_ROWS_PER_PART_MIN {
            return Ok(bounds(BoundsSource::Sample, sample.cuts));
        }
    }
    let histogram = histogram(session, table, key).await?;
    if histogram.len() >= 2 {
        return Ok(bounds(BoundsSource::Histogram, interpolate(&histogram, parts)));
    }
    Ok(bounds(BoundsSource::EqualSteps, interpolate(&[range.min, range.max], parts)))
}

/// Smallest and largest key, through the index; `None` when there is none.
async fn key_range(
    session: &mut Session,
    table: &Table,
    key: &SplitKey,
) -> Result<Option<KeyRange>> {
    let column = quote_identifier(&key.column);
    let sql = format!(
        "select pg_catalog.min({column})::pg_catalog.int8, pg_catalog.max({column})::pg_catalog.int8 \
         from only {}",
        table.name.sql()
    );
    let rows = session.query(&sql, &[]).await?;
    let row = rows.rows.first().ok_or_else(|| Error::internal("an aggregate without a row"))?;
    let (min, max) = (row.parse_optional(0)?, row.parse_optional(1)?);
    Ok(min.zip(max).map(|(min, max)| KeyRange { min, max }))
}

/// Cuts found in a sample.
#[derive(Debug)]
struct Sample {
    /// Rows with a key in the sample.
    rows: u64,
    /// The cuts, ascending, duplicates possible.
    cuts: Vec<i64>,
}

/// Reads the keys of some pages and lets the server pick the ones that cut them into equal parts.
async fn sample_cuts(
    session: &mut Session,
    table: &Table,
    key: &SplitKey,
    parts: u32,
) -> Result<Sample> {
    let column = quote_identifier(&key.column);
    // The seed is fixed, so that a resumed run on the same rows finds the same cuts.
    let sql = format!(
        "select s.row_count, c.cut \
         from (\
             select pg_catalog.count(*) as row_count, \
                 pg_catalog.percentile_disc($1::pg_catalog.float8[]) \
                     within group (order by {column}::pg_catalog.int8) as cuts \
             from only {table} tablesample pg_catalog.system ($2::pg_catalog.float4) repeatable (1) \
             where {column} is not null\
         ) s \
         cross join lateral pg_catalog.unnest(s.cuts) as c (cut) \
         order by c.cut",
        table = table.name.sql()
    );
    let fractions: Vec<String> =
        (1..parts).map(|part| (f64::from(part) / f64::from(parts)).to_string()).collect();
    let fractions = format!("{{{}}}", fractions.join(","));
    let percent = sample_percent(table.heap_bytes, parts).to_string();
    let rows = session.query(&sql, &[Some(&fractions), Some(&percent)]).await?;
    let mut sample = Sample { rows: 0, cuts: Vec::with_capacity(rows.rows.len()) };
    for row in &rows.rows {
        sample.rows = row.parse(0)?;
        sample.cuts.push(row.parse(1)?);
    }
    Ok(sample)
}

/// How many percent of the pages to read, more than 0 and at most 100.
fn sample_percent(heap_bytes: u64, parts: u32) -> f64 {
    let wanted = (u64::from(parts) * SAMPLE_PAGES_PER_PART).min(SAMPLE_PAGES_MAX);
    let pages = (heap_bytes / PAGE_BYTES).max(1);
    if pages <= wanted {
        return 100.0;
    }
    // Both are far below 2^53: exact.
    #[expect(clippy::cast_precision_loss, reason = "pages of a table are below 2^32")]
    let percent = wanted as f64 * 100.0 / pages as f64;
    percent
}

/// The histogram of the key, ascending; empty when there is none.
async fn histogram(session: &mut Session, table: &Table, key: &SplitKey) -> Result<Vec<i64>> {
    let mut bounds = Vec::new();
    let params = [
        Some(table.name.schema.as_str()),
        Some(table.name.name.as_str()),
        Some(key.column.as_str()),
    ];
    let version = ServerVersion::of(session);
    query::KEY_HISTOGRAM
        .each(&params, version, session, |fields: &mut Fields<'_>| {
            bounds.push(fields.parse()?);
            Ok(())
        })
        .await?;
    Ok(bounds)
}

/// Cuts between the quantiles given, which ascend and are at equal distances in rows.
///
/// Within a step the rows count as evenly spread.
fn interpolate(quantiles: &[i64], parts: u32) -> Vec<i64> {
    let steps = i128::try_from(quantiles.len().saturating_sub(1)).unwrap_or_default();
    let parts = i128::from(parts);
    let cut = |part: i128| {
        let (step, rest) = (part * steps / parts, part * steps % parts);
        let at = usize::try_from(step).ok()?;
        let low = i128::from(*quantiles.get(at)?);
        let high = i128::from(*quantiles.get(at + 1)?);
        // |high - low| < 2^64 and rest < 2^32, so the product fits.
        // Rounded up: the cut belongs to the part that it begins.
        i64::try_from(low + ((high - low) * rest + parts - 1) / parts).ok()
    };
    (1..parts).filter_map(cut).collect()
}

/// Drops cuts that would make an empty part: duplicates, and those outside the range.
fn tidy(mut cuts: Vec<i64>, range: KeyRange) -> Vec<i64> {
    cuts.sort_unstable();
    cuts.dedup();
    cuts.retain(|cut| range.min < *cut && *cut <= range.max);
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    // trap S-7
    #[test]
    fn the_whole_of_int8_is_cut_without_overflow() {
        assert_eq!(interpolate(&[i64::MIN, i64::MAX], 2), [0]);
        let quarters = interpolate(&[i64::MIN, i64::MAX], 4);
        assert_eq!(quarters, [-(1 << 62), 0, 1 << 62]);
        let cuts = interpolate(&[i64::MIN, i64::MAX], u32::from(u16::MAX));
        assert_eq!(cuts.len(), usize::from(u16::MAX) - 1);
        assert!(cuts.is_sorted_by(|a, b| a < b));
    }

    // trap S-10
    #[test]
    fn quantiles_keep_gaps_in_one_part() {
        // Ten steps of equal row counts, the last one huge.
        let mut quantiles: Vec<i64> = (0..10).map(|step| step * 100).collect();
        quantiles.push(1_000_000_000_000_000);
        assert_eq!(interpolate(&quantiles, 5), [200, 400, 600, 800]);
    }

    #[test]
    fn more_parts_than_steps_interpolates() {
        assert_eq!(interpolate(&[0, 100, 1000], 4), [50, 100, 550]);
    }

    #[test]
    fn cuts_that_make_empty_parts_are_dropped() {
        let range = KeyRange { min: 1, max: 9 };
        assert_eq!(tidy(vec![9, 1, 5, 5, 10, -3], range), [5, 9]);
        assert_eq!(interpolate(&[3, 4], 5), [4, 4, 4, 4]);
    }

    #[test]
    fn sample_reads_at_most_a_fixed_number_of_pages() {
        assert!((sample_percent(0, 8) - 100.0).abs() < 1e-9);
        assert!((sample_percent(8192 * 512, 8) - 100.0).abs() < 1e-9);
        assert!((sample_percent(8192 * 51_200, 8) - 1.0).abs() < 1e-9);
        // 1 TiB in 4096 parts: capped.
        let percent = sample_percent(1 << 40, 4096);
        assert!((percent / 100.0 * f64::from(1 << 27) - 16_384.0).abs() < 1e-3);
    }
}
