//! Simple and extended queries with small owned results.

use proto::backend::{BackendMessage, tag};
use proto::frontend;
use proto::types::FormatCode;

use super::{CommandResult, PipelineStatement, Row, Rows, Session};
use crate::base::error::{Error, Result};
use crate::base::log::SQL;

/// What one statement of a simple query returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementResult {
    /// Its command tag.
    pub command: CommandResult,
    /// Its rows, none for most statements.
    pub rows: Rows,
}

/// What the next message of a result meant.
pub(super) enum Step {
    /// Columns of the rows that follow.
    Columns(Vec<String>),
    /// One row.
    Row(Row),
    /// A statement ended.
    Complete(CommandResult),
    /// The server waits for a command.
    Ready,
    /// The server entered COPY IN or COPY OUT.
    Copy,
    /// Something to pass over (ParseComplete, BindComplete, NoData, …).
    Nothing,
    /// The server reported an error; ReadyForQuery follows.
    Failed(Error),
}

/// How the results of statements ended.
pub(super) enum End {
    /// The server waits for a command.
    Ready,
    /// The server entered COPY IN or COPY OUT.
    Copy,
}

impl Session {
    /// Runs one or several statements through the simple protocol. Returns one result per
    /// statement, rows left out.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// The first server error; the session is in step again afterwards.
    pub async fn execute(&mut self, sql: &str) -> Result<Vec<CommandResult>> {
        let results = self.simple_query(sql).await?;
        Ok(results.into_iter().map(|result| result.command).collect())
    }

    /// Like [`Session::execute`], for statements that hold a secret: the log shows `shown` instead.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// Those of [`Session::execute`].
    pub async fn execute_secret(&mut self, sql: &str, shown: &str) -> Result<Vec<CommandResult>> {
        tracing::debug!(target: SQL, "[{} {}] {shown}", self.side, self.process_id());
        let results = self.run_simple(sql).await?;
        Ok(results.into_iter().map(|result| result.command).collect())
    }

