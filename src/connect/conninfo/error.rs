//! What can be wrong with a connection string. No text of the string itself is ever repeated: a
//! password may stand in any place of a string that is wrong.

use std::fmt;
use std::path::PathBuf;

use crate::base::error::Error;

/// Why a connection string cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnInfoError {
    /// The text cannot be split into keywords and values.
    #[error("connection string, position {position}: {problem}")]
    Syntax {
        /// Character of the string, counted from 1.
        position: usize,
        /// What is wrong there.
        problem: SyntaxProblem,
    },
    /// A keyword nobody knows.
    #[error("connection string, position {position}: unknown connection option{}", suggest(*.similar))]
    UnknownKeyword {
        /// Character where the keyword starts, counted from 1.
        position: usize,
        /// A known keyword that resembles it.
        similar: Option<&'static str>,
    },
    /// The value of a keyword does not fit.
    #[error("connection option \"{keyword}\"{origin}: {problem}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// What is wrong, what is expected.
        problem: String,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Contradiction(String),
    /// A line of a service file.
    #[error("service file \"{}\", line {line}: {problem}", file.display())]
    ServiceLine {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A service file that cannot be read.
    #[error("service file \"{}\" cannot be read: {reason}", file.display())]
    ServiceFile {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// No file defines the service.
    #[error("definition of service \"{0}\" not found")]
    UnknownService(String),
    /// Neither the string nor the environment says which role to use.
    #[error("no role given: the operating system user has no name here")]
    NoUser,
}

/// Where the value of a keyword came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The connection string.
    Text,
    /// An environment variable.
    Variable(&'static str),
    /// A service file.
    Service(PathBuf),
    /// Nowhere: built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text | Self::Default => Ok(()),
            Self::Variable(name) => write!(f, " (from the environment variable {name})"),
            Self::Service(file) => write!(f, " (from the service file \"{}\")", file.display()),
        }
    }
}

/// What can be wrong with the form of a connection string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxProblem {
    /// A word without `=`.
    #[error("expected \"=\" after the keyword")]
    MissingEquals,
    /// `=value`.
    #[error("expected a keyword before \"=\"")]
    MissingKeyword,
    /// A quoted value without its end.
    #[error("the quoted string that starts here has no end")]
    UnterminatedQuote,
    /// `%` without two hexadecimal digits.
    #[error("\"%\" must be followed by two hexadecimal digits; write \"%25\" for a percent sign")]
    BadPercent,
    /// `%00`.
    #[error("the value \"%00\" is not allowed")]
    ZeroByte,
    /// Percent-decoded bytes that are not UTF-8.
    #[error("the percent-encoded bytes are not UTF-8")]
    NotUtf8,
    /// `[` without `]`.
    #[error("expected \"]\" at the end of the IPv6 address that starts here")]
    UnclosedBracket,
    /// `[]`.
    #[error("the IPv6 address is empty")]
    EmptyBracket,
    /// Something after `]` that cannot stand there.
    #[error("expected \":\", \",\", \"/\", \"?\" or the end after the IPv6 address")]
    AfterBracket,
    /// A query parameter with two `=`.
    #[error("a second \"=\" in a query parameter; write \"%3D\" inside a value")]
    ExtraEquals,
}

/// The end of a message about an unknown keyword.
fn suggest(similar: Option<&'static str>) -> String {
    similar.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

impl ConnInfoError {
    /// A syntax error at a byte offset of the text; positions are counted in characters.
    pub(super) fn syntax(text: &str, offset: usize, problem: SyntaxProblem) -> Self {
        Self::Syntax { position: position(text, offset), problem }
    }

    /// A value that does not fit its keyword.
    pub(super) fn value(
        keyword: &'static str,
        origin: &Origin,
        problem: impl Into<String>,
    ) -> Self {
        Self::Value { keyword, origin: origin.clone(), problem: problem.into() }
    }
}

/// Position of a byte offset, in characters counted from 1.
pub(super) fn position(text: &str, offset: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < offset).count() + 1
}

impl From<ConnInfoError> for Error {
    fn from(error: ConnInfoError) -> Self {
        let text = error.to_string();
        let base = Self::config(text);
        match error {
            ConnInfoError::Syntax { .. } | ConnInfoError::UnknownKeyword { .. } => base.hint(
                "Give either \"host=... dbname=...\" with values in single quotes where they hold \
                 blanks, or \"postgresql://user@host:port/dbname\" with special characters of user \
                 and password percent-encoded.",
            ),
            ConnInfoError::NoUser => base.hint("Add user=... to the connection string."),
            _ => base,
        }
    }
}
