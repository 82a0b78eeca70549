//! Reverse SSH tunnels: listeners on another machine that lead to this server through SSH.
//!
//! A server behind NAT asks an SSH server to listen for it (`tcpip-forward`, RFC 4254 section 7.1;
//! for Unix sockets `streamlocal-forward@openssh.com`). Each connection there becomes a connection
//! here. A [`Listen`](crate::Listen) with a [forwarded](crate::Address::Forwarded) address accepts
//! it, with the address of its peer.
//!
//! The machine decides when a tunnel is dialled, when it is given up, when it is dead and when it
//! is healthy. The shell speaks SSH: `drupe-ssh` has an implementation for every shell. It keeps
//! its SSH connections in line with the [`TunnelIntent`]s and reports events as [`TunnelReport`]s.
//!
//! # The life of a tunnel
//!
//! | state | begins with | ends with |
//! |---|---|---|
//! | connecting | the server's start, or the end of a wait | [`Connected`](TunnelReport::Connected) and the SSH server's answers to the forwards; a failure; or [`Tunnel::connect_timeout`], which applies to the connection and again to the answers |
//! | up, or degraded | `Connected`; degraded if the SSH server refuses one of the forwards | a failure; [`KeepAlive`] |
//! | waiting | a failure | the wait of [`Tunnel::reconnect`], or [`Tunnel::refused_wait`] after a failure that [needs the operator](TunnelFailure::is_permanent) |
//! | given up | as many consecutive failures as `reconnect` allows | a new configuration |
//! | closing | a drain, or a configuration without the tunnel, once its last connection is over | [`Closed`](TunnelReport::Closed); [`Tunnel::close_timeout`] |
//!
//! Tunnels reconnect even without clients. A tunnel that was up for [`Backoff::stable_after`] is
//! healthy: its count of failures restarts. When a tunnel is lost, its connections end as
//! [`Reason::TunnelLost`](crate::Reason::TunnelLost).
//!
//! The keep-alive detects a silently dead link (SIGSTOP, a pulled plug, a changed address) at most
//! `interval * (count_max + 1)` after its last byte: 60 s with the defaults. With jump hosts, it
//! checks the last server.
//!
//! If the SSH server refuses a forward, most often because an earlier session still holds the port,
//! the machine requests it again, any number of times, with the waits of `reconnect` in between.
//! The rest of the tunnel works meanwhile.

mod report;
mod status;

pub use report::{TunnelFailure, TunnelReport};
pub use status::{ForwardIntent, ForwardStatus, TunnelIntent, TunnelState, TunnelStatus};

use crate::base::Backoff;
use crate::base::setters;
use crate::wire::outgoing_proxy::OutgoingProxy;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Settings of a tunnel: its SSH server, time limits, keep-alive and reconnection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tunnel {
    /// The name of the tunnel, for listeners, logs and metrics.
    pub name: String,
    /// The SSH server and how to authenticate there.
    pub ssh: Ssh,
    /// Time limit for connecting, and again for the answers to forwards. Zero: no attempt succeeds.
    ///
    /// Connecting lasts from the name lookup to the end of authentication, including jump hosts.
    pub connect_timeout: Duration,
    /// Keep-alive requests, which detect a dead link.
    pub keep_alive: KeepAlive,
    /// Waits between attempts, number of attempts, and when a connection counts as healthy.
    pub reconnect: Backoff,
    /// The wait after a failure that needs the operator, such as a refused key. At least 10 ms.
    pub refused_wait: Duration,
    /// Time limit for an orderly disconnect. With zero, the connection is dropped at once.
    pub close_timeout: Duration,
}

setters!(Tunnel {
    name: String,
    ssh: Ssh,
    connect_timeout: Duration,
    keep_alive: KeepAlive,
    reconnect: Backoff,
    refused_wait: Duration,
    close_timeout: Duration,
});