    /// Like [`Session::execute`], with the rows of each statement.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<StatementResult>> {
        tracing::debug!(target: SQL, "[{} {}] {sql}", self.side, self.process_id());
        self.run_simple(sql).await
    }

    /// Sends statements and reads their results; logs nothing.
    async fn run_simple(&mut self, sql: &str) -> Result<Vec<StatementResult>> {
        frontend::query(sql, &mut self.write).map_err(|error| self.encode_error(&error))?;
        self.flush().await?;
        match self.read_results().await? {
            (results, End::Ready) => Ok(results),
            (_, End::Copy) => Err(self.unexpected(tag::COPY_IN_RESPONSE, "a query")),
        }
    }

    /// Reads the results of statements until ReadyForQuery, or until the server enters copy mode.
    ///
    /// # Errors
    /// The first server error, once the server waits for a command.
    pub(super) async fn read_results(&mut self) -> Result<(Vec<StatementResult>, End)> {
        let mut results = Vec::new();
        let mut rows = Rows::default();
        let mut failure = None;
        loop {
            match self.step().await? {
                Step::Columns(columns) => rows.columns = columns,
                Step::Row(row) => rows.rows.push(row),
                Step::Complete(command) => {
                    results.push(StatementResult { command, rows: std::mem::take(&mut rows) });
                }
                Step::Failed(error) => failure = failure.or(Some(error)),
                Step::Copy => return Ok((results, End::Copy)),
                Step::Nothing => {}
                Step::Ready => return failure.map_or(Ok((results, End::Ready)), Err),
            }
        }
    }

    /// Runs one statement with text parameters through the extended protocol and collects its rows.
    ///
    /// Not cancel safe.
    pub async fn query(&mut self, sql: &str, params: &[Option<&str>]) -> Result<Rows> {
        let mut rows = Rows::default();
        self.query_each(sql, params, |row| {
            rows.rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Like [`Session::query`], each row handed to `row` as it arrives and none kept: for large
    /// catalogs. After an error of `row` the rest is read and thrown away.
    pub async fn query_each(
        &mut self,
        sql: &str,
        params: &[Option<&str>],
        row: impl FnMut(Row) -> Result<()> + Send,
    ) -> Result<()> {
        let params: Vec<Option<&[u8]>> =
            params.iter().map(|value| value.map(str::as_bytes)).collect();
        self.statement_each(&PipelineStatement { sql, params, binary: false }, row).await
    }

    /// Like [`Session::query_each`], for parameters and values in binary form, too.
    pub async fn statement_each(
        &mut self,
        statement: &PipelineStatement<'_>,
        mut row: impl FnMut(Row) -> Result<()> + Send,
    ) -> Result<()> {
        let PipelineStatement { sql, params, binary } = statement;
        tracing::debug!(target: SQL, "[{} {}] {sql}", self.side, self.process_id());
        self.encode_statement(sql, params, *binary)?;
        frontend::sync(&mut self.write);
        self.flush().await?;
        let mut failure = None;
        loop {
            match self.step().await? {
                Step::Row(value) if failure.is_none() => failure = row(value).err(),
                Step::Failed(error) => failure = failure.or(Some(error)),
                Step::Ready => return failure.map_or(Ok(()), Err),
                Step::Copy => return Err(self.unexpected(tag::COPY_IN_RESPONSE, "a query")),
                Step::Row(_) | Step::Columns(_) | Step::Complete(_) | Step::Nothing => {}
            }
        }
    }

    /// Appends Parse, Bind, Describe and Execute of one unnamed statement to the write buffer.
    pub(super) fn encode_statement(
        &mut self,
        sql: &str,
        params: &[Option<&[u8]>],
        binary: bool,
    ) -> Result<()> {
        let format = if binary { FormatCode::Binary } else { FormatCode::Text };
        let buffer = &mut self.write;
        let encoded = frontend::parse("", sql, &[], buffer)
            .and_then(|()| frontend::bind("", "", params, &[format], format, buffer))
            .and_then(|()| frontend::execute("", 0, buffer));
        encoded.map_err(|error| self.encode_error(&error))
    }

    /// An error for a statement that cannot be put on the wire.
    pub(super) fn encode_error(&mut self, error: &frontend::EncodeError) -> Error {
        self.clear_queue();
        Error::internal(format!("statement cannot be sent: {error}"))
    }

    /// Reads one message of a result and says what it means.
    ///
    /// Cancel safe.
    pub(super) async fn step(&mut self) -> Result<Step> {
        let (message_tag, length) = self.wait_frame().await?;
        let step = match self.decode_front(message_tag, length)? {
            BackendMessage::RowDescription(columns) => Step::Columns(
                columns
                    .iter()
                    .map(|field| String::from_utf8_lossy(field.name).into_owned())
                    .collect(),
            ),
            BackendMessage::DataRow(row) => {
                Step::Row(Row::new(row.iter().map(|value| value.map(<[u8]>::to_vec)).collect()))
            }
            BackendMessage::CommandComplete(command) => Step::Complete(CommandResult {
                rows: command.rows(),
                tag: command.text().into_owned(),
            }),
            BackendMessage::EmptyQueryResponse
            | BackendMessage::ParseComplete
            | BackendMessage::BindComplete
            | BackendMessage::CloseComplete
            | BackendMessage::NoData
            | BackendMessage::ParameterDescription(_)
            | BackendMessage::CopyDone => Step::Nothing,
            BackendMessage::ReadyForQuery(status) => {
                self.status = status;
                Step::Ready
            }
            BackendMessage::CopyInResponse(_) | BackendMessage::CopyOutResponse(_) => Step::Copy,
            BackendMessage::ErrorResponse(message) => Step::Failed(self.server_error(*message)),
            _ => return Err(self.unexpected(message_tag, "a query")),
        };
        self.consume(length);
        match step {
            // Nothing follows a FATAL error: waiting for ReadyForQuery would turn the server's own
            // words into "connection lost".
            Step::Failed(error) if self.broken => Err(error),
            step => Ok(step),
        }
    }
}
