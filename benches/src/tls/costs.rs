use super::bare::Work;
use super::client::Client;
use super::{Keys, Running, Server};
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

const LINE_BYTES: usize = 64;
const ECHO_CLIENTS: usize = 50;
const ECHO_ROUNDS: usize = 400;
const RECEIVERS: usize = 100;
/// Lines that the publisher sends at once.
const AT_ONCE: usize = 16;
const FAN_OUT_ROUNDS: usize = 100;
const HANDSHAKES: usize = 400;
const PLAIN: usize = 4_000;
/// The share of the work that is done first, and not measured.
const WARM_UP: usize = 8;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Case {
    /// A line of 64 bytes comes back, on each of 50 connections.
    Echo,
    /// 16 lines of 64 bytes, sent at once, go to 100 receivers.
    FanOut,
    /// A connection with a full handshake, one echo, and its end.
    Full,
    /// The same with a resumed session.
    Resumed,
    /// The same without TLS.
    Plain,
}

impl Case {
    /// All cases.
    pub const ALL: [Self; 5] = [Self::Echo, Self::FanOut, Self::Full, Self::Resumed, Self::Plain];

    /// The name in a table, with what one operation is.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Echo => "an echo",
            Self::FanOut => "a delivery",
            Self::Full => "a connection, full handshake",
            Self::Resumed => "a connection, resumed session",
            Self::Plain => "a connection without TLS",
        }
    }

    /// Returns `true` if a server can be measured.
    #[must_use]
    pub fn is_for(self, server: Server) -> bool {
        server.is_there() && (self != Self::Plain || server != Server::Nginx)
    }

    /// Returns the processor time of a server for one operation, in nanoseconds.
    ///
    /// # Errors
    /// If the server does not serve.
    pub fn measure(self, server: Server, keys: &Keys) -> io::Result<f64> {
        let work = if self == Self::FanOut { Work::Relay } else { Work::Echo };
        let server = server.start(work, Some(keys).filter(|_| self != Self::Plain))?;
        let mut act = match self {
            Self::Echo => Act::Echo(clients(&server, keys, ECHO_CLIENTS)?),
            Self::FanOut => Act::fan_out(clients(&server, keys, RECEIVERS + 1)?)?,
            Self::Full | Self::Resumed => Act::Connect(server.address(), keys.client(self == Self::Resumed)),
            Self::Plain => Act::ConnectPlain(server.address()),
        };
        let rounds = match self {
            Self::Echo => ECHO_ROUNDS,
            Self::FanOut => FAN_OUT_ROUNDS,
            Self::Full | Self::Resumed => HANDSHAKES,
            Self::Plain => PLAIN,
        };
        (0..rounds / WARM_UP).try_for_each(|_| act.round().map(drop))?;
        let before = server.cpu();
        let mut operations = 0;
        for _ in 0..rounds {
            operations += act.round()?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let each = (server.cpu() - before) * 1e9 / operations as f64;
        Ok(each)
    }
}

enum Act {
    Echo(Vec<Client>),
    FanOut(Box<Client>, Vec<Client>),
    Connect(SocketAddr, Arc<ClientConfig>),
    ConnectPlain(SocketAddr),
}

impl Act {
    /// Waits until all receivers are served: they have connected in order, and the last one's line comes to the others.
    fn fan_out(mut clients: Vec<Client>) -> io::Result<Self> {
        let mut last = clients.pop().ok_or(io::ErrorKind::InvalidInput)?;
        last.send(b"?\n")?;
        clients.iter_mut().try_for_each(|client| client.read(2))?;
        Ok(Self::FanOut(last.into(), clients))
    }

    /// Returns the number of operations.
    fn round(&mut self) -> io::Result<usize> {
        match self {
            Self::Echo(clients) => {
                let line = line();
                clients.iter_mut().try_for_each(|client| client.send(&line))?;
                clients.iter_mut().try_for_each(|client| client.read(LINE_BYTES))?;
                Ok(clients.len())
            }
            Self::FanOut(sender, receivers) => {
                sender.send(&line().repeat(AT_ONCE))?;
                receivers.iter_mut().try_for_each(|client| client.read(LINE_BYTES * AT_ONCE))?;
                Ok(receivers.len() * AT_ONCE)
            }
            Self::Connect(at, config) => {
                let mut client = Client::connect(*at, config)?;
                client.send(&line())?;
                client.read(LINE_BYTES)?;
                Ok(1)
            }
            Self::ConnectPlain(at) => {
                let mut stream = TcpStream::connect(*at)?;
                stream.write_all(&line())?;
                stream.read_exact(&mut [0; LINE_BYTES])?;
                Ok(1)
            }
        }
    }
}

fn clients(server: &Running, keys: &Keys, count: usize) -> io::Result<Vec<Client>> {
    let config = keys.client(false);
    (0..count).map(|_| Client::connect(server.address(), &config)).collect()
}

fn line() -> Vec<u8> {
    let mut line = vec![b'x'; LINE_BYTES];
    line[LINE_BYTES - 1] = b'\n';
    line
}
