//! Enter and leave COPY. The data in between is moved by the caller (`job::copy::relay`) through
//! the poll functions here.

use std::future::poll_fn;
use std::task::{Context, Poll};

use proto::backend::{BackendMessage, tag};
use proto::frontend;

use super::Session;
use super::query::{End, StatementResult};
use crate::base::error::{Error, Result};
use crate::base::log::SQL;

impl Session {
    /// Sends a simple query whose last or only unfinished statement is a COPY, and returns once the
    /// server is in copy mode, with the results of the statements before it.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// The first server error; the session is in step again. `Internal` when no statement was a
    /// COPY.
    pub async fn copy_start(&mut self, sql: &str) -> Result<Vec<StatementResult>> {
        tracing::debug!(target: SQL, "[{} {}] {sql}", self.side, self.process_id());
        frontend::query(sql, &mut self.write).map_err(|error| self.encode_error(&error))?;
        self.flush().await?;
        match self.read_results().await? {
            (results, End::Copy) => Ok(results),
            (_, End::Ready) => Err(Error::internal("a statement that should be a COPY was none")),
        }
    }

    /// Reads results until the server waits for a command: after the last CopyData of a COPY OUT
    /// was taken, or after [`Session::copy_in_done`].
    ///
    /// Not cancel safe.
    pub async fn copy_end(&mut self) -> Result<Vec<StatementResult>> {
        match self.read_results().await? {
            (results, End::Ready) => Ok(results),
            (_, End::Copy) => Err(self.unexpected(tag::COPY_IN_RESPONSE, "COPY")),
        }
    }

    /// Tells the server that the data of a COPY IN is complete and returns the results of the COPY
    /// and of the statements after it.
    ///
    /// Not cancel safe.
    pub async fn copy_in_done(&mut self) -> Result<Vec<StatementResult>> {
        frontend::copy_done(&mut self.write);
        self.flush().await?;
        self.copy_end().await
    }

    /// Makes the server fail the COPY IN; returns once it waits for a command again. The error that
    /// the server then reports is returned when it is not the one just asked for.
    ///
    /// Only between frames: in the middle of one the session can only be dropped.
    ///
    /// Not cancel safe.
    pub async fn copy_in_fail(&mut self, reason: &str) -> Result<()> {
        frontend::copy_fail(reason, &mut self.write).map_err(|error| self.encode_error(&error))?;
        self.flush().await?;
        match self.copy_end().await {
            Ok(_) => Ok(()),
            // query_canceled: "COPY from stdin failed", our own doing.
            Err(error) if error.sqlstate() == Some("57014") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The bytes read from the server and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        self.read.unread()
    }

    /// Marks the first `count` unread bytes as taken.
    pub fn take(&mut self, count: usize) {
        self.read.consume(count);
    }

    /// Whether a read can add to the unread bytes without moving or growing the buffer.
    pub fn has_room(&self) -> bool {
        self.read.spare() > 0
    }

    /// Moves the unread bytes to the front of the buffer, so that a read has room; a frame of up to
    /// `needed` bytes then fits as a whole.
    pub fn make_room(&mut self, needed: usize) {
        self.read.make_room(needed);
    }

    /// Reads once from the server; 0 means it closed the connection. Cancel safe.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        self.poll_fill(cx)
    }

    /// Writes some of `bytes` to the server as they are. Cancel safe: the count says what went out.
    pub fn poll_forward(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.poll_send(cx, bytes)
    }

    /// Pushes out what the transport still holds.
    pub async fn push(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_push(cx)).await
    }

    /// Takes the message at the front when it may come at any time (a notice, a changed setting) or
    /// is an error; returns the error. Anything else is out of place in a COPY.
    ///
    /// `message_tag` and `length` are those of the whole frame at the front of the unread bytes.
    pub fn take_control(&mut self, message_tag: u8, length: usize) -> Result<Option<Error>> {
        self.trace_front(message_tag, length);
        if self.take_async_message(message_tag, length)? {
            return Ok(None);
        }
        if message_tag != tag::ERROR_RESPONSE {
            return Err(self.unexpected(message_tag, "COPY"));
        }
        let error = match self.decode_front(message_tag, length)? {
            BackendMessage::ErrorResponse(message) => self.server_error(*message),
            _ => return Err(self.unexpected(message_tag, "COPY")),
        };
        self.consume(length);
        Ok(Some(error))
    }

    /// Marks the byte stream as lost: a frame was left half sent or half read.
    pub fn abandon(&mut self) {
        self.broken = true;
    }
}
