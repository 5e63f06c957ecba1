//! Log severities as people know them, and how `tracing` events map to them.

use tracing::{Level, Metadata};

use crate::base::log::{NOTICE, SQL};
use crate::cli::args::CommonArgs;

/// A log severity; later ones are worse.
///
/// The gaps in [`Severity::number`] are levels that only the C program had (SQLite, FATAL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Frames and other details for debugging the program.
    Trace,
    /// Decisions.
    Debug,
    /// Statements sent to a server.
    Sql,
    /// What a server says, and decisions a careful reader wants.
    Notice,
    /// Phases and state changes.
    Info,
    /// Unexpected, the run goes on.
    Warn,
    /// A person must act and the run is affected.
    Error,
}

impl Severity {
    /// The severity of an event or span.
    pub fn of(metadata: &Metadata<'_>) -> Self {
        match (metadata.target(), *metadata.level()) {
            (_, Level::ERROR) => Self::Error,
            (_, Level::WARN) => Self::Warn,
            (NOTICE, Level::INFO) => Self::Notice,
            (_, Level::INFO) => Self::Info,
            (SQL, Level::DEBUG) => Self::Sql,
            (_, Level::DEBUG) => Self::Debug,
            (_, Level::TRACE) => Self::Trace,
        }
    }

    /// The lowest severity to show, out of the verbosity options in front of the command and after
    /// it. `-v` adds up; of several options the one that says most wins, `--quiet` only alone.
    pub fn threshold(options: &[&CommonArgs]) -> Self {
        let count = options.iter().fold(0_u8, |sum, common| sum.saturating_add(common.verbose));
        if count >= 4 || options.iter().any(|common| common.trace) {
            Self::Trace
        } else if count == 3 || options.iter().any(|common| common.debug) {
            Self::Debug
        } else if count == 2 {
            Self::Sql
        } else if count == 1 {
            Self::Notice
        } else if options.iter().any(|common| common.quiet) {
            Self::Error
        } else {
            Self::Info
        }
    }

    /// The `tracing` level that lets every event of this severity through.
    pub fn level(self) -> Level {
        match self {
            Self::Trace => Level::TRACE,
            Self::Debug | Self::Sql => Level::DEBUG,
            Self::Notice | Self::Info => Level::INFO,
            Self::Warn => Level::WARN,
            Self::Error => Level::ERROR,
        }
    }

    /// Name in log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Sql => "SQL",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// `error_level` of JSON log lines.
    ///
    /// Source: spec/commands.md 1.4.
    pub fn number(self) -> u8 {
        match self {
            Self::Trace => 0,
            Self::Debug => 2,
            Self::Sql => 3,
            Self::Notice => 4,
            Self::Info => 5,
            Self::Warn => 6,
            Self::Error => 7,
        }
    }

    /// The terminal's colour of this severity, as an SGR parameter.
    pub fn colour(self) -> &'static str {
        match self {
            Self::Trace => "90",
            Self::Debug => "34",
            Self::Sql => "30",
            Self::Notice => "36",
            Self::Info => "32",
            Self::Warn => "33",
            Self::Error => "31",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbosity(verbose: u8, debug: bool, trace: bool, quiet: bool) -> CommonArgs {
        CommonArgs { verbose, debug, trace, quiet, ..CommonArgs::default() }
    }

    #[test]
    fn each_v_shows_one_more_severity() {
        let expected = [
            Severity::Info,
            Severity::Notice,
            Severity::Sql,
            Severity::Debug,
            Severity::Trace,
            Severity::Trace,
        ];
        for (count, severity) in (0_u8..).zip(expected) {
            let common = verbosity(count, false, false, false);
            assert_eq!(Severity::threshold(&[&common]), severity, "{count}");
        }
    }

    #[test]
    fn options_before_and_after_the_command_add_up() {
        let one = verbosity(1, false, false, false);
        assert_eq!(Severity::threshold(&[&one, &one]), Severity::Sql);
    }

    #[test]
    fn the_option_that_says_most_wins() {
        let quiet = verbosity(0, false, false, true);
        let debug = verbosity(0, true, false, false);
        let trace = verbosity(0, false, true, false);
        assert_eq!(Severity::threshold(&[&quiet]), Severity::Error);
        assert_eq!(Severity::threshold(&[&quiet, &debug]), Severity::Debug);
        assert_eq!(Severity::threshold(&[&trace, &debug]), Severity::Trace);
    }
}
