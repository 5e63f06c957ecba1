//! From a connection string to a session: hosts in order, TLS attempts per host, authentication,
//! `target_session_attrs`.

use std::future::poll_fn;

use bytes::BytesMut;
use proto::frame;
use proto::startup::{
    ChannelBindingPolicy, RequireAuth, Startup, StartupAction, StartupConfig, StartupDone,
    StartupError,
};

use super::buffer::ReadBuffer;
use super::io::server_error;
use super::retry::Backoff;
use super::{CancelHandle, Rows, Session, trace};
use crate::base::error::{Class, Error, ErrorKind, Result, Side};
use crate::base::log::NOTICE;
use crate::connect::conninfo::{ConnInfo, HostSpec, Policy, TargetSessionAttrs};
use crate::connect::net::{self, OpenError, Stream, TlsAttempt};

/// Longest `application_name` that a server keeps, in bytes.
/// Source: NAMEDATALEN − 1.
const APPLICATION_NAME_BYTES_MAX: usize = 63;

/// Which kind of backend serves a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// An ordinary one.
    Ordinary,
    /// A walsender connected to the database: takes replication commands and simple queries, no
    /// extended ones.
    LogicalReplication,
}

/// What a session is for.
#[derive(Debug, Clone, Copy)]
struct Purpose<'a> {
    mode: Mode,
    /// Ends up in `application_name`.
    role: &'a str,
}

impl Session {
    /// Connects to the first host that answers and suits, authenticates, and runs nothing else.
    ///
    /// `role` is what the session is for; it ends up in `application_name`.
    ///
    /// Not cancel safe, but dropping it only drops the socket.
    ///
    /// # Errors
    /// Class `Permission` for a refused password (the next hosts are not tried then), `Transient`
    /// when no host could be reached, `Config` for TLS files that cannot be used.
    pub async fn connect(side: Side, info: &ConnInfo, role: &str) -> Result<Self> {
        Self::connect_in(Mode::Ordinary, side, info, role).await
    }

    /// Like [`Session::connect`] for one of the two modes of a session.
    pub(super) async fn connect_in(
        mode: Mode,
        side: Side,
        info: &ConnInfo,
        role: &str,
    ) -> Result<Self> {
        let purpose = Purpose { mode, role };
        let info = &info.with_renewed_passwords();
        let mut failures: Vec<Error> = Vec::new();
        // prefer-standby is two rounds: standbys only, then whatever is there.
        let rounds: &[TargetSessionAttrs] = match info.target_session_attrs {
            TargetSessionAttrs::PreferStandby => {
                &[TargetSessionAttrs::Standby, TargetSessionAttrs::Any]
            }
            ref other => std::slice::from_ref(other),
        };
        for wanted in rounds {
            for host in net::ordered_hosts(info) {
                // One entry per address: each may be a server of another kind.
                for place in net::resolve(&host, info).await {
                    match connect_host(side, info, &place, purpose).await {
                        Ok(mut session) => match session.suits(*wanted).await {
                            Ok(true) => return Ok(session),
                            Ok(false) => failures.push(unsuitable(side, &session, *wanted)),
                            Err(error) => failures.push(error),
                        },
                        // Another host would refuse the same password or certificate.
                        Err(error) if error.class() == Class::Permission => return Err(error),
                        Err(error) => failures.push(error),
                    }
                }
            }
        }
        Err(summarize(side, failures))
    }

