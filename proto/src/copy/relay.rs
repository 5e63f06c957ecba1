//! The COPY relay: which bytes of the source's stream go to the target as they are.
//!
//! CopyData has the same layout in both directions, so a run of frames from the source is already
//! what the target must receive. Per row the relay reads one five-byte header and hops over the
//! payload: no allocation, no look at the payload (invariant A10).
//!
//! ```text
//!  socket ─► buf: │ rest of a frame │ frame │ frame │ frame │ first half of a frame
//!                 └────────────── Forward(n) ──────────────┘ stays in the buffer
//! ```
//!
//! # Rules
//!
//! - A frame of at most [`WHOLE_FRAME_BYTES_MAX`] is forwarded whole or not at all, so that the
//!   target stands at a frame boundary, and its session can be used further, when the source dies.
//! - A larger frame flows through in pieces as they come; [`CopyRelay::frame_open`] is true in
//!   between, and a target left there can only be disconnected.
//! - Anything but CopyData is handed to the caller and never forwarded.
//! - The caller must consume exactly the bytes of each step before the next one.

use crate::backend::{self, tag};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::frame::{HEADER_BYTES, next_frame, parse_header};
use crate::limits::{COALESCED_PAYLOAD_BYTES_MAX, LARGE_MESSAGE_BYTES_MAX, Limits};

/// Largest frame that is forwarded only as a whole, in bytes with its header: 64 KiB.
///
/// The caller's read buffer must hold one. With the usual buffer of 256 KiB at most a quarter of it
/// is moved to its front after a step.
pub const WHOLE_FRAME_BYTES_MAX: usize = 64 << 10;

/// Smallest payload that [`CopyRelay::coalesce`] leaves alone, in bytes: 16 KiB.
///
/// Merging saves the target's backend work per message, which a payload of this size outweighs by
/// far; below it, a write per frame costs more than copying the payload once. Measured with
/// `benches/copy_relay`: merging 4 kB frames runs at 30 GB/s, as fast as a plain copy.
pub const VERBATIM_PAYLOAD_BYTES_MIN: usize = 16 << 10;

/// Payloads up to this size are copied as one block of this size, in bytes.
///
/// A fixed size compiles to four vector moves where a variable one is a call; the excess is
/// overwritten by the next payload.
const COPY_BLOCK_BYTES: usize = 64;

/// What [`CopyRelay::step`] found at the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayStep {
    /// The first so many bytes are CopyData frames, or parts of one: forward and consume them.
    Forward(usize),
    /// A complete frame of another kind: handle and consume it, never forward it.
    Control {
        /// What it is: CopyDone, ErrorResponse, NoticeResponse, ParameterStatus,
        /// NotificationResponse, CommandComplete or ReadyForQuery.
        tag: u8,
        /// How many bytes it takes, header included.
        total_length: usize,
    },
    /// More input is needed.
    NeedMore {
        /// How long the buffer must be at least to get on: more than it is now.
        total_length: usize,
    },
}

/// What [`CopyRelay::coalesce`] did with the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoalesceStep {
    /// Small frames were merged into fewer ones.
    Merged {
        /// Bytes of the input that are done with.
        consumed: usize,
        /// Bytes at the start of the output that must be written to the target.
        produced: usize,
    },
    /// As [`RelayStep::Forward`].
    Forward(usize),
    /// As [`RelayStep::Control`].
    Control {
        /// What it is.
        tag: u8,
        /// How many bytes it takes, header included.
        total_length: usize,
    },
    /// As [`RelayStep::NeedMore`].
    NeedMore {
        /// How long the buffer must be at least to get on.
        total_length: usize,
    },
}

impl From<RelayStep> for CoalesceStep {
    fn from(step: RelayStep) -> Self {
        match step {
            RelayStep::Forward(n) => Self::Forward(n),
            RelayStep::Control { tag, total_length } => Self::Control { tag, total_length },
            RelayStep::NeedMore { total_length } => Self::NeedMore { total_length },
        }
    }
}

/// The state of one relay: how far into a frame it is, and what has passed.
///
/// Counters move when a step is returned: they count what the caller is about to forward.
#[derive(Debug, Clone, Default)]
pub struct CopyRelay {
    open_bytes: usize,
    frames: u64,
    payload_bytes: u64,
}

impl CopyRelay {
    /// A relay at a frame boundary, nothing passed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many CopyData frames of the source have begun to pass.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// How many bytes of payload have passed.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Whether the last forwarded byte lies inside a frame: the target then waits for the rest, and
    /// no other message can be sent to it.
    #[must_use]
    pub const fn frame_open(&self) -> bool {
        self.open_bytes > 0
    }

