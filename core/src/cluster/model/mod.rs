//! A model of a Redis server, with faults: what the scripts of the link do, in memory, over its protocol.
//!
//! It keeps a ledger of all that was ever published, so that a world can compare what members got with the truth.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "only the link and worlds use it")]

mod commands;
mod data;
mod scripts;

pub(crate) use data::{Data, Published};

use crate::base::Time;
use crate::cluster::redis::Script;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

/// A Redis server with one node.
#[derive(Debug)]
pub(crate) struct ModelRedis {
    data: Data,
    clients: BTreeMap<u32, Client>,
    /// The clients of each channel.
    subscribers: Subscribers,
    next_client: u32,
    /// The scripts that the server has, by their hashes.
    scripts: BTreeMap<Vec<u8>, Script>,
    /// All messages that were ever published to rooms.
    ledger: Vec<Published>,
    pub(crate) faults: Faults,
    pub(crate) work: Work,
}

type Subscribers = BTreeMap<Vec<u8>, BTreeSet<u32>>;

/// What a server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Commands of all kinds, the others here included.
    pub(crate) commands: u64,
    /// Messages that were published to rooms.
    pub(crate) publishes: u64,
    /// The part of these messages that a history has kept.
    pub(crate) kept: u64,
    /// Histories that were read.
    pub(crate) reads: u64,
    /// Messages that were sent to subscribers, once for each.
    pub(crate) deliveries: u64,
}

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The server answers commands, but delivers no message.
    pub(crate) is_deaf: bool,
    /// What a command publishes comes to its sender before the reply, as in Redis 7.0.
    pub(crate) publishes_first: bool,
    /// Commands that write are refused for lack of memory.
    pub(crate) is_full: bool,
    /// The server is a replica.
    pub(crate) is_replica: bool,
}

#[derive(Debug, Default)]
struct Client {
    input: Vec<u8>,
    output: Vec<u8>,
    channels: BTreeSet<Vec<u8>>,
}

impl ModelRedis {
    pub(crate) fn new() -> Self {
        Self {
            data: Data::default(),
            clients: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            next_client: 0,
            scripts: BTreeMap::new(),
            ledger: Vec::new(),
            faults: Faults::default(),
            work: Work::default(),
        }
    }

    /// Accepts a connection.
    pub(crate) fn connect(&mut self) -> u32 {
        self.next_client += 1;
        self.clients.insert(self.next_client, Client::default());
        self.next_client
    }

    pub(crate) fn disconnect(&mut self, client: u32) {
        let Some(found) = self.clients.remove(&client) else { return };
        for channel in found.channels {
            unsubscribe(&mut self.subscribers, &channel, client);
        }
    }

    /// Ends all connections.
    pub(crate) fn disconnect_all(&mut self) {
        self.clients.clear();
        self.subscribers.clear();
    }

    pub(crate) fn has(&self, client: u32) -> bool {
        self.clients.contains_key(&client)
    }

    /// Carries out the complete commands in what a client sends.
    pub(crate) fn receive(&mut self, now: Time, client: u32, bytes: &[u8]) {
        let Some(found) = self.clients.get_mut(&client) else { return };
        found.input.extend_from_slice(bytes);
        while let Some(found) = self.clients.get_mut(&client) {
            let Some((parts, length)) = command(&found.input) else { return };
            found.input.drain(..length);
            self.run(now, client, &parts);
        }
    }

    /// Returns what a client is sent.
    pub(crate) fn take_output(&mut self, client: u32) -> Vec<u8> {
        self.clients.get_mut(&client).map(|client| core::mem::take(&mut client.output)).unwrap_or_default()
    }

    /// Returns a copy of the data, for [`restore`](Self::restore).
    pub(crate) fn snapshot(&self) -> Data {
        self.data.clone()
    }

    /// Goes back to earlier data, as after a restart that lost the last writes. The messages since then count as lost.
    pub(crate) fn restore(&mut self, data: Data) {
        self.data = data;
        for published in &mut self.ledger {
            published.was_lost |= !self.data.published.contains(&published.number);
        }
        self.scripts.clear();
    }

    /// Removes all data.
    #[cfg(test)]
    pub(crate) fn flush(&mut self) {
        self.restore(Data::default());
    }

    /// Forgets the scripts.
    pub(crate) fn forget_scripts(&mut self) {
        self.scripts.clear();
    }

    /// Removes one key.
    #[cfg(test)]
    pub(crate) fn evict(&mut self, key: &[u8]) {
        self.data.remove(key);
    }

    /// Returns all messages that were ever published to rooms, in order.
    pub(crate) fn ledger(&self) -> &[Published] {
        &self.ledger
    }

    /// Returns the epoch, the offset and the mark of a room.
    #[cfg(test)]
    pub(crate) fn top(&self, meta: &[u8]) -> Option<[Vec<u8>; 3]> {
        self.data.top(meta)
    }

    fn publish(&mut self, channel: &[u8], data: &[u8]) -> usize {
        if self.faults.is_deaf {
            return 1;
        }
        let Some(subscribers) = self.subscribers.get(channel) else { return 0 };
        let mut push = b">3\r\n$7\r\nmessage\r\n".to_vec();
        bulk(&mut push, channel);
        bulk(&mut push, data);
        for client in subscribers {
            let client = self.clients.get_mut(client).expect("a client that has gone has no channels");
            client.output.extend_from_slice(&push);
        }
        self.work.deliveries += subscribers.len() as u64;
        subscribers.len()
    }
}

fn unsubscribe(subscribers: &mut Subscribers, channel: &[u8], client: u32) {
    if let Some(clients) = subscribers.get_mut(channel) {
        clients.remove(&client);
        if clients.is_empty() {
            subscribers.remove(channel);
        }
    }
}

/// Reads a command: its parts, and its length in bytes. `None`: it is not complete.
fn command(input: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut at = 0;
    let count = number(input, &mut at, b'*')?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let length = number(input, &mut at, b'$')?;
        parts.push(input.get(at..at + length)?.to_vec());
        at += length + 2;
    }
    (at <= input.len()).then_some((parts, at))
}

fn number(input: &[u8], at: &mut usize, kind: u8) -> Option<usize> {
    let rest = input.get(*at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(rest.first(), Some(&kind), "the link sends commands as arrays of bulk strings");
    *at += end + 2;
    core::str::from_utf8(&rest[1..end]).ok()?.parse().ok()
}

fn bulk(output: &mut Vec<u8>, text: &[u8]) {
    output.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
    output.extend_from_slice(text);
    output.extend_from_slice(b"\r\n");
}
