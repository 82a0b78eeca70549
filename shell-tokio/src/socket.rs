use drupe_core::shell::{KEEP_ALIVE_IDLE, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_RETRIES, SEND_BUFFER_BYTES};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Sets what every TCP connection has. What fails makes it merely worse.
pub(crate) fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    let _ = socket.set_tcp_keepalive(&keep_alive());
    let _ = socket.set_out_of_band_inline(true);
}

/// When the system asks whether a silent peer is still there.
pub(crate) fn keep_alive() -> TcpKeepalive {
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE_IDLE).with_interval(KEEP_ALIVE_INTERVAL);
    keep_alive.with_retries(KEEP_ALIVE_RETRIES)
}

/// A connection of any kind.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Reads once what is there, or has the waker called when something is.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let polled = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    /// Writes once what the socket takes, or has the waker called when it takes something.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // A plain write tells tokio whether the socket is full, which saves it a try.
        match (self, slices) {
            (Self::Tcp(stream), [slice]) => Pin::new(stream).poll_write(cx, slice),
            (Self::Tcp(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
            (Self::Unix(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Closes our half.
    pub(crate) fn shut_down(&mut self, cx: &mut Context<'_>) {
        // Both kinds do it at once. If it fails the peer is gone, which reading will tell.
        let _ = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        };
    }
}
