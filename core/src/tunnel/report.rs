use crate::base::ListenerId;
use crate::base::NameError;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// What happened to one SSH connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelReport {
    /// It is there, and the server knows who we are.
    Connected,
    /// It did not come about, or is no more.
    Failed {
        /// How.
        failure: TunnelFailure,
        /// In words for a person: what was wrong and where, and what can be done. The first 1,024 bytes are kept, without
        /// what [`neutralize`](crate::text::neutralize) removes: some may be the server's own.
        words: String,
    },
    /// The server listens for one of our listeners.
    Bound {
        /// Whose.
        listener: ListenerId,
        /// The port; 0 for a Unix socket.
        port: u16,
    },
    /// The server does not listen for it.
    Refused {
        /// For whom.
        listener: ListenerId,
    },
    /// The server answered the question with this [number](super::TunnelIntent::asked), or any later one.
    Answered(u32),
    /// The server opened a channel that nobody asked for, or too many at a time; it was refused.
    ChannelRefused {
        /// What was opened and why it was refused, kept as the words of [`Failed`](Self::Failed) are.
        words: String,
    },
    /// The goodbye was said.
    Closed,
}

/// How an SSH connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TunnelFailure {
    /// The network: no such name, nobody there, no way there, a reset.
    Network,
    /// It took too long to connect.
    TimedOut,
    /// Too many questions stayed without an answer.
    Silent,
    /// The server ended it.
    Disconnected,
    /// What answered does not speak SSH as we do.
    Protocol,
    /// The server is not who it should be, as far as we know.
    HostKey,
    /// The server does not let us in.
    Authentication,
    /// Our own key can't be used.
    PrivateKey,
    /// The server does not listen at a place that we asked for. The connection stays.
    Forward,
    /// We ended it ourselves, to connect at once anew: it had worn out.
    Renewed,
}

impl TunnelFailure {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Network,
        Self::TimedOut,
        Self::Silent,
        Self::Disconnected,
        Self::Protocol,
        Self::HostKey,
        Self::Authentication,
        Self::PrivateKey,
        Self::Forward,
        Self::Renewed,
    ];

    /// Whether it will be the same the next time unless somebody does something about it, here or there. Such failures are
    /// tried again slowly and evenly.
    #[must_use]
    pub const fn needs_somebody(self) -> bool {
        matches!(self, Self::HostKey | Self::Authentication | Self::PrivateKey)
    }

    /// The stable name, for logs and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::TimedOut => "timed_out",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
            Self::Protocol => "protocol",
            Self::HostKey => "host_key",
            Self::Authentication => "authentication",
            Self::PrivateKey => "private_key",
            Self::Forward => "forward",
            Self::Renewed => "renewed",
        }
    }
}

impl fmt::Display for TunnelFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TunnelFailure {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let names = "network, timed_out, silent, disconnected, protocol, host_key, authentication, private_key, forward, renewed";
        Self::ALL.into_iter().find(|failure| failure.name() == text).ok_or(NameError(names))
    }
}
