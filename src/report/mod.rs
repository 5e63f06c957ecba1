//! What people and programs see of a run: the live display, progress lines, tables, JSON, errors.
//!
//! This module listens: events arrive through a channel, volumes are sampled from counters, the end
//! result arrives as a summary. Nothing below `cli` knows it.

mod bars;
pub mod check;
pub mod compare_json;
pub mod compare_text;
pub mod databases;
pub mod error;
pub mod findings;
mod lines;
pub mod listing;
mod progress;
mod reporter;
mod step;
pub mod summary_json;
pub mod summary_read;
pub mod summary_text;
pub mod table;
mod terminal;
mod words;

pub use reporter::{Display, run};
pub use terminal::Terminal;

use std::io::Write;

use crate::base::error::{Error, Result};

/// Writes a result to standard output. A closed pipe is the reader's choice and not an error.
///
/// # Errors
/// Kind `File` when standard output cannot be written, for example on a full disk.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::file(std::path::Path::new("/dev/stdout"), error))
        }
        _ => Ok(()),
    }
}
