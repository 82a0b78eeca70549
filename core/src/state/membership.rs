//! Joining and leaving rooms.

use super::State;
use crate::base::ConnId;
use crate::config::{JoinError, JoinOptions, Presence};
use crate::state::memory::Question;
use crate::state::room::{RoomNumber, WAITING, is_tag_of_home};

impl State {
    pub(crate) fn join(&mut self, id: ConnId, name: &str, options: JoinOptions<'_>) -> Result<bool, JoinError> {
        let Some(index) = self.open_slot(id) else { return Err(JoinError::NotOpen) };
        options.check()?;
        let home = self.room_options(name);
        if options.name.is_some() && home.is_none_or(|options| options.presence == Presence::Off) {
            return Err(JoinError::NoPresence);
        }
        let (limits, has_home) = (self.config.rooms, home.is_some());
        let Some(conn) = self.conns.at_mut(index).filter(|conn| !conn.finished) else { return Err(JoinError::NotOpen) };
        if let Some(number) = self.rooms.number(name)
            && conn.rooms.contains(&number)
        {
            return Ok(false);
        }
        if conn.rooms.len() >= limits.per_connection as usize {
            return Err(JoinError::TooManyOfConnection(limits.per_connection));
        }
        let is_full = self.outbox.is_full_without(name, limits.total);
        if is_full && self.rooms.number(name).is_none() {
            return Err(JoinError::TooMany(limits.total));
        }
        let number = self.rooms.number_or_new(name, &limits, has_home)?;
        conn.rooms.push(number);
        self.rooms.add(number, index, if has_home { WAITING } else { conn.encoding });
        if self.rooms.count(number) == 1 {
            self.room_opened(name);
        }
        if has_home {
            self.ask_home(
                name,
                Question::Of { slot: index, since: options.since, to_handler: options.missed_to_handler },
            );
            if let Some(name) = options.name {
                self.enter(number, index, name, options.info);
            }
        } else if options.since.is_some() {
            self.joined_without_home(name, index);
        }
        Ok(true)
    }

    pub(crate) fn leave(&mut self, id: ConnId, name: &str) -> bool {
        let (Some(number), Some(conn)) = (self.rooms.number(name), self.conns.get_mut(id)) else { return false };
        let Some(place) = conn.rooms.iter().position(|&room| room == number) else { return false };
        conn.rooms.swap_remove(place);
        self.leave_room(number, id.slot());
        true
    }

    /// Removes a connection from one of its rooms. The room closes with its last member.
    pub(super) fn leave_room(&mut self, number: RoomNumber, index: u32) {
        self.forget_missed(index, number);
        self.exit(number, index);
        let has_home = self.rooms.get(number).is_some_and(|room| is_tag_of_home(room.tag));
        if has_home && self.rooms.count(number) > 1 {
            let Self { rooms, memory, .. } = self;
            memory.forget_member(rooms.name(number), index);
        }
        if let Some(name) = self.rooms.remove(number, index) {
            self.room_closed(&name);
            if has_home {
                self.left_home(&name);
            }
        }
    }
}
