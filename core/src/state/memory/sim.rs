//! What the simulated world sees of rooms with a home: a ledger, recounts, and the loss of data.

use super::ledger::{Numbered, ToldPresence};
use super::tables::{Memory, home_of, part_of};
use crate::base::recount::{Recounted, ensure, same};
use crate::base::{AppIndex, ConnId, OutgoingBuf};
use crate::history::{Position, RoomHistories};
use crate::state::State;
use crate::state::room::RoomNumber;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Memory {
    /// Begins a ledger of all messages that this shard numbers, whose memory has no bound.
    pub(crate) fn keep_ledger(&mut self) {
        self.ledger.numbered = Some(Vec::new());
    }

    /// Returns all messages that this shard has numbered since [`keep_ledger`](Self::keep_ledger), in this order.
    pub(crate) fn numbered(&self) -> &[Numbered] {
        self.ledger.numbered.as_deref().unwrap_or_default()
    }

    /// Enters a message into the ledger, if there is one.
    pub(super) fn note_numbered(
        &mut self,
        room: &str,
        (position, previous): (Position, u64),
        except: &Arc<[ConnId]>,
        message: &OutgoingBuf,
    ) {
        if let Some(ledger) = &mut self.ledger.numbered {
            let (room, except) = (AppIndex::of_room(room).1.into(), Arc::clone(except));
            ledger.push(Numbered { room, position, previous, except, message: message.clone(), was_lost: false });
        }
    }

    /// Enters a change of presence that this home tells into the ledger, if there is one.
    pub(super) fn note_told(&mut self, room: &str, name: &Arc<str>, is_present: bool, info: Option<&Arc<str>>) {
        if self.ledger.numbered.is_some() {
            let (room, name, info) = (AppIndex::of_room(room).1.into(), Arc::clone(name), info.cloned());
            self.ledger.presence.push(ToldPresence { room, name, is_present, info });
        }
    }

    /// Returns all changes of presence that this home has told.
    pub(crate) fn told_presence(&self) -> &[ToldPresence] {
        &self.ledger.presence
    }

    /// Marks the entries that lead to no last message of a room.
    fn mark_lost(&mut self) {
        let mut before = BTreeMap::new();
        for numbered in self.ledger.numbered.iter_mut().flatten().rev() {
            let at = before.entry(numbered.room.clone()).or_insert_with(|| self.histories.top(&numbered.room));
            if *at == Some(numbered.position) {
                let Position { epoch, offset, .. } = numbered.position;
                *at = Some(Position::new(epoch, offset.saturating_sub(1), numbered.previous));
            } else {
                numbered.was_lost = true;
            }
        }
    }

    /// Returns a copy of the histories, for [`State::lose_writes`].
    pub(crate) fn copy_histories(&self) -> RoomHistories {
        self.histories.clone()
    }

    /// Returns `true` if no room has members, holders or names, and no request waits.
    pub(crate) fn is_empty(&self) -> bool {
        let no_seats = self.seats.by_room.is_empty() && self.seats.behind.is_empty();
        let no_names = self.names.of.is_empty() && self.present.rooms.is_empty();
        no_seats && no_names && self.holders.is_empty() && self.is_quiet()
    }
}

impl State {
    /// Replaces the histories of this home with an older copy, as after a restart of a home that lost its last writes.
    pub(crate) fn lose_writes(&mut self, copy: RoomHistories) {
        self.memory.histories = copy;
        self.memory.ledger.has_lost = true;
        let (memory, held) = (&self.config.memory, &self.memory.holders);
        let has_home = |room: &str| memory.options_of_stored(room).is_some();
        // The shards still hold their rooms, and only those are pinned.
        self.memory.histories.unpin_all();
        self.memory.histories.retain(has_home);
        let held: Vec<_> = held.keys().cloned().collect();
        for room in held {
            let epoch = self.memory.marks.next();
            self.memory.histories.pin(&room, true, epoch);
        }
        self.memory.histories.set_bytes_max(part_of(&self.config, self.outbox.shard));
        self.memory.mark_lost();
    }

