//! Compares the rows of two databases without regard to their physical order.
//!
//! Every row is read as COPY text under pinned settings and hashed with XXH3-128; the hashes of a
//! table are added up. The sum does not depend on the order, and unlike an exclusive or it sees a
//! row that is there twice. Tables whose sums differ are read again to name rows.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use anyhow::{Context, Result};
use xxhash_rust::xxh3::xxh3_128;

use super::{Comparison, Side, both, session};
use crate::cluster::{quote_ident, quote_literal};

/// Largest number of differing rows named per side of a table.
const SAMPLES_MAX: usize = 5;

/// Largest number of characters of a row that are shown.
const SAMPLE_CHARS_MAX: usize = 300;

/// Every ordinary table and populated materialized view, except what extensions own and pg_dump
/// would not dump. Columns: schema, name, quoted columns in the order of their names.
///
/// The parts of a partitioned table are ordinary tables, so its own rows need not be asked for.
const TABLES: &str = r#"
copy (
  select n.nspname, c.relname, c.relkind,
         coalesce((select string_agg('"' || replace(a.attname, '"', '""') || '"', ', '
                                     order by a.attname collate "C")
                     from pg_attribute a
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where (c.relkind = 'r' or c.relkind = 'm' and c.relispopulated)
     and c.relpersistence <> 't'
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and n.nspname <> all ({excluded})
     and not exists (
           select from pg_depend d join pg_extension e on e.oid = d.refobjid
            where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
              and d.refclassid = 'pg_extension'::regclass
              and c.oid <> all (coalesce(e.extconfig, '{}')))
   order by n.nspname, c.relname
) to stdout;
"#;

/// A table that was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// Schema and name, quoted where needed to tell them apart.
    pub name: String,
    /// Number of rows on the source.
    pub rows: u64,
}

/// A table whose rows differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDifference {
    /// Schema and name.
    pub name: String,
    /// Rows on the source; `None` when the table is missing there (or not populated).
    pub source_rows: Option<u64>,
    /// Rows on the target; `None` when the table is missing there (or not populated).
    pub target_rows: Option<u64>,
    /// Some rows that the target lacks, as COPY text, columns in the order of their names.
    pub only_in_source: Vec<String>,
    /// Some rows that the source lacks.
    pub only_in_target: Vec<String>,
}

impl fmt::Display for TableDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |rows: Option<u64>| rows.map_or("no table".to_owned(), |n| format!("{n} rows"));
        let (source, target) = (count(self.source_rows), count(self.target_rows));
        write!(f, "table {}: source {source}, target {target}", self.name)?;
        for row in &self.only_in_source {
            write!(f, "\n  only in source: {row}")?;
        }
        for row in &self.only_in_target {
            write!(f, "\n  only in target: {row}")?;
        }
        Ok(())
    }
}

/// A table as one side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    schema: String,
    name: String,
    /// Whether it is a materialized view, which cannot be asked for ONLY.
    materialized: bool,
    /// Quoted column names in the order of the names.
    columns: String,
}

impl Table {
    /// The statement that prints all rows.
    fn copy(&self) -> String {
        let only = if self.materialized { "" } else { "only " };
        let (schema, name) = (quote_ident(&self.schema), quote_ident(&self.name));
        format!("copy (select {} from {only}{schema}.{name}) to stdout;", self.columns)
    }

    /// Name for people, and the key under which both sides meet.
    fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// Number of rows and sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u128,
}

/// Compares all tables; returns those of the source, and those that differ.
///
/// # Errors
/// When a side cannot be read.
pub(super) fn diff(comparison: &Comparison) -> Result<(Vec<TableRows>, Vec<TableDifference>)> {
    let (source, target) = both(|side| digests(comparison, side))?;
    let compared = source
        .iter()
        .map(|(name, (_, digest))| TableRows { name: name.clone(), rows: digest.rows })
        .collect();
    let mut different = Vec::new();
    let mut names: Vec<&String> = source.keys().chain(target.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (of_source, of_target) = (source.get(name), target.get(name));
        let same = match (of_source, of_target) {
            (Some(a), Some(b)) => a.1 == b.1 && a.0.columns == b.0.columns,
            _ => false,
        };
        if !same {
            let mut found = TableDifference {
                name: name.clone(),
                source_rows: of_source.map(|found| found.1.rows),
                target_rows: of_target.map(|found| found.1.rows),
                only_in_source: Vec::new(),
                only_in_target: Vec::new(),
            };
            if let (Some((a, _)), Some((b, _))) = (of_source, of_target) {
                name_rows(comparison, a, b, &mut found)?;
            }
            different.push(found);
        }
    }
    Ok((compared, different))
}

