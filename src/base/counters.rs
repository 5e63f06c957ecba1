//! Progress of one running job, sampled by the display and never sent.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes and rows of one job so far. Writers add, readers sample; no order is implied.
#[derive(Debug, Default)]
pub struct JobCounters {
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl JobCounters {
    /// Adds payload bytes moved and rows (COPY messages) seen since the last call.
    pub fn add(&self, bytes: u64, rows: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Sets both to what both ends agreed on: messages are not quite rows, and merged steps round.
    pub fn settle(&self, bytes: u64, rows: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// Starts over, for a job that is tried again.
    pub fn reset(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.rows.store(0, Ordering::Relaxed);
    }

    /// Payload bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}
