//! The time in log lines.

use jiff::Zoned;

use crate::base::error::{Error, Result};
use crate::cli::variables::LOG_TIME_FORMAT;

/// Time of day, for a person at a terminal.
pub(super) const SHORT_FORMAT: &str = "%H:%M:%S";

/// Date and time, for everything that is kept.
pub(super) const LONG_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The time of a log line in a strftime format, milliseconds appended after a dot.
///
/// # Errors
/// The reason as text when the format has a directive that jiff does not know.
pub(super) fn format_time(format: &str, now: &Zoned) -> Result<String, String> {
    let text = jiff::fmt::strtime::format(format, now).map_err(|error| error.to_string())?;
    Ok(format!("{text}.{:03}", now.millisecond()))
}

/// Checks a format of the user.
///
/// # Errors
/// Class `Config`, naming the variable.
pub(super) fn check_format(format: &str) -> Result<()> {
    format_time(format, &Zoned::now()).map(drop).map_err(|reason| {
        Error::config(format!(
            "environment variable {LOG_TIME_FORMAT}: expected a strftime format, found \
             \"{format}\": {reason}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Zoned {
        let timestamp: jiff::Timestamp = "2026-03-01T07:05:09.042Z".parse().expect("a time");
        timestamp.to_zoned(jiff::tz::TimeZone::UTC)
    }

    #[test]
    fn milliseconds_follow_any_format() {
        assert_eq!(format_time(SHORT_FORMAT, &moment()).unwrap(), "07:05:09.042");
        assert_eq!(format_time(LONG_FORMAT, &moment()).unwrap(), "2026-03-01 07:05:09.042");
        assert_eq!(format_time("%s", &moment()).unwrap(), "1772348709.042");
    }

    #[test]
    fn unknown_directives_are_errors() {
        let error = check_format("%H:%&").unwrap_err().to_string();
        assert!(error.contains("PGCOPYDB_LOG_TIME_FORMAT"), "{error}");
    }
}
