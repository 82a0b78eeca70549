#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure, same};
use crate::config::SlowPolicy;
use crate::config::{JoinError, RoomLimits};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
#[cfg(feature = "sim")]
use alloc::collections::BTreeSet;
#[cfg(feature = "sim")]
use alloc::format;
use alloc::vec::Vec;

/// Number of a room: its index in [`Rooms`].
pub(crate) type RoomNumber = u32;

/// The members of a room that share an encoding, and so the encoded bytes.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) encoding: u16,
    pub(crate) members: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Room {
    name: Box<str>,
    /// Slow policy of the room. `None`: the policy of the configuration.
    pub(crate) policy: Option<SlowPolicy>,
    /// Tag of this room's segments. Reused only after about 2^30 other rooms.
    pub(crate) tag: u32,
    pub(crate) groups: Vec<Group>,
    count: u32,
}

/// All rooms that have members, and the slow policies that outlast a room's members.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    numbers: BTreeMap<Box<str>, RoomNumber>,
    rooms: Vec<Option<Room>>,
    free: Vec<RoomNumber>,
    next_tag: u32,
    /// Policies that were set while the room had no members. They stay until they are cleared.
    policies: BTreeMap<Box<str>, SlowPolicy>,
    /// The place of each member in its room, by room and member.
    places: BTreeMap<(RoomNumber, u32), Place>,
}

/// The group of a member, and the index of the member in that group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    encoding: u16,
    at: u32,
}

/// In place of an encoding: the members that receive no messages yet.
pub(crate) const WAITING: u16 = u16::MAX;
/// The bit in the tags of rooms with a home.
const HOME_TAG: u32 = 1 << 31;
/// The bit that both the notices of such rooms and the segments that belong to no room have.
const NOTICE_TAG: u32 = 1 << 30;
/// Number of different tags of rooms. The largest numbers are the tags of what belongs to no room.
const TAGS: u32 = NOTICE_TAG - 2;

/// Returns `true` if segments with this tag are messages of a room with a home.
pub(crate) const fn is_tag_of_home(tag: u32) -> bool {
    tag & (HOME_TAG | NOTICE_TAG) == HOME_TAG
}

/// Returns the tag of notices to members whose messages with this tag were skipped.
pub(crate) const fn tag_of_notices(tag: u32) -> u32 {
    tag | NOTICE_TAG
}

impl Rooms {
    pub(crate) fn number(&self, name: &str) -> Option<RoomNumber> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn get(&self, number: RoomNumber) -> Option<&Room> {
        self.rooms.get(number as usize)?.as_ref()
    }

