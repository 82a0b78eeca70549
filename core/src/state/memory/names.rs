//! The tables of names: of this shard's members, and of all in the rooms whose home this shard is.

use crate::facts::{PresencePage, PresentName};
use crate::state::room::RoomNumber;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

/// The names of this shard's members.
#[derive(Debug, Default)]
pub(super) struct NamesHere {
    /// The name of each member, by room and slot.
    pub(super) of: BTreeMap<(RoomNumber, u32), Arc<str>>,
    /// Number of members with each name in each room.
    pub(super) counts: BTreeMap<(RoomNumber, Arc<str>), u32>,
}

/// The names in all rooms whose home is this shard.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) rooms: BTreeMap<Box<str>, BTreeMap<Arc<str>, Person>>,
    /// Number of names in all rooms.
    pub(super) count: u64,
}

#[derive(Debug)]
pub(super) struct Person {
    /// One bit for each shard with members of this name.
    pub(super) shards: [u64; 4],
    pub(super) info: Option<Arc<str>>,
    /// Whether shards with members were told of the name.
    pub(super) is_told: bool,
}

impl NamesHere {
    /// Adds a member. Returns `true` if it is the first one of its name in the room.
    pub(super) fn add(&mut self, number: RoomNumber, slot: u32, name: &Arc<str>) -> bool {
        self.of.insert((number, slot), Arc::clone(name));
        let count = self.counts.entry((number, Arc::clone(name))).or_default();
        *count += 1;
        *count == 1
    }

    /// Removes a member. Returns its name if it was the last one of that name in the room.
    pub(super) fn remove(&mut self, number: RoomNumber, slot: u32) -> Option<Arc<str>> {
        let name = self.of.remove(&(number, slot))?;
        let key = (number, name);
        let count = self.counts.get_mut(&key)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.counts.remove(&key);
        Some(key.1)
    }
}

impl Present {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Adds a name on a shard. Returns `true` if the name is new, or has new information.
    pub(super) fn add(&mut self, room: &str, shard: u8, name: &Arc<str>, info: Option<&Arc<str>>) -> bool {
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.into(), BTreeMap::new());
        }
        let Some(people) = self.rooms.get_mut(room) else { return false };
        let mut is_news = false;
        let person = people.entry(Arc::clone(name)).or_insert_with(|| {
            is_news = true;
            Person { shards: [0; 4], info: None, is_told: false }
        });
        self.count += u64::from(is_news);
        person.shards[usize::from(shard / 64)] |= 1 << (shard % 64);
        if info.is_some() && person.info.as_ref() != info {
            person.info = info.cloned();
            is_news = true;
        }
        is_news
    }

    /// Removes a name from a shard. Returns what was known of it if it is on no shard any more.
    pub(super) fn remove(&mut self, room: &str, shard: u8, name: &str) -> Option<Person> {
        let people = self.rooms.get_mut(room)?;
        let person = people.get_mut(name)?;
        person.shards[usize::from(shard / 64)] &= !(1 << (shard % 64));
        if person.shards != [0; 4] {
            return None;
        }
        let gone = people.remove(name);
        self.count -= 1;
        if people.is_empty() {
            self.rooms.remove(room);
        }
        gone
    }

    pub(super) fn page(&self, room: &str, after: Option<&str>, max: usize) -> PresencePage {
        let people = self.rooms.get(room);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = || people.into_iter().flat_map(|people| people.range::<str, _>((from, Bound::Unbounded)));
        let names: Vec<_> =
            rest().take(max).map(|(name, person)| PresentName::new(Arc::clone(name), person.info.clone())).collect();
        let has_more = rest().nth(names.len()).is_some();
        PresencePage::new(names.into(), people.map_or(0, BTreeMap::len) as u64, has_more)
    }
}
