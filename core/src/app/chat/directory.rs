//! Everyone in the chat: on all shards, and as far as it is known on other hosts.

use super::abroad::{Abroad, News, Stranger};
use super::messages::{Answer, LISTED_MAX, Request};
use crate::base::names::confusable_key;
use crate::base::{ConnId, HostId, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// How often hosts that are gone are looked for.
const LOOKED_EVERY: Duration = Duration::from_secs(5);

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
    /// The rooms that have members.
    rooms: BTreeMap<String, Room>,
    guests: u32,
    /// Number of times that someone has come to a room.
    comings: u64,
    abroad: Abroad,
    /// When hosts that are gone were last looked for.
    looked_at: Time,
}

#[derive(Debug, Default)]
struct Room {
    /// The members on this host, in the order of coming.
    members: BTreeMap<u64, ConnId>,
    strangers: BTreeSet<(HostId, ConnId)>,
}

/// What happens to a person on this host if one on another host has the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The other one has had the name for longer. This one has another name now.
    Lost { conn: ConnId, name: String },
    /// This one has had the name for longer, which the other host should know.
    Kept(ConnId),
}

#[derive(Debug)]
struct Person {
    name: String,
    /// When the person took the name, in milliseconds since 1970.
    since: u64,
    /// The room, and the position among its members. `None` before the first room.
    place: Option<(String, u64)>,
}

impl Directory {
    /// Handles a request of a connection of any shard. `unix`: the time, in milliseconds since 1970.
    pub(super) fn answer(&mut self, conn: ConnId, request: Request, unix: u64) -> Answer {
        match request {
            Request::Arrive { user } => Answer::Named { name: self.arrive(conn, user, unix) },
            Request::Rename { name } => self.rename(conn, name, unix),
            Request::Enter { room } => self.enter(conn, room),
            Request::Who => self.names_beside(conn),
            Request::Rooms => self.list_rooms(),
            Request::Find { name } => self.find(&name),
            Request::Leave => {
                self.remove(conn);
                Answer::Left
            }
        }
    }

    fn find(&self, name: &str) -> Answer {
        if let Some(&other) = self.names.get(&confusable_key(name)) {
            return Answer::Found { other, name: self.name(other) };
        }
        let abroad = self.abroad.find(name);
        abroad.map_or(Answer::Nobody, |(host, stranger)| Answer::Abroad {
            host,
            other: stranger.conn,
            name: stranger.name.clone(),
        })
    }

    fn arrive(&mut self, conn: ConnId, user: Option<String>, since: u64) -> String {
        self.remove(conn);
        let free = user.filter(|name| !self.is_taken(name));
        let name = free.unwrap_or_else(|| self.guest());
        self.names.insert(confusable_key(&name), conn);
        self.people.insert(conn, Person { name: name.clone(), since, place: None });
        name
    }

    fn is_taken(&self, name: &str) -> bool {
        self.names.contains_key(&confusable_key(name)) || self.abroad.find(name).is_some()
    }

    fn guest(&mut self) -> String {
        loop {
            self.guests = self.guests.wrapping_add(1);
            let name = format!("guest{}", self.guests);
            if !self.is_taken(&name) {
                return name;
            }
        }
    }

    fn rename(&mut self, conn: ConnId, name: String, since: u64) -> Answer {
        let key = confusable_key(&name);
        if let Some(&owner) = self.names.get(&key).filter(|&&owner| owner != conn) {
            return Answer::Taken { by: self.name(owner) };
        }
        if let Some((_, stranger)) = self.abroad.find(&name) {
            return Answer::Taken { by: stranger.name.clone() };
        }
        if self.give_name(conn, name, since) { Answer::Renamed } else { Answer::Nobody }
    }

    /// Gives a person a name that is free. Returns `false` if the person has left.
    fn give_name(&mut self, conn: ConnId, name: String, since: u64) -> bool {
        let Some(person) = self.people.get_mut(&conn) else { return false };
        self.names.remove(&confusable_key(&person.name));
        self.names.insert(confusable_key(&name), conn);
        (person.name, person.since) = (name, since);
        true
    }

    fn enter(&mut self, conn: ConnId, room: String) -> Answer {
        let Some(person) = self.people.get_mut(&conn) else { return Answer::Nobody };
        self.comings += 1;
        let old = person.place.replace((room.clone(), self.comings));
        self.rooms.entry(room).or_default().members.insert(self.comings, conn);
        self.vacate(old);
        Answer::Entered
    }

    fn names_beside(&self, conn: ConnId) -> Answer {
        let place = self.people.get(&conn).and_then(|person| person.place.as_ref());
        let Some(room) = place.and_then(|(room, _)| self.rooms.get(room)) else {
            return Answer::Names { names: Vec::new(), others: 0 };
        };
        let here = room.members.values().map(|&member| self.name(member));
        let abroad = room.strangers.iter().filter_map(|&(host, conn)| Some(self.abroad.get(host, conn)?.name.clone()));
        Answer::Names {
            names: here.chain(abroad).take(LISTED_MAX).collect(),
            others: room.len().saturating_sub(LISTED_MAX),
        }
    }