    /// Returns each room's name and number of members, ordered by name.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, usize)> {
        self.numbers.iter().map(|(name, &number)| (&**name, self.get(number).map_or(0, |room| room.count as usize)))
    }

    /// Returns the slots of a room's members, grouped by encoding.
    pub(crate) fn members<'r>(&'r self, name: &str) -> impl Iterator<Item = u32> + use<'r> {
        let room = self.number(name).and_then(|number| self.get(number));
        room.into_iter().flat_map(|room| room.groups.iter().flat_map(|group| group.members.iter().copied()))
    }

    /// Sets the slow policy of a room.
    ///
    /// If the room has members, the policy ends with the last one; otherwise it stays.
    pub(crate) fn set_policy(&mut self, name: &str, policy: SlowPolicy, limits: &RoomLimits) -> Result<(), JoinError> {
        check_name(name, limits)?;
        let room = self.numbers.get(name).and_then(|&number| self.rooms.get_mut(number as usize)?.as_mut());
        let has_members = room.is_some();
        room.into_iter().for_each(|room| room.policy = Some(policy));
        if let Some(kept) = self.policies.get_mut(name) {
            *kept = policy;
        } else if !has_members {
            if self.policies.len() >= limits.total as usize {
                return Err(JoinError::TooMany(limits.total));
            }
            self.policies.insert(name.into(), policy);
        }
        Ok(())
    }

    /// Clears the slow policy of a room. Returns false if it had none.
    pub(crate) fn clear_policy(&mut self, name: &str) -> bool {
        let room = self.numbers.get(name).and_then(|&number| self.rooms.get_mut(number as usize)?.as_mut());
        let had = room.and_then(|room| room.policy.take()).is_some();
        self.policies.remove(name).is_some() || had
    }

    /// Returns the number of a room. Creates the room if it is missing, within the limits.
    pub(crate) fn number_or_new(
        &mut self,
        name: &str,
        limits: &RoomLimits,
        has_home: bool,
    ) -> Result<RoomNumber, JoinError> {
        check_name(name, limits)?;
        if let Some(number) = self.number(name) {
            return Ok(number);
        }
        if self.numbers.len() >= limits.total as usize {
            return Err(JoinError::TooMany(limits.total));
        }
        let policy = self.policies.get(name).copied();
        let tag = self.next_tag;
        self.next_tag = (tag + 1) % TAGS;
        let tag = if has_home { tag | HOME_TAG } else { tag };
        let room = Room { name: name.into(), policy, tag, groups: Vec::new(), count: 0 };
        let number = self.free.pop().unwrap_or_else(|| {
            self.rooms.push(None);
            u32::try_from(self.rooms.len() - 1).unwrap_or(u32::MAX)
        });
        self.rooms[number as usize] = Some(room);
        self.numbers.insert(name.into(), number);
        Ok(number)
    }

    /// Adds `member`, which must not be in the room yet.
    pub(crate) fn add(&mut self, number: RoomNumber, member: u32, encoding: u16) {
        let Some(room) = self.rooms[number as usize].as_mut() else { return };
        let place = room.groups.iter().position(|group| group.encoding == encoding).unwrap_or_else(|| {
            room.groups.push(Group { encoding, members: Vec::new() });
            room.groups.len() - 1
        });
        let members = &mut room.groups[place].members;
        self.places.insert((number, member), Place { encoding, at: u32::try_from(members.len()).unwrap_or(u32::MAX) });
        members.push(member);
        room.count += 1;
    }

    /// Changes the encoding of a member, unless it is waiting.
    pub(crate) fn regroup(&mut self, number: RoomNumber, member: u32, to: u16) {
        if self.places.get(&(number, member)).is_some_and(|place| place.encoding != WAITING) {
            self.set_group(number, member, to);
        }
    }

    /// Moves a member to the group of an encoding, or to [`WAITING`].
    pub(crate) fn set_group(&mut self, number: RoomNumber, member: u32, to: u16) {
        // Added first, because a room that is empty for a moment would be removed.
        let Some(place) = self.places.remove(&(number, member)) else { return };
        self.add(number, member, to);
        let Some(new_place) = self.places.insert((number, member), place) else { return };
        self.remove(number, member);
        self.places.insert((number, member), new_place);
    }

    /// Marks whether a room has a home, which changes the tag of its later segments.
    pub(crate) fn set_home(&mut self, number: RoomNumber, has_home: bool) {
        if let Some(Some(room)) = self.rooms.get_mut(number as usize) {
            room.tag = if has_home { room.tag | HOME_TAG } else { room.tag & !HOME_TAG };
        }
    }

    /// Returns the slots of the members that receive no messages yet.
    pub(crate) fn waiting(&self, number: RoomNumber) -> impl Iterator<Item = u32> {
        let groups = self.get(number).into_iter().flat_map(|room| &room.groups);
        groups.filter(|group| group.encoding == WAITING).flat_map(|group| group.members.iter().copied())
    }

    /// Returns `true` if a member receives no messages yet.
    pub(crate) fn is_waiting(&self, number: RoomNumber, member: u32) -> bool {
        self.places.get(&(number, member)).is_some_and(|place| place.encoding == WAITING)
    }

    /// Removes a member. If it was the last one, removes the room and returns its name.
    pub(crate) fn remove(&mut self, number: RoomNumber, member: u32) -> Option<Box<str>> {
        let Place { encoding, at: place } = self.places.remove(&(number, member))?;
        let room = self.rooms[number as usize].as_mut()?;
        let at = room.groups.iter().position(|group| group.encoding == encoding)?;
        let members = &mut room.groups[at].members;
        members.swap_remove(place as usize);
        if let Some(&moved) = members.get(place as usize) {
            self.places.insert((number, moved), Place { encoding, at: place });
        }
        if members.is_empty() {
            // Nothing is encoded for an encoding without members.
            room.groups.remove(at);
        }
        room.count -= 1;
        if room.count > 0 {
            return None;
        }
        let gone = self.rooms[number as usize].take()?;
        self.numbers.remove(&gone.name);
        self.free.push(number);
        Some(gone.name)
    }

    pub(crate) fn name(&self, number: RoomNumber) -> &str {
        self.get(number).map_or("", |room| &room.name)
    }

    pub(crate) fn count(&self, number: RoomNumber) -> usize {
        self.get(number).map_or(0, |room| room.count as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(feature = "sim")]
impl Rooms {
    /// Returns `true` if a connection is a member with this encoding.
    pub(crate) fn has(&self, number: RoomNumber, member: u32, encoding: u16) -> bool {
        let Some(place) = self.places.get(&(number, member)) else { return false };
        let group = self.get(number).and_then(|room| room.groups.iter().find(|group| group.encoding == place.encoding));
        let is_there = group.is_some_and(|group| group.members.get(place.at as usize) == Some(&member));
        is_there && (place.encoding == encoding || place.encoding == WAITING)
    }

    /// Returns the number of memberships in all rooms.
    pub(crate) fn memberships(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn recount(&self) -> Recounted {
        let mut members = 0;
        for (name, &number) in &self.numbers {
            let blame = |what: &str| format!("room {name:?}: {what}");
            let Some(room) = self.get(number) else { return Err(blame("has no members")) };
            same(format_args!("room {name:?}: name"), &*room.name, &**name)?;
            let count = room.groups.iter().map(|group| group.members.len()).sum::<usize>();
            same(format_args!("room {name:?}: members"), room.count as usize, count)?;
            let encodings: BTreeSet<_> = room.groups.iter().map(|group| group.encoding).collect();
            same(format_args!("room {name:?}: encodings"), room.groups.len(), encodings.len())?;
            ensure(room.groups.iter().all(|group| !group.members.is_empty()), || blame("has an empty group"))?;
            ensure(count > 0, || blame("is empty"))?;
            members += count;
        }
        same("members of rooms", self.places.len(), members)?;
        same("rooms", self.rooms.iter().flatten().count(), self.numbers.len())?;
        same("free numbers of rooms", self.free.len(), self.rooms.len() - self.numbers.len())
    }
}

fn check_name(name: &str, limits: &RoomLimits) -> Result<(), JoinError> {
    if name.is_empty() || name.len() > limits.name_max_bytes as usize {
        return Err(JoinError::Name { bytes: name.len(), max: limits.name_max_bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    const NAMES: [&str; 4] = ["lobby", "a", "b", "long name"];

    proptest! {
        #[test]
        fn rooms_agree_with_a_set_of_pairs(
            steps in prop::collection::vec((any::<bool>(), 0..4usize, 0..12u32), 0..200)
        ) {
            let limits = RoomLimits { total: 3, ..RoomLimits::default() };
            let mut rooms = Rooms::default();
            let mut model = BTreeSet::<(&str, u32)>::new();
            for (joins, name, member) in steps {
                let name = NAMES[name];
                let encoding = u16::try_from(member % 3).expect("small");
                let is_member = model.contains(&(name, member));
                if joins && !is_member {
                    let known: BTreeSet<_> = model.iter().map(|&(name, _)| name).collect();
                    match rooms.number_or_new(name, &limits, false) {
                        Ok(number) => {
                            rooms.add(number, member, encoding);
                            model.insert((name, member));
                        }
                        Err(error) => {
                            prop_assert_eq!(error, JoinError::TooMany(3));
                            prop_assert!(known.len() == 3 && !known.contains(name));
                        }
                    }
                } else if let Some(number) = rooms.number(name) {
                    rooms.remove(number, member);
                    model.remove(&(name, member));
                }
                for name in NAMES {
                    let members: BTreeSet<u32> = rooms.members(name).collect();
                    let expected = model.iter().filter(|&&(other, _)| other == name).map(|&(_, member)| member).collect();
                    prop_assert_eq!(members, expected);
                }
                let listed: usize = rooms.list().map(|(_, count)| count).sum();
                prop_assert_eq!(listed, model.len());
            }
        }
    }

    #[test]
    fn room_policy_ends_with_last_member_unless_set_beforehand() {
        let limits = RoomLimits { total: 2, ..RoomLimits::default() };
        let mut rooms = Rooms::default();
        let policy_in = |rooms: &mut Rooms, name: &str| {
            let number = rooms.number_or_new(name, &limits, false).expect("room for one");
            rooms.add(number, 0, 0);
            let policy = rooms.get(number).and_then(|room| room.policy);
            (number, policy)
        };
        assert_eq!(rooms.set_policy("news", SlowPolicy::KeepLatest, &limits), Ok(()));
        for game in 0..10 {
            let name = alloc::format!("game {game}");
            let (number, policy) = policy_in(&mut rooms, &name);
            assert_eq!(policy, None);
            assert_eq!(rooms.set_policy(&name, SlowPolicy::SkipOldest, &limits), Ok(()));
            assert_eq!(rooms.get(number).and_then(|room| room.policy), Some(SlowPolicy::SkipOldest));
            rooms.remove(number, 0);
            assert_eq!(policy_in(&mut rooms, &name).1, None);
            rooms.remove(number, 0);
            let (number, policy) = policy_in(&mut rooms, "news");
            assert_eq!(policy, Some(SlowPolicy::KeepLatest));
            rooms.remove(number, 0);
        }
        assert_eq!(rooms.set_policy("weather", SlowPolicy::KeepLatest, &limits), Ok(()));
        assert_eq!(rooms.set_policy("sports", SlowPolicy::KeepLatest, &limits), Err(JoinError::TooMany(2)));
        assert!(rooms.clear_policy("news") && !rooms.clear_policy("news"));
        assert_eq!(rooms.set_policy("sports", SlowPolicy::KeepLatest, &limits), Ok(()));
        assert_eq!(policy_in(&mut rooms, "news").1, None);
    }

    #[test]
    fn room_name_length_is_bounded() {
        let mut rooms = Rooms::default();
        let limits = RoomLimits::default();
        let long = "x".repeat(129);
        assert_eq!(rooms.number_or_new(&long, &limits, false), Err(JoinError::Name { bytes: 129, max: 128 }));
        assert_eq!(rooms.number_or_new("", &limits, false), Err(JoinError::Name { bytes: 0, max: 128 }));
    }
}
