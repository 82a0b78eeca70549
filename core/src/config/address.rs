//! Parsing of listening addresses: scheme, socket address or path, and options.

use crate::config::{Address, Listen, SocketAccess};
use crate::tunnel::{Forward, RemoteBind};
use crate::wire::http::{Access, Http, OriginError, Origins};
use crate::wire::ssh::SshServer;
use crate::wire::telnet::{Charset, Delivery, InputMode, Telnet, TelnetClient};
use crate::wire::{
    Auto, Delimited, Delimiter, InvalidUtf8, LengthPrefix, LengthPrefixed, LineEnding, Lines, Protocol, Raw, RawMode,
    Wire,
};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroU32;
use core::str::FromStr;
use core::time::Duration;

/// The error returned when a listening address cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in the listening address {text:?}: {problem}")]
#[non_exhaustive]
pub struct ListenError {
    /// The whole text of the listening address.
    pub text: String,
    /// The problem with the listening address.
    pub problem: ListenProblem,
}

/// A problem with a listening address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenProblem {
    /// The scheme is missing or unknown.
    #[error("it must begin with tcp://, telnet://, length://, raw://, delimited://, auto://, ws://, ssh:// or unix://")]
    Scheme,
    /// The scheme stands for TLS, which an address cannot configure.
    #[error("TLS needs certificates, which an address can't name: set listeners.NAME.tls in a configuration")]
    Tls,
    /// The address is not an IP address and a port.
    #[error("{0:?} is not an IP address and a port, such as 127.0.0.1:7000 or [::1]:7000")]
    Address(String),
    /// The path or the abstract name of the Unix socket is empty.
    #[error("a Unix socket needs a path, such as unix:///run/drupe.sock")]
    Path,
    /// The scheme or the address does not support this option.
    #[error("{0:?} is not an option of this scheme")]
    Option(String),
    /// An entry of the option `origins` is not a valid origin.
    #[error("{0}")]
    Origin(#[from] OriginError),
    /// The name of the mount is invalid.
    #[error("{0:?} can't be mounted: {1}")]
    Mount(String, &'static str),
    /// The path is invalid: no HTTP request can have it.
    #[error("{0:?} can't be the path of a request: {1}")]
    HttpPath(String, &'static str),
    /// The option does not accept this value.
    #[error("{option} takes {expected}, not {value:?}")]
    Value {
        /// The name of the option.
        option: &'static str,
        /// A description of the accepted values.
        expected: &'static str,
        /// The rejected value.
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
        "tcp" => Listen::new(at(place)?, Wire::default()),
        "telnet" => Listen::new(at(place)?, Wire::Telnet(Telnet::default())),
        "auto" => Listen::new(at(place)?, Protocol::Auto(Auto::default())),
        "length" => Listen::new(at(place)?, Wire::LengthPrefixed(LengthPrefixed::default())),
        "raw" => Listen::new(at(place)?, Wire::Raw(Raw::default())),
        "delimited" => Listen::new(at(place)?, Wire::Delimited(Delimited::default())),
        "ws" => {
            let (place, path) = place.find('/').map_or((place, None), |slash| (&place[..slash], Some(&place[slash..])));
            if let Some(path) = path {
                Http::check_path(path).map_err(|problem| ListenProblem::HttpPath(path.to_string(), problem))?;
            }
            let http = Http { path: path.map(ToString::to_string), ..Http::default() };
            Listen::new(at(place)?, Protocol::Http(Arc::new(http)))
        }
        "ssh" => Listen::new(Address::Tcp(tcp(place)?), Protocol::Ssh(Arc::default())),
        "unix" if place.is_empty() || place == "@" => return Err(ListenProblem::Path),
        "unix" => Listen::new(Address::Unix(place.to_string()), Wire::default()),
        "tls" | "telnets" | "lengths" | "raws" | "delimiteds" | "autos" | "wss" => return Err(ListenProblem::Tls),
        _ => return Err(ListenProblem::Scheme),
    };
    let mut has_metrics = false;
    for (name, value) in self::options(options) {
        set(&mut listen, name, value)?;
        has_metrics |= name == "metrics";
    }
    let metrics = listen.metrics_by_default();
    if let (Protocol::Http(http), false) = (&mut listen.protocol, has_metrics) {
        Arc::make_mut(http).metrics = metrics;
    }
    Ok(listen)
}

/// Parses a TCP address, or `mounted:` and the name of a mount.
fn at(place: &str) -> Result<Address, ListenProblem> {
    let Some(name) = place.strip_prefix("mounted:") else { return tcp(place).map(Address::Tcp) };
    Address::check_mount(name).map_err(|problem| ListenProblem::Mount(name.to_string(), problem))?;
    Ok(Address::Mounted(name.to_string()))
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
        "refuse_http" if !matches!(listen.protocol, Protocol::Http(_) | Protocol::Ssh(_)) => {
            listen.refuses_http = yes_or_no("refuse_http", value)?;
        }
        _ => {
            let is_known = match &mut listen.protocol {
                Protocol::Spoken(wire) => return set_wire(wire, name, value),
                Protocol::Auto(auto) => set_auto(auto, name, value)?,
                Protocol::Http(http) => set_http(Arc::make_mut(http), name, value)?,
                Protocol::Ssh(server) => set_ssh(Arc::make_mut(server), name, value)?,
            };
            if !is_known {
                return Err(ListenProblem::Option(name.to_string()));
            }
        }
    }
    Ok(())
}

/// Sets an option of a wire, for a listener or a dial.
pub(super) fn set_wire(wire: &mut Wire, name: &str, value: &str) -> Result<(), ListenProblem> {
    let is_known = match wire {
        Wire::Lines(lines) => set_lines(lines, name, value)?,
        Wire::LengthPrefixed(frames) if name == "prefix" => {
            frames.prefix = prefix(&LengthPrefix::ALL, value)?;
            true
        }
        Wire::Raw(raw) if name == "mode" => {
            let modes = [RawMode::Bytes, RawMode::Keys].map(|mode| (mode.name(), mode));
            raw.mode = choose("mode", value, "bytes or keys", &modes)?;
            true
        }
        Wire::Delimited(wire) => set_delimited(wire, name, value)?,
        Wire::Telnet(telnet) => set_telnet(telnet, name, value)?,
        Wire::TelnetClient(telnet) => set_telnet_client(telnet, name, value)?,
        _ => false,
    };
    if is_known { Ok(()) } else { Err(ListenProblem::Option(name.to_string())) }
}

/// Splits the options of an address into names and values.
pub(super) fn options(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let options = text.split('&').filter(|option| !option.is_empty());
    options.map(|option| option.split_once('=').unwrap_or((option, "")))
}

/// Replaces a listener's TCP or Unix address by the same address on the far side of `tunnel`.
pub(super) fn forward(listen: &mut Listen, tunnel: &str) -> Result<(), ListenProblem> {
    let bind = match &listen.address {
        Address::Tcp(address) => RemoteBind::Tcp { host: address.ip().to_string(), port: address.port() },
        Address::Unix(path) => RemoteBind::Unix(path.clone()),
        Address::Inherited(_) | Address::Forwarded(_) | Address::Mounted(_) => {
            return Err(ListenProblem::Option("tunnel".to_string()));
        }
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

fn set_delimited(wire: &mut Delimited, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "delimiter" => {
            let parsed = Delimiter::parse(value).and_then(Result::ok);
            wire.delimiter = parsed.ok_or_else(|| wrong("delimiter", "1 to 8 bytes such as %00 or %0D%0A", value))?;
        }
        "invalid" => wire.invalid_utf8 = choose("invalid", value, "reject, replace or bytes", &INVALID_UTF8)?,
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
        "charset" => telnet.charset = charset(value)?,
        "probe" => telnet.probe = yes_or_no("probe", value)?,
        "gmcp" => telnet.gmcp = yes_or_no("gmcp", value)?,
        "msdp" => telnet.msdp = yes_or_no("msdp", value)?,
        "compress" => telnet.compress = yes_or_no("compress", value)?,
        "keep_alive" => telnet.keep_alive = Some(keep_alive(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_telnet_client(telnet: &mut TelnetClient, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "invalid" => telnet.invalid_utf8 = choose("invalid", value, "reject, replace or bytes", &INVALID_UTF8)?,
        "delivery" => {
            let choices = [Delivery::Lines, Delivery::Stream].map(|delivery| (delivery.name(), delivery));
            telnet.delivery = choose("delivery", value, "lines or stream", &choices)?;
        }
        "prompt_after" => {
            let milliseconds: u32 = number("prompt_after", "a number of milliseconds", value)?;
            telnet.prompt_after = Some(Duration::from_millis(milliseconds.into()));
        }
        "charset" => telnet.charset = charset(value)?,
        "terminal" => {
            let expected = "a comma-separated list of terminal types, such as XTERM-256COLOR,XTERM";
            telnet.types = value.parse().map_err(|_| wrong("terminal", expected, value))?;
        }
        "size" => {
            let size =
                value.split_once('x').and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
            telnet.size = Some(size.ok_or_else(|| wrong("size", "columns and rows, such as 80x24", value))?);
        }
        "gmcp" => telnet.gmcp = yes_or_no("gmcp", value)?,
        "msdp" => telnet.msdp = yes_or_no("msdp", value)?,
        "compress" => telnet.compress = yes_or_no("compress", value)?,
        "keep_alive" => telnet.keep_alive = Some(keep_alive(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn charset(value: &str) -> Result<Charset, ListenProblem> {
    let expected = "utf-8, iso-8859-1, ibm437 or us-ascii";
    Charset::named(value).ok_or_else(|| wrong("charset", expected, value))
}

fn keep_alive(value: &str) -> Result<Duration, ListenProblem> {
    let seconds: NonZeroU32 = number("keep_alive", "a number of seconds, at least 1", value)?;
    Ok(Duration::from_secs(seconds.get().into()))
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
        "body_max" => {
            let expected = "a number of bytes, at most 16777216";
            let most = |bytes: &u32| *bytes <= Http::BODY_MAX_BYTES;
            let bytes = value.parse().ok().filter(most).ok_or_else(|| wrong("body_max", expected, value))?;
            http.body_max_bytes = bytes;
        }
        "timeout" => http.timeout = Duration::from_secs(number::<u32>("timeout", "a number of seconds", value)?.into()),
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_ssh(server: &mut SshServer, name: &str, value: &str) -> Result<bool, ListenProblem> {
    match name {
        "host_key" if !value.is_empty() => server.host_key_path = value.to_string(),
        "authorized_keys" if !value.is_empty() => server.authorized_keys_path = Some(value.to_string()),
        "keys" => server.takes_keys = yes_or_no("keys", value)?,
        "passwords" => server.takes_passwords = yes_or_no("passwords", value)?,
        "login" => {
            server.is_open = choose("login", value, "required or none", &[("required", false), ("none", true)])?;
        }
        "mode" => {
            let modes = [InputMode::Character, InputMode::Keys].map(|mode| (mode.name(), mode));
            server.mode = choose("mode", value, "character or keys", &modes)?;
        }
        "login_timeout" => {
            let seconds: u32 = number("login_timeout", "a number of seconds", value)?;
            server.login_timeout = Duration::from_secs(seconds.into());
        }
        "startups_max" => server.startups_max = number("startups_max", "a number of connections", value)?,
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
    fn listen_address_parses_scheme_address_and_options() {
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
        let listen: Listen = "raw://[::1]:7003?mode=keys&refuse_http=no".parse().expect("good");
        assert_eq!(listen.protocol, Wire::Raw(Raw { mode: RawMode::Keys }).into());
        assert_eq!(
            (listen.notices, listen.refuses_http, listen.bound(&listen.address)),
            (false, false, "raw://[::1]:7003".into())
        );
        let listen: Listen = "delimited://[::1]:7004?delimiter=%0d%0a&invalid=bytes".parse().expect("good");
        let delimiter = Delimiter::new(b"\r\n").expect("short");
        let expected = Delimited { delimiter, invalid_utf8: InvalidUtf8::Bytes };
        assert_eq!((&listen.protocol, listen.notices), (&Wire::Delimited(expected).into(), false));
        assert_eq!(listen.bound(&listen.address), "delimited://[::1]:7004");
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
        let listen: Listen = "ws://mounted:chat/room?max=5".parse().expect("good");
        assert_eq!((&listen.address, listen.connections_max), (&Address::Mounted("chat".into()), Some(5)));
        assert_eq!(listen.bound(&listen.address), "ws://mounted:chat/room");
        let Protocol::Http(http) = &listen.protocol else { panic!("{:?}", listen.protocol) };
        assert_eq!((http.path.as_deref(), &http.metrics), (Some("/room"), &Access::Off));
        assert!(!listen.address.needs_socket() && !listen.is_local());
        let listen: Listen = "ws://[::1]:1?body_max=16777216".parse().expect("good");
        let Protocol::Http(http) = &listen.protocol else { panic!("{:?}", listen.protocol) };
        assert_eq!(http.body_max_bytes, 16 << 20);
        let listen: Listen = "unix:///tmp/drupe.sock".parse().expect("good");
        assert_eq!(listen.address, Address::Unix("/tmp/drupe.sock".into()));
        assert_eq!(listen.bound(&listen.address), "unix:///tmp/drupe.sock");
        let listen: Listen = "unix:///tmp/drupe.sock?mode=0660&group=users&max=5".parse().expect("good");
        assert_eq!((listen.socket.mode, listen.socket.group.as_deref()), (Some(0o660), Some("users")));
    }

    #[test]
    fn listen_address_accepts_and_suggests_every_length_prefix() {
        let offered = "length://127.0.0.1:1?prefix=none".parse::<Listen>().expect_err("there is none").to_string();
        for prefix in LengthPrefix::ALL {
            let listen: Listen = format!("length://127.0.0.1:1?prefix={}", prefix.name()).parse().expect("good");
            assert_eq!(listen.protocol, Wire::LengthPrefixed(LengthPrefixed { prefix }).into());
            assert!(offered.contains(prefix.name()), "{offered}");
        }
    }

    #[test]
    fn listen_address_errors_name_the_mistake() {
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
            ("raw://127.0.0.1:1?mode=line", "mode takes bytes or keys, not \"line\""),
            ("raw://127.0.0.1:1?ending=lf", "\"ending\" is not an option of this scheme"),
            ("delimited://127.0.0.1:1?delimiter=", "delimiter takes 1 to 8 bytes such as %00 or %0D%0A, not \"\""),
            ("delimited://127.0.0.1:1?delimiter=%0", "delimiter takes 1 to 8 bytes"),
            ("delimited://127.0.0.1:1?delimiter=123456789", "delimiter takes 1 to 8 bytes"),
            ("delimited://127.0.0.1:1?mode=keys", "\"mode\" is not an option of this scheme"),
            ("auto://127.0.0.1:1?prefix=varint", "prefix takes u32be or u64be"),
            ("auto://127.0.0.1:1?wait=long", "wait takes a number of milliseconds"),
            ("ssh://127.0.0.1:1?login=never", "login takes required or none, not \"never\""),
            ("ssh://mounted:x", "\"mounted:x\" is not an IP address and a port"),
            ("ws://127.0.0.1:1?metrics=credential", "metrics takes open or off"),
            ("ws://127.0.0.1:1?body_max=16777217", "body_max takes a number of bytes, at most 16777216"),
            ("ws://127.0.0.1:1?origins=https://example.org/chat", "write https://example.org"),
            (
                "ws://127.0.0.1:1?origins=same,https://example.org",
                "\"same\" is not an origin: it must be the only entry",
            ),
            ("ws://127.0.0.1:1?refuse_http=no", "\"refuse_http\" is not an option of this scheme"),
            ("ws://127.0.0.1:1/chat#room", "must not contain ? or #"),
            ("ws://mounted:/chat", "\"\" can't be mounted: the name of a mount has"),
            ("tcp://mounted:a/b", "can't be mounted"),
            ("telnet://mounted:lobby?tunnel=edge", "\"tunnel\" is not an option of this scheme"),
            ("tcp://127.0.0.1:1?max=many", "max takes a number of connections, not \"many\""),
        ] {
            let error = text.parse::<Listen>().expect_err(text).to_string();
            assert!(error.contains(words) && error.contains(text), "{error}");
        }
    }
}
