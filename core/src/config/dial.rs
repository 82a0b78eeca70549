use crate::base::{Backoff, setters, socket_path};
use crate::config::address::{options, set_wire};
use crate::config::{ListenProblem, Marks, PeerLimits};
use crate::tls::ClientTls;
use crate::wire::http::OpeningHandshake;
use crate::wire::outgoing_proxy::OutgoingProxy;
use crate::wire::telnet::TelnetClient;
use crate::wire::{Delimited, LengthPrefixed, Raw, Wire};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::str::FromStr;
use core::time::Duration;

/// A request for an outgoing connection: its address, protocol, backoff and time limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dial {
    /// The address: `HOST:PORT`, or `unix://PATH` for a Unix socket.
    ///
    /// The shell resolves the host, and tries all its addresses in one attempt (RFC 8305). On Linux,
    /// `unix://@NAME` is an abstract name. Over a Unix socket, TLS needs
    /// `ClientTls::server_name`, and the `Host` of a WebSocket is `localhost` by default.
    pub address: String,
    /// Further addresses of the same service, at most [`OTHERS_MAX`](Self::OTHERS_MAX).
    ///
    /// If an attempt fails, the next address follows at once. The waits of the backoff begin after
    /// all have failed. Without a backoff, each gets one attempt.
    pub others: Vec<String>,
    /// The order in which the addresses are tried.
    pub order: AddressOrder,
    /// The protocol of the connection.
    pub protocol: DialProtocol,
    /// The waits before further attempts and reconnections. `None`: one attempt, no reconnection.
    pub backoff: Option<Backoff>,
    /// Time limit for each attempt, and again for each handshake after it: proxy, TLS, WebSocket.
    ///
    /// With zero, no attempt succeeds.
    pub timeout: Duration,
    /// The TLS settings. `None`: no TLS.
    ///
    /// Applies to every protocol. An attempt has succeeded once the handshake of TLS, and that of a
    /// WebSocket after it, has. A failed one is a failed attempt, with
    /// [`Failure::TlsHandshake`](crate::Failure::TlsHandshake) if the cause is known.
    ///
    /// An idle connection with TLS holds 9 KB of memory, an incoming one 8 KB; without TLS, 0.4 KB.
    pub tls: Option<ClientTls>,
    /// When TLS begins, if there are TLS settings.
    pub tls_start: TlsStart,
    /// Limits on the server's input, and on the time of the connection.
    ///
    /// `None`: those of [`Config::peer`](crate::Config::peer).
    pub limits: Option<PeerLimits>,
    /// Watermarks of the output queue. `None`: those of [`Config::outbound`](crate::Config::outbound).
    pub marks: Option<Marks>,
    /// Whether to read from the server even while it reads too slowly. Default: `false`.
    ///
    /// Two ends that both stop reading while their output waits block each other until the write
    /// deadline, and brokers disconnect clients that do not read. With `true`, the connection is
    /// read while it is [stalled](crate::Event::Stalled). The application should then send nothing
    /// more until it has [drained](crate::Event::Drained): above [`Marks::max`], the connection ends.
    ///
    /// It is still not read while the application has [paused](crate::Hub::pause) it, while it is
    /// over a [rate](PeerLimits::rates), or while another worker is behind.
    pub always_read: bool,
    /// Whether a drain keeps the dial until everything else has ended. Default: `false`.
    ///
    /// For a link to a broker or a database, which other connections need while they end. In the
    /// drain, the dial still reconnects. It ends once it is [cancelled](crate::Hub::cancel_dial),
    /// once no other connection of its worker is left, or at the [deadline](crate::Drain::deadline).
    pub kept_in_drain: bool,
    /// The proxy that connects to the addresses. `None`: the shell connects to them itself.
    ///
    /// The shell connects to the proxy instead. The machine waits at most `timeout` for the proxy's
    /// answer; then TLS or the protocol begins. TLS and WebSocket use the host of the dialled
    /// address. The peer of the connection is the proxy. Faults of the proxy are reported as
    /// [`Failure::Proxy`](crate::Failure::Proxy).
    ///
    /// Many proxies end both directions when one ends: what the host sends after
    /// [`Hub::finish`](crate::Hub::finish) may be lost.
    ///
    /// With [external](ClientTls::external) TLS, set a proxy in replays only: an embedder that does
    /// TLS itself completes the handshake with the proxy first, with
    /// [`ProxyHandshake`](crate::wire::outgoing_proxy::ProxyHandshake).
    pub proxy: Option<OutgoingProxy>,
}

