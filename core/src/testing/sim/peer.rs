//! Peers, and the links that they are connected by.

use crate::base::{ConnId, ListenerId, Peer, Random};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// What a simulated peer says and hears.
pub trait Actor {
    /// It is connected. What it sends at once.
    fn connected(&mut self, _: &mut Random) -> Vec<u8> {
        Vec::new()
    }

    /// What it does when it may do something.
    fn act(&mut self, random: &mut Random) -> Act;

    /// It hears bytes, cut anyhow.
    fn hear(&mut self, bytes: &[u8]);

    /// What it answers at once to what it heard.
    fn replies(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// The server has closed its half. Whether the peer closes as well, once everything that it said has arrived.
    fn finished(&mut self) -> bool {
        true
    }

    /// It was refused with these bytes; [`over`](Self::over) follows.
    fn refused(&mut self, _: &[u8]) {}

    /// Its connection is over, or was refused.
    fn over(&mut self) {}

    /// Everything that it said has arrived and been served, and it has heard everything that was sent to it.
    fn rested(&mut self) {}

    /// Whether it has answered every ping that it heard.
    fn answers_pings(&self) -> bool {
        false
    }

    /// What it saw that a server must not do, if anything.
    fn broken(&self) -> Option<String> {
        None
    }
}

/// What a peer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Wait,
    /// It sends bytes.
    Say(Vec<u8>),
    /// It ends its half.
    End,
    /// It closes, reading nothing more.
    Leave,
}

/// What a peer is connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It takes whatever is sent to it at once, brings what its peer says before time passes, and never breaks.
    Steady,
    /// It takes a little at a time, stalls for long, and may break.
    Troubled,
}

/// Where a peer connects, and from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) listener: ListenerId,
    /// `None` is an address of its own.
    pub(super) from: Option<Peer>,
    /// It connects again when its connection is over.
    pub(super) returns: bool,
    /// It is dialled and does not connect by itself.
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
    pub(super) link: Link,
    /// Its link was never anything else.
    pub(super) always_steady: bool,
    pub(super) socket: Socket,
    /// On its way to the server.
    pub(super) sent: VecDeque<u8>,
    /// Our half is closed once `sent` has arrived.
    pub(super) ended: bool,
    /// It has closed its socket, and reads nothing more.
    pub(super) left: bool,
    /// The server has closed its half.
    pub(super) finished: bool,
    /// The end of our half was told.
    pub(super) told_end: bool,
    /// How many more bytes the link takes from the server.
    pub(super) writable: usize,
    /// Bytes that were told as received, of this connection.
    pub(super) told: u64,
    pub(super) conns: Vec<ConnId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Connecting,
    /// Waits to be dialled.
    Remote,
    /// On the way to another shard.
    Handed,
    Open(ConnId),
    Closed,
}

/// How much a socket with room takes.
pub(super) const ROOMY: usize = usize::MAX >> 1;

impl<A: Actor> PeerEnd<A> {
    pub(super) fn new(place: Place, link: Link, actor: A) -> Self {
        Self {
            actor,
            place,
            link,
            always_steady: link == Link::Steady,
            socket: if place.is_remote { Socket::Remote } else { Socket::Connecting },
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

    /// It has a connection from now on.
    pub(super) fn connected(&mut self, conn: ConnId) {
        self.socket = Socket::Open(conn);
        self.conns.push(conn);
    }

    /// It begins to speak.
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

    /// The server's bytes arrive, as far as the link takes them; returns how many.
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
        if !self.told_end {
            self.sent.extend(self.actor.replies());
        }
        taken
    }

    /// There is something that the server could read.
    pub(super) fn has_input(&self) -> bool {
        !self.sent.is_empty() || !self.told_end && self.ends()
    }

    /// Its half is closed behind what is on the way.
    pub(super) const fn ends(&self) -> bool {
        self.ended || self.finished
    }
}
