//! Messages about shared rooms, on the shard with the link.

use super::tables::Sharing;
use crate::base::{ConnId, OutgoingBuf};
use crate::cluster::{Ask, Submission};
use crate::config::{Cluster, Engine, Home, Presence, RoomOptions};
use crate::facts::{HistoryRange, RoomMessage};
use crate::history::{Keep, Position};
use crate::state::State;
use alloc::sync::Arc;

impl State {
    /// Returns `true` if the home of a room is the broker.
    pub(crate) fn is_shared(&self, room: &str) -> bool {
        self.shared_from_start(room).is_some()
    }

    /// Returns the first options of a room whose home is the broker.
    ///
    /// Which rooms are shared stays as it was at the start, so that all shards agree on it at any time.
    pub(crate) fn shared_from_start(&self, room: &str) -> Option<&RoomOptions> {
        let options = self.shared_memory.as_ref()?.options_of_stored(room)?;
        Some(options).filter(|options| options.home == Home::Shared)
    }

    /// Returns how many messages the broker keeps of a shared room.
    ///
    /// With NATS, that stays as it was at the start. Each set of limits has a stream of its own, so a room whose limits change
    /// loses its history. If they change back, the room has its earlier history again, and members miss what the other
    /// stream has without being told.
    pub(super) fn shared_keep_of(&self, room: &str) -> Keep {
        let keep = self.keep_of(room);
        let is_nats = |cluster: &Cluster| matches!(cluster.engine, Engine::Nats(_));
        match self.shared_from_start(room).filter(|_| self.config.cluster.as_ref().is_some_and(is_nats)) {
            Some(first) => first.keep.bytes(keep.bytes),
            None => keep,
        }
    }

    /// Handles a message to the home of a shared room. Returns `false` if it is none.
    pub(crate) fn handle_shared(&mut self, message: &RoomMessage) -> bool {
        let Some(room) = message.to_home().filter(|room| self.is_shared(room)).cloned() else { return false };
        if self.sharing.is_none() {
            return false;
        }
        let keep = self.shared_keep_of(&room);
        match message {
            RoomMessage::Submit { from, request, key, except, message, .. } => {
                self.submit_shared((&room, keep), (*from, *request), key.as_ref(), except, message);
            }
            RoomMessage::Ask { from, number, since, bytes_max, .. } => {
                self.ask_shared((&room, keep), *from, *number, *since, *bytes_max);
            }
            RoomMessage::Emptied { from, .. } => self.release_shared(&room, *from),
            RoomMessage::Read { from, request, range, max, .. } => {
                self.read_shared((&room, keep), (*from, *request), *range, *max);
            }
            RoomMessage::Entered { from, name, info, .. } => {
                self.with_sharing(|sharing, now| sharing.cluster.enter(now, (&room, keep), *from, name, info.as_ref()));
            }
            RoomMessage::Exited { from, name, .. } => {
                self.with_sharing(|sharing, now| sharing.cluster.exit(now, &room, *from, name));
            }
            RoomMessage::Who { from, request, after, max, .. } => {
                let most = self.names_in_page(&room, *max);
                let (asker, after) = ((*from, *request), after.clone());
                self.with_sharing(|sharing, now| sharing.cluster.list_names(now, (&room, keep), asker, after, most));
            }
            RoomMessage::Remove { .. } => {
                self.with_sharing(|sharing, now| sharing.cluster.remove_history(now, &room, keep));
            }
            _ => return false,
        }
        true
    }

    /// Passes a message on to the shards with members of its room.
    pub(super) fn pass_to_holders(&mut self, message: &RoomMessage) {
        let Some(room) = message.room() else { return };
        if matches!(message, RoomMessage::PresenceChanged { .. }) && !self.tells_names(room) {
            return;
        }
        for shard in self.shared_holders(room) {
            self.pass_to(shard, message.clone());
        }
    }

    /// Returns the shards with members of a shared room.
    pub(crate) fn shared_holders(&self, room: &str) -> alloc::vec::Vec<u8> {
        let holders = self.sharing.as_ref().and_then(|sharing| sharing.holders.get(room));
        holders.into_iter().flatten().copied().collect()
    }

    fn submit_shared(
        &mut self,
        (room, keep): (&Arc<str>, Keep),
        (from, request): (u8, Option<u64>),
        key: Option<&Arc<str>>,
        except: &Arc<[ConnId]>,
        message: &OutgoingBuf,
    ) {
        if self.is_local() {
            if let Some(sharing) = self.sharing.as_mut() {
                sharing.local.insert(Arc::clone(room));
            }
            return self.keep(room, (from, request), key.map(|key| &**key), except, message);
        }
        let submission = Submission { room, from, request, key, except, message, keep };
        self.with_sharing(|sharing, now| sharing.cluster.submit(now, &submission));
    }

    fn ask_shared(
        &mut self,
        (room, keep): (&Arc<str>, Keep),
        from: u8,
        number: u64,
        since: Option<Position>,
        bytes_max: u32,
    ) {
        let has_presence = self.room_options(room).is_some_and(|options| options.presence != Presence::Off);
        let messages_max = self.config.memory.recover_max;
        let ask = Ask { from, number, since, messages_max, bytes_max, asked_at: self.now, tries: 0 };
        self.with_sharing(|sharing, now| {
            sharing.holders.entry(Arc::clone(room)).or_default().insert(from);
            sharing.cluster.ask(now, room, keep, has_presence, ask);
        });
    }

    fn release_shared(&mut self, room: &Arc<str>, from: u8) {
        self.with_sharing(|sharing, now| {
            let Some(holders) = sharing.holders.get_mut(room) else { return };
            holders.remove(&from);
            if holders.is_empty() {
                sharing.holders.remove(room);
                sharing.cluster.release(now, room);
            }
        });
    }

    fn read_shared(&mut self, room: (&Arc<str>, Keep), asker: (u8, u64), range: HistoryRange, max: u32) {
        self.with_sharing(|sharing, now| sharing.cluster.read_history(now, room, asker, range, max));
    }

    fn with_sharing(&mut self, run: impl FnOnce(&mut Sharing, crate::base::Time)) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut() {
            run(sharing, now);
            self.drive_link();
        }
    }
}
