//! Sessions: a connected, authenticated stream and the queries, pipelines and COPY on it.
//!
//! A session is used by one task at a time (`&mut self`). After an error of class `Transient` it is
//! unusable and must be dropped; after a server error it is in sync again and may be used on, in a
//! failed transaction if one was open.

use std::collections::BTreeMap;

use super::conninfo::ConnInfo;
use super::net::Stream;
use crate::base::error::{Error, Result, Side};

/// A session with one server.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    side: Side,
    parameters: BTreeMap<String, String>,
    process_id: u32,
}

/// Rows of a query, every value in text form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Column names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One row: values in text form, `None` is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    values: Vec<Option<Vec<u8>>>,
}

impl Row {
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

    /// The value parsed from its text form; `t` and `f` are booleans through [`Row::flag`].
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

/// A statement's result without rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandResult {
    /// The command tag ("COPY 12", "SELECT 3").
    pub tag: String,
    /// The row count in the tag, when it has one.
    pub rows: Option<u64>,
}

impl Session {
    /// Connects to the first host that answers and suits, authenticates, and runs nothing else.
    ///
    /// # Errors
    /// Class `Permission` for a refused password, `Transient` when no host could be reached.
    pub async fn connect(side: Side, info: &ConnInfo, role: &str) -> Result<Self> {
        let _ = (info, role);
        tokio::task::yield_now().await;
        Err(Error::new(side, crate::base::error::ErrorKind::Internal("not built yet".into())))
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The backend's process id.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// A parameter that the server reported (`server_version`, `server_encoding`, …).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Runs one or several statements through the simple protocol; rows are thrown away. Returns one
    /// result per statement.
    pub async fn execute(&mut self, sql: &str) -> Result<Vec<CommandResult>> {
        let _ = (sql, &self.stream);
        tokio::task::yield_now().await;
        Err(Error::internal("not built yet"))
    }

    /// Runs one statement with text parameters through the extended protocol and collects its rows.
    pub async fn query(&mut self, sql: &str, params: &[Option<&str>]) -> Result<Rows> {
        let _ = (sql, params);
        tokio::task::yield_now().await;
        Err(Error::internal("not built yet"))
    }

    /// Like [`Session::query`], each row handed to `row` as it arrives, none kept: for large
    /// catalogs.
    pub async fn query_each(
        &mut self,
        sql: &str,
        params: &[Option<&str>],
        row: impl FnMut(Row) -> Result<()> + Send,
    ) -> Result<()> {
        let _ = (sql, params, row);
        tokio::task::yield_now().await;
        Err(Error::internal("not built yet"))
    }

    /// Sends many statements with parameters in one go (Parse/Bind/Execute … Sync) and reads their
    /// results; parameters may be binary-safe bytes in text form, or binary when `binary` is set.
    /// One implicit transaction unless one is open. The first error aborts the rest.
    pub async fn pipeline(&mut self, statements: &[PipelineStatement<'_>]) -> Result<Vec<Rows>> {
        let _ = statements;
        tokio::task::yield_now().await;
        Err(Error::internal("not built yet"))
    }
}

/// One statement of a pipeline.
#[derive(Debug, Clone)]
pub struct PipelineStatement<'a> {
    /// SQL text with `$1` placeholders.
    pub sql: &'a str,
    /// Parameter values; `None` is NULL.
    pub params: Vec<Option<&'a [u8]>>,
    /// Parameters are in binary form (all of them), and so are the result's values.
    pub binary: bool,
}
