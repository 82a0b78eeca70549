use crate::socket::{Socket, keep_alive};
use drupe_core::shell::{BACKLOG, SEND_BUFFER_BYTES};
use drupe_core::{Address, Peer};
use socket2::{Domain, SockAddr, SockRef, Type};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// A place to accept connections of any kind.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: String, file: Option<FileId> },
}

impl Listener {
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => tcp(*address).map(Self::Tcp),
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                Ok(Self::Unix { listener, path: path.clone(), file: file_id(path) })
            }
        }
    }

    /// Where it really listens.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix { path, .. } => Ok(Address::Unix(path.clone())),
        }
    }

    /// Accepts one connection, or has the waker called when there is one.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Peer)>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, address)| {
                // Not inherited everywhere. If it fails the connection is merely slower.
                let _ = stream.set_nodelay(true);
                (Socket::Tcp(stream), Peer::Address(address))
            }),
            Self::Unix { listener, .. } => {
                listener.poll_accept(cx).map_ok(|(stream, _)| (Socket::Unix(stream), Peer::Local))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody else may have taken the place meanwhile.
        if let Self::Unix { path, file, .. } = self
            && file.is_some()
            && *file == file_id(path)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The device and the number of a file.
type FileId = (u64, u64);

fn file_id(path: &str) -> Option<FileId> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Accepted sockets inherit these.
    socket.set_send_buffer_size(u32::try_from(SEND_BUFFER_BYTES).unwrap_or(u32::MAX))?;
    SockRef::from(&socket).set_tcp_keepalive(&keep_alive())?;
    // One byte of telnet's Synch is urgent (RFC 854): taken out of the stream it would leave half a command there.
    SockRef::from(&socket).set_out_of_band_inline(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Removes a socket file that nobody listens at any more, and nothing else.
fn remove_stale(path: &str) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            // Without waiting: a server that is too busy to accept is there.
            let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
            probe.set_nonblocking(true)?;
            match probe.connect(&SockAddr::unix(path)?) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
