//! Calls that concern other hosts, until they are answered.

use super::call::Place;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// A question of another host: the host, the ticket and the part of its call, and its worker.
pub(super) type Asked = (String, String, usize, u8);

/// What workers have answered to a question of another host.
#[derive(Debug)]
pub(super) struct Sum {
    /// Number of workers that have not answered.
    pub(super) left: u8,
    pub(super) connections: u64,
    /// The entries of workers for `info`.
    pub(super) nodes: Vec<String>,
}

/// Calls that wait for other hosts, and the sums for calls of other hosts.
#[derive(Debug, Default)]
pub(in crate::kit::pubsub) struct HostCalls {
    /// The parts that wait, by the key of their timer.
    pub(super) waiting: BTreeMap<u64, Place>,
    pub(super) begun: u64,
    /// On the first worker: the answers of workers to other hosts.
    pub(super) sums: BTreeMap<Asked, Sum>,
}
