//! Prepared statements and COPY data queued up and sent as one train, for callers that send much
//! and read little.
//!
//! ```text
//!  Parse* (Bind Execute | Bind Execute CopyData CopyDone)* Sync ──► one round trip
//! ```
//!
//! COPY data follows its Execute without waiting for CopyInResponse: a server whose COPY failed to
//! start passes over it on its way to Sync.
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html>, "COPY Operations".

use bytes::Bytes;
use proto::frontend;
use proto::types::FormatCode;

use super::query::Step;
use super::{Row, Session};
use crate::base::error::Result;
use crate::base::log::SQL;

/// What one queued statement returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueResult {
    /// The row count in its command tag, when it has one.
    pub affected: Option<u64>,
    /// Its rows, in text form.
    pub rows: Vec<Row>,
}

/// A parameter of a queued statement; `None` is NULL.
pub type Parameter<'a> = Option<&'a [u8]>;

/// Largest CopyData message that the queue makes, in bytes: a server holds a message as a whole.
const COPY_MESSAGE_BYTES: usize = 1 << 20;

/// Values of so many bytes are sent from where they lie. Below it a copy costs less than a system call
/// of its own.
const LENT_BYTES_MIN: usize = 64 * 1024;

impl Session {
    /// Queues a Parse of a named statement. The name must be new to this session.
    ///
    /// # Errors
    /// `Internal` for text with a zero byte; the queue is empty then.
    pub fn queue_parse(&mut self, name: &str, sql: &str) -> Result<()> {
        tracing::debug!(target: SQL, "[{} {}] prepare {name}: {sql}", self.side, self.process_id());
        frontend::parse(name, sql, &[], &mut self.write).map_err(|error| self.encode_error(&error))
    }

    /// Queues an execution of a named statement. `formats` has one entry per parameter, or one for
    /// all.
    ///
    /// # Errors
    /// `Internal` for more than 65 535 parameters or 1 GiB in all; the queue is empty then.
    pub fn queue_execute(
        &mut self,
        name: &str,
        params: &[Parameter<'_>],
        formats: &[FormatCode],
    ) -> Result<()> {
        let buffer = &mut self.write;
        frontend::bind("", name, params, formats, FormatCode::Text, buffer)
            .and_then(|()| frontend::execute("", 0, buffer))
            .map_err(|error| self.encode_error(&error))
    }

    /// The same with values that are kept and not copied where they are large.
    ///
    /// # Errors
    /// Those of [`Session::queue_execute`].
    pub fn queue_execute_lent(
        &mut self,
        name: &str,
        params: &[Option<&Bytes>],
        formats: &[FormatCode],
    ) -> Result<()> {
        let values = frontend::BindValues {
            parameters: params,
            parameter_formats: formats,
            result_format: FormatCode::Text,
            gap_from: LENT_BYTES_MIN,
        };
        let gaps = frontend::bind_with_gaps("", name, &values, &mut self.write)
            .map_err(|error| self.encode_error(&error))?;
        for gap in gaps {
            let value = params.get(gap.parameter).copied().flatten();
            self.lent.extend(value.map(|value| (gap.at, value.clone())));
        }
        frontend::execute("", 0, &mut self.write).map_err(|error| self.encode_error(&error))
    }

    /// Queues an execution of a statement that is used once.
    ///
    /// # Errors
    /// Those of [`Session::queue_execute`].
    pub fn queue_statement(&mut self, sql: &str, params: &[Parameter<'_>]) -> Result<()> {
        tracing::debug!(target: SQL, "[{} {}] {sql}", self.side, self.process_id());
        self.encode_statement(sql, params, false)
    }

    /// Like [`Session::queue_statement`], with parameters in binary form.
    ///
    /// # Errors
    /// Those of [`Session::queue_execute`].
    pub fn queue_binary(&mut self, sql: &str, params: &[Parameter<'_>]) -> Result<()> {
        tracing::debug!(target: SQL, "[{} {}] {sql}", self.side, self.process_id());
        self.encode_statement(sql, params, true)
    }

    /// Queues the data of a COPY FROM STDIN whose execution was queued last, and its end.
    ///
    /// # Errors
    /// None in practice: messages are kept short.
    pub fn queue_copy(&mut self, data: &[u8]) -> Result<()> {
        for payload in data.chunks(COPY_MESSAGE_BYTES) {
            frontend::copy_data(payload, &mut self.write)
                .map_err(|error| self.encode_error(&error))?;
        }
        frontend::copy_done(&mut self.write);
        Ok(())
    }

    /// Bytes queued and not sent.
    pub fn queued_bytes(&self) -> usize {
        self.write.len() + self.lent.iter().map(|(_, value)| value.len()).sum::<usize>()
    }

    /// Sends the queue and a Sync and reads the results into `results`, one per statement that was
    /// executed; after an error its length says which one failed.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// The first server error, the rest was passed over; the session is in step again.
    pub async fn run_queue(&mut self, results: &mut Vec<QueueResult>) -> Result<()> {
        frontend::sync(&mut self.write);
        self.flush().await?;
        results.clear();
        let mut current = QueueResult::default();
        let mut failure = None;
        loop {
            match self.step().await? {
                Step::Row(row) => current.rows.push(row),
                Step::Complete(command) => {
                    current.affected = command.rows;
                    results.push(std::mem::take(&mut current));
                }
                Step::Failed(error) => failure = failure.or(Some(error)),
                Step::Ready => return failure.map_or(Ok(()), Err),
                // The data was sent already.
                Step::Copy | Step::Columns(_) | Step::Nothing => {}
            }
        }
    }

    /// Drops what is queued.
    pub fn clear_queue(&mut self) {
        self.write.clear();
        self.lent.clear();
    }
}
