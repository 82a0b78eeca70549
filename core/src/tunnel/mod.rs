//! Reverse SSH tunnels: listeners on another machine, whose connections come to this server through SSH.
//!
//! A server behind NAT asks an SSH server to listen for it (`tcpip-forward`, RFC 4254 section 7.1; for a Unix socket
//! `streamlocal-forward@openssh.com`). Whoever connects there becomes a connection here, accepted by a [`Listen`](crate::Listen)
//! whose address is [forwarded](crate::Address::Forwarded), with the address it came from.
//!
//! The machine decides when a tunnel is dialled, when it is given up, when it is dead and when it is healthy. What speaks SSH is
//! the shell's: `drupe-tokio` has one, for every shell. It makes SSH connections match [`TunnelIntent`]s and tells what happens
//! as [`TunnelReport`]s.
//!
//! # The life of a tunnel
//!
//! | state | begins with | ends with |
//! |---|---|---|
//! | connecting | the server's start, or the end of a wait | [`Connected`](TunnelReport::Connected), and the answer whether the SSH server listens; a failure; [`Tunnel::connect_timeout`] for each of the two |
//! | up, or degraded | `Connected`; degraded if the SSH server refuses to listen at one of its places | a failure; [`KeepAlive`] |
//! | waiting | a failure | the time that [`Tunnel::reconnect`] gives, or [`Tunnel::refused_wait`] after a failure that [needs somebody](TunnelFailure::needs_somebody) |
//! | given up | as many failures in a row as `reconnect` allows | a new configuration |
//! | closing | a drain, or a configuration without it, once its last connection is over | [`Closed`](TunnelReport::Closed); [`Tunnel::close_timeout`] |
//!
//! No client is needed for any of this. A tunnel that was up for [`Backoff::stable_after`] is healthy, and its next failure the
//! first one again. While it is down its connections are over: they end as [`Reason::TunnelLost`](crate::Reason::TunnelLost).
//!
//! A link that is dead though nothing says so (SIGSTOP, a pulled plug, an address that changed) is noticed by the keep-alive at
//! most `interval * (count_max + 1)` after its last byte: 60 s with the defaults. Behind hosts on the way, it is the last server
//! that is asked.
//!
//! A place on the SSH server that can't be listened at, most often because our own earlier session still holds the port, is
//! asked for again and again with the waits of `reconnect`, for ever, while the rest of the tunnel serves.

mod report;
mod status;

pub use report::{TunnelFailure, TunnelReport};
pub use status::{ForwardIntent, ForwardStatus, TunnelIntent, TunnelState, TunnelStatus};

use crate::base::Backoff;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// One SSH connection, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// What it is called: by listeners, in logs and in metrics.
    pub name: String,
    /// Where to, and as whom.
    pub ssh: Ssh,
    /// How long it may take to connect, from the lookup of the name to the proof of identity, jumps included. With zero no
    /// attempt succeeds.
    pub connect_timeout: Duration,
    /// How a dead link is noticed.
    pub keep_alive: KeepAlive,
    /// How long to wait between attempts, how many there are, and when a connection was healthy.
    pub reconnect: Backoff,
    /// How long to wait after a failure that somebody must do something about: a key that is refused. At least 10 ms.
    pub refused_wait: Duration,
    /// How long a goodbye may take; with zero there is none.
    pub close_timeout: Duration,
}

impl Tunnel {
    /// A tunnel to a server, as a user with the usual keys, and 30 s to connect, 5 min after a refusal, 5 s for a goodbye.
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

/// Questions to the SSH server whether it is still there (`keepalive@openssh.com`). Any byte from it is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long between two questions; at least 10 ms.
    pub interval: Duration,
    /// How many may stay without an answer. 0 counts as 1.
    pub count_max: u32,
}

impl Default for KeepAlive {
    /// Every 15 s, at most 3 without an answer.
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), count_max: 3 }
    }
}

/// An SSH server, and how to get in there. The machine only hands it on, to what speaks SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user there.
    pub user: String,
    /// The file of the private key, as OpenSSH writes it, encrypted or not; `None` for the keys of the agent. A certificate
    /// is taken from the file of the same name with `-cert.pub`, if it is there.
    pub key_path: Option<String>,
    /// What the private key is encrypted with.
    pub key_passphrase: Option<Passphrase>,
    /// The file of the certificate, where it is another.
    pub certificate_path: Option<String>,
    /// The socket of the agent whose keys are offered; `None` for that of `SSH_AUTH_SOCK`.
    pub agent_socket: Option<String>,
    /// Whether a key file that others may read is refused.
    pub check_key_permissions: bool,
    /// The files with the host keys that are known (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT").
    pub known_hosts: Vec<String>,
    /// Whether a host that no file knows is accepted once, and added to the first of them.
    pub accept_new: bool,
    /// The hosts to go through, in order. The same keys and files are used for them.
    pub jumps: Vec<Jump>,
    /// How many bytes one connection may be ahead of what is served; who sends more ends as
    /// [`RateLimited`](crate::Reason::RateLimited). A connection that is idle holds none. With 0, who is ahead at all is closed.
    pub ahead_max_bytes: usize,
}

impl Ssh {
    /// A server at port 22, with the agent's keys, and host keys from `known_hosts`.
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
            ahead_max_bytes: 16 << 20,
        }
    }
}

/// What a private key is encrypted with. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(pub String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A host on the way (`ProxyJump` of `ssh_config(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The user there; `None` for the tunnel's.
    pub user: Option<String>,
    /// Its name or address, as the host before it knows it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// The text is not `[USER@]HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not [USER@]HOST[:PORT], such as ops@gate.example.org:2222 or [2001:db8::1]:22")]
pub struct JumpError(pub String);

impl core::str::FromStr for Jump {
    type Err = JumpError;

    fn from_str(text: &str) -> Result<Self, JumpError> {
        let wrong = || JumpError(text.to_string());
        let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
            // More than one colon is an address of IPv6.
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

/// A place to listen at on the other side of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forward {
    /// The [name](Tunnel::name) of the tunnel.
    pub tunnel: String,
    /// Where.
    pub bind: RemoteBind,
}

/// Where an SSH server listens for us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoteBind {
    /// A port (RFC 4254 section 7.1).
    Tcp {
        /// `localhost` for loopback, an empty string for all addresses, or an address of that machine. The first two stand for
        /// the addresses of IPv4, which must be had, and those of IPv6, which may. What the SSH server makes of it is its own
        /// decision (`GatewayPorts` of `sshd_config(5)`).
        host: String,
        /// The port; 0 lets the SSH server choose.
        port: u16,
    },
    /// The path of a Unix socket (`streamlocal-forward@openssh.com`).
    Unix(String),
}

impl RemoteBind {
    /// Where it really is, if the SSH server chose the port.
    #[must_use]
    pub fn bound_at(&self, port: u16) -> Self {
        match self {
            Self::Tcp { host, port: 0 } => Self::Tcp { host: host.clone(), port },
            other => other.clone(),
        }
    }

    /// Whether only that machine can connect there.
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

/// Names one tunnel for as long as the machine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub u32);

/// Names one attempt to connect a tunnel, and the SSH connection if it comes about. A report about an earlier one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// Which attempt, from 1.
    pub attempt: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn jumps_are_read_as_ssh_reads_them() {
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
    fn a_passphrase_is_not_shown() {
        assert_eq!(format!("{:?}", Passphrase("hush".to_string())), "Passphrase");
    }
}
