use drupe_shell::mount::MountedIo;
use smol::io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A smol stream that another server hands over: see [`mount`](drupe_shell::mount).
///
/// For [`Remote::mount`](crate::Remote::mount) and
/// [`MountedWebSocket::attach`](drupe_shell::mount::MountedWebSocket::attach).
#[derive(Debug)]
pub struct MountedStream<S>(S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> MountedStream<S> {
    /// Wraps a stream. The server polls it from its own task or thread.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> MountedIo for MountedStream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
