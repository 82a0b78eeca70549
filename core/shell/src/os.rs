//! Sockets of the operating system, non-blocking and tuned, for every runtime.

use super::{BACKLOG, KEEP_ALIVE_IDLE, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_RETRIES, SEND_BUFFER_BYTES};
use drupe_core::{Address, Listen, SocketAccess, files};

use core::net::SocketAddr;
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::fs::Permissions;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// A bound, non-blocking listener.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum OsListener {
    /// A TCP listener.
    Tcp(TcpListener),
    /// A Unix listener, and its socket file. Dropping it removes a file that this process created.
    Unix(UnixListener, SocketFile),
}

/// The error of a listener that cannot be bound or whose configuration is refused.
#[derive(Debug, thiserror::Error)]
#[error("can't listen at {address}: {source}")]
#[non_exhaustive]
pub struct BindError {
    /// The address of the listener.
    pub address: String,
    /// The cause of the error.
    pub source: io::Error,
}

impl OsListener {
    /// Binds a listener. Replaces a stale socket file.
    ///
    /// # Errors
    /// If the system cannot bind the address.
    pub fn bind(listen: &Listen) -> io::Result<Self> {
        match &listen.address {
            Address::Tcp(address) => tcp(*address).map(Self::Tcp),
            Address::Forwarded(forward) => {
                let words = std::format!("{} is on the other side of the tunnel {:?}", forward.bind, forward.tunnel);
                Err(io::Error::new(io::ErrorKind::InvalidInput, words))
            }
            Address::Inherited(name) => {
                let words = std::format!("the process was given no listener named {name:?}");
                Err(io::Error::new(io::ErrorKind::NotFound, words))
            }
            Address::Mounted(name) => {
                let words = std::format!("the connections of the mount {name:?} are handed over by Remote::mount");
                Err(io::Error::new(io::ErrorKind::InvalidInput, words))
            }
            Address::Unix(path) => match path.strip_prefix('@') {
                Some(name) => abstract_socket(name),
                None => socket_file(path, &listen.socket),
            },
            other => Err(io::Error::new(io::ErrorKind::Unsupported, std::format!("{other} is not supported"))),
        }
    }

    /// Creates a listener from a TCP socket that the process inherited.
    ///
    /// # Errors
    /// If the socket does not listen, or cannot be made non-blocking.
    pub fn inherited_tcp(listener: TcpListener) -> io::Result<Self> {
        check_listens(&listener)?;
        listener.set_nonblocking(true)?;
        tune(&listener);
        Ok(Self::Tcp(listener))
    }

    /// Creates a listener from a Unix socket that the process inherited. Never removes its file.
    ///
    /// # Errors
    /// As [`inherited_tcp`](Self::inherited_tcp).
    pub fn inherited_unix(listener: UnixListener) -> io::Result<Self> {
        check_listens(&listener)?;
        listener.set_nonblocking(true)?;
        let path = name_of(&listener)?;
        Ok(Self::Unix(listener, SocketFile { path, id: None }))
    }

    /// Returns the address that the listener is bound to.
    ///
    /// # Errors
    /// If the system cannot report the address.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.path.clone())),
        }
    }
}

/// Checks that a socket listens. A socket that is only bound or connected is an error.
fn check_listens(socket: &impl AsFd) -> io::Result<()> {
    if SockRef::from(socket).is_listener()? {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the socket does not listen (Accept=no is needed for a socket unit)",
    ))
}

/// Sets the options of a TCP socket. Ignores errors, because the socket works without the options.
pub fn tune(stream: &impl AsFd) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    let _ = socket.set_tcp_keepalive(&keep_alive());
    let _ = socket.set_out_of_band_inline(true);
}

/// Sets the options that only some systems copy from a listener to its accepted connections.
pub fn tune_accepted(stream: &impl AsFd) {
    let _ = SockRef::from(stream).set_tcp_nodelay(true);
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Accepted sockets inherit these.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_keepalive(&keep_alive())?;
    // One byte of telnet's Synch is urgent (RFC 854). Taken out of the stream, it would split a
    // command.
    socket.set_out_of_band_inline(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Binds a socket file, sets its group and mode if configured, and then listens.
///
/// Peers can connect only once the socket listens, so none finds it with other permissions.
fn socket_file(path: &str, access: &SocketAccess) -> io::Result<OsListener> {
    let group = access.group.as_deref().map(group_id).transpose()?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.into(), id: file_id(path) };
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group))?;
    }
    if let Some(mode) = access.mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    listen(socket, file)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_socket(name: &str) -> io::Result<OsListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(std::format!("\0{name}"))?)?;
    listen(socket, SocketFile { path: std::format!("@{name}"), id: None })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_socket(_: &str) -> io::Result<OsListener> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Linux has abstract sockets: for a file, write ./ before the @",
    ))
}

fn listen(socket: Socket, file: SocketFile) -> io::Result<OsListener> {
    socket.set_nonblocking(true)?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(OsListener::Unix(socket.into(), file))
}

/// Returns the id of a group, given as a number or as a name from `/etc/group` (`group(5)`).
fn group_id(group: &str) -> io::Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let known = files::read_text(Path::new("/etc/group"))?;
    let id = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        fields.next().filter(|name| *name == group)?;
        fields.nth(1)?.parse().ok()
    });
    id.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, std::format!("there is no group {group:?} in /etc/group")))
}

/// Returns the path of a Unix socket, or `@` and its abstract name. Empty if it has neither.
fn name_of(listener: &UnixListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(&address) {
        return Ok(std::format!("@{}", String::from_utf8_lossy(name)));
    }
    Ok(address.as_pathname().map(|path| path.display().to_string()).unwrap_or_default())
}

fn keep_alive() -> TcpKeepalive {
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE_IDLE).with_interval(KEEP_ALIVE_INTERVAL);
    keep_alive.with_retries(KEEP_ALIVE_RETRIES)
}

/// The path of a Unix socket. If this process created the file, dropping this removes it.
#[derive(Debug)]
pub struct SocketFile {
    path: String,
    id: Option<FileId>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have replaced the file.
        if self.id.is_some() && self.id == file_id(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The device and inode numbers of a file.
type FileId = (u64, u64);

fn file_id(path: &str) -> Option<FileId> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Removes the file at `path` if it is a socket on which nothing listens.
fn remove_stale(path: &str) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            // Non-blocking: a server that is too busy to accept still listens.
            let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            probe.set_nonblocking(true)?;
            match probe.connect(&SockAddr::unix(path)?) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_socket_that_does_not_listen_is_refused() {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        let error = OsListener::inherited_tcp(bound.try_clone().expect("a descriptor").into()).expect_err("not yet");
        assert!(error.to_string().contains("does not listen"), "{error}");
        bound.listen(1).expect("it is bound");
        OsListener::inherited_tcp(bound.into()).expect("it listens");
        let (connection, _other) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("sockets");
        let error = OsListener::inherited_unix(connection.into()).expect_err("it is a connection");
        assert!(error.to_string().contains("does not listen"), "{error}");
    }
}
