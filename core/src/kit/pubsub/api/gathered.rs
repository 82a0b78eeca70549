//! The results of all workers of a server for one method.

use crate::kit::pubsub::codes::Refusal;
use crate::kit::pubsub::json::{Object, array};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::value::RawValue;

/// The combined results of several workers.
#[derive(Debug)]
pub(super) enum Gathered {
    /// The method has no result.
    Nothing,
    /// Number of connections that were ended, and of hosts that answered and that are known.
    Ended { connections: u64, hosts: u32, hosts_known: u32 },
    /// Each channel with subscribers.
    Channels(BTreeMap<String, Channel>),
    /// The entry of each worker, as JSON.
    Nodes(Vec<String>),
    /// A worker returned an error.
    Failed(Refusal),
}

/// A channel: its number of subscribers, and the offset of its last message, if it has a history.
pub(super) type Channel = (u64, Option<u64>);

/// Maximum number of channels in an answer.
pub(super) const CHANNELS_MAX: usize = 10_000;

impl Gathered {
    /// Adds the result of another worker.
    pub(super) fn add(&mut self, other: Result<&str, Refusal>) {
        let json = match other {
            Ok(json) => json,
            Err(refusal) => return *self = Self::Failed(refusal),
        };
        match self {
            Self::Nothing | Self::Failed(_) => {}
            Self::Ended { connections, .. } => {
                *connections = connections.saturating_add(json.parse().unwrap_or(0));
            }
            Self::Channels(all) => {
                for (channel, (count, offset)) in
                    serde_json::from_str::<BTreeMap<String, Channel>>(json).unwrap_or_default()
                {
                    let (sum, latest) = all.entry(channel).or_default();
                    (*sum, *latest) = (sum.saturating_add(count), offset.max(*latest));
                }
                if all.len() > CHANNELS_MAX {
                    *self = Self::Failed(too_many());
                }
            }
            Self::Nodes(nodes) => {
                let others: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
                nodes.extend(others.into_iter().map(|node| node.get().to_string()));
            }
        }
    }

    /// Adds the answer of another host.
    pub(super) fn add_host(&mut self, (count, others): (u64, Vec<String>)) {
        match self {
            Self::Ended { connections, hosts, .. } => {
                (*connections, *hosts) = (connections.saturating_add(count), hosts.saturating_add(1));
            }
            Self::Nodes(nodes) => nodes.extend(others),
            Self::Nothing | Self::Channels(_) | Self::Failed(_) => {}
        }
    }

    /// Returns the answer to the worker that asked.
    pub(super) fn json(&self) -> Result<String, &Refusal> {
        match self {
            Self::Nothing => Ok("{}".into()),
            Self::Ended { connections, .. } => Ok(connections.to_string()),
            Self::Channels(all) => Ok(serde_json::to_string(all).unwrap_or_default()),
            Self::Nodes(nodes) => Ok(array(nodes.iter().cloned())),
            Self::Failed(refusal) => Err(refusal),
        }
    }

    /// Returns the result of the call.
    pub(super) fn into_outcome(self) -> Result<String, Refusal> {
        match self {
            Self::Nothing => Ok("{}".into()),
            Self::Ended { connections, hosts, hosts_known } => {
                let hosts = Object::new().number("connections", connections).number("hosts", hosts.into());
                Ok(hosts.number("hosts_known", hosts_known.into()).end())
            }
            Self::Channels(all) => {
                let one = |all: Object, (name, (count, offset)): (&String, &Channel)| {
                    let channel = Object::new().number("num_clients", *count);
                    let channel = offset.iter().fold(channel, |channel, offset| channel.number("offset", *offset));
                    all.raw(name, &channel.end())
                };
                Ok(Object::new().raw("channels", &all.iter().fold(Object::new(), one).end()).end())
            }
            Self::Nodes(nodes) => Ok(Object::new().raw("nodes", &array(nodes.into_iter())).end()),
            Self::Failed(refusal) => Err(refusal),
        }
    }
}

/// Returns the error for an answer with too many channels.
pub(super) fn too_many() -> Refusal {
    let message = alloc::format!("limit exceeded: more than {CHANNELS_MAX} channels match the pattern").into();
    Refusal { message, ..Refusal::LIMIT_EXCEEDED }
}
