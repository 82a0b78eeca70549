//! What an application asks of all hosts of a cluster, and the answers.

use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

/// The connections that [`Hub::end_everywhere`](crate::Hub::end_everywhere) ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndTarget {
    /// Those whose authenticated user has this name.
    User(Arc<str>),
    /// Those that listeners accepted from this address. For an IPv6 address, those from its /64 network.
    ///
    /// Watchers of the monitor stay.
    Address(IpAddr),
}

impl EndTarget {
    /// Returns the connections of a user.
    pub fn user(name: impl Into<Arc<str>>) -> Self {
        Self::User(name.into())
    }
}

/// The answer to a request to all hosts of a cluster, in [`Event::ClusterAnswered`](crate::Event::ClusterAnswered).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterAnswer {
    /// Connections were ended: see [`Hub::end_everywhere`](crate::Hub::end_everywhere).
    Ended(EndedEverywhere),
    /// Whether a key was free: see [`Hub::claim`](crate::Hub::claim).
    Claimed(Claim),
    /// Too many requests wait for their answers, so nothing was done.
    TooMany,
}

/// How many connections were ended, and on how many hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedEverywhere {
    /// Number of connections that were ended on the hosts that answered.
    pub connections: u64,
    /// Number of hosts that answered within the time limit, including this one.
    pub hosts: u32,
    /// Number of hosts that this one knew, including itself.
    pub hosts_known: u32,
}

impl EndedEverywhere {
    pub(crate) const fn new(connections: u64, hosts: u32, hosts_known: u32) -> Self {
        Self { connections, hosts, hosts_known }
    }
}

impl fmt::Display for EndedEverywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, hosts, hosts_known } = self;
        write!(f, "{connections} connections ended; {hosts} of {hosts_known} hosts answered")
    }
}

/// Whether a key could be claimed for this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The key was free. Until its time is over, it is taken.
    Free,
    /// The key is taken, by this host or another one.
    Taken,
    /// There is no broker now, so nothing was claimed.
    NoBroker,
    /// The broker refused the request, or did not answer. The key may be taken from now on.
    Unknown,
}

impl Claim {
    /// Returns the name in traces, such as `free`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Taken => "taken",
            Self::NoBroker => "no_broker",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Free, Self::Taken, Self::NoBroker, Self::Unknown].into_iter().find(|claim| claim.name() == name)
    }
}
