//! Finds the rows that differ, without ever reading a whole table.
//!
//! ```text
//! keys into 65536 buckets by their hash ─► count and sum per bucket on both sides
//!    ─► buckets that differ: few rows each, fetched as (key, hash) and matched
//!    ─► a bucket with too many rows: its keys into 65536 buckets by the next bits, and so on
//! ```
//!
//! Without a key the hash of the whole row stands for it; then equal rows are counted, not listed.
//! Memory is bounded by [`FETCHED_ROWS_MAX`] rows of keys, whatever the table holds.

use std::collections::BTreeMap;

use super::digest::{Digest, file_check, relation, rewritten};
use super::hash::Hashing;
use super::pairs::{Relation, TablePair};
use crate::base::comparison::{RowDifference, RowDifferences, RowState};
use crate::base::error::{Error, Result};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::compare::end::Reader;
use crate::connect::client::{Rows, Session};

/// Bits of the hash that one level of buckets looks at.
const BUCKET_BITS: u32 = 16;

/// Most rows fetched from both sides together, keys and hashes only.
const FETCHED_ROWS_MAX: u64 = 100_000;

/// Most characters of a row that are shown where there is no key.
const ROW_TEXT_CHARS_MAX: u32 = 200;

/// A session of one side with how to share its snapshot.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    /// Shares the snapshot.
    pub(super) reader: &'a Reader,
    /// The session.
    pub(super) session: &'a mut Session,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    /// The table, which exists on both sides.
    pub(super) pair: &'a TablePair,
    /// How rows are hashed.
    pub(super) hashing: Hashing,
    /// Rows on both sides together.
    pub(super) rows: u64,
    /// Most rows to show.
    pub(super) limit: usize,
}

/// Part of the keys: those whose hash has these low bits.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// Number of low bits that are fixed.
    bits: u32,
    /// Their value.
    value: i64,
}

/// Finds rows that differ.
///
/// Not cancel safe.
///
/// # Errors
/// The servers'; class `Stale` for a table that was rewritten meanwhile.
pub(super) async fn find(
    search: Search<'_>,
    source: &mut Reading<'_>,
    target: &mut Reading<'_>,
) -> Result<RowDifferences> {
    let mut part = Part::default();
    let mut rows = search.rows;
    let mut complete = true;
    let mut wanted = None;
    while rows > FETCHED_ROWS_MAX && part.bits + BUCKET_BITS < i64::BITS {
        let sql = buckets_sql(&search, part);
        let (a, b) = both(&sql, &search, source, target).await?;
        let chosen = choose(&buckets(&a)?, &buckets(&b)?);
        complete = complete && chosen.complete;
        let alone = chosen.rows > FETCHED_ROWS_MAX;
        rows = chosen.rows;
        if let (true, [bucket]) = (alone, chosen.buckets.as_slice()) {
            part = Part { bits: part.bits + BUCKET_BITS, value: part.value | bucket << part.bits };
            continue;
        }
        wanted = Some(chosen.buckets);
        break;
    }
    let sql = fetch_sql(&search, part, wanted.as_deref());
    let (a, b) = both(&sql, &search, source, target).await?;
    let mut differences = match search.pair.key.is_empty() {
        true => match_counts(&a, &b)?,
        false => match_keys(&search, &a, &b)?,
    };
    differences.sort();
    complete = complete && differences.len() <= search.limit;
    differences.truncate(search.limit);
    for difference in &mut differences {
        if difference.state == RowState::Differs {
            difference.columns = differing_columns(difference, &search, source, target).await?;
        }
    }
    Ok(RowDifferences { rows: differences, complete })
}

/// Runs a statement on both sides at once; `{from}` stands for the table.
async fn both(
    sql: &str,
    search: &Search<'_>,
    source: &mut Reading<'_>,
    target: &mut Reading<'_>,
) -> Result<(Rows, Rows)> {
    let (a, b) = tokio::join!(source.read(sql, search.pair), target.read(sql, search.pair));
    Ok((a?, b?))
}

impl Reading<'_> {
    /// Runs a statement under the snapshot and checks that the table is still the one it saw.
    async fn read(&mut self, sql: &str, pair: &TablePair) -> Result<Rows> {
        let side = self.reader.side();
        let relation: &Relation = relation(side, pair)
            .ok_or_else(|| Error::internal("a table of one side only has no rows to match"))?;
        let sql = sql.replace("{from}", &relation.from);
        let check = file_check(relation);
        let statements: Vec<&str> = std::iter::once(sql.as_str()).chain(check.as_deref()).collect();
        let mut results = self
            .reader
            .read(&statements, self.session)
            .await
            .map_err(|error| error.during(format!("compare rows of {}", pair.name)))?;
        if let Some(changed) = results.get(1)
            && changed.one()?.parse::<u64>(0)? > 0
        {
            return Err(rewritten(side).during(format!("compare rows of {}", pair.name)));
        }
        Ok(std::mem::take(&mut results[0]))
    }
}

