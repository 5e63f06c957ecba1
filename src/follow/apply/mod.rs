//! Applies changes to the target: in commit order, exactly once, many at a time.
//!
//! ```text
//!  ChangeEvent ─► Applier ── collects whole source transactions ─► Batch
//!                    │ plans: relation of the stream ─► table of the target (K17)
//!                    │ setwise, reduce: net effect per key ─► COPY, joined UPDATE and DELETE (K14)
//!                    ▼
//!                 worker ── one transaction on the target: rows and position (A9, K12) ─► applied
//!                    └─ exact: row by row, where the net effect does not fit (K14, K15)
//! ```
//!
//! Invariants:
//! * A transaction of the source is applied whole or not at all, and never out of commit order.
//! * The position is written by the transaction that writes the rows; on start transactions that end
//!   at or before it are passed over.
//! * COMMIT is sent only after every statement has touched as many rows as it must.
//! * [`ApplyProgress::applied`] never passes what the target has flushed: after a crash of the target
//!   with `synchronous_commit` off nothing is missing that the segments do not have any more.
//! * Two batches are in memory at most; a transaction that does not fit is sent in chunks, within one
//!   transaction on the target.

mod applier;
mod batch;
pub mod column_set;
mod cursor;
mod encode;
mod exact;
mod from_text;
mod message;
mod narrowing;
pub mod plan;
mod plans;
pub mod position;
mod progress;
pub mod reduce;
#[cfg(test)]
mod reduce_tests;
pub mod row;
mod scope;
mod setwise;
mod statement;
pub mod target;
mod train;
mod worker;

pub use applier::Applier;
#[cfg(test)]
pub(in crate::follow) use cursor::Cursor;
pub use from_text::TextApplier;
pub use progress::ApplyProgress;
pub use scope::Scope;
