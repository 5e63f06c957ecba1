//! Many statements, one round trip.

use proto::backend::tag;
use proto::frontend;

use super::query::Step;
use super::{Rows, Session};
use crate::base::error::Result;
use crate::base::log::SQL;

/// One statement of a pipeline.
#[derive(Debug, Clone)]
pub struct PipelineStatement<'a> {
    /// SQL text with `$1` placeholders.
    pub sql: &'a str,
    /// Parameter values; `None` is NULL.
    pub params: Vec<Option<&'a [u8]>>,
    /// All parameters, and the values of the result, are in binary form.
    pub binary: bool,
}

impl Session {
    /// Sends all statements (Parse, Bind, Execute each, then one Sync) and reads their results.
    ///
    /// They are one implicit transaction unless one is open; the first error aborts the rest.
    /// Statements and results are in memory as a whole: the caller bounds them.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// The first server error; the session is in step again afterwards.
    pub async fn pipeline(&mut self, statements: &[PipelineStatement<'_>]) -> Result<Vec<Rows>> {
        for statement in statements {
            tracing::debug!(target: SQL, "[{} {}] {}", self.side, self.process_id(), statement.sql);
            self.encode_statement(statement.sql, &statement.params, statement.binary)?;
        }
        frontend::sync(&mut self.write);
        self.flush().await?;
        let mut results = Vec::with_capacity(statements.len());
        let mut rows = Rows::default();
        let mut failure = None;
        loop {
            match self.step().await? {
                Step::Row(row) => rows.rows.push(row),
                Step::Complete(_) => results.push(std::mem::take(&mut rows)),
                Step::Failed(error) => failure = failure.or(Some(error)),
                Step::Ready => return failure.map_or(Ok(results), Err),
                Step::Copy => return Err(self.unexpected(tag::COPY_IN_RESPONSE, "a pipeline")),
                Step::Columns(_) | Step::Nothing => {}
            }
        }
    }
}
