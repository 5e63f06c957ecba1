//! Receives changes into the store and confirms to the source what is durable.
//!
//! ```text
//!  ChangeReader ─► intake (what a message means) ─► StoreWriter ─► disk
//!        ▲                                             │ durable
//!     source ◄──────────── feedback task ◄─────────────┘
//! ```
//!
//! One connection at a time; when it breaks for a reason that passes, another one is made and the
//! server begins again behind the last durable position. The loop ends at the end position, when asked
//! to stop, or with an error that no new attempt mends.

mod classify;
mod feedback;
mod intake;
#[cfg(test)]
mod model_tests;
mod options;
pub mod slot;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use proto::lsn::Lsn;
use proto::replication::XLogData;
use tokio::sync::watch;

use crate::base::error::{Class, Error, ErrorKind, Result, Side};
use crate::base::stop::StopSignal;
use crate::config::{Confirm, Plugin};
use crate::connect::client::Session;
use crate::connect::client::replication::ReplicationSession;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{SessionRole, pin};
use crate::connect::conninfo::ConnInfo;
use crate::follow::store::{self, Positions, StoreOptions, StoreWriter, StreamIdentity};
use crate::local::state::{SentinelHandle, SlotRecord};
use intake::Intake;
use slot::Known;

pub use options::PluginOptions;

/// How long a source that cannot be reached is waited for.
///
/// A migration goes on for days: a restart with crash recovery or a failover must not end it.
const PATIENCE: Duration = Duration::from_secs(600);

/// `TCP_USER_TIMEOUT` unless the connection string has one: a peer that does not acknowledge what we
/// send for so long is gone (X-18). A server that is merely busy does acknowledge.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// What to receive, and where to.
#[derive(Debug)]
pub struct ReceiveSettings {
    /// The source.
    pub source: ConnInfo,
    /// Directory of the store.
    pub directory: PathBuf,
    /// What was made on the source.
    pub slot: SlotRecord,
    /// Its plugin.
    pub plugin: Plugin,
    /// What the plugin is asked for; the publications are those of the slot's record.
    pub options: PluginOptions,
    /// How the store is written.
    pub store: StoreOptions,
    /// Where end position and applied position come from, and where ours goes to.
    pub sentinel: SentinelHandle,
    /// What the target holds: a store that is not there begins here.
    pub applied: Lsn,
    /// What is confirmed to the source.
    pub confirm: Confirm,
}

/// How receiving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// Everything up to this end position is durable in the store.
    EndposReached(Lsn),
    /// It was asked to stop.
    Stopped,
}

/// How far receiving is, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiveProgress {
    /// End of what was handed to us.
    pub received: Lsn,
    /// Transactions stored by this process.
    pub transactions: u64,
    /// Payload bytes received by this process.
    pub bytes: u64,
    /// Connections made.
    pub connections: u64,
    /// Whether it waits for room on the disk.
    pub waits_for_room: bool,
}

