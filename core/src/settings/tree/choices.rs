//! Settings that take one of a fixed set of names.

use super::declare::choices;

choices! {
    /// The purpose of the server; it determines the defaults.
    Profile {
        /// A developer's machine.
        #[default]
        Development = "development",
        /// A server on the internet.
        Production = "production",
        /// A test suite.
        Testing = "testing",
    }
    /// The protocol of a listener.
    ProtocolName {
        /// Lines over TCP.
        #[default]
        Tcp = "tcp",
        /// The telnet protocol.
        Telnet = "telnet",
        /// WebSocket and HTTP.
        WebSocket = "websocket",
        /// Telnet in the messages of a WebSocket.
        WsTelnet = "ws+telnet",
        /// Length-prefixed frames.
        Length = "length",
        /// SSH, with a session as on telnet in character mode.
        Ssh = "ssh",
        /// Bytes as they arrive, without messages.
        Raw = "raw",
        /// Messages that end with a delimiter.
        Delimited = "delimited",
        /// The protocol of a codec that the program has registered; `codec` names it.
        Custom = "custom",
        /// Telnet, frames, HTTP with WebSocket, or lines, detected from the first bytes.
        Auto = "auto",
    }
    /// The envelope in which the application `relay` puts each message.
    EnvelopeChoice {
        /// No envelope.
        #[default]
        None = "none",
        /// A JSON object with the message and the sender's address.
        Json = "json",
    }
    /// The ending of sent lines.
    EndingChoice {
        /// A line feed (LF).
        #[default]
        Lf = "lf",
        /// A carriage return and a line feed (CR LF).
        CrLf = "crlf",
    }
    /// The treatment of text that is invalid in its character set.
    InvalidChoice {
        /// The connection closes.
        Reject = "reject",
        /// Invalid sequences are replaced.
        #[default]
        Replace = "replace",
        /// Every message is delivered as bytes, without a check.
        Bytes = "bytes",
    }
    /// The input mode of telnet.
    ModeChoice {
        /// The peer edits lines.
        #[default]
        Line = "line",
        /// The server edits lines.
        Character = "character",
        /// The application receives each key.
        Keys = "keys",
    }
    /// The input mode of SSH clients with a terminal.
    SshModeChoice {
        /// The server edits lines.
        #[default]
        Character = "character",
        /// The application receives each key.
        Keys = "keys",
    }
    /// Whether SSH clients must log in.
    SshLoginChoice {
        /// Clients log in with a key or a password.
        #[default]
        Required = "required",
        /// Everybody is admitted without a login.
        None = "none",
    }
    /// How raw bytes reach the application.
    RawChoice {
        /// The application receives the bytes as they arrive, each chunk as a message.
        #[default]
        Bytes = "bytes",
        /// Each key of a terminal is a signal.
        Keys = "keys",
    }
    /// Access to an HTTP endpoint.
    AccessChoice {
        /// All peers that can connect have access.
        #[default]
        Open = "open",
        /// Only peers that send the credential have access.
        Credential = "credential",
        /// No peer has access.
        Off = "off",
    }
    /// Whether peers may or must present certificates in a TLS handshake.
    ClientsChoice {
        /// The server does not request certificates.
        #[default]
        None = "none",
        /// Peers may present a certificate.
        Optional = "optional",
        /// Peers must present a certificate.
        Required = "required",
    }
    /// The HTTP field in which proxies report the client's address.
    FieldChoice {
        /// The field `X-Forwarded-For`.
        #[default]
        XForwardedFor = "x-forwarded-for",
        /// The field `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }
    /// What happens when a room's message would bring a slow member above `outbound.max`.
    SlowChoice {
        /// The member's connection closes.
        #[default]
        Close = "close",
        /// The oldest queued messages of the room are skipped until the new one fits.
        SkipOldest = "skip_oldest",
        /// The new message is skipped.
        SkipNewest = "skip_newest",
        /// All queued messages of the room are skipped except the new one.
        KeepLatest = "keep_latest",
    }
    /// Where the messages of a room are numbered and kept.
    HomeChoice {
        /// The room remembers nothing, even if a shorter prefix covers it.
        None = "none",
        /// The memory of the server, until it stops.
        Memory = "memory",
        /// The broker of `cluster`, for all hosts. Without a cluster, the memory of the server.
        #[default]
        Shared = "shared",
    }
    /// What a room knows of the names of its members.
    PresenceChoice {
        /// Nothing.
        #[default]
        Off = "off",
        /// How many names are present. For large rooms.
        Counts = "counts",
        /// Which names are present. The application learns when one comes or goes.
        Names = "names",
    }
    /// What happens when a user who is already connected connects again.
    DuplicateChoice {
        /// Both connections stay.
        #[default]
        KeepBoth = "keep_both",
        /// The new connection is refused.
        RefuseNew = "refuse_new",
        /// The old connections close.
        ReplaceOld = "replace_old",
    }
    /// The lowest level that is logged.
    LevelChoice {
        /// Nothing is logged.
        Off = "off",
        /// Failures are logged.
        Error = "error",
        /// Conditions that may need the operator are logged too.
        Warn = "warn",
        /// Normal events are logged too.
        #[default]
        Info = "info",
        /// Details for finding a fault are logged too.
        Debug = "debug",
        /// Everything is logged.
        Trace = "trace",
    }
    /// The format of log lines.
    FormatChoice {
        /// Text for people.
        #[default]
        Human = "human",
        /// One JSON object per line.
        Json = "json",
    }
    /// How often a new log file begins.
    RotationChoice {
        /// There is no rotation.
        Never = "never",
        /// A new log file begins each hour, in UTC.
        Hourly = "hourly",
        /// A new log file begins each day, in UTC.
        #[default]
        Daily = "daily",
        /// A new log file begins before a line that would make the file larger than `size_max`.
        /// The newest file is `PREFIX.log`, the one before it `PREFIX.1.log`, and so on.
        Size = "size",
    }
}
