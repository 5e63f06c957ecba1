//! Small owned results.

use crate::base::error::{Error, Result};

/// Rows of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Column names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Rows {
    /// The only row.
    ///
    /// # Errors
    /// `Internal` when there is none or more than one.
    pub fn one(&self) -> Result<&Row> {
        match self.rows.as_slice() {
            [row] => Ok(row),
            rows => {
                Err(Error::internal(format!("a query that yields one row returned {}", rows.len())))
            }
        }
    }
}

/// One row: values in text form (or binary, where the pipeline asked for it), `None` is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    values: Vec<Option<Vec<u8>>>,
}

impl Row {
    /// A row of these values.
    pub fn new(values: Vec<Option<Vec<u8>>>) -> Self {
        Self { values }
    }

    /// The value as text; an error names the column's index. NULL is an error here.
    pub fn text(&self, index: usize) -> Result<&str> {
        self.optional_text(index)?
            .ok_or_else(|| Error::internal(format!("column {index} of a catalog query is null")))
    }

    /// The value as text, or `None` for NULL.
    pub fn optional_text(&self, index: usize) -> Result<Option<&str>> {
        let value = self
            .values
            .get(index)
            .ok_or_else(|| Error::internal(format!("a catalog query has no column {index}")))?;
        match value {
            None => Ok(None),
            Some(bytes) => std::str::from_utf8(bytes)
                .map(Some)
                .map_err(|_| Error::internal(format!("column {index} of a query is not UTF-8"))),
        }
    }

    /// The raw bytes, or `None` for NULL or a missing column.
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        self.values.get(index)?.as_deref()
    }

    /// The value parsed from its text form; booleans are read by [`Row::flag`].
    pub fn parse<T: std::str::FromStr>(&self, index: usize) -> Result<T> {
        let text = self.text(index)?;
        text.parse().map_err(|_| {
            Error::internal(format!("column {index} of a catalog query has the value \"{text}\""))
        })
    }

    /// Like [`Row::parse`], `None` for NULL.
    pub fn parse_optional<T: std::str::FromStr>(&self, index: usize) -> Result<Option<T>> {
        match self.optional_text(index)? {
            None => Ok(None),
            Some(_) => self.parse(index).map(Some),
        }
    }

    /// A boolean column.
    pub fn flag(&self, index: usize) -> Result<bool> {
        Ok(self.text(index)? == "t")
    }
}

/// One statement's result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandResult {
    /// The command tag ("COPY 12", "SELECT 3").
    pub tag: String,
    /// The row count in the tag, when it has one.
    pub rows: Option<u64>,
}
