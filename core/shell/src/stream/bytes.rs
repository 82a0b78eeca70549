use super::connection::{Connection, Disconnected};
use super::path::Action;
use drupe_core::PayloadBuf;

use bytes::Bytes;
use core::fmt;
use std::io;
use std::task::{Context, Poll};

/// Maximum size of one write, and of unsent text on wires of lines, in bytes.
const UNSENT_MAX_BYTES: usize = 16 << 10;

/// The longest line that can be written as one message, in bytes.
const LINE_MAX_BYTES: usize = 1 << 20;

/// A [`Connection`] as a byte stream. The `AsyncRead` and `AsyncWrite` of the shells use it.
///
/// It appends a line feed to each message that it reads, and writes each line as one message,
/// without its line feed. So code that reads and writes lines can serve every wire.
///
/// On a raw wire it changes nothing: the bytes that are read are those of the peer, and the bytes
/// that are written are sent at once.
///
/// On wires of lines, a flush sends text without a line feed, such as a prompt. On other wires it
/// is sent when its line is complete or the stream is closed, and a line has at most 1 MiB.
#[derive(Debug)]
pub struct ByteStream {
    connection: Connection,
    /// Received bytes, of which the first `read` have been read.
    unread: Vec<u8>,
    read: usize,
    unsent: Vec<u8>,
}

impl ByteStream {
    /// Creates a byte stream over a connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection, unread: Vec::new(), read: 0, unsent: Vec::new() }
    }

    /// Returns the wrapped connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Reads into `buffer`. Returns 0 at the end of the input.
    pub fn poll_read(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        if buffer.is_empty() {
            return Poll::Ready(0);
        }
        while self.read == self.unread.len() {
            self.unread.clear();
            self.read = 0;
            match self.connection.poll_receive(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(0),
                Poll::Ready(Some(message)) => {
                    self.unread.extend_from_slice(message.as_payload().as_bytes());
                    self.unread.extend((!self.connection.is_raw()).then_some(b'\n'));
                }
            }
        }
        let unread = &self.unread[self.read..];
        let taken = unread.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&unread[..taken]);
        self.read += taken;
        Poll::Ready(taken)
    }

    /// Writes some of `bytes`, and returns their number. Waits while the peer does not keep up.
    pub fn poll_write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.connection.poll_ready(cx).map_err(broken)?.is_pending() {
            return Poll::Pending;
        }
        let taken = &bytes[..bytes.len().min(UNSENT_MAX_BYTES)];
        if self.connection.is_raw() {
            self.connection.put(Action::Send(payload(taken.to_vec()).into())).map_err(broken)?;
            return Poll::Ready(Ok(taken.len()));
        }
        let mut new = taken;
        while let Some(end) = memchr::memchr(b'\n', new) {
            self.unsent.extend_from_slice(&new[..end]);
            new = &new[end + 1..];
            let mut line = core::mem::take(&mut self.unsent);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.connection.put(Action::Send(payload(line).into())).map_err(broken)?;
        }
        self.unsent.extend_from_slice(new);
        if self.unsent.len() > LINE_MAX_BYTES {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a line of more than a mebibyte")));
        }
        // On a wire of frames, a line is one message, however long.
        if self.unsent.len() > UNSENT_MAX_BYTES && self.connection.has_lines() {
            self.send_rest().map_err(broken)?;
        }
        Poll::Ready(Ok(taken.len()))
    }

    /// Sends the written data, and waits for a slow peer. Wires of frames send only complete lines.
    pub fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.has_lines() {
            self.send_rest().map_err(broken)?;
        }
        self.connection.poll_flush(cx).map_err(broken)
    }

    /// Sends the written data, and closes the connection.
    pub fn poll_close(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.send_rest().is_err() {
            return Poll::Ready(Ok(()));
        }
        match self.connection.poll_flush(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                let _ = self.connection.put(Action::Close);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn send_rest(&mut self) -> Result<(), Disconnected> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let rest = payload(core::mem::take(&mut self.unsent));
        let action = if self.connection.has_lines() { Action::Write(rest) } else { Action::Send(rest.into()) };
        self.connection.put(action)
    }
}

/// Converts bytes to a text payload if they are UTF-8, otherwise to a binary payload.
fn payload(bytes: Vec<u8>) -> PayloadBuf {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => PayloadBuf::Binary(Bytes::from(error.into_bytes())),
    }
}

fn broken(error: Disconnected) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

impl fmt::Display for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.peer().fmt(f)
    }
}