/// What tells rows apart, as 64 bits.
fn identity(search: &Search<'_>) -> String {
    match search.pair.key.is_empty() {
        true => search.hashing.row(&search.pair.columns),
        false => search.hashing.row(&search.pair.key),
    }
}

/// Condition for a part of the keys; `true` for all.
fn part_condition(identity: &str, part: Part) -> String {
    match part.bits {
        0 => "true".to_owned(),
        bits => format!("({identity}) & {} = {}", low_bits(bits), part.value),
    }
}

/// A number whose low bits are set.
fn low_bits(bits: u32) -> i64 {
    (1 << bits) - 1
}

/// The bucket of a row behind the bits that are fixed.
fn bucket(identity: &str, part: Part) -> String {
    format!("(({identity}) >> {}) & {}", part.bits, low_bits(BUCKET_BITS))
}

/// Count and sum per bucket.
fn buckets_sql(search: &Search<'_>, part: Part) -> String {
    let identity = identity(search);
    let hash = search.hashing.row(&search.pair.columns);
    format!(
        "select {}, pg_catalog.count(*), pg_catalog.sum({hash})::pg_catalog.text \
         from {{from}} where {} group by 1",
        bucket(&identity, part),
        part_condition(&identity, part)
    )
}

/// Keys and hashes of some buckets, or of the whole part.
fn fetch_sql(search: &Search<'_>, part: Part, buckets: Option<&[i64]>) -> String {
    let identity = identity(search);
    let hash = search.hashing.row(&search.pair.columns);
    let mut condition = part_condition(&identity, part);
    if let Some(buckets) = buckets {
        let numbers: Vec<String> = buckets.iter().map(ToString::to_string).collect();
        condition.push_str(&format!(
            " and {} = any ('{{{}}}'::pg_catalog.int8[])",
            bucket(&identity, part),
            numbers.join(",")
        ));
    }
    if search.pair.key.is_empty() {
        let names: Vec<String> =
            search.pair.columns.iter().map(|column| quote_identifier(&column.name)).collect();
        return format!(
            "select {hash}, pg_catalog.count(*), pg_catalog.min(pg_catalog.left(\
             row({})::pg_catalog.text, {ROW_TEXT_CHARS_MAX})) from {{from}} \
             where {condition} group by 1",
            names.join(", ")
        );
    }
    let key: Vec<String> = (search.pair.key.iter())
        .map(|column| format!("pg_catalog.concat({})", quote_identifier(&column.name)))
        .collect();
    format!("select {hash}, {} from {{from}} where {condition}", key.join(", "))
}

/// Reads buckets.
fn buckets(rows: &Rows) -> Result<BTreeMap<i64, Digest>> {
    rows.rows.iter().map(|row| Ok((row.parse(0)?, Digest::read(row, 1)?))).collect()
}

/// Buckets to look into.
#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    buckets: Vec<i64>,
    /// Their rows on both sides together.
    rows: u64,
    /// No other bucket differs.
    complete: bool,
}

/// Chooses differing buckets as long as their rows may be fetched, at least one.
fn choose(source: &BTreeMap<i64, Digest>, target: &BTreeMap<i64, Digest>) -> Chosen {
    let mut chosen = Chosen { buckets: Vec::new(), rows: 0, complete: true };
    let get = |side: &BTreeMap<i64, Digest>, bucket| side.get(bucket).copied().unwrap_or_default();
    let mut numbers: Vec<&i64> = source.keys().chain(target.keys()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let (a, b) = (get(source, number), get(target, number));
        if a == b {
            continue;
        }
        let rows = a.rows + b.rows;
        if !chosen.buckets.is_empty() && chosen.rows + rows > FETCHED_ROWS_MAX {
            chosen.complete = false;
            continue;
        }
        chosen.buckets.push(*number);
        chosen.rows += rows;
    }
    chosen
}

/// Key of a row as text, to the hashes of the rows that have it.
type ByKey = BTreeMap<Vec<Option<String>>, Vec<i64>>;

