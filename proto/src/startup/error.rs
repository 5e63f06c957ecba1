//! Why a session could not be opened.

use std::fmt;

use super::policy::AuthMethod;
use crate::backend::ServerMessage;
use crate::error::DecodeError;
use crate::frontend::EncodeError;

/// Why a session could not be opened. Never contains the password.
#[derive(Debug)]
pub enum StartupError {
    /// The server refused, with its report.
    Server(Box<ServerMessage>),
    /// The server asked for a password and there is none.
    NeedPassword {
        /// How it would be sent.
        method: AuthMethod,
    },
    /// The server asked for a method that this program does not have.
    Unsupported {
        /// The method's name, or the list of SASL mechanisms offered.
        method: String,
    },
    /// The server asked for, or was content with, a method that `require_auth` excludes.
    RequireAuth {
        /// The method that the server used.
        method: AuthMethod,
        /// What is allowed, as connection option text.
        allowed: String,
    },
    /// Channel binding was required and could not be had.
    ChannelBinding {
        /// Why not, as a phrase.
        reason: &'static str,
    },
    /// The SCRAM exchange failed on our side: malformed, or the server could not prove that it
    /// knows the password.
    Scram {
        /// Why, as a phrase.
        reason: String,
    },
    /// The server broke the order of the exchange.
    Protocol {
        /// What it did, as a phrase.
        reason: &'static str,
    },
    /// The server sent something malformed or out of place.
    Decode(DecodeError),
    /// A parameter or the password cannot be sent.
    Encode(EncodeError),
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(report) => report.fmt(f),
            Self::NeedPassword { method } => {
                write!(f, "server requires a password ({method}), none was given")
            }
            Self::Unsupported { method } => {
                write!(f, "authentication method {method} is not supported")
            }
            Self::RequireAuth { method, allowed } => write!(
                f,
                "authentication method requirement \"{allowed}\" failed: server used \"{method}\""
            ),
            Self::ChannelBinding { reason } => {
                write!(f, "channel binding is required, but {reason}")
            }
            Self::Scram { reason } => write!(f, "SCRAM authentication failed: {reason}"),
            Self::Protocol { reason } => write!(f, "authentication failed: {reason}"),
            Self::Decode(error) => error.fmt(f),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for StartupError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<EncodeError> for StartupError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