    /// Says what to do with the bytes at the start of `buf`.
    ///
    /// `buf` starts where the last step ended.
    ///
    /// # Errors
    /// A length word below 4 or above the limit for its tag, and `UnexpectedMessage` for a message
    /// that cannot occur during COPY. Good frames before the fault are forwarded first.
    #[inline]
    pub fn step(&mut self, buf: &[u8]) -> Result<RelayStep, DecodeError> {
        let (resumed, rest) = self.resume(buf);
        if self.open_bytes > 0 {
            return Ok(forward(resumed, resumed.saturating_add(1)));
        }
        let run = Run::of_whole_frames(rest, 0);
        self.pass(run);
        let begun = self.begin_large(run.rest);
        let n = resumed.saturating_add(run.bytes).saturating_add(begun);
        if n > 0 { Ok(RelayStep::Forward(n)) } else { at_boundary(buf) }
    }

    /// Merges small frames at the start of `buf` into few large ones at the start of `out`.
    ///
    /// Only payload is copied; row and frame boundaries have nothing to do with each other in what
    /// a target receives. Frames of [`VERBATIM_PAYLOAD_BYTES_MIN`] and more are left to
    /// [`CoalesceStep::Forward`]. An `out` as long as `buf` always holds everything; a shorter one
    /// makes steps smaller, and must hold [`WHOLE_FRAME_BYTES_MAX`].
    ///
    /// # Errors
    /// As [`Self::step`].
    #[inline]
    pub fn coalesce(&mut self, buf: &[u8], out: &mut [u8]) -> Result<CoalesceStep, DecodeError> {
        let (resumed, rest) = self.resume(buf);
        if self.open_bytes > 0 {
            return Ok(forward(resumed, resumed.saturating_add(1)).into());
        }
        if resumed == 0 {
            let (run, produced) = merge(rest, out);
            if run.frames > 0 {
                self.pass(run);
                return Ok(CoalesceStep::Merged { consumed: run.bytes, produced });
            }
        }
        let run = Run::of_whole_frames(rest, VERBATIM_PAYLOAD_BYTES_MIN);
        self.pass(run);
        let begun = self.begin_large(run.rest);
        let n = resumed.saturating_add(run.bytes).saturating_add(begun);
        if n > 0 { Ok(CoalesceStep::Forward(n)) } else { at_boundary(buf).map(Into::into) }
    }

    /// Goes on inside an open frame: how many bytes of `buf` belong to it, and what follows.
    #[inline]
    fn resume<'a>(&mut self, buf: &'a [u8]) -> (usize, &'a [u8]) {
        match buf.split_at_checked(self.open_bytes) {
            Some((piece, rest)) => {
                self.open_bytes = 0;
                self.count_payload(piece.len());
                (piece.len(), rest)
            }
            None => {
                self.open_bytes = self.open_bytes.saturating_sub(buf.len());
                self.count_payload(buf.len());
                (buf.len(), &[])
            }
        }
    }

    /// Counts a run of whole frames.
    #[inline]
    fn pass(&mut self, run: Run<'_>) {
        self.frames = self.frames.saturating_add(run.frames as u64);
        let headers = run.frames.saturating_mul(HEADER_BYTES);
        self.count_payload(run.bytes.saturating_sub(headers));
    }

    /// Starts on a frame that is too large to wait for: how many bytes of it are there.
    #[inline]
    fn begin_large(&mut self, rest: &[u8]) -> usize {
        let Some((payload_length, body)) = copy_data_header(rest) else { return 0 };
        let total_length = payload_length.saturating_add(HEADER_BYTES);
        if total_length <= WHOLE_FRAME_BYTES_MAX || body.len() >= payload_length {
            return 0;
        }
        self.open_bytes = payload_length.saturating_sub(body.len());
        self.frames = self.frames.saturating_add(1);
        self.count_payload(body.len());
        rest.len()
    }

    #[inline]
    fn count_payload(&mut self, bytes: usize) {
        self.payload_bytes = self.payload_bytes.saturating_add(bytes as u64);
    }
}

/// Consecutive whole CopyData frames.
#[derive(Clone, Copy)]
struct Run<'a> {
    /// How many.
    frames: usize,
    /// Their bytes, headers included.
    bytes: usize,
    /// What follows them.
    rest: &'a [u8],
}

impl<'a> Run<'a> {
    /// The whole frames at the start of `buf` whose payload has at least so many bytes.
    ///
    /// This is the hottest loop of the program: one load, one byte swap and two comparisons per
    /// row, bound by the latency of that chain. Measured with `benches/copy_relay` on 34-byte
    /// frames: 3.3 ns per row, 40 ms for 12 million rows; merging them takes 4.4 ns per row.
    #[inline]
    fn of_whole_frames(buf: &'a [u8], payload_bytes_min: usize) -> Self {
        let mut rest = buf;
        let mut frames = 0_usize;
        while let Some((payload_length, body)) = copy_data_header(rest) {
            if payload_length < payload_bytes_min {
                break;
            }
            let Some(tail) = body.get(payload_length..) else { break };
            rest = tail;
            frames = frames.saturating_add(1);
        }
        let bytes = buf.len().saturating_sub(rest.len());
        Self { frames, bytes, rest }
    }
}

