use crate::base::Network;
use crate::base::Peer;
use crate::config::PeerLimits;
use crate::tls::Tls;
use crate::tunnel::{Forward, RemoteBind};
use crate::wire::http::{Access, Http, OriginError, Origins};
use crate::wire::telnet::{Charset, InputMode, Telnet};
use crate::wire::{Auto, InvalidUtf8, LengthPrefix, LengthPrefixed, LineEnding, Lines, Protocol, Proxies, Wire};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroU32;
use core::str::FromStr;
use core::time::Duration;

/// A listener: an address and the protocol that it speaks.
///
/// As text:
///
/// | text | meaning |
/// |---|---|
/// | `tcp://127.0.0.1:7000` | lines over TCP |
/// | `telnet://127.0.0.1:8023` | telnet over TCP |
/// | `length://[::1]:7001` | length-prefixed frames over TCP |
/// | `ws://127.0.0.1:8025/chat` | WebSocket at this path, or at every path if none is given; and [HTTP](crate::http) |
/// | `auto://127.0.0.1:7002` | any of these, detected from the peer's [first bytes](Auto) |
/// | `unix:///run/drupe.sock` | lines over a Unix socket |
/// | `unix://@drupe` | the same, with the abstract name `drupe`, which is not a file (Linux only) |
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
/// | `prefix` | auto | `u32be`, `u64be`: also accepts frames with this prefix; none |
/// | `wait` | auto | milliseconds before a silent peer is treated as a terminal; 300 |
/// | `origins` | ws | `same`, `*`, or a list such as `https://example.org,https://example.com`: see [`Origins`] |
/// | `subprotocols` | ws | a list, in order of preference; none |
/// | `deflate` | ws | `yes`, `no`: whether to allow compressed messages |
/// | `ping` | ws | seconds without a byte before a peer is pinged, 0 for never; 30 |
/// | `metrics` | ws | `open` on loopback, else `off`: whether anyone may read `/metrics` |
/// | `timeout` | ws | seconds in which a request must be complete; 10 |
/// | `mode` | unix | the permissions of the socket file, such as `660`; set by the umask |
/// | `group` | unix | the group of the socket file, by name or number; the group of the process |
/// | `tunnel` | all | the name of a [tunnel](crate::tunnel) on whose far side the address is; none |
/// | `max` | all | maximum number of connections on this listener; no limit |
/// | `refuse_http` | all but ws | `yes`, `no`: whether to close connections that begin with an HTTP request; see [`Listen::refuses_http`] |
/// | `half_open` | all | `no`, `yes`: whether to keep sending to a peer that ended its half |
/// | `notices` | all | `yes` (lines, telnet), `no` (frames, ws): whether to send warnings and reasons as messages |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The name, for logs and for handlers that serve several listeners. Empty for none.
    pub name: String,
    /// The address to listen on.
    pub address: Address,
    /// File permissions of a Unix socket.
    pub socket: SocketAccess,
    /// The protocol, or how to detect it.
    pub protocol: Protocol,
    /// Maximum number of connections. With 0, the listener refuses all. `None`: no limit.
    pub connections_max: Option<u32>,
    /// Whether to keep sending to a peer that ended its half of the connection.
    ///
    /// If not, the connection ends once what was queued is flushed.
    pub half_open: bool,
    /// Whether warnings about limits and the reason of the end are sent to the peer as messages.
    pub notices: bool,
    /// Whether connections end if they begin with an HTTP request, on lines, telnet and frames.
    ///
    /// Their reason is [`Reason::WrongProtocol`](crate::Reason::WrongProtocol). Nothing of the
    /// request is served. Any web page can make a browser send a request to any port, followed by
    /// lines of the page's choice.
    pub refuses_http: bool,
    /// Limits for its peers. `None`: those of the [`Config`](crate::Config).
    pub limits: Option<PeerLimits>,
    /// The only networks whose peers are accepted. Empty: all.
    ///
    /// Unix peers have no address and are always accepted.
    pub allow: Vec<Network>,
    /// Networks whose peers are refused.
    pub deny: Vec<Network>,
    /// The proxies in front of this listener, if any.
    pub proxies: Option<Proxies>,
    /// TLS settings. `None`: no TLS.
    pub tls: Option<Tls>,
    /// The application that serves it, if there are several.
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

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// Permissions of a Unix socket's file. Only processes that may write to the file can connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketAccess {
    /// The permissions, such as `0o660`. `None`: set by the umask.
    pub mode: Option<u32>,
    /// The group, by name or number. `None`: the group of the process.
    pub group: Option<String>,
}

