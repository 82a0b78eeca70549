//! Enumerations: each value of such a setting is one word.

use super::declare::choices;
use crate::app::AppName;

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

impl From<AppName> for AppChoice {
    fn from(app: AppName) -> Self {
        match app {
            AppName::Chat => Self::Chat,
            AppName::Relay => Self::Relay,
            AppName::Echo => Self::Echo,
        }
    }
}
