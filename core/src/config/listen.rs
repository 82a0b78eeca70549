//! Configuration of a listener: its address, its protocol, and the peers that it admits.

use crate::base::setters;
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

/// The configuration of a listener: its address, its protocol and its options.
///
/// As text:
///
/// | text | meaning |
/// |---|---|
/// | `tcp://127.0.0.1:7000` | lines over TCP |
/// | `telnet://127.0.0.1:8023` | telnet over TCP |
/// | `length://[::1]:7001` | length-prefixed frames over TCP |
/// | `raw://127.0.0.1:7003` | bytes over TCP as they arrive, without messages: see [`Raw`](crate::wire::Raw) |
/// | `delimited://127.0.0.1:7004?delimiter=%00` | messages that end with these bytes, over TCP: see [`Delimited`](crate::wire::Delimited) |
/// | `ws://127.0.0.1:8025/chat` | WebSocket at this path, or at every path if none is given; and [HTTP](crate::http) |
/// | `ssh://127.0.0.1:8022?login=none` | [SSH](crate::wire::ssh), with a session as on telnet in character mode |
/// | `auto://127.0.0.1:7002` | lines, telnet, frames or WebSocket, detected from the peer's [first bytes](crate::wire::Auto) |
/// | `unix:///run/drupe.sock` | lines over a Unix socket |
/// | `unix://@drupe` | the same, with the abstract name `drupe`, which is not a file (Linux only) |
/// | `ws://mounted:chat/chat` | WebSocket over connections that another server of the process [hands over](Address::Mounted); with every scheme but `unix` and `ssh` |
///
/// Port 0 lets the system choose a port. `localhost` means 127.0.0.1; no other name is resolved.
/// Options follow a `?`, separated by `&`:
///
/// | option | for | values (default first) |
/// |---|---|---|
/// | `ending` | lines | `lf`, `crlf`: the ending of sent lines |
/// | `invalid` | lines | `reject`, `replace`, `bytes`: how to treat text that is not UTF-8 |
/// | `mode` | telnet | `line`, `character`, `keys`: see [`InputMode`] |
/// | `invalid` | telnet | `replace`, `reject`, `bytes`: how to treat text that is not in the character set |
/// | `charset` | telnet | `utf-8`, `iso-8859-1`, `ibm437`, `us-ascii`: until the peer agrees to another |
/// | `probe` | telnet | `yes`, `no`: whether to ask at once whether the peer speaks telnet |
/// | `gmcp`, `msdp`, `compress` | telnet | `no`, `yes`: whether to offer it; see [`Telnet`] |
/// | `keep_alive` | telnet | seconds without a byte before `IAC NOP` is sent; never |
/// | `prefix` | frames | `u32be`, `u8`, `u16be`, `u16le`, `u32le`, `u64be`, `u64le`, `varint` |
/// | `mode` | raw | `bytes`, `keys`: whether messages are bytes, or each key of a terminal is a signal |
/// | `delimiter` | delimited | 1 to 8 bytes, in percent-encoding; `%00` |
/// | `invalid` | delimited | `reject`, `replace`, `bytes`: how to treat messages that are not UTF-8 |
/// | `prefix` | auto | `u32be`, `u64be`: also accepts frames with this prefix; none |
/// | `wait` | auto | milliseconds before a silent peer is treated as a terminal; 300 |
/// | `host_key` | ssh | the file of the host key, which is created if it does not exist; `ssh_host_ed25519_key` |
/// | `authorized_keys` | ssh | the file or directory of the keys that may log in: see [`SshServer`]; none |
/// | `keys` | ssh | `no`, `yes`: whether the application decides about other keys: see [`SshServer`] |
/// | `passwords` | ssh | `no`, `yes`: whether users may log in with a password, which the application checks |
/// | `login` | ssh | `required`, `none`: with `none`, everybody is admitted without a login |
/// | `mode` | ssh | `character`, `keys`: see [`InputMode`] |
/// | `login_timeout` | ssh | seconds from the connection to the start of the session; 30 |
/// | `startups_max` | ssh | maximum number of connections that have not logged in; 100 |
/// | `origins` | ws | `same`, `*`, or a list such as `https://example.org,https://example.com`: see [`Origins`] |
/// | `subprotocols` | ws | a list, in order of preference; none |
/// | `deflate` | ws | `yes`, `no`: whether to allow compressed messages |
/// | `ping` | ws | seconds without a byte before a peer is pinged, 0 for never; 30 |
/// | `metrics` | ws | `open` on loopback, else `off`: whether anyone may read `/metrics` |
/// | `timeout` | ws | seconds in which a request must be complete; 10 |
/// | `body_max` | ws | bytes that the body of a request may have, at most 16777216; 0 |
/// | `mode` | unix | the permissions of the socket file, such as `660`; set by the umask |
/// | `group` | unix | the group of the socket file, by name or number; the group of the process |
/// | `tunnel` | all | the name of a [tunnel](crate::tunnel) on whose far side the address is; none |
/// | `max` | all | maximum number of connections on this listener; no limit |
/// | `refuse_http` | all but ws | `yes`, `no`: whether to close connections that begin with an HTTP request; see [`Listen::refuses_http`] |
/// | `half_open` | all | `no`, `yes`: whether to keep sending to a peer that ended its half |
/// | `notices` | all | `yes` (lines, telnet), `no` (all others): whether to send warnings and reasons as messages |
///
/// [`InputMode`]: crate::telnet::InputMode
/// [`Telnet`]: crate::telnet::Telnet
/// [`SshServer`]: crate::wire::ssh::SshServer
/// [`Origins`]: crate::http::Origins
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listen {
    /// The name, for logs and for handlers that serve several listeners. Empty for none.
    pub name: String,
    /// The address to listen on.
    pub address: Address,
    /// Permissions and group of a Unix socket's file.
    pub socket: SocketAccess,
    /// The protocol of the connections: fixed, or detected from their first bytes.
    pub protocol: Protocol,
    /// Maximum number of connections. With 0, the listener refuses all. `None`: no limit.
    pub connections_max: Option<u32>,
    /// Whether to keep sending to a peer that ended its half of the connection.
    ///
    /// If not, the connection ends once what was queued is flushed.
    pub half_open: bool,
    /// Whether warnings, shutdown notices and the closing reason are sent to peers as messages.
    pub notices: bool,
    /// Whether to close connections that begin with an HTTP request, if the protocol is not HTTP.
    ///
    /// Their reason is [`Reason::WrongProtocol`](crate::Reason::WrongProtocol). Nothing of the
    /// request is served. Any web page can make a browser send a request to any port, followed by
    /// lines of the page's choice.
    pub refuses_http: bool,
    /// Limits for peers of this listener. `None`: those of the [`Config`](crate::Config).
    pub limits: Option<PeerLimits>,
    /// Networks whose peers are accepted. Empty: all networks.
    ///
    /// Unix peers have no address and are always accepted.
    pub allow: Vec<Network>,
    /// Networks whose peers are refused.
    pub deny: Vec<Network>,
    /// The proxies that send the PROXY protocol to this listener. `None`: no PROXY protocol.
    pub proxies: Option<Proxies>,
    /// TLS settings. `None`: no TLS.
    pub tls: Option<Tls>,
    /// The name of the application that serves this listener, if the server has several.
    ///
    /// See [`Hub::listen`](crate::Hub::listen).
    pub app: String,
    /// The first message to a peer, sent by [`Greeting`](crate::kit::layer::Greeting).
    ///
    /// Empty for none.
    pub welcome: String,
    /// The prompt for a peer's input, sent by [`Greeting`](crate::kit::layer::Greeting).
    ///
    /// Empty for none.
    pub prompt: String,
}

