//! What the accumulating side hands to the worker.

use std::collections::BTreeSet;

use proto::lsn::Lsn;
use proto::time::PgTimestamp;

use super::row::Step;
use super::setwise::Unit;

/// The end of a source transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    /// Steps up to here belong to it and to those before it.
    pub(super) steps: usize,
    /// Its name.
    pub(super) end_lsn: Lsn,
    /// When it was committed on the source.
    pub(super) commit_time: Option<PgTimestamp>,
    /// Its number on the source, for messages.
    pub(super) xid: u32,
}

/// Steps of the stream that go to the target together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The steps in the order of the stream.
    pub(super) steps: Vec<Step>,
    /// Where the source transactions in it end. None: part of one that is still open.
    pub(super) bounds: Vec<Bound>,
    /// Memory held, in bytes, about.
    pub(super) bytes: usize,
    /// Materialized views to refresh.
    pub(super) refresh: BTreeSet<String>,
    /// Position behind the last transaction at which nothing is open.
    pub(super) position: Option<Lsn>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.bounds.is_empty() && self.refresh.is_empty()
    }

    /// The position that the batch reaches, with the time of its last commit.
    pub(super) fn end(&self) -> Option<(Lsn, Option<PgTimestamp>)> {
        let last = self.bounds.last()?;
        let lsn = self.position.unwrap_or(last.end_lsn).max(last.end_lsn);
        Some((lsn, last.commit_time))
    }
}

/// How a batch stands to the transaction on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// It begins the transaction.
    pub(super) begins: bool,
    /// It ends it.
    pub(super) commits: bool,
}

/// What the worker is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Apply a batch.
    Apply {
        /// The steps.
        batch: Batch,
        /// How they are to be done.
        units: Vec<Unit>,
        /// The transaction on the target.
        frame: Frame,
    },
    /// Take back the open transaction.
    RollBack,
    /// Nothing at or before this position is still to come.
    Position(Lsn),
    /// Make everything so far survive a crash of the target.
    Settle,
}
