//! What apply has done so far, for feedback, display and the end of the run.

use proto::lsn::Lsn;
use proto::time::PgTimestamp;

/// How far apply came and what it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyProgress {
    /// Everything up to here is committed on the target; a crash of the target may still take it back.
    pub committed: Lsn,
    /// Everything up to here is committed and flushed on the target: it will never be asked for again.
    pub applied: Lsn,
    /// When the last applied transaction was committed on the source, where the plugin tells it.
    pub commit_time: Option<PgTimestamp>,
    /// Source transactions applied by this process.
    pub transactions: u64,
    /// Row changes of these transactions.
    pub rows: u64,
    /// Transactions on the target.
    pub batches: u64,
    /// Of these, how many were applied again row by row because the net effect did not fit.
    pub batches_repeated: u64,
    /// UPDATEs and DELETEs that did not touch exactly one row and were let pass.
    pub missing_rows: u64,
}