setters!(Listen {
    name: String,
    address: Address,
    socket: SocketAccess,
    protocol: Protocol,
    connections_max: Option<u32>,
    half_open: bool,
    notices: bool,
    refuses_http: bool,
    limits: Option<PeerLimits>,
    allow: Vec<Network>,
    deny: Vec<Network>,
    proxies: Option<Proxies>,
    tls: Option<Tls>,
    app: String,
    welcome: String,
    prompt: String,
});

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    ///
    /// On Linux, `@` and a name that is not a file (the abstract namespace of `unix(7)`).
    Unix(String),
    /// The name of an inherited listener, for example from systemd (`sd_listen_fds(3)`).
    Inherited(String),
    /// An address on the far side of a [tunnel](crate::tunnel).
    Forwarded(Forward),
    /// The name of a mount, through which another server of this process hands over connections.
    ///
    /// Nothing is bound. A shell's handle to the server (`Remote::mount`) passes the connections.
    Mounted(String),
}

/// Permissions and group of a Unix socket's file.
///
/// Only processes that may write to the file can connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketAccess {
    /// The permissions, such as `0o660`. `None`: set by the umask.
    pub mode: Option<u32>,
    /// The group, by name or number. `None`: the group of the process.
    pub group: Option<String>,
}

setters!(SocketAccess { mode: Option<u32>, group: Option<String> });

