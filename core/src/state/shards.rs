//! Sending and handling messages between shards.

use super::{Pending, State};
use crate::base::Origin;
use crate::base::{ConnId, ListenerId, Outgoing, Peer, Reason};
use crate::facts::{Addressee, Shard, ShardMessage};
use crate::metrics::Metrics;
use crate::state::admission::Rules;
use crate::state::conn::HandshakeStep;
use crate::state::whole::Asker;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

impl State {
    /// Publishes to a room on all shards. Returns the number of recipients on this shard, or, if the
    /// room has a home, that of members.
    pub(crate) fn publish_everywhere(&mut self, room: &str, except: &[ConnId], message: Outgoing<'_>) -> usize {
        if self.room_options(room).is_some() {
            return self.submit(room, except, message.to_owned());
        }
        if !self.outbox.is_alone() {
            let message =
                ShardMessage::Publish { room: room.into(), except: except.into(), message: message.to_owned() };
            self.queue_for(Addressee::Others, message);
        }
        self.publish(room, except, message)
    }

    /// Queues a message to other shards. Its bytes count as output of the turn.
    pub(crate) fn queue_for(&mut self, to: Addressee, message: ShardMessage) {
        self.outbound.turn_bytes += message.held_bytes() as u64;
        self.outbox.messages.push_back((to, message));
    }

    /// Reports to the first shard that a room got its first member on this shard.
    pub(crate) fn room_opened(&mut self, room: &str) {
        match self.outbox.shard {
            Shard::ALONE => {}
            shard if shard.number() == 0 => self.outbox.room_opened(room.into()),
            _ => {
                self.outbox.count_opened_room();
                self.queue_for(Addressee::First, ShardMessage::RoomOpened { room: room.into() });
            }
        }
    }

    /// Reports to the first shard that a room lost its last member on this shard.
    pub(crate) fn room_closed(&mut self, room: &str) {
        match self.outbox.shard {
            Shard::ALONE => {}
            shard if shard.number() == 0 => self.outbox.room_closed(room),
            _ => self.queue_for(Addressee::First, ShardMessage::RoomClosed { room: room.into() }),
        }
    }

    /// Reports a dialled connection to the first shard.
    pub(crate) fn dialed(&mut self, peer: Peer) {
        if self.outbox.shard.number() == 0 {
            return self.admission.count_in(None, peer);
        }
        self.outbox.messages.push_back((Addressee::First, ShardMessage::Dialed { peer }));
    }

    /// Reports an ended connection to the first shard.
    pub(crate) fn left(&mut self, listener: Option<ListenerId>, peer: Peer) {
        let shard = self.outbox.shard.number();
        if shard == 0 {
            return self.count_out_of(listener, peer, shard);
        }
        self.outbox.messages.push_back((Addressee::First, ShardMessage::Left { listener, peer, shard }));
    }

    fn count_out_of(&mut self, listener: Option<ListenerId>, peer: Peer, shard: u8) {
        self.admission.count_out(listener, peer);
        if listener.is_some_and(|listener| self.listeners.get_open(listener).is_none()) {
            self.forget_unused_listeners();
        }
        self.listeners.descriptor_returned();
        if let Some(placed) = self.outbox.placed.get_mut(usize::from(shard)).filter(|_| listener.is_some()) {
            *placed = placed.saturating_sub(1);
        }
    }

    /// Reports to the first shard that an unauthenticated connection has authenticated or ended.
    pub(super) fn authenticated(&mut self) {
        if self.outbox.shard.number() == 0 {
            return self.admission.authenticated();
        }
        self.outbox.messages.push_back((Addressee::First, ShardMessage::Authenticated));
    }

