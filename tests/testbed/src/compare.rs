//! Judges two databases by what their servers say, never by what the migration tool says.
//!
//! | part | asks | covers |
//! |---|---|---|
//! | [`schema_diff`] | one `pg_dump` for both sides | every definition, owner, privilege, comment |
//! | [`object_diff`] | the catalogs | what pg_dump does not print, sequences, large objects, settings |
//! | [`row_diff`] | `COPY` of every table | every row of every table and materialized view |
//!
//! To add a check, add a query to [`objects`] that prints one line per object; the lines of both
//! sides are compared as multisets.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};

use crate::install::{Installation, Major};

mod objects;
mod rows;
mod schema;
mod session;

pub use rows::{TableDifference, TableRows};

/// One of the two ends of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Where the data comes from.
    Source,
    /// Where the data goes to.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// A definition or property that only one side has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The side that has it.
    pub only_in: Side,
    /// What it is: kind and name, then the statement or the property values.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only in {}: {}", self.only_in, self.text)
    }
}

/// Two databases and what to leave out when comparing them.
#[derive(Debug, Clone)]
pub struct Comparison {
    source: String,
    target: String,
    /// Schemas that are left out on both sides.
    excluded_schemas: Vec<String>,
    /// Further arguments of `pg_dump`, such as `--no-owner`.
    dump_arguments: Vec<String>,
}

impl Comparison {
    /// Compares everything in two databases, given by connection string.
    #[must_use]
    pub fn new(source: &str, target: &str) -> Self {
        Self {
            source: source.to_owned(),
            target: target.to_owned(),
            excluded_schemas: Vec::new(),
            dump_arguments: Vec::new(),
        }
    }

    /// Leaves a schema out on both sides.
    #[must_use]
    pub fn exclude_schema(mut self, name: &str) -> Self {
        self.excluded_schemas.push(name.to_owned());
        self
    }

    /// Adds an argument to both runs of `pg_dump`.
    #[must_use]
    pub fn dump_argument(mut self, argument: &str) -> Self {
        self.dump_arguments.push(argument.to_owned());
        self
    }

    /// Compares definitions, properties and rows.
    ///
    /// # Errors
    /// When a side cannot be read.
    pub fn run(&self) -> Result<Report> {
        let (definition_count, definitions) = schema::diff(self)?;
        let (kinds, properties) = objects::diff(self)?;
        let (tables, rows) = rows::diff(self)?;
        Ok(Report { definitions, properties, rows, definition_count, kinds, tables })
    }

    /// Compares definitions with `pg_dump --schema-only`.
    ///
    /// # Errors
    /// When no installed `pg_dump` can read both servers, or it fails.
    pub fn schema(&self) -> Result<Vec<Difference>> {
        Ok(schema::diff(self)?.1)
    }

    /// Compares sequences, large objects, settings and the properties pg_dump does not print.
    ///
    /// # Errors
    /// When a side cannot be read.
    pub fn objects(&self) -> Result<Vec<Difference>> {
        Ok(objects::diff(self)?.1)
    }

    /// Compares rows; returns what each table of the source holds, and the tables that differ.
    ///
    /// # Errors
    /// When a side cannot be read.
    pub fn rows(&self) -> Result<(Vec<TableRows>, Vec<TableDifference>)> {
        rows::diff(self)
    }

    /// Connection string of a side.
    fn uri(&self, side: Side) -> &str {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }
}

/// Everything that was compared, and what differs.
#[derive(Debug, Clone)]
pub struct Report {
    /// Statements of `pg_dump --schema-only` that one side lacks.
    pub definitions: Vec<Difference>,
    /// Properties, sequences, large objects that one side lacks or has otherwise.
    pub properties: Vec<Difference>,
    /// Tables whose rows differ.
    pub rows: Vec<TableDifference>,
    /// Number of statements that `pg_dump --schema-only` prints for the source.
    pub definition_count: usize,
    /// How many objects of each kind the source has, by name: `table`, `view`, `index`,
    /// `sequence`, `large object` and so on.
    pub kinds: BTreeMap<String, usize>,
    /// Tables of the source with their row counts.
    pub tables: Vec<TableRows>,
}

impl Report {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.definitions.is_empty() && self.properties.is_empty() && self.rows.is_empty()
    }

    /// Number of rows of all tables of the source.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Ends a test when something differs.
    ///
    /// # Panics
    /// With the whole report.
    pub fn assert_same(&self) {
        assert!(self.is_same(), "source and target differ\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in self.definitions.iter().chain(&self.properties) {
            writeln!(f, "{difference}")?;
        }
        for table in &self.rows {
            writeln!(f, "{table}")?;
        }
        let (tables, rows) = (self.tables.len(), self.row_count());
        let verdict = if self.is_same() { "no difference" } else { "different" };
        write!(f, "{verdict}: {tables} tables with {rows} rows compared")
    }
}

/// Compares definitions, properties and rows of two databases.
///
/// # Errors
/// When a side cannot be read.
pub fn compare(source: &str, target: &str) -> Result<Report> {
    Comparison::new(source, target).run()
}

/// Compares definitions, see [`Comparison::schema`].
///
/// # Errors
/// When a side cannot be read.
pub fn schema_diff(source: &str, target: &str) -> Result<Vec<Difference>> {
    Comparison::new(source, target).schema()
}

/// Compares properties, sequences and large objects, see [`Comparison::objects`].
///
/// # Errors
/// When a side cannot be read.
pub fn object_diff(source: &str, target: &str) -> Result<Vec<Difference>> {
    Comparison::new(source, target).objects()
}

/// Compares rows, see [`Comparison::rows`].
///
/// # Errors
/// When a side cannot be read.
pub fn row_diff(source: &str, target: &str) -> Result<Vec<TableDifference>> {
    Ok(Comparison::new(source, target).rows()?.1)
}

/// Runs one piece of work for each side at the same time.
fn both<T: Send>(work: impl Fn(Side) -> Result<T> + Sync) -> Result<(T, T)> {
    std::thread::scope(|scope| {
        let source = scope.spawn(|| work(Side::Source).context("read the source"));
        let target = work(Side::Target).context("read the target");
        let source = source.join().map_err(|_| anyhow::anyhow!("a reader of the source panicked"));
        Ok((source??, target?))
    })
}

/// Lists what one multiset of texts has and the other has not.
fn multiset_diff(source: Vec<String>, target: Vec<String>) -> Vec<Difference> {
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    for text in source {
        *balance.entry(text).or_default() += 1;
    }
    for text in target {
        *balance.entry(text).or_default() -= 1;
    }
    let mut differences = Vec::new();
    for (text, count) in balance {
        let only_in = if count > 0 { Side::Source } else { Side::Target };
        for _ in 0..count.unsigned_abs() {
            differences.push(Difference { only_in, text: text.clone() });
        }
    }
    differences
}

/// The installed programs, preferring version 15, which can speak TLS.
fn client() -> Result<Installation> {
    Major::ALL
        .into_iter()
        .find_map(Installation::find_installed)
        .context("no PostgreSQL programs installed to compare with")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Owned texts.
    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn multiset_diff_counts_repetitions() {
        let found = multiset_diff(texts(&["a", "b", "b"]), texts(&["b", "a", "c"]));
        let expected = [(Side::Source, "b"), (Side::Target, "c")]
            .map(|(only_in, text)| Difference { only_in, text: text.to_owned() });
        assert_eq!(found, expected);
    }
}
