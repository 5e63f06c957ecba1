//! Tells the source how far we are, from a task of its own.
//!
//! What is confirmed as flushed is [`Positions::durable`] and nothing else: the end of a transaction, or
//! a position at which none is open, synced to our disk (A8). With [`Confirm::Applied`] it is what the
//! target holds of that. The task depends on nothing that receive
//! may wait for, so a full disk or a slow apply neither times the connection out nor keeps WAL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use proto::lsn::Lsn;
use proto::replication::{ReplyWish, StandbyStatusUpdate};
use proto::time::PgTimestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::base::error::Result;
use crate::config::Confirm;
use crate::connect::client::replication::FeedbackWriter;
use crate::follow::store::Positions;

/// Longest silence on our side; a smaller `wal_sender_timeout` shortens it to a third of that.
const INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Shortest pause between two updates that nobody asked for.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// What receive tells the feedback task.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// What is confirmed.
    confirm: Confirm,
    received: AtomicU64,
    applied: AtomicU64,
    /// An answer of the server is wanted with the next update.
    ask: AtomicBool,
    now: Notify,
}

impl Reported {
    /// Nothing received, nothing applied.
    pub(super) fn new(confirm: Confirm) -> Self {
        Self { confirm, ..Self::default() }
    }

    /// Notes what was received.
    pub(super) fn set_received(&self, lsn: Lsn) {
        self.received.fetch_max(lsn.0, Ordering::Relaxed);
    }

    /// Notes what is applied and durable on the target.
    pub(super) fn set_applied(&self, lsn: Lsn) {
        let before = self.applied.swap(lsn.0, Ordering::Relaxed);
        if self.confirm == Confirm::Applied && before != lsn.0 {
            self.now.notify_one();
        }
    }

    /// Whether the source is kept from forgetting what is durable here up to this position.
    pub(super) fn holds_back(&self, position: Lsn) -> bool {
        self.confirm == Confirm::Applied && self.applied.load(Ordering::Relaxed) < position.0
    }

    /// The server wants an update at once.
    pub(super) fn answer(&self) {
        self.now.notify_one();
    }

    /// We want to know at once how far the server is.
    pub(super) fn ask(&self) {
        self.ask.store(true, Ordering::Relaxed);
        self.now.notify_one();
    }

    /// The update for these positions.
    pub(super) fn update(&self, durable: Lsn) -> StandbyStatusUpdate {
        let applied = Lsn(self.applied.load(Ordering::Relaxed));
        let ask = self.ask.swap(false, Ordering::Relaxed);
        // For the server's views; it must not look further than what is flushed.
        let applied = applied.min(durable);
        StandbyStatusUpdate {
            written: Lsn(self.received.load(Ordering::Relaxed)).max(durable),
            flushed: match self.confirm {
                Confirm::Durable => durable,
                Confirm::Applied => applied,
            },
            applied,
            sent_at: now(),
            reply: if ask { ReplyWish::Now } else { ReplyWish::WhenConvenient },
        }
    }
}

/// How often an update goes out at least, for a `wal_sender_timeout` (`None`: off).
pub(super) fn interval(sender_timeout: Option<Duration>) -> Duration {
    sender_timeout.map_or(INTERVAL_MAX, |timeout| (timeout / 3).min(INTERVAL_MAX))
}

/// Sends updates until the connection is lost or the task is told to end; then sends a last one and the
/// end of the stream.
///
/// # Errors
/// `Connection` when the stream is lost.
pub(super) async fn run(
    mut output: FeedbackWriter,
    reported: Arc<Reported>,
    mut positions: watch::Receiver<Positions>,
    every: Duration,
    mut end: tokio::sync::oneshot::Receiver<()>,
) -> Result<()> {
    let mut confirmed = Lsn::INVALID;
    loop {
        let durable = positions.borrow_and_update().durable;
        let update = reported.update(durable);
        output.send(&update).await?;
        if update.flushed != confirmed {
            confirmed = update.flushed;
            tracing::debug!(flushed = %confirmed, "confirmed to the source");
        }
        let sent = Instant::now();
        tokio::select! {
            biased;
            // A dropped sender is a receive that failed: no word is due to the server then.
            ended = &mut end => {
                if ended.is_ok() {
                    let durable = positions.borrow_and_update().durable;
                    output.send(&reported.update(durable)).await?;
                    output.finish().await?;
                }
                return Ok(());
            }
            // A server that is kept waiting asks again as soon as it is answered.
            () = reported.now.notified() => if reported.confirm == Confirm::Applied {
                sleep_until(sent + PAUSE_MIN).await;
            },
            () = moved(&mut positions, durable) => sleep_until(sent + PAUSE_MIN).await,
            () = sleep_until(sent + every) => {}
        }
    }
}

/// Waits until the durable position is another one.
async fn moved(positions: &mut watch::Receiver<Positions>, from: Lsn) {
    if positions.wait_for(|seen| seen.durable != from).await.is_err() {
        // The store has ended; receive will say why.
        std::future::pending::<()>().await;
    }
}

/// The present time as the server writes it.
fn now() -> PgTimestamp {
    let micros = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    PgTimestamp::from_unix_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_durable_is_confirmed_as_flushed_or_applied() {
        let reported = Reported::default();
        reported.set_received(Lsn(900));
        reported.set_applied(Lsn(700));
        let update = reported.update(Lsn(500));
        assert_eq!(
            (update.written, update.flushed, update.applied),
            (Lsn(900), Lsn(500), Lsn(500))
        );
        reported.set_received(Lsn(100));
        assert_eq!(reported.update(Lsn(500)).written, Lsn(900), "received never goes back");
    }

    #[test]
    fn when_told_so_only_what_is_durable_and_applied_is_confirmed() {
        let reported = Reported::new(Confirm::Applied);
        reported.set_received(Lsn(900));
        assert_eq!(reported.update(Lsn(500)).flushed, Lsn::INVALID, "the server passes it over");
        reported.set_applied(Lsn(300));
        let update = reported.update(Lsn(500));
        assert_eq!(
            (update.written, update.flushed, update.applied),
            (Lsn(900), Lsn(300), Lsn(300))
        );
        assert!(reported.holds_back(Lsn(500)) && !reported.holds_back(Lsn(300)));
        reported.set_applied(Lsn(700));
        assert_eq!(reported.update(Lsn(500)).flushed, Lsn(500));
        assert!(!Reported::default().holds_back(Lsn(500)));
    }

    #[test]
    fn an_answer_is_asked_for_once() {
        let reported = Reported::default();
        reported.ask();
        assert_eq!(reported.update(Lsn(1)).reply, ReplyWish::Now);
        assert_eq!(reported.update(Lsn(1)).reply, ReplyWish::WhenConvenient);
    }

    // trap P-14
    #[test]
    fn a_short_sender_timeout_shortens_the_interval() {
        assert_eq!(interval(None), Duration::from_secs(10));
        assert_eq!(interval(Some(Duration::from_secs(60))), Duration::from_secs(10));
        assert_eq!(interval(Some(Duration::from_secs(3))), Duration::from_secs(1));
    }
}
