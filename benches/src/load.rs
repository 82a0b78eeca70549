use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The clients of a hub: one sender and many receivers.
#[derive(Debug)]
pub struct Load {
    /// Clients that never read.
    slow: Vec<TcpStream>,
    sender: TcpStream,
    receivers: Receivers,
    line: Vec<u8>,
}

/// The receivers, with their read buffer.
#[derive(Debug)]
pub struct Receivers {
    streams: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl Load {
    /// Connects all clients, and waits until the hub serves them.
    ///
    /// # Panics
    /// If a connection fails.
    #[must_use]
    pub fn new(hub: SocketAddr, receivers: usize, message_bytes: usize) -> Self {
        let connect = || {
            let stream = TcpStream::connect(hub).expect("the hub listens");
            stream.set_nodelay(true).expect("it is TCP");
            stream
        };
        let mut streams: Vec<_> = (0..receivers).map(|_| connect()).collect();
        let mut sender = connect();
        // A receiver that has received a line is served. Peeking leaves the bytes in the socket for
        // `read_until`. Lines are few, because each of them goes to all.
        for stream in &mut streams {
            stream.set_read_timeout(Some(Duration::from_millis(10))).expect("it is TCP");
            let mut line = [0; 2];
            while stream.peek(&mut line).unwrap_or_default() < 2 {
                sender.write_all(b"?\n").expect("the hub reads");
            }
            stream.set_read_timeout(None).expect("it is TCP");
        }
        let mut load = Self {
            slow: Vec::new(),
            sender,
            receivers: Receivers { streams, buffer: vec![0; 1 << 16] },
            line: Vec::new(),
        };
        load.sender.write_all(b"!\n").expect("the hub reads");
        load.receivers.read_until(b'!');
        load.line = [vec![b'x'; message_bytes - 1], vec![b'\n']].concat();
        load
    }

    /// Connects clients that never read.
    ///
    /// # Panics
    /// If a connection fails.
    #[must_use]
    pub fn with_slow(mut self, hub: SocketAddr, count: usize) -> Self {
        self.slow.extend((0..count).map(|_| TcpStream::connect(hub).expect("the hub listens")));
        self
    }

    /// Sends `messages` messages at once. Returns when every receiver has received all of them.
    ///
    /// # Panics
    /// If the hub closes a connection.
    pub fn round(&mut self, messages: usize) {
        let batch = self.line.repeat(messages);
        self.sender.write_all(&batch).expect("the hub reads");
        self.receivers.read(batch.len());
    }
}

impl Receivers {
    fn read(&mut self, bytes: usize) {
        for stream in &mut self.streams {
            let mut left = bytes;
            while left > 0 {
                let most = left.min(self.buffer.len());
                let read = stream.read(&mut self.buffer[..most]).expect("the hub writes");
                assert!(read > 0, "the hub closed a connection");
                left -= read;
            }
        }
    }

    fn read_until(&mut self, mark: u8) {
        for stream in &mut self.streams {
            let mut last = [0, 0];
            while last[0] != mark {
                stream.read_exact(&mut last).expect("the hub writes");
            }
        }
    }
}
