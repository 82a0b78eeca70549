//! Settings that take one of a fixed set of names.

use super::declare::choices;
use crate::app::AppName;

choices! {
    /// The purpose of the server; it determines the defaults.
    Profile {
        /// For a developer's machine.
        #[default]
        Development = "development",
        /// For the internet.
        Production = "production",
        /// For test suites.
        Testing = "testing",
    }
    /// The protocol of a listener.
    ProtocolName {
        /// Lines over TCP.
        #[default]
        Tcp = "tcp",
        /// Telnet.
        Telnet = "telnet",
        /// WebSocket and HTTP.
        WebSocket = "websocket",
        /// Telnet in the messages of a WebSocket.
        WsTelnet = "ws+telnet",
        /// Length-prefixed frames.
        Length = "length",
        /// Telnet, frames, HTTP with WebSocket, or lines, detected from the first bytes.
        Auto = "auto",
    }
    /// A ready-made application.
    AppChoice {
        /// A chat with names and rooms.
        #[default]
        Chat = "chat",
        /// Sends every message to all other peers.
        Relay = "relay",
        /// Sends every message back to its sender.
        Echo = "echo",
    }
    /// The envelope in which the relay puts each message.
    EnvelopeChoice {
        /// No envelope.
        #[default]
        None = "none",
        /// An object with the sender's address.
        Json = "json",
    }
    /// The ending of sent lines.
    EndingChoice {
        /// LF.
        #[default]
        Lf = "lf",
        /// CR LF.
        CrLf = "crlf",
    }
    /// How to treat text that is not in its character set.
    InvalidChoice {
        /// The connection closes.
        Reject = "reject",
        /// Invalid sequences are replaced.
        #[default]
        Replace = "replace",
        /// The message is delivered as bytes.
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
    /// Access to an endpoint.
    AccessChoice {
        /// All peers that can connect.
        #[default]
        Open = "open",
        /// Peers that send the credential.
        Credential = "credential",
        /// No access.
        Off = "off",
    }
    /// Whether peers present certificates.
    ClientsChoice {
        /// The server does not request them.
        #[default]
        None = "none",
        /// Peers may present one.
        Optional = "optional",
        /// Peers must present one.
        Required = "required",
    }
    /// The field in which proxies report the client's address.
    FieldChoice {
        /// `X-Forwarded-For`.
        #[default]
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }
    /// What happens when a room's message would bring a slow member above the maximum.
    SlowChoice {
        /// Close the member's connection.
        #[default]
        Close = "close",
        /// Skip the oldest queued messages of the room.
        SkipOldest = "skip_oldest",
        /// Skip the new message.
        SkipNewest = "skip_newest",
        /// Skip all queued messages of the room except the new one.
        KeepLatest = "keep_latest",
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
        /// Nothing.
        Off = "off",
        /// Failures.
        Error = "error",
        /// Conditions that may need the operator.
        Warn = "warn",
        /// Normal events.
        #[default]
        Info = "info",
        /// Details for finding a fault.
        Debug = "debug",
        /// Everything.
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
    /// When a new log file begins.
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

impl From<AppName> for AppChoice {
    fn from(app: AppName) -> Self {
        match app {
            AppName::Chat => Self::Chat,
            AppName::Relay => Self::Relay,
            AppName::Echo => Self::Echo,
        }
    }
}
