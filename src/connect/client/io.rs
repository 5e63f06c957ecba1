//! Frames in, bytes out.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use proto::backend::{self, BackendMessage, ServerMessage, tag};
use proto::error::DecodeError;
use proto::frame::{self, Frame, HEADER_BYTES};
use proto::limits::{Limits, PARAMETER_STATUS_COUNT_MAX};
use tokio::io::AsyncWrite;

use super::{Session, trace};
use crate::base::error::{Error, Result, ServerError};
use crate::base::log::NOTICE;

impl Session {
    /// Reads once from the socket into the read buffer; 0 bytes means the server closed the
    /// connection.
    ///
    /// Cancel safe: bytes are in the buffer or still in the socket.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        if self.read.spare() == 0 {
            let unread = self.read.unread().len();
            self.read.make_room(unread.saturating_mul(2));
        }
        self.read
            .poll_read(&mut self.stream, cx)
            .map(|result| result.map_err(|error| self.lost(error)))
    }

    /// Writes some of `bytes` to the socket; returns how many.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) if !bytes.is_empty() => {
                Poll::Ready(Err(self.lost(std::io::ErrorKind::WriteZero.into())))
            }
            Poll::Ready(result) => Poll::Ready(result.map_err(|error| self.lost(error))),
        }
    }

    /// Pushes out what a TLS layer may still hold.
    pub(super) fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream)
            .poll_flush(cx)
            .map(|result| result.map_err(|error| self.lost(error)))
    }

    /// Sends the write buffer. Reads what the server says meanwhile, so that two full socket
    /// buffers cannot wait for each other.
    ///
    /// Not cancel safe: a frame may be half sent; the session is broken if dropped midway.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let bytes = self.write.split().freeze();
        let pieces = pieces(bytes, std::mem::take(&mut self.lent));
        trace::sent(format_args!("{} {}", self.side, self.process_id()), &pieces);
        let was_broken = std::mem::replace(&mut self.broken, true);
        for piece in pieces {
            self.send_all(&piece).await?;
        }
        poll_fn(|cx| self.poll_push(cx)).await?;
        self.broken = was_broken;
        Ok(())
    }

    /// Writes bytes to the socket and reads what the server says meanwhile.
    async fn send_all(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        poll_fn(|cx| {
            while !rest.is_empty() {
                match self.poll_send(cx, rest) {
                    Poll::Ready(Ok(count)) => rest = rest.get(count..).unwrap_or_default(),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => match self.poll_fill(cx) {
                        Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.closed())),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => return Poll::Pending,
                    },
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits until a whole frame is at the front of the read buffer and returns its tag and length.
    ///
    /// ParameterStatus, notices and notifications are handled on the way and never returned.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `Connection` when the stream ends, `Protocol` for a length that cannot be.
    pub(super) async fn wait_frame(&mut self) -> Result<(u8, usize)> {
        loop {
            match frame::parse_header(self.read.unread(), Limits::Session) {
                Err(error) => return Err(self.out_of_step(error)),
                Ok(Some(header)) if self.read.unread().len() >= header.total_length() => {
                    let length = header.total_length();
                    self.trace_front(header.tag, length);
                    if self.take_async_message(header.tag, length)? {
                        continue;
                    }
                    return Ok((header.tag, length));
                }
                Ok(header) => {
                    if let Some(header) = header
                        && self.read.unread().len() + self.read.spare() < header.total_length()
                    {
                        self.read.make_room(header.total_length());
                    }
                }
            }
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Err(self.closed());
            }
        }
    }

    /// The frame at the front, known to be whole.
    pub(super) fn front(&self, message_tag: u8, length: usize) -> Frame<'_> {
        Frame {
            tag: message_tag,
            body: self.read.unread().get(HEADER_BYTES..length).unwrap_or_default(),
            total_length: length,
        }
    }

    /// Logs the frame at the front, known to be whole, when frames are logged.
    pub(super) fn trace_front(&self, message_tag: u8, length: usize) {
        let who = format_args!("{} {}", self.side, self.process_id());
        trace::received(who, self.front(message_tag, length));
    }

    /// Decodes the frame at the front.
    pub(super) fn decode_front(
        &self,
        message_tag: u8,
        length: usize,
    ) -> Result<BackendMessage<'_>> {
        let frame = self.front(message_tag, length);
        backend::decode(frame.tag, frame.body)
            .map_err(|error| Error::protocol(self.side, error.to_string()))
    }

    /// Drops the frame at the front.
    pub(super) fn consume(&mut self, length: usize) {
        self.read.consume(length);
    }

    /// Handles a message that may come at any time; returns whether it was one.
    pub(super) fn take_async_message(&mut self, message_tag: u8, length: usize) -> Result<bool> {
        match message_tag {
            tag::PARAMETER_STATUS | tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE => {}
            _ => return Ok(false),
        }
        let mut parameter = None;
        match self.decode_front(message_tag, length)? {
            BackendMessage::ParameterStatus(status) => {
                parameter = Some((
                    String::from_utf8_lossy(status.name).into_owned(),
                    String::from_utf8_lossy(status.value).into_owned(),
                ));
            }
            BackendMessage::NoticeResponse(notice) => self.log_notice(&notice),
            _ => {}
        }
        if let Some((name, value)) = parameter
            && self.parameters.len() < PARAMETER_STATUS_COUNT_MAX
        {
            self.parameters.insert(name, value);
        }
        self.consume(length);
        Ok(true)
    }

    /// Writes a server's notice to the log: warnings as such, the rest at the NOTICE level.
    fn log_notice(&self, notice: &ServerMessage) {
        let (side, pid) = (self.side, self.process_id());
        if notice.severity == "WARNING" {
            tracing::warn!("[{side} {pid}] {}", notice.message);
        } else {
            tracing::info!(target: NOTICE, "[{side} {pid}] {}: {}", notice.severity, notice.message);
        }
    }

    /// An error for a stream that broke.
    pub(super) fn lost(&mut self, source: std::io::Error) -> Error {
        self.broken = true;
        Error::connection(self.side, format!("connection to {} lost", self.stream.peer), source)
    }

    /// An error for a stream that the server closed.
    pub(super) fn closed(&mut self) -> Error {
        self.lost(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "server closed the connection unexpectedly",
        ))
    }

    /// An error for bytes that make no sense: nothing that follows can be trusted.
    pub(super) fn out_of_step(&mut self, error: DecodeError) -> Error {
        self.broken = true;
        Error::protocol(self.side, error.to_string())
    }

    /// An error for a message that has no place here.
    pub(super) fn unexpected(&mut self, message_tag: u8, doing: &'static str) -> Error {
        self.broken = true;
        let name = backend::name(message_tag).unwrap_or("an unknown message");
        Error::protocol(self.side, format!("{name} is not expected during {doing}"))
    }

    /// An error that the server sent. One that ends the session marks it broken.
    pub(super) fn server_error(&mut self, message: ServerMessage) -> Error {
        if message.ends_session() {
            self.broken = true;
        }
        Error::server(self.side, server_error(message))
    }
}

/// The bytes of a write buffer with what was lent in its places.
fn pieces(mut bytes: Bytes, lent: Vec<(usize, Bytes)>) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(lent.len() * 2 + 1);
    let mut taken = 0;
    for (at, value) in lent {
        pieces.push(bytes.split_to(at.saturating_sub(taken).min(bytes.len())));
        pieces.push(value);
        taken = at;
    }
    pieces.push(bytes);
    pieces
}

/// Keeps what people and the program act upon.
pub(super) fn server_error(message: ServerMessage) -> ServerError {
    ServerError {
        sqlstate: message.sqlstate.as_str().to_owned(),
        severity: message.severity,
        message: message.message,
        detail: message.detail,
        hint: message.hint,
        context: message.where_,
        schema: message.schema,
        table: message.table,
        column: message.column,
        constraint: message.constraint,
    }
}
