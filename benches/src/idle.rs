//! The memory that a server needs for each idle connection, on every wire.

use crate::Process;
use crate::samples::float;
use crate::shell::Shell;
use crate::tls::{Client, Keys};
use drupe_core::app::Echo;
use drupe_core::telnet::{ClientSession, TelnetClient};
use drupe_core::tls::Tls;
use drupe_core::wire::{Budget, DecodeBuffer};
use drupe_core::{Config, Listen};
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// The first argument of a process that is a server.
const SERVE: &str = "serve-idle";
/// Connections before the first measurement, so that what the server needs once is not counted.
const FIRST: usize = 50;
/// Connections whose memory is measured together: as many as programs may have by default.
const CONNECTIONS: usize = 900;
/// Round trips on each connection. Negotiations of telnet are over by then.
const ROUND_TRIPS: usize = 8;
const LINE: &[u8] = b"hello\r\n";

/// How clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wire {
    /// Lines of text.
    Lines,
    /// Messages of a WebSocket.
    WebSocket,
    /// Telnet with a terminal that tells its type and its size.
    Telnet,
    /// Lines of text with TLS 1.3.
    Tls,
}

impl Wire {
    /// All wires.
    pub const ALL: [Self; 4] = [Self::Lines, Self::WebSocket, Self::Telnet, Self::Tls];

    /// The name in a table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::WebSocket => "WebSocket",
            Self::Telnet => "telnet",
            Self::Tls => "lines, TLS 1.3",
        }
    }

    fn listen(self, at: SocketAddr, keys: Option<&Keys>) -> Listen {
        let scheme = match self {
            Self::Lines | Self::Tls => "tcp",
            Self::WebSocket => "ws",
            Self::Telnet => "telnet",
        };
        let listen: Listen = format!("{scheme}://{at}").parse().expect("an address");
        listen.tls(keys.filter(|_| self == Self::Tls).map(|keys| Tls::new(keys.server())))
    }
}

/// Serves for ever, if these are the arguments of a process that is a server.
///
/// # Panics
/// If it cannot listen at the address.
pub fn serve_if_asked(arguments: impl IntoIterator<Item = String>) {
    let arguments: Vec<String> = arguments.into_iter().skip(1).collect();
    let [asked, shell, wire, at, keys] = &arguments[..] else { return };
    if asked != SERVE {
        return;
    }
    let shell = Shell::ALL.into_iter().find(|known| known.title() == shell).expect("a shell");
    let wire = Wire::ALL.into_iter().find(|known| known.title() == wire).expect("a wire");
    let keys = Keys::read(Path::new(keys)).expect("they were written");
    let listen = wire.listen(at.parse().expect("an address"), Some(&keys));
    shell.serve(Config::listening([listen]).unlimited(), Echo, |_| {});
}

/// Returns the names of the shells.
pub fn shells() -> impl Iterator<Item = &'static str> {
    Shell::ALL.into_iter().map(Shell::title)
}

/// Returns the memory that a server on a shell needs for each connection, in bytes.
///
/// # Errors
/// If the server does not start, or ends a connection.
///
/// # Panics
/// If the server answers something else than what was sent.
pub fn measure(shell: &str, wire: Wire, keys: &Keys) -> io::Result<f64> {
    let at = crate::processes::free_address();
    let mut command = Command::new(std::env::current_exe()?);
    command.args([SERVE, shell, wire.title(), &at.to_string()]).arg(keys.directory());
    let server = Process::start(command, at)?;
    let client = keys.client(false);
    let connect = |_| Idle::connect(wire, at, &client);
    let _first: Vec<Idle> = (0..FIRST).map(connect).collect::<io::Result<_>>()?;
    let before = server.memory().0;
    let _idle: Vec<Idle> = (0..CONNECTIONS).map(connect).collect::<io::Result<_>>()?;
    let more = usize::try_from(server.memory().0.saturating_sub(before)).unwrap_or(usize::MAX);
    Ok(float(more) / float(CONNECTIONS))
}

/// A connection that stays open, and on which the client sends nothing more.
#[expect(dead_code, reason = "it is only kept open")]
enum Idle {
    Plain(TcpStream),
    Tls(Box<Client>),
}

impl Idle {
    fn connect(wire: Wire, at: SocketAddr, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        if wire == Wire::Tls {
            let mut client = Client::connect(at, tls)?;
            for _ in 0..ROUND_TRIPS {
                client.send(LINE)?;
                client.read(LINE.len() - 1)?;
            }
            return Ok(Self::Tls(Box::new(client)));
        }
        let mut stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        match wire {
            Wire::WebSocket => speak_web_socket(&mut stream)?,
            Wire::Telnet => speak_telnet(&mut stream)?,
            Wire::Lines | Wire::Tls => {
                for _ in 0..ROUND_TRIPS {
                    stream.write_all(LINE)?;
                    read_until(&mut stream, b"hello\n")?;
                }
            }
        }
        Ok(Self::Plain(stream))
    }
}

fn speak_web_socket(stream: &mut TcpStream) -> io::Result<()> {
    // The key and the answer are the examples of RFC 6455, section 1.3.
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    read_until(stream, b"\r\n\r\n")?;
    for _ in 0..ROUND_TRIPS {
        // Masked with zeros.
        stream.write_all(b"\x81\x85\0\0\0\0hello")?;
        read_until(stream, b"\x81\x05hello")?;
    }
    Ok(())
}

fn speak_telnet(stream: &mut TcpStream) -> io::Result<()> {
    let types = "XTERM-256COLOR,XTERM".parse().expect("two types");
    let mut session = ClientSession::new(TelnetClient::default().types(types).size(Some((80, 24))));
    let (mut buffer, budget) = (DecodeBuffer::default(), Budget::default());
    let mut input = [0; 4096];
    for _ in 0..ROUND_TRIPS {
        stream.write_all(LINE)?;
        let mut was_answered = false;
        while !was_answered {
            let length = read_some(stream, &mut input)?;
            let mut used = 0;
            while used < length {
                let decoded = session.decode(&mut input[used..length], &mut buffer, &budget);
                let decoded = decoded.expect("the server speaks telnet");
                was_answered |= matches!(decoded.item, Some(drupe_core::wire::Item::Message(_)));
                used += decoded.used;
            }
            if let Some(replies) = session.replies() {
                stream.write_all(&replies.control)?;
                stream.write_all(&replies.output)?;
            }
        }
    }
    Ok(())
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> io::Result<()> {
    let (mut got, mut input) = (Vec::new(), [0; 4096]);
    while !got.ends_with(end) {
        let length = read_some(stream, &mut input)?;
        got.extend_from_slice(&input[..length]);
    }
    Ok(())
}

fn read_some(stream: &mut TcpStream, input: &mut [u8]) -> io::Result<usize> {
    match stream.read(input)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => Ok(length),
    }
}
