//! Peers of which some are clients.

use drupe_core::Random;
use drupe_core::sim::{Act, Actor, Client};

/// A client of the server, or another peer.
pub(crate) enum Party<O> {
    Client(Box<Client>),
    Other(O),
}

impl<O: Actor> Party<O> {
    fn as_actor(&mut self) -> &mut dyn Actor {
        match self {
            Self::Client(client) => &mut **client,
            Self::Other(other) => other,
        }
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        match self {
            Self::Client(client) => Some(client),
            Self::Other(_) => None,
        }
    }
}

impl<O: Actor> Actor for Party<O> {
    fn connected(&mut self, random: &mut Random) -> Vec<u8> {
        self.as_actor().connected(random)
    }

    fn act(&mut self, random: &mut Random) -> Act {
        self.as_actor().act(random)
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.as_actor().hear(bytes);
    }

    fn replies(&mut self) -> Vec<u8> {
        self.as_actor().replies()
    }

    fn finished(&mut self) -> bool {
        self.as_actor().finished()
    }

    fn refused(&mut self, bytes: &[u8]) {
        self.as_actor().refused(bytes);
    }

    fn over(&mut self) {
        self.as_actor().over();
    }

    fn rested(&mut self) {
        self.as_actor().rested();
    }

    fn answers_pings(&self) -> bool {
        match self {
            Self::Client(client) => client.answers_pings(),
            Self::Other(other) => other.answers_pings(),
        }
    }

    fn broken(&self) -> Option<String> {
        match self {
            Self::Client(client) => client.broken(),
            Self::Other(other) => other.broken(),
        }
    }
}
