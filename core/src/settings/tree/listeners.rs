//! Settings for a listener and for its protocol.

use super::choices::{
    AccessChoice, AppChoice, ClientsChoice, EndingChoice, FieldChoice, InvalidChoice, ModeChoice, ProtocolName,
};
use super::declare::settings;
use super::limits::PeerSettings;
use super::tunnels::ForwardSettings;
use super::values::{NEVER, timeout};
use crate::settings::formats::{ADDRESS, PATH};
use crate::settings::units::{Maybe, ModeText, NetworkText, Timeout};
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

settings! {
    /// A listener.
    ListenerSettings {
        /// The address to listen on: `127.0.0.1:7000`, `[::1]:7000`, `unix:/run/drupe.sock`,
        /// `unix:@NAME` for an abstract socket (Linux only), or `inherited:NAME` for a socket of
        /// systemd. Port 0 lets the system choose. Empty with `forward`.
        #[schemars(extend("format" = ADDRESS))]
        address: String = String::new();
        /// The permissions of a Unix socket.
        socket: Option<SocketSettings> = None;
        /// An address on the far side of a tunnel, instead of `address`.
        forward: Option<ForwardSettings> = None;
        /// The protocol.
        protocol: ProtocolName = ProtocolName::Tcp;
        /// The application.
        app: AppChoice = AppChoice::Chat;
        /// Maximum number of connections on this listener.
        connections_max: Maybe<NonZeroU32> = Maybe(None);
        /// The first message to each peer.
        welcome: String = String::new();
        /// The prompt for a peer's input, on telnet and lines.
        prompt: String = String::new();
        /// Whether to keep sending to a peer that ended its half of the connection.
        half_open: bool = false;
        /// Whether warnings and reasons are sent as messages; by default on lines and telnet only.
        notices: Option<bool> = None;
        /// Whether to close connections that begin with an HTTP request, because any page can make
        /// a browser send one; for `tcp`, `telnet`, `length` and `auto`. Default: true.
        refuse_http: Option<bool> = None;
        /// The format of lines; for `tcp` and `auto`.
        lines: Option<LineSettings> = None;
        /// The format of the length prefix; for `length` and `auto`. Without it, `auto` does not
        /// detect frames.
        length: Option<LengthSettings> = None;
        /// Telnet options; for `telnet`, `ws+telnet` and `auto`.
        telnet: Option<TelnetSettings> = None;
        /// WebSocket options; for `websocket` and `ws+telnet`.
        websocket: Option<WebSocketSettings> = None;
        /// How long `auto` waits for the first bytes before it treats a silent peer as a terminal.
        wait: Option<Timeout> = None;
        /// TLS.
        tls: Option<TlsSettings> = None;
        /// The proxies that send the PROXY protocol, v1 or v2, to this listener. Every connection
        /// must begin with it.
        proxy_protocol: Option<ProxySettings> = None;
        /// The proxies that report the client's address in an HTTP field; for `websocket` and
        /// `ws+telnet`.
        forwarded: Option<ForwardedSettings> = None;
        /// The only networks whose peers are accepted; if empty, all.
        allow: Vec<NetworkText> = Vec::new();
        /// Networks whose peers are refused.
        deny: Vec<NetworkText> = Vec::new();
        /// Limits for this listener's peers. Keys that are not set here are inherited from
        /// `limits.peer`.
        limits: Option<PeerSettings> = None;
    }

    /// Permissions of a Unix socket. Only processes that may write to its file can connect.
    SocketSettings {
        /// The permissions of the file, in octal digits; if not set, the umask decides.
        mode: Option<ModeText> = None;
        /// The group of the file, by name or number; if empty, the group of the process.
        group: String = String::new();
    }

    /// The format of lines.
    LineSettings {
        /// The ending of sent lines.
        ending: EndingChoice = EndingChoice::Lf;
        /// How to treat text that is not UTF-8.
        invalid: InvalidChoice = InvalidChoice::Reject;
    }

    /// The format of the length prefix.
    LengthSettings {
        /// The prefix: `u8`, `u16be`, `u16le`, `u32be`, `u32le`, `u64be`, `u64le` or `varint`; with
        /// `auto`, `u32be` or `u64be`.
        prefix: String = "u32be".into();
    }

    /// Telnet options.
    TelnetSettings {
        /// Who edits lines.
        mode: ModeChoice = ModeChoice::Line;
        /// The character set until the peer agrees to another: `utf-8`, `iso-8859-1`, `ibm437` or
        /// `us-ascii`.
        charset: String = "utf-8".into();
        /// How to treat text that is not in the character set.
        invalid: InvalidChoice = InvalidChoice::Replace;
        /// Whether to ask at once whether the peer speaks telnet.
        probe: bool = true;
        /// Whether to offer GMCP.
        gmcp: bool = false;
        /// Whether to offer MSDP.
        msdp: bool = false;
        /// Whether to offer compression (MCCP2 and MCCP3).
        compress: bool = false;
        /// Time without a byte after which the server sends `IAC NOP`.
        keep_alive: Maybe<Timeout> = NEVER;
    }

    /// WebSocket options.
    WebSocketSettings {
        /// The path of the WebSocket; every path, if empty.
        path: String = String::new();
        /// Pages that may connect: `same`, `*`, or origins such as `https://example.org`.
        origins: Vec<String> = ["same".into()].into();
        /// Accepted values of `Host`, against DNS rebinding. Default: the names of the loopback
        /// address on a loopback address, otherwise all. Health checks may have any.
        hosts: Option<Vec<String>> = None;
        /// Subprotocols, in order of preference.
        subprotocols: Vec<String> = Vec::new();
        /// Whether to allow compressed messages.
        deflate: bool = true;
        /// Time without a byte after which the server pings a peer.
        ping: Maybe<Timeout> = Maybe(Some(timeout(30)));
        /// Time limit for a complete request.
        timeout: Timeout = timeout(10);
        /// Whether to serve the page at `/`.
        page: bool = true;
        /// Access to `/metrics`. Default: `open` if only this machine can connect (on a loopback
        /// address or a Unix socket, without a proxy in front), otherwise `off`. `credential` needs
        /// `monitor.metrics_credential` or `monitor.credential`.
        metrics: Option<AccessChoice> = None;
        /// Whether to serve `/monitor`. It needs `monitor.credential`.
        monitor: bool = false;
    }

    /// TLS.
    TlsSettings {
        /// The certificates. A peer gets the first one whose names match the name that it requests,
        /// otherwise the first.
        certificates: Vec<CertificateSettings> = Vec::new();
        /// Whether peers present certificates, which then identify them.
        clients: ClientsChoice = ClientsChoice::None;
        /// The file with the authorities of the peers' certificates.
        #[schemars(extend("format" = PATH))]
        authorities: String = String::new();
        /// The offered protocols (ALPN), in order of preference. Default: `http/1.1` for WebSocket,
        /// otherwise none.
        protocols: Option<Vec<String>> = None;
        /// Whether to refuse TLS 1.2 and accept only TLS 1.3.
        only_1_3: bool = false;
        /// Time limit for a handshake.
        handshake_timeout: Timeout = timeout(10);
    }

    /// A certificate.
    CertificateSettings {
        /// The file with the certificate, followed by the intermediate certificates up to its
        /// authority (PEM).
        #[schemars(extend("format" = PATH))]
        certificate: String = String::new();
        /// The file with its private key (PEM).
        #[schemars(extend("format" = PATH))]
        key: String = String::new();
    }

    /// Proxies that send the PROXY protocol.
    ProxySettings {
        /// The networks of the proxies. Peers from other networks are refused.
        trusted: Vec<NetworkText> = Vec::new();
        /// Time limit for the header.
        timeout: Timeout = timeout(5);
    }

    /// Proxies that report the client's address in an HTTP field.
    ForwardedSettings {
        /// The field that the proxies write.
        field: FieldChoice = FieldChoice::XForwardedFor;
        /// The networks of the proxies. From other peers, the field is ignored.
        trusted: Vec<NetworkText> = Vec::new();
    }
}
