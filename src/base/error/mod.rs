//! The one error type that crosses module boundaries: which side, which object, what happened,
//! what to do.
//!
//! Pure parsers keep their own small error types and convert once, where they meet this layer.
//! Whether an error is retried and which exit code it yields is decided in [`class`] and nowhere
//! else.

mod class;
mod server;

use std::borrow::Cow;
use std::fmt;

use proto::sqlstate::SqlState;

pub use class::Class;
pub use server::ServerError;

/// Result of an operation that talks to a server, the disk or a child process.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which end of the migration an error or a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The server that is read.
    Source,
    /// The server that is written.
    Target,
    /// This machine: work directory, child processes, our own code.
    Local,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Local => "local",
        })
    }
}

/// What went wrong, in a form a program can act on.
#[derive(Debug)]
pub enum ErrorKind {
    /// The server answered with an ErrorResponse.
    Server(ServerError),
    /// The connection broke, timed out, or could not be made; the text says where.
    Connection {
        /// What was attempted, as a noun phrase ("connection to 10.0.0.1:5432").
        what: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The server sent something the protocol does not allow here.
    Protocol(String),
    /// The server wants an authentication that cannot be given (missing password, wrong method).
    Authentication(String),
    /// The caller's input is wrong: option, variable, connection string, filter file.
    Config(String),
    /// `pg_dump`, `pg_restore` or another tool is missing or too old.
    Tool(String),
    /// A child process ended with a failure; the text carries its last error lines.
    Child {
        /// Program name without its directory.
        program: String,
        /// Exit status in words.
        status: String,
        /// What it wrote to standard error, last lines only, free of secrets.
        stderr: String,
    },
    /// What arrived is not what was sent: row counts differ, a table was rewritten under the copy.
    Data(String),
    /// What the plan was made from no longer holds: the snapshot is gone, a table was rewritten.
    Stale(String),
    /// The work directory or the ledger on the target contradicts this run.
    State(String),
    /// A file could not be read or written.
    File {
        /// The path as the user would type it.
        path: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The server lacks what this needs.
    Unsupported(String),
    /// Work stopped because it was asked to.
    Cancelled,
    /// A rule of our own code is broken; please report it.
    Internal(Cow<'static, str>),
}

/// Why something failed: side, object, action, kind, hint.
///
/// Displayed on one line, `target: copy public.orders: ERROR 23505: …`; [`Error::detail_lines`]
/// holds what belongs below it.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// The fields of [`Error`], boxed so that a `Result` stays small.
#[derive(Debug)]
struct Inner {
    side: Side,
    /// What was being done, as a present-tense fragment that names the object as SQL would.
    actions: Vec<String>,
    kind: ErrorKind,
    hint: Option<String>,
}

impl Error {
    /// An error of any kind on a side.
    pub fn new(side: Side, kind: ErrorKind) -> Self {
        Self(Box::new(Inner { side, actions: Vec::new(), kind, hint: None }))
    }

    /// An ErrorResponse from a server.
    pub fn server(side: Side, error: ServerError) -> Self {
        Self::new(side, ErrorKind::Server(error))
    }

    /// A connection that broke or could not be made; `what` names it as a noun phrase.
    pub fn connection(side: Side, what: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(side, ErrorKind::Connection { what: what.into(), source })
    }

    /// A message that the protocol does not allow at this point.
    pub fn protocol(side: Side, message: impl Into<String>) -> Self {
        Self::new(side, ErrorKind::Protocol(message.into()))
    }

    /// Wrong input by the caller.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Side::Local, ErrorKind::Config(message.into()))
    }

    /// A contradiction between this run and what an earlier one left.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(Side::Local, ErrorKind::State(message.into()))
    }

    /// What the plan was made from no longer holds.
    pub fn stale(side: Side, message: impl Into<String>) -> Self {
        Self::new(side, ErrorKind::Stale(message.into()))
    }

    /// What arrived differs from what was sent.
    pub fn data(side: Side, message: impl Into<String>) -> Self {
        Self::new(side, ErrorKind::Data(message.into()))
    }

    /// A file that could not be read or written.
    pub fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::new(Side::Local, ErrorKind::File { path: path.display().to_string(), source })
    }

