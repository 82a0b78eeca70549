//! Simulated peers and their links.

use crate::base::{ConnId, ListenerId, Peer, Random, Time};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// The behaviour of a simulated peer.
pub trait Actor {
    /// Called when the peer connects. Returns the bytes that it sends at once.
    fn connected(&mut self, _: &mut Random) -> Vec<u8> {
        Vec::new()
    }

    /// Chooses the peer's next action.
    fn act(&mut self, random: &mut Random) -> Act;

    /// Handles bytes from the server, split at arbitrary positions.
    fn hear(&mut self, bytes: &[u8]);

    /// Returns the bytes that the peer sends at once in reply to what it received.
    fn replies(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Called when the server closed its half. Returns whether the peer closes its half too.
    ///
    /// It does so once everything that it sent has arrived. Default: true.
    fn finished(&mut self) -> bool {
        true
    }

    /// Called when the server refused the peer with these bytes. [`over`](Self::over) follows.
    fn refused(&mut self, _: &[u8]) {}

    /// Called when the connection is over or was refused.
    fn over(&mut self) {}

    /// Called at the end of [`World::rest`](super::World::rest) if the connection is still open.
    ///
    /// Nothing is then in transit in either direction. Not called if the server does not read.
    fn rested(&mut self) {}

    /// Returns `true` if the peer answers every ping. Default: `false`.
    fn answers_pings(&self) -> bool {
        false
    }

    /// Returns the first violation of the wire's rules that the peer observed, if any.
    fn broken(&self) -> Option<String> {
        None
    }
}

/// An action of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// The peer does nothing.
    Wait,
    /// The peer sends bytes.
    Say(Vec<u8>),
    /// The peer ends its half of the connection.
    End,
    /// The peer closes the connection without reading further.
    Leave,
}

/// The quality of a peer's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// The link transfers everything in both directions before time passes, and never breaks.
    Steady,
    /// The link transfers a few bytes at a time, stalls for long, and may break.
    Troubled,
}

/// How a peer connects: its listener and address, and whether it reconnects or is dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) listener: ListenerId,
    /// The peer's address. `None`: an address that no other peer uses.
    pub(super) from: Option<Peer>,
    /// Whether the peer reconnects when its connection is over.
    pub(super) returns: bool,
    /// Whether the server dials the peer.
    pub(super) is_remote: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self { listener: ListenerId(0), from: None, returns: false, is_remote: false }
    }
}

pub(super) struct PeerEnd<A> {
    pub(super) actor: A,
    pub(super) place: Place,
    /// The address at which the server dials the peer, if it has one.
    pub(super) address: Option<String>,
    pub(super) link: Link,
    /// Whether the link has been steady from the start.
    pub(super) always_steady: bool,
    pub(super) socket: Socket,
    /// When the peer last connected.
    pub(super) since: Time,
    /// Bytes in transit to the server.
    pub(super) sent: VecDeque<u8>,
    /// Whether the peer ends its half once `sent` has arrived.
    pub(super) ended: bool,
    /// Whether the peer has closed its socket and reads nothing more.
    pub(super) left: bool,
    /// Whether the server has closed its half and the peer closes its own in return.
    pub(super) finished: bool,
    /// Whether the machine received the end of the peer's half.
    pub(super) told_end: bool,
    /// Number of bytes that the link still accepts from the server.
    pub(super) writable: usize,
    /// Number of bytes of this connection that the machine received.
    pub(super) told: u64,
    pub(super) conns: Vec<ConnId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Connecting,
    /// The peer waits for the server to dial it.
    Remote,
    /// The connection is in transit to another shard.
    Handed,
    Open(ConnId),
    Closed,
}

/// The value of `writable` for a link that accepts any number of bytes.
pub(super) const ROOMY: usize = usize::MAX >> 1;

impl<A: Actor> PeerEnd<A> {
    pub(super) fn new(place: Place, link: Link, actor: A) -> Self {
        Self {
            actor,
            place,
            address: None,
            link,
            always_steady: link == Link::Steady,
            socket: if place.is_remote { Socket::Remote } else { Socket::Connecting },
            since: Time::START,
            sent: VecDeque::new(),
            ended: false,
            left: false,
            finished: false,
            told_end: false,
            writable: if link == Link::Steady { ROOMY } else { 0 },
            told: 0,
            conns: Vec::new(),
        }
    }

    /// Assigns a connection to the peer.
    pub(super) fn connected(&mut self, now: Time, conn: ConnId) {
        self.since = now;
        self.socket = Socket::Open(conn);
        self.conns.push(conn);
    }

    /// Resets the state for a new connection and queues the peer's first bytes.
    pub(super) fn begin(&mut self, random: &mut Random) {
        self.sent.clear();
        (self.ended, self.left, self.finished, self.told_end, self.told) = (false, false, false, false, 0);
        self.sent.extend(self.actor.connected(random));
    }

    pub(super) fn over(&mut self) {
        self.socket = match self.place {
            Place { is_remote: true, .. } => Socket::Remote,
            Place { returns: true, .. } => Socket::Connecting,
            _ => Socket::Closed,
        };
        self.actor.over();
    }

    /// Passes to the peer as many bytes as the link accepts, and queues the peer's replies.
    ///
    /// Returns the number of bytes that were passed.
    pub(super) fn take<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>) -> usize {
        let mut taken = 0;
        for slice in slices {
            let take = slice.len().min(self.writable);
            self.actor.hear(&slice[..take]);
            self.writable -= if self.writable == ROOMY { 0 } else { take };
            taken += take;
            if take < slice.len() {
                break;
            }
        }
        self.pull();
        taken
    }

    /// Queues what the peer has to send without being asked.
    pub(super) fn pull(&mut self) {
        if !self.told_end {
            self.sent.extend(self.actor.replies());
        }
    }

    /// Returns `true` if the server could read bytes or the end of the peer's half.
    pub(super) fn has_input(&self) -> bool {
        !self.sent.is_empty() || !self.told_end && self.ends()
    }

    /// Returns `true` if the peer's half ends after the bytes in transit.
    pub(super) const fn ends(&self) -> bool {
        self.ended || self.finished
    }
}
