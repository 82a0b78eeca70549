use crate::base::{ConnId, DialId, Time};
use crate::cluster::Cluster;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;

/// The link to the broker, and which shards have members of shared rooms.
pub(crate) struct Sharing {
    pub(in crate::state) cluster: Cluster,
    pub(super) dial: Option<DialId>,
    pub(super) conn: Option<ConnId>,
    /// Since when the link does not work. `None`: it works.
    pub(super) down_since: Option<Time>,
    /// Why the last connection ended or could not be made, until that is told.
    pub(super) ended: Option<String>,
    /// The shards with members, for each shared room.
    pub(super) holders: BTreeMap<Arc<str>, BTreeSet<u8>>,
    /// The rooms to which messages were published on this host alone, while the link was down.
    pub(super) local: BTreeSet<Arc<str>>,
}
