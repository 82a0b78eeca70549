//! The ends of a world of links: peers, model servers, and pairs that connect the server to itself.

use super::server::Server;
use drupe_core::Random;
use drupe_core::sim::{Act, Actor, Client};
use std::cell::RefCell;
use std::mem::take;
use std::rc::Rc;

pub(crate) enum End {
    Peer(Client),
    Server(Box<Server>),
    /// One side of a [`Pair`]: the dialled one, or the one that connects to a listener.
    Side(Side, Rc<RefCell<Pair>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialled,
    Accepted,
}

/// A link of the server to one of its own listeners.
#[derive(Default)]
pub(crate) struct Pair {
    to_dialled: Vec<u8>,
    to_accepted: Vec<u8>,
    /// The number of the dialled connection, while there is one.
    dialled: Option<u32>,
    count: u32,
    /// The number of the dialled connection to which the accepted one belongs.
    accepted: Option<u32>,
    /// Whether the accepted connection has ended, so that the dialled one must.
    is_over: bool,
}

impl Pair {
    fn connected(&mut self, side: Side) {
        match side {
            Side::Dialled => {
                self.count += 1;
                (self.dialled, self.is_over) = (Some(self.count), false);
                self.to_accepted.clear();
                self.to_dialled.clear();
            }
            Side::Accepted => self.accepted = None,
        }
    }

    /// Returns whether both sides are joined. A free accepted side joins a dialled one.
    fn is_joined(&mut self) -> bool {
        if self.accepted.is_none() {
            self.accepted = self.dialled;
        }
        self.dialled.is_some() && self.accepted == self.dialled
    }

    fn act(&mut self, side: Side) -> Act {
        match side {
            // The accepted side of a link that has ended.
            Side::Accepted if self.accepted.is_some() && self.accepted != self.dialled => Act::Leave,
            Side::Dialled if take(&mut self.is_over) => Act::Leave,
            _ => Act::Wait,
        }
    }

    fn replies(&mut self, side: Side) -> Vec<u8> {
        match (side, self.is_joined()) {
            (_, false) => Vec::new(),
            (Side::Dialled, true) => take(&mut self.to_dialled),
            (Side::Accepted, true) => take(&mut self.to_accepted),
        }
    }

    fn hear(&mut self, side: Side, bytes: &[u8]) {
        match side {
            Side::Dialled => self.to_accepted.extend_from_slice(bytes),
            Side::Accepted if self.is_joined() => self.to_dialled.extend_from_slice(bytes),
            Side::Accepted => {}
        }
    }

    fn over(&mut self, side: Side) {
        match side {
            Side::Dialled => self.dialled = None,
            Side::Accepted => {
                self.is_over = self.accepted.is_some() && self.accepted == self.dialled;
                self.accepted = None;
                if self.is_over {
                    // Another accepted side must not take what is left.
                    self.accepted = Some(0);
                }
            }
        }
    }
}

impl Actor for End {
    fn connected(&mut self, random: &mut Random) -> Vec<u8> {
        match self {
            Self::Peer(client) => client.connected(random),
            Self::Server(server) => server.connected(random),
            Self::Side(side, pair) => {
                pair.borrow_mut().connected(*side);
                Vec::new()
            }
        }
    }

    fn act(&mut self, random: &mut Random) -> Act {
        match self {
            Self::Peer(client) => client.act(random),
            Self::Server(server) => server.act(random),
            Self::Side(side, pair) => pair.borrow_mut().act(*side),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        match self {
            Self::Peer(client) => client.hear(bytes),
            Self::Server(server) => server.hear(bytes),
            Self::Side(side, pair) => pair.borrow_mut().hear(*side, bytes),
        }
    }

    fn replies(&mut self) -> Vec<u8> {
        match self {
            Self::Peer(client) => client.replies(),
            Self::Server(server) => server.replies(),
            Self::Side(side, pair) => pair.borrow_mut().replies(*side),
        }
    }

    fn finished(&mut self) -> bool {
        match self {
            Self::Peer(client) => client.finished(),
            Self::Server(_) | Self::Side(..) => true,
        }
    }

    fn refused(&mut self, farewell: &[u8]) {
        if let Self::Peer(client) = self {
            client.refused(farewell);
        }
    }

    fn over(&mut self) {
        match self {
            Self::Peer(client) => client.over(),
            Self::Server(_) => {}
            Self::Side(side, pair) => pair.borrow_mut().over(*side),
        }
    }

    fn rested(&mut self) {
        if let Self::Peer(client) = self {
            client.rested();
        }
    }

    fn answers_pings(&self) -> bool {
        matches!(self, Self::Peer(client) if client.answers_pings())
    }

    fn broken(&self) -> Option<String> {
        match self {
            Self::Peer(client) => client.broken(),
            Self::Server(_) | Self::Side(..) => None,
        }
    }
}