impl Tunnel {
    /// Creates a tunnel with defaults: 30 s to connect, 5 min after a refusal, 5 s to disconnect.
    #[must_use]
    pub fn new(name: &str, ssh: Ssh) -> Self {
        Self {
            name: name.to_string(),
            ssh,
            connect_timeout: Duration::from_secs(30),
            keep_alive: KeepAlive::default(),
            reconnect: Backoff::default(),
            refused_wait: Duration::from_secs(300),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// Keep-alive requests to the SSH server (`keepalive@openssh.com`).
///
/// Any received byte counts as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAlive {
    /// Time between two keep-alive requests. At least 10 ms.
    pub interval: Duration,
    /// How many keep-alive requests may stay unanswered. 0 counts as 1.
    pub count_max: u32,
}

setters!(KeepAlive { interval: Duration, count_max: u32 });

impl Default for KeepAlive {
    /// Returns settings with a request every 15 s, of which at most 3 may stay unanswered.
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), count_max: 3 }
    }
}

/// Settings of an SSH connection: the server, authentication, host keys and jump hosts.
///
/// The machine only passes them to the SSH implementation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ssh {
    /// Host name or address of the SSH server.
    pub host: String,
    /// Port of the SSH server.
    pub port: u16,
    /// User name on the SSH server.
    pub user: String,
    /// Path of the private key file in OpenSSH format. `None`: the keys of the SSH agent.
    ///
    /// The key may be encrypted. If a file with the same name and `-cert.pub` exists, it is the
    /// certificate.
    pub key_path: Option<String>,
    /// Passphrase of the private key.
    pub key_passphrase: Option<Passphrase>,
    /// Path of the certificate file, if it is not beside the private key.
    pub certificate_path: Option<String>,
    /// Path of the SSH agent's socket. `None`: the path in `SSH_AUTH_SOCK`.
    pub agent_socket: Option<String>,
    /// Whether to refuse a key file that other users can read.
    pub check_key_permissions: bool,
    /// Paths of the files with known host keys (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT").
    pub known_hosts: Vec<String>,
    /// Whether to accept the key of an unknown host, and add it to the first file of `known_hosts`.
    pub accept_new: bool,
    /// Jump hosts, in order. The same keys and files apply to them.
    pub jumps: Vec<Jump>,
    /// The proxy that connects to the first host: the first of the jump hosts, or the server.
    ///
    /// `None`: no proxy. [`Tunnel::connect_timeout`] includes the handshake with it.
    pub proxy: Option<OutgoingProxy>,
    /// Maximum number of received bytes of one connection that the server has not read yet.
    ///
    /// Above it, the connection ends as [`RateLimited`](crate::Reason::RateLimited). An idle
    /// connection uses no memory for this. With 0, a connection that is ahead at all is closed.
    pub ahead_max_bytes: usize,
}

setters!(Ssh {
    host: String,
    port: u16,
    user: String,
    key_path: Option<String>,
    key_passphrase: Option<Passphrase>,
    certificate_path: Option<String>,
    agent_socket: Option<String>,
    check_key_permissions: bool,
    known_hosts: Vec<String>,
    accept_new: bool,
    jumps: Vec<Jump>,
    proxy: Option<OutgoingProxy>,
    ahead_max_bytes: usize,
});

impl Ssh {
    /// Creates settings with port 22, the agent's keys, and host keys from `known_hosts`.
    #[must_use]
    pub fn new(host: &str, user: &str, known_hosts: &str) -> Self {
        Self {
            host: host.to_string(),
            port: 22,
            user: user.to_string(),
            key_path: None,
            key_passphrase: None,
            certificate_path: None,
            agent_socket: None,
            check_key_permissions: true,
            known_hosts: [known_hosts.to_string()].into(),
            accept_new: false,
            jumps: Vec::new(),
            proxy: None,
            ahead_max_bytes: 16 << 20,
        }
    }
}

/// The passphrase of a private key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a text is all that it is")]
pub struct Passphrase(pub String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A jump host (`ProxyJump` of `ssh_config(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jump {
    /// User name on the jump host. `None`: that of the tunnel.
    pub user: Option<String>,
    /// Host name or address, as the previous host resolves it.
    pub host: String,
    /// Port of the jump host.
    pub port: u16,
}

setters!(Jump { user: Option<String>, port: u16 });

impl Jump {
    /// Creates a jump host with port 22 and the user of the [server](Ssh::user).
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self { user: None, host: host.to_string(), port: 22 }
    }
}

/// An error for text that is not `[USER@]HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not [USER@]HOST[:PORT], such as ops@gate.example.org:2222 or [2001:db8::1]:22")]
#[non_exhaustive]
pub struct JumpError(pub String);

impl core::str::FromStr for Jump {
    type Err = JumpError;

    fn from_str(text: &str) -> Result<Self, JumpError> {
        let wrong = || JumpError(text.to_string());
        let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
            // More than one colon is an IPv6 address.
            None if place.matches(':').count() == 1 => place.find(':').map_or((place, ""), |at| place.split_at(at)),
            None => (place, ""),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
            None if port.is_empty() => 22,
            None => return Err(wrong()),
        };
        if host.is_empty() || user.is_some_and(str::is_empty) || text.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { user: user.map(ToString::to_string), host: host.to_string(), port })
    }
}

