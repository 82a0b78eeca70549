//! A listener: its address, its protocol, and which peers it admits.

use crate::base::{Network, Peer};
use crate::config::PeerLimits;
use crate::tls::Tls;
use crate::tunnel::{Forward, RemoteBind};
use crate::wire::http::Access;
use crate::wire::{Protocol, Proxies, Wire};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// One place to listen at, and what is spoken there.
///
/// Written as an address:
///
/// | text | meaning |
/// |---|---|
/// | `tcp://127.0.0.1:7000` | lines over TCP |
/// | `telnet://127.0.0.1:8023` | telnet over TCP |
/// | `length://[::1]:7001` | length-prefixed frames over TCP |
/// | `ws://127.0.0.1:8025/chat` | WebSocket, at this path or, without one, at every path; and [HTTP](crate::http) |
/// | `auto://127.0.0.1:7002` | any of these, as the peer's [first bytes](crate::wire::Auto) tell |
/// | `unix:///run/drupe.sock` | lines over a Unix socket |
/// | `unix://@drupe` | the same, of the abstract name `drupe`, which is no file (Linux only) |
///
/// A port of 0 lets the system choose. `localhost` stands for 127.0.0.1; no other name is looked up. After
/// a `?` come options, separated by `&`:
///
/// | option | for | values (default first) |
/// |---|---|---|
/// | `ending` | lines | `lf`, `crlf`: how lines that are sent end |
/// | `invalid` | lines | `reject`, `replace`, `bytes`: what happens to text that is not UTF-8 |
/// | `mode` | telnet | `line`, `character`, `keys`: see [`InputMode`] |
/// | `invalid` | telnet | `replace`, `reject`, `bytes`: what happens to text that is not in the character set |
/// | `charset` | telnet | `utf-8`, `iso-8859-1`, `ibm437`, `us-ascii`: until the peer agrees to another |
/// | `probe` | telnet | `yes`, `no`: whether to ask at once whether the peer speaks telnet |
/// | `gmcp`, `msdp`, `compress` | telnet | `no`, `yes`: whether it is offered; see [`Telnet`] |
/// | `keep_alive` | telnet | seconds without a byte until `IAC NOP` is sent; never |
/// | `prefix` | frames | `u32be`, `u8`, `u16be`, `u16le`, `u32le`, `u64be`, `u64le`, `varint` |
/// | `prefix` | auto | `u32be`, `u64be`: frames are spoken as well; none |
/// | `wait` | auto | milliseconds until a silent peer is taken for a terminal; 300 |
/// | `origins` | ws | `same`, `*`, or a list such as `https://example.org,https://example.com`: see [`Origins`] |
/// | `subprotocols` | ws | a list, the preferred one first; none |
/// | `deflate` | ws | `yes`, `no`: whether messages may be compressed |
/// | `ping` | ws | seconds without a byte until a peer is pinged, 0 for never; 30 |
/// | `metrics` | ws | `open` on loopback, else `off`: whether everybody may look at `/metrics` |
/// | `timeout` | ws | seconds until a request must be complete; 10 |
/// | `mode` | unix | the permissions of the socket's file, such as `660`; what the umask leaves |
/// | `group` | unix | the group of the socket's file, by name or number; that of the process |
/// | `tunnel` | all | the name of a [tunnel](crate::tunnel): the address is on its other side; none |
/// | `max` | all | how many connections this listener holds at most; without limit |
/// | `refuse_http` | all but ws | `yes`, `no`: whether a connection that begins with a request of HTTP is ended; see [`Listen::refuses_http`] |
/// | `half_open` | all | `no`, `yes`: whether a peer that ended its half is still sent to |
/// | `notices` | all | `yes` (lines, telnet), `no` (frames, ws): whether warnings and reasons are sent as messages |
///
/// [`InputMode`]: crate::telnet::InputMode
/// [`Telnet`]: crate::telnet::Telnet
/// [`Origins`]: crate::http::Origins
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What it is called, in logs and by handlers that serve several; empty if it has no name.
    pub name: String,
    /// Where.
    pub address: Address,
    /// Who may connect to a Unix socket.
    pub socket: SocketAccess,
    /// What is spoken, or how that is told.
    pub protocol: Protocol,
    /// How many connections this listener holds at most; with 0 it lets nobody in.
    pub connections_max: Option<u32>,
    /// Whether a peer that ended its half of the connection is still sent to. Without it, what was queued
    /// is flushed and the connection ends.
    pub half_open: bool,
    /// Whether the peer is told about limits and about the reason of its end, as a message of its own.
    pub notices: bool,
    /// Whether a connection that begins with a request of HTTP ends as
    /// [`Reason::WrongProtocol`](crate::Reason::WrongProtocol), before anything of it is served, on lines, telnet and frames. Any page
    /// can make a browser send one to any port, with lines of its choice behind it.
    pub refuses_http: bool,
    /// What holds for its peers; `None` is what the [`Config`](crate::Config) says.
    pub limits: Option<PeerLimits>,
    /// The only networks that are let in; all if there is none. Unix sockets have no address, and are always let in.
    pub allow: Vec<Network>,
    /// Networks that are not let in.
    pub deny: Vec<Network>,
    /// The proxies that it is behind, if it is.
    pub proxies: Option<Proxies>,
    /// TLS, if it is spoken.
    pub tls: Option<Tls>,
    /// Which application it is for, where there are several: see [`Hub::listen`](crate::Hub::listen).
    pub app: String,
    /// What a peer is told first, by [`Greeting`](crate::kit::layer::Greeting); nothing if it is empty.
    pub welcome: String,
    /// What stands before what a peer types, by [`Greeting`](crate::kit::layer::Greeting); nothing if it is empty.
    pub prompt: String,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket; or behind `@`, on Linux, a name that is no file (the abstract namespace of `unix(7)`).
    Unix(String),
    /// A listener that the process was given under this name, as systemd does (`sd_listen_fds(3)`).
    Inherited(String),
    /// A place on the other side of a [tunnel](crate::tunnel).
    Forwarded(Forward),
}

