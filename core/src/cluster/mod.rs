//! Rooms that many hosts share: their home is a broker.
//!
//! A [`Cluster`] is the part of one host in that: it speaks to the broker over one connection, its *link*, publishes
//! what shards of this host send, and passes on what the broker publishes. It holds no clock and does no I/O.
//!
//! # No silent gap
//!
//! Each message carries a random mark and the mark of the message before it. A live message is passed on only if it
//! follows the position of the room. If it does not, and after each loss of the link, the host reads the history from
//! its position on, inclusive, and passes on what follows. If the history does not prove that nothing is missing,
//! members are told of one gap. A position that the history contradicts begins a new epoch, so that clients which
//! compare only epochs and offsets learn of the loss too.
//!
//! While the history of a room is read, live messages of the room are dropped: whatever was published before the read
//! is in its reply, and whatever is published after it comes after the reply, because both come over one connection.

mod asking;
mod broker;
mod checking;
mod envelope;
mod fault;
mod filling;
mod follow;
mod hearing;
mod linking;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod model;
mod names;
mod people;
mod presence;
mod publishing;
mod redis;
pub(crate) mod resp;
mod room;
mod telling;
#[cfg(test)]
mod tests;

pub(crate) use fault::LinkFault;
pub(crate) use linking::WantedLink;
pub(crate) use publishing::Submission;
pub(crate) use room::Ask;

use crate::base::{Random, Time};
use crate::config::{self, Engine};
use crate::facts::{HistoryRange, RoomMessage};
use crate::history::{Keep, Marks};
use crate::metrics::ClusterMetrics;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use broker::{Answer, Request};
use linking::Linking;
use names::Names;
use redis::RedisLink;
use room::Room;

/// The part of this host in a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    options: config::Cluster,
    names: Names,
    /// The number of this host: random, and new with each start.
    host: u64,
    marks: Marks,
    random: Random,
    link: Option<RedisLink<Purpose>>,
    linking: Linking,
    rooms: BTreeMap<Arc<str>, Room>,
    filling: filling::Filling,
    kept: publishing::KeptPositions,
    checking: checking::Checking,
    hosts: presence::Hosts,
    output: VecDeque<Output>,
    pub(crate) metrics: ClusterMetrics,
    /// Whether positions are compared by epoch and offset only, as a control of the tests.
    #[cfg(test)]
    offsets_only: bool,
}

/// What a cluster tells this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A message to one shard.
    ToShard(u8, RoomMessage),
    /// A message to all shards with members of its room.
    ToHolders(RoomMessage),
    /// A message from another host.
    FromHost { topic: Arc<str>, content: Arc<str> },
    /// The link works now.
    Up,
    /// The link has ended, or could not be made.
    Down(Option<LinkFault>),
}

/// For what a request to the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Publish {
        room: Arc<str>,
        from: u8,
        request: Option<u64>,
    },
    Ask(Arc<str>, Ask),
    History {
        keep: Keep,
        from: u8,
        request: u64,
        range: HistoryRange,
        max: u32,
    },
    Open(Arc<str>),
    Fill(Arc<str>),
    Renew(Arc<str>),
    Check(Arc<str>),
    Hosts(Arc<str>),
    /// The names of a host, with the number of the reading.
    NamesOf(Arc<str>, u64, u64),
    /// A change of this host's names, with their new version.
    Names(Arc<str>, u64),
    Lease,
    Leases(Arc<[u64]>),
    Nothing,
}

impl Purpose {
    const fn is_publish(&self) -> bool {
        matches!(self, Self::Publish { .. })
    }

    /// Returns `true` if the answer may be long, so that few of them are asked for at a time.
    const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Ask(..) | Self::History { .. } | Self::Open(_) | Self::Fill(_) | Self::Hosts(_) | Self::NamesOf(..)
        )
    }
}

impl Cluster {
    /// Creates the part of a host, which wants a link at once. `seed` must be different on each host.
    pub(crate) fn new(now: Time, options: config::Cluster, seed: u64) -> Self {
        let mut marks = Marks::new(seed);
        Self {
            names: Names::new(Arc::clone(&options.prefix)),
            host: marks.next(),
            marks,
            random: Random::new(seed),
            link: None,
            linking: Linking::new(now),
            rooms: BTreeMap::new(),
            filling: filling::Filling::default(),
            kept: publishing::KeptPositions::default(),
            checking: checking::Checking::default(),
            hosts: presence::Hosts::default(),
            output: VecDeque::new(),
            metrics: ClusterMetrics::default(),
            #[cfg(test)]
            offsets_only: false,
            options,
        }
    }

    /// Returns what happened next.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Returns `true` if the link works.
    pub(crate) fn is_up(&self) -> bool {
        self.link.as_ref().is_some_and(RedisLink::is_up)
    }

    /// Returns the time at which [`elapsed`](Self::elapsed) is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let link = self.link.as_ref().and_then(RedisLink::deadline);
        let rooms = [self.filling_deadline(), self.asks_deadline(), self.checking_deadline()];
        rooms.into_iter().chain([link, self.linking_deadline()]).flatten().min()
    }

    /// Handles the passing of time.
    pub(crate) fn elapsed(&mut self, now: Time) {
        if let Some(link) = &mut self.link {
            link.elapsed(now);
        }
        self.keep_link_alive(now);
        self.expire_asks(now);
        self.check_quiet_rooms(now);
        self.handle_heard(now);
    }

    /// Sends a request, if the link works.
    fn request(&mut self, now: Time, request: Request, purpose: Purpose) {
        match self.link.as_mut().filter(|link| link.is_up()) {
            Some(link) => link.request(now, request, purpose),
            None => self.answered(now, purpose, Answer::Lost),
        }
    }

    /// Handles the answer to a request.
    fn answered(&mut self, now: Time, purpose: Purpose, answer: Answer) {
        match purpose {
            Purpose::Publish { room, from, request } => self.published(&room, from, request, &answer),
            Purpose::Ask(room, ask) => self.ask_read(now, &room, ask, answer),
            Purpose::History { keep, from, request, range, max } => {
                self.history_read(keep, (from, request), range, max, answer);
            }
            Purpose::Open(room) => self.opened(now, &room, &answer),
            Purpose::Fill(room) => self.filled(now, &room, answer),
            Purpose::Renew(room) => self.renewed(now, &room, &answer),
            Purpose::Check(room) => self.checked(now, &room, &answer),
            Purpose::Hosts(room) => self.hosts_read(now, &room, answer),
            Purpose::NamesOf(room, host, reading) => self.names_read(now, &room, (host, reading), answer),
            Purpose::Names(room, version) => self.names_written(now, &room, version, &answer),
            Purpose::Lease => self.lease_renewed(now, &answer),
            Purpose::Leases(hosts) => self.leases_read(now, &hosts, answer),
            Purpose::Nothing => {}
        }
    }

    fn engine(&self) -> &config::Redis {
        let Engine::Redis(redis) = &self.options.engine;
        redis
    }
}
