//! Prints what the store holds as SQL text.

use std::io::Write;
use std::path::Path;

use proto::lsn::Lsn;

use super::catch_up::Decoding;
use super::store::{StoreReader, follow_files};
use super::text::SqlPrinter;
use crate::base::error::Result;
use crate::base::stop::StopSignal;
use crate::config::Plugin;

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportRange {
    /// Transactions that end here or before are left out.
    pub start: Lsn,
    /// The end, inclusive. `None`: what the store holds now.
    pub endpos: Option<Lsn>,
    /// Print updates that change nothing, too.
    pub keep_no_ops: bool,
}

/// What was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Transactions.
    pub transactions: u64,
    /// Whether the end position was reached.
    pub reached: bool,
}

/// Prints the transactions of the store in `dir`. With an end position it waits for the writer, which
/// may be another process; without one it ends where the store ends now.
///
/// Not cancel safe; `stop` ends it between two transactions' items.
///
/// # Errors
/// `State` when there is no store, or it begins later; what reading, decoding and printing report.
pub async fn export(
    dir: &Path,
    range: ExportRange,
    out: impl Write,
    stop: &StopSignal,
) -> Result<Exported> {
    let positions = follow_files(dir)?;
    let mut reader = StoreReader::open(dir, range.start, positions).await?;
    // The store says first which plugin its messages are of.
    let mut decoding = Decoding::new(Plugin::default());
    let mut printer = SqlPrinter::new(out, range.start, range.endpos, range.keep_no_ops);
    while !printer.reached() && !stop.is_stopping() {
        let Some(stored) = reader.try_next().await? else {
            printer.flush()?;
            if range.endpos.is_none() {
                break;
            }
            tokio::select! {
                alive = reader.wait() => if !alive { break },
                () = stop.graceful.cancelled() => {}
            }
            continue;
        };
        decoding.decode(stored)?;
        for event in decoding.events.drain(..) {
            printer.print(&event)?;
        }
    }
    printer.flush()?;
    Ok(Exported { transactions: printer.transactions(), reached: printer.reached() })
}
