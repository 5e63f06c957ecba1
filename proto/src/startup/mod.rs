//! From the StartupMessage to the first ReadyForQuery, as a state machine.
//!
//! ```text
//!            Startup::new ──► StartupMessage
//!                 │
//!          ┌──────▼───────┐  AuthenticationOk  ┌───────────────┐  ReadyForQuery
//!          │ authenticate ├───────────────────►│ await ready   ├───────────────► Done
//!          └──────┬───▲───┘                    └───────────────┘
//!        Send(…)  └───┘  R messages             S, K, N messages
//! ```
//!
//! The caller establishes the stream (and TLS, see [`ssl_answer`]), sends what [`Startup::new`]
//! returns, then gives every frame to [`Startup::handle_frame`] and does what the action says.
//! Frames are cut with [`Startup::limits`], so that nothing before authentication can be larger
//! than 64 KiB.
//!
//! # Invariants
//!
//! - The password leaves only when the request passes both `require_auth` and `channel_binding`.
//! - A SCRAM exchange that the server cuts short with AuthenticationOk is refused: until its final
//!   message the server has not proven that it knows the password.
//! - No error and no `Debug` output contains the password.

mod auth;
mod error;
mod policy;

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Bytes, BytesMut};

pub use error::StartupError;
pub use policy::{AuthMethod, ChannelBindingPolicy, ParseRequireAuthError, RequireAuth};

use crate::backend::{BackendMessage, ServerMessage};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::frontend;
use crate::limits::{Limits, PARAMETER_STATUS_COUNT_MAX};
use crate::types::TransactionStatus;
use auth::Authentication;

/// What a session shall be opened with.
///
/// `Debug` shows neither password nor channel binding data.
#[derive(Clone, Default)]
pub struct StartupConfig {
    /// The role to log in as.
    pub user: String,
    /// The database; `None` lets the server take the one named like the role.
    pub database: Option<String>,
    /// Further startup parameters in order: `application_name`, `client_encoding`, `options`,
    /// `replication`, any setting.
    pub parameters: Vec<(String, String)>,
    /// The password, if there is one. An empty one counts as none, as in libpq.
    pub password: Option<Vec<u8>>,
    /// Whether the stream below is encrypted.
    pub tls_active: bool,
    /// The `tls-server-end-point` hash of the server's certificate; `None` without TLS or when the
    /// certificate's signature has no usable hash.
    pub channel_binding_data: Option<Vec<u8>>,
    /// Connection option `channel_binding`.
    pub channel_binding: ChannelBindingPolicy,
    /// Connection option `require_auth`.
    pub require_auth: RequireAuth,
}

impl fmt::Debug for StartupConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartupConfig")
            .field("user", &self.user)
            .field("database", &self.database)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("tls_active", &self.tls_active)
            .field("channel_binding", &self.channel_binding)
            .field("require_auth", &self.require_auth)
            .finish_non_exhaustive()
    }
}

/// What the caller must do next.
#[derive(Debug)]
pub enum StartupAction {
    /// Nothing: read on.
    Continue,
    /// Write these bytes, then read on.
    Send(Bytes),
    /// Show or log this notice, then read on.
    Notice(Box<ServerMessage>),
    /// The session is ready for commands. No further frame may be given.
    Done(Box<StartupDone>),
}

/// An open session.
///
/// `Debug` does not show the cancel key.
#[derive(Clone)]
pub struct StartupDone {
    /// The settings that the server reported.
    pub parameters: ServerParameters,
    /// The server process; zero when the server sent no BackendKeyData, as some poolers do.
    pub process_id: i32,
    /// What a CancelRequest must hold; empty when the server sent none.
    pub secret_key: Vec<u8>,
    /// The state of the session, idle unless something odd sits in between.
    pub transaction_status: TransactionStatus,
    /// How the server authenticated us.
    pub method: AuthMethod,
    /// Whether the exchange was bound to the TLS channel, which proves that nobody sits between.
    pub channel_bound: bool,
}

impl fmt::Debug for StartupDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartupDone")
            .field("process_id", &self.process_id)
            .field("method", &self.method)
            .field("channel_bound", &self.channel_bound)
            .finish_non_exhaustive()
    }
}

/// The settings that a server reports: `server_version`, `TimeZone`, `client_encoding` …
///
/// Holds at most [`PARAMETER_STATUS_COUNT_MAX`] names; further ones are dropped. Text is lossy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerParameters {
    values: BTreeMap<String, String>,
}

impl ServerParameters {
    /// The present value of `name`, spelled as the server spells it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Takes over a ParameterStatus.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let name = String::from_utf8_lossy(name);
        let full = self.values.len() >= PARAMETER_STATUS_COUNT_MAX;
        if full && !self.values.contains_key(name.as_ref()) {
            return;
        }
        let value = String::from_utf8_lossy(value).into_owned();
        self.values.insert(name.into_owned(), value);
    }

    /// Names and values in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// Whether the server accepts TLS, from the single byte that answers an SSLRequest.
///
/// # Errors
/// `UnexpectedMessage` for anything but `S` and `N`. An `E` is the beginning of an ErrorResponse
/// from a server that failed to start the session; its text must not be shown, as nothing about
/// the peer is known yet (CVE-2024-10977).
pub const fn ssl_answer(byte: u8) -> Result<bool, DecodeError> {
    match byte {
        b'S' => Ok(true),
        b'N' => Ok(false),
        tag => {
            let expected = "S or N";
            let kind = DecodeErrorKind::UnexpectedMessage { expected, tag };
            Err(DecodeError::new(kind, "answer to SSLRequest", 0))
        }
    }
}

