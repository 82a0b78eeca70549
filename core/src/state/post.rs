//! What a shard has to say to the others.

use super::State;
use crate::base::Origin;
use crate::base::{ConnId, ListenerId, Outgoing, Peer, Reason, Time};
use crate::facts::{Addressee, Letter, Shard};
use crate::metrics::Metrics;
use crate::state::admission::Rules;
use crate::state::conn::Gate;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// How often shards tell each other what they have counted, if anything.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Post {
    pub(crate) shard: Shard,
    letters: VecDeque<(Addressee, Letter)>,
    /// Others are behind, and nobody is read.
    pub(super) held_back: bool,
    /// On the shard that accepts: how many connections each has.
    placed: Vec<u32>,
    /// On the shard that accepts: on how many shards each room has members.
    rooms: BTreeMap<Arc<str>, u8>,
    /// What others have counted.
    counted: BTreeMap<u8, Arc<[u64]>>,
    /// When to tell what was counted since.
    pub(crate) counts_at: Option<Time>,
}

impl Post {
    pub(super) fn new(shard: Shard) -> Self {
        let (letters, rooms, counted) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        let placed = vec![0; shard.count().into()];
        Self { shard, letters, held_back: false, placed, rooms, counted, counts_at: None }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.shard.count() == 1
    }

    pub(crate) fn next_letter(&mut self) -> Option<(Addressee, Letter)> {
        self.letters.pop_front()
    }

    /// The shard that has the fewest connections, which gets one more.
    pub(crate) fn place(&mut self) -> u8 {
        let fewest = self.placed.iter().enumerate().min_by_key(|(_, count)| **count).map_or(0, |(shard, _)| shard);
        self.placed[fewest] = self.placed[fewest].saturating_add(1);
        u8::try_from(fewest).unwrap_or(0)
    }

    #[cfg(feature = "sim")]
    pub(super) fn placed(&self) -> &Vec<u32> {
        &self.placed
    }

    /// On the shard that accepts: the rooms that have members on any shard, and on how many.
    pub(super) const fn rooms(&self) -> &BTreeMap<Arc<str>, u8> {
        &self.rooms
    }

    fn room_opened(&mut self, room: Arc<str>) {
        let shards = self.rooms.entry(room).or_default();
        *shards = shards.saturating_add(1);
    }

    fn room_closed(&mut self, room: &str) {
        let Some(shards) = self.rooms.get_mut(room) else { return };
        *shards = shards.saturating_sub(1);
        if *shards == 0 {
            self.rooms.remove(room);
        }
    }

    /// Something happened that may have been counted.
    pub(crate) fn something_happened(&mut self, now: Time) {
        if !self.is_alone() {
            self.counts_at.get_or_insert(now + COUNTED_EVERY);
        }
    }
}

impl<C: Default> State<C> {
    /// Sends one message to every member of a room, wherever they are; returns for how many here.
    pub(crate) fn publish_everywhere(&mut self, room: &str, except: &[ConnId], message: Outgoing<'_>) -> usize {
        if !self.post.is_alone() {
            let letter = Letter::Publish { room: room.into(), except: except.into(), message: message.to_owned() };
            self.write_letter(Addressee::Others, letter);
        }
        self.publish(room, except, message)
    }

    /// Leaves a letter that the application decides about. What others have to take fills the turn as well.
    fn write_letter(&mut self, to: Addressee, letter: Letter) {
        self.outbound.turn_bytes += letter.held_bytes() as u64;
        self.post.letters.push_back((to, letter));
    }

    /// A room has its first member here: who counts rooms is to know.
    pub(crate) fn room_opened(&mut self, room: &str) {
        match self.post.shard {
            Shard::ALONE => {}
            shard if shard.number() == 0 => self.post.room_opened(room.into()),
            _ => self.write_letter(Addressee::First, Letter::RoomOpened { room: room.into() }),
        }
    }

    /// A room has lost its last member here: who counts rooms is to know.
    pub(crate) fn room_closed(&mut self, room: &str) {
        match self.post.shard {
            Shard::ALONE => {}
            shard if shard.number() == 0 => self.post.room_closed(room),
            _ => self.write_letter(Addressee::First, Letter::RoomClosed { room: room.into() }),
        }
    }

    /// The application dialled: who counts connections is to know.
    pub(crate) fn dialed(&mut self, peer: Peer) {
        if self.post.shard.number() == 0 {
            return self.admission.count_in(None, peer);
        }
        self.post.letters.push_back((Addressee::First, Letter::Dialed { peer }));
    }

    /// A connection is over: who counts them is to know.
    pub(crate) fn left(&mut self, listener: Option<ListenerId>, peer: Peer) {
        let shard = self.post.shard.number();
        if shard == 0 {
            return self.count_out_of(listener, peer, shard);
        }
        self.post.letters.push_back((Addressee::First, Letter::Left { listener, peer, shard }));
    }

