//! The loop that moves CopyData from the source's socket to the target's.
//!
//! ```text
//!  source socket ─read─► read buffer ─merge small frames─► merged buffer ─write─► target socket
//!                             └────────── large frames as they are ────────write───┘
//! ```
//!
//! Reading and writing go on at once: while the target's socket is full the source's is still read
//! as long as the buffer has room, and no further, so a slow target slows the source and memory
//! stays flat. The target's read side is watched all the time: an error must not wait behind a full
//! send buffer.
//!
//! A source that is slower than the wire hands out a few kilobytes at a time. After a short read the
//! relay lets data gather for a millisecond, so that it and both backends are woken ten times less.
//!
//! Per row nothing happens here; `proto::copy::relay` hops one header.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use proto::backend::tag;
use proto::copy::relay::{CoalesceStep, CopyRelay};
use proto::frame;
use proto::limits::Limits;
use tokio::time::{Instant, Sleep};

use crate::base::counters::JobCounters;
use crate::base::error::{Error, Result};
use crate::connect::client::{READ_BYTES, Session};

/// What a relay moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    /// CopyData payload bytes.
    pub(super) bytes: u64,
}

/// Which bytes wait to be written to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    /// None.
    Nothing,
    /// The first so many unread bytes of the source, frames as they are.
    Verbatim(usize),
    /// Bytes `from..to` of the merged buffer.
    Merged { from: usize, to: usize },
}

/// What stops the loop.
enum Stop {
    /// The source said CopyDone; everything before it is written.
    Done,
    /// A message of the source that is not data lies at the front of its unread bytes.
    Control { message_tag: u8, length: usize },
    /// The target said something: it never does while all is well.
    TargetSpoke,
}

/// Reads shorter than this are followed by a pause, in bytes.
///
/// A backend sends 8 KiB at a time. On 12 million rows of 26 bytes pauses took our processor time from
/// 0.40 s to 0.25 s at the same wall time; a source that keeps a larger read full is never paused.
const PAUSE_BELOW_BYTES: usize = 48 * 1024;

/// How long data gathers: the smallest step of the timer.
const PAUSE: Duration = Duration::from_millis(1);

/// Payload after which pauses begin, in bytes: a small table is over before one would pay.
const PAUSE_AFTER_BYTES: u64 = 1 << 20;

/// The state of one relay.
struct Relay {
    frames: CopyRelay,
    merged: Vec<u8>,
    pending: Pending,
    /// Whether the target has part of a frame: nothing else can be sent to it then.
    mid_frame: bool,
    reported_bytes: u64,
    reported_frames: u64,
    /// Runs while data gathers at the source.
    pause: Pin<Box<Sleep>>,
    pausing: bool,
}

/// Moves CopyData until the source says CopyDone. Afterwards the source owes its command tag and
/// the target waits for CopyDone.
///
/// Not cancel safe: drop both sessions when this is dropped.
///
/// # Errors
/// The target's error when it has one, else the source's. The failing sessions are rolled back
/// where that is possible and marked broken where it is not.
pub(super) async fn run(
    source: &mut Session,
    target: &mut Session,
    counters: &JobCounters,
) -> Result<Moved> {
    let mut relay = Relay {
        frames: CopyRelay::new(),
        merged: vec![0; READ_BYTES],
        pending: Pending::Nothing,
        mid_frame: false,
        reported_bytes: 0,
        reported_frames: 0,
        pause: Box::pin(tokio::time::sleep(Duration::ZERO)),
        pausing: false,
    };
    loop {
        let stop = poll_fn(|cx| relay.poll(cx, source, target, counters)).await;
        match stop {
            Ok(Stop::Done) => return Ok(Moved { bytes: relay.frames.payload_bytes() }),
            Ok(Stop::Control { message_tag, length }) => {
                match source.take_control(message_tag, length) {
                    Ok(None) => {}
                    Ok(Some(error)) | Err(error) => {
                        relay.release_target(target).await;
                        settle_source(source).await;
                        return Err(error);
                    }
                }
            }
            Ok(Stop::TargetSpoke) => {
                if let Some(error) = listen(target)? {
                    source.abandon();
                    target.abandon();
                    return Err(error);
                }
            }
            Err(error) => {
                relay.release_target(target).await;
                // When a connection breaks, the words that the other side sent before say why.
                let reason = if source.is_broken() { None } else { listen(target).ok().flatten() };
                source.abandon();
                target.abandon();
                return Err(reason.unwrap_or(error));
            }
        }
    }
}

/// Gives up a source that is in the middle of a COPY: its backend ends when its next write fails.
pub(super) async fn drop_source(source: &mut Session) {
    if !source.is_broken() {
        source.cancel_handle().cancel().await;
    }
    source.abandon();
}

/// Brings a source whose COPY failed back in step.
async fn settle_source(source: &mut Session) {
    // The error was taken already, ReadyForQuery is all that follows.
    if !source.is_broken()
        && (source.copy_end().await.is_err() || source.execute("rollback").await.is_err())
    {
        source.abandon();
    }
}

/// Takes whatever whole messages the target has sent; returns the error among them.
fn listen(target: &mut Session) -> Result<Option<Error>> {
    loop {
        let unread = target.unread();
        let header = match frame::parse_header(unread, Limits::Session) {
            Ok(Some(header)) if unread.len() >= header.total_length() => header,
            Ok(_) => return Ok(None),
            Err(error) => {
                let side = target.side();
                target.abandon();
                return Err(Error::protocol(side, error.to_string()));
            }
        };
        if let Some(error) = target.take_control(header.tag, header.total_length())? {
            return Ok(Some(error));
        }
    }
}

