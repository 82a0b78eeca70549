//! Copying messages for watchers.

use super::State;
use crate::base::{ConnId, Outgoing, Payload};
use crate::state::room::RoomNumber;
use alloc::vec::Vec;

impl State {
    /// Copies a message that is sent to a connection, if the connection is watched.
    pub(super) fn copy_sent(&mut self, conn: ConnId, payload: Payload<'_>) {
        if self.watched.has(conn) {
            self.watched.copy(conn, payload);
        }
    }

    /// Copies a message for each watched connection among `conns`, in its representation.
    pub(super) fn copy_to_watchers(&mut self, conns: &[ConnId], message: Outgoing<'_>) {
        for &conn in conns {
            self.copy_sent(conn, message.as_payload(self.representation(conn)));
        }
    }

    /// Returns the watched members of a room that are not in `except`, which must be sorted.
    pub(super) fn watched_members(&self, room: RoomNumber, except: &[u32]) -> Vec<ConnId> {
        if self.watched.is_empty() {
            return Vec::new();
        }
        let is_member = |conn: &ConnId| self.conns.get(*conn).is_some_and(|found| found.rooms.contains(&room));
        let watched = self.watched.conns().filter(is_member);
        watched.filter(|conn| except.binary_search(&conn.slot()).is_err()).collect()
    }
}
