//! Calls in progress: incoming ones that the application answers later, and outgoing ones.

use super::RpcError;
use super::message::{Id, request, response};
use crate::base::{ConnId, Outgoing, work};
use crate::config::TicketError;
use crate::handler::Hub;
use crate::kit::service::id::MessageId;
use crate::kit::service::room_messages::reply::{RoomRefusal, RoomReply};
use crate::kit::service::room_messages::waits::RoomWaits;
use crate::kit::service::rooms::RoomRules;
use crate::state::Ticket;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Why an outgoing call failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The peer answered with an error.
    #[error("{} (code {})", .0.message, .0.code)]
    Remote(RpcError),
    /// Too many calls are in progress.
    #[error("too many calls are in progress")]
    Busy,
    /// The peer did not answer before the deadline.
    #[error("the call timed out")]
    TimedOut,
    /// The server shut down before the peer answered.
    #[error("the server shut down before the peer answered")]
    ShuttingDown,
    /// The connection closed before the peer answered.
    #[error("the connection closed before the peer answered")]
    Closed,
    /// The result could not be deserialized.
    #[error("unexpected result: {0}")]
    Unexpected(String),
}

/// A batch, and the position of a response in the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) batch: BatchId,
    pub(super) place: usize,
}

/// The identifier of a batch: its connection, and a serial number.
pub(super) type BatchId = (ConnId, u64);

struct Batch {
    /// The responses, one for each member in order. `None`: outstanding, or the member gets none.
    responses: Vec<Option<String>>,
    /// Number of deferred calls outstanding, plus one while the members are dispatched.
    missing: usize,
}

enum Pending<T> {
    Theirs {
        id: Option<Id>,
        place: Option<Place>,
    },
    Ours(T),
    /// A message of the peer about a room. It has this type, and the id as JSON.
    Message {
        kind: &'static str,
        id: Option<Box<str>>,
    },
}

/// The pending calls of a service by ticket, its open batches, and its room rules.
///
/// `T` is the continuation of an outgoing call.
pub(crate) struct Calls<T> {
    pending: BTreeMap<Ticket, Pending<T>>,
    batches: BTreeMap<BatchId, Batch>,
    batches_opened: u64,
    /// The rules for which rooms are open to all.
    ///
    /// The calls contain the rules so that a [`Cx`](crate::kit::Cx) can reach them.
    pub(crate) rooms: RoomRules,
    /// The calls and messages that wait for the home of a room.
    pub(in crate::kit) room_waits: RoomWaits,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        let (rooms, room_waits) = (RoomRules::default(), RoomWaits::default());
        Self { pending: BTreeMap::new(), batches: BTreeMap::new(), batches_opened: 0, rooms, room_waits }
    }
}

impl<T> Calls<T> {
    pub(super) fn open_batch(&mut self, conn: ConnId, members: usize) -> BatchId {
        self.batches_opened += 1;
        let id = (conn, self.batches_opened);
        self.batches.insert(id, Batch { responses: alloc::vec![None; members], missing: 1 });
        id
    }

    /// Records that a batch was dispatched. Sends its responses unless some are outstanding.
    pub(super) fn close_batch<C>(&mut self, hub: &mut Hub<'_, C>, batch: BatchId) {
        self.one_less(hub, batch);
    }

    fn one_less<C>(&mut self, hub: &mut Hub<'_, C>, id: BatchId) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.missing -= 1;
        if batch.missing > 0 {
            return;
        }
        if let Some(Batch { responses, .. }) = self.batches.remove(&id) {
            let responses: Vec<_> = responses.into_iter().flatten().collect();
            // A batch of only notifications gets no response (section 6).
            if !responses.is_empty() {
                hub.send(id.0, &alloc::format!("[{}]", responses.join(",")));
            }
        }
    }