    fn count_out_of(&mut self, listener: Option<ListenerId>, peer: Peer, shard: u8) {
        self.admission.count_out(listener, peer);
        if listener.is_some_and(|listener| self.listeners.get_open(listener).is_none()) {
            self.forget_unused_listeners();
        }
        self.listeners.descriptor_returned();
        if let Some(placed) = self.post.placed.get_mut(usize::from(shard)).filter(|_| listener.is_some()) {
            *placed = placed.saturating_sub(1);
        }
    }

    /// A connection that was accepted has shown whose it is, or is over: who counts them is to know.
    pub(super) fn known(&mut self) {
        if self.post.shard.number() == 0 {
            return self.admission.known();
        }
        self.post.letters.push_back((Addressee::First, Letter::Known));
    }

    /// A proxy has told whom it speaks for. What comes of it, unless another shard must be asked first.
    pub(crate) fn arrived(&mut self, id: ConnId, peer: Peer) -> Option<Result<(), Reason>> {
        // Who is counted under an address is no proxy that is trusted.
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.uncounted) else { return Some(Ok(())) };
        let Origin::Listener(listener) = conn.origin else { return Some(Ok(())) };
        conn.readmitted = true;
        // A proxy that does not say for whom it speaks is held to its own address.
        self.metrics.forwarded += u64::from(peer != conn.peer);
        if self.post.shard.number() > 0 {
            conn.gate = Gate::Admission;
            self.post.letters.push_back((Addressee::First, Letter::Arrived { conn: id, listener, peer }));
            return None;
        }
        let outcome = self.readmit(listener, peer);
        if outcome.is_ok() {
            self.is_of(id, peer);
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
        outcome
    }

    /// A connection that was let in under an address is over before it heard of that.
    pub(crate) fn left_address(&mut self, peer: Peer) {
        self.post.letters.push_back((Addressee::First, Letter::Gone { peer }));
    }

    /// It is known, and counted, which address a connection is of.
    pub(crate) fn is_of(&mut self, id: ConnId, peer: Peer) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.peer = peer;
            conn.uncounted = false;
        }
    }

    /// Sends a message to the handler of another shard; false if there is none of that number.
    pub(crate) fn send_to_shard(&mut self, shard: u8, topic: &str, content: &str) -> bool {
        let own = self.post.shard;
        if shard == own.number() || shard >= own.count() {
            return false;
        }
        let letter = Letter::Handler { from: own.number(), topic: topic.into(), content: content.into() };
        self.write_letter(Addressee::Shard(shard), letter);
        true
    }

    /// A peer's address is to be refused for a while.
    pub(crate) fn quarantine(&mut self, peer: Peer) {
        if self.post.shard.number() > 0 {
            return self.post.letters.push_back((Addressee::First, Letter::Quarantine { peer }));
        }
        self.admission.quarantine(self.now, peer, self.config.quarantine);
    }

    pub(crate) fn delivered(&mut self, letter: &Letter) {
        match letter {
            Letter::Publish { room, except, message } => {
                self.publish(room, except, message.as_outgoing());
            }
            Letter::Left { listener, peer, shard } => self.count_out_of(*listener, *peer, *shard),
            Letter::Dialed { peer } => self.dialed(*peer),
            Letter::Quarantine { peer } => self.quarantine(*peer),
            Letter::Known => self.known(),
            Letter::Gone { peer } => self.admission.discount_address(*peer),
            Letter::Arrived { conn, listener, peer } => {
                let refused = self.readmit(*listener, *peer).err();
                let letter = Letter::Admission { conn: *conn, peer: *peer, refused };
                self.post.letters.push_back((Addressee::Shard(conn.shard()), letter));
            }
            Letter::RoomOpened { room } => self.post.room_opened(Arc::clone(room)),
            Letter::RoomClosed { room } => self.post.room_closed(room),
            // The machine goes on from here.
            Letter::Admission { .. } | Letter::Handler { .. } => {}
            Letter::Counted { shard, numbers } => drop(self.post.counted.insert(*shard, Arc::clone(numbers))),
        }
    }

    pub(crate) fn set_held_back(&mut self, held: bool) {
        if core::mem::replace(&mut self.post.held_back, held) == held {
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

    /// Tells the others what was counted, if that is due.
    pub(crate) fn tell_counts(&mut self) {
        if self.post.counts_at.is_some_and(|at| at <= self.now) {
            self.post.counts_at = None;
            let (shard, numbers) = (self.post.shard.number(), self.metrics().numbers().into());
            self.post.letters.push_back((Addressee::Others, Letter::Counted { shard, numbers }));
        }
    }

    /// What the whole server has counted, as far as it is known here.
    pub(crate) fn metrics_of_all(&self) -> Metrics {
        let mut metrics = self.metrics();
        for numbers in self.post.counted.values() {
            metrics.add_numbers(numbers);
        }
        metrics
    }
}
