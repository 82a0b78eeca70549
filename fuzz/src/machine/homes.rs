//! Calls of the hub about rooms with a home.

use drupe_core::history::Position;
use drupe_core::{ConnId, HistoryRange, Hub, JoinOptions, PublishOptions, Published, RoomAnswer, RoomRequest};
use std::collections::BTreeSet;

/// What the application knows of rooms with a home.
#[derive(Default)]
pub(super) struct Homes {
    /// The last position that it has seen.
    seen: Option<Position>,
    /// The requests without an answer.
    waiting: BTreeSet<RoomRequest>,
}

impl Homes {
    /// Calls a random method about a room.
    pub(super) fn act(&mut self, hub: &mut Hub<'_, u8>, conn: ConnId, room: &str, pick: usize) {
        let number = usize::try_from(hub.random() % 64).expect("small");
        let request = match pick % 8 {
            0..3 => {
                let forged = Position::new(1, number as u64, 3);
                let since = [None, self.seen, Some(forged)][number % 3];
                let name = [Some("ann"), Some("bob"), None, Some("")][number / 3 % 4];
                let info = name.filter(|_| number > 40).map(|_| "here");
                let _ = hub.join_with(conn, room, JoinOptions::new().since(since).name(name).info(info));
                return;
            }
            3 | 4 => {
                let keys = ["", "k", "key", "long key"];
                let except = [conn];
                let options = PublishOptions::new().except(&except);
                let options = if number % 2 == 0 { options.key(keys[number / 2 % 4]) } else { PublishOptions::new() };
                hub.publish_with(room, &"k".repeat(number * 4), options)
            }
            5 => {
                let after = self.seen.map_or(HistoryRange::Oldest, HistoryRange::After);
                let range = [HistoryRange::Oldest, HistoryRange::Latest, after][number % 3];
                hub.read_history(room, range, [0, 1, 5, u32::MAX][number / 3 % 4])
            }
            6 if number == 0 => return hub.remove_history(room),
            _ => hub.read_presence(room, (number % 2 == 0).then_some("ann"), [0, 1, u32::MAX][number / 2 % 3]),
        };
        assert!(self.waiting.insert(request), "a request was issued twice");
    }

    pub(super) fn saw(&mut self, position: Option<Position>) {
        self.seen = position.or(self.seen);
    }

    /// Notes an answer. Each request has one.
    pub(super) fn answered(&mut self, request: RoomRequest, answer: &RoomAnswer) {
        assert!(self.waiting.remove(&request), "an answer to no request, or a second one");
        if let RoomAnswer::Published(Published::Kept { position, .. }) = answer {
            self.saw(Some(*position));
        }
    }
}
