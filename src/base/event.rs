//! The whole vocabulary from workers to whoever shows it. Nobody below `cli` knows who listens.

use std::sync::Arc;
use std::time::Duration;

use proto::lsn::Lsn;

use super::counters::JobCounters;
use super::summary::Step;

/// Identity of a job inside one plan, stable for one run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct JobId(pub u32);

/// What kind of work a job is, for grouping on the display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum JobClass {
    /// COPY of a table or a part of one.
    Copy,
    /// CREATE INDEX.
    Index,
    /// ALTER TABLE … ADD CONSTRAINT or VALIDATE.
    Constraint,
    /// VACUUM or ANALYZE.
    Vacuum,
    /// Large objects.
    LargeObjects,
    /// Sequence values.
    Sequences,
}

/// What the whole run has to do, known once the plan stands.
#[derive(Debug, Clone, Default)]
pub struct PlanTotals {
    /// Tables whose rows are copied.
    pub tables: u64,
    /// Parts in which they are copied.
    pub parts: u64,
    /// Bytes on the source's disk, TOAST included.
    pub bytes: u64,
    /// Estimated rows.
    pub rows: u64,
    /// Indexes to build.
    pub indexes: u64,
    /// Constraints to add.
    pub constraints: u64,
    /// Large objects to copy.
    pub large_objects: u64,
    /// What an earlier run had already finished, in tables.
    pub tables_already_done: u64,
    /// What an earlier run had already finished, in bytes on the source's disk.
    pub bytes_already_done: u64,
}

/// Something that happened, in the order it happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step of the run begins.
    StepStarted(Step),
    /// A step of the run is over.
    StepFinished(Step, Duration),
    /// The plan stands.
    PlanReady(PlanTotals),
    /// A job begins; its counters move while it runs.
    JobStarted {
        /// The job.
        id: JobId,
        /// Its kind.
        class: JobClass,
        /// What to call it ("public.orders 3/8").
        label: Arc<str>,
        /// Estimated bytes, 0 when unknown. For `Copy` the size on the source's disk.
        estimated_bytes: u64,
        /// Live progress.
        counters: Arc<JobCounters>,
    },
    /// A job ended well.
    JobFinished {
        /// The job.
        id: JobId,
        /// How long it took, its retries included.
        elapsed: Duration,
        /// Rows that arrived; the counters may count a frame or two more.
        rows: u64,
        /// Indexes that it built; a small table is one job with its indexes.
        indexes: u64,
        /// Constraints that it added.
        constraints: u64,
    },
    /// A job failed for good; the message is one line.
    JobFailed {
        /// The job.
        id: JobId,
        /// One line, without secrets.
        message: Arc<str>,
    },
    /// Somebody asked to stop; the text says what happens now.
    Stopping(&'static str),
    /// Changes are followed; about once a second.
    Following(Arc<FollowStatus>),
}

/// How far following is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// The last byte that came from the source.
    pub received: Lsn,
    /// Synced to our disk, and confirmed to the source.
    pub durable: Lsn,
    /// Committed and flushed on the target.
    pub applied: Lsn,
    /// Where to stop.
    pub endpos: Option<Lsn>,
    /// Bytes of the source's log between applied and received.
    pub lag_bytes: u64,
    /// Age of the last transaction that was applied, in seconds; 0 when nothing waits. `None` while it
    /// cannot be told.
    pub lag_s: Option<u64>,
    /// Source transactions applied per second, lately.
    pub transactions_s: u64,
    /// Row changes applied per second, lately.
    pub rows_s: u64,
    /// Bytes of received changes on our disk.
    pub backlog_bytes: u64,
    /// Whether receiving waits for room on our disk.
    pub waits_for_room: bool,
    /// The slot as the source saw it last; `None` before.
    pub slot: Option<SlotStatus>,
}

/// What the source says about the replication slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotStatus {
    /// Bytes of log that it keeps.
    pub retained_bytes: Option<u64>,
    /// `wal_status`, from version 13 on.
    pub wal_status: Option<String>,
    /// `safe_wal_size`: bytes that may be written before it is in danger; `None`: no limit.
    pub safe_bytes: Option<i64>,
    /// Why it may be lost soon, in a sentence.
    pub danger: Option<String>,
}

/// Where workers put events. Bounded: a full channel slows the dispatcher, never the relays.
pub type EventSender = tokio::sync::mpsc::Sender<Event>;

/// How many events may wait for the display before the dispatcher waits for it.
///
/// A display that redraws ten times a second drains thousands of events in one go; 1024 rides out
/// one slow terminal write.
pub const EVENT_CHANNEL_LENGTH: usize = 1024;
