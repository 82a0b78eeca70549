//! Rooms that have a home: positions, answers and histories.

use crate::base::{ConnId, Outgoing};
use crate::config::{JoinError, JoinOptions, RoomOptions};
use crate::facts::HistoryRange;
use crate::handler::Hub;
use crate::history::Position;
use crate::state::RoomRequest;

/// Options of [`Hub::publish_with`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PublishOptions<'a> {
    key: Option<&'a str>,
    except: &'a [ConnId],
}

impl<'a> PublishOptions<'a> {
    /// Creates options of a message for all members, without a key.
    pub const fn new() -> Self {
        Self { key: None, except: &[] }
    }

    /// Sets a key of at most 64 bytes.
    ///
    /// Within [`Keep::key_window`](crate::history::Keep::key_window), a second message with the same
    /// key is not sent. So an author may repeat a message whose answer was lost.
    pub const fn key(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Sets connections that do not receive the message.
    pub const fn except(self, except: &'a [ConnId]) -> Self {
        Self { except, ..self }
    }
}

/// # Rooms that remember
///
/// They have a [home](crate::Home), by [`Config::memory`](crate::Config::memory).
impl<C> Hub<'_, C> {
    /// Adds a connection to a room with these options. Returns `false` if it was already a member.
    ///
    /// In a room that has a home, the connection is a member at once, and receives messages from
    /// [`Event::Joined`](crate::Event::Joined) on.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn join_with(&mut self, conn: ConnId, room: &str, options: JoinOptions<'_>) -> Result<bool, JoinError> {
        let room = self.stored(room);
        self.state.join(conn, &room, options)
    }

    /// Publishes a message to a room that has a home, which answers.
    ///
    /// [`Event::RoomAnswered`](crate::Event::RoomAnswered) follows exactly once: the message was
    /// [kept](crate::Published::Kept), was [refused](crate::Published::Refused) and certainly not
    /// sent, or the outcome is [unknown](crate::RoomAnswer::Unknown) after 10 s.
    pub fn publish_with<'p>(
        &mut self,
        room: &str,
        payload: impl Into<Outgoing<'p>>,
        options: PublishOptions<'_>,
    ) -> RoomRequest {
        let (room, message) = (self.stored(room), payload.into().to_owned());
        self.state.publish_kept(self.app, &room, options.key, options.except, message)
    }

    /// Requests at most `max` messages of a room's history, oldest first, and at most 1,000.
    ///
    /// [`Event::RoomAnswered`](crate::Event::RoomAnswered) brings them. A page ends early after
    /// 1 MiB.
    pub fn read_history(&mut self, room: &str, range: HistoryRange, max: u32) -> RoomRequest {
        let room = self.stored(room);
        self.state.read_history(self.app, &room, range, max)
    }

    /// Requests the names that are [present](crate::Presence) in a room, and their number.
    ///
    /// [`Event::RoomAnswered`](crate::Event::RoomAnswered) brings at most `max` names and at most
    /// 1,000, in alphabetical order, from the one after `after`.
    pub fn read_presence(&mut self, room: &str, after: Option<&str>, max: u32) -> RoomRequest {
        let room = self.stored(room);
        self.state.read_presence(self.app, &room, after, max)
    }

    /// Removes the messages in a room's history.
    ///
    /// Members get no notice. A returning reader that missed one of them is not recovered.
    pub fn remove_history(&mut self, room: &str) {
        let room = self.stored(room);
        self.state.remove_history(&room);
    }

    /// Returns the position up to which the members of a room on this shard have received all messages.
    ///
    /// `None` if the room has no home, or no such member here.
    #[must_use]
    pub fn room_position(&self, room: &str) -> Option<Position> {
        self.state.room_position(&self.stored(room))
    }

    /// Returns `true` if the home of a room is the broker.
    pub(crate) fn is_shared(&self, room: &str) -> bool {
        self.state.is_shared(&self.stored(room))
    }

    /// Returns the options of a room that has a home.
    #[must_use]
    pub fn room_options(&self, room: &str) -> Option<&RoomOptions> {
        self.state.room_options(&self.stored(room))
    }
}
