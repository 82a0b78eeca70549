//! What can be configured. The documentation of each field is what templates and the schema say of it.

use super::paths::{ADDRESS, PATH};
use super::secret::Secret;
use super::units::{Maybe, ModeText, NetworkText, RateText, Size, Span, Timeout};
use crate::app::AppName;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! settings {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr;)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    )*};
}

macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// As it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    )*};
}

const fn secs(secs: u64) -> Span {
    Span(Duration::from_secs(secs))
}

const fn timeout(secs: u64) -> Timeout {
    Timeout(Duration::from_secs(secs))
}

const NEVER: Maybe<Timeout> = Maybe(None);

/// A count that is not zero.
const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

choices! {
    /// What the server is for, which its defaults follow.
    Profile {
        /// For a machine of one's own.
        #[default]
        Development = "development",
        /// For the internet.
        Production = "production",
        /// For test suites.
        Testing = "testing",
    }
    /// What is spoken at a listener.
    ProtocolName {
        /// Lines over TCP.
        #[default]
        Tcp = "tcp",
        /// Telnet.
        Telnet = "telnet",
        /// WebSocket, and HTTP around it.
        WebSocket = "websocket",
        /// Telnet in the messages of a WebSocket.
        WsTelnet = "ws+telnet",
        /// Frames that begin with their length.
        Length = "length",
        /// Any of these, as the first bytes tell.
        Auto = "auto",
    }
    /// One of the ready-made applications.
    AppChoice {
        /// Names and rooms.
        #[default]
        Chat = "chat",
        /// Every message to everybody else.
        Relay = "relay",
        /// Every message back.
        Echo = "echo",
    }
    /// What the relay puts each message into.
    EnvelopeChoice {
        /// Nothing.
        #[default]
        None = "none",
        /// An object with the sender's address.
        Json = "json",
    }
    /// How lines that are sent end.
    EndingChoice {
        /// LF.
        #[default]
        Lf = "lf",
        /// CR LF.
        CrLf = "crlf",
    }
    /// What happens to text that is not in its character set.
    InvalidChoice {
        /// The connection ends.
        Reject = "reject",
        /// What can't be read is replaced.
        #[default]
        Replace = "replace",
        /// It is bytes then.
        Bytes = "bytes",
    }
    /// How input arrives over telnet.
    ModeChoice {
        /// The peer edits lines.
        #[default]
        Line = "line",
        /// The server edits lines.
        Character = "character",
        /// Each key is a message.
        Keys = "keys",
    }
    /// Who may look at an endpoint.
    AccessChoice {
        /// Whoever can connect.
        #[default]
        Open = "open",
        /// Whoever has its credential.
        Credential = "credential",
        /// Nobody.
        Off = "off",
    }
    /// Whether peers show certificates.
    ClientsChoice {
        /// They are not asked.
        #[default]
        None = "none",
        /// They may.
        Optional = "optional",
        /// They must.
        Required = "required",
    }
    /// Where proxies write for whom they speak.
    FieldChoice {
        /// `X-Forwarded-For`.
        #[default]
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }
    /// What happens to messages of a room that a slow member can't take.
    SlowChoice {
        /// The member is closed.
        #[default]
        Close = "close",
        /// The oldest that wait are skipped.
        SkipOldest = "skip_oldest",
        /// The new one is skipped.
        SkipNewest = "skip_newest",
        /// All that wait are skipped but the new one.
        KeepLatest = "keep_latest",
    }
    /// What happens when a user is connected already.
    DuplicateChoice {
        /// Both stay.
        #[default]
        KeepBoth = "keep_both",
        /// The new connection is refused.
        RefuseNew = "refuse_new",
        /// The old ones end.
        ReplaceOld = "replace_old",
    }
    /// How much is logged.
    LevelChoice {
        /// Nothing.
        Off = "off",
        /// What failed.
        Error = "error",
        /// What may need somebody.
        Warn = "warn",
        /// What happens.
        #[default]
        Info = "info",
        /// What may help to find a fault.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
    /// How log lines are written.
    FormatChoice {
        /// For people.
        #[default]
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
    /// When a log file is begun anew.
    RotationChoice {
        /// Never.
        Never = "never",
        /// Each hour, UTC.
        Hourly = "hourly",
        /// Each day, UTC.
        #[default]
        Daily = "daily",
    }
}

settings! {
    /// Everything that can be configured.
    Settings {
        /// What the server is for: the defaults of everything else follow from it.
        profile: Profile = Profile::Development;
        /// How many threads serve, 1 to 255. The chat runs on one.
        workers: NonZeroU8 = NonZeroU8::MIN;
        /// What the relay puts each message into.
        envelope: EnvelopeChoice = EnvelopeChoice::None;
        /// Where the server listens, by a name of your choice: letters, digits and `_`.
        listeners: BTreeMap<String, ListenerSettings> = BTreeMap::new();
        /// SSH connections to servers that listen for this one, by a name of your choice: letters, digits and `_`.
        tunnels: BTreeMap<String, TunnelSettings> = BTreeMap::new();
        /// How many connections, and what one may send. A listener can have its own.
        limits: LimitSettings = LimitSettings::default();
        /// What may wait for one connection, and how slow it may be.
        outbound: OutboundSettings = OutboundSettings::default();
        /// Addresses that are refused for a while.
        quarantine: QuarantineSettings = QuarantineSettings::default();
        /// Rooms.
        rooms: RoomSettings = RoomSettings::default();
        /// How a connection ends.
        closing: ClosingSettings = ClosingSettings::default();
        /// How the server ends.
        drain: DrainSettings = DrainSettings::default();
        /// Who may come in.
        authentication: AuthenticationSettings = AuthenticationSettings::default();
        /// The page and the API that show who is connected.
        monitor: MonitorSettings = MonitorSettings::default();
        /// What is logged, how and where.
        log: LogSettings = LogSettings::default();
    }

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

    /// A place on the other side of a tunnel.
    ForwardSettings {
        /// The name of the tunnel.
        tunnel: String = String::new();
        /// The address that the SSH server is to listen at: `localhost` for 127.0.0.1 and, where it can be had, `::1`; `*` for all of
        /// IPv4 and, where they can be had, of IPv6; or one of its own. It needs `GatewayPorts clientspecified` there to be anything
        /// but `localhost`.
        remote_bind_host: String = "localhost".into();
        /// The port; 0 lets the SSH server choose, and the log says which.
        remote_bind_port: u16 = 0;
        /// The path of a Unix socket there, in place of a port.
        remote_bind_path: String = String::new();
    }

    /// An SSH connection.
    TunnelSettings {
        /// The SSH server: a name or an address.
        ssh_host: String = String::new();
        /// Its port.
        ssh_port: u16 = 22;
        /// The user there.
        ssh_user: String = String::new();
        /// The file of the private key, as OpenSSH writes it (Ed25519 or ECDSA); the keys of an agent, if it is empty. A
        /// certificate is found beside it, as `KEY-cert.pub`.
        #[schemars(extend("format" = PATH))]
        ssh_key_path: String = String::new();
        /// What the private key is encrypted with.
        ssh_key_passphrase: Secret = Secret::default();
        /// A file whose first line is what the private key is encrypted with.
        #[schemars(extend("format" = PATH))]
        ssh_key_passphrase_file: String = String::new();
        /// The file of a certificate that is elsewhere.
        #[schemars(extend("format" = PATH))]
        ssh_certificate_path: String = String::new();
        /// The socket of the agent; that of `SSH_AUTH_SOCK`, if it is empty.
        #[schemars(extend("format" = PATH))]
        ssh_agent_socket: String = String::new();
        /// Whether a key file that others may read is refused.
        check_key_permissions: bool = true;
        /// The files of known host keys.
        #[schemars(extend("format" = PATH))]
        known_hosts: Vec<String> = ["~/.ssh/known_hosts".into()].into();
        /// Whether a host that none of them knows is accepted once, and added to the first.
        accept_new: bool = false;
        /// Hosts to go through, each `[USER@]HOST[:PORT]`, the nearest first.
        proxy_jump: Vec<String> = Vec::new();
        /// How long it may take to connect, hosts on the way included.
        connect_timeout: Span = secs(30);
        /// How often the server is asked whether it is there.
        keep_alive_interval: Span = secs(15);
        /// How many questions may stay without an answer.
        keep_alive_count_max: u32 = 3;
        /// When it is tried again.
        reconnect: ReconnectSettings = ReconnectSettings::default();
        /// How long a goodbye may take.
        close_timeout: Span = secs(5);
        /// How many bytes one connection may be ahead of what is served; who sends more is closed.
        ahead_max: Size = Size(16 << 20);
    }

    /// When a tunnel is tried again.
    ReconnectSettings {
        /// How many attempts there are in a row.
        attempts: Maybe<u32> = Maybe(None);
        /// How long to wait after the first failure.
        backoff: Span = secs(1);
        /// What each further wait is multiplied by.
        factor: u8 = 2;
        /// The longest wait.
        cap: Span = secs(60);
        /// How much of a wait is left to chance, so that many do not come back at once.
        jitter_percent: u8 = 50;
        /// A connection that was up for this long was good: the next failure is the first again. With 0s each is.
        stable_after: Span = secs(30);
        /// How long to wait after a failure that somebody must do something about, such as a key that is refused.
        refused_wait: Span = secs(300);
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

    /// What one peer may do.
    PeerSettings {
        /// The longest message, 1 byte to 1 GiB.
        message_max: Size = Size(64 << 10);
        /// How long a message may take from its first byte to its last.
        message_deadline: Timeout = timeout(60);
        /// How many messages of one connection are served before others have their turn.
        messages_per_turn: NonZeroU32 = count(1024);
        /// How many messages a peer may send.
        messages: Maybe<RateText> = Maybe(RateText::new(1_000, 1, 2_000));
        /// How many bytes a peer may send.
        bytes: Maybe<RateText> = Maybe(RateText::new(4 << 20, 1, 8 << 20));
        /// What happens to who is faster, by how often they were.
        ladder: LadderSettings = LadderSettings::default();
        /// A peer without a message for this long is closed.
        idle: Maybe<Timeout> = NEVER;
        /// How long before that it is told.
        idle_warning: Maybe<Timeout> = NEVER;
        /// A peer without a byte for this long is closed: more than the ping of WebSocket and the `keep_alive` of telnet.
        silence: Maybe<Timeout> = NEVER;
        /// A connection that is this old is closed, whatever it does.
        lifetime: Maybe<Timeout> = NEVER;
    }

    /// What happens to who is too fast: each step from so many strikes on.
    LadderSettings {
        /// The peer is told.
        warn: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// It is read no faster than it may send.
        pause: Maybe<NonZeroU32> = Maybe(Some(NonZeroU32::MIN));
        /// What is too much is discarded.
        drop: Maybe<NonZeroU32> = Maybe(None);
        /// The connection is closed.
        close: Maybe<NonZeroU32> = Maybe(None);
        /// It is closed and its address refused for a while.
        quarantine: Maybe<NonZeroU32> = Maybe(None);
        /// After this long without a strike the count starts anew.
        forgive_after: Timeout = timeout(60);
    }

    /// How many connections, and what one may send.
    LimitSettings {
        /// Limits per address, networks, early drops and rates are counted and not enforced.
        dry_run: bool = false;
        /// How many connections in all.
        connections_max: NonZeroU32 = count(10_000);
        /// How many from one address: an IPv4 address or an IPv6 /64.
        connections_per_address_max: NonZeroU32 = count(256);
        /// How many new ones from one address in a time.
        arrivals_per_address: Maybe<RateText> = Maybe(None);
        /// Networks that these limits, early drops and quarantine do not hold for.
        exempt: Vec<NetworkText> = Vec::new();
        /// New connections are refused by chance while many have not authenticated.
        early_drop: Maybe<EarlyDropSettings> = Maybe(None);
        /// How long a listener rests after the process ran out of descriptors or memory.
        accept_backoff: Timeout = Timeout(Duration::from_millis(500));
        /// What one peer may do.
        peer: PeerSettings = PeerSettings::default();
        /// Requests in progress elsewhere, for one connection; with 0 there are none.
        tickets_per_connection_max: u32 = 64;
        /// Requests in progress elsewhere, in all; with 0 there are none.
        tickets_max: u32 = 16_384;
    }

    /// When new connections are refused by chance.
    EarlyDropSettings {
        /// None is below so many that have not authenticated.
        begin: u32 = 500;
        /// Everybody is from so many on.
        full: u32 = 1_000;
    }

    /// What may wait for one connection, and how slow it may be.
    OutboundSettings {
        /// At this much or less a stalled peer is read again.
        low: Size = Size(64 << 10);
        /// Above this much a peer is no longer read.
        high: Size = Size(256 << 10);
        /// The most that waits for a peer; what is more is for the policy.
        max: Size = Size(1 << 20);
        /// How long a socket that is full may take for what waits, besides the time for its length.
        write_deadline: Timeout = timeout(30);
        /// The lowest rate that a peer may read at, per second.
        drain_min: Size = Size(4 << 10);
        /// What happens to messages of rooms that a slow member can't take.
        slow_policy: SlowChoice = SlowChoice::Close;
    }

    /// Addresses that are refused for a while.
    QuarantineSettings {
        /// For how long.
        cool_down: Timeout = timeout(300);
        /// How many are remembered; with 0 nobody is refused.
        addresses_max: u32 = 10_000;
    }

    /// Rooms.
    RoomSettings {
        /// How many in all, on each worker.
        rooms_max: NonZeroU32 = count(10_000);
        /// How many one connection may be in.
        per_connection_max: NonZeroU32 = count(100);
        /// The longest name.
        name_max: Size = Size(128);
    }

    /// How a connection ends.
    ClosingSettings {
        /// How long what waits may take to be written; with 0s what the socket does not take at once is dropped.
        flush: Span = secs(5);
        /// How long the peer may take to close its half; with 0s it is not waited for.
        linger: Span = secs(2);
        /// How much is read and discarded meanwhile; with 0B a peer that still sends is cut off.
        discard_max: Size = Size(1 << 20);
    }

    /// How the server ends.
    DrainSettings {
        /// How long it accepts while it says that it is not ready; with 0s it stops at once.
        grace: Span = Span(Duration::ZERO);
        /// The longest time that closes are spread over; with 0s all are closed at once. At most `deadline`.
        window: Span = secs(5);
        /// How many closes a second are enough.
        closes_per_second: NonZeroU32 = count(500);
        /// After this long what is left is dropped; with 0s at once.
        deadline: Span = secs(10);
        /// After which time peers are told to come back.
        retry_after: Maybe<Span> = Maybe(None);
    }

    /// Who may come in.
    AuthenticationSettings {
        /// Whether nobody is let in who has not shown who they are.
        enabled: bool = false;
        /// The users, by name.
        users: BTreeMap<String, UserSettings> = BTreeMap::new();
        /// A password that lets everybody in, under whatever name they give.
        shared_password: Secret = Secret::default();
        /// A file whose first line is that password.
        #[schemars(extend("format" = PATH))]
        shared_password_file: String = String::new();
        /// That password as `drupe password` hashes it.
        shared_password_hash: Secret = Secret::default();
        /// Tokens (JSON Web Tokens, RFC 7519).
        tokens: Option<TokenSettings> = None;
        /// Whether a token may stand in the query of a WebSocket's address, where logs keep it.
        token_in_query: bool = false;
        /// Whether people on telnet and lines are asked for name and password, where those do not cross a network in the clear.
        dialogue: bool = false;
        /// Whether passwords may cross a network without TLS.
        allow_plaintext: bool = false;
        /// What happens when a user is connected already, to whichever worker.
        duplicates: DuplicateChoice = DuplicateChoice::KeepBoth;
        /// How long a peer may take to show who it is.
        deadline: Timeout = timeout(30);
        /// After so many wrong proofs a connection ends.
        tries: NonZeroU32 = count(3);
        /// How many wrong proofs an address has, with all workers together.
        failures_per_address: Option<RateText> = RateText::new(5, 300, 5);
        /// How many wrong proofs a user has, from all addresses but those where the user was right before.
        failures_per_user: Option<RateText> = RateText::new(50, 300, 50);
        /// How often passwords are hashed (PBKDF2), 4,096 or more.
        iterations: u32 = 10_000;
    }

    /// A user.
    UserSettings {
        /// The password.
        password: Secret = Secret::default();
        /// A file whose first line is the password.
        #[schemars(extend("format" = PATH))]
        password_file: String = String::new();
        /// The password as `drupe password` hashes it, in place of the password itself: `SCRAM-SHA-256$...` (RFC 5803).
        password_hash: Secret = Secret::default();
        /// What the user may do, where the application asks: `chat`, `relay` and `echo` are open to all who are let in. Without scopes
        /// a user may do nothing that needs one.
        scopes: Vec<String> = Vec::new();
    }

    /// Tokens. Either `hs256_secret` or `ed25519_public`.
    TokenSettings {
        /// The secret of HS256, at least 32 bytes.
        hs256_secret: Secret = Secret::default();
        /// A file whose first line is that secret.
        #[schemars(extend("format" = PATH))]
        hs256_secret_file: String = String::new();
        /// The public key of EdDSA (Ed25519), 32 bytes in hexadecimal digits.
        ed25519_public: String = String::new();
        /// Tokens of any other issuer are refused.
        issuer: String = String::new();
        /// Tokens for anybody else are refused.
        audience: String = String::new();
        /// What clocks may differ by, at most 5m.
        leeway: Span = Span(Duration::ZERO);
        /// Each token is accepted once, also after a reload, and so many are remembered until they expire.
        single_use_max: Maybe<NonZeroU32> = Maybe(None);
    }

    /// The page and the API that show who is connected.
    MonitorSettings {
        /// What opens it: as the password of HTTP's Basic authentication, or as a bearer token. At least 16 characters.
        credential: Secret = Secret::default();
        /// A file whose first line is the credential.
        #[schemars(extend("format" = PATH))]
        credential_file: String = String::new();
        /// What opens `/metrics` where `websocket.metrics` is `credential`, and nothing else; `credential` if it is empty. At least 16
        /// characters.
        metrics_credential: Secret = Secret::default();
        /// A file whose first line is that credential.
        #[schemars(extend("format" = PATH))]
        metrics_credential_file: String = String::new();
        /// How many may look at a time.
        watchers_max: NonZeroU32 = count(16);
        /// How often the table is sent.
        interval: Span = secs(1);
        /// Whether those who look may close connections, refuse addresses and drain the server.
        may_act: bool = true;
        /// Whether those who look may see what is said on one connection. Passwords and tokens are not shown.
        may_watch: bool = true;
    }

    /// What is logged, how and where.
    LogSettings {
        /// How much.
        level: LevelChoice = LevelChoice::Info;
        /// How much of single parts, by name: `connections`, `messages`, `operation`, `monitor`.
        targets: BTreeMap<String, LevelChoice> = BTreeMap::new();
        /// How lines are written.
        format: FormatChoice = FormatChoice::Human;
        /// How many lines of one kind are written; of what is more, how many there were. Lines that `level` and `targets` keep
        /// out do not count.
        repeats: Maybe<RateText> = Maybe(RateText::new(600, 60, 600));
        /// Where; to the standard error, if there is none.
        file: Option<LogFileSettings> = None;
    }

    /// A log file.
    LogFileSettings {
        /// The directory, which must be there.
        #[schemars(extend("format" = PATH))]
        directory: String = String::new();
        /// What the names of files begin with.
        prefix: String = "drupe".into();
        /// When a new one is begun. By size none is: for that, `never` and logrotate(8) with `copytruncate`.
        rotation: RotationChoice = RotationChoice::Daily;
        /// How many are kept.
        keep: u32 = 7;
    }
}

impl From<AppName> for AppChoice {
    fn from(app: AppName) -> Self {
        match app {
            AppName::Chat => Self::Chat,
            AppName::Relay => Self::Relay,
            AppName::Echo => Self::Echo,
        }
    }
}
