//! Settings for a listener and for its protocol.

use super::choices::{
    AccessChoice, ClientsChoice, EndingChoice, FieldChoice, InvalidChoice, ModeChoice, ProtocolName, RawChoice,
    SshLoginChoice, SshModeChoice,
};
use super::declare::settings;
use super::limits::PeerSettings;
use super::tunnels::ForwardSettings;
use super::values::{NEVER, timeout};
use crate::settings::formats::{ADDRESS, PATH};
use crate::settings::units::{Maybe, ModeText, NetworkText, Size, Timeout};
use crate::wire::ssh::SshServer;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

settings! {
    /// A listener: an address, a protocol and an application.
    ListenerSettings {
        /// The address to listen on, such as `127.0.0.1:7000` or `[::1]:7000`.
        /// Port 0 lets the system choose. `unix:/run/drupe.sock` is a Unix socket, `unix:@NAME` an
        /// abstract socket (Linux only), `inherited:NAME` a socket of systemd, and
        /// `mounted:NAME` takes connections that the program's own HTTP server hands over. Empty
        /// with `forward`.
        #[schemars(extend("format" = ADDRESS))]
        address: String = String::new();
        /// The permissions and the group of a Unix socket's file.
        socket: Option<SocketSettings> = None;
        /// An address on the far side of a tunnel, instead of `address`.
        forward: Option<ForwardSettings> = None;
        /// The protocol that the listener speaks.
        protocol: ProtocolName = ProtocolName::Tcp;
        /// The application that serves the listener.
        app: String = String::new();
        /// Maximum number of connections on this listener.
        connections_max: Maybe<NonZeroU32> = Maybe(None);
        /// The first message to each peer.
        welcome: String = String::new();
        /// The prompt for a peer's input, on telnet and lines.
        prompt: String = String::new();
        /// Whether to keep sending to a peer that ended its half of the connection.
        half_open: bool = false;
        /// Whether warnings, shutdown notices and closing reasons are sent to peers as messages.
        /// Default: true for `tcp`, `telnet` and `ws+telnet`, and for lines and telnet on `auto`.
        notices: Option<bool> = None;
        /// Whether to close connections that begin with an HTTP request. Default: true.
        /// Any page can make a browser send one. For every protocol that is not HTTP.
        refuse_http: Option<bool> = None;
        /// The format of lines; for `tcp` and `auto`.
        lines: Option<LineSettings> = None;
        /// The format of the length prefix; for `length` and `auto`.
        /// Without it, `auto` does not detect frames.
        length: Option<LengthSettings> = None;
        /// How bytes reach the application; for `raw`.
        raw: Option<RawSettings> = None;
        /// The format of messages; for `delimited`.
        delimited: Option<DelimitedSettings> = None;
        /// The name of a codec that the program has registered; for `custom`.
        codec: String = String::new();
        /// Telnet options; for `telnet`, `ws+telnet` and `auto`.
        telnet: Option<TelnetSettings> = None;
        /// SSH options; for `ssh`.
        ssh: Option<SshSettings> = None;
        /// WebSocket and HTTP options; for `websocket` and `ws+telnet`.
        websocket: Option<WebSocketSettings> = None;
        /// How long `auto` waits for the first bytes before it treats a silent peer as a terminal.
        wait: Option<Timeout> = None;
        /// TLS settings; without them, the listener does not use TLS.
        tls: Option<TlsSettings> = None;
        /// The proxies that send the PROXY protocol, v1 or v2, to this listener.
        /// Every connection must begin with it.
        proxy_protocol: Option<ProxySettings> = None;
        /// The proxies that report the client's address in an HTTP field.
        /// For `websocket` and `ws+telnet`.
        forwarded: Option<ForwardedSettings> = None;
        /// The only networks whose peers are accepted; if empty, all.
        allow: Vec<NetworkText> = Vec::new();
        /// Networks whose peers are refused.
        deny: Vec<NetworkText> = Vec::new();
        /// Limits for this listener's peers.
        /// Keys that are not set here are inherited from `limits.peer`.
        limits: Option<PeerSettings> = None;
    }

    /// Permissions and group of a Unix socket's file.
    /// Only processes that may write to the file can connect.
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
        /// The type of the length prefix. With `auto`, it is `u32be` or `u64be`.
        /// Otherwise it is `u8`, `u16be`, `u16le`, `u32be`, `u32le`, `u64be`, `u64le` or `varint`.
        prefix: String = "u32be".into();
    }

    /// How raw bytes reach the application.
    RawSettings {
        /// Whether the application receives chunks of bytes as they arrive, or single keys.
        mode: RawChoice = RawChoice::Bytes;
    }

    /// The format of delimited messages.
    DelimitedSettings {
        /// The 1 to 8 bytes that end each message.
        /// `%` and two hexadecimal digits stand for a byte, such as `%0D%0A` for CR LF.
        delimiter: String = "%00".into();
        /// How to treat messages that are not UTF-8.
        invalid: InvalidChoice = InvalidChoice::Reject;
    }

    /// Telnet options.
    TelnetSettings {
        /// The input mode: the peer edits lines, the server does, or the application gets each key.
        mode: ModeChoice = ModeChoice::Line;
        /// The character set until the peer agrees to another.
        /// It is `utf-8`, `iso-8859-1`, `ibm437` or `us-ascii`.
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

    /// SSH options.
    SshSettings {
        /// The file of the private host key.
        /// If it does not exist, the server creates an Ed25519 key in it, with mode 0600.
        #[schemars(extend("format" = PATH))]
        host_key: String = SshServer::HOST_KEY_PATH.into();
        /// The public keys that may log in, in the format of OpenSSH's `authorized_keys`.
        /// In a directory, the file `USER` has the keys of that user. In a file, the comment of each
        /// key names its user, up to the first `@`. Options in front of a key are refused. If empty,
        /// the listener accepts no keys.
        #[schemars(extend("format" = PATH))]
        authorized_keys: String = String::new();
        /// Whether the users of `authentication` may log in with their `keys`.
        keys: bool = false;
        /// Whether the users of `authentication` may log in with their passwords.
        passwords: bool = false;
        /// Whether clients must log in. `none` admits everybody, as on a telnet listener.
        login: SshLoginChoice = SshLoginChoice::Required;
        /// The input mode of clients with a terminal: the server edits lines, or the application gets
        /// each key.
        mode: SshModeChoice = SshModeChoice::Character;
        /// Time limit from the connection to the start of the session.
        login_timeout: Timeout = timeout(30);
        /// Maximum number of connections that have not logged in.
        /// From a tenth of it on, further ones are refused at random. One address may have half.
        startups_max: u32 = 100;
        /// Maximum number of failed attempts to authenticate per connection.
        attempts_max: u32 = 6;
    }

    /// WebSocket and HTTP options.
    WebSocketSettings {
        /// The path of the WebSocket; if empty, every path.
        path: String = String::new();
        /// Web pages that may connect: `same`, `*`, or origins such as `https://example.org`.
        origins: Vec<String> = ["same".into()].into();
        /// Accepted values of the HTTP field `Host`, against DNS rebinding.
        /// Default: the names of the loopback address on a loopback address, otherwise all. Health
        /// checks may have any.
        hosts: Option<Vec<String>> = None;
        /// Supported subprotocols, in order of preference.
        subprotocols: Vec<String> = Vec::new();
        /// Whether to allow compressed messages.
        deflate: bool = true;
        /// Time without a byte after which the server pings a peer.
        ping: Maybe<Timeout> = Maybe(Some(timeout(30)));
        /// Time limit for a peer to send a complete HTTP request.
        timeout: Timeout = timeout(10);
        /// Maximum size of the body of a request to the application, at most `16MiB`.
        /// With `0B`, requests with a body are refused.
        /// Default: `1MiB` with `api`, otherwise `0B`.
        body_max: Option<Size> = None;
        /// Whether to serve the page at `/`, which has a WebSocket client.
        page: bool = true;
        /// A folder whose files are served, such as the pages of an application.
        /// It is read at the start and at each reload: at most 1000 files of 512 KiB, 16 MiB in all.
        #[schemars(extend("format" = PATH))]
        files: String = String::new();
        /// Access to `/metrics`.
        /// Default: `open` if only this machine can connect (on a loopback address or a Unix
        /// socket, without a proxy in front), otherwise `off`. `credential` needs
        /// `monitor.metrics_credential` or `monitor.credential`.
        metrics: Option<AccessChoice> = None;
        /// Whether to serve `/monitor`, which shows the connections of all workers.
        /// It needs `monitor.credential`.
        monitor: bool = false;
        /// Whether the application serves its HTTP API below `/api/`. It needs `api.key`.
        api: bool = false;
    }

    /// TLS settings of a listener.
    TlsSettings {
        /// The certificates with their private keys.
        /// A peer gets the first one whose names match the name that it requests, otherwise the
        /// first.
        certificates: Vec<CertificateSettings> = Vec::new();
        /// Whether peers may or must present certificates, which then identify them.
        clients: ClientsChoice = ClientsChoice::None;
        /// The file (PEM) with the CA certificates that verify the peers' certificates.
        #[schemars(extend("format" = PATH))]
        authorities: String = String::new();
        /// The offered protocols (ALPN), in order of preference.
        /// Default: `http/1.1` for WebSocket, otherwise none.
        protocols: Option<Vec<String>> = None;
        /// Whether to refuse TLS 1.2 and accept only TLS 1.3.
        only_1_3: bool = false;
        /// Time limit for a TLS handshake.
        handshake_timeout: Timeout = timeout(10);
    }

    /// A certificate and its private key.
    CertificateSettings {
        /// The file with the certificate (PEM).
        /// The intermediate certificates up to its authority follow it.
        #[schemars(extend("format" = PATH))]
        certificate: String = String::new();
        /// The file with the private key of the certificate (PEM).
        #[schemars(extend("format" = PATH))]
        key: String = String::new();
    }

    /// Proxies that send the PROXY protocol.
    ProxySettings {
        /// The networks of the proxies. Peers from other networks are refused.
        trusted: Vec<NetworkText> = Vec::new();
        /// Time limit for a proxy to send the PROXY header.
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
