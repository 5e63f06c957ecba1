//! Says how far following is: to the display every second, to the log now and then, to other processes
//! through a file; and warns while there is time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::time::PgTimestamp;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::base::event::{Event, EventSender, FollowStatus, SlotStatus};
use crate::base::units::{ByteSize, per_second};
use crate::command::source;
use crate::connect::conninfo::ConnInfo;
use crate::follow::apply::ApplyProgress;
use crate::follow::receive::{ReceiveProgress, slot};
use crate::follow::store::Positions;
use crate::local::state::SentinelHandle;
use crate::local::workdir::replace_file;

/// How often the display and the file are brought up to date.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many of these until a line is written and the source is asked about the slot.
const LINE_EVERY: u32 = 10;

/// How many lines until a danger that lasts is said again.
const WARNING_EVERY: u32 = 3;

/// Longest wait for the source's answer about the slot: the display must not stand still.
const SLOT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Name of the file in the work directory.
const FILE: &str = "following.json";

/// The file that holds how far following is, while it goes on.
pub(in crate::command) fn status_file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// What is watched.
pub(super) struct Watched {
    pub(super) source: ConnInfo,
    pub(super) slot: String,
    pub(super) received: watch::Receiver<ReceiveProgress>,
    pub(super) stored: watch::Receiver<Positions>,
    pub(super) applied: watch::Receiver<ApplyProgress>,
    pub(super) sentinel: SentinelHandle,
    pub(super) events: EventSender,
    pub(super) directory: PathBuf,
}

/// A monitor that runs; it ends, and takes its file away, when this is dropped.
pub(super) struct Monitor {
    task: tokio::task::JoinHandle<()>,
    file: PathBuf,
}

impl Monitor {
    /// Starts to watch.
    pub(super) fn start(watched: Watched) -> Self {
        let file = status_file(&watched.directory);
        Self { task: tokio::spawn(run(watched, file.clone())), file }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
        // What is not true any more is worth nothing; that it stays does no harm either: it has a time.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Watches until it is aborted.
async fn run(watched: Watched, file: PathBuf) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = *watched.applied.borrow();
    let (mut last, mut before) = (Instant::now(), seen);
    let mut slot = None;
    for round in 0_u32.. {
        ticks.tick().await;
        if round % LINE_EVERY == 0 {
            slot = read_slot(&watched).await.or(slot);
        }
        let now = *watched.applied.borrow();
        let status = status(&watched, (before, now), last.elapsed(), slot.clone());
        (last, before) = (Instant::now(), now);
        write(&file, &status);
        if round % LINE_EVERY == 0 && round > 0 {
            let span = INTERVAL * LINE_EVERY;
            line(&FollowStatus {
                transactions_s: rate(seen.transactions, now.transactions, span),
                rows_s: rate(seen.rows, now.rows, span),
                ..status.clone()
            });
            seen = now;
        }
        if round % (LINE_EVERY * WARNING_EVERY) == 0 {
            warn(&watched.slot, &status);
        }
        // A display that is busy misses one; a closed one is nobody's loss.
        let _ = watched.events.try_send(Event::Following(Arc::new(status)));
    }
}

/// How far everything is now.
fn status(
    watched: &Watched,
    (before, now): (ApplyProgress, ApplyProgress),
    span: Duration,
    slot: Option<SlotStatus>,
) -> FollowStatus {
    let received = *watched.received.borrow();
    let stored = *watched.stored.borrow();
    let lag_bytes = now.applied.bytes_behind(received.received);
    let lag = match lag_bytes {
        0 => Some(Duration::ZERO),
        _ => now.commit_time.and_then(age),
    };
    FollowStatus {
        received: received.received,
        durable: stored.durable,
        applied: now.applied,
        endpos: watched.sentinel.row().endpos,
        lag_bytes,
        lag_s: lag.map(|lag| lag.as_secs()),
        transactions_s: rate(before.transactions, now.transactions, span),
        rows_s: rate(before.rows, now.rows, span),
        backlog_bytes: stored.disk_bytes,
        waits_for_room: received.waits_for_room,
        slot,
    }
}

/// How much a count grew per second.
fn rate(before: u64, now: u64, span: Duration) -> u64 {
    per_second(u128::from(now.saturating_sub(before)), span)
}

/// One line: positions, lag, rates, backlog.
fn line(status: &FollowStatus) {
    let slot = status.slot.as_ref();
    tracing::info!(
        received = %status.received,
        durable = %status.durable,
        applied = %status.applied,
        lag = %ByteSize(status.lag_bytes),
        lag_s = status.lag_s,
        transactions_s = status.transactions_s,
        rows_s = status.rows_s,
        backlog = %ByteSize(status.backlog_bytes),
        slot = slot.and_then(|slot| slot.retained_bytes).map(|bytes| ByteSize(bytes).to_string()),
        endpos = status.endpos.map(|lsn| lsn.to_string()),
        "following"
    );
}

/// Warns of what ends badly when nobody does anything.
fn warn(name: &str, status: &FollowStatus) {
    if status.waits_for_room {
        tracing::warn!(
            "no room for more changes on the disk: receiving waits for apply, and the source keeps its \
             log meanwhile"
        );
    }
    if let Some(danger) = status.slot.as_ref().and_then(|slot| slot.danger.as_ref()) {
        tracing::warn!(slot = name, "{danger}");
    }
}

/// How long ago it was.
fn age(then: PgTimestamp) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = PgTimestamp::from_unix_micros(i64::try_from(now.as_micros()).ok()?)?;
    Some(Duration::from_micros(now.micros_since(then)?.max(0).unsigned_abs()))
}

/// Asks the source about the slot; one that cannot be asked now is asked again later.
async fn read_slot(watched: &Watched) -> Option<SlotStatus> {
    let ask = async {
        let mut session = source::connect(&watched.source).await.ok()?;
        slot::read(&mut session, &watched.slot).await.ok()?
    };
    let state = tokio::time::timeout(SLOT_WAIT_MAX, ask).await.ok()??;
    let danger = state.danger();
    Some(SlotStatus {
        retained_bytes: state.retained_bytes,
        wal_status: state.wal_status,
        safe_bytes: state.safe_wal_bytes,
        danger,
    })
}

/// Tells other processes. What cannot be written is not worth ending for.
fn write(file: &Path, status: &FollowStatus) {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let text = serde_json::json!({
        "at": unix,
        "received": status.received.to_string(),
        "durable": status.durable.to_string(),
        "applied": status.applied.to_string(),
        "lag_bytes": status.lag_bytes,
        "lag_seconds": status.lag_s,
        "transactions_per_second": status.transactions_s,
        "rows_per_second": status.rows_s,
        "backlog_bytes": status.backlog_bytes,
        "waits_for_room": status.waits_for_room,
        "slot": status.slot.as_ref().map(|slot| serde_json::json!({
            "retained_bytes": slot.retained_bytes,
            "wal_status": slot.wal_status,
            "safe_wal_size": slot.safe_bytes,
            "danger": slot.danger,
        })),
    });
    if let Err(error) = replace_file(file, text.to_string().as_bytes()) {
        tracing::debug!(%error, "the file for other processes is not written");
    }
}
