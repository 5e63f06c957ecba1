//! A session with a logical walsender: slots, and the stream of changes in both directions.
//!
//! ```text
//! ReplicationSession ── identify, create_slot, query ──► start ──► ChangeReader   (frames in)
//!                                                             └──► FeedbackWriter (status out)
//! ```
//!
//! Reader and writer are halves of one connection and live in different tasks: feedback goes out while
//! the reader waits for room on the disk, so the server neither times out nor keeps WAL that is safe
//! here. A walsender speaks the simple protocol only.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use proto::backend::{self, BackendMessage, tag};
use proto::frame::{self, HEADER_BYTES};
use proto::limits::Limits;
use proto::replication::{
    CreateSlot, CreatedSlot, IdentifySystem, ReplicationMessage, ReplyError, StandbyStatusUpdate,
    StartReplication,
};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::buffer::ReadBuffer;
use super::connect::Mode;
use super::io::server_error;
use super::query::Step;
use super::settings::{self, ServerTraits, SessionRole};
use super::{Rows, Session};
use crate::base::error::{Error, Result, Side};
use crate::base::log::{NOTICE, SQL};
use crate::connect::conninfo::ConnInfo;
use crate::connect::net::Stream;

/// A session with a walsender that no stream runs on.
#[derive(Debug)]
pub struct ReplicationSession {
    session: Session,
}

impl ReplicationSession {
    /// Connects in replication mode to the database and pins the session's settings: the output
    /// plugin writes values the way this session's settings say (K9).
    ///
    /// Not cancel safe, but dropping it only drops the socket.
    ///
    /// # Errors
    /// Those of [`Session::connect`]; `Permission` when the role may not replicate.
    pub async fn connect(info: &ConnInfo, role: &str) -> Result<Self> {
        let session =
            Session::connect_in(Mode::LogicalReplication, Side::Source, info, role).await?;
        let mut session = Self { session };
        let encoding = session.session.parameter("server_encoding").unwrap_or("UTF8").to_owned();
        let traits = ServerTraits { version: session.version(), encoding: &encoding };
        for statement in settings::statements(SessionRole::Source, traits) {
            session.session.simple_query(&statement).await?;
        }
        Ok(session)
    }

    /// `server_version_num` of the server's first release (150000 for every 15.x).
    pub fn version(&self) -> u32 {
        self.session.version()
    }

    /// The backend's process id.
    pub fn process_id(&self) -> u32 {
        self.session.process_id()
    }

    /// What a CancelRequest for this session needs.
    pub fn cancel_handle(&self) -> super::CancelHandle {
        self.session.cancel_handle()
    }

    /// The rows of one plain SQL statement. Ends the life of an exported snapshot.
    ///
    /// # Errors
    /// The server's.
    pub async fn query(&mut self, sql: &str) -> Result<Rows> {
        let results = self.session.simple_query(sql).await?;
        Ok(results.into_iter().next().map(|result| result.rows).unwrap_or_default())
    }

    /// Who the server is and where its log ends.
    ///
    /// # Errors
    /// The server's; `Protocol` for an answer that makes no sense.
    pub async fn identify(&mut self) -> Result<IdentifySystem> {
        let rows = self.query(proto::replication::command::IDENTIFY_SYSTEM).await?;
        let row = rows.one()?;
        IdentifySystem::from_row((0..4).map(|index| row.bytes(index))).map_err(reply_error)
    }

    /// Creates a slot. An exported snapshot lives until this session runs its next command or ends.
    ///
    /// Waits until every transaction that is running now has ended. Not cancel safe.
    ///
    /// # Errors
    /// The server's: 42710 when the slot exists, 53400 when no slot is free.
    pub async fn create_slot(&mut self, slot: &CreateSlot<'_>) -> Result<CreatedSlot> {
        let text = slot.text(self.version()).map_err(|error| {
            Error::config(format!("slot \"{}\" cannot be created: {error}", slot.slot))
        })?;
        let rows = self.query(&text).await?;
        let row = rows.one()?;
        CreatedSlot::from_row((0..4).map(|index| row.bytes(index))).map_err(reply_error)
    }