impl SocketAccess {
    /// The largest mode.
    pub const MODE_MAX: u32 = 0o777;

    /// Parses a mode in octal digits, such as `660` or `0660`.
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

    /// Whether only this machine can connect, judging by the address.
    ///
    /// False for inherited sockets, whose address is unknown.
    pub(crate) fn is_local(&self) -> bool {
        match &self.address {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Forwarded(forward) => forward.bind.is_local(),
            Address::Unix(_) => true,
            Address::Inherited(_) => false,
        }
    }

    /// Whether peers on other machines may reach it, possibly through a proxy.
    pub(crate) fn is_reached_by_others(&self) -> bool {
        let is_forwarded = matches!(&self.protocol, Protocol::Http(http) if http.forwarded.is_some());
        !self.is_local() || self.proxies.is_some() || is_forwarded
    }

    /// Default access to `/metrics`: open if only this machine can connect, otherwise off.
    pub(crate) fn metrics_by_default(&self) -> Access {
        if self.is_reached_by_others() { Access::Off } else { Access::Open }
    }

    /// Whether it is a Unix socket with a file on this machine.
    pub(crate) fn is_socket_file(&self) -> bool {
        matches!(&self.address, Address::Unix(path) if !path.starts_with('@'))
    }

    /// Whether a peer is a trusted proxy.
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