setters!(Dial {
    address: String,
    others: Vec<String>,
    order: AddressOrder,
    protocol: DialProtocol,
    backoff: Option<Backoff>,
    timeout: Duration,
    tls: Option<ClientTls>,
    tls_start: TlsStart,
    limits: Option<PeerLimits>,
    marks: Option<Marks>,
    always_read: bool,
    kept_in_drain: bool,
    proxy: Option<OutgoingProxy>,
});

/// The order in which a [`Dial`] tries its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressOrder {
    /// As they are listed: the first is preferred, and the others stand by.
    #[default]
    InOrder,
    /// In a new random order each time, so that many clients spread over all servers.
    Random,
}

/// When the TLS of a [`Dial`] begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsStart {
    /// With the first byte.
    #[default]
    AtOnce,
    /// When the application calls [`Hub::begin_tls`](crate::Hub::begin_tls), after the plain part
    /// of the protocol.
    ///
    /// For NATS, SMTP and others. Until then nothing is encrypted or verified.
    WhenAsked,
}

/// The protocol of an outgoing connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialProtocol {
    /// This wire, from the first byte on.
    Spoken(Wire),
    /// WebSocket, after a client handshake.
    WebSocket(Arc<OpeningHandshake>),
}

impl From<Wire> for DialProtocol {
    fn from(wire: Wire) -> Self {
        Self::Spoken(wire)
    }
}

impl Dial {
    /// Maximum number of [`others`](Self::others): 63. Further ones are ignored.
    pub const OTHERS_MAX: usize = 63;

    /// Creates a dial for lines to `address`, which is `HOST:PORT` or `unix://PATH`.
    ///
    /// It makes one attempt of at most 30 s.
    #[must_use]
    pub fn lines(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            others: Vec::new(),
            order: AddressOrder::InOrder,
            protocol: Wire::default().into(),
            backoff: None,
            timeout: Duration::from_secs(30),
            tls: None,
            tls_start: TlsStart::AtOnce,
            limits: None,
            marks: None,
            always_read: false,
            kept_in_drain: false,
            proxy: None,
        }
    }

    /// Creates a dial for the WebSocket at `target`, such as `/` or `/chat?room=a`.
    ///
    /// The address and the attempt are as for [`lines`](Self::lines).
    #[must_use]
    pub fn websocket(address: impl Into<String>, target: impl Into<String>) -> Self {
        let protocol = DialProtocol::WebSocket(Arc::new(OpeningHandshake::new(target)));
        Self { protocol, ..Self::lines(address) }
    }

    /// Returns `true` if a connection begins with TLS.
    pub(crate) fn begins_with_tls(&self) -> bool {
        self.tls.is_some() && self.tls_start == TlsStart::AtOnce
    }

    /// Returns the path of a Unix socket's [address](Self::address), or `None` for another address.
    ///
    /// On Linux, a path that begins with `@` is an abstract name.
    #[must_use]
    pub fn socket_path(address: &str) -> Option<&str> {
        socket_path(address)
    }

    /// Loads TLS settings for a dial whose settings are [pending](ClientTls::pending).
    ///
    /// Does nothing for other dials. A server name that is set already is kept.
    ///
    /// # Errors
    /// That of `load`. The settings are still pending then.
    pub fn fill_tls<E>(&mut self, load: impl FnOnce() -> Result<ClientTls, E>) -> Result<(), E> {
        if let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_pending()) {
            let loaded = load()?;
            let server_name = tls.server_name.take().or_else(|| loaded.server_name.clone());
            *tls = loaded.server_name(server_name);
        }
        Ok(())
    }
}

