use super::EndTarget;
use crate::base::{HostId, Reason, Time};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

/// A message from the machine on one host to those on all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostNews {
    /// The sender is there, and this is its state.
    Report(HostReport),
    /// End these connections, and answer with `Ended`.
    End { number: u64, target: EndTarget, reason: Reason },
    /// To one host: this many connections were ended for its message with this number.
    Ended { to: HostId, number: u64, connections: u64 },
    /// These addresses are in quarantine, each for this number of milliseconds.
    Quarantined {
        addresses: Vec<(IpAddr, u64)>,
        /// Whether this is the last part of the answer to `ListQuarantine`.
        ends_list: bool,
    },
    /// An operator has released this address from quarantine.
    Released(IpAddr),
    /// To one host: send all addresses that are in quarantine.
    ListQuarantine { to: HostId },
}

impl HostNews {
    /// Maximum number of addresses in one message.
    pub(crate) const ADDRESSES_MAX: usize = 500;
}

/// The state of a host, which it tells the others every 5 s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostReport {
    /// The name of the host: see [`Cluster::name`](crate::Cluster). Empty if it has none.
    pub name: Arc<str>,
    /// The version of Drupe.
    pub version: Arc<str>,
    /// Number of shards.
    pub workers: u64,
    /// Time since the start, in seconds.
    pub uptime_secs: u64,
    /// Number of open connections.
    pub connections: u64,
    /// Number of rooms with members on the host.
    pub rooms: u64,
    /// Number of messages that the host has received from peers since the start.
    pub messages_in: u64,
    /// Number of messages that the host has sent to peers since the start.
    pub messages_out: u64,
    /// Number of times that the link to the broker was lost, or could not be made.
    pub link_losses: u64,
}

/// Another host of the cluster: see [`Hub::hosts`](crate::Hub::hosts).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterHost {
    /// The host.
    pub id: HostId,
    /// What it has told last.
    pub report: HostReport,
    /// When that came.
    pub as_of: Time,
}

impl ClusterHost {
    pub(crate) const fn new(id: HostId, report: HostReport, as_of: Time) -> Self {
        Self { id, report, as_of }
    }
}

impl HostReport {
    /// Maximum length of a name or version, in bytes.
    pub(crate) const TEXT_MAX: usize = 128;

    pub(crate) const fn numbers(&self) -> [u64; 7] {
        let Self { workers, uptime_secs, connections, rooms, messages_in, messages_out, link_losses, .. } = self;
        [*workers, *uptime_secs, *connections, *rooms, *messages_in, *messages_out, *link_losses]
    }

    pub(crate) const fn numbers_mut(&mut self) -> [&mut u64; 7] {
        let Self { workers, uptime_secs, connections, rooms, messages_in, messages_out, link_losses, .. } = self;
        [workers, uptime_secs, connections, rooms, messages_in, messages_out, link_losses]
    }
}