/// An address on the far side of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Forward {
    /// The [name](Tunnel::name) of the tunnel.
    pub tunnel: String,
    /// The address on which the SSH server listens.
    pub bind: RemoteBind,
}

impl Forward {
    /// Creates an address on the far side of the tunnel with this name.
    #[must_use]
    pub fn new(tunnel: &str, bind: RemoteBind) -> Self {
        Self { tunnel: tunnel.to_string(), bind }
    }
}

/// An address on which an SSH server listens for this server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "an SSH implementation must handle each kind")]
pub enum RemoteBind {
    /// A TCP port (RFC 4254 section 7.1).
    Tcp {
        /// Address on which the SSH server listens: `localhost`, empty for all, or an IP address.
        ///
        /// The first two mean IPv4, which is required, and IPv6, which is optional. The SSH server
        /// decides how to interpret it (`GatewayPorts` of `sshd_config(5)`).
        host: String,
        /// The TCP port. 0: the SSH server chooses one.
        port: u16,
    },
    /// The path of a Unix socket (`streamlocal-forward@openssh.com`).
    Unix(String),
}

impl RemoteBind {
    /// Returns the address with a port of 0 replaced by `port`, which the SSH server chose.
    #[must_use]
    pub fn bound_at(&self, port: u16) -> Self {
        match self {
            Self::Tcp { host, port: 0 } => Self::Tcp { host: host.clone(), port },
            other => other.clone(),
        }
    }

    /// Returns `true` if only the SSH server's own machine can connect to the address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                let is_loopback = |ip: core::net::IpAddr| ip.to_canonical().is_loopback();
                host == "localhost" || host.parse().is_ok_and(is_loopback)
            }
        }
    }
}

impl fmt::Display for RemoteBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } if host.is_empty() => write!(f, "*:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// The identifier of a tunnel, valid for the lifetime of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub(crate) u32);

impl TunnelId {
    /// Creates the identifier of the tunnel with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }
}

/// The identifier of an attempt to connect a tunnel, and of the resulting SSH connection.
///
/// Reports about earlier attempts are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    pub(crate) tunnel: TunnelId,
    pub(crate) attempt: u32,
}

impl LinkId {
    /// Creates the identifier of a tunnel's attempt with this number, from 1.
    #[must_use]
    pub const fn new(tunnel: TunnelId, attempt: u32) -> Self {
        Self { tunnel, attempt }
    }

    /// Returns the tunnel of the attempt.
    #[must_use]
    pub const fn tunnel(self) -> TunnelId {
        self.tunnel
    }

    /// Returns the number of the attempt, from 1.
    #[must_use]
    pub const fn attempt(self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn jump_parses_as_ssh_parses_it() {
        let jump = |user: Option<&str>, host: &str, port| {
            Ok(Jump { user: user.map(ToString::to_string), host: host.to_string(), port })
        };
        for (text, expected) in [
            ("gate", jump(None, "gate", 22)),
            ("ops@gate:2222", jump(Some("ops"), "gate", 2222)),
            ("a@b@gate", jump(Some("a@b"), "gate", 22)),
            ("[2001:db8::1]:7", jump(None, "2001:db8::1", 7)),
            ("2001:db8::1", jump(None, "2001:db8::1", 22)),
            ("x@[::1]", jump(Some("x"), "::1", 22)),
        ] {
            assert_eq!(text.parse::<Jump>(), expected, "{text}");
        }
        for text in ["", "@gate", "gate:", "gate:0", "gate:x", "gate:99999", "[::1", "[::1]x", "a b"] {
            assert_eq!(text.parse::<Jump>(), Err(JumpError(text.to_string())), "{text}");
        }
    }

    #[test]
    fn debug_of_passphrase_hides_it() {
        assert_eq!(format!("{:?}", Passphrase("hush".to_string())), "Passphrase");
    }
}
