//! The frames of sessions in the log: level TRACE, one line each, in the format of `PQtrace`.
//!
//! ```text
//! [source 4242] F  22  Query   <17 bytes>
//! [source 4242] B  13  CommandComplete   "SELECT 1"
//! ```
//!
//! [`Detail::Shape`] always: names, lengths, counts and settings, never a row, a parameter, a
//! statement (those are logged at SQL) or a secret. What a COPY moves between two sessions does not
//! pass here: it is counted by the copy itself, and no work is done per row or frame.

use std::borrow::Borrow;
use std::fmt::Arguments;

use proto::frame::{Frame, HEADER_BYTES};
use proto::trace::{Detail, Trace};
use tracing::Level;

/// Bytes of the length word, which alone stands before the body of a message without tag.
const LENGTH_WORD_BYTES: usize = 4;

/// Logs a frame that arrived. `who` is the side and the process of the server.
pub(super) fn received(who: Arguments<'_>, frame: Frame<'_>) {
    if tracing::event_enabled!(Level::TRACE) {
        tracing::trace!("[{who}] {}", Trace::backend(frame.tag, frame.body, Detail::Shape));
    }
}

/// Logs whole frames that are about to be sent, as our own encoder wrote them; `pieces` together are
/// the frames. A large value is copied for it.
pub(super) fn sent<B: Borrow<[u8]>>(who: Arguments<'_>, pieces: &[B]) {
    if !tracing::event_enabled!(Level::TRACE) {
        return;
    }
    let frames = pieces.concat();
    let mut rest = frames.as_slice();
    while let Some((tag, body, after)) = split_frame(rest) {
        tracing::trace!("[{who}] {}", Trace::frontend(tag, body, Detail::Shape));
        rest = after;
    }
}

/// Logs a message without tag that is about to be sent: StartupMessage, CancelRequest.
pub(super) fn sent_untagged(who: Arguments<'_>, message: &[u8]) {
    if tracing::event_enabled!(Level::TRACE) {
        let body = message.get(LENGTH_WORD_BYTES..).unwrap_or_default();
        tracing::trace!("[{who}] {}", Trace::startup(body, Detail::Shape));
    }
}

/// Tag and body of the first frame, and what follows it; `None` when there is none.
///
/// Not `proto::frame`: its limits are for what servers send, and a statement may be longer.
fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length @ ..] = *bytes.first_chunk::<HEADER_BYTES>()?;
    let end = usize::try_from(u32::from_be_bytes(length)).ok()?.checked_add(1)?;
    Some((tag, bytes.get(HEADER_BYTES..end)?, bytes.get(end..)?))
}

#[cfg(test)]
mod tests;