    /// Starts the stream and gives the two directions away.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// The server's: 55006 while another process streams from the slot, 42704 when there is none,
    /// 55000 when it was invalidated.
    pub async fn start(
        mut self,
        command: &StartReplication<'_>,
    ) -> Result<(ChangeReader, FeedbackWriter)> {
        let text = command.text().map_err(|error| {
            Error::config(format!("replication cannot be started on \"{}\": {error}", command.slot))
        })?;
        tracing::debug!(target: SQL, "[source {}] {text}", self.session.process_id());
        proto::frontend::query(&text, &mut self.session.write)
            .map_err(|error| self.session.encode_error(&error))?;
        self.session.flush().await?;
        self.wait_copy_both().await?;
        let Session { stream, side, read, .. } = self.session;
        let peer = stream.peer.clone();
        let (input, output) = tokio::io::split(stream);
        Ok((
            ChangeReader {
                stream: input,
                read,
                side,
                peer: peer.clone(),
                front: 0,
                taken: Bytes::new(),
            },
            FeedbackWriter { stream: output, buffer: BytesMut::with_capacity(64), side, peer },
        ))
    }

    /// Waits until the server has entered COPY BOTH.
    async fn wait_copy_both(&mut self) -> Result<()> {
        let mut failure = None;
        loop {
            let (message_tag, length) = self.session.wait_frame().await?;
            if message_tag == tag::COPY_BOTH_RESPONSE {
                self.session.consume(length);
                return Ok(());
            }
            match self.session.step().await? {
                Step::Failed(error) => failure = failure.or(Some(error)),
                Step::Ready => {
                    return Err(failure.unwrap_or_else(|| {
                        Error::protocol(Side::Source, "START_REPLICATION began no stream")
                    }));
                }
                _ => {}
            }
        }
    }
}

/// The incoming half of a stream of changes.
#[derive(Debug)]
pub struct ChangeReader {
    stream: ReadHalf<Stream>,
    read: ReadBuffer,
    side: Side,
    peer: String,
    /// Length of the frame at the front that was handed out and is not consumed yet.
    front: usize,
    /// The large frame that was handed out, taken out of the buffer.
    taken: Bytes,
}

/// Frames of so many bytes are taken out of the buffer with their memory instead of being copied out
/// of it.
const TAKEN_BYTES_MIN: usize = 1 << 20;

/// What came in.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A message of the stream.
    Message {
        /// What it says.
        message: ReplicationMessage<'a>,
        /// The memory that it lies in, where it is large: kept instead of copied.
        owner: Option<&'a Bytes>,
    },
    /// The server ended the stream in order (it shuts down, or we asked for it).
    End,
}