    /// A broken rule of our own code.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Side::Local, ErrorKind::Internal(message.into()))
    }

    /// Work that stopped because it was asked to.
    pub fn cancelled() -> Self {
        Self::new(Side::Local, ErrorKind::Cancelled)
    }

    /// Adds what was being done ("copy public.orders part 3/8"); outer calls come first in the text.
    #[must_use]
    pub fn during(mut self, action: impl Into<String>) -> Self {
        self.0.actions.insert(0, action.into());
        self
    }

    /// Adds a whole sentence that says what to do. The first hint given stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Which end failed.
    pub fn side(&self) -> Side {
        self.0.side
    }

    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The server's error, when a server sent one.
    pub fn as_server(&self) -> Option<&ServerError> {
        match &self.0.kind {
            ErrorKind::Server(error) => Some(error),
            _ => None,
        }
    }

    /// The SQLSTATE, when a server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.as_server().map(|error| error.sqlstate.as_str())
    }

    /// Whether the server, the role or the database allows no more connections now (53300).
    pub fn is_connection_limit(&self) -> bool {
        self.as_server()
            .is_some_and(|error| error.sqlstate == SqlState::TOO_MANY_CONNECTIONS.as_str())
    }

    /// How the program must react.
    pub fn class(&self) -> Class {
        class::classify(&self.0.kind)
    }

    /// Lines that belong below the one-line text: the server's detail, hint and context, then ours.
    pub fn detail_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(server) = self.as_server() {
            let fields =
                [("detail", &server.detail), ("hint", &server.hint), ("context", &server.context)];
            for (name, value) in fields {
                if let Some(text) = value {
                    lines.push(format!("{name}: {text}"));
                }
            }
        }
        if let ErrorKind::Child { stderr, .. } = &self.0.kind {
            lines.extend(stderr.lines().map(|line| format!("  {line}")));
        }
        if let Some(hint) = &self.0.hint {
            lines.push(format!("hint: {hint}"));
        }
        lines
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.side != Side::Local {
            write!(f, "{}: ", self.0.side)?;
        }
        for action in &self.0.actions {
            write!(f, "{action}: ")?;
        }
        match &self.0.kind {
            ErrorKind::Server(error) => write!(f, "{error}"),
            ErrorKind::Connection { what, source } => write!(f, "{what}: {source}"),
            ErrorKind::Protocol(text) => write!(f, "protocol violation: {text}"),
            ErrorKind::Authentication(text)
            | ErrorKind::Config(text)
            | ErrorKind::Tool(text)
            | ErrorKind::Data(text)
            | ErrorKind::Stale(text)
            | ErrorKind::State(text)
            | ErrorKind::Unsupported(text) => f.write_str(text),
            ErrorKind::Child { program, status, .. } => write!(f, "{program} ended with {status}"),
            ErrorKind::File { path, source } => write!(f, "\"{path}\": {source}"),
            ErrorKind::Cancelled => f.write_str("stopped on request"),
            ErrorKind::Internal(text) => write!(f, "internal error, please report it: {text}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Connection { source, .. } | ErrorKind::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_side_action_and_sqlstate() {
        let error = Error::server(
            Side::Target,
            ServerError {
                severity: "ERROR".into(),
                sqlstate: "23505".into(),
                message: "duplicate key value violates unique constraint \"orders_pkey\"".into(),
                ..ServerError::default()
            },
        )
        .during("part 3/8")
        .during("copy public.orders");
        assert_eq!(
            error.to_string(),
            "target: copy public.orders: part 3/8: ERROR 23505: duplicate key value violates \
             unique constraint \"orders_pkey\""
        );
    }

    #[test]
    fn first_hint_stays() {
        let error = Error::config("x").hint("inner").hint("outer");
        assert_eq!(error.detail_lines(), ["hint: inner"]);
    }
}
