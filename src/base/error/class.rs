//! How the program reacts to an error: the only place where that is decided.

use super::ErrorKind;

/// What kind of reaction an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Try again after a pause: the connection broke, the server is starting or full.
    Transient,
    /// Try the same transaction again: deadlock, serialization failure, lock not available.
    Conflict,
    /// The snapshot or the plan no longer holds: a new pass under a new snapshot can go on.
    Stale,
    /// A privilege or a password is missing; trying again cannot help.
    Permission,
    /// The user's input must change.
    Config,
    /// The data contradicts the target's rules or our proof of equality.
    Data,
    /// The server cannot do what is asked.
    Unsupported,
    /// Somebody asked to stop.
    Cancelled,
    /// Everything else, our own faults included; never retried.
    Internal,
}

impl Class {
    /// Whether the same unit of work may be tried again.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Conflict)
    }
}

/// Decides the class of an error.
pub(super) fn classify(kind: &ErrorKind) -> Class {
    match kind {
        ErrorKind::Server(error) => classify_sqlstate(&error.sqlstate),
        ErrorKind::Connection { .. } => Class::Transient,
        ErrorKind::Authentication(_) => Class::Permission,
        ErrorKind::Config(_) | ErrorKind::Tool(_) | ErrorKind::State(_) => Class::Config,
        ErrorKind::Data(_) => Class::Data,
        ErrorKind::Stale(_) => Class::Stale,
        ErrorKind::Unsupported(_) => Class::Unsupported,
        ErrorKind::Cancelled => Class::Cancelled,
        ErrorKind::Protocol(_)
        | ErrorKind::Child { .. }
        | ErrorKind::File { .. }
        | ErrorKind::Internal(_) => Class::Internal,
    }
}

/// Decides by SQLSTATE; what is not listed is not retried.
///
/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify_sqlstate(sqlstate: &str) -> Class {
    match sqlstate {
        // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout,
        // too_many_connections. 57P01 is also what pg_terminate_backend sends.
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" => Class::Transient,
        // serialization_failure (also recovery conflicts on a standby), deadlock_detected,
        // lock_not_available, object_in_use.
        "40001" | "40P01" | "55P03" | "55006" => Class::Conflict,
        "57014" => Class::Cancelled,
        "42501" => Class::Permission,
        "3D000" => Class::Config,
        "0A000" => Class::Unsupported,
        code => match code.get(..2) {
            Some("08") => Class::Transient,
            Some("28") => Class::Permission,
            Some("22" | "23") => Class::Data,
            _ => Class::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::ServerError;

    fn class_of(sqlstate: &str) -> Class {
        classify(&ErrorKind::Server(ServerError {
            sqlstate: sqlstate.into(),
            ..ServerError::default()
        }))
    }

    #[test]
    fn terminated_backends_are_retried() {
        for code in ["57P01", "57P02", "57P03", "08006", "08P01", "53300"] {
            assert!(class_of(code).is_retryable(), "{code}");
        }
    }

    #[test]
    fn wrong_passwords_and_bad_rows_are_not_retried() {
        for code in ["28P01", "28000", "3D000", "42501", "23505", "22021", "53100", "XX000", "?"] {
            assert!(!class_of(code).is_retryable(), "{code}");
        }
    }
}
