//! A listener, and the options of its protocol.

use super::choices::{
    AccessChoice, AppChoice, ClientsChoice, EndingChoice, FieldChoice, InvalidChoice, ModeChoice, ProtocolName,
};
use super::declare::settings;
use super::limits::PeerSettings;
use super::tunnels::ForwardSettings;
use super::values::{NEVER, timeout};
use crate::settings::paths::{ADDRESS, PATH};
use crate::settings::units::{Maybe, ModeText, NetworkText, Timeout};
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

settings! {
    /// One place to listen at.
    ListenerSettings {
        /// `127.0.0.1:7000` or `[::1]:7000`, `unix:/run/drupe.sock`, `unix:@NAME` for a socket that is no file (on Linux), or
        /// `inherited:NAME` for a socket of systemd. Port 0 lets the system choose. Empty, if there is `forward`.
        #[schemars(extend("format" = ADDRESS))]
        address: String = String::new();
        /// Who may connect to a Unix socket.
        socket: Option<SocketSettings> = None;
        /// Where another machine listens for this one, in place of an address here.
        forward: Option<ForwardSettings> = None;
        /// What is spoken.
        protocol: ProtocolName = ProtocolName::Tcp;
        /// The application.
        app: AppChoice = AppChoice::Chat;
        /// How many connections this listener holds at most.
        connections_max: Maybe<NonZeroU32> = Maybe(None);
        /// What a peer is told first.
        welcome: String = String::new();
        /// What stands before what a peer types, on telnet and lines.
        prompt: String = String::new();
        /// Whether a peer that ended its half is still sent to.
        half_open: bool = false;
        /// Whether warnings and reasons are sent as messages: by default on lines and telnet only.
        notices: Option<bool> = None;
        /// Whether a connection that begins with a request of HTTP is ended, since any page can make a browser send one; for `tcp`,
        /// `telnet`, `length` and `auto`, where it is so by default.
        refuse_http: Option<bool> = None;
        /// How lines are written; for `tcp` and `auto`.
        lines: Option<LineSettings> = None;
        /// How the length is written; for `length`, and for `auto` to speak it at all.
        length: Option<LengthSettings> = None;
        /// How telnet is spoken; for `telnet`, `ws+telnet` and `auto`.
        telnet: Option<TelnetSettings> = None;
        /// How WebSocket is spoken; for `websocket` and `ws+telnet`.
        websocket: Option<WebSocketSettings> = None;
        /// How long `auto` waits for the first bytes before it takes a silent peer for a terminal.
        wait: Option<Timeout> = None;
        /// TLS.
        tls: Option<TlsSettings> = None;
        /// The proxies that speak the PROXY protocol, v1 or v2, to this listener: every connection must.
        proxy_protocol: Option<ProxySettings> = None;
        /// The proxies that say in an HTTP field for whom they speak; for `websocket` and `ws+telnet`.
        forwarded: Option<ForwardedSettings> = None;
        /// The only networks that are let in; all, if there is none.
        allow: Vec<NetworkText> = Vec::new();
        /// Networks that are not let in.
        deny: Vec<NetworkText> = Vec::new();
        /// Limits of this listener's peers; what is not set here is as in `limits.peer`.
        limits: Option<PeerSettings> = None;
    }

    /// Who may connect to a Unix socket: whoever may write to its file.
    SocketSettings {
        /// The permissions of the file, in octal digits; what the umask leaves, if it is not set.
        mode: Option<ModeText> = None;
        /// The group of the file, by name or number; that of the process, if it is empty.
        group: String = String::new();
    }

    /// How lines are written.
    LineSettings {
        /// How lines that are sent end.
        ending: EndingChoice = EndingChoice::Lf;
        /// What happens to text that is not UTF-8.
        invalid: InvalidChoice = InvalidChoice::Reject;
    }

    /// How the length of frames is written.
    LengthSettings {
        /// `u8`, `u16be`, `u16le`, `u32be`, `u32le`, `u64be`, `u64le` or `varint`; with `auto`, `u32be` or `u64be`.
        prefix: String = "u32be".into();
    }

    /// How telnet is spoken.
    TelnetSettings {
        /// Who edits lines.
        mode: ModeChoice = ModeChoice::Line;
        /// The character set until the peer agrees to another: `utf-8`, `iso-8859-1`, `ibm437` or `us-ascii`.
        charset: String = "utf-8".into();
        /// What happens to text that is not in the character set.
        invalid: InvalidChoice = InvalidChoice::Replace;
        /// Whether to ask at once whether the peer speaks telnet.
        probe: bool = true;
        /// Whether GMCP is offered.
        gmcp: bool = false;
        /// Whether MSDP is offered.
        msdp: bool = false;
        /// Whether compression (MCCP2 and 3) is offered.
        compress: bool = false;
        /// After this long without a byte `IAC NOP` is sent.
        keep_alive: Maybe<Timeout> = NEVER;
    }

    /// How WebSocket is spoken.
    WebSocketSettings {
        /// The path of the upgrade; every path, if it is empty.
        path: String = String::new();
        /// Which pages may connect: `same`, `*`, or origins such as `https://example.org`.
        origins: Vec<String> = ["same".into()].into();
        /// The values of `Host` that are served, against DNS rebinding; on a loopback address, its names by default, else all. Health
        /// checks may have any.
        hosts: Option<Vec<String>> = None;
        /// Subprotocols, the preferred one first.
        subprotocols: Vec<String> = Vec::new();
        /// Whether messages may be compressed.
        deflate: bool = true;
        /// After this long without a byte a peer is pinged.
        ping: Maybe<Timeout> = Maybe(Some(timeout(30)));
        /// How long until a request must be complete.
        timeout: Timeout = timeout(10);
        /// Whether the page at `/` is served.
        page: bool = true;
        /// By default everybody where only this machine can connect, on a loopback address or a Unix socket and without a proxy in
        /// front, and nobody elsewhere: who may look at `/metrics`. `credential` needs `monitor.metrics_credential` or
        /// `monitor.credential`.
        metrics: Option<AccessChoice> = None;
        /// Whether `/monitor` is here. It needs `monitor.credential`.
        monitor: bool = false;
    }

    /// TLS.
    TlsSettings {
        /// The certificates. A peer gets the first whose names fit the one it asks for, and else the first.
        certificates: Vec<CertificateSettings> = Vec::new();
        /// Whether peers show certificates, and are known by them.
        clients: ClientsChoice = ClientsChoice::None;
        /// The file with the authorities of their certificates.
        #[schemars(extend("format" = PATH))]
        authorities: String = String::new();
        /// The protocols that are offered (ALPN), the preferred one first; `http/1.1` for WebSocket by default.
        protocols: Option<Vec<String>> = None;
        /// Whether TLS 1.2 is not spoken, only 1.3.
        only_1_3: bool = false;
        /// How long a handshake may take.
        handshake_timeout: Timeout = timeout(10);
    }

    /// One certificate.
    CertificateSettings {
        /// The file with the certificate, and behind it those that lead to its authority (PEM).
        #[schemars(extend("format" = PATH))]
        certificate: String = String::new();
        /// The file with its private key (PEM).
        #[schemars(extend("format" = PATH))]
        key: String = String::new();
    }

    /// Proxies that speak the PROXY protocol.
    ProxySettings {
        /// Where they are. Others are refused.
        trusted: Vec<NetworkText> = Vec::new();
        /// How long the header may take.
        timeout: Timeout = timeout(5);
    }

    /// Proxies that say in an HTTP field for whom they speak.
    ForwardedSettings {
        /// Which field they write.
        field: FieldChoice = FieldChoice::XForwardedFor;
        /// Where they are. Of others the field is not believed.
        trusted: Vec<NetworkText> = Vec::new();
    }
}
