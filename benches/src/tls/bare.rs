//! Echo and relay on a bare epoll loop with rustls, as a reference.
//!
//! Each turn writes to a connection with one record and one call. A connection whose socket is full is closed, so clients
//! must read.

use crate::bare::{accept, listen, wait};
use rustls::{ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// What a server does with the lines of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It sends them back.
    Echo,
    /// It sends them to all other connections.
    Relay,
}

impl Work {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Relay => "relay",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        if name == Self::Echo.name() { Self::Echo } else { Self::Relay }
    }
}

struct Connection {
    stream: TcpStream,
    /// `None`: without TLS.
    tls: Option<ServerConnection>,
    partial: Vec<u8>,
    /// The part of the turn's batch that this connection sent itself.
    own: Range<usize>,
}

/// Serves for ever.
pub(super) fn serve(at: SocketAddr, work: Work, tls: Option<&Arc<ServerConfig>>) -> io::Result<()> {
    let (listener, epoll, mut ready) = listen(at)?;
    let mut connections = BTreeMap::<i32, Connection>::new();
    let (mut scratch, mut batch) = (vec![0; 1 << 16], Vec::new());
    loop {
        batch.clear();
        for fd in wait(epoll, &mut ready) {
            if fd == listener.as_raw_fd() {
                while let Some(stream) = accept(&listener, epoll)? {
                    let connection = Connection::new(stream, tls.cloned())?;
                    connections.insert(connection.stream.as_raw_fd(), connection);
                }
            } else if let Some(connection) = connections.get_mut(&fd) {
                let before = batch.len();
                let is_good = connection.read(&mut scratch, &mut batch).is_ok();
                let is_written = work == Work::Relay || connection.write(&[&batch[before..]]).is_ok();
                if !(is_good && is_written) {
                    connections.remove(&fd);
                }
            }
        }
        if work == Work::Relay && !batch.is_empty() {
            connections.retain(|_, connection| {
                let own = core::mem::take(&mut connection.own);
                connection.write(&[&batch[..own.start], &batch[own.end..]]).is_ok()
            });
        }
    }
}

impl Connection {
    fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?;
        Ok(Self { stream, tls, partial: Vec::new(), own: 0..0 })
    }

    /// Appends whole lines to the batch.
    fn read(&mut self, scratch: &mut [u8], batch: &mut Vec<u8>) -> io::Result<()> {
        let start = batch.len();
        let Self { stream, tls, .. } = self;
        let length = match tls {
            None => stream.read(scratch)?,
            Some(tls) => {
                if tls.read_tls(stream)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                let most = state.plaintext_bytes_to_read().min(scratch.len());
                tls.reader().read_exact(&mut scratch[..most])?;
                if most == 0 {
                    return self.flush();
                }
                most
            }
        };
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = scratch[..length].iter().rposition(|&byte| byte == b'\n').map_or(0, |place| place + 1);
        if end > 0 {
            batch.append(&mut self.partial);
            batch.extend_from_slice(&scratch[..end]);
        }
        self.partial.extend_from_slice(&scratch[end..length]);
        self.own = start..batch.len();
        Ok(())
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if parts.iter().all(|part| part.is_empty()) {
            return Ok(());
        }
        let bytes = parts.concat();
        match &mut self.tls {
            None => self.stream.write_all(&bytes),
            Some(tls) if tls.is_handshaking() => Ok(()),
            Some(tls) => {
                tls.writer().write_all(&bytes)?;
                self.flush()
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}