    /// The scheme, address and path, without options.
    ///
    /// A port of 0 is replaced by the port that the system chose.
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
    /// The address on the far side of a tunnel, if it is one.
    pub(crate) const fn forward(&self) -> Option<&Forward> {
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

/// Why a listening address could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in the listening address {text:?}: {problem}")]
pub struct ListenError {
    /// The whole address.
    pub text: String,
    /// The problem.
    pub problem: ListenProblem,
}

/// What is wrong with a listening address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenProblem {
    /// The scheme is missing or unknown.
    #[error("it must begin with tcp://, telnet://, length://, auto://, ws:// or unix://")]
    Scheme,
    /// Not an IP address and a port.
    #[error("{0:?} is not an IP address and a port, such as 127.0.0.1:7000 or [::1]:7000")]
    Address(String),
    /// A Unix socket without a path.
    #[error("a Unix socket needs a path, such as unix:///run/drupe.sock")]
    Path,
    /// An option that this scheme does not have.
    #[error("{0:?} is not an option of this scheme")]
    Option(String),
    /// An origin that no page can have.
    #[error("{0}")]
    Origin(#[from] OriginError),
    /// A path that no request can have.
    #[error("{0:?} can't be the path of a request: {1}")]
    HttpPath(String, &'static str),
    /// A value that the option does not accept.
    #[error("{option} takes {expected}, not {value:?}")]
    Value {
        /// The option.
        option: &'static str,
        /// The accepted values.
        expected: &'static str,
        /// The given value.
        value: String,
    },
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        parse(text).map_err(|problem| ListenError { text: text.to_string(), problem })
    }
}

fn parse(text: &str) -> Result<Listen, ListenProblem> {
    let (scheme, rest) = text.split_once("://").ok_or(ListenProblem::Scheme)?;
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let mut listen = match scheme {
        "tcp" => Listen::lines(tcp(place)?),
        "telnet" => Listen::new(Address::Tcp(tcp(place)?), Wire::Telnet(Telnet::default())),
        "auto" => Listen::new(Address::Tcp(tcp(place)?), Protocol::Auto(Auto::default())),
        "length" => Listen::new(Address::Tcp(tcp(place)?), Wire::LengthPrefixed(LengthPrefixed::default())),
        "ws" => {
            let (place, path) = place.find('/').map_or((place, None), |slash| (&place[..slash], Some(&place[slash..])));
            if let Some(path) = path {
                Http::check_path(path).map_err(|problem| ListenProblem::HttpPath(path.to_string(), problem))?;
            }
            let http = Http { path: path.map(ToString::to_string), ..Http::default() };
            Listen::new(Address::Tcp(tcp(place)?), Protocol::Http(Arc::new(http)))
        }
        "unix" if place.is_empty() || place == "@" => return Err(ListenProblem::Path),
        "unix" => Listen::new(Address::Unix(place.to_string()), Wire::default()),
        _ => return Err(ListenProblem::Scheme),
    };
    let mut has_metrics = false;
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        set(&mut listen, name, value)?;
        has_metrics |= name == "metrics";
    }
    let metrics = listen.metrics_by_default();
    if let (Protocol::Http(http), false) = (&mut listen.protocol, has_metrics) {
        Arc::make_mut(http).metrics = metrics;
    }
    Ok(listen)
}

fn tcp(place: &str) -> Result<SocketAddr, ListenProblem> {
    if let Some(port) = place.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    place.parse().map_err(|_| ListenProblem::Address(place.to_string()))
}

fn set(listen: &mut Listen, name: &str, value: &str) -> Result<(), ListenProblem> {
    match name {
        "max" => listen.connections_max = Some(number("max", "a number of connections", value)?),
        "half_open" => listen.half_open = yes_or_no("half_open", value)?,
        "notices" => listen.notices = yes_or_no("notices", value)?,
        "tunnel" => forward(listen, value)?,
        "mode" if listen.is_socket_file() => {
            let mode = SocketAccess::parse_mode(value);
            listen.socket.mode = Some(mode.ok_or_else(|| wrong("mode", "octal digits such as 660", value))?);
        }
        "group" if listen.is_socket_file() && !value.is_empty() => listen.socket.group = Some(value.to_string()),
        "refuse_http" if !matches!(listen.protocol, Protocol::Http(_)) => {
            listen.refuses_http = yes_or_no("refuse_http", value)?;
        }
        _ => {
            let known = match &mut listen.protocol {
                Protocol::Spoken(Wire::Lines(lines)) => set_lines(lines, name, value)?,
                Protocol::Spoken(Wire::LengthPrefixed(frames)) if name == "prefix" => {
                    frames.prefix = prefix(&LengthPrefix::ALL, value)?;
                    true
                }
                Protocol::Spoken(Wire::Telnet(telnet)) => set_telnet(telnet, name, value)?,
                Protocol::Spoken(Wire::LengthPrefixed(_) | Wire::WebSocket(_) | Wire::WsTelnet(_)) => false,
                Protocol::Auto(auto) => set_auto(auto, name, value)?,
                Protocol::Http(http) => set_http(Arc::make_mut(http), name, value)?,
            };
            if !known {
                return Err(ListenProblem::Option(name.to_string()));
            }
        }
    }
    Ok(())
}

/// Moves the listener's address to the far side of a tunnel.
fn forward(listen: &mut Listen, tunnel: &str) -> Result<(), ListenProblem> {
    let bind = match &listen.address {
        Address::Tcp(address) => RemoteBind::Tcp { host: address.ip().to_string(), port: address.port() },
        Address::Unix(path) => RemoteBind::Unix(path.clone()),
        Address::Inherited(_) | Address::Forwarded(_) => return Err(ListenProblem::Option("tunnel".to_string())),
    };
    if tunnel.is_empty() {
        return Err(wrong("tunnel", "the name of a tunnel", tunnel));
    }
    listen.address = Address::Forwarded(Forward { tunnel: tunnel.to_string(), bind });
    Ok(())
}

fn set_lines(lines: &mut Lines, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "ending" => {
            lines.ending =
                choose("ending", value, "lf or crlf", &[("lf", LineEnding::Lf), ("crlf", LineEnding::CrLf)])?;
        }
        "invalid" => lines.invalid_utf8 = choose("invalid", value, "reject, replace or bytes", &INVALID_UTF8)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_telnet(telnet: &mut Telnet, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "invalid" => telnet.invalid_utf8 = choose("invalid", value, "reject, replace or bytes", &INVALID_UTF8)?,
        "mode" => {
            let modes = [InputMode::Line, InputMode::Character, InputMode::Keys].map(|mode| (mode.name(), mode));
            telnet.mode = choose("mode", value, "line, character or keys", &modes)?;
        }
        "charset" => {
            let expected = "utf-8, iso-8859-1, ibm437 or us-ascii";
            telnet.charset = Charset::named(value).ok_or_else(|| wrong("charset", expected, value))?;
        }
        "probe" => telnet.probe = yes_or_no("probe", value)?,
        "gmcp" => telnet.gmcp = yes_or_no("gmcp", value)?,
        "msdp" => telnet.msdp = yes_or_no("msdp", value)?,
        "compress" => telnet.compress = yes_or_no("compress", value)?,
        "keep_alive" => {
            let expected = "a number of seconds, at least 1";
            let seconds: NonZeroU32 = number("keep_alive", expected, value)?;
            telnet.keep_alive = Some(Duration::from_secs(seconds.get().into()));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_auto(auto: &mut Auto, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "prefix" => auto.prefix = Some(prefix(&[LengthPrefix::U32Be, LengthPrefix::U64Be], value)?),
        "wait" => auto.wait = Duration::from_millis(number::<u32>("wait", "a number of milliseconds", value)?.into()),
        // Several protocols may have an option of the same name.
        _ => return Ok(set_lines(&mut auto.lines, name, value)? | set_telnet(&mut auto.telnet, name, value)?),
    }
    Ok(true)
}

fn set_http(http: &mut Http, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "origins" if value == "*" => http.origins = Origins::Any,
        "origins" if value == "same" => http.origins = Origins::Same,
        "origins" => http.origins = Origins::List(value.split(',').map(str::parse).collect::<Result<_, _>>()?),
        "metrics" => {
            let choices = [("open", true), ("off", false)];
            let is_open = choose("metrics", value, "open or off", &choices)?;
            http.metrics = if is_open { Access::Open } else { Access::Off };
        }
        "deflate" => http.deflate = yes_or_no("deflate", value)?,
        "ping" => {
            let seconds: u32 = number("ping", "a number of seconds, 0 for never", value)?;
            http.ping = (seconds > 0).then_some(Duration::from_secs(seconds.into()));
        }
        "subprotocols" => http.subprotocols = value.split(',').map(ToString::to_string).collect(),
        "timeout" => http.timeout = Duration::from_secs(number::<u32>("timeout", "a number of seconds", value)?.into()),
        _ => return Ok(false),
    }
    Ok(true)
}

fn prefix(choices: &[LengthPrefix], value: &str) -> Result<LengthPrefix, ListenProblem> {
    let expected = if choices.len() == LengthPrefix::ALL.len() {
        "u8, u16be, u16le, u32be, u32le, u64be, u64le or varint"
    } else {
        "u32be or u64be"
    };
    let found = choices.iter().find(|prefix| prefix.name() == value);
    found.copied().ok_or_else(|| wrong("prefix", expected, value))
}

fn number<T: FromStr>(option: &'static str, expected: &'static str, value: &str) -> Result<T, ListenProblem> {
    value.parse().map_err(|_| wrong(option, expected, value))
}

fn yes_or_no(option: &'static str, value: &str) -> Result<bool, ListenProblem> {
    choose(option, value, "yes or no", &[("yes", true), ("no", false)])
}

fn wrong(option: &'static str, expected: &'static str, value: &str) -> ListenProblem {
    ListenProblem::Value { option, expected, value: value.to_string() }
}

const INVALID_UTF8: [(&str, InvalidUtf8); 3] =
    [("reject", InvalidUtf8::Reject), ("replace", InvalidUtf8::Replace), ("bytes", InvalidUtf8::Bytes)];

fn choose<T: Copy>(
    option: &'static str,
    value: &str,
    expected: &'static str,
    choices: &[(&str, T)],
) -> Result<T, ListenProblem> {
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|&(_, choice)| choice).ok_or_else(|| wrong(option, expected, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Lines;

    #[test]
    fn what_is_written_is_what_is_meant() {
        let listen: Listen = "tcp://localhost:0?ending=crlf&invalid=bytes&max=5&half_open=yes".parse().expect("good");
        assert_eq!(listen.address, Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!(
            listen.protocol,
            Protocol::Spoken(Wire::Lines(Lines { ending: LineEnding::CrLf, invalid_utf8: InvalidUtf8::Bytes }))
        );
        assert_eq!((listen.connections_max, listen.half_open, listen.notices), (Some(5), true, true));
        let listen: Listen = "length://[::1]:7001?prefix=varint".parse().expect("good");
        assert_eq!(listen.protocol, Wire::LengthPrefixed(LengthPrefixed { prefix: LengthPrefix::Varint }).into());
        assert!(!listen.notices);
        let listen: Listen =
            "telnet://[::1]:23?mode=character&charset=CP437&probe=no&gmcp=yes&keep_alive=30".parse().expect("good");
        let expected = Telnet {
            mode: InputMode::Character,
            charset: Charset::Cp437,
            probe: false,
            gmcp: true,
            keep_alive: Some(Duration::from_secs(30)),
            ..Telnet::default()
        };
        assert_eq!((&listen.protocol, listen.notices), (&Wire::Telnet(expected).into(), true));
        assert_eq!(listen.bound(&listen.address), "telnet://[::1]:23");
        let listen: Listen = "auto://[::1]:1?prefix=u64be&wait=50&ending=crlf&mode=keys".parse().expect("good");
        let Protocol::Auto(auto) = &listen.protocol else { panic!("{:?}", listen.protocol) };
        assert_eq!((auto.prefix, auto.wait), (Some(LengthPrefix::U64Be), Duration::from_millis(50)));
        assert_eq!((auto.lines.ending, auto.telnet.mode), (LineEnding::CrLf, InputMode::Keys));
        assert_eq!(listen.bound(&listen.address), "auto://[::1]:1");
        let listen: Listen = "unix:///tmp/drupe.sock".parse().expect("good");
        assert_eq!(listen.address, Address::Unix("/tmp/drupe.sock".into()));
        assert_eq!(listen.bound(&listen.address), "unix:///tmp/drupe.sock");
        let listen: Listen = "unix:///tmp/drupe.sock?mode=0660&group=users&max=5".parse().expect("good");
        assert_eq!((listen.socket.mode, listen.socket.group.as_deref()), (Some(0o660), Some("users")));
    }

    #[test]
    fn every_prefix_can_be_written_and_is_offered() {
        let offered = "length://127.0.0.1:1?prefix=none".parse::<Listen>().expect_err("there is none").to_string();
        for prefix in LengthPrefix::ALL {
            let listen: Listen = format!("length://127.0.0.1:1?prefix={}", prefix.name()).parse().expect("good");
            assert_eq!(listen.protocol, Wire::LengthPrefixed(LengthPrefixed { prefix }).into());
            assert!(offered.contains(prefix.name()), "{offered}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("127.0.0.1:7000", "must begin with tcp://"),
            ("http://127.0.0.1:7000", "must begin with tcp://"),
            ("tcp://example.org:7000", "\"example.org:7000\" is not an IP address and a port"),
            ("tcp://127.0.0.1", "is not an IP address and a port"),
            ("unix://", "needs a path"),
            ("unix://@", "needs a path"),
            ("unix:///x?mode=888", "mode takes octal digits such as 660, not \"888\""),
            ("unix:///x?mode=7777", "mode takes octal digits"),
            ("unix://@x?mode=600", "\"mode\" is not an option of this scheme"),
            ("tcp://127.0.0.1:1?group=x", "\"group\" is not an option of this scheme"),
            ("tcp://127.0.0.1:1?prefix=u8", "\"prefix\" is not an option of this scheme"),
            ("length://127.0.0.1:1?prefix=u24", "prefix takes u8, u16be"),
            ("telnet://127.0.0.1:1?mode=cooked", "mode takes line, character or keys, not \"cooked\""),
            ("telnet://127.0.0.1:1?charset=ebcdic", "charset takes utf-8, iso-8859-1, ibm437 or us-ascii"),
            ("telnet://127.0.0.1:1?keep_alive=0", "keep_alive takes a number of seconds, at least 1, not \"0\""),
            ("auto://127.0.0.1:1?prefix=varint", "prefix takes u32be or u64be"),
            ("auto://127.0.0.1:1?wait=long", "wait takes a number of milliseconds"),
            ("ws://127.0.0.1:1?metrics=credential", "metrics takes open or off"),
            ("ws://127.0.0.1:1?origins=https://example.org/chat", "write https://example.org"),
            ("ws://127.0.0.1:1?origins=same,https://example.org", "\"same\" can't be an origin: it stands alone"),
            ("ws://127.0.0.1:1?refuse_http=no", "\"refuse_http\" is not an option of this scheme"),
            ("ws://127.0.0.1:1/chat#room", "has neither ? nor #"),
            ("tcp://127.0.0.1:1?max=many", "max takes a number of connections, not \"many\""),
        ] {
            let error = text.parse::<Listen>().expect_err(text).to_string();
            assert!(error.contains(words) && error.contains(text), "{error}");
        }
    }
}