    pub(super) fn respond<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, place: Option<Place>, response: String) {
        match place {
            None => drop(hub.send(conn, &response)),
            Some(Place { batch, place }) => {
                let batch = self.batches.get_mut(&batch);
                if let Some(slot) = batch.and_then(|batch| batch.responses.get_mut(place)) {
                    *slot = Some(response);
                }
            }
        }
    }

    /// Registers an incoming call that the application answers later.
    pub(super) fn promise(&mut self, ticket: Ticket, id: Option<Id>, place: Option<Place>) {
        if let Some(batch) = place.and_then(|place| self.batches.get_mut(&place.batch)) {
            batch.missing += 1;
        }
        self.pending.insert(ticket, Pending::Theirs { id, place });
    }

    /// Removes an incoming call. Returns false if it was already answered.
    pub(super) fn forget(&mut self, ticket: Ticket) -> bool {
        let Some(Pending::Theirs { place, .. }) = self.pending.remove(&ticket) else { return false };
        if let Some(batch) = place.and_then(|place| self.batches.get_mut(&place.batch)) {
            batch.missing -= 1;
        }
        true
    }

    /// Answers an incoming call. Returns false if the caller no longer waits.
    pub(crate) fn answer<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        ticket: Ticket,
        result: &Result<String, RpcError>,
    ) -> bool {
        let redeemed = hub.redeem(ticket);
        self.finish(hub, ticket, result);
        redeemed
    }

    fn finish<C>(&mut self, hub: &mut Hub<'_, C>, ticket: Ticket, result: &Result<String, RpcError>) {
        if !matches!(self.pending.get(&ticket), Some(Pending::Theirs { .. })) {
            return;
        }
        let Some(Pending::Theirs { id, place }) = self.pending.remove(&ticket) else { return };
        if let Some(id) = id {
            self.respond(hub, ticket.conn(), place, response(&id, result));
        }
        if let Some(place) = place {
            self.one_less(hub, place.batch);
        }
    }

    /// Registers a message about a room that is answered later.
    pub(in crate::kit) fn promise_message(&mut self, ticket: Ticket, kind: &'static str, id: Option<Box<str>>) {
        self.pending.insert(ticket, Pending::Message { kind, id });
    }

    /// Removes a message about a room.
    pub(in crate::kit) fn forget_message(&mut self, ticket: Ticket) {
        if let Some(Pending::Message { .. }) = self.pending.get(&ticket) {
            self.pending.remove(&ticket);
        }
    }

    /// Answers a call or a message about a room, if its sender still waits.
    pub(in crate::kit) fn answer_about_room<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        ticket: Ticket,
        reply: Result<RoomReply, RoomRefusal>,
    ) {
        let Some(Pending::Message { .. }) = self.pending.get(&ticket) else {
            let result = reply.map(|reply| reply.result()).map_err(RoomRefusal::into_rpc_error);
            self.answer(hub, ticket, &result);
            return;
        };
        let Some(Pending::Message { kind, id }) = self.pending.remove(&ticket) else { return };
        hub.redeem(ticket);
        let (conn, id) = (ticket.conn(), id.as_deref().map(MessageId::of_json));
        match reply {
            Ok(reply) => {
                let json = reply.message();
                let json = id.map_or(json.as_str().into(), |id| id.insert(&json));
                hub.send(conn, Outgoing::Negotiated { json: &json, text: reply.text() });
            }
            Err(refusal) => {
                refusal.into_message_error().tell(Some(kind), id, |message| hub.send(conn, message));
            }
        }
    }

    /// Calls a method of the peer.
    pub(crate) fn call<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        conn: ConnId,
        method: &str,
        params: &str,
        deadline: Duration,
        then: T,
    ) -> Result<Ticket, TicketError> {
        let ticket = hub.ticket(conn, deadline)?;
        hub.send(conn, &request(Some(ticket.number), method, Some(params)));
        self.pending.insert(ticket, Pending::Ours(then));
        Ok(ticket)
    }

    /// Sends a notification to the peer. Returns false if it cannot be sent.
    pub(crate) fn notify<C>(hub: &mut Hub<'_, C>, conn: ConnId, method: &str, params: &str) -> bool {
        hub.send(conn, &request(None, method, Some(params)))
    }

    /// Handles an expired ticket. If its call is incoming, answers the call with an error.
    pub(crate) fn expired<C>(&mut self, hub: &mut Hub<'_, C>, ticket: Ticket) -> Expired<T> {
        if let Some(room) = self.room_waits.take_join_of(ticket) {
            // So the peer may subscribe again.
            hub.leave(ticket.conn(), &room);
        }
        match self.pending.get(&ticket) {
            None => Expired::NoCall,
            Some(Pending::Theirs { .. }) => {
                let error = if hub.is_draining() {
                    RpcError::new(RpcError::SHUTTING_DOWN, "The server is shutting down")
                } else {
                    RpcError::new(RpcError::TIMED_OUT, "There was no result in time")
                };
                self.finish(hub, ticket, &Err(error));
                Expired::Theirs
            }
            Some(&Pending::Message { kind, .. }) => {
                self.answer_about_room(hub, ticket, Err(RoomRefusal::without_answer(kind)));
                Expired::Theirs
            }
            Some(Pending::Ours(_)) => self.take(ticket).map_or(Expired::NoCall, Expired::Ours),
        }
    }

    /// Removes an answered outgoing call and redeems its ticket. Returns the call's continuation.
    pub(crate) fn take_answered<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, number: Option<u64>) -> Option<T> {
        let ticket = Ticket { conn, number: number? };
        let then = self.take(ticket)?;
        hub.redeem(ticket);
        Some(then)
    }

    fn take(&mut self, ticket: Ticket) -> Option<T> {
        if !matches!(self.pending.get(&ticket), Some(Pending::Ours(_))) {
            return None;
        }
        match self.pending.remove(&ticket) {
            Some(Pending::Ours(then)) => Some(then),
            _ => None,
        }
    }

    /// Removes a closed connection's calls and batches. Returns the outgoing calls' continuations.
    pub(crate) fn closed(&mut self, conn: ConnId) -> Vec<T> {
        let range = Ticket { conn, number: 0 }..=Ticket { conn, number: u64::MAX };
        self.room_waits.closed(conn);
        let tickets: Vec<_> = self.pending.range(range).map(|(&ticket, _)| ticket).collect();
        while let Some((&id, _)) = self.batches.range((conn, 0)..=(conn, u64::MAX)).next() {
            work::step(1);
            self.batches.remove(&id);
        }
        let pending = tickets.into_iter().filter_map(|ticket| self.pending.remove(&ticket));
        let ours = |pending| match pending {
            Pending::Ours(then) => Some(then),
            Pending::Theirs { .. } | Pending::Message { .. } => None,
        };
        pending.filter_map(ours).collect()
    }
}

/// The call that an expired ticket belonged to, if any.
pub(crate) enum Expired<T> {
    /// The ticket belonged to no call.
    NoCall,
    /// The ticket belonged to an incoming call, which was answered with an error.
    Theirs,
    /// The ticket belonged to an outgoing call, which `T` continues.
    Ours(T),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_drops_only_the_batches_of_its_connection() {
        let mut calls = Calls::<()>::default();
        let conns: Vec<_> = (0..2_000).map(|index| ConnId::new(0, index, 1)).collect();
        for &conn in &conns {
            calls.open_batch(conn, 2);
            calls.open_batch(conn, 1);
        }
        let ((), steps) = work::steps_of(|| conns.iter().for_each(|&conn| drop(calls.closed(conn))));
        assert_eq!((calls.batches.len(), steps), (0, 4_000));
    }
}
