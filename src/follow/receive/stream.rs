//! One connection's stream, from START_REPLICATION to its end.

use std::sync::Arc;
use std::time::Duration;

use proto::lsn::Lsn;
use proto::replication::{ReplicationMessage, ReplyWish, StartReplication};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::feedback::{self, Reported};
use super::intake::Flow;
use super::{ReceiveEnd, Receiver, slot};
use crate::base::error::{Error, Result, Side};
use crate::base::stop::StopSignal;
use crate::connect::client::replication::{ChangeReader, Incoming, ReplicationSession};
use crate::follow::store::Room;
use crate::local::state::SentinelRow;

/// How often idle positions are stored, applied segments pruned and progress reported.
const TICK: Duration = Duration::from_secs(1);

/// Longest silence of the server before the connection counts as lost, although TCP says it lives (a
/// proxy may answer for a server that is gone). A server that decodes a huge transaction of which
/// nothing concerns us says nothing for minutes.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// Silence after which the server is asked whether it is there.
const SILENCE_ASK: Duration = Duration::from_secs(20);

/// Longest wait for the server to end the stream after us.
const GOODBYE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often a wait for room is said to go on.
const ROOM_WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Arrivals shorter than this are followed by a pause, in bytes: a stream that is read in larger pieces
/// is not slowed down.
const GATHER_BELOW_BYTES: usize = 48 * 1024;

/// How long data gathers: the smallest step of the timer, and a small part of any lag.
const GATHER_TIME: Duration = Duration::from_millis(1);

/// The parts of a running stream.
struct Running {
    reader: ChangeReader,
    reported: Arc<Reported>,
    feedback: JoinHandle<Result<()>>,
    end: oneshot::Sender<()>,
    heard: Instant,
    insisting: Insisting,
}

/// A server that asks again and again how far we are, as it does when it shuts down: it waits until
/// everything is confirmed, which with [`Confirm::Applied`](crate::config::Confirm) may be long.
#[derive(Debug)]
struct Insisting {
    /// Where it is.
    at: Lsn,
    /// Since when it asks about this position.
    since: Instant,
    questions: u32,
}

impl Insisting {
    /// It has not asked.
    fn new() -> Self {
        Self { at: Lsn::INVALID, since: Instant::now(), questions: 0 }
    }

    /// It asks; `true` when it has done so for too long.
    fn asks(&mut self, at: Lsn) -> bool {
        if at != self.at {
            *self = Self { at, ..Self::new() };
        }
        self.questions += 1;
        self.questions >= QUESTIONS_MIN && self.since.elapsed() >= QUESTIONS_TIME
    }
}

/// How often a server asks at least before it counts as insisting. One that serves asks when it hears
/// nothing from us, which never is so.
const QUESTIONS_MIN: u32 = 10;

/// How long a server that shuts down is kept waiting: apply has this long to come to the end.
const QUESTIONS_TIME: Duration = Duration::from_secs(5);

impl Drop for Running {
    fn drop(&mut self) {
        self.feedback.abort();
    }
}

/// Why the inner loop ended.
enum Pause {
    /// The end position is reached.
    Reached,
    /// Nothing is buffered, or enough is gathered.
    Flush,
    /// The server ended the stream.
    Ended,
}

