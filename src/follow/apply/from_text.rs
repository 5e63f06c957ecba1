//! Applies changes that come as SQL text, ours or that of earlier versions of this tool.
//!
//! For hand-made repairs and for changes kept as files: each statement as it stands, each source
//! transaction as one on the target, with its position.

use std::collections::HashMap;
use std::sync::Arc;

use proto::lsn::Lsn;

use super::position::Position;
use super::train::{Expect, Failure, Prepared, Train};
use crate::base::error::{Error, Result, Side};
use crate::config::FollowConfig;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::follow::text::{Line, parse_line};

/// Applies lines of SQL text.
#[derive(Debug)]
pub struct TextApplier {
    session: Session,
    position: Position,
    prepared: Prepared,
    /// Statements of earlier versions' format by their names.
    statements: HashMap<String, Arc<str>>,
    endpos: Option<Lsn>,
    ignore_missing_rows: bool,
    open: Option<OpenText>,
    reached: bool,
    transactions: u64,
}

/// The transaction that has not ended.
#[derive(Debug, Default)]
struct OpenText {
    xid: u32,
    skipped: bool,
    /// Statements not sent yet: text, arguments.
    waiting: Vec<(Arc<str>, Vec<Option<String>>)>,
    waiting_bytes: usize,
}

/// Statements that wait at most before they are sent.
const WAITING_MAX: usize = 1_000;

/// Bytes of statements that wait at most.
const WAITING_BYTES_MAX: usize = 4 << 20;

impl TextApplier {
    /// Connects to the target and takes hold of its position.
    ///
    /// # Errors
    /// `State` without a position; what connecting and the queries report.
    pub async fn open(config: &FollowConfig) -> Result<Self> {
        let mut backoff = Backoff::brief();
        let mut session =
            Session::connect_patiently(Side::Target, &config.target, "apply", &mut backoff).await?;
        settings::pin(&mut session, SessionRole::TargetWriter).await?;
        // One commit per source transaction, each the only copy of its change here.
        session.execute("set synchronous_commit = on").await?;
        let position = Position::open(&mut session, &config.origin).await?;
        let endpos = config.endpos.filter(|lsn| lsn.is_valid());
        Ok(Self {
            reached: endpos.is_some_and(|endpos| position.current() >= endpos),
            session,
            position,
            prepared: Prepared::default(),
            statements: HashMap::new(),
            endpos,
            ignore_missing_rows: config.ignore_missing_rows,
            open: None,
            transactions: 0,
        })
    }

