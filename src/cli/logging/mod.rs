//! Logging: text or JSON lines on standard error, and in a file as well when asked.
//!
//! ```text
//! 07:05:09.042 4242 INFO   copied table part relation=public.orders bytes=1048576
//! └─ time       pid └ level padded to 6, then the position when debugging, then prose and fields
//! ```
//!
//! Severities beyond those of `tracing` are targets: see `base::log`.

mod clock;
mod record;
mod severity;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Zoned;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

pub use severity::Severity;

use super::environment::ProcessEnvironment;
use super::variables;
use crate::base::error::{Error, Result};
use crate::base::units::parse_boolean;
use crate::report::Terminal;
use record::{Record, TextStyle};

/// How and where to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Lowest severity shown.
    pub threshold: Severity,
    /// strftime format of text lines on standard error; `None` decides by whether it is a terminal.
    pub time_format: Option<String>,
    /// JSON on standard error.
    pub json: bool,
    /// File that receives the lines as well.
    pub file: Option<PathBuf>,
    /// JSON in that file.
    pub json_file: bool,
}

impl LogSettings {
    /// Resolves the settings out of the environment.
    ///
    /// # Errors
    /// Class `Config` for a malformed variable.
    pub fn resolve(threshold: Severity, environment: &ProcessEnvironment) -> Result<Self> {
        let flag = |name: &str| match environment.text(name)? {
            None => Ok(false),
            Some(text) => parse_boolean(text)
                .map_err(|error| Error::config(format!("environment variable {name}: {error}"))),
        };
        let time_format = environment.text(variables::LOG_TIME_FORMAT)?.map(str::to_owned);
        if let Some(format) = &time_format {
            clock::check_format(format)?;
        }
        Ok(Self {
            threshold,
            time_format,
            json: flag(variables::LOG_JSON)?,
            file: environment.path(variables::LOG_FILENAME),
            json_file: flag(variables::LOG_JSON_FILE)?,
        })
    }
}

/// Starts logging for the rest of the process.
///
/// # Errors
/// Class `Config` when the log file cannot be created.
pub fn start(settings: LogSettings, terminal: Arc<Terminal>) -> Result<()> {
    let file = settings.file.as_deref().map(create_file).transpose()?;
    let layer = LogLayer { file: file.map(Mutex::new), settings, terminal };
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| Error::internal("logging was started twice"))
}

/// Creates the log file, empty.
fn create_file(path: &Path) -> Result<File> {
    File::create(path).map_err(|error| {
        Error::config(format!(
            "environment variable {}: file \"{}\": {error}",
            variables::LOG_FILENAME,
            path.display()
        ))
    })
}

/// Writes events as lines.
#[derive(Debug)]
struct LogLayer {
    settings: LogSettings,
    file: Option<Mutex<File>>,
    terminal: Arc<Terminal>,
}

impl LogLayer {
    /// Whether events of this kind are shown. Other crates' events are for debugging only.
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.target().starts_with("pgcopydb") {
            Severity::of(metadata) >= self.settings.threshold
        } else {
            self.settings.threshold == Severity::Trace
        }
    }

    /// The line for standard error.
    fn stderr_line(&self, record: &Record, now: &Zoned) -> String {
        let pid = std::process::id();
        if self.settings.json {
            return record.json(&time(clock::LONG_FORMAT, now), pid);
        }
        let is_interactive = self.terminal.is_interactive();
        let format = match &self.settings.time_format {
            Some(format) => format.as_str(),
            None if is_interactive => clock::SHORT_FORMAT,
            None => clock::LONG_FORMAT,
        };
        let style = TextStyle {
            colour: is_interactive,
            padded: true,
            position: self.settings.threshold <= Severity::Debug,
        };
        record.text(&time(format, now), pid, style)
    }

    /// The line for the log file.
    fn file_line(&self, record: &Record, now: &Zoned) -> String {
        let pid = std::process::id();
        let time = time(clock::LONG_FORMAT, now);
        if self.settings.json_file {
            record.json(&time, pid)
        } else {
            let style = TextStyle { colour: false, padded: false, position: true };
            record.text(&time, pid, style)
        }
    }
}

/// The time in a format that was checked at start.
fn time(format: &str, now: &Zoned) -> String {
    clock::format_time(format, now).unwrap_or_else(|_| now.to_string())
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Spans are not written, so nobody has to keep them.
        if metadata.is_event() && self.shows(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        metadata.is_event() && self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.settings.threshold.level()))
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let record = Record::of(event);
        let now = Zoned::now();
        self.terminal.write_line(&self.stderr_line(&record, &now));
        if let Some(file) = &self.file {
            let line = self.file_line(&record, &now);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not end the run for the sake of its log; standard error has the line.
            let _ = file.write_all(line.as_bytes());
        }
    }
}
