//! Peers that wait for the homes of rooms.

use crate::base::ConnId;
use crate::state::{RoomRequest, Ticket};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The tickets of peers that wait for the homes of rooms.
#[derive(Debug, Default)]
pub(in crate::kit) struct RoomWaits {
    /// The subscriptions that wait for what the member missed, by member and room.
    joins: BTreeMap<(ConnId, Box<str>), Ticket>,
    /// The messages and pages that wait for an answer.
    requests: BTreeMap<RoomRequest, Asked>,
}

/// A request of a peer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ticket: Ticket,
    /// The type of the message, or the name of the method.
    pub(super) kind: &'static str,
    pub(super) room: Box<str>,
}

impl RoomWaits {
    /// Adds a subscription, which replaces an earlier one of this member in this room.
    pub(super) fn join(&mut self, room: &str, ticket: Ticket) {
        self.joins.insert((ticket.conn(), room.into()), ticket);
    }

    /// Removes and returns the ticket of a subscription.
    pub(super) fn take_join(&mut self, conn: ConnId, room: &str) -> Option<Ticket> {
        self.joins.remove(&(conn, room.into()))
    }

    /// Removes the subscription with this ticket. Returns its room.
    pub(in crate::kit) fn take_join_of(&mut self, ticket: Ticket) -> Option<Box<str>> {
        let key = self.joins_of(ticket.conn()).find(|&(_, &of)| of == ticket).map(|(key, _)| key.clone())?;
        self.joins.remove(&key);
        Some(key.1)
    }

    /// Adds a request.
    pub(super) fn ask(&mut self, request: RoomRequest, kind: &'static str, room: &str, ticket: Ticket) {
        self.requests.insert(request, Asked { ticket, kind, room: room.into() });
    }

    /// Removes and returns a request. `None`: the application has made it itself.
    pub(super) fn take_request(&mut self, request: RoomRequest) -> Option<Asked> {
        self.requests.remove(&request)
    }

    /// Removes the subscriptions of a connection that has closed. Its requests are still answered.
    pub(in crate::kit) fn closed(&mut self, conn: ConnId) {
        let keys: Vec<_> = self.joins_of(conn).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.joins.remove(&key);
        }
    }

    fn joins_of(&self, conn: ConnId) -> impl Iterator<Item = (&(ConnId, Box<str>), &Ticket)> {
        self.joins.range((conn, Box::from(""))..).take_while(move |((of, _), _)| *of == conn)
    }
}