impl SocketAccess {
    /// The largest valid mode: all permissions for everyone.
    pub const MODE_MAX: u32 = 0o777;

    /// Parses a mode in octal digits, such as `660` or `0660`.
    #[must_use]
    pub fn parse_mode(text: &str) -> Option<u32> {
        let is_octal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= Self::MODE_MAX)
    }
}

impl Listen {
    /// Creates a listener for lines over TCP, with the default options.
    #[must_use]
    pub fn lines(address: SocketAddr) -> Self {
        Self::new(Address::Tcp(address), Wire::default())
    }

    /// Creates a listener for `protocol` at `address`, with the default options.
    #[must_use]
    pub fn new(address: Address, protocol: impl Into<Protocol>) -> Self {
        let protocol = protocol.into();
        let notices = !matches!(
            protocol,
            Protocol::Spoken(
                Wire::LengthPrefixed(_) | Wire::Raw(_) | Wire::Delimited(_) | Wire::Events(_) | Wire::Custom(_)
            ) | Protocol::Http(_)
        );
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

    /// Returns `true` for a loopback address or a Unix socket, also on the far side of a tunnel.
    ///
    /// Returns `false` for inherited sockets and mounts, whose address is unknown.
    pub(crate) fn is_local(&self) -> bool {
        match &self.address {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Forwarded(forward) => forward.bind.is_local(),
            Address::Unix(_) => true,
            // Only the other server knows who connects to it.
            Address::Inherited(_) | Address::Mounted(_) => false,
        }
    }

    /// Returns `true` if connections are encrypted up to this server, by TLS or SSH.
    #[cfg(feature = "settings")]
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.tls.is_some() || matches!(self.protocol, Protocol::Ssh(_))
    }

    /// Returns `true` if the address is not local, or a proxy may be in front of the listener.
    pub(crate) fn is_reached_by_others(&self) -> bool {
        let is_forwarded = matches!(&self.protocol, Protocol::Http(http) if http.forwarded.is_some());
        !self.is_local() || self.proxies.is_some() || is_forwarded
    }

    /// Returns the default access to `/metrics`: open at a local address without a proxy, else off.
    pub(crate) fn metrics_by_default(&self) -> Access {
        if self.is_reached_by_others() { Access::Off } else { Access::Open }
    }

    /// Returns `true` if the listener is a Unix socket with a file on this machine.
    pub(crate) fn is_socket_file(&self) -> bool {
        matches!(&self.address, Address::Unix(path) if !path.starts_with('@'))
    }

    /// Returns `true` if `peer` is a trusted proxy.
    ///
    /// Limits then apply to the clients that it reports, not to the proxy itself.
    pub(crate) fn trusts(&self, peer: Peer) -> bool {
        let forwarded = match &self.protocol {
            Protocol::Http(http) => http.forwarded.as_ref(),
            _ => None,
        };
        self.proxies.as_ref().is_some_and(|proxies| proxies.trust(peer))
            || forwarded.is_some_and(|forwarded| forwarded.trust(peer))
    }