/// Reads all tables of a side in one session.
fn digests(comparison: &Comparison, side: Side) -> Result<BTreeMap<String, (Table, Digest)>> {
    let uri = comparison.uri(side);
    let tables = tables(comparison, uri)?;
    // A line that no table holds, by which the tables are told apart in the stream.
    let marker = format!("\u{1}testbed {} {:p}", std::process::id(), &tables);
    let script: String =
        tables.iter().map(|table| format!("\\echo '{marker}'\n{}\n", table.copy())).collect();
    let mut found = Vec::with_capacity(tables.len());
    session::lines(uri, &script, |line| {
        if line == marker.as_bytes() {
            found.push(Digest::default());
        } else {
            let digest = found.last_mut().context("psql printed a row before the first table")?;
            digest.rows += 1;
            digest.sum = digest.sum.wrapping_add(xxh3_128(line));
        }
        Ok(())
    })?;
    let pairs = tables.into_iter().zip(found);
    Ok(pairs.map(|(table, digest)| (table.label(), (table, digest))).collect())
}

/// Lists the tables of a side.
fn tables(comparison: &Comparison, uri: &str) -> Result<Vec<Table>> {
    let schemas: Vec<String> =
        comparison.excluded_schemas.iter().map(|name| quote_literal(name)).collect();
    let excluded = format!("array[{}]::text[]", schemas.join(", "));
    let script = TABLES.replace("{excluded}", &excluded);
    session::all_lines(uri, &script)?
        .iter()
        .map(|line| {
            let fields: Vec<String> = line.split('\t').map(unescape).collect();
            let [schema, name, kind, columns] = fields.try_into().ok().context("list tables")?;
            Ok(Table { schema, name, materialized: kind == "m", columns })
        })
        .collect()
}

/// Finds some rows that only one side of a table has.
fn name_rows(
    comparison: &Comparison,
    source: &Table,
    target: &Table,
    found: &mut TableDifference,
) -> Result<()> {
    if source.columns != target.columns {
        found.only_in_source.push(format!("columns {}", source.columns));
        found.only_in_target.push(format!("columns {}", target.columns));
        return Ok(());
    }
    // How many more rows with this hash the source has.
    let mut balance: HashMap<u128, i64> = HashMap::new();
    let copy = source.copy();
    session::lines(comparison.uri(Side::Source), &copy, |row| {
        *balance.entry(xxh3_128(row)).or_default() += 1;
        Ok(())
    })?;
    session::lines(comparison.uri(Side::Target), &copy, |row| {
        let count = balance.entry(xxh3_128(row)).or_default();
        *count -= 1;
        if *count < 0 && found.only_in_target.len() < SAMPLES_MAX {
            found.only_in_target.push(sample(row));
        }
        Ok(())
    })?;
    balance.retain(|_, count| *count > 0);
    session::lines(comparison.uri(Side::Source), &copy, |row| {
        let Some(count) = balance.get_mut(&xxh3_128(row)).filter(|count| **count > 0) else {
            return Ok(());
        };
        *count -= 1;
        if found.only_in_source.len() < SAMPLES_MAX {
            found.only_in_source.push(sample(row));
        }
        Ok(())
    })
}

/// The beginning of a row, for people.
fn sample(row: &[u8]) -> String {
    String::from_utf8_lossy(row).chars().take(SAMPLE_CHARS_MAX).collect()
}

/// Takes back the escapes of COPY text.
fn unescape(field: &str) -> String {
    let mut plain = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('v') => plain.push('\u{b}'),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn copy_escapes_are_taken_back() {
        assert_eq!(unescape(r"a\\b\tc\nd"), "a\\b\tc\nd");
    }
}
