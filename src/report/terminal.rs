//! Standard error as one shared place: log lines and the live display never tear each other.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::MultiProgress;

/// Standard error, and the live display on it while there is one.
///
/// Whoever writes a line goes through [`Terminal::write_line`]: a display is taken away for the
/// moment, the line is written, the display is drawn again below it.
#[derive(Debug)]
pub struct Terminal {
    display: Mutex<Option<MultiProgress>>,
    is_interactive: bool,
}

impl Terminal {
    /// The standard error of this process.
    pub fn stderr() -> Self {
        Self { display: Mutex::new(None), is_interactive: std::io::stderr().is_terminal() }
    }

    /// Whether a person is watching.
    pub fn is_interactive(&self) -> bool {
        self.is_interactive
    }

    /// Writes text that ends with its own newline. A closed or full standard error is not an error
    /// of the run: the text is lost.
    pub fn write_line(&self, text: &str) {
        let write = || {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
        };
        match self.display().as_ref() {
            Some(display) => display.suspend(write),
            None => write(),
        }
    }

    /// Puts a live display on standard error.
    pub fn attach(&self, display: MultiProgress) {
        *self.display() = Some(display);
    }

    /// Takes the live display away; its bars must be finished and cleared.
    pub fn detach(&self) {
        self.display().take();
    }

    /// The display; a writer that panicked left nothing half done worth refusing.
    fn display(&self) -> MutexGuard<'_, Option<MultiProgress>> {
        self.display.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
