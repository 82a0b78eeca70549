use crate::base::ConnId;
use crate::config::JoinError;
use crate::handler::Hub;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A tracker of which names are present in which rooms.
///
/// A name may have several connections. It is present from the first one that joins until the last
/// one that leaves or closes.
///
/// Call [`join`](Self::join) and [`leave`](Self::leave) instead of the hub's methods, and
/// [`closed`](Self::closed) for every closed connection. Otherwise names can stay after their
/// connections are gone.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    rooms: BTreeMap<String, BTreeMap<Arc<str>, u32>>,
    of: BTreeMap<ConnId, Vec<(String, Arc<str>)>>,
}

impl Presence {
    /// Creates a tracker without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connection to a room under a name. Returns whether the name is new in the room.
    ///
    /// A connection that is already in the room keeps its name there. Scopes are not checked.
    ///
    /// # Errors
    /// If the connection cannot join the room.
    pub fn join<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, room: &str, name: &str) -> Result<bool, JoinError> {
        hub.join(conn, room)?;
        let joined = self.of.entry(conn).or_default();
        if joined.iter().any(|(known, _)| known == room) {
            return Ok(false);
        }
        let name: Arc<str> = name.into();
        joined.push((room.to_owned(), name.clone()));
        let count = self.rooms.entry(room.to_owned()).or_default().entry(name).or_default();
        *count += 1;
        Ok(*count == 1)
    }

    /// Removes a connection from a room. Returns its name if the name is no longer in the room.
    pub fn leave<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, room: &str) -> Option<Arc<str>> {
        hub.leave(conn, room);
        let joined = self.of.get_mut(&conn)?;
        let place = joined.iter().position(|(known, _)| known == room)?;
        let (room, name) = joined.swap_remove(place);
        if joined.is_empty() {
            self.of.remove(&conn);
        }
        self.one_less(&room, &name).then_some(name)
    }

    /// Removes a closed connection from all rooms. Returns the rooms with the names that left them.
    ///
    /// Call it at [`Event::Closed`](crate::Event::Closed).
    pub fn closed(&mut self, conn: ConnId) -> Vec<(String, Arc<str>)> {
        let mut gone = self.of.remove(&conn).unwrap_or_default();
        gone.retain(|(room, name)| self.one_less(room, name));
        gone
    }

    /// Returns the names in a room, in alphabetical order.
    pub fn names(&self, room: &str) -> impl Iterator<Item = &str> {
        self.rooms.get(room).into_iter().flatten().map(|(name, _)| &**name)
    }

    /// Returns the number of names in a room.
    #[must_use]
    pub fn count(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, BTreeMap::len)
    }

    /// Returns the rooms with members, in alphabetical order, and the number of names in each.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rooms.iter().map(|(room, names)| (room.as_str(), names.len()))
    }

    /// Returns the name of a connection in a room, or `None` if the connection is not in the room.
    #[must_use]
    pub fn name(&self, conn: ConnId, room: &str) -> Option<&str> {
        self.of.get(&conn)?.iter().find(|(known, _)| known == room).map(|(_, name)| &**name)
    }

    /// Removes one connection of a name from a room. Returns whether it was the last one.
    fn one_less(&mut self, room: &str, name: &str) -> bool {
        let Some(names) = self.rooms.get_mut(room) else { return false };
        let Some(count) = names.get_mut(name) else { return false };
        *count -= 1;
        if *count > 0 {
            return false;
        }
        names.remove(name);
        if names.is_empty() {
            self.rooms.remove(room);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Failure;
    use crate::handler::{Event, Handler, NoNote};
    use crate::testing::TestHub;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    /// A handler that joins and leaves rooms on command, and records the changes.
    #[derive(Default)]
    struct Rooms {
        presence: Presence,
        changes: Vec<String>,
    }

    impl Handler for Rooms {
        type Context = ();
        type Note = NoNote;

        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            match event {
                Event::Message { conn, payload } => {
                    let words: Vec<_> = payload.as_str().expect("text").split(' ').collect();
                    match words[..] {
                        ["join", room, name] => {
                            if self.presence.join(hub, conn, room, name) == Ok(true) {
                                self.changes.push(format!("+{name} {room}"));
                            }
                        }
                        ["leave", room] => {
                            let gone = self.presence.leave(hub, conn, room);
                            self.changes.extend(gone.map(|name| format!("-{name} {room}")));
                        }
                        _ => hub.close(conn),
                    }
                }
                Event::Closed { conn, .. } => {
                    let gone = self.presence.closed(conn);
                    self.changes.extend(gone.into_iter().map(|(room, name)| format!("-{name} {room}")));
                }
                _ => {}
            }
        }
    }

    proptest! {
        #[test]
        fn presence_agrees_with_a_list_of_joins(
            steps in prop::collection::vec((0..6_usize, 0..5_u8, "[ab]", "[xyz]"), 1..120)
        ) {
            let mut hub = TestHub::new(Rooms::default());
            let mut conns: Vec<ConnId> = (0..6).map(|_| hub.connect()).collect();
            // Which connection is in which room under which name.
            let mut model: Vec<(ConnId, String, String)> = Vec::new();
            let mut told: BTreeSet<String> = BTreeSet::new();
            for (who, step, room, name) in steps {
                let conn = conns[who];
                match step {
                    0 | 1 => {
                        hub.line(conn, &format!("join {room} {name}"));
                        if !model.iter().any(|(other, known, _)| (*other, known) == (conn, &room)) {
                            model.push((conn, room, name));
                        }
                    }
                    2 => {
                        hub.line(conn, &format!("leave {room}"));
                        model.retain(|(other, known, _)| (*other, known) != (conn, &room));
                    }
                    _ => {
                        if step == 3 { hub.line(conn, "close") } else { hub.fail(conn, Failure::Reset) }
                        model.retain(|(other, _, _)| *other != conn);
                        conns[who] = hub.connect();
                    }
                }
                let rooms = hub.handler();
                let expected: BTreeSet<String> = model.iter().map(|(_, room, name)| format!("{name} {room}")).collect();
                let presence = &rooms.presence;
                let shown: BTreeSet<String> = presence.rooms()
                    .flat_map(|(room, _)| presence.names(room).map(move |name| format!("{name} {room}")))
                    .collect();
                prop_assert_eq!(&shown, &expected);
                // The reported changes add up to the current state.
                told.clear();
                for change in &rooms.changes {
                    let (sign, entry) = change.split_at(1);
                    let news = if sign == "+" { told.insert(entry.to_string()) } else { told.remove(entry) };
                    prop_assert!(news, "{} was reported twice", change);
                }
                prop_assert_eq!(&told, &expected);
                prop_assert_eq!(presence.count("a"), presence.names("a").count());
            }
        }
    }
}