impl Receiver {
    /// Streams until the end position, a stop, or an error.
    ///
    /// # Errors
    /// What broke the stream.
    pub(super) async fn stream(
        &mut self,
        session: ReplicationSession,
        stop: &StopSignal,
    ) -> Result<ReceiveEnd> {
        let mut rows = self.settings.sentinel.watch();
        let row = *rows.borrow_and_update();
        if self.intake.set_endpos(row.endpos, &mut self.store) == Flow::Reached {
            return self.reached_at_rest().await;
        }
        let mut running = self.start(session).await?;
        running.reported.set_applied(row.replay_lsn);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Before what has gathered meanwhile: an end that is set is heard before what comes later.
            if rows.has_changed().unwrap_or_default() {
                let row = *rows.borrow_and_update();
                if self.sentinel_changed(row, &running.reported) == Flow::Reached {
                    return self.finish(running).await;
                }
            }
            match self.take_buffered(&mut running)? {
                Pause::Reached => return self.finish(running).await,
                Pause::Ended => return Err(ended()),
                Pause::Flush => self.store.flush().await?,
            }
            self.wait_for_room(&mut rows, stop).await?;
            tokio::select! {
                biased;
                () = stop.graceful.cancelled() => {
                    self.store.disconnected();
                    self.store.sync().await?;
                    self.say_goodbye(running).await;
                    return Ok(ReceiveEnd::Stopped);
                }
                changed = rows.changed() => {
                    changed.map_err(|_| Error::internal("the sentinel has ended"))?;
                    rows.mark_changed();
                }
                _ = tick.tick() => {
                    let row = *rows.borrow();
                    self.tick(&mut running, row).await?;
                }
                done = &mut running.feedback => return Err(feedback_ended(done)),
                arrived = running.reader.arrived() => {
                    arrived?;
                    gather(&mut running.reader).await?;
                }
            }
        }
    }

    /// Starts the stream and its feedback.
    async fn start(&mut self, mut session: ReplicationSession) -> Result<Running> {
        let version = session.version();
        let every = feedback::interval(slot::sender_timeout(&mut session).await?);
        let settings = &self.settings;
        let options = settings.options.list(settings.plugin, version)?;
        let options: Vec<(&str, &str)> =
            options.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let from = self.store.boundary();
        let command = StartReplication { slot: &settings.slot.slot, from, options: &options };
        let (reader, output) = session.start(&command).await.map_err(|error| {
            error.during(format!("start replication on slot \"{}\"", settings.slot.slot))
        })?;
        tracing::info!(slot = settings.slot.slot, %from, "receiving changes");
        let reported = Arc::new(Reported::new(settings.confirm));
        reported.set_received(self.intake.received());
        if self.intake.endpos().is_some() {
            reported.ask();
        }
        let (end, ended) = oneshot::channel();
        let positions = self.store.positions();
        let feedback =
            tokio::spawn(feedback::run(output, Arc::clone(&reported), positions, every, ended));
        let (heard, insisting) = (Instant::now(), Insisting::new());
        Ok(Running { reader, reported, feedback, end, heard, insisting })
    }

    /// Takes everything that is in the read buffer, up to a batch.
    fn take_buffered(&mut self, running: &mut Running) -> Result<Pause> {
        let mut bytes = 0;
        let pause = loop {
            if self.store.should_flush() {
                break Pause::Flush;
            }
            let Some(incoming) = running.reader.try_next()? else { break Pause::Flush };
            let flow = match incoming {
                Incoming::End => break Pause::Ended,
                Incoming::Message { message: ReplicationMessage::XLogData(data), owner } => {
                    bytes += data.data.len() as u64;
                    if let Some(tap) = &mut self.tap {
                        tap(&data);
                    }
                    self.intake.message(&data, owner, &mut self.store)?
                }
                Incoming::Message { message: ReplicationMessage::Keepalive(keepalive), .. } => {
                    let flow = self.intake.keepalive(&keepalive, &mut self.store)?;
                    if keepalive.reply == ReplyWish::Now {
                        // A server that shuts down waits until everything is confirmed.
                        self.intake.store_idle_position(&mut self.store)?;
                        running.reported.answer();
                        let at = keepalive.wal_end;
                        if running.reported.holds_back(at) && running.insisting.asks(at) {
                            return Err(kept_waiting());
                        }
                    }
                    flow
                }
            };
            running.heard = Instant::now();
            if flow == Flow::Reached {
                break Pause::Reached;
            }
        };
        let received = self.intake.received();
        running.reported.set_received(received);
        self.progress.send_if_modified(|progress| {
            let is_new = progress.received != received || bytes > 0;
            progress.received = received;
            progress.transactions = self.intake.transactions();
            progress.bytes += bytes;
            is_new
        });
        Ok(pause)
    }

    /// The end position or the applied position is another one.
    fn sentinel_changed(&mut self, row: SentinelRow, reported: &Reported) -> Flow {
        reported.set_applied(row.replay_lsn);
        if row.endpos == self.intake.endpos() {
            return Flow::Continue;
        }
        tracing::info!(
            endpos = row.endpos.map(|endpos| endpos.to_string()),
            "the end position is another one"
        );
        // Where an idle server is shows only when it is asked.
        reported.ask();
        self.intake.set_endpos(row.endpos, &mut self.store)
    }

    /// What is due now and then.
    async fn tick(&mut self, running: &mut Running, row: SentinelRow) -> Result<()> {
        self.intake.store_idle_position(&mut self.store)?;
        self.store.prune(applied(row)).await?;
        let durable = self.store.positions().borrow().durable;
        self.settings.sentinel.report_received(self.intake.received(), durable);
        let silent = running.heard.elapsed();
        if silent >= SILENCE_MAX {
            let text = format!("the server said nothing for {} s", silent.as_secs());
            let source = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
            return Err(Error::connection(Side::Source, "the stream of changes", source));
        }
        if silent >= SILENCE_ASK || self.intake.endpos().is_some() {
            running.reported.ask();
        }
        Ok(())
    }

    /// Waits while the store is full; the feedback task goes on meanwhile.
    async fn wait_for_room(
        &mut self,
        rows: &mut watch::Receiver<SentinelRow>,
        stop: &StopSignal,
    ) -> Result<()> {
        let mut positions = self.store.positions();
        let mut warned: Option<Instant> = None;
        while !self.store.has_room(applied(*rows.borrow())) && !stop.is_stopping() {
            if warned.is_none_or(|at| at.elapsed() >= ROOM_WARNING_INTERVAL) {
                warned = Some(Instant::now());
                self.warn_full();
            }
            let applied = applied(*rows.borrow());
            self.store.prune(applied).await?;
            tokio::select! {
                () = stop.graceful.cancelled() => {}
                _ = positions.wait_for(|seen| seen.room == Room::Free) => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        if warned.is_some() {
            self.progress.send_modify(|progress| progress.waits_for_room = false);
            tracing::info!("receiving goes on");
        }
        Ok(())
    }

    /// Says why nothing is received.
    fn warn_full(&self) {
        self.progress.send_modify(|progress| progress.waits_for_room = true);
        let seen = *self.store.positions().borrow();
        tracing::warn!(
            disk_bytes = seen.disk_bytes,
            directory = %self.settings.directory.display(),
            "the disk limit for received changes is reached: receiving waits until changes are applied, \
             the source keeps its WAL meanwhile"
        );
    }

    /// The end position was reached before anything was started.
    async fn reached_at_rest(&mut self) -> Result<ReceiveEnd> {
        self.store.sync().await?;
        Ok(ReceiveEnd::EndposReached(self.intake.endpos().unwrap_or_default()))
    }

    /// Makes everything durable, confirms it and ends the stream.
    async fn finish(&mut self, running: Running) -> Result<ReceiveEnd> {
        self.store.disconnected();
        self.store.sync().await?;
        let endpos = self.intake.endpos().unwrap_or_default();
        self.say_goodbye(running).await;
        tracing::info!(%endpos, "the end position is reached: everything up to it was received");
        Ok(ReceiveEnd::EndposReached(endpos))
    }

    /// Confirms what is durable and ends the stream in order; what fails here harms nothing.
    async fn say_goodbye(&mut self, mut running: Running) {
        let durable = self.store.positions().borrow().durable;
        self.settings.sentinel.report_received(self.intake.received(), durable);
        if let Err(error) = self.settings.sentinel.flush().await {
            tracing::warn!(%error, "the sentinel is not written");
        }
        let (end, _) = oneshot::channel();
        let end = std::mem::replace(&mut running.end, end);
        let _ = end.send(());
        let goodbye = async {
            let _ = (&mut running.feedback).await;
            // What the server still had on its way is sent again another time.
            while let Ok(Incoming::Message { .. }) = running.reader.next().await {}
        };
        if timeout(GOODBYE_WAIT_MAX, goodbye).await.is_err() {
            tracing::debug!("the server did not end the stream in time");
        }
    }
}

/// Lets data gather for a moment when little has arrived. A walsender sends every change by itself: to
/// be woken for each costs both sides more than what there is to do.
async fn gather(reader: &mut ChangeReader) -> Result<()> {
    if reader.buffered() < GATHER_BELOW_BYTES {
        tokio::time::sleep(GATHER_TIME).await;
        reader.gather().await?;
    }
    Ok(())
}

/// Everything up to here is applied, or was never to be.
fn applied(row: SentinelRow) -> Lsn {
    row.replay_lsn.max(row.startpos)
}

/// An error for a stream that the server ended, as it does when it shuts down.
fn ended() -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the server ended it");
    Error::connection(Side::Source, "the stream of changes", source)
}

/// An error for a server that shuts down and would wait until changes are applied: it may go.
fn kept_waiting() -> Error {
    let source = std::io::Error::new(
        std::io::ErrorKind::ConnectionAborted,
        "the server shuts down and waits for changes that are not applied yet",
    );
    Error::connection(Side::Source, "the stream of changes", source)
}

/// An error for a feedback task that ended by itself.
fn feedback_ended(done: Result<Result<()>, tokio::task::JoinError>) -> Error {
    match done {
        Ok(Err(error)) => error,
        Ok(Ok(())) => Error::internal("the feedback task ended by itself"),
        Err(error) => Error::internal(format!("the feedback task: {error}")),
    }
}