    /// Admits or refuses the client that a proxy reported. `None` if the first shard must decide.
    pub(crate) fn arrived(&mut self, id: ConnId, peer: Peer) -> Option<Result<(), Reason>> {
        // A connection that is counted under an address is not from a trusted proxy.
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.uncounted) else { return Some(Ok(())) };
        let Origin::Listener(listener) = conn.origin else { return Some(Ok(())) };
        conn.readmitted = true;
        // A proxy that reports no client is admitted by its own address.
        self.metrics.forwarded += u64::from(peer != conn.peer);
        if self.outbox.shard.number() > 0 {
            conn.step = HandshakeStep::Admission;
            self.outbox.messages.push_back((Addressee::First, ShardMessage::Arrived { conn: id, listener, peer }));
            return None;
        }
        let outcome = self.readmit(listener, peer);
        if outcome.is_ok() {
            self.belongs_to(id, peer);
        }
        Some(outcome)
    }

    fn readmit(&mut self, listener: ListenerId, peer: Peer) -> Result<(), Reason> {
        let Self { config, listeners, admission, now, random, metrics, .. } = self;
        let Some(listen) = listeners.get(listener) else { return Err(Reason::Shutdown) };
        let rules = Rules { now: *now, config, listen, chance: random.next_u64() };
        let outcome = admission.admit_address(rules, peer, &mut metrics.would_refuse);
        match outcome {
            Ok(()) => admission.count_address(peer),
            Err(reason) => metrics.refused.add(reason),
        }
        if let Err(reason) = outcome {
            self.record_refusal(peer, reason);
        }
        outcome
    }

    /// Reports to the first shard that a connection ended while its client was being admitted.
    pub(crate) fn left_address(&mut self, peer: Peer) {
        self.outbox.messages.push_back((Addressee::First, ShardMessage::Gone { peer }));
    }

    /// Sets the client address of a connection, which is now counted under that address.
    pub(crate) fn belongs_to(&mut self, id: ConnId, peer: Peer) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.peer = peer;
            conn.uncounted = false;
        }
    }

    /// Sends a message to another shard's handler. Returns false if there is no such other shard.
    pub(crate) fn send_to_shard(&mut self, shard: u8, topic: &str, content: &str) -> bool {
        let own = self.outbox.shard;
        if shard == own.number() || shard >= own.count() {
            return false;
        }
        let message = ShardMessage::Handler { from: own.number(), topic: topic.into(), content: content.into() };
        self.queue_for(Addressee::Shard(shard), message);
        true
    }

    /// Puts a peer's address into quarantine.
    pub(crate) fn quarantine(&mut self, peer: Peer) {
        if self.outbox.shard.number() > 0 {
            return self.outbox.messages.push_back((Addressee::First, ShardMessage::Quarantine { peer }));
        }
        self.admission.quarantine(self.now, peer, self.config.quarantine);
        if let Some(key) = peer.key() {
            self.share_quarantine(key);
        }
    }

    pub(crate) fn delivered(&mut self, message: &ShardMessage) {
        match message {
            ShardMessage::Publish { room, except, message } => {
                self.publish(room, except, message.as_outgoing());
            }
            ShardMessage::Left { listener, peer, shard } => self.count_out_of(*listener, *peer, *shard),
            ShardMessage::Dialed { peer } => self.dialed(*peer),
            ShardMessage::Quarantine { peer } => self.quarantine(*peer),
            ShardMessage::Authenticated => self.authenticated(),
            ShardMessage::Gone { peer } => self.admission.discount_address(*peer),
            ShardMessage::Arrived { conn, listener, peer } => {
                let refused = self.readmit(*listener, *peer).err();
                let message = ShardMessage::Admission { conn: *conn, peer: *peer, refused };
                self.outbox.messages.push_back((Addressee::Shard(conn.shard()), message));
            }
            ShardMessage::RoomOpened { room } => self.outbox.room_opened(Arc::clone(room)),
            ShardMessage::RoomClosed { room } => self.outbox.room_closed(room),
            ShardMessage::Room(message) => self.handle_room_message(message),
            ShardMessage::RoomsCounted { rooms } => self.outbox.set_rooms(*rooms),
            // The machine handles these.
            ShardMessage::Admission { .. } | ShardMessage::Handler { .. } => {}
            ShardMessage::ToHosts { topic, content } => drop(self.send_to_hosts(topic, content)),
            ShardMessage::FromHost { from, topic, content } => {
                let (from, topic, content) = (*from, Arc::clone(topic), Arc::clone(content));
                self.pending.push_back(Pending::HostMessage { from, topic, content });
            }
            ShardMessage::EndEverywhere { from, request, target, reason } => {
                let asker = request.map_or(Asker::Nobody, |number| Asker::Shard(*from, number));
                self.order_end(asker, target, *reason);
            }
            ShardMessage::End { number, target, reason } => {
                let ended = ShardMessage::Ended { number: *number, connections: self.end_here(target, *reason) };
                self.queue_for_link(ended);
            }
            ShardMessage::Ended { number, connections } => self.shard_ended(*number, *connections),
            ShardMessage::Claim { from, request, key, millis } => {
                self.claim_for(*from, *request, key, Duration::from_millis(*millis));
            }
            ShardMessage::ClusterAnswer { request, answer } => self.cluster_answered(*request, answer.clone()),
            ShardMessage::Quarantined { addresses, to_hosts } => self.quarantined_elsewhere(addresses, *to_hosts),
            ShardMessage::Released { address, to_hosts } => self.released_elsewhere(*address, *to_hosts),
            ShardMessage::Hosts { own, is_linked, others } => self.hosts_told(*own, *is_linked, others),
            ShardMessage::ListQuarantine => self.list_quarantine(),
            ShardMessage::Counted { shard, numbers } => drop(self.outbox.counted.insert(*shard, Arc::clone(numbers))),
        }
    }

    pub(crate) fn set_held_back(&mut self, held: bool) {
        if core::mem::replace(&mut self.outbox.held_back, held) == held {
            return;
        }
        let (now, ids) = (self.now, self.conns.ids().collect::<Vec<_>>());
        for id in ids {
            if !held {
                // Time in which it was not read does not count against it.
                self.conns.get_mut(id).into_iter().for_each(|conn| conn.may_speak_again(now));
            }
            self.outbound.changed.insert(id.slot());
            self.schedule(id.slot());
        }
    }

    /// Sends this shard's counts to the other shards, if due.
    pub(crate) fn post_counts(&mut self) {
        if self.outbox.counts_at.is_some_and(|at| at <= self.now) {
            self.outbox.counts_at = None;
            let (shard, numbers) = (self.outbox.shard.number(), self.counters().numbers().into());
            self.outbox.messages.push_back((Addressee::Others, ShardMessage::Counted { shard, numbers }));
        }
    }

    /// Returns the metrics of the whole server, as far as this shard knows them.
    pub(crate) fn metrics_of_all(&self) -> Metrics {
        let mut metrics = self.counters();
        for numbers in self.outbox.counted.values() {
            metrics.add_numbers(numbers);
        }
        metrics
    }
}
