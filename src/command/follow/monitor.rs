//! Says now and then how far following is, and warns while there is time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::time::PgTimestamp;
use tokio::sync::watch;

use crate::base::units::ByteSize;
use crate::command::source;
use crate::connect::conninfo::ConnInfo;
use crate::follow::apply::ApplyProgress;
use crate::follow::receive::{ReceiveProgress, slot};
use crate::follow::store::Positions;
use crate::local::state::SentinelHandle;

/// How often a line is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many lines until the source is asked about the slot.
const SLOT_EVERY: u32 = 3;

/// What is watched.
pub(super) struct Watched {
    pub(super) source: ConnInfo,
    pub(super) slot: String,
    pub(super) received: watch::Receiver<ReceiveProgress>,
    pub(super) stored: watch::Receiver<Positions>,
    pub(super) applied: watch::Receiver<ApplyProgress>,
    pub(super) sentinel: SentinelHandle,
}

/// Writes lines until it is aborted.
pub(super) async fn run(watched: Watched) {
    let mut before = *watched.applied.borrow();
    for round in 1_u32.. {
        tokio::time::sleep(INTERVAL).await;
        let now = *watched.applied.borrow();
        line(&watched, before, now);
        before = now;
        if round % SLOT_EVERY == 0 {
            warn_of_slot(&watched).await;
        }
    }
}

/// One line: positions, lag, rates, backlog.
fn line(watched: &Watched, before: ApplyProgress, now: ApplyProgress) {
    let received = *watched.received.borrow();
    let stored = *watched.stored.borrow();
    let seconds = INTERVAL.as_secs();
    let lag_bytes = now.applied.bytes_behind(received.received);
    let lag = match lag_bytes {
        0 => Some(Duration::ZERO),
        _ => now.commit_time.and_then(age),
    };
    tracing::info!(
        received = %received.received,
        durable = %stored.durable,
        applied = %now.applied,
        lag = %ByteSize(lag_bytes),
        lag_s = lag.map(|lag| lag.as_secs()),
        transactions_s = (now.transactions - before.transactions.min(now.transactions)) / seconds,
        rows_s = (now.rows - before.rows.min(now.rows)) / seconds,
        backlog = %ByteSize(stored.disk_bytes),
        endpos = watched.sentinel.row().endpos.map(|lsn| lsn.to_string()),
        "following"
    );
    if received.waits_for_room {
        tracing::warn!(
            "no room for more changes on the disk: receiving waits for apply, and the source keeps its \
             log meanwhile"
        );
    }
}

/// How long ago it was.
fn age(then: PgTimestamp) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = PgTimestamp::from_unix_micros(i64::try_from(now.as_micros()).ok()?)?;
    Some(Duration::from_micros(now.micros_since(then)?.max(0).unsigned_abs()))
}

/// Warns while the slot can still be saved. A source that cannot be asked now is asked again later.
async fn warn_of_slot(watched: &Watched) {
    let Ok(mut session) = source::connect(&watched.source).await else { return };
    let Ok(Some(state)) = slot::read(&mut session, &watched.slot).await else { return };
    if let Some(danger) = state.danger() {
        tracing::warn!(slot = watched.slot, "{danger}");
    }
}
