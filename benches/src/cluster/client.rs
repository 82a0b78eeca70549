//! Clients of a host: lines over TCP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection to a host.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(host: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 1 << 16] })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Joins a room, and waits until that is confirmed.
    pub(crate) fn join(&mut self, room: &str) -> io::Result<()> {
        self.join_all(std::slice::from_ref(&room))
    }

    /// Joins rooms, and waits until that is confirmed.
    pub(crate) fn join_all(&mut self, rooms: &[impl AsRef<str>]) -> io::Result<()> {
        for room in rooms {
            self.send(format!("j {}\n", room.as_ref()).as_bytes())?;
        }
        self.read_all(b'j', rooms.len() * 2)
    }

    /// Reads this many bytes: lines of nothing but `byte`.
    pub(crate) fn read_all(&mut self, byte: u8, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            let most = bytes.min(self.buffer.len());
            let length = self.stream.read(&mut self.buffer[..most])?;
            let part = &self.buffer[..length];
            if length == 0 || part.iter().any(|&found| found != byte && found != b'\n') {
                let text = String::from_utf8_lossy(part).into_owned();
                return Err(io::Error::other(format!("the host sent something else: {text:?}")));
            }
            bytes -= length;
        }
        Ok(())
    }

    /// Reads what has come, and at least one byte.
    pub(crate) fn read_some(&mut self) -> io::Result<&[u8]> {
        let length = self.stream.read(&mut self.buffer)?;
        Ok(&self.buffer[..length])
    }
}