impl Relay {
    /// Moves what can be moved without waiting.
    ///
    /// Cancel safe in itself: all state is in `self` and the sessions.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Session,
        target: &mut Session,
        counters: &JobCounters,
    ) -> Poll<Result<Stop>> {
        loop {
            let written = self.poll_write(cx, source, target)?;
            let mut wanted = None;
            if self.pending == Pending::Nothing {
                match self.advance(source)? {
                    Advance::Ready => {
                        self.report(counters);
                        continue;
                    }
                    Advance::Stop(stop) => return Poll::Ready(Ok(stop)),
                    Advance::NeedMore(length) => wanted = Some(length),
                }
            }
            let read = self.poll_read(cx, source, wanted)?;
            if written.is_ready() && self.pending != Pending::Nothing || read.is_ready() {
                continue;
            }
            return match target.poll_receive(cx)? {
                Poll::Ready(0) => {
                    target.abandon();
                    Poll::Ready(Err(closed(target)))
                }
                Poll::Ready(_) => Poll::Ready(Ok(Stop::TargetSpoke)),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    /// Writes pending bytes to the target; ready when some went out or none were pending.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Session,
        target: &mut Session,
    ) -> Result<Poll<()>> {
        match self.pending {
            Pending::Nothing => return Ok(Poll::Ready(())),
            Pending::Verbatim(length) => {
                let bytes = source.unread().get(..length).unwrap_or_default();
                let Poll::Ready(count) = target.poll_forward(cx, bytes)? else {
                    return Ok(Poll::Pending);
                };
                source.take(count);
                self.pending = match length - count {
                    0 => Pending::Nothing,
                    rest => Pending::Verbatim(rest),
                };
            }
            Pending::Merged { from, to } => {
                let bytes = self.merged.get(from..to).unwrap_or_default();
                let Poll::Ready(count) = target.poll_forward(cx, bytes)? else {
                    return Ok(Poll::Pending);
                };
                self.pending = if from + count == to {
                    Pending::Nothing
                } else {
                    Pending::Merged { from: from + count, to }
                };
            }
        }
        self.mid_frame = self.pending != Pending::Nothing || self.frames.frame_open();
        Ok(Poll::Ready(()))
    }

    /// Decides what the next bytes of the source are.
    fn advance(&mut self, source: &mut Session) -> Result<Advance> {
        let step = self.frames.coalesce(source.unread(), &mut self.merged).map_err(|error| {
            source.abandon();
            Error::protocol(source.side(), error.to_string())
        })?;
        Ok(match step {
            CoalesceStep::Merged { consumed, produced } => {
                source.take(consumed);
                self.pending = Pending::Merged { from: 0, to: produced };
                Advance::Ready
            }
            CoalesceStep::Forward(length) => {
                self.pending = Pending::Verbatim(length);
                Advance::Ready
            }
            CoalesceStep::Control { tag: tag::COPY_DONE, total_length } => {
                source.take(total_length);
                Advance::Stop(Stop::Done)
            }
            CoalesceStep::Control { tag, total_length } => {
                Advance::Stop(Stop::Control { message_tag: tag, length: total_length })
            }
            CoalesceStep::NeedMore { total_length } => Advance::NeedMore(total_length),
        })
    }

    /// Reads from the source when there is room and no pause; `wanted` makes room first.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Session,
        wanted: Option<usize>,
    ) -> Result<Poll<()>> {
        if self.pausing {
            if self.pause.as_mut().poll(cx).is_pending() {
                return Ok(Poll::Pending);
            }
            self.pausing = false;
        }
        if !source.has_room() {
            match wanted {
                Some(length) => source.make_room(length),
                // The target is behind: stop reading until it catches up.
                None => return Ok(Poll::Pending),
            }
        } else if let Some(length) = wanted
            && length > READ_BYTES
        {
            source.make_room(length);
        }
        match source.poll_receive(cx)? {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(0) => {
                source.abandon();
                Err(closed(source))
            }
            Poll::Ready(count) => {
                if count < PAUSE_BELOW_BYTES && self.frames.payload_bytes() > PAUSE_AFTER_BYTES {
                    self.pause.as_mut().reset(Instant::now() + PAUSE);
                    self.pausing = true;
                }
                Ok(Poll::Ready(()))
            }
        }
    }

    /// Adds what passed since the last time to the live counters.
    fn report(&mut self, counters: &JobCounters) {
        let (bytes, frames) = (self.frames.payload_bytes(), self.frames.frames());
        counters.add(bytes - self.reported_bytes, frames - self.reported_frames);
        self.reported_bytes = bytes;
        self.reported_frames = frames;
    }

    /// Makes the target forget its open COPY: politely between frames, by disconnecting inside one.
    async fn release_target(&self, target: &mut Session) {
        if target.is_broken() {
            return;
        }
        let polite = !self.mid_frame
            && target.copy_in_fail("the source failed").await.is_ok()
            && target.execute("rollback").await.is_ok();
        if !polite {
            target.abandon();
        }
    }
}

/// What [`Relay::advance`] found.
enum Advance {
    /// Bytes are pending now.
    Ready,
    /// The loop must stop.
    Stop(Stop),
    /// The unread bytes must become so many before anything can be decided.
    NeedMore(usize),
}

/// An error for a connection that ended in the middle of a COPY.
fn closed(session: &Session) -> Error {
    let reason = std::io::Error::new(
        std::io::ErrorKind::UnexpectedEof,
        "server closed the connection in the middle of COPY",
    );
    Error::connection(session.side(), "connection", reason)
}
