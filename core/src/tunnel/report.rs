use crate::base::ListenerId;
use crate::base::NameError;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// An event of one SSH connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelReport {
    /// The connection is established and authenticated.
    Connected,
    /// The connection could not be made, or was lost.
    Failed {
        /// How it failed.
        failure: TunnelFailure,
        /// A description for people: what failed, where, and what to do.
        ///
        /// The first 1,024 bytes are kept, without what [`neutralize`](crate::text::neutralize)
        /// removes, because the server may have written some.
        words: String,
    },
    /// The server listens for a listener.
    Bound {
        /// The listener.
        listener: ListenerId,
        /// The port. 0 for a Unix socket.
        port: u16,
    },
    /// The server refuses to listen for a listener.
    Refused {
        /// The listener.
        listener: ListenerId,
    },
    /// The server answered the keep-alive request with this number, or a later one.
    ///
    /// See [`TunnelIntent::asked`](super::TunnelIntent::asked).
    Answered(u32),
    /// The server opened a channel that was refused: unrequested, or too many at a time.
    ChannelRefused {
        /// A description, treated like the text of [`Failed`](Self::Failed).
        words: String,
    },
    /// The connection was closed in order.
    Closed,
}

/// How an SSH connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TunnelFailure {
    /// The network failed: unknown host, connection refused, unreachable, or reset.
    Network,
    /// Connecting timed out.
    TimedOut,
    /// Too many keep-alive requests stayed unanswered.
    Silent,
    /// The server disconnected.
    Disconnected,
    /// The protocols do not match, or the peer does not speak SSH.
    Protocol,
    /// The server's host key is unknown or wrong.
    HostKey,
    /// The server refused our authentication.
    Authentication,
    /// Our private key is unusable.
    PrivateKey,
    /// The server refused a forward. The connection stays.
    Forward,
    /// We closed it to reconnect at once, because it was worn out.
    Renewed,
}

impl TunnelFailure {
    /// All failures.
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

    /// Whether retrying is pointless without operator action.
    ///
    /// Such failures are retried slowly and evenly.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
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