/// Payload length of the CopyData frame at the start of `buf`, and what follows its header.
///
/// `None` when the header is incomplete, of another kind, or invalid: the slow path says which.
#[inline]
fn copy_data_header(buf: &[u8]) -> Option<(usize, &[u8])> {
    let (&[message_tag, a, b, c, d], body) = buf.split_first_chunk::<HEADER_BYTES>()?;
    let payload_length = u32::from_be_bytes([a, b, c, d]).checked_sub(4)?;
    if message_tag != tag::COPY_DATA || payload_length > LARGE_MESSAGE_BYTES_MAX {
        return None;
    }
    Some((payload_length as usize, body))
}

/// Merges the small whole frames at the start of `buf` into `out`; how many, and bytes written.
#[inline]
fn merge<'a>(buf: &'a [u8], out: &mut [u8]) -> (Run<'a>, usize) {
    let mut room = out;
    let mut produced = 0_usize;
    let mut rest = buf;
    let mut frames = 0_usize;
    while let Some((header, area)) = room.split_first_chunk_mut::<HEADER_BYTES>() {
        let (run, left) = fill(rest, area);
        if run.frames == 0 {
            break;
        }
        let headers = run.frames.saturating_mul(HEADER_BYTES);
        let payload_length = run.bytes.saturating_sub(headers);
        // At most COALESCED_PAYLOAD_BYTES_MAX, so the conversion cannot fail.
        let length_word = u32::try_from(payload_length.saturating_add(4)).unwrap_or(u32::MAX);
        let [a, b, c, d] = length_word.to_be_bytes();
        *header = [tag::COPY_DATA, a, b, c, d];
        produced = produced.saturating_add(HEADER_BYTES).saturating_add(payload_length);
        frames = frames.saturating_add(run.frames);
        rest = run.rest;
        room = left;
    }
    (Run { frames, bytes: buf.len().saturating_sub(rest.len()), rest }, produced)
}

/// Copies payloads of small whole frames into one frame's `area`, up to the largest merged payload.
///
/// Gives the run and what is left of the area.
#[inline]
fn fill<'a, 'o>(buf: &'a [u8], area: &'o mut [u8]) -> (Run<'a>, &'o mut [u8]) {
    let mut room = area;
    let mut budget = COALESCED_PAYLOAD_BYTES_MAX;
    let mut rest = buf;
    let mut frames = 0_usize;
    while let Some((payload_length, body)) = copy_data_header(rest) {
        let Some(budget_left) = budget.checked_sub(payload_length) else { break };
        if payload_length >= VERBATIM_PAYLOAD_BYTES_MIN {
            break;
        }
        let Some((payload, tail)) = body.split_at_checked(payload_length) else { break };
        if payload_length > room.len() {
            break;
        }
        let block = body.first_chunk::<COPY_BLOCK_BYTES>();
        let space = room.first_chunk_mut::<COPY_BLOCK_BYTES>();
        match (block, space) {
            (Some(block), Some(space)) if payload_length <= COPY_BLOCK_BYTES => *space = *block,
            _ => {
                if let Some(space) = room.get_mut(..payload_length) {
                    space.copy_from_slice(payload);
                }
            }
        }
        room = std::mem::take(&mut room).get_mut(payload_length..).unwrap_or_default();
        budget = budget_left;
        rest = tail;
        frames = frames.saturating_add(1);
    }
    let bytes = buf.len().saturating_sub(rest.len());
    (Run { frames, bytes, rest }, room)
}

/// Forward when there is something, else ask for more.
const fn forward(n: usize, total_length: usize) -> RelayStep {
    if n > 0 { RelayStep::Forward(n) } else { RelayStep::NeedMore { total_length } }
}

/// A frame boundary with no CopyData to forward: a control frame, too little input, or a fault.
#[cold]
fn at_boundary(buf: &[u8]) -> Result<RelayStep, DecodeError> {
    let Some(header) = parse_header(buf, Limits::Session)? else {
        return Ok(RelayStep::NeedMore { total_length: HEADER_BYTES });
    };
    let allowed = matches!(
        header.tag,
        tag::COPY_DATA
            | tag::COPY_DONE
            | tag::ERROR_RESPONSE
            | tag::NOTICE_RESPONSE
            | tag::PARAMETER_STATUS
            | tag::NOTIFICATION_RESPONSE
            | tag::COMMAND_COMPLETE
            | tag::READY_FOR_QUERY
    );
    if !allowed {
        let kind = DecodeErrorKind::UnexpectedMessage {
            expected: "CopyData or the end of COPY",
            tag: header.tag,
        };
        let what = backend::name(header.tag).unwrap_or("COPY stream");
        return Err(DecodeError::new(kind, what, 0));
    }
    let total_length = header.total_length();
    Ok(match next_frame(buf, Limits::Session)? {
        Some(_) => RelayStep::Control { tag: header.tag, total_length },
        None => RelayStep::NeedMore { total_length },
    })
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "an overflow fails the test; patterns are cut to bytes on purpose"
)]
mod tests;
