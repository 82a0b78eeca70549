//! The rooms with a home in the worlds of the swarm.
//!
//! What their members receive is checked in the worlds that [remember](crate::remembering). Here,
//! such rooms are on each wire and beside each other feature.

use drupe_core::history::Position;
use drupe_core::outbound::SlowPolicy;
use drupe_core::{ConnId, HistoryRange, Hub, JoinOptions, Metrics, PublishOptions, Published, RoomAnswer, RoomRequest};
use std::collections::BTreeMap;

/// The rooms that may have homes.
pub(crate) const ROOMS: [&str; 3] = ["home", "house", "h"];

/// The beginning of all commands for such rooms.
pub(crate) const VERBS: [&str; 12] = [
    "home-join",
    "home-back",
    "home-leave",
    "home-say",
    "home-say",
    "home-keep",
    "home-keep",
    "home-keep",
    "home-read",
    "home-who",
    "home-flood",
    "home-rare",
];

/// What one shard's application knows of rooms with a home.
#[derive(Default)]
pub(crate) struct Homes {
    /// The last position in each room that the application has seen.
    seen: BTreeMap<String, Position>,
    /// The room of each request, and how often it was answered.
    asked: BTreeMap<RoomRequest, (&'static str, u32)>,
    said: u64,
}

impl Homes {
    /// Runs a command for a room with a home: what follows `home-`, and a number.
    pub(crate) fn obey(&mut self, hub: &mut Hub<'_, u32>, conn: ConnId, verb: &str, number: usize) {
        let room = ROOMS[number % 3];
        match verb {
            "join" => Self::join(hub, conn, room, None, number),
            "back" => {
                let forged = Position::new(1, number as u64, 3);
                let since = self.seen.get(room).copied().filter(|_| !number.is_multiple_of(10)).unwrap_or(forged);
                Self::join(hub, conn, room, Some(since), number);
            }
            "leave" => drop(hub.leave(conn, room)),
            "say" => {
                let text = self.text(number);
                if number.is_multiple_of(4) {
                    hub.publish_except(room, &[conn], &text);
                } else {
                    hub.publish(room, &text);
                }
            }
            "flood" => (0..number).for_each(|_| {
                let text = self.text(40);
                hub.publish(room, &text);
            }),
            "keep" => {
                let (text, key) = (self.text(number), format!("key {}", number % 4));
                let publisher = [conn];
                let except = if number.is_multiple_of(5) { &publisher[..] } else { &[] };
                let options = PublishOptions::new().except(except);
                let options = if number.is_multiple_of(2) { options.key(&key) } else { options };
                let request = hub.publish_with(room, &text, options);
                self.asked.insert(request, (room, 0));
            }
            "read" => {
                let after = self.seen.get(room).map_or(HistoryRange::Oldest, |&position| HistoryRange::After(position));
                let range = [HistoryRange::Oldest, HistoryRange::Latest, after][number / 3 % 3];
                let max = [0, 1, 10, u32::MAX][number % 4];
                let request = hub.read_history(room, range, max);
                self.asked.insert(request, (room, 0));
            }
            "who" => {
                let request = hub.read_presence(
                    room,
                    number.is_multiple_of(2).then_some("ann"),
                    [0, 1, u32::MAX][number / 3 % 3],
                );
                self.asked.insert(request, (room, 0));
            }
            "rare" if number.is_multiple_of(4) => hub.remove_history(room),
            "rare" => {
                let policies =
                    [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest, SlowPolicy::Close];
                let _ = hub.set_slow_policy(room, policies[number / 4 % 4]);
            }
            _ => {}
        }
    }

    /// Joins a new connection to a room, if it has a home. Every second one may have been there before.
    pub(crate) fn opened(&mut self, hub: &mut Hub<'_, u32>, conn: ConnId) {
        if hub.room_options(ROOMS[0]).is_some() {
            let number = 3 * conn.index();
            self.obey(hub, conn, if number.is_multiple_of(2) { "back" } else { "join" }, number);
        }
    }

    fn text(&mut self, length: usize) -> String {
        self.said += 1;
        format!("kept {} {};", self.said, "-".repeat(length))
    }

    fn join(hub: &mut Hub<'_, u32>, conn: ConnId, room: &str, since: Option<Position>, number: usize) {
        let longest = "n".repeat(128);
        let name = [None, Some("ann"), Some("bob"), Some(&*longest)][number / 3 % 4];
        let info = name.filter(|_| number.is_multiple_of(2)).map(|_| if number < 30 { "here" } else { "away" });
        let joined = hub.join_with(conn, room, JoinOptions::new().since(since).name(name).info(info));
        if joined.is_err() {
            // The room may have no presence.
            let _ = hub.join_with(conn, room, JoinOptions::new().since(since));
        }
    }

    /// Returns the requests that were not answered once, each with its room and the number of answers.
    pub(crate) fn not_once(&self) -> impl Iterator<Item = (&RoomRequest, &(&'static str, u32))> {
        self.asked.iter().filter(|(_, (_, count))| *count != 1)
    }

    pub(crate) fn saw(&mut self, room: &str, position: Position) {
        self.seen.insert(room.into(), position);
    }

    /// Notes an answer, and now and then the position in it, so that returning members miss messages.
    pub(crate) fn answered(&mut self, request: RoomRequest, answer: &RoomAnswer) {
        // An answer to no request counts as a second one.
        let (room, count) = self.asked.entry(request).or_insert(("", 1));
        *count += 1;
        let room = *room;
        if let RoomAnswer::Published(Published::Kept { position, .. }) = answer
            && position.offset.is_multiple_of(4)
        {
            self.saw(room, *position);
        }
    }
}

/// What happened in the rooms with a home of many worlds.
#[derive(Debug, Default)]
pub(crate) struct Reached([u64; 5]);

impl Reached {
    pub(crate) fn add(&mut self, metrics: &Metrics) {
        let memory = &metrics.memory;
        let now =
            [memory.new, memory.kept, memory.refused, memory.recovered_messages, memory.not_recovered.iter().sum()];
        self.0.iter_mut().zip(now).for_each(|(sum, now)| *sum += now);
    }

    /// Checks that the worlds reached each case. Otherwise they do not test it.
    pub(crate) fn assert_all(&self) {
        assert!(self.0.iter().all(|&count| count > 10), "too little happened in rooms with a home: {self:?}");
    }
}
