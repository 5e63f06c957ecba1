//! Exit codes: the only place where an error becomes a number. The table for people is
//! `docs/errors.md`.

use std::process::ExitCode;

use crate::base::error::{Class, Error, ErrorKind, Side};
use crate::base::summary::{RunSummary, Severity};

/// How the process ended, in the numbers that scripts know.
///
/// Source: spec/commands.md 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for is done and proven.
    Success = 0,
    /// Command line, variables, connection strings, filter file, contradictory resume options.
    BadArguments = 1,
    /// `pg_dump`, `pg_restore` or another tool is missing or too old.
    ToolMissing = 5,
    /// The source failed.
    Source = 6,
    /// The target failed.
    Target = 7,
    /// A comparison found differences.
    Difference = 8,
    /// Everything else: a failed child process, a stop on request, an incomplete result, our faults.
    Failure = 12,
}

impl Exit {
    /// Every exit code.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::BadArguments,
        Self::ToolMissing,
        Self::Source,
        Self::Target,
        Self::Difference,
        Self::Failure,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit code of an error.
    ///
    /// What was asked to stop, and what a child process did, is 12 whichever side it worked on;
    /// then the side decides; then whether the user's input is at fault.
    pub fn of_error(error: &Error) -> Self {
        if error.class() == Class::Cancelled {
            return Self::Failure;
        }
        match error.kind() {
            ErrorKind::Tool(_) => return Self::ToolMissing,
            ErrorKind::Child { .. } | ErrorKind::Internal(_) => return Self::Failure,
            ErrorKind::Config(_) | ErrorKind::State(_) => return Self::BadArguments,
            ErrorKind::Server(_)
            | ErrorKind::Connection { .. }
            | ErrorKind::Protocol(_)
            | ErrorKind::Authentication(_)
            | ErrorKind::Data(_)
            | ErrorKind::Stale(_)
            | ErrorKind::File { .. }
            | ErrorKind::Unsupported(_)
            | ErrorKind::Cancelled => {}
        }
        match error.side() {
            Side::Source => Self::Source,
            Side::Target => Self::Target,
            Side::Local => Self::Failure,
        }
    }

    /// The exit code of a run that came to its end: success only without findings that say the
    /// target is not what the source was.
    pub fn of_summary(summary: &RunSummary) -> Self {
        if summary.findings.iter().any(|finding| finding.severity == Severity::Error) {
            Self::Failure
        } else {
            Self::Success
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::ServerError;
    use crate::base::summary::Finding;

    fn server(side: Side, sqlstate: &str) -> Error {
        Error::server(side, ServerError { sqlstate: sqlstate.into(), ..ServerError::default() })
    }

    #[test]
    fn sides_have_their_own_codes() {
        assert_eq!(Exit::of_error(&server(Side::Source, "42501")), Exit::Source);
        assert_eq!(Exit::of_error(&server(Side::Target, "23505")), Exit::Target);
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(Exit::of_error(&Error::connection(Side::Target, "x", refused)), Exit::Target);
    }

    #[test]
    fn wrong_input_is_1_and_missing_tools_are_5() {
        assert_eq!(Exit::of_error(&Error::config("x")).code(), 1);
        assert_eq!(Exit::of_error(&Error::state("x")).code(), 1);
        let tool = Error::new(Side::Local, ErrorKind::Tool("pg_dump".into()));
        assert_eq!(Exit::of_error(&tool).code(), 5);
    }

    #[test]
    fn stops_and_children_are_12_on_either_side() {
        assert_eq!(Exit::of_error(&Error::cancelled()).code(), 12);
        assert_eq!(Exit::of_error(&server(Side::Source, "57014")).code(), 12);
        let child = ErrorKind::Child {
            program: "pg_restore".into(),
            status: "exit status 1".into(),
            stderr: String::new(),
        };
        assert_eq!(Exit::of_error(&Error::new(Side::Target, child)).code(), 12);
    }

    // trap X-29
    #[test]
    fn an_error_finding_makes_the_run_fail_and_a_warning_does_not() {
        let finding = |severity| Finding {
            severity,
            object: "public.t".into(),
            reason: "left out".into(),
            hint: None,
        };
        let summary = |severity| RunSummary {
            findings: vec![finding(Severity::Notice), finding(severity)],
            ..RunSummary::default()
        };
        assert_eq!(Exit::of_summary(&summary(Severity::Warning)), Exit::Success);
        assert_eq!(Exit::of_summary(&summary(Severity::Error)), Exit::Failure);
    }
}
