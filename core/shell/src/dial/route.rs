//! The first step of an attempt: connects a Unix socket, or begins to resolve a host.

use super::{Names, Resolving};
use drupe_core::Dial;

use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::os::unix::net::UnixStream;

/// The first step of a connection attempt.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum Route {
    /// The connection to a Unix socket, non-blocking. The system makes it at once.
    Local(UnixStream),
    /// The addresses of a host, which a [`Race`](super::Race) then tries.
    Network(Resolving),
}

impl Route {
    /// Begins an attempt to connect to the address of a [`Dial`].
    ///
    /// # Errors
    /// If the Unix socket refuses the connection or does not exist, or if its path is invalid or
    /// names another kind of file.
    pub fn begin(names: &Names, address: &str) -> io::Result<Self> {
        match Dial::socket_path(address) {
            Some(path) => connect_local(path).map(Self::Local),
            None => Ok(Self::Network(names.resolve(address))),
        }
    }
}

fn connect_local(path: &str) -> io::Result<UnixStream> {
    if path.is_empty() || path == "@" || path.contains('\0') {
        return Err(invalid("a Unix socket needs a path without NUL, such as unix:///run/drupe.sock".into()));
    }
    let name = match path.strip_prefix('@') {
        Some(name) => abstract_name(name)?,
        None => path.to_owned(),
    };
    let address =
        SockAddr::unix(&name).map_err(|error| invalid(format!("{path:?} can't be a Unix socket: {error}")))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose backlog is full would block.
    socket.set_nonblocking(true)?;
    match socket.connect(&address) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let words = format!("too many connections to {path:?} wait to be accepted");
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, words))
        }
        Err(error) => Err(explain(path, error)),
    }
}

/// Replaces the error for a path that is not a socket, which Linux reports as refused.
fn explain(path: &str, error: io::Error) -> io::Error {
    use std::os::unix::fs::FileTypeExt;
    if path.starts_with('@') {
        return error;
    }
    match std::fs::metadata(path) {
        Ok(found) if !found.file_type().is_socket() => invalid(format!("{path:?} is not a socket")),
        _ => error,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(clippy::unnecessary_wraps, reason = "other systems have no abstract names")]
fn abstract_name(name: &str) -> io::Result<String> {
    Ok(format!("\0{name}"))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &str) -> io::Result<String> {
    Err(invalid("only Linux has abstract sockets: for a file, write ./ before the @".into()))
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drupe_core::Failure;
    use std::os::unix::net::UnixListener;

    fn failure(path: &str) -> Failure {
        match Route::begin(&Names::default(), &format!("unix://{path}")) {
            Ok(_) => panic!("{path} is connected"),
            Err(error) => Failure::from(&error),
        }
    }

    #[test]
    fn failures_of_unix_sockets_map_to_their_kinds() {
        let directory = std::env::temp_dir().join(format!("drupe-route-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let at = |name: &str| directory.join(name).display().to_string();
        std::fs::write(at("file"), "no socket").expect("it is free");
        drop(UnixListener::bind(at("stale")).expect("it is free"));
        for (path, expected) in [
            (at("absent"), Failure::NotFound),
            (at("stale"), Failure::Refused),
            (at("file"), Failure::InvalidAddress),
            (at("file/below"), Failure::Other),
            (directory.display().to_string(), Failure::InvalidAddress),
            (at(&"x".repeat(200)), Failure::InvalidAddress),
            (String::new(), Failure::InvalidAddress),
            ("@".into(), Failure::InvalidAddress),
            ("nul\0".into(), Failure::InvalidAddress),
            ("\0abstract".into(), Failure::InvalidAddress),
        ] {
            assert_eq!(failure(&path), expected, "{path:?}");
        }
        let listener = UnixListener::bind(at("socket")).expect("it is free");
        let route = Route::begin(&Names::default(), &format!("unix://{}", at("socket"))).expect("it listens");
        assert!(matches!(route, Route::Local(_)));
        listener.accept().expect("connected");
        std::fs::remove_dir_all(&directory).expect("it exists");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_backlog_of_a_unix_socket_is_refused_at_once() {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let name = format!("drupe-full-{}", std::process::id());
        socket.bind(&SockAddr::unix(format!("\0{name}")).expect("short")).expect("it is free");
        socket.listen(0).expect("it is bound");
        let begin = || Route::begin(&Names::default(), &format!("unix://@{name}"));
        let mut open = Vec::new();
        let error = loop {
            match begin() {
                Ok(route) => open.push(route),
                Err(error) => break error,
            }
            assert!(open.len() < 10);
        };
        assert_eq!(Failure::from(&error), Failure::Refused);
        assert!(error.to_string().contains("wait"), "{error}");
    }
}
