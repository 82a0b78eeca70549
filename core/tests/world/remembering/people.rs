//! What the application knows of the names that are present in rooms.

use super::draw::ROOMS;
use drupe_core::{ConnId, Hub, Presence, PresenceChange, PresencePage, RoomRequest};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of names in an answer: more than there are.
const NAMES_MAX: u32 = 100;

/// A change of presence: the name, whether it is present, and information about it.
pub(crate) type Change = (String, bool, Option<String>);

/// The names of members on one shard, and what this shard was told of those of all shards.
#[derive(Default)]
pub(crate) struct People {
    /// The changes that were told, by rooms.
    pub(crate) changes: BTreeMap<String, Vec<Change>>,
    /// What was so at each note, in all rooms.
    pub(crate) rolls: Vec<Vec<Roll>>,
    /// What an application shows that asks once, and then follows the changes.
    views: BTreeMap<String, View>,
}

/// What was so in one room when a note came.
#[derive(Debug)]
pub(crate) struct Roll {
    pub(crate) room: String,
    pub(crate) presence: Presence,
    /// The names of the members on this shard.
    pub(crate) here: BTreeSet<String>,
    /// The names on all shards, as the application shows them, if it knows them.
    pub(crate) shown: Option<BTreeSet<String>>,
    pub(crate) request: RoomRequest,
}

#[derive(Debug)]
struct View {
    asked: RoomRequest,
    names: Option<BTreeSet<String>>,
}

/// Returns what a room knows of the names of its members.
pub(crate) fn presence(hub: &Hub<'_, ()>, room: &str) -> Presence {
    hub.room_options(room).map_or(Presence::Off, |options| options.presence)
}

impl People {
    /// Forgets what is shown of rooms without members here: their changes are not told.
    pub(crate) fn forget_empty(&mut self, hub: &Hub<'_, ()>) {
        self.views.retain(|room, _| hub.member_count(room) > 0);
    }

    /// Asks who is in a room with members here, unless that is known. Returns the request.
    pub(crate) fn ask(&mut self, hub: &mut Hub<'_, ()>, room: &str) -> Option<RoomRequest> {
        let is_told = presence(hub, room) == Presence::Names && hub.member_count(room) > 0;
        if !is_told || self.views.contains_key(room) {
            return None;
        }
        let asked = hub.read_presence(room, None, NAMES_MAX);
        self.views.insert(room.into(), View { asked, names: None });
        Some(asked)
    }

    /// Asks anew in all rooms, because homes may have changed. Returns the requests.
    pub(crate) fn ask_anew(&mut self, hub: &mut Hub<'_, ()>) -> Vec<(RoomRequest, &'static str)> {
        self.views.clear();
        ROOMS.into_iter().filter_map(|room| Some((self.ask(hub, room)?, room))).collect()
    }

    pub(crate) fn answered(&mut self, request: RoomRequest, page: &PresencePage) {
        // A room whose names are only counted lists none.
        if let Some(view) = self.views.values_mut().find(|view| view.asked == request && !page.has_more) {
            view.names = Some(page.names.iter().map(|present| present.name.to_string()).collect());
        }
    }

    pub(crate) fn changed(&mut self, change: &PresenceChange<'_>) {
        let (name, info) = (change.name.to_string(), change.info.map(Into::into));
        if let Some(names) = self.views.get_mut(change.room).and_then(|view| view.names.as_mut()) {
            if change.is_present {
                names.insert(name.clone())
            } else {
                names.remove(&name)
            };
        }
        self.changes.entry(change.room.into()).or_default().push((name, change.is_present, info));
    }

    /// Notes who is here, and asks who is present. Returns the requests.
    pub(crate) fn roll_call<'m>(
        &mut self,
        hub: &mut Hub<'_, ()>,
        members: &(impl Iterator<Item = (ConnId, &'m str, &'m str)> + Clone),
    ) -> Vec<(RoomRequest, &'static str)> {
        let rolls: Vec<Roll> = ROOMS
            .into_iter()
            .map(|room| {
                let inside: BTreeSet<ConnId> = hub.members(room).collect();
                let here = members.clone().filter(|(conn, of, _)| *of == room && inside.contains(conn));
                let here = here.map(|(_, _, name)| name.to_string()).collect();
                let shown = self.views.get(room).and_then(|view| view.names.clone());
                let (room, presence) = (room.to_string(), presence(hub, room));
                let request = hub.read_presence(&room, None, NAMES_MAX);
                Roll { room, presence, here, shown, request }
            })
            .collect();
        let requests = rolls.iter().map(|roll| roll.request).zip(ROOMS).collect();
        self.rolls.push(rolls);
        requests
    }
}
