//! Everyone in the chat, on all shards.

use super::messages::{Answer, LISTED_MAX, Request};
use crate::base::ConnId;
use crate::base::names::confusable_key;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

/// The names, connections and rooms of everyone in the chat. There is one for all shards.
///
/// It has one entry for each connection that has arrived and not left. As the messages of a shard
/// arrive in order, the end of a connection comes after all its requests, and takes back what they
/// were granted.
#[derive(Debug, Default)]
pub(super) struct Directory {
    people: BTreeMap<ConnId, Person>,
    /// Map from the [key](confusable_key) of each name in use to the connection of its user.
    names: BTreeMap<String, ConnId>,
    /// The rooms that have members, each with its members in the order of coming.
    rooms: BTreeMap<String, BTreeMap<u64, ConnId>>,
    guests: u32,
    /// Number of times that someone has come to a room.
    comings: u64,
}

#[derive(Debug)]
struct Person {
    name: String,
    /// The room, and the position among its members. `None` before the first room.
    place: Option<(String, u64)>,
}

impl Directory {
    /// Handles a request of a connection of any shard.
    pub(super) fn answer(&mut self, conn: ConnId, request: Request) -> Answer {
        match request {
            Request::Arrive { user } => Answer::Named { name: self.arrive(conn, user) },
            Request::Rename { name } => self.rename(conn, name),
            Request::Enter { room } => self.enter(conn, room),
            Request::Who => self.names_beside(conn),
            Request::Rooms => self.list_rooms(),
            Request::Find { name } => match self.names.get(&confusable_key(&name)) {
                Some(&other) => Answer::Found { other, name: self.name(other) },
                None => Answer::Nobody,
            },
            Request::Leave => {
                self.remove(conn);
                Answer::Left
            }
        }
    }

    fn arrive(&mut self, conn: ConnId, user: Option<String>) -> String {
        self.remove(conn);
        let free = user.filter(|name| !self.names.contains_key(&confusable_key(name)));
        let name = free.unwrap_or_else(|| self.guest());
        self.names.insert(confusable_key(&name), conn);
        self.people.insert(conn, Person { name: name.clone(), place: None });
        name
    }

    fn guest(&mut self) -> String {
        loop {
            self.guests = self.guests.wrapping_add(1);
            let name = format!("guest{}", self.guests);
            if !self.names.contains_key(&confusable_key(&name)) {
                return name;
            }
        }
    }

    fn rename(&mut self, conn: ConnId, name: String) -> Answer {
        let key = confusable_key(&name);
        if let Some(&owner) = self.names.get(&key).filter(|&&owner| owner != conn) {
            return Answer::Taken { by: self.name(owner) };
        }
        let Some(person) = self.people.get_mut(&conn) else { return Answer::Nobody };
        self.names.remove(&confusable_key(&person.name));
        self.names.insert(key, conn);
        person.name = name;
        Answer::Renamed
    }

    fn enter(&mut self, conn: ConnId, room: String) -> Answer {
        let Some(person) = self.people.get_mut(&conn) else { return Answer::Nobody };
        self.comings += 1;
        let old = person.place.replace((room.clone(), self.comings));
        self.rooms.entry(room).or_default().insert(self.comings, conn);
        self.vacate(old);
        Answer::Entered
    }

    fn names_beside(&self, conn: ConnId) -> Answer {
        let place = self.people.get(&conn).and_then(|person| person.place.as_ref());
        let members = place.and_then(|(room, _)| self.rooms.get(room));
        let names = members.into_iter().flat_map(BTreeMap::values).take(LISTED_MAX).map(|&member| self.name(member));
        Answer::Names { names: names.collect(), others: members.map_or(0, BTreeMap::len).saturating_sub(LISTED_MAX) }
    }

    fn list_rooms(&self) -> Answer {
        let rooms = self.rooms.iter().take(LISTED_MAX).map(|(room, members)| (room.clone(), members.len()));
        Answer::Rooms { rooms: rooms.collect(), others: self.rooms.len().saturating_sub(LISTED_MAX) }
    }

    fn remove(&mut self, conn: ConnId) {
        let Some(person) = self.people.remove(&conn) else { return };
        self.names.remove(&confusable_key(&person.name));
        self.vacate(person.place);
    }

    /// Removes a place from its room, and the room if it was the last one.
    fn vacate(&mut self, place: Option<(String, u64)>) {
        if let Some((room, position)) = place
            && let Some(members) = self.rooms.get_mut(&room)
        {
            members.remove(&position);
            if members.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }

    fn name(&self, conn: ConnId) -> String {
        self.people.get(&conn).map(|person| person.name.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
impl Directory {
    /// Returns the number of people, after checking that the tables agree.
    pub(super) fn recount(&self) -> usize {
        for (conn, person) in &self.people {
            assert_eq!(self.names.get(&confusable_key(&person.name)), Some(conn), "{}", person.name);
            if let Some((room, position)) = &person.place {
                assert_eq!(self.rooms[room].get(position), Some(conn), "{room}");
            }
        }
        let placed = self.people.values().filter(|person| person.place.is_some()).count();
        assert_eq!(self.rooms.values().map(BTreeMap::len).sum::<usize>(), placed);
        assert!(self.rooms.values().all(|members| !members.is_empty()));
        assert_eq!(self.names.len(), self.people.len());
        self.people.len()
    }
}