/// Matches rows by their key.
fn match_keys(search: &Search<'_>, source: &Rows, target: &Rows) -> Result<Vec<RowDifference>> {
    let by_key = |rows: &Rows| -> Result<ByKey> {
        let mut found = ByKey::new();
        for row in &rows.rows {
            let key = (1..=search.pair.key.len()).map(|index| {
                row.bytes(index).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            });
            found.entry(key.collect()).or_default().push(row.parse(0)?);
        }
        found.values_mut().for_each(|hashes| hashes.sort_unstable());
        Ok(found)
    };
    let (source, mut target) = (by_key(source)?, by_key(target)?);
    let mut found = Vec::new();
    let mut add = |state, key: Vec<Option<String>>, count: usize| {
        let names = search.pair.key.iter().map(|column| column.name.clone());
        let (key, columns) = (names.zip(key).collect(), Vec::new());
        found.push(RowDifference { state, key, columns, count: count as u64 });
    };
    for (key, hashes) in source {
        match target.remove(&key) {
            None => add(RowState::SourceOnly, key, hashes.len()),
            Some(others) if others == hashes => {}
            Some(others) => match others.len().cmp(&hashes.len()) {
                std::cmp::Ordering::Equal => add(RowState::Differs, key, hashes.len()),
                std::cmp::Ordering::Less => {
                    add(RowState::SourceOnly, key, hashes.len() - others.len());
                }
                std::cmp::Ordering::Greater => {
                    add(RowState::TargetOnly, key, others.len() - hashes.len());
                }
            },
        }
    }
    for (key, hashes) in target {
        add(RowState::TargetOnly, key, hashes.len());
    }
    Ok(found)
}

/// Matches rows without a key by how often each occurs.
fn match_counts(source: &Rows, target: &Rows) -> Result<Vec<RowDifference>> {
    type Counted = BTreeMap<i64, (u64, String)>;
    let counted = |rows: &Rows| -> Result<Counted> {
        let read = |row: &crate::connect::client::Row| {
            let text = String::from_utf8_lossy(row.bytes(2).unwrap_or_default()).into_owned();
            Ok((row.parse(0)?, (row.parse(1)?, text)))
        };
        rows.rows.iter().map(read).collect()
    };
    let (source, target) = (counted(source)?, counted(target)?);
    let mut found = Vec::new();
    let mut add = |state, many: &Counted, few: &Counted| {
        for (hash, (count, text)) in many {
            let other = few.get(hash).map_or(0, |(count, _)| *count);
            if *count > other {
                let key = vec![("row".to_owned(), Some(text.clone()))];
                found.push(RowDifference { state, key, columns: Vec::new(), count: count - other });
            }
        }
    };
    add(RowState::SourceOnly, &source, &target);
    add(RowState::TargetOnly, &target, &source);
    Ok(found)
}

/// The columns in which a row differs; none where the row cannot be looked up by its key as text (an
/// operator that is not in `pg_catalog`).
async fn differing_columns(
    difference: &RowDifference,
    search: &Search<'_>,
    source: &mut Reading<'_>,
    target: &mut Reading<'_>,
) -> Result<Vec<String>> {
    let hashes: Vec<String> = (search.pair.columns.iter())
        .map(|column| search.hashing.row(std::slice::from_ref(column)))
        .collect();
    let conditions = difference.key.iter().map(|(name, value)| {
        let value = quote_literal(value.as_deref().unwrap_or_default());
        format!("{} = {value}", quote_identifier(name))
    });
    let conditions: Vec<String> = conditions.collect();
    let sql =
        format!("select {} from {{from}} where {}", hashes.join(", "), conditions.join(" and "));
    let (a, b) = match both(&sql, search, source, target).await {
        Ok(rows) => rows,
        Err(error) if source.session.is_broken() || target.session.is_broken() => {
            return Err(error);
        }
        Err(error) => {
            tracing::debug!(%error, "differing columns cannot be told");
            return Ok(Vec::new());
        }
    };
    let ([a], [b]) = (a.rows.as_slice(), b.rows.as_slice()) else { return Ok(Vec::new()) };
    let names = search.pair.columns.iter().enumerate();
    let differ = names.filter(|(index, _)| a.bytes(*index) != b.bytes(*index));
    Ok(differ.map(|(_, column)| column.name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differing_buckets_are_chosen_and_at_least_one() {
        let digest = |rows, sum| Digest { rows, sum };
        let source = BTreeMap::from([
            (1, digest(10, 1)),
            (2, digest(FETCHED_ROWS_MAX * 2, 2)),
            (3, digest(1, 3)),
        ]);
        let same = source.clone();
        let none = Chosen { buckets: Vec::new(), rows: 0, complete: true };
        assert_eq!(choose(&source, &same), none);
        let mut target = source.clone();
        target.insert(2, digest(FETCHED_ROWS_MAX * 2, 9));
        let big = choose(&source, &target);
        assert_eq!((big.buckets, big.rows), (vec![2], FETCHED_ROWS_MAX * 4));
        target.insert(1, digest(11, 1));
        target.remove(&3);
        let some = choose(&source, &target);
        assert_eq!((some.buckets, some.rows, some.complete), (vec![1, 3], 22, false));
    }
}
