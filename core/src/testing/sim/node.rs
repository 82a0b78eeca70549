//! One shard of the server: a machine, its sockets, and its mail from other shards.

use super::Watch;
use super::digest::Digest;
use crate::base::{ConnId, DialId, ListenerId, Peer, Time};
use crate::config::Config;
use crate::facts::record::Recorder;
use crate::facts::{Shard, ShardMessage};
use crate::handler::Handler;
use crate::history::RoomHistories;
use crate::machine::{End, Machine};
use crate::state::Job;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;

pub(super) struct Node<H: Handler> {
    pub(super) machine: Machine<Watch<H>>,
    /// The sockets, each at the index of its connection, as in a shell.
    pub(super) sockets: Vec<Option<Plug>>,
    /// Mail from other shards, one queue per sender.
    pub(super) inbox: Vec<VecDeque<Mail>>,
    /// The attempts of dials in progress, by their numbers among all attempts.
    pub(super) dialing: BTreeMap<DialId, usize>,
    /// Whether a dial has had TLS.
    pub(super) dials_tls: bool,
    /// Offloaded jobs that have not run yet.
    pub(super) jobs: VecDeque<Job>,
    /// Time until which the shard does nothing, if it is stalled.
    pub(super) stalled_until: Option<Time>,
    pub(super) held_back: bool,
    /// The initial configuration and all later ones.
    pub(super) configs: Vec<Config>,
    /// Number of bytes that the machine received.
    pub(super) bytes_in: u64,
    /// Digest of all bytes that sockets accepted.
    pub(super) written: Digest,
    /// The last copy of the histories of rooms, if any.
    pub(super) histories: Option<RoomHistories>,
}

/// A connection's socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plug {
    pub(super) conn: ConnId,
    pub(super) peer: usize,
    /// The stored intent. `None` until `next_changed` first returns the connection.
    pub(super) shown: Option<Shown>,
}

/// The part of an intent that a shell stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    read: bool,
    bytes: usize,
    end: End,
}

/// Mail between shards: messages, accepted connections and new configurations.
pub(super) enum Mail {
    ShardMessage(ShardMessage),
    Connection(ListenerId, Peer, usize),
    Reconfigured(Box<Config>),
}

impl<H: Handler> Node<H>
where
    H::Note: fmt::Display,
{
    pub(super) fn new(config: Config, handler: H, shard: Shard) -> Self {
        let mut machine = Machine::shard(config.clone(), Watch::new(handler), shard);
        machine.record(Recorder::keeping());
        // A failed assertion of the handler must fail the test.
        machine.keep_panics(true);
        Self {
            machine,
            sockets: Vec::new(),
            inbox: (0..shard.count()).map(|_| VecDeque::new()).collect(),
            dialing: BTreeMap::new(),
            dials_tls: false,
            jobs: VecDeque::new(),
            stalled_until: None,
            held_back: false,
            configs: alloc::vec![config],
            bytes_in: 0,
            written: Digest::default(),
            histories: None,
        }
    }

    /// Returns `true` if a listener has TLS, or if a dial has had it.
    pub(super) fn has_tls(&self) -> bool {
        self.dials_tls || self.configs.iter().flat_map(|config| &config.listeners).any(|listen| listen.tls.is_some())
    }

    pub(super) fn shown(&self, conn: ConnId) -> Option<Shown> {
        let intent = self.machine.intent(conn)?;
        Some(Shown { read: intent.read, bytes: intent.transmit.len(), end: intent.end })
    }

    /// Updates `bytes` and `end` of a stored intent after a write, as a shell does.
    pub(super) fn looked(&mut self, conn: ConnId) {
        let Some(new) = self.shown(conn) else { return };
        if let Some(Some(Plug { shown: Some(shown), .. })) = self.sockets.get_mut(conn.index()) {
            (shown.bytes, shown.end) = (new.bytes, new.end);
        }
    }

    pub(super) fn plug(&self, conn: ConnId) -> Option<Plug> {
        self.sockets.get(conn.index()).copied().flatten().filter(|plug| plug.conn == conn)
    }

    /// Returns the number of items in the inbox.
    pub(super) fn waiting(&self) -> usize {
        self.inbox.iter().map(VecDeque::len).sum()
    }
}
