//! Who is present in rooms: first in, last out, over all connections and shards.
//!
//! Each shard knows its own members' names, and tells the home of the room when a name comes with
//! its first member here and goes with its last one. The home knows on which shards a name is.

use super::tables::shared;
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, same};
use crate::config::Presence;
use crate::facts::{RoomAnswer, RoomMessage};
use crate::state::room::RoomNumber;
use crate::state::{Pending, RoomRequest, State};
#[cfg(feature = "sim")]
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Maximum number of names in a page.
const PAGE_NAMES_MAX: u32 = 1_000;

impl State {
    /// Makes a name present in a room through a new member.
    pub(crate) fn enter(&mut self, number: RoomNumber, slot: u32, name: &str, info: Option<&str>) {
        let name: Arc<str> = name.into();
        if self.memory.names.add(number, slot, &name) || info.is_some() {
            let (room, from) = (shared(self.rooms.name(number)), self.outbox.shard.number());
            let entered = RoomMessage::Entered { room: Arc::clone(&room), from, name, info: info.map(Into::into) };
            self.post_to_home(&room, entered);
        }
    }

    /// Removes the presence of a member that leaves a room.
    pub(crate) fn exit(&mut self, number: RoomNumber, slot: u32) {
        if let Some(name) = self.memory.names.remove(number, slot) {
            let (room, from) = (shared(self.rooms.name(number)), self.outbox.shard.number());
            self.post_to_home(&Arc::clone(&room), RoomMessage::Exited { room, from, name });
        }
    }

    /// Adds a name at the home, and tells the shards with members if it is new.
    pub(super) fn entered(&mut self, room: &Arc<str>, from: u8, name: &Arc<str>, info: Option<&Arc<str>>) {
        if self.memory.present.add(room, from, name, info) && self.tells_names(room) {
            self.tell_present(room, name);
        }
    }

    /// Removes a name at the home, and tells the shards with members if it is gone.
    pub(super) fn exited(&mut self, room: &Arc<str>, from: u8, name: &Arc<str>) {
        // A shard that has heard of the name must also hear of its end, whatever the options are now.
        if let Some(gone) = self.memory.present.remove(room, from, name).filter(|person| person.is_told) {
            self.tell_presence(room, name, false, gone.info.as_ref());
        }
    }

    pub(crate) fn tells_names(&self, room: &str) -> bool {
        self.room_options(room).is_some_and(|options| options.presence == Presence::Names)
    }

    /// Tells the shards with members that a name is present, with its information.
    fn tell_present(&mut self, room: &Arc<str>, name: &Arc<str>) {
        let people = self.memory.present.rooms.get_mut(&**room);
        let Some(person) = people.and_then(|people| people.get_mut(name)) else { return };
        person.is_told = true;
        let info = person.info.clone();
        self.tell_presence(room, name, true, info.as_ref());
    }

    fn tell_presence(&mut self, room: &Arc<str>, name: &Arc<str>, is_present: bool, info: Option<&Arc<str>>) {
        #[cfg(feature = "sim")]
        self.memory.note_told(room, name, is_present, info);
        for shard in self.holders_of(room) {
            let (room, name, info) = (Arc::clone(room), Arc::clone(name), info.cloned());
            self.pass_to(shard, RoomMessage::PresenceChanged { room, name, is_present, info });
        }
    }

    /// Queues the event of a name that came or went, if the room has members here.
    pub(super) fn presence_changed(
        &mut self,
        room: &Arc<str>,
        name: &Arc<str>,
        is_present: bool,
        info: Option<&Arc<str>>,
    ) {
        if self.memory.seats.by_room.contains_key(room) {
            let (room, name, info) = (Arc::clone(room), Arc::clone(name), info.cloned());
            self.pending.push_back(Pending::PresenceChanged { room, name, is_present, info });
        }
    }

    /// Asks the home of a room who is present.
    pub(crate) fn read_presence(&mut self, app: u8, room: &str, after: Option<&str>, max: u32) -> RoomRequest {
        let (request, number) = self.issue_request(app, RoomAnswer::Unknown);
        let Some(number) = number else { return request };
        let has_presence = self.room_options(room).is_some_and(|options| options.presence != Presence::Off);
        match self.name_in_history(room).filter(|_| has_presence) {
            Some(shared) => {
                let (from, after) = (self.outbox.shard.number(), after.map(Into::into));
                self.post_to_home(room, RoomMessage::Who { room: shared, from, request: number, after, max });
            }
            None => self.answer_came(number, RoomAnswer::Present(None)),
        }
        request
    }

    /// Sends the names in a room to a shard: a page in alphabetical order, or only their number.
    pub(super) fn list_names(&mut self, room: &str, from: u8, request: u64, after: Option<&str>, max: u32) {
        let max = self.names_in_page(room, max);
        let page = self.memory.present.page(room, after, max);
        self.pass_to(from, RoomMessage::Answer { request, answer: RoomAnswer::Present(Some(page)) });
    }

    /// Returns the maximum number of names in a page, of which a room has none if its names are not told.
    pub(crate) fn names_in_page(&self, room: &str, max: u32) -> usize {
        let names_are_told = self.room_options(room).is_none_or(|options| options.presence == Presence::Names);
        if names_are_told { max.min(PAGE_NAMES_MAX) as usize } else { 0 }
    }

    /// Tells the names of rooms whose names are told now, and were not before.
    ///
    /// A home keeps the names of members that are there while a room has no presence. The shards
    /// apply a configuration one after the other, so names that it forgot might have come already
    /// from shards with a later configuration.
    pub(super) fn change_presence(&mut self) {
        let mut untold = Vec::new();
        for (room, people) in &self.memory.present.rooms {
            if self.tells_names(room) {
                let names = people.iter().filter(|(_, person)| !person.is_told);
                untold.extend(names.map(|(name, _)| (shared(room), Arc::clone(name))));
            }
        }
        for (room, name) in untold {
            self.tell_present(&room, &name);
        }
    }

    /// Compares the names of members with the members, and the numbers of names with recounts.
    #[cfg(feature = "sim")]
    pub(crate) fn recount_presence(&self) -> Recounted {
        let names = &self.memory.names;
        let mut counts = BTreeMap::new();
        for (&(number, slot), name) in &names.of {
            let is_member = self.conns.at(slot).is_some_and(|conn| conn.rooms.contains(&number));
            same(format_args!("{name:?} in room {number} is a member"), is_member, true)?;
            *counts.entry((number, Arc::clone(name))).or_insert(0_u32) += 1;
        }
        same("members with each name", &names.counts, &counts)?;
        let present = &self.memory.present;
        let count: usize = present.rooms.values().map(BTreeMap::len).sum();
        same("names that are present", present.count, count as u64)?;
        same(
            "names on no shard",
            present.rooms.values().flat_map(BTreeMap::values).any(|who| who.shards == [0; 4]),
            false,
        )
    }
}