/// Where the exchange stands.
enum Phase {
    /// The server has yet to say AuthenticationOk.
    Authenticating(Authentication),
    /// It has; settings and the cancel key follow.
    AwaitingReady,
    /// Nothing more may come: done, or failed.
    Ended,
}

/// The state machine, see the module's documentation.
pub struct Startup {
    phase: Phase,
    outcome: StartupDone,
}

impl Startup {
    /// A machine for `config`, and the StartupMessage to send first.
    ///
    /// # Errors
    /// [`StartupError::Encode`] when user, database or a parameter contains a zero byte, and
    /// [`StartupError::ChannelBinding`] when it is required on a stream without TLS.
    pub fn new(config: StartupConfig) -> Result<(Self, Bytes), StartupError> {
        let mut message = BytesMut::new();
        let user = [("user", config.user.as_str())];
        let database = config.database.as_deref().map(|name| ("database", name));
        let further = config.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let parameters = user.into_iter().chain(database).chain(further);
        frontend::startup(parameters, &mut message)?;
        let outcome = StartupDone {
            parameters: ServerParameters::default(),
            process_id: 0,
            secret_key: Vec::new(),
            transaction_status: TransactionStatus::Idle,
            method: AuthMethod::None,
            channel_bound: false,
        };
        let phase = Phase::Authenticating(Authentication::new(config)?);
        Ok((Self { phase, outcome }, message.freeze()))
    }

    /// The limits with which the next frame must be cut.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        match self.phase {
            Phase::Authenticating(_) => Limits::Startup,
            Phase::AwaitingReady | Phase::Ended => Limits::Session,
        }
    }

    /// Whether the server has asked for a password: then a refusal may mean that the password,
    /// and the place it came from, is wrong.
    #[must_use]
    pub const fn password_requested(&self) -> bool {
        !matches!(self.outcome.method, AuthMethod::None)
    }

    /// Takes one frame and says what to do.
    ///
    /// # Errors
    /// Every [`StartupError`]. After an error the machine has ended and the stream must be closed.
    pub fn handle_frame(&mut self, tag: u8, body: &[u8]) -> Result<StartupAction, StartupError> {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        let message = BackendMessage::decode(tag, body)?;
        match (phase, message) {
            (Phase::Ended, _) => Err(unexpected("nothing", tag)),
            (_, BackendMessage::ErrorResponse(report)) => Err(StartupError::Server(report)),
            (phase, BackendMessage::NoticeResponse(report)) => {
                self.phase = phase;
                Ok(StartupAction::Notice(report))
            }
            (Phase::Authenticating(state), BackendMessage::NegotiateProtocolVersion(_)) => {
                // Only 3.0 is asked for, and no options: there is nothing to give up.
                self.phase = Phase::Authenticating(state);
                Ok(StartupAction::Continue)
            }
            (Phase::Authenticating(state), BackendMessage::Authentication(request)) => {
                self.authenticate(state, &request)
            }
            (Phase::Authenticating(_), _) => Err(unexpected("an authentication request", tag)),
            (Phase::AwaitingReady, message) => self.await_ready(tag, message),
        }
    }

    /// One step of authentication.
    fn authenticate(
        &mut self,
        mut state: Authentication,
        request: &crate::backend::AuthenticationRequest<'_>,
    ) -> Result<StartupAction, StartupError> {
        let step = state.step(request);
        self.outcome.method = state.method();
        Ok(match step? {
            auth::Step::Send(bytes) => {
                self.phase = Phase::Authenticating(state);
                StartupAction::Send(bytes)
            }
            auth::Step::Wait => {
                self.phase = Phase::Authenticating(state);
                StartupAction::Continue
            }
            auth::Step::Authenticated => {
                self.outcome.channel_bound = state.channel_bound();
                self.phase = Phase::AwaitingReady;
                StartupAction::Continue
            }
        })
    }

    /// One message between AuthenticationOk and ReadyForQuery.
    fn await_ready(
        &mut self,
        tag: u8,
        message: BackendMessage<'_>,
    ) -> Result<StartupAction, StartupError> {
        match message {
            BackendMessage::ParameterStatus(status) => {
                self.outcome.parameters.set(status.name, status.value);
            }
            BackendMessage::BackendKeyData(key) => {
                self.outcome.process_id = key.process_id;
                self.outcome.secret_key = key.secret_key.to_vec();
            }
            BackendMessage::ReadyForQuery(status) => {
                self.outcome.transaction_status = status;
                return Ok(StartupAction::Done(Box::new(self.outcome.clone())));
            }
            _ => return Err(unexpected("ReadyForQuery", tag)),
        }
        self.phase = Phase::AwaitingReady;
        Ok(StartupAction::Continue)
    }
}

impl fmt::Debug for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Authenticating(_) => "Startup(authenticating)",
            Phase::AwaitingReady => "Startup(awaiting ready)",
            Phase::Ended => "Startup(ended)",
        })
    }
}

/// A message that the state does not allow.
fn unexpected(expected: &'static str, tag: u8) -> StartupError {
    let kind = DecodeErrorKind::UnexpectedMessage { expected, tag };
    StartupError::Decode(DecodeError::new(kind, "startup", 0))
}