    /// Where the target stands.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.position.current()
    }

    /// Whether the end position is reached.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.reached
    }

    /// Transactions applied.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Takes one line.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// `Config` for a line that cannot be read; the server's error, with the transaction's number. The
    /// transactions before it are applied.
    pub async fn line(&mut self, line: &str) -> Result<()> {
        match parse_line(line)? {
            Line::Begin { xid, start, end } => self.begin(xid, start, end).await,
            Line::Statement(sql) => self.statement(sql.into(), Vec::new()).await,
            Line::Prepare { name, sql } => {
                self.statements.insert(name.to_owned(), sql.into());
                Ok(())
            }
            Line::Execute { name, arguments } => {
                let Some(sql) = self.statements.get(name) else {
                    return Err(Error::config(format!("statement \"{name}\" is not prepared")));
                };
                let sql = Arc::clone(sql);
                self.statement(sql, arguments).await
            }
            Line::Commit { lsn } => self.commit(lsn).await,
            Line::Rollback => self.roll_back().await,
            Line::Position(lsn) => self.advance(lsn).await,
            Line::Empty => Ok(()),
        }
    }

    /// A transaction begins.
    async fn begin(&mut self, xid: u32, start: Option<Lsn>, end: Option<Lsn>) -> Result<()> {
        if self.open.is_some() {
            return Err(Error::config("a transaction begins inside another one"));
        }
        let current = self.position.current();
        let applied = start.is_some_and(|at| at < current) || end.is_some_and(|at| at <= current);
        self.reached |= self.endpos.is_some_and(|endpos| {
            start.is_some_and(|at| at >= endpos) || end.is_some_and(|at| at > endpos)
        });
        let skipped = applied || self.reached;
        self.open = Some(OpenText { xid, skipped, ..OpenText::default() });
        if skipped { Ok(()) } else { self.session.execute("begin").await.map(drop) }
    }

    /// A statement of the open transaction.
    async fn statement(&mut self, sql: Arc<str>, arguments: Vec<Option<String>>) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(Error::config("a change stands outside a transaction"));
        };
        if open.skipped {
            return Ok(());
        }
        open.waiting_bytes +=
            sql.len() + arguments.iter().flatten().map(String::len).sum::<usize>();
        open.waiting.push((sql, arguments));
        if open.waiting.len() >= WAITING_MAX || open.waiting_bytes >= WAITING_BYTES_MAX {
            return self.send(None).await;
        }
        Ok(())
    }

    /// Sends what waits, and what moves the position to `end`.
    async fn send(&mut self, end: Option<Lsn>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let waiting = std::mem::take(&mut open.waiting);
        open.waiting_bytes = 0;
        let xid = open.xid;
        let mut train = Train::new(&mut self.session, &mut self.prepared);
        for (sql, arguments) in &waiting {
            let params: Vec<_> =
                arguments.iter().map(|text| text.as_deref().map(str::as_bytes)).collect();
            train.text(sql, &params, Expect::Any)?;
        }
        if let Some(end) = end {
            self.position.load(&mut train, end)?;
        }
        let sent = train.run(&mut Vec::new()).await;
        let untouched = waiting
            .iter()
            .zip(train.results())
            .find(|((sql, _), result)| changes_rows(sql) && result.affected == Some(0));
        let during = |error: Error| error.during(format!("apply transaction {xid}"));
        match (sent, untouched) {
            (Err(Failure::Error(error, _)), _) => Err(during(error)),
            (Err(_), _) => Err(during(Error::state("the position was moved by another process"))),
            (Ok(()), Some(_)) if !self.ignore_missing_rows => {
                let text = "an UPDATE or DELETE found no row";
                Err(during(Error::data(Side::Target, text)))
            }
            (Ok(()), _) => Ok(()),
        }
    }

    /// The open transaction ends.
    async fn commit(&mut self, end: Lsn) -> Result<()> {
        let Some(open) = &self.open else {
            return Err(Error::config("a COMMIT stands outside a transaction"));
        };
        let beyond = self.endpos.is_some_and(|endpos| end > endpos);
        self.reached |= beyond;
        if open.skipped || beyond || end <= self.position.current() {
            return self.roll_back().await;
        }
        self.send(Some(end)).await?;
        let mut train = Train::new(&mut self.session, &mut self.prepared);
        self.position.load_commit(&mut train, end, None)?;
        if let Err(Failure::Error(error, _)) = train.run(&mut Vec::new()).await {
            return Err(error);
        }
        self.open = None;
        self.position.set_current(end);
        self.transactions += 1;
        self.reached |= self.endpos == Some(end);
        Ok(())
    }

    /// The open transaction is void.
    async fn roll_back(&mut self) -> Result<()> {
        match self.open.take() {
            Some(open) if !open.skipped => self.session.execute("rollback").await.map(drop),
            _ => Ok(()),
        }
    }

    /// Nothing at or before this position is still to come.
    async fn advance(&mut self, lsn: Lsn) -> Result<()> {
        if self.open.is_some() || self.reached || lsn <= self.position.current() {
            return Ok(());
        }
        self.open = Some(OpenText::default());
        self.session.execute("begin").await?;
        // Not beyond the end: a later run goes on from there.
        let end = self.endpos.map_or(lsn, |endpos| endpos.min(lsn));
        self.commit(end).await?;
        self.transactions -= 1;
        Ok(())
    }

    /// Takes back a transaction that has not ended, and returns the position.
    ///
    /// # Errors
    /// Those of the rollback.
    pub async fn close(mut self) -> Result<Lsn> {
        self.roll_back().await?;
        Ok(self.position.current())
    }
}

/// Whether a statement must find rows.
fn changes_rows(sql: &str) -> bool {
    sql.starts_with("UPDATE") || sql.starts_with("DELETE")
}
