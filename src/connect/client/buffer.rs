//! The read buffer of a session: one flat piece of memory, filled by the socket, consumed in
//! frames.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes asked from the socket in one read, and the size the buffer settles at.
///
/// Measured with `benches/copy_relay` and whole runs on loopback: 256 KiB was about the optimum;
/// smaller reads cost system calls, larger ones fall out of the second-level cache.
pub const READ_BYTES: usize = 256 * 1024;

/// A growable buffer with a consumed front.
///
/// Invariant: `start <= end <= data.len()`. Only a frame that must be seen whole (a row of a query,
/// an error) makes the buffer grow beyond [`READ_BYTES`]; COPY payload never does.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// The bytes read and not yet consumed.
    pub(super) fn unread(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks the first `count` unread bytes as consumed.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.data.len() > READ_BYTES {
                // A large frame is gone: give its memory back.
                self.data.truncate(READ_BYTES);
                self.data.shrink_to_fit();
            }
        }
    }

    /// Takes the first `count` unread bytes out together with the memory that they lie in: a large
    /// frame is kept by whoever wants it without a copy. The unread bytes behind it are moved.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let from = self.start;
        let to = from.saturating_add(count).min(self.end);
        let rest = self.data.get(to..self.end).unwrap_or_default();
        let mut data = vec![0; READ_BYTES.max(rest.len())];
        data[..rest.len()].copy_from_slice(rest);
        self.start = 0;
        self.end -= to;
        Bytes::from(std::mem::replace(&mut self.data, data)).slice(from..to)
    }

    /// Free space behind the unread bytes without moving or growing, in bytes.
    pub(super) fn spare(&self) -> usize {
        self.data.len() - self.end
    }

    /// Moves the unread bytes to the front and makes sure that a frame of `needed` bytes fits.
    pub(super) fn make_room(&mut self, needed: usize) {
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = needed.max(READ_BYTES);
        if self.data.len() < wanted {
            self.data.resize(wanted, 0);
        }
    }

    /// Reads once into the free space; 0 means the peer closed the stream. Call
    /// [`ReadBuffer::make_room`] first when there is none.
    ///
    /// Cancel safe: bytes are in the buffer or still in the socket.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let mut target = ReadBuf::new(&mut self.data[self.end..]);
        match Pin::new(stream).poll_read(cx, &mut target) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let count = target.filled().len();
                self.end += count;
                Poll::Ready(Ok(count))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_bytes_leave_and_room_is_made_for_a_large_frame() {
        let mut buffer = ReadBuffer::default();
        buffer.make_room(10);
        buffer.data[..4].copy_from_slice(b"abcd");
        buffer.end = 4;
        buffer.consume(1);
        assert_eq!(buffer.unread(), b"bcd");
        buffer.make_room(READ_BYTES * 3);
        assert_eq!(buffer.unread(), b"bcd");
        assert!(buffer.spare() >= READ_BYTES * 3 - 3);
        buffer.consume(99);
        assert_eq!(buffer.unread(), b"");
        assert_eq!(buffer.data.len(), READ_BYTES);
    }
    #[test]
    fn a_frame_that_is_taken_out_leaves_what_is_behind_it() {
        let mut buffer = ReadBuffer::default();
        buffer.make_room(10);
        buffer.data[..6].copy_from_slice(b"abcdef");
        buffer.end = 6;
        buffer.consume(1);
        let taken = buffer.take(3);
        buffer.make_room(READ_BYTES * 2);
        assert_eq!((taken.as_ref(), buffer.unread()), (&b"bcd"[..], &b"ef"[..]));
        assert_eq!(buffer.take(99).as_ref(), b"ef");
        assert_eq!((buffer.unread(), buffer.data.len()), (&b""[..], READ_BYTES));
    }
}
