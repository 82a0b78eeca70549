//! A connection to a host: JSON in frames with a length before each.

use serde_json::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects. Reads return after 50 ms at the latest.
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub(crate) fn send(&mut self, message: &Value) -> io::Result<()> {
        self.send_all(std::slice::from_ref(message))
    }

    pub(crate) fn send_all(&mut self, messages: &[Value]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for message in messages {
            let text = message.to_string();
            bytes.extend_from_slice(&u32::try_from(text.len()).expect("short").to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        self.stream.write_all(&bytes)
    }

    /// Returns the next message. `None`: none came within 50 ms.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Value>> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            let mut chunk = vec![0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self) -> Option<Value> {
        let (head, rest) = self.received.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*head) as usize;
        let message = serde_json::from_slice(rest.get(..length)?).expect("JSON");
        self.received.drain(..4 + length);
        Some(message)
    }
}