impl ChangeReader {
    /// The next message. It borrows from the read buffer: taken over before the next call.
    ///
    /// Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// Those of [`ChangeReader::try_next`] and of [`ChangeReader::arrived`].
    pub async fn next(&mut self) -> Result<Incoming<'_>> {
        while !self.is_whole()? {
            self.read_once().await?;
        }
        self.try_next()?.ok_or_else(|| Error::internal("a whole message is none"))
    }

    /// Waits until a whole message is in the buffer.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `Connection` when the stream ends without CopyDone, `Protocol` for bytes that make no sense.
    pub async fn arrived(&mut self) -> Result<()> {
        while !self.is_whole()? {
            self.read_once().await?;
        }
        Ok(())
    }

    /// Bytes received and not yet taken.
    pub fn buffered(&self) -> usize {
        self.read.unread().len() - self.front
    }

    /// Takes what has arrived meanwhile into the buffer, without waiting.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `Connection` when the stream is lost.
    pub async fn gather(&mut self) -> Result<()> {
        if self.read.spare() == 0 {
            return Ok(());
        }
        let (read, stream) = (&mut self.read, &mut self.stream);
        let filled = poll_fn(|cx| Poll::Ready(read.poll_read(stream, cx))).await;
        match filled {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(0)) => Err(self.closed()),
            Poll::Ready(filled) => filled.map(drop).map_err(|error| self.lost(error)),
        }
    }

    /// The next message when it is whole in the buffer.
    ///
    /// # Errors
    /// The server's error, `Protocol` for bytes that make no sense.
    pub fn try_next(&mut self) -> Result<Option<Incoming<'_>>> {
        self.drop_front();
        loop {
            let Some((message_tag, length)) = self.whole_frame()? else { return Ok(None) };
            match message_tag {
                tag::COPY_DATA => return self.hand_out(length).map(Some),
                tag::COPY_DONE => {
                    self.front = length;
                    return Ok(Some(Incoming::End));
                }
                _ => self.control(message_tag, length)?,
            }
        }
    }

    /// The message in the frame at the front, which is whole.
    fn hand_out(&mut self, length: usize) -> Result<Incoming<'_>> {
        let owner = if length >= TAKEN_BYTES_MIN {
            self.taken = self.read.take(length);
            Some(&self.taken)
        } else {
            self.front = length;
            None
        };
        let frame = owner.map_or_else(|| self.read.unread(), |taken| taken.as_ref());
        let body = frame.get(HEADER_BYTES..length).unwrap_or_default();
        let message = ReplicationMessage::decode(body)
            .map_err(|error| Error::protocol(self.side, error.to_string()))?;
        Ok(Incoming::Message { message, owner })
    }

    /// Drops the frame that was handed out.
    fn drop_front(&mut self) {
        self.read.consume(std::mem::take(&mut self.front));
        self.taken = Bytes::new();
    }

    /// Whether a whole frame waits, the one that was handed out excepted.
    fn is_whole(&mut self) -> Result<bool> {
        self.drop_front();
        self.whole_frame().map(|found| found.is_some())
    }

    /// Reads once from the socket.
    async fn read_once(&mut self) -> Result<()> {
        if self.fill().await? == 0 { Err(self.closed()) } else { Ok(()) }
    }

    /// An error for a stream that ended without a word.
    fn closed(&self) -> Error {
        self.lost(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "server closed the connection unexpectedly",
        ))
    }

    /// Tag and length of the frame at the front when it is whole; makes room for it otherwise.
    fn whole_frame(&mut self) -> Result<Option<(u8, usize)>> {
        match frame::parse_header(self.read.unread(), Limits::Session) {
            Err(error) => Err(Error::protocol(self.side, error.to_string())),
            Ok(Some(header)) if self.read.unread().len() >= header.total_length() => {
                Ok(Some((header.tag, header.total_length())))
            }
            Ok(header) => {
                let needed = header.map_or(HEADER_BYTES, |header| header.total_length());
                if self.read.unread().len() + self.read.spare() < needed || self.read.spare() == 0 {
                    self.read.make_room(needed);
                }
                Ok(None)
            }
        }
    }

    /// Handles a message that is no data: a notice, a changed setting, the end, an error.
    fn control(&mut self, message_tag: u8, length: usize) -> Result<()> {
        let body = self.read.unread().get(HEADER_BYTES..length).unwrap_or_default();
        let message = backend::decode(message_tag, body)
            .map_err(|error| Error::protocol(self.side, error.to_string()))?;
        match message {
            BackendMessage::ErrorResponse(message) => {
                return Err(Error::server(self.side, server_error(*message)));
            }
            BackendMessage::NoticeResponse(notice) => {
                tracing::info!(target: NOTICE, "[{}] {}: {}", self.side, notice.severity, notice.message);
            }
            _ => {}
        }
        self.read.consume(length);
        Ok(())
    }

    /// Reads once from the socket.
    async fn fill(&mut self) -> Result<usize> {
        let (read, stream) = (&mut self.read, &mut self.stream);
        let filled = poll_fn(|cx| read.poll_read(stream, cx)).await;
        filled.map_err(|error| self.lost(error))
    }

    /// An error for a stream that broke.
    fn lost(&self, source: std::io::Error) -> Error {
        Error::connection(self.side, format!("connection to {} lost", self.peer), source)
    }
}

/// The outgoing half of a stream of changes.
#[derive(Debug)]
pub struct FeedbackWriter {
    stream: WriteHalf<Stream>,
    buffer: BytesMut,
    side: Side,
    peer: String,
}

impl FeedbackWriter {
    /// Tells the server where we are.
    ///
    /// Not cancel safe: a message may be half sent.
    ///
    /// # Errors
    /// `Connection` when the stream is lost.
    pub async fn send(&mut self, update: &StandbyStatusUpdate) -> Result<()> {
        self.buffer.clear();
        update.encode(&mut self.buffer);
        self.write_buffer().await
    }

    /// Tells the server that nothing more will come from us: it answers with the end of the stream.
    ///
    /// # Errors
    /// `Connection` when the stream is lost.
    pub async fn finish(&mut self) -> Result<()> {
        self.buffer.clear();
        proto::frontend::copy_done(&mut self.buffer);
        self.write_buffer().await
    }

    /// Sends the buffer.
    async fn write_buffer(&mut self) -> Result<()> {
        let sent = async {
            self.stream.write_all(&self.buffer).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|source| {
            Error::connection(self.side, format!("connection to {} lost", self.peer), source)
        })
    }
}

/// An error for an answer that is not what the protocol says.
fn reply_error(error: ReplyError) -> Error {
    Error::protocol(Side::Source, error.to_string())
}
