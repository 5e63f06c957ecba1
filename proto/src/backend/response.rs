//! ErrorResponse and NoticeResponse: what the server reports, with every field.

use std::fmt;

use crate::error::DecodeError;
use crate::read::Reader;
use crate::sqlstate::SqlState;

/// How serious a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// DEBUG, any level.
    Debug,
    /// LOG.
    Log,
    /// INFO.
    Info,
    /// NOTICE.
    Notice,
    /// WARNING.
    Warning,
    /// ERROR: the command failed, the session goes on.
    Error,
    /// FATAL: the session has ended.
    Fatal,
    /// PANIC: all sessions have ended.
    Panic,
    /// A word that is none of these: a server before 9.6 that speaks another language.
    Other,
}

impl Severity {
    /// The meaning of the untranslated word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "LOG" => Self::Log,
            "INFO" => Self::Info,
            "NOTICE" => Self::Notice,
            "WARNING" => Self::Warning,
            "ERROR" => Self::Error,
            "FATAL" => Self::Fatal,
            "PANIC" => Self::Panic,
            word if word.starts_with("DEBUG") => Self::Debug,
            _ => Self::Other,
        }
    }
}

/// A report from the server: an error or a notice.
///
/// *Shape on the wire*: pairs of a field byte and a string, ended by a zero byte. Owned, since a
/// report outlives its buffer. Text is lossy: a server whose encoding is `SQL_ASCII`, or that fails
/// before the encoding is settled, may send bytes that are not UTF-8.
/// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMessage {
    /// `ERROR`, `FATAL`, `NOTICE` …: untranslated (field `V`) where the server sends it, from 9.6
    /// on, else as translated (field `S`).
    pub severity: String,
    /// The code; [`SqlState::MISSING`] when the server sent none.
    pub sqlstate: SqlState,
    /// The primary message, one line.
    pub message: String,
    /// More about the problem.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// Where in [`Self::internal_query`], in characters from 1.
    pub internal_position: Option<u32>,
    /// The statement that the server made itself and that failed.
    pub internal_query: Option<String>,
    /// The context: call stack, or `COPY t, line 12`.
    pub where_: Option<String>,
    /// Schema of the object concerned.
    pub schema: Option<String>,
    /// Table concerned.
    pub table: Option<String>,
    /// Column concerned.
    pub column: Option<String>,
    /// Data type concerned.
    pub data_type: Option<String>,
    /// Constraint concerned.
    pub constraint: Option<String>,
    /// Source file of the server.
    pub file: Option<String>,
    /// Line in that file.
    pub line: Option<u32>,
    /// Function in that file.
    pub routine: Option<String>,
}

impl ServerMessage {
    /// Decodes the body of the message called `what`.
    ///
    /// Fields that are not known are skipped, as the protocol demands.
    ///
    /// # Errors
    /// `UnexpectedEnd` without the final zero byte, `MissingTerminator`, `TrailingBytes`.
    pub fn decode(what: &'static str, body: &[u8]) -> Result<Self, DecodeError> {
        let mut message = Self::empty();
        let mut reader = Reader::named(what, body);
        let mut untranslated = false;
        loop {
            let field = reader.u8()?;
            if field == 0 {
                break;
            }
            let value = reader.cstr()?;
            let text = || String::from_utf8_lossy(value).into_owned();
            match field {
                b'V' => {
                    untranslated = true;
                    message.severity = text();
                }
                b'S' if !untranslated => message.severity = text(),
                b'C' => message.sqlstate = SqlState::parse(value).unwrap_or(SqlState::MISSING),
                b'M' => message.message = text(),
                b'D' => message.detail = Some(text()),
                b'H' => message.hint = Some(text()),
                b'P' => message.position = text().parse().ok(),
                b'p' => message.internal_position = text().parse().ok(),
                b'q' => message.internal_query = Some(text()),
                b'W' => message.where_ = Some(text()),
                b's' => message.schema = Some(text()),
                b't' => message.table = Some(text()),
                b'c' => message.column = Some(text()),
                b'd' => message.data_type = Some(text()),
                b'n' => message.constraint = Some(text()),
                b'F' => message.file = Some(text()),
                b'L' => message.line = text().parse().ok(),
                b'R' => message.routine = Some(text()),
                _ => {}
            }
        }
        reader.finish().map(|()| message)
    }

    /// How serious it is.
    #[must_use]
    pub fn level(&self) -> Severity {
        Severity::from_word(&self.severity)
    }

    /// Whether the server has ended the session with this report.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        matches!(self.level(), Severity::Fatal | Severity::Panic)
    }

    /// A report that says nothing.
    const fn empty() -> Self {
        Self {
            severity: String::new(),
            sqlstate: SqlState::MISSING,
            message: String::new(),
            detail: None,
            hint: None,
            position: None,
            internal_position: None,
            internal_query: None,
            where_: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
            file: None,
            line: None,
            routine: None,
        }
    }
}

impl fmt::Display for ServerMessage {
    /// One line: `ERROR 23505: duplicate key value … (constraint orders_pkey)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.sqlstate, self.message)?;
        match &self.constraint {
            Some(constraint) => write!(f, " (constraint {constraint})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_kept() {
        let body = b"SFEHLER\0VERROR\0C23505\0Mm\0Dd\0Hh\0P7\0p8\0qq\0Ww\0ss\0tt\0cc\0dy\0nn\0Ff\0L9\0Rr\0\0";
        let message = ServerMessage::decode("ErrorResponse", body).unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            message,
            ServerMessage {
                severity: "ERROR".to_owned(),
                sqlstate: SqlState::UNIQUE_VIOLATION,
                message: "m".to_owned(),
                detail: some("d"),
                hint: some("h"),
                position: Some(7),
                internal_position: Some(8),
                internal_query: some("q"),
                where_: some("w"),
                schema: some("s"),
                table: some("t"),
                column: some("c"),
                data_type: some("y"),
                constraint: some("n"),
                file: some("f"),
                line: Some(9),
                routine: some("r"),
            }
        );
        assert_eq!(message.to_string(), "ERROR 23505: m (constraint n)");
    }

    #[test]
    fn severity_is_the_untranslated_one_in_either_order() {
        for body in [b"VFATAL\0SFATALE\0\0".as_slice(), b"SFATALE\0VFATAL\0\0"] {
            let message = ServerMessage::decode("ErrorResponse", body).unwrap();
            assert_eq!(message.severity, "FATAL");
            assert!(message.ends_session());
        }
        let message = ServerMessage::decode("ErrorResponse", b"SFEHLER\0\0").unwrap();
        assert_eq!(message.level(), Severity::Other);
    }

    // trap V-23
    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        let message = ServerMessage::decode("ErrorResponse", b"Mcaf\xe9\0\0").unwrap();
        assert_eq!(message.message, "caf\u{fffd}");
        assert_eq!(message.sqlstate, SqlState::MISSING);
    }

    #[test]
    fn unknown_fields_and_invalid_codes_are_skipped() {
        let message = ServerMessage::decode("NoticeResponse", b"Zwhat\0Cxx\0Px\0Mm\0\0").unwrap();
        assert_eq!(message.message, "m");
        assert_eq!(message.sqlstate, SqlState::MISSING);
        assert_eq!(message.position, None);
    }

    #[test]
    fn truncated_and_overlong_bodies_are_refused() {
        for body in [b"".as_slice(), b"M", b"Mabc", b"Mabc\0", b"\0x"] {
            assert!(ServerMessage::decode("ErrorResponse", body).is_err(), "{body:?}");
        }
    }
}
