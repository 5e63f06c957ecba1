//! The byte stream a session speaks on.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Anything that carries the protocol: TCP, unix socket, TLS over TCP, an in-memory pipe in tests.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connected byte stream and what is known about its transport.
pub struct Stream {
    io: Box<dyn ByteStream>,
    /// Whether TLS protects it.
    pub tls_active: bool,
    /// tls-server-end-point channel binding data, when TLS is active and the hash is defined.
    pub channel_binding: Option<Vec<u8>>,
    /// Where it leads, for messages ("127.0.0.1:5432", "/run/postgresql/.s.PGSQL.5432").
    pub peer: String,
}

impl Stream {
    /// A stream without TLS.
    pub fn plain(io: impl ByteStream + 'static, peer: impl Into<String>) -> Self {
        Self { io: Box::new(io), tls_active: false, channel_binding: None, peer: peer.into() }
    }

    /// A stream under TLS.
    pub fn tls(
        io: impl ByteStream + 'static,
        channel_binding: Option<Vec<u8>>,
        peer: impl Into<String>,
    ) -> Self {
        Self { io: Box::new(io), tls_active: true, channel_binding, peer: peer.into() }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("tls_active", &self.tls_active)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
