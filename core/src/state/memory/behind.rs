//! Members that did not get a message, and were not told of that yet.

use crate::history::Gap;
use crate::state::room::RoomNumber;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Members that are behind in rooms. They get no message of such a room before they are told.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// What each member, by its slot, must be told, in this order.
    untold: BTreeMap<u32, Vec<(RoomNumber, Gap)>>,
    /// The same members, by rooms.
    by_room: BTreeSet<(RoomNumber, u32)>,
}

impl Behind {
    pub(super) fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }

    pub(super) fn has(&self, slot: u32) -> bool {
        self.untold.contains_key(&slot)
    }

    pub(super) fn is_in(&self, number: RoomNumber, slot: u32) -> bool {
        self.by_room.contains(&(number, slot))
    }

    /// Returns the slots of the members that are behind in a room.
    pub(super) fn of_room(&self, number: RoomNumber) -> impl Iterator<Item = u32> {
        self.by_room.range((number, 0)..=(number, u32::MAX)).map(|&(_, slot)| slot)
    }

    pub(super) fn add(&mut self, slot: u32, number: RoomNumber, why: Gap) {
        let rooms = self.untold.entry(slot).or_default();
        if !rooms.contains(&(number, why)) {
            rooms.push((number, why));
            self.by_room.insert((number, slot));
        }
    }

    /// Returns what a member must be told first.
    pub(super) fn first(&self, slot: u32) -> Option<(RoomNumber, Gap)> {
        self.untold.get(&slot)?.first().copied()
    }

    /// Forgets what a member has missed in a room.
    pub(super) fn remove(&mut self, slot: u32, number: RoomNumber) {
        self.retain(slot, |(room, _)| room != number);
    }

    /// Forgets one thing that a member must be told.
    pub(super) fn told(&mut self, slot: u32, what: (RoomNumber, Gap)) {
        self.retain(slot, |other| other != what);
    }

    fn retain(&mut self, slot: u32, stays: impl Fn((RoomNumber, Gap)) -> bool) {
        let Some(rooms) = self.untold.get_mut(&slot) else { return };
        let before = core::mem::take(rooms);
        rooms.extend(before.iter().copied().filter(|&what| stays(what)));
        for (number, _) in before {
            if rooms.iter().all(|&(room, _)| room != number) {
                self.by_room.remove(&(number, slot));
            }
        }
        if rooms.is_empty() {
            self.untold.remove(&slot);
        }
    }
}

#[cfg(feature = "sim")]
impl Behind {
    /// Returns each member that is behind, and a room in which it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, RoomNumber)> {
        self.untold.iter().flat_map(|(&slot, rooms)| rooms.iter().map(move |&(number, _)| (slot, number)))
    }

    /// Returns `true` if both tables have the same members.
    pub(super) fn is_consistent(&self) -> bool {
        let counted: BTreeSet<_> = self.iter().map(|(slot, number)| (number, slot)).collect();
        counted == self.by_room && self.untold.values().all(|rooms| !rooms.is_empty())
    }
}
