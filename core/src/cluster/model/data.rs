//! The data of a model of a Redis server.

use crate::base::Time;
use crate::cluster::broker_message::BrokerMessage;
use crate::cluster::names::Names;
use crate::history::Position;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// All keys of a server, and what it needs to know when it goes back to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    pub(super) hashes: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(super) strings: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) streams: BTreeMap<Vec<u8>, Vec<Entry>>,
    expires: BTreeMap<Vec<u8>, Time>,
    /// No key expires before this time.
    expires_from: Option<Time>,
    /// The numbers of all messages that were published on the way to these data.
    pub(super) published: BTreeSet<u64>,
}

/// A message in a stream.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) mark: Vec<u8>,
    pub(super) previous: Vec<u8>,
    pub(super) at: u64,
    pub(super) data: Vec<u8>,
}

/// A message that was published to a room.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// The number of the message among all, from 1.
    pub(crate) number: u64,
    pub(crate) channel: Vec<u8>,
    pub(crate) epoch: Vec<u8>,
    pub(crate) offset: u64,
    pub(crate) mark: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// Whether the server has gone back to data without it.
    pub(crate) was_lost: bool,
}

impl Published {
    /// Returns the message as the hosts of a cluster with this prefix see it.
    pub(crate) fn shown(&self, prefix: &str) -> Option<BrokerMessage> {
        let hex = |text: &[u8]| u64::from_str_radix(core::str::from_utf8(text).ok()?, 16).ok();
        let position = Position::new(hex(&self.epoch)?, self.offset, hex(&self.mark)?);
        let room = Names::new(prefix.into()).room_of(&self.channel)?;
        BrokerMessage::new(room, position, self.data.clone(), self.was_lost)
    }
}

impl Data {
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.hashes.remove(key);
        self.strings.remove(key);
        self.streams.remove(key);
        self.expires.remove(key);
    }

    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.hashes.contains_key(key) || self.strings.contains_key(key) || self.streams.contains_key(key)
    }

    /// Sets when a key expires.
    pub(super) fn expire_at(&mut self, key: &[u8], at: Time) {
        self.expires.insert(key.to_vec(), at);
        self.expires_from = Some(self.expires_from.map_or(at, |from| from.min(at)));
    }

    /// Removes the keys whose time is over.
    pub(super) fn expire(&mut self, now: Time) {
        // Each command asks, and there can be a million keys.
        if self.expires_from.is_none_or(|from| from > now) {
            return;
        }
        let due: Vec<_> = self.expires.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        due.iter().for_each(|key| self.remove(key));
        self.expires_from = self.expires.values().min().copied();
    }

    pub(super) fn top(&self, meta: &[u8]) -> Option<[Vec<u8>; 3]> {
        let fields = self.hashes.get(meta)?;
        Some([fields.get(&b"e"[..])?.clone(), fields.get(&b"o"[..])?.clone(), fields.get(&b"k"[..])?.clone()])
    }

    pub(super) fn set_top(&mut self, meta: &[u8], top: [&[u8]; 3]) {
        let fields = self.hashes.entry(meta.to_vec()).or_default();
        for (name, value) in [b"e", b"o", b"k"].into_iter().zip(top) {
            fields.insert(name.to_vec(), value.to_vec());
        }
    }
}