/// Who may connect to a Unix socket: whoever may write to its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketAccess {
    /// The permissions of the file, such as `0o660`; `None` is what the umask leaves.
    pub mode: Option<u32>,
    /// The group of the file, by name or number; `None` is that of the process.
    pub group: Option<String>,
}

impl SocketAccess {
    /// The greatest mode.
    pub const MODE_MAX: u32 = 0o777;

    /// Reads a mode, which is written in octal digits, such as `660` or `0660`.
    #[must_use]
    pub fn parse_mode(text: &str) -> Option<u32> {
        let is_octal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= Self::MODE_MAX)
    }
}

impl Listen {
    /// Lines over TCP, with the defaults of the table above.
    #[must_use]
    pub fn lines(address: SocketAddr) -> Self {
        Self::new(Address::Tcp(address), Wire::default())
    }

    /// `protocol` at `address`, with the defaults of the table above.
    #[must_use]
    pub fn new(address: Address, protocol: impl Into<Protocol>) -> Self {
        let protocol = protocol.into();
        let notices = !matches!(protocol, Protocol::Spoken(Wire::LengthPrefixed(_)) | Protocol::Http(_));
        Self {
            name: String::new(),
            address,
            socket: SocketAccess::default(),
            protocol,
            connections_max: None,
            half_open: false,
            notices,
            refuses_http: true,
            limits: None,
            allow: Vec::new(),
            deny: Vec::new(),
            proxies: None,
            tls: None,
            app: String::new(),
            welcome: String::new(),
            prompt: String::new(),
        }
    }

    /// Whether only this machine can connect, as far as the address tells: a socket that was inherited may be at any.
    pub(crate) fn is_local(&self) -> bool {
        match &self.address {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Forwarded(forward) => forward.bind.is_local(),
            Address::Unix(_) => true,
            Address::Inherited(_) => false,
        }
    }

    /// Whether others than this machine may be served, through a proxy perhaps.
    pub(crate) fn is_reached_by_others(&self) -> bool {
        let is_forwarded = matches!(&self.protocol, Protocol::Http(http) if http.forwarded.is_some());
        !self.is_local() || self.proxies.is_some() || is_forwarded
    }

    /// Who may look at `/metrics` where nobody has said: everybody, where only this machine can connect.
    pub(crate) fn metrics_by_default(&self) -> Access {
        if self.is_reached_by_others() { Access::Off } else { Access::Open }
    }

    /// Whether it is at a Unix socket that has a file here.
    pub(crate) fn is_socket_file(&self) -> bool {
        matches!(&self.address, Address::Unix(path) if !path.starts_with('@'))
    }

    /// Whether a peer is a proxy that is believed whom it speaks for, and does not count itself.
    pub(crate) fn trusts(&self, peer: Peer) -> bool {
        let forwarded = match &self.protocol {
            Protocol::Http(http) => http.forwarded.as_ref(),
            _ => None,
        };
        self.proxies.as_ref().is_some_and(|proxies| proxies.trust(peer))
            || forwarded.is_some_and(|forwarded| forwarded.trust(peer))
    }

    /// The scheme, the address and the path if there is one, without options, with the port the system chose in place of 0.
    #[must_use]
    pub fn bound(&self, address: &Address) -> String {
        let is_unix = match &self.address {
            Address::Unix(_) => true,
            Address::Forwarded(forward) => matches!(forward.bind, RemoteBind::Unix(_)),
            Address::Tcp(_) | Address::Inherited(_) => false,
        };
        let scheme = match (is_unix, &self.protocol, &self.tls) {
            (true, Protocol::Spoken(Wire::Lines(_)), None) => "unix",
            (_, Protocol::Spoken(Wire::LengthPrefixed(_)), None) => "length",
            (_, Protocol::Spoken(Wire::LengthPrefixed(_)), Some(_)) => "lengths",
            (_, Protocol::Spoken(Wire::Lines(_)), None) => "tcp",
            (_, Protocol::Spoken(Wire::Lines(_)), Some(_)) => "tls",
            (_, Protocol::Spoken(Wire::Telnet(_)), None) => "telnet",
            (_, Protocol::Spoken(Wire::Telnet(_)), Some(_)) => "telnets",
            (_, Protocol::Spoken(Wire::WebSocket(_) | Wire::WsTelnet(_)) | Protocol::Http(_), None) => "ws",
            (_, Protocol::Spoken(Wire::WebSocket(_) | Wire::WsTelnet(_)) | Protocol::Http(_), Some(_)) => "wss",
            (_, Protocol::Auto(_), None) => "auto",
            (_, Protocol::Auto(_), Some(_)) => "autos",
        };
        let path = match &self.protocol {
            Protocol::Http(http) => http.path.as_deref().unwrap_or_default(),
            _ => "",
        };
        let tunnel = address.forward().map(|forward| alloc::format!("?tunnel={}", forward.tunnel)).unwrap_or_default();
        alloc::format!("{scheme}://{address}{path}{tunnel}")
    }
}

impl Address {
    /// Where on the other side of a tunnel it is, if it is there.
    #[must_use]
    pub const fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forwarded(forward) => Some(forward),
            Self::Tcp(_) | Self::Unix(_) | Self::Inherited(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => f.write_str(path),
            Self::Inherited(name) => write!(f, "inherited/{name}"),
            Self::Forwarded(forward) => forward.bind.fmt(f),
        }
    }
}