/// Sees every message as it arrives (`stream receive --to-stdout`).
pub type Tap = Box<dyn FnMut(&XLogData<'_>) + Send>;

/// Receives changes. Made by [`Receiver::open`], then run once.
pub struct Receiver {
    settings: ReceiveSettings,
    store: StoreWriter,
    intake: Intake,
    progress: watch::Sender<ReceiveProgress>,
    tap: Option<Tap>,
    /// The connection that `open` checked everything on.
    session: Option<ReplicationSession>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Connects, checks that the slot fits what the store holds, and opens the store.
    ///
    /// # Errors
    /// `State` when the source, its timeline or the slot is not what the run began with, or when changes
    /// would be missing; those of the connection and of the store.
    pub async fn open(mut settings: ReceiveSettings) -> Result<Self> {
        settings.source.socket.tcp_user_timeout.get_or_insert(USER_TIMEOUT);
        let held = store::read_state(&settings.directory)?;
        let start = settings.slot.consistent_point.max(settings.applied);
        let durable = held.as_ref().map_or(start, |held| held.durable);
        // The newest segment knows the timeline that its changes came from.
        let timeline = held.map_or(settings.slot.timeline, |held| held.identity.timeline);
        let mut session = connect(&settings).await?;
        let found = check(&mut session, &settings, timeline, durable).await?;
        let identity = StreamIdentity {
            plugin: settings.plugin,
            protocol_version: settings.options.protocol_version(settings.plugin, session.version()),
            system_identifier: settings.slot.system_identifier,
            timeline: found,
            database: settings.slot.database.clone(),
            slot: settings.slot.slot.clone(),
        };
        let store =
            StoreWriter::open(&settings.directory, identity, durable, settings.store.clone())?;
        let intake = Intake::new(settings.plugin, store.boundary());
        let (progress, _) = watch::channel(ReceiveProgress::default());
        Ok(Self { settings, store, intake, progress, tap: None, session: Some(session) })
    }

    /// How far the store is on disk, for [`store::StoreReader`].
    pub fn positions(&self) -> watch::Receiver<Positions> {
        self.store.positions()
    }

    /// How far receiving is.
    pub fn progress(&self) -> watch::Receiver<ReceiveProgress> {
        self.progress.subscribe()
    }

    /// Shows every message as it arrives.
    pub fn set_tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Receives until the end position is reached or until asked to stop.
    ///
    /// # Errors
    /// What no new attempt mends, and what lasted longer than [`PATIENCE`]. Everything received before
    /// is durable and confirmed as far as the connection allowed.
    pub async fn run(mut self, stop: &StopSignal) -> Result<ReceiveEnd> {
        let mut backoff = Backoff::lasting(u64::from(std::process::id()), PATIENCE);
        loop {
            let before = self.store.boundary();
            let error = match Box::pin(self.connect_and_stream(stop)).await {
                Ok(end) => return Ok(end),
                Err(error) => error,
            };
            self.store.disconnected();
            self.store.sync().await?;
            self.intake.reconnected();
            if self.store.boundary() > before {
                backoff.reset();
            }
            if !error.class().is_retryable() {
                return Err(explain(error, &self.settings.slot.slot));
            }
            let Some(pause) = backoff.next_pause() else {
                return Err(explain(error, &self.settings.slot.slot));
            };
            tracing::warn!(%error, "the stream of changes broke, connecting again");
            tokio::select! {
                () = stop.graceful.cancelled() => return Ok(ReceiveEnd::Stopped),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Uses the connection at hand, or makes and checks a new one.
    async fn connect_and_stream(&mut self, stop: &StopSignal) -> Result<ReceiveEnd> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let mut session = connect(&self.settings).await.map_err(not_yet)?;
                let timeline = self.store.identity().timeline;
                let durable = self.store.boundary();
                let found = check(&mut session, &self.settings, timeline, durable).await;
                let found = found.map_err(not_yet)?;
                self.store.set_timeline(found)?;
                session
            }
        };
        self.progress.send_modify(|progress| progress.connections += 1);
        self.stream(session, stop).await
    }
}

/// Makes a server that is not yet what `target_session_attrs` asks for worth another attempt: while the
/// source fails over, its standby answers before it is promoted.
fn not_yet(error: Error) -> Error {
    let ErrorKind::Unsupported(text) = error.kind() else { return error };
    let source = std::io::Error::new(std::io::ErrorKind::NotConnected, text.clone());
    Error::connection(Side::Source, "the stream of changes", source)
}

/// Connects to the walsender.
async fn connect(settings: &ReceiveSettings) -> Result<ReplicationSession> {
    ReplicationSession::connect(&settings.source, "receive").await.map_err(|error| {
        match error.class() {
            Class::Permission => error.hint(
                "The role needs the REPLICATION attribute (ALTER ROLE … REPLICATION;) and an entry in \
                 pg_hba.conf for the database.",
            ),
            _ => error,
        }
    })
}

/// Checks that source and slot are those that we know, and that nothing is missing in between; returns
/// the source's timeline.
async fn check(
    session: &mut ReplicationSession,
    settings: &ReceiveSettings,
    timeline: u32,
    durable: Lsn,
) -> Result<u32> {
    let found = session.identify().await?;
    let known = Known { system_identifier: settings.slot.system_identifier, timeline, durable };
    slot::check_identity(session, &found, known).await?;
    let mut ordinary = Session::connect(Side::Source, &settings.source, "receive").await?;
    pin(&mut ordinary, SessionRole::Source).await?;
    let name = &settings.slot.slot;
    let Some(state) = slot::read(&mut ordinary, name).await? else {
        return Err(no_slot(name));
    };
    state.check(name, settings.plugin, &settings.slot.database)?;
    slot::check_gap(name, state.confirmed, durable)?;
    Ok(found.timeline)
}

/// An error for a slot that is not there (X-4).
fn no_slot(name: &str) -> Error {
    let text = format!("replication slot \"{name}\" does not exist");
    Error::new(Side::Source, ErrorKind::State(text)).hint(
        "It was dropped, or the source failed over to a server without it: changes since then are lost \
         and the target needs a new copy. Start over with --restart. From version 17 on a standby with \
         sync_replication_slots keeps a copy of the slot.",
    )
}

/// Adds what to do about the errors of START_REPLICATION.
fn explain(error: Error, slot: &str) -> Error {
    match error.sqlstate() {
        // object_in_use.
        Some("55006") => error.hint(format!(
            "Another process reads replication slot \"{slot}\": end it, or give this migration a slot \
             of its own with --slot-name."
        )),
        // object_not_in_prerequisite_state: invalidated.
        Some("55000") => error.hint(
            "The slot was invalidated by the server: the target needs a new copy. Run `pgcopydb stream \
             cleanup` and start over with --restart.",
        ),
        // invalid_parameter_value: an option that this release of the plugin does not have.
        Some("22023") => error.hint(
            "The source's release of the plugin does not know an option; without \
             --wal2json-numeric-as-string every digit of a number is kept, too.",
        ),
        // undefined_object.
        Some("42704") => error.hint(
            "A slot, a publication or the plugin is missing on the source; see `pgcopydb stream setup`.",
        ),
        _ => error,
    }
}
