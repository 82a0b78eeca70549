//! Connections of the operating system, and how they are accepted.

use super::os::{OsListener, tune_accepted};
use drupe_core::Peer;
use rustix::net::{SocketAddrAny, SocketFlags};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// A non-blocking connection.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum OsStream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix socket connection.
    Unix(UnixStream),
}

/// Whether the system reports urgent data (RFC 9293 section 3.8.5).
///
/// A read stops there. If the system does not report it, a short read may leave data that no event
/// reports.
pub const TELLS_URGENT: bool = cfg!(any(target_os = "linux", target_os = "android"));

impl OsListener {
    /// Accepts one connection.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub fn accept(&self) -> io::Result<(OsStream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = accept(listener)?;
                let stream = TcpStream::from(stream);
                tune_accepted(&stream);
                let address = address.and_then(|address| SocketAddr::try_from(address).ok());
                // Systems give the address of each TCP peer.
                let address = address.map_or_else(|| stream.peer_addr(), Ok)?;
                Ok((OsStream::Tcp(stream), Peer::from(address)))
            }
            Self::Unix(listener, _) => Ok((OsStream::Unix(accept(listener)?.0.into()), Peer::Local)),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    Ok(rustix::net::acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let (stream, address) = rustix::net::acceptfrom(listener)?;
    rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&stream, true)?;
    Ok((stream, address))
}

impl AsFd for OsListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl AsRawFd for OsListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl OsStream {
    /// Reads available bytes.
    ///
    /// # Errors
    /// As `recv(2)`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    /// Writes as many bytes as the socket accepts, and returns their number.
    ///
    /// # Errors
    /// As `send(2)`.
    pub fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(stream), [slice]) => (&*stream).write(slice),
            (Self::Tcp(stream), slices) => (&*stream).write_vectored(slices),
            (Self::Unix(stream), slices) => (&*stream).write_vectored(slices),
        }
    }

    /// Closes the sending half. If that fails, the next read reports that the peer is gone.
    pub fn shut_down(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl AsFd for OsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsRawFd for OsStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
