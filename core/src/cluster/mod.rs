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
//! members are told of one gap. If the history contradicts the position, the broker has lost messages. The host then
//! begins a new epoch, so that clients that compare only epochs and offsets also learn of the loss.
//!
//! While the history of a room is read, live messages of the room wait. Those that the history does not have follow its
//! end. With Redis they are dropped: whatever was published before the read is in its reply, and whatever is published
//! after it comes after the reply, because both come over one connection.

mod broker;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod broker_message;
mod checking;
mod claims;
mod engine;
mod envelope;
mod fault;
mod filling;
mod follow;
mod hearing;
mod holding;
mod linking;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod model;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod model_broker;
#[cfg(any(test, feature = "sim"))]
pub(crate) mod model_nats;
mod names;
pub(crate) mod nats;
mod news;
mod output;
mod parts;
mod people;
mod presence;
mod publishing;
mod purpose;
mod reading;
mod redis;
pub(crate) mod resp;
mod returning;
mod role;
mod room;
mod telling;
#[cfg(test)]
mod tests;

pub(crate) use fault::LinkFault;
pub(crate) use linking::WantedLink;
pub(crate) use output::Output;
pub(crate) use publishing::Submission;
pub(crate) use room::Ask;

use crate::base::{Random, Time};
use crate::config;
use crate::history::Marks;
use crate::metrics::ClusterMetrics;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use broker::{Answer, Request};
use engine::Link;
use names::Names;
use parts::{Checking, Filling, Hosts, KeptPositions, Linking};
use purpose::Purpose;
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
    link: Option<Link<Purpose>>,
    linking: Linking,
    rooms: BTreeMap<Arc<str>, Room>,
    filling: Filling,
    kept: KeptPositions,
    /// When this host last reported that the broker has refused a message.
    refusal_told_at: Option<Time>,
    checking: Checking,
    hosts: Hosts,
    output: VecDeque<Output>,
    pub(crate) metrics: ClusterMetrics,
    /// Whether positions are compared by epoch and offset only, as a control of the tests.
    #[cfg(test)]
    offsets_only: bool,
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
            filling: Filling::default(),
            kept: KeptPositions::default(),
            refusal_told_at: None,
            checking: Checking::default(),
            hosts: Hosts::default(),
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

    /// Returns `true` if [`next_output`](Self::next_output) has something.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Returns `true` if [`take_output`](Self::take_output) has something.
    pub(crate) fn has_bytes(&self) -> bool {
        self.link.as_ref().is_some_and(Link::has_output)
    }

    /// Returns `true` if the link works.
    pub(crate) fn is_up(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_up)
    }

    /// Returns the time at which [`elapsed`](Self::elapsed) is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let link = self.link.as_ref().and_then(Link::deadline);
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
            Purpose::Publish { room, keep, from, request } => {
                self.published(now, (&room, keep), from, request, &answer);
            }
            Purpose::Asks(room, from, number) => self.asks_read(now, &room, (from, number), answer),
            Purpose::History { keep, from, request, range, max } => {
                self.history_read(keep, (from, request), range, max, answer);
            }
            Purpose::Open(room, number) => self.opened(now, &room, number, &answer),
            Purpose::Fill(room, number) => self.filled(now, &room, number, answer),
            Purpose::Renew(room, number) => self.renewed(now, &room, number, &answer),
            Purpose::Check(room) => self.checked(now, &room, &answer),
            Purpose::Hosts(room, keep) => self.hosts_read(now, (&room, keep), answer),
            Purpose::NamesOf(room, host, reading) => self.names_read(now, &room, (host, reading), answer),
            Purpose::Names(room, version) => self.names_written(now, &room, version, &answer),
            Purpose::Lease => self.lease_renewed(now, &answer),
            Purpose::Leases(hosts) => self.leases_read(now, &hosts, answer),
            Purpose::Claim(from, request) => self.claimed(from, request, &answer),
            Purpose::Nothing => {}
        }
    }
}