    /// Returns the scheme, `address`, the path and the tunnel as text, without the other options.
    ///
    /// `address` is the bound address, which has the port that the system chose instead of 0.
    #[must_use]
    pub fn bound(&self, address: &Address) -> String {
        let is_unix = match &self.address {
            Address::Unix(_) => true,
            Address::Forwarded(forward) => matches!(forward.bind, RemoteBind::Unix(_)),
            Address::Tcp(_) | Address::Inherited(_) | Address::Mounted(_) => false,
        };
        let scheme = match (is_unix, &self.protocol, &self.tls) {
            (true, Protocol::Spoken(Wire::Lines(_)), None) => "unix",
            (_, Protocol::Spoken(Wire::LengthPrefixed(_)), None) => "length",
            (_, Protocol::Spoken(Wire::LengthPrefixed(_)), Some(_)) => "lengths",
            (_, Protocol::Spoken(Wire::Lines(_)), None) => "tcp",
            (_, Protocol::Spoken(Wire::Lines(_)), Some(_)) => "tls",
            (_, Protocol::Spoken(Wire::Telnet(_) | Wire::TelnetClient(_)), None) => "telnet",
            (_, Protocol::Spoken(Wire::Telnet(_) | Wire::TelnetClient(_)), Some(_)) => "telnets",
            (_, Protocol::Spoken(Wire::WebSocket(_) | Wire::WsTelnet(_)) | Protocol::Http(_), None) => "ws",
            (_, Protocol::Spoken(Wire::WebSocket(_) | Wire::WsTelnet(_)) | Protocol::Http(_), Some(_)) => "wss",
            (_, Protocol::Spoken(Wire::Raw(_)), None) => "raw",
            (_, Protocol::Spoken(Wire::Raw(_)), Some(_)) => "raws",
            (_, Protocol::Spoken(Wire::Delimited(_)), None) => "delimited",
            (_, Protocol::Spoken(Wire::Delimited(_)), Some(_)) => "delimiteds",
            (_, Protocol::Spoken(Wire::Custom(custom)), _) => custom.name(),
            (_, Protocol::Spoken(Wire::Events(_)), _) => "events",
            (_, Protocol::Ssh(_) | Protocol::Spoken(Wire::Ssh(_)), _) => "ssh",
            (_, Protocol::Auto(_), None) => "auto",
            (_, Protocol::Auto(_), Some(_)) => "autos",
        };
        let path = match &self.protocol {
            Protocol::Http(http) => http.path.as_deref().unwrap_or_default(),
            _ => "",
        };
        let has_own_name = matches!(self.protocol, Protocol::Spoken(Wire::Custom(_) | Wire::Events(_)));
        let over_tls = if has_own_name && self.tls.is_some() { "s" } else { "" };
        let tunnel = address.forward().map(|forward| alloc::format!("?tunnel={}", forward.tunnel)).unwrap_or_default();
        alloc::format!("{scheme}{over_tls}://{address}{path}{tunnel}")
    }
}

impl Address {
    /// Returns the address on the far side of a tunnel, if this is a forwarded address.
    #[must_use]
    pub const fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forwarded(forward) => Some(forward),
            Self::Tcp(_) | Self::Unix(_) | Self::Inherited(_) | Self::Mounted(_) => None,
        }
    }

    /// Returns `true` if a shell must bind or inherit a socket for this address.
    ///
    /// Tunnels and mounts bring their connections themselves.
    #[must_use]
    pub const fn needs_socket(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Inherited(_) => true,
            Self::Forwarded(_) | Self::Mounted(_) => false,
        }
    }

    /// Checks that `name` can be the name of a mount.
    ///
    /// It has 1 to 64 letters, digits, `-`, `_` and `.`, all of them ASCII.
    ///
    /// # Errors
    /// If the name is invalid. The error says which names are valid.
    pub fn check_mount(name: &str) -> Result<(), &'static str> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=MOUNT_NAME_MAX_BYTES).contains(&name.len()) && name.bytes().all(is_part) {
            Ok(())
        } else {
            Err("the name of a mount has 1 to 64 ASCII letters, digits, -, _ or .")
        }
    }
}

/// Maximum length of the name of a mount, in bytes.
const MOUNT_NAME_MAX_BYTES: usize = 64;

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => f.write_str(path),
            Self::Inherited(name) => write!(f, "inherited/{name}"),
            Self::Forwarded(forward) => forward.bind.fmt(f),
            Self::Mounted(name) => write!(f, "mounted:{name}"),
        }
    }
}
