use crate::base::ConnId;
use crate::config::JoinError;
use crate::handler::Hub;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Who is in which room, by name: a user with several connections is there once, from the first that joins until the last that
/// leaves or ends.
///
/// Joins and leaves of the rooms it watches go through it, and it is told of every end ([`closed`](Self::closed)); then it shows
/// nobody who is not there.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    rooms: BTreeMap<String, BTreeMap<Arc<str>, u32>>,
    of: BTreeMap<ConnId, Vec<(String, Arc<str>)>>,
}

impl Presence {
    /// Nobody anywhere.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has a connection join a room under a name. Scopes are not looked at. Says whether the name was not there before: so whether it is worth telling.
    /// A connection that is in the room keeps the name it has there.
    ///
    /// # Errors
    /// If the connection can't join.
    pub fn join<C: Default>(
        &mut self,
        hub: &mut Hub<'_, C>,
        conn: ConnId,
        room: &str,
        name: &str,
    ) -> Result<bool, JoinError> {
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

    /// Has a connection leave a room. Gives the name if it is not there any more.
    pub fn leave<C: Default>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, room: &str) -> Option<Arc<str>> {
        hub.leave(conn, room);
        let joined = self.of.get_mut(&conn)?;
        let place = joined.iter().position(|(known, _)| known == room)?;
        let (room, name) = joined.swap_remove(place);
        if joined.is_empty() {
            self.of.remove(&conn);
        }
        self.one_less(&room, &name).then_some(name)
    }

    /// A connection is over: to be told at [`Event::Closed`](crate::Event::Closed). Gives the rooms with the names that are not
    /// there any more.
    pub fn closed(&mut self, conn: ConnId) -> Vec<(String, Arc<str>)> {
        let mut gone = self.of.remove(&conn).unwrap_or_default();
        gone.retain(|(room, name)| self.one_less(room, name));
        gone
    }

    /// The names in a room, in alphabetical order.
    pub fn names(&self, room: &str) -> impl Iterator<Item = &str> {
        self.rooms.get(room).into_iter().flatten().map(|(name, _)| &**name)
    }

    /// How many names are in a room.
    #[must_use]
    pub fn count(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, BTreeMap::len)
    }

    /// The rooms with somebody in them, in alphabetical order, with the number of names.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rooms.iter().map(|(room, names)| (room.as_str(), names.len()))
    }

    /// The name of a connection in a room.
    #[must_use]
    pub fn name(&self, conn: ConnId, room: &str) -> Option<&str> {
        self.of.get(&conn)?.iter().find(|(known, _)| known == room).map(|(_, name)| &**name)
    }

    /// True if the name is gone.
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

    /// Joins and leaves as it is told, and says what changed.
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
        fn nobody_is_shown_who_is_not_there(
            steps in prop::collection::vec((0..6_usize, 0..5_u8, "[ab]", "[xyz]"), 1..120)
        ) {
            let mut hub = TestHub::new(Rooms::default());
            let mut conns: Vec<ConnId> = (0..6).map(|_| hub.connect()).collect();
            // Who said that they are where, as long as they are.
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
                // What was told adds up to what is.
                told.clear();
                for change in &rooms.changes {
                    let (sign, entry) = change.split_at(1);
                    let news = if sign == "+" { told.insert(entry.to_string()) } else { told.remove(entry) };
                    prop_assert!(news, "{} was told twice", change);
                }
                prop_assert_eq!(&told, &expected);
                prop_assert_eq!(presence.count("a"), presence.names("a").count());
            }
        }
    }
}
