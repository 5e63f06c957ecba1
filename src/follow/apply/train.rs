//! Statements sent in one go, with what each must report.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use proto::types::FormatCode;

use crate::base::error::{Error, Result};
use crate::connect::client::{Parameter, QueueResult, Session};

/// What a statement must report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Anything.
    Any,
    /// This many rows touched, by a statement over many rows.
    Rows(u64),
    /// One row touched, by the step of the batch at this position.
    Step(usize),
    /// Anything, by the step of the batch at this position.
    StepAny(usize),
    /// One row: the position was where we believed it to be.
    Position,
}

/// Why a train did not arrive.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error, and the step it belongs to where that is known.
    Error(Error, Option<usize>),
    /// A statement over many rows touched another number of rows.
    Rows,
    /// Another process moved the position.
    Position,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error, None)
    }
}

/// A step that did not touch exactly one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed {
    /// The step's position in the batch.
    pub(super) step: usize,
    /// Rows touched.
    pub(super) rows: u64,
}

/// Prepared statements of a session, by their text.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    names: HashMap<Arc<str>, Arc<str>>,
    counter: u64,
}

/// Prepared statements kept at most; beyond that all are dropped and made again as needed.
const PREPARED_MAX: usize = 4_000;

/// A train being loaded.
#[derive(Debug)]
pub(super) struct Train<'a> {
    session: &'a mut Session,
    prepared: &'a mut Prepared,
    /// Statements prepared by this train: known to exist only when it has arrived.
    fresh: HashMap<Arc<str>, Arc<str>>,
    expects: Vec<Expect>,
    results: Vec<QueueResult>,
}

impl<'a> Train<'a> {
    /// An empty train.
    pub(super) fn new(session: &'a mut Session, prepared: &'a mut Prepared) -> Self {
        Self { session, prepared, fresh: HashMap::new(), expects: Vec::new(), results: Vec::new() }
    }

    /// Adds a statement that is used once, with parameters in text form.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn text(
        &mut self,
        sql: &str,
        params: &[Parameter<'_>],
        expect: Expect,
    ) -> Result<()> {
        self.session.queue_statement(sql, params)?;
        self.expects.push(expect);
        Ok(())
    }

    /// Adds a prepared statement; `copy` is the data where it is a COPY.
    ///
    /// # Errors
    /// `Internal` for parameters that no message can hold.
    pub(super) fn add(
        &mut self,
        sql: &Arc<str>,
        params: &[Parameter<'_>],
        formats: &[FormatCode],
        copy: Option<&[u8]>,
        expect: Expect,
    ) -> Result<()> {
        let name = self.statement(sql)?;
        self.session.queue_execute(&name, params, formats)?;
        if let Some(data) = copy {
            self.session.queue_copy(data)?;
        }
        self.expects.push(expect);
        Ok(())
    }

    /// Adds a prepared statement with values of a change: large ones are not copied.
    ///
    /// # Errors
    /// Those of [`Train::add`].
    pub(super) fn add_values(
        &mut self,
        sql: &Arc<str>,
        params: &[Option<&Bytes>],
        formats: &[FormatCode],
        expect: Expect,
    ) -> Result<()> {
        let name = self.statement(sql)?;
        self.session.queue_execute_lent(&name, params, formats)?;
        self.expects.push(expect);
        Ok(())
    }

    /// The name of a prepared statement, prepared on the way where it is new.
    fn statement(&mut self, sql: &Arc<str>) -> Result<Arc<str>> {
        let known = self.prepared.names.get(sql).or_else(|| self.fresh.get(sql));
        if let Some(name) = known {
            return Ok(Arc::clone(name));
        }
        self.prepared.counter += 1;
        let name: Arc<str> = format!("apply_{}", self.prepared.counter).into();
        self.session.queue_parse(&name, sql)?;
        self.fresh.insert(Arc::clone(sql), Arc::clone(&name));
        Ok(name)
    }

    /// Statements and bytes loaded.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.expects.len(), self.session.queued_bytes())
    }

    /// Sends the train and checks what each statement reports; steps that did not touch one row are
    /// added to `missed`. The train is empty afterwards.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) async fn run(&mut self, missed: &mut Vec<Missed>) -> Result<(), Failure> {
        if self.expects.is_empty() {
            return Ok(());
        }
        let expects = std::mem::take(&mut self.expects);
        let sent = self.session.run_queue(&mut self.results).await;
        if let Err(error) = sent {
            self.fresh.clear();
            let step = match expects.get(self.results.len()) {
                Some(Expect::Step(step) | Expect::StepAny(step)) => Some(*step),
                _ => None,
            };
            return Err(Failure::Error(error, step));
        }
        self.prepared.names.extend(self.fresh.drain());
        for (expect, result) in expects.iter().zip(&self.results) {
            let rows = result.affected.unwrap_or(0);
            match *expect {
                Expect::Any | Expect::StepAny(_) => {}
                Expect::Rows(expected) if rows != expected => return Err(Failure::Rows),
                Expect::Position if rows != 1 => return Err(Failure::Position),
                Expect::Step(step) if rows != 1 => missed.push(Missed { step, rows }),
                Expect::Rows(_) | Expect::Position | Expect::Step(_) => {}
            }
        }
        Ok(())
    }

    /// Results of the last run.
    pub(super) fn results(&self) -> &[QueueResult] {
        &self.results
    }
}

impl Prepared {
    /// Drops all prepared statements when there are too many.
    ///
    /// # Errors
    /// Those of the statement.
    pub(super) async fn trim(&mut self, session: &mut Session) -> Result<()> {
        if self.names.len() > PREPARED_MAX {
            session.execute("deallocate all").await?;
            self.names.clear();
        }
        Ok(())
    }
}