/// Parses a dial address, such as `tcp://HOST:PORT` or `wss://HOST:PORT/PATH`.
///
/// | scheme | over TLS | protocol |
/// |---|---|---|
/// | `tcp` (the default) | `tls` | lines |
/// | `length` | `lengths` | length-prefixed frames |
/// | `raw` | `raws` | bytes as they arrive |
/// | `delimited` | `delimiteds` | messages that end with a delimiter |
/// | `telnet` | `telnets` | telnet, in the role of the client |
/// | `ws` | `wss` | WebSocket |
/// | `unix` | | lines over a Unix socket |
///
/// A Unix socket is `unix:///run/drupe.sock`, or on Linux `unix://@drupe` for an abstract name. For
/// another protocol or TLS over it, set the [address](Dial::address).
///
/// All but `ws` and `wss` accept the options of [`Listen`](crate::Listen) for their wires, such as
/// `?ending=crlf` and `?prefix=u16be`, but not those of listeners, such as `?max=5`. The query of a
/// `ws` or `wss` address goes to the server. One attempt of at most 30 s.
///
/// `telnet` and `telnets` have the options of [`TelnetClient`]: `delivery=lines` or `stream`,
/// `prompt_after=` milliseconds, `terminal=XTERM-256COLOR,XTERM`, `size=80x24`, and `invalid`,
/// `charset`, `gmcp`, `msdp`, `compress` and `keep_alive` as for listeners. The port has no
/// default; the usual ones are 23 and 992.
///
/// An address cannot name roots, so with TLS the settings are [pending](ClientTls::pending): see
/// [`fill_tls`](Dial::fill_tls). The handles of clients in the shells load those of the operating
/// system, with their feature `client-tls`.
impl FromStr for Dial {
    type Err = DialError;

    fn from_str(text: &str) -> Result<Self, DialError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        if scheme == "unix" {
            return unix(rest);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (address, target) = rest.split_at(end);
        let has_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        if !address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && has_port(port)) {
            return Err(DialError::Address);
        }
        let (scheme, tls) = match scheme {
            "tls" => ("tcp", true),
            "lengths" => ("length", true),
            "raws" => ("raw", true),
            "delimiteds" => ("delimited", true),
            "telnets" => ("telnet", true),
            "wss" => ("ws", true),
            plain => (plain, false),
        };
        let tls = tls.then(ClientTls::pending);
        let mut wire = match scheme {
            "ws" if target.starts_with('/') => return Ok(Self::websocket(address, target).tls(tls)),
            "ws" => return Ok(Self::websocket(address, ["/", target].concat()).tls(tls)),
            "tcp" => Wire::default(),
            "length" => Wire::LengthPrefixed(LengthPrefixed::default()),
            "raw" => Wire::Raw(Raw::default()),
            "delimited" => Wire::Delimited(Delimited::default()),
            "telnet" => Wire::TelnetClient(TelnetClient::default()),
            _ => return Err(DialError::Scheme),
        };
        if target.starts_with('/') {
            return Err(DialError::Address);
        }
        set_options(&mut wire, target.trim_start_matches('?'))?;
        Ok(Self { protocol: wire.into(), ..Self::lines(address) }.tls(tls))
    }
}

/// Parses the path of a Unix socket, and options of lines.
fn unix(rest: &str) -> Result<Dial, DialError> {
    let (path, target) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == "@" {
        return Err(DialError::Path);
    }
    let mut wire = Wire::default();
    set_options(&mut wire, target)?;
    Ok(Dial { protocol: wire.into(), ..Dial::lines(["unix://", path].concat()) })
}

fn set_options(wire: &mut Wire, text: &str) -> Result<(), DialError> {
    for (name, value) in options(text) {
        set_wire(wire, name, value)?;
    }
    Ok(())
}