    /// Like [`Session::connect`], trying again with pauses while the failure is transient.
    ///
    /// # Errors
    /// The last failure once the pauses are used up, and at once what trying again cannot mend.
    pub async fn connect_patiently(
        side: Side,
        info: &ConnInfo,
        role: &str,
        backoff: &mut Backoff,
    ) -> Result<Self> {
        loop {
            match Self::connect(side, info, role).await {
                Ok(session) => return Ok(session),
                Err(error) if error.class() == Class::Transient => match backoff.next_pause() {
                    Some(pause) => {
                        tracing::debug!(%error, ?pause, "connection failed, trying again");
                        tokio::time::sleep(pause).await;
                    }
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// The rows of one statement through the simple protocol, which every backend speaks.
    async fn ask(&mut self, sql: &str) -> Result<Rows> {
        let results = self.simple_query(sql).await?;
        Ok(results.into_iter().next().map(|result| result.rows).unwrap_or_default())
    }

    /// Whether the server is what `target_session_attrs` asks for.
    async fn suits(&mut self, wanted: TargetSessionAttrs) -> Result<bool> {
        let standby = async |session: &mut Self| -> Result<bool> {
            session.ask("select pg_catalog.pg_is_in_recovery()").await?.one()?.flag(0)
        };
        let read_only = async |session: &mut Self| -> Result<bool> {
            let rows = session.ask("show transaction_read_only").await?;
            Ok(rows.one()?.text(0)? == "on")
        };
        Ok(match wanted {
            TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => true,
            TargetSessionAttrs::ReadWrite => !read_only(self).await?,
            TargetSessionAttrs::ReadOnly => read_only(self).await?,
            TargetSessionAttrs::Primary => !standby(self).await?,
            TargetSessionAttrs::Standby => standby(self).await?,
        })
    }
}

/// An error for a server that answered but is not of the kind asked for.
fn unsuitable(side: Side, session: &Session, wanted: TargetSessionAttrs) -> Error {
    let text = match wanted {
        TargetSessionAttrs::ReadWrite => "read-only",
        TargetSessionAttrs::ReadOnly => "not read-only",
        TargetSessionAttrs::Primary => "in hot standby mode",
        _ => "not in hot standby mode",
    };
    Error::new(side, ErrorKind::Unsupported(format!("server at {} is {text}", session.stream.peer)))
        .hint("Change target_session_attrs, or name another host.")
}

/// One error out of those of all hosts: the last one, with the number of the others.
fn summarize(side: Side, mut failures: Vec<Error>) -> Error {
    let Some(last) = failures.pop() else {
        return Error::new(side, ErrorKind::Config("the connection string names no host".into()));
    };
    for error in &failures {
        tracing::warn!(%error, "host could not be used");
    }
    last
}

/// Tries one host, with TLS and without as `sslmode` says.
async fn connect_host(
    side: Side,
    info: &ConnInfo,
    host: &HostSpec,
    purpose: Purpose<'_>,
) -> Result<Session> {
    let attempts = net::attempts(host, info);
    let mut last = None;
    for (index, attempt) in attempts.iter().enumerate() {
        let another = index + 1 < attempts.len();
        let stream = match net::open(host, info, *attempt).await {
            Ok(stream) => stream,
            Err(OpenError::TlsRefusedByServer { peer }) if another => {
                tracing::debug!(peer, "server has no TLS, trying without");
                continue;
            }
            Err(error) => {
                let may_go_on = another && error.allows_next_attempt();
                let error = open_error(side, error);
                if may_go_on {
                    last = Some(error);
                    continue;
                }
                return Err(error);
            }
        };
        match start(side, info, host, *attempt, stream, purpose).await {
            Ok(session) => return Ok(session),
            // invalid_authorization_specification: pg_hba.conf may allow the other transport.
            Err(error) if another && error.sqlstate() == Some("28000") => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::internal("no way to open a connection was tried")))
}

/// Authenticates on an open stream.
async fn start(
    side: Side,
    info: &ConnInfo,
    host: &HostSpec,
    attempt: TlsAttempt,
    mut stream: Stream,
    purpose: Purpose<'_>,
) -> Result<Session> {
    let peer = stream.peer.clone();
    let work = authenticate(side, info, host, &mut stream, purpose);
    let (done, read) = match info.connect_timeout {
        None => work.await?,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", limit.as_secs());
            let timeout = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
            Err(Error::connection(side, format!("connection to {peer}"), timeout))
        })?,
    };
    let process_id = u32::try_from(done.process_id).unwrap_or_default();
    Ok(Session {
        stream,
        side,
        read,
        write: BytesMut::new(),
        lent: Vec::new(),
        parameters: done
            .parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        cancel: CancelHandle::new(info, host, attempt, process_id, done.secret_key),
        status: done.transaction_status,
        broken: false,
    })
}

/// Drives the start-up state machine until the server is ready.
async fn authenticate(
    side: Side,
    info: &ConnInfo,
    host: &HostSpec,
    stream: &mut Stream,
    purpose: Purpose<'_>,
) -> Result<(StartupDone, ReadBuffer)> {
    use tokio::io::AsyncWriteExt as _;

    let peer = stream.peer.clone();
    let lost = |error| Error::connection(side, format!("connection to {peer}"), error);
    let config = startup_config(info, host, stream, purpose)?;
    let (mut startup, first) =
        Startup::new(config).map_err(|error| startup_error(side, info, &peer, error))?;
    trace::sent_untagged(format_args!("{side}"), &first);
    stream.write_all(&first).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let mut read = ReadBuffer::default();
    loop {
        let (action, length) = match frame::next_frame(read.unread(), startup.limits()) {
            Err(error) => return Err(Error::protocol(side, error.to_string()).during(peer.clone())),
            Ok(Some(frame)) => {
                trace::received(format_args!("{side}"), frame);
                let action = startup
                    .handle_frame(frame.tag, frame.body)
                    .map_err(|error| startup_error(side, info, &peer, error))?;
                (action, frame.total_length)
            }
            Ok(None) => {
                if read.spare() == 0 {
                    read.make_room(0);
                }
                if poll_fn(|cx| read.poll_read(stream, cx)).await.map_err(lost)? == 0 {
                    return Err(lost(std::io::Error::new(
                        std::io::ErrorKind::UnexpectedEof,
                        "server closed the connection during start-up",
                    )));
                }
                continue;
            }
        };
        read.consume(length);
        match action {
            StartupAction::Continue => {}
            StartupAction::Send(bytes) => {
                trace::sent(format_args!("{side}"), std::slice::from_ref(&bytes));
                stream.write_all(&bytes).await.map_err(lost)?;
                stream.flush().await.map_err(lost)?;
            }
            StartupAction::Notice(notice) => {
                tracing::info!(target: NOTICE, "[{side}] {}: {}", notice.severity, notice.message);
            }
            StartupAction::Done(done) => return Ok((*done, read)),
        }
    }
}

/// What the start-up message and the authentication need.
fn startup_config(
    info: &ConnInfo,
    host: &HostSpec,
    stream: &Stream,
    purpose: Purpose<'_>,
) -> Result<StartupConfig> {
    let role = purpose.role;
    let mut name = info
        .application_name
        .clone()
        .unwrap_or_else(|| format!("pgcopydb[{}] {role}", std::process::id()));
    let mut end = name.len().min(APPLICATION_NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    let mut parameters =
        vec![("client_encoding".into(), "UTF8".into()), ("application_name".into(), name)];
    if let Some(options) = &info.options {
        parameters.push(("options".into(), options.clone()));
    }
    if purpose.mode == Mode::LogicalReplication {
        parameters.push(("replication".into(), "database".into()));
    }
    let require_auth: RequireAuth = info
        .require_auth
        .join(",")
        .parse()
        .map_err(|error| Error::config(format!("require_auth: {error}")))?;
    let password = info.password.as_ref().or(host.password.as_ref());
    Ok(StartupConfig {
        user: info.user.clone(),
        database: Some(info.dbname.clone()),
        parameters,
        password: password.map(|secret| secret.expose().as_bytes().to_vec()),
        tls_active: stream.tls_active,
        channel_binding_data: stream.channel_binding.clone(),
        channel_binding: match info.channel_binding {
            Policy::Disable => ChannelBindingPolicy::Disable,
            Policy::Prefer => ChannelBindingPolicy::Prefer,
            Policy::Require => ChannelBindingPolicy::Require,
        },
        require_auth,
    })
}

/// Gives a failed start-up its class, and a hint where a person can do something.
fn startup_error(side: Side, info: &ConnInfo, peer: &str, error: StartupError) -> Error {
    let what = format!("connect to {peer} as \"{}\"", info.user);
    match error {
        StartupError::Server(message) => {
            let code = message.sqlstate.as_str().to_owned();
            let error = Error::server(side, server_error(*message)).during(what);
            match code.as_str() {
                "28P01" => error.hint(format!(
                    "Check the password of role \"{}\" in the {side} connection string, PGPASSWORD \
                     or the password file.",
                    info.user
                )),
                "28000" => error.hint("Check pg_hba.conf on the server, the role and sslmode."),
                "3D000" => error.hint(format!(
                    "Check the database name, or create it: CREATE DATABASE {};",
                    crate::base::ident::quote_identifier(&info.dbname)
                )),
                _ => error,
            }
        }
        StartupError::NeedPassword { .. } => {
            Error::new(side, ErrorKind::Authentication(error.to_string()))
                .during(what)
                .hint("Give it in the connection string, in PGPASSWORD or in the password file.")
        }
        StartupError::Decode(_) | StartupError::Protocol { .. } => {
            Error::protocol(side, error.to_string()).during(what)
        }
        StartupError::Encode(_) => Error::config(error.to_string()).during(what),
        StartupError::Unsupported { .. }
        | StartupError::RequireAuth { .. }
        | StartupError::ChannelBinding { .. }
        | StartupError::Scram { .. } => {
            Error::new(side, ErrorKind::Authentication(error.to_string())).during(what)
        }
    }
}

/// Gives a stream that could not be opened its class.
fn open_error(side: Side, error: OpenError) -> Error {
    match error.into_parts() {
        net::OpenFailure::Io { what, source } => Error::connection(side, what, source),
        net::OpenFailure::Config { text, hint } => {
            with_hint(Error::new(side, ErrorKind::Config(text)), hint)
        }
        net::OpenFailure::Tls { text, hint } => {
            with_hint(Error::new(side, ErrorKind::Authentication(text)), hint)
        }
    }
}

/// Adds a hint that may be missing.
fn with_hint(error: Error, hint: Option<String>) -> Error {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
