//! Why no stream could be opened.

use std::io;

/// Why no stream could be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The server answered that it has no TLS.
    TlsRefusedByServer {
        /// Where it is.
        peer: String,
    },
    /// The connection broke during the TLS handshake.
    HandshakeLost {
        /// What was attempted, as a noun phrase.
        what: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Anything else.
    Failed(OpenFailure),
}

/// What failed, by who has to act.
#[derive(Debug)]
pub enum OpenFailure {
    /// The network or the socket.
    Io {
        /// What was attempted, as a noun phrase.
        what: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Settings or files of the user.
    Config {
        /// One line.
        text: String,
        /// A whole sentence that says what to do.
        hint: Option<String>,
    },
    /// The TLS handshake or the certificate.
    Tls {
        /// One line.
        text: String,
        /// A whole sentence that says what to do.
        hint: Option<String>,
    },
}

impl OpenError {
    /// Whether another attempt at the same host (`sslmode` prefer and allow) may follow.
    pub fn allows_next_attempt(&self) -> bool {
        match self {
            Self::TlsRefusedByServer { .. }
            | Self::HandshakeLost { .. }
            | Self::Failed(OpenFailure::Tls { .. }) => true,
            Self::Failed(OpenFailure::Io { .. } | OpenFailure::Config { .. }) => false,
        }
    }

    /// What to tell the user.
    pub fn into_parts(self) -> OpenFailure {
        match self {
            Self::TlsRefusedByServer { peer } => OpenFailure::Tls {
                text: format!("server at {peer} does not support TLS, but sslmode demands it"),
                hint: Some(
                    "Set ssl = on on the server, or use a weaker sslmode in the connection string."
                        .to_owned(),
                ),
            },
            Self::HandshakeLost { what, source } => OpenFailure::Io { what, source },
            Self::Failed(failure) => failure,
        }
    }

    /// An error of the network.
    pub(super) fn io(peer: &str, source: io::Error) -> Self {
        Self::Failed(OpenFailure::Io { what: format!("connection to {peer}"), source })
    }
}

impl From<OpenFailure> for OpenError {
    fn from(failure: OpenFailure) -> Self {
        Self::Failed(failure)
    }
}