/// The error returned when a dial address cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The scheme is unknown.
    #[error(
        "an address begins with tcp://, length://, raw://, delimited://, telnet://, ws:// or unix://, or with TLS: tls://, \
         lengths://, raws://, delimiteds://, telnets:// or wss://"
    )]
    Scheme,
    /// The address is not `HOST:PORT`, or has a path where none is allowed.
    #[error("an address is SCHEME://HOST:PORT, with a path for ws:// and wss:// only, and a port from 1 to 65535")]
    Address,
    /// The path or the abstract name of the Unix socket is empty.
    #[error("a Unix socket needs a path, such as unix:///run/drupe.sock")]
    Path,
    /// An option of the wire is invalid.
    #[error("in the options of the address: {0}")]
    Option(#[from] ListenProblem),
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn dial_address_parses_and_errors_name_the_mistake() {
        let dial = |text: &str| text.parse::<Dial>();
        assert_eq!(dial("example.org:7"), Ok(Dial::lines("example.org:7")));
        assert_eq!(dial("tcp://[::1]:7"), Ok(Dial::lines("[::1]:7")));
        assert_eq!(dial("ws://h:80"), Ok(Dial::websocket("h:80", "/")));
        assert_eq!(dial("ws://h:80/chat?x=1"), Ok(Dial::websocket("h:80", "/chat?x=1")));
        assert_eq!(dial("ws://h:80?x=1"), Ok(Dial::websocket("h:80", "/?x=1")));
        let framed = dial("length://h:1?prefix=u16be").expect("good");
        assert_ne!(framed.protocol, dial("length://h:1").expect("good").protocol);
        assert_eq!(dial("raw://h:1").expect("good").protocol, Wire::Raw(crate::wire::Raw::default()).into());
        let delimited = dial("delimited://h:1?delimiter=%01").expect("good");
        assert_ne!(delimited.protocol, dial("delimited://h:1").expect("good").protocol);
        for (text, error) in [
            ("", DialError::Address),
            ("h", DialError::Address),
            ("h:0", DialError::Address),
            (":7", DialError::Address),
            ("tcp://h:99999", DialError::Address),
            ("tcp://h:7/x", DialError::Address),
            ("tls://h:7/x", DialError::Address),
            ("wss://h", DialError::Address),
            ("telnet://h", DialError::Address),
            ("telnet://h:7/x", DialError::Address),
            ("auto://h:7", DialError::Scheme),
            ("TLS://h:7", DialError::Scheme),
        ] {
            assert_eq!(dial(text), Err(error), "{text}");
        }
        assert_eq!(dial("tcp://h:7?"), Ok(Dial::lines("h:7")));
        for address in ["unix:///run/a.sock", "unix://a.sock", "unix://@a", "unix:///a/b:7"] {
            assert_eq!(dial(address), Ok(Dial::lines(address)));
            assert_eq!(Dial::socket_path(address), address.strip_prefix("unix://"));
            let wire = Wire::Lines(crate::wire::Lines::default().ending(crate::wire::LineEnding::CrLf));
            let crlf = dial(&alloc::format!("{address}?ending=crlf"));
            assert_eq!(crlf, Ok(Dial { protocol: wire.into(), ..Dial::lines(address) }));
        }
        assert_eq!(Dial::socket_path("unix:7"), None);
        for text in ["unix://", "unix://@", "unix://?ending=lf"] {
            assert_eq!(dial(text), Err(DialError::Path), "{text}");
        }
        assert!(matches!(dial("unix:///a?prefix=u8"), Err(DialError::Option(ListenProblem::Option(_)))));
        let is_none = |name: &str| Err(DialError::Option(ListenProblem::Option(name.into())));
        for name in ["colour", "max", "half_open", "notices", "tunnel", "refuse_http", "mode"] {
            assert_eq!(dial(&alloc::format!("tcp://h:7?ending=lf&{name}=no")), is_none(name));
        }
        assert!(matches!(dial("tcp://h:7?ending=cr"), Err(DialError::Option(ListenProblem::Value { .. }))));
    }

    #[test]
    fn telnet_address_configures_the_client() {
        let wire = |options: &str| alloc::format!("telnet://h:23?{options}").parse::<Dial>().map(|dial| dial.protocol);
        let expected = TelnetClient::default()
            .delivery(crate::wire::telnet::Delivery::Stream)
            .prompt_after(Some(Duration::ZERO))
            .types("DRUPE,XTERM".parse().expect("well formed"))
            .size(Some((132, 43)))
            .charset(crate::wire::telnet::Charset::Cp437)
            .invalid_utf8(crate::wire::InvalidUtf8::Bytes)
            .gmcp(true)
            .msdp(true)
            .compress(true)
            .keep_alive(Some(Duration::from_secs(30)));
        let options = "delivery=stream&prompt_after=0&terminal=DRUPE,XTERM&size=132x43&charset=ibm437&invalid=bytes\
                       &gmcp=yes&msdp=yes&compress=yes&keep_alive=30";
        assert_eq!(wire(options), Ok(Wire::TelnetClient(expected).into()));
        assert_eq!(wire(""), Ok(Wire::TelnetClient(TelnetClient::default()).into()));
        for (option, words) in [
            ("mode=line", "\"mode\" is not an option of this scheme"),
            ("probe=no", "\"probe\" is not an option of this scheme"),
            ("delivery=keys", "delivery takes lines or stream, not \"keys\""),
            ("prompt_after=soon", "prompt_after takes a number of milliseconds, not \"soon\""),
            ("terminal=,", "terminal takes a comma-separated list of terminal types"),
            ("size=80", "size takes columns and rows, such as 80x24, not \"80\""),
            ("size=80x70000", "size takes columns and rows"),
            ("keep_alive=0", "keep_alive takes a number of seconds, at least 1, not \"0\""),
        ] {
            let error = wire(option).expect_err(option);
            assert!(alloc::string::ToString::to_string(&error).contains(words), "{error}");
        }
    }

    #[test]
    fn schemes_of_tls_are_the_plain_ones_with_pending_settings() {
        for (secure, plain) in [
            ("tls://h:7", "tcp://h:7"),
            ("tls://[::1]:7?ending=crlf", "tcp://[::1]:7?ending=crlf"),
            ("lengths://h:7?prefix=u16be", "length://h:7?prefix=u16be"),
            ("raws://h:7", "raw://h:7"),
            ("delimiteds://h:7?delimiter=%01", "delimited://h:7?delimiter=%01"),
            ("telnets://h:992?terminal=ansi", "telnet://h:992?terminal=ansi"),
            ("wss://h:443/chat?x=1", "ws://h:443/chat?x=1"),
        ] {
            let (secure, plain): (Dial, Dial) = (secure.parse().expect(secure), plain.parse().expect(plain));
            assert!(secure.tls.as_ref().is_some_and(ClientTls::is_pending) && plain.tls.is_none(), "{plain:?}");
            assert_eq!(secure, plain.tls(Some(ClientTls::pending())));
        }
    }

    #[test]
    fn only_pending_settings_are_filled() {
        let mut plain = Dial::lines("h:7");
        assert_eq!(plain.fill_tls(|| Err("loaded")), Ok(()));
        assert_eq!(plain, Dial::lines("h:7"));
        let named = ClientTls::pending().server_name(Some("example.org".into()));
        let mut dial = Dial::lines("h:7").tls(Some(named.clone()));
        assert_eq!(dial.fill_tls(|| Err("no roots")), Err("no roots"));
        assert_eq!(dial.tls, Some(named));
        assert_eq!(dial.fill_tls(|| Ok::<_, ()>(ClientTls::external())), Ok(()));
        let filled = Some(ClientTls::external().server_name(Some("example.org".into())));
        assert_eq!(dial.tls, filled);
        assert_eq!(dial.fill_tls(|| Err("loaded again")), Ok(()));
        assert_eq!(dial.tls, filled);
    }
}