    fn list_rooms(&self) -> Answer {
        let rooms = self.rooms.iter().take(LISTED_MAX).map(|(name, room)| (name.clone(), room.len()));
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
            && let Some(found) = self.rooms.get_mut(&room)
        {
            found.members.remove(&position);
            if found.len() == 0 {
                self.rooms.remove(&room);
            }
        }
    }

    fn name(&self, conn: ConnId) -> String {
        self.people.get(&conn).map(|person| person.name.clone()).unwrap_or_default()
    }
}

/// What hosts tell each other.
impl Directory {
    /// Returns what other hosts should know of a connection. `None`: it has left.
    pub(super) fn as_stranger(&self, conn: ConnId, is_shared: impl Fn(&str) -> bool) -> Option<Stranger> {
        let Person { name, since, place } = self.people.get(&conn)?;
        let room = place.as_ref().map(|(room, _)| room).filter(|room| is_shared(room));
        Some(Stranger { conn, name: name.clone(), since: *since, room: room.cloned() })
    }

    /// Returns everyone on this host.
    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.people.keys().copied().collect()
    }

    /// Handles news of the people on another host. `own`: this host. `unix`: milliseconds since 1970.
    pub(super) fn heard(&mut self, own: HostId, from: HostId, news: News, now: Time, unix: u64) -> Vec<Outcome> {
        match news {
            News::People(people) => {
                people.into_iter().filter_map(|stranger| self.met(own, from, stranger, now, unix)).collect()
            }
            News::All => {
                let gone = self.abroad.clear(from);
                self.vacate_all(from, &gone);
                Vec::new()
            }
            News::Gone(conn) => {
                let gone = self.abroad.remove(from, conn);
                self.vacate_all(from, gone.as_slice());
                Vec::new()
            }
            News::Ask | News::Whisper { .. } => Vec::new(),
        }
    }

    fn met(&mut self, own: HostId, from: HostId, stranger: Stranger, now: Time, unix: u64) -> Option<Outcome> {
        let (conn, room) = (stranger.conn, stranger.room.clone());
        let (key, since) = (confusable_key(&stranger.name), stranger.since);
        let (before, is_known) = self.abroad.put(from, stranger, now);
        self.vacate_all(from, before.as_slice());
        if let Some(room) = room.filter(|_| is_known) {
            self.rooms.entry(room).or_default().strangers.insert((from, conn));
        }
        let &ours = self.names.get(&key)?;
        let person = self.people.get(&ours)?;
        // Both hosts come to the same result.
        if (person.since, own) < (since, from) {
            return Some(Outcome::Kept(ours));
        }
        let name = self.guest();
        self.give_name(ours, name.clone(), unix);
        Some(Outcome::Lost { conn: ours, name })
    }

    /// Forgets the people on hosts that are gone. `known` returns the hosts that the cluster knows.
    pub(super) fn forget_lost(&mut self, now: Time, known: impl FnOnce() -> BTreeSet<HostId>) {
        if now.since(self.looked_at) < LOOKED_EVERY {
            return;
        }
        self.looked_at = now;
        for host in self.abroad.lost(&known(), now) {
            let gone = self.abroad.forget(host);
            self.vacate_all(host, &gone);
        }
    }

    /// Removes people of another host from their rooms.
    fn vacate_all(&mut self, host: HostId, gone: &[Stranger]) {
        for stranger in gone {
            if let Some(room) = &stranger.room
                && let Some(found) = self.rooms.get_mut(room)
            {
                found.strangers.remove(&(host, stranger.conn));
                if found.len() == 0 {
                    self.rooms.remove(room);
                }
            }
        }
    }
}

impl Room {
    fn len(&self) -> usize {
        self.members.len() + self.strangers.len()
    }
}

#[cfg(test)]
impl Directory {
    /// Returns the number of people, after checking that the tables agree.
    pub(super) fn recount(&self) -> usize {
        for (conn, person) in &self.people {
            assert_eq!(self.names.get(&confusable_key(&person.name)), Some(conn), "{}", person.name);
            if let Some((room, position)) = &person.place {
                assert_eq!(self.rooms[room].members.get(position), Some(conn), "{room}");
            }
        }
        let placed = self.people.values().filter(|person| person.place.is_some()).count();
        assert_eq!(self.rooms.values().map(|room| room.members.len()).sum::<usize>(), placed);
        assert!(self.rooms.values().all(|room| room.len() > 0));
        assert_eq!(self.names.len(), self.people.len());
        self.people.len()
    }
}