    /// Checks the tables of rooms with a home on this shard.
    pub(crate) fn recount_memory(&self) -> Recounted {
        let memory = &self.memory;
        for (room, _) in self.rooms.list() {
            let has_seat = memory.seats.by_room.contains_key(room);
            same(
                format_args!("room {room:?}: a seat exactly if it has a home"),
                has_seat,
                self.room_options(room).is_some(),
            )?;
        }
        for room in memory.seats.by_room.keys() {
            let Some(number) = self.rooms.number(room) else { return Err(format!("seat {room:?} has no members")) };
            self.recount_seat(room, number)?;
        }
        ensure(memory.seats.behind.is_consistent(), || format!("members that are behind: {:?}", memory.seats.behind))?;
        for (slot, number) in memory.seats.behind.iter() {
            let conn = self.conns.at(slot).filter(|conn| conn.is_open());
            ensure(conn.is_some_and(|conn| conn.rooms.contains(&number)), || {
                format!("slot {slot} has missed messages in a room of which it is no member")
            })?;
            let is_slow = self.outbound.is_stalled(slot) || self.outbound.pending(slot) > 0;
            ensure(is_slow, || format!("slot {slot} is slow no longer, and was not told"))?;
        }
        let held: Vec<_> =
            memory.holders.iter().filter(|(_, shards)| !shards.is_empty()).map(|(room, _)| &**room).collect();
        same("rooms that shards hold", memory.holders.len(), held.len())?;
        ensure(held.iter().copied().eq(memory.histories.pinned()), || "other rooms are pinned than held".into())?;
        memory.histories.recount()
    }

    fn recount_seat(&self, room: &str, number: RoomNumber) -> Recounted {
        let Some(seat) = self.memory.seats.by_room.get(room) else { return Ok(()) };
        let waiting: BTreeSet<u32> = self.rooms.waiting(number).collect();
        let asked = seat.recount(room)?;
        ensure(asked.slots.is_subset(&waiting), || format!("room {room:?}: a live member has a question"))?;
        ensure(asked.all || asked.slots == waiting, || format!("room {room:?}: a waiting member has no question"))?;
        let is_live = self.rooms.count(number) > waiting.len();
        ensure(seat.top.is_some() || !is_live, || format!("room {room:?}: a live member, and no position"))
    }

    /// Checks that homes and shards agree, once all messages between them have arrived.
    pub(crate) fn recount_homes(shards: &[&Self]) -> Recounted {
        let Some(count) = shards.first().map(|first| first.outbox.shard.count()) else { return Ok(()) };
        if shards.len() != usize::from(count) || shards.iter().any(|shard| shard.has_own_messages()) {
            return Ok(());
        }
        let mut seats: BTreeMap<&str, BTreeSet<u8>> = BTreeMap::new();
        for shard in shards {
            let number = shard.outbox.shard.number();
            for room in shard.memory.seats.by_room.keys().filter(|room| !shard.is_shared(room)) {
                seats.entry(room).or_default().insert(number);
            }
        }
        for home in shards {
            let number = home.outbox.shard.number();
            let of_home = seats.iter().filter(|(room, _)| home_of(room, count) == number);
            let holders = home.memory.holders.iter().map(|(room, shards)| (&**room, shards));
            ensure(of_home.map(|(room, shards)| (*room, shards)).eq(holders), || {
                format!("holders at shard {number} and seats: stored {:?}, counted {seats:?}", home.memory.holders)
            })?;
        }
        Self::recount_names(shards)?;
        for shard in shards {
            for (room, seat) in shard.memory.seats.by_room.iter().filter(|(room, _)| !shard.is_shared(room)) {
                let Some(home) = shards.get(usize::from(home_of(room, count))) else { continue };
                ensure(seat.is_told(), || format!("room {room:?}: a question without an answer"))?;
                let is_same = seat.top == home.memory.histories.top(room);
                ensure(is_same || home.memory.ledger.has_lost, || {
                    let top = home.memory.histories.top(room);
                    format!("room {room:?}: a seat is at {:?}, and its home at {top:?}", seat.top)
                })?;
            }
        }
        Ok(())
    }

    /// Checks that the names at the homes are those of the members of all shards.
    fn recount_names(shards: &[&Self]) -> Recounted {
        let mut here: BTreeMap<(&str, &str), BTreeSet<u8>> = BTreeMap::new();
        for shard in shards {
            let of_home = |(number, _): &&(RoomNumber, Arc<str>)| !shard.is_shared(shard.rooms.name(*number));
            for (number, name) in shard.memory.names.counts.keys().filter(of_home) {
                let of_name = here.entry((shard.rooms.name(*number), name)).or_default();
                of_name.insert(shard.outbox.shard.number());
            }
        }
        let mut present: BTreeMap<(&str, &str), BTreeSet<u8>> = BTreeMap::new();
        for home in shards {
            for (room, people) in &home.memory.present.rooms {
                for (name, person) in people {
                    let holds = |shard: &u8| person.shards[usize::from(shard / 64)] >> (shard % 64) & 1 == 1;
                    present.insert((room, name), (0..=u8::MAX).filter(holds).collect());
                }
            }
        }
        same("names at the homes, and names of members on all shards", present, here)
    }
}
