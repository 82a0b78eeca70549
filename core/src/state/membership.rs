//! Joining and leaving rooms.

use super::State;
use crate::base::ConnId;
use crate::config::JoinError;
use crate::state::room::RoomNumber;

impl State {
    pub(crate) fn join(&mut self, id: ConnId, name: &str) -> Result<bool, JoinError> {
        let Some(index) = self.open_slot(id) else { return Err(JoinError::NotOpen) };
        let limits = self.config.rooms;
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
        let number = self.rooms.number_or_new(name, &limits, is_full)?;
        conn.rooms.push(number);
        self.rooms.add(number, index, conn.encoding);
        if self.rooms.count(number) == 1 {
            self.room_opened(name);
        }
        Ok(true)
    }

    pub(crate) fn leave(&mut self, id: ConnId, name: &str) -> bool {
        let (Some(number), Some(conn)) = (self.rooms.number(name), self.conns.get_mut(id)) else { return false };
        let Some(place) = conn.rooms.iter().position(|&room| room == number) else { return false };
        conn.rooms.swap_remove(place);
        let encoding = conn.encoding;
        self.leave_room(number, id.slot(), encoding);
        true
    }

    /// Removes a connection from one of its rooms. The room closes with its last member.
    pub(super) fn leave_room(&mut self, number: RoomNumber, index: u32, encoding: u16) {
        if let Some(name) = self.rooms.remove(number, index, encoding) {
            self.room_closed(&name);
        }
    }
}
