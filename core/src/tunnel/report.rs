use crate::base::ListenerId;
use crate::base::NameError;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// An event of a tunnel's SSH connection, which the shell reports to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelReport {
    /// The SSH connection is established and authenticated.
    Connected,
    /// The SSH connection could not be established, or was lost.
    Failed {
        /// How the SSH connection failed.
        failure: TunnelFailure,
        /// A description for people: what failed, where, and what to do.
        ///
        /// The first 1,024 bytes are kept, without what [`neutralize`](crate::text::neutralize)
        /// removes, because the server may have written some.
        words: String,
    },
    /// The SSH server now listens at the address of a listener.
    Bound {
        /// The listener that now receives connections.
        listener: ListenerId,
        /// The port on which the SSH server listens; 0 for a Unix socket.
        port: u16,
    },
    /// The SSH server refused to listen at the address of a listener.
    Refused {
        /// The listener whose address was refused.
        listener: ListenerId,
    },
    /// The SSH server sent data after the keep-alive request with this number.
    ///
    /// See [`TunnelIntent::asked`](super::TunnelIntent::asked).
    Answered(u32),
    /// The SSH server opened a channel that was refused: unrequested, or too many at a time.
    ChannelRefused {
        /// A description for people, shortened and cleaned like that of [`Failed`](Self::Failed).
        words: String,
    },
    /// The SSH connection was closed in an orderly way.
    Closed,
}

/// The kind of failure of an SSH connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TunnelFailure {
    /// The network failed: unknown host, connection refused, host unreachable, or connection reset.
    Network,
    /// Connecting timed out.
    TimedOut,
    /// Too many keep-alive requests stayed unanswered.
    Silent,
    /// The SSH server disconnected.
    Disconnected,
    /// The server speaks no compatible SSH version, or did not answer a forward in time.
    Protocol,
    /// The server's host key is unknown or wrong.
    HostKey,
    /// The SSH server refused the authentication.
    Authentication,
    /// The private key, its certificate or the SSH agent is unusable.
    PrivateKey,
    /// The proxy failed in a way that a retry cannot repair, such as refused credentials.
    Proxy,
    /// The SSH server refused to listen at an address. The connection stays.
    Forward,
    /// This side closed the connection to free memory of old channels, and reconnects at once.
    Renewed,
}

impl TunnelFailure {
    /// All kinds of failure.
    pub const ALL: [Self; 11] = [
        Self::Network,
        Self::TimedOut,
        Self::Silent,
        Self::Disconnected,
        Self::Protocol,
        Self::HostKey,
        Self::Authentication,
        Self::PrivateKey,
        Self::Proxy,
        Self::Forward,
        Self::Renewed,
    ];

    /// Returns `true` if retrying is pointless without operator action.
    ///
    /// Such failures are retried slowly and evenly.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::HostKey | Self::Authentication | Self::PrivateKey | Self::Proxy)
    }

    /// Returns the stable name, for logs and metric labels.
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
            Self::Proxy => "proxy",
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
        let names = "network, timed_out, silent, disconnected, protocol, host_key, authentication, private_key, \
            proxy, forward, renewed";
        Self::ALL.into_iter().find(|failure| failure.name() == text).ok_or(NameError(names))
    }
}
