//! Draws the configuration of a world, and the scripts of its peers.

use super::heard::Heard;
use drupe_core::history::{Keep, Position};
use drupe_core::outbound::{Marks, OutboundLimits, SlowPolicy};
use drupe_core::sim::{Client, Do, Faults};
use drupe_core::{Config, Home, Listen, Presence, Random, RoomMemory, RoomOptions};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The rooms: three may have homes.
pub(crate) const ROOMS: [&str; 4] = ["news", "nest", "talk", "plain"];

const PRESENCES: [Presence; 4] = [Presence::Names, Presence::Names, Presence::Counts, Presence::Off];
/// The names of members, and those with information about them.
const NAMES: [&str; 6] = ["", "ann", "bob", "cid", "ann!", "bob!"];

/// What the peers of a world do.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// Whether they set slow policies of rooms.
    pub(crate) policies: bool,
    /// Whether they make the application panic.
    pub(crate) panics: bool,
    /// Whether some of them remove histories.
    pub(crate) removes: bool,
    /// The rooms where they go.
    pub(crate) rooms: &'static [&'static str],
}

pub(crate) struct Draw(pub(crate) Random);

impl Draw {
    pub(crate) fn number(&mut self, below: u64) -> usize {
        usize::try_from(self.0.below(below)).expect("small")
    }

    pub(crate) fn chance(&mut self, of: u64) -> bool {
        self.0.below(of) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.number(of.len() as u64)]
    }

    pub(crate) fn memory(&mut self) -> RoomMemory {
        let rooms = ["news", "n*", "talk"].map(|rooms| {
            let seconds = |seconds| Duration::from_secs(seconds);
            let keep = Keep::messages(self.pick(&[0, 1, 3, 20, 20, 1_000, u32::MAX]))
                .bytes(self.pick(&[0, 50, 400, 1 << 20, 1 << 20, u32::MAX]))
                .age(self.pick(&[None, None, Some(seconds(0)), Some(seconds(2)), Some(seconds(60))]))
                .key_window(self.pick(&[seconds(0), seconds(5), seconds(300), Duration::MAX]));
            let presence = self.pick(&PRESENCES);
            RoomOptions::new(rooms, keep).presence(presence).tells_gaps(!self.chance(6)).positions(!self.chance(6))
        });
        RoomMemory::default()
            .rooms(rooms.into())
            .bytes_max(self.pick(&[0, 2_000, 8_000, 64 << 20, 64 << 20, u64::MAX]))
            .recover_max(self.pick(&[0, 1, 5, 300, 300, u32::MAX]))
    }

    /// Returns a memory that only loses what homes lose.
    pub(crate) fn long_memory() -> RoomMemory {
        RoomMemory::default().rooms(vec![RoomOptions::new("*", Keep::messages(1_000))])
    }

    /// Draws another memory, in which some rooms have no home.
    pub(crate) fn other_memory(&mut self, before: &RoomMemory) -> RoomMemory {
        let mut memory = if self.chance(2) { before.clone() } else { self.memory() };
        for number in (0..3).rev() {
            match self.number(6) {
                0 => drop(memory.rooms.remove(number)),
                1 => memory.rooms[number].home = Home::None,
                2 | 3 => memory.rooms[number].presence = self.pick(&PRESENCES),
                _ => {}
            }
        }
        memory
    }

    pub(crate) fn config(&mut self) -> Config {
        let listeners = ["tcp://127.0.0.1:7000", "ws://127.0.0.1:7001", "tcp://127.0.0.1:7002", "ws://127.0.0.1:7003"]
            .map(|address| address.parse::<Listen>().expect("an address"));
        let policies = [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest, SlowPolicy::Close];
        let marks = self.pick(&[(64 << 10, 256 << 10, 1 << 20), (200, 500, 2_000), (0, 100, 600), (300, 300, 300)]);
        let outbound = OutboundLimits::default()
            .marks(Marks::new(marks.0, marks.1, marks.2).expect("in order"))
            .write_deadline(Duration::from_secs(self.pick(&[5, 60])))
            .slow_policy(self.pick(&policies));
        Config::listening(listeners).unlimited().outbound(outbound).memory(self.memory())
    }

    pub(crate) fn faults(&mut self) -> Faults {
        let mut faults = Faults::default();
        faults.pause_max = Duration::from_secs(self.pick(&[0, 0, 1, 60]));
        faults.stall_max = Duration::from_secs(self.pick(&[0, 1, 30]));
        faults.behind = self.pick(&[1, 10, 65_536]);
        faults
    }

    /// Creates a peer of a listener, which remembers the last positions that it saw.
    pub(crate) fn client(&mut self, is_websocket: bool, habits: Habits) -> Client {
        let client = if is_websocket { Client::websocket() } else { Client::lines() };
        let seen = Rc::new(RefCell::new(BTreeMap::new()));
        let knows = Rc::clone(&seen);
        let (pace, ends) = (self.pick(&[1, 1, 2, 5]), self.pick(&[0, 60, 300]));
        let (long, removes) = (self.chance(3), self.chance(4) && habits.removes);
        let client = client.answers(move |text| {
            remember(&mut knows.borrow_mut(), text);
            None
        });
        client.does(move |random| {
            let mut draw = Draw(Random::new(random.next_u64()));
            if !draw.chance(pace) {
                return Do::Wait;
            }
            if ends > 0 && draw.chance(ends) {
                return [Do::Close, Do::End, Do::Leave][draw.number(3)].clone();
            }
            Do::Say(draw.command(&seen.borrow(), habits, (long, removes)))
        })
    }

    fn command(&mut self, seen: &BTreeMap<String, Position>, habits: Habits, (long, removes): (bool, bool)) -> String {
        let Habits { policies, panics, rooms, .. } = habits;
        let room = self.pick(rooms);
        let length = if long { self.pick(&[0, 10, 100, 450]) } else { self.number(30) };
        match self.number(30) {
            0..3 => format!("join {room} {}", self.pick(&NAMES)),
            3..8 => format!("back {room} {} {}", self.position(seen, room), self.pick(&NAMES)),
            8..11 => format!("leave {room}"),
            15..17 => format!("both {room} {length}"),
            17..20 => format!("keep {room} {length}"),
            20..22 => format!("key {room} {}", self.number(3)),
            22 => format!("some {room} {}", self.number(60)),
            23 => format!("read {room} {} {}", self.pick(&["oldest", "latest"]), self.number(8)),
            24 => format!("read {room} {} {}", self.position(seen, room), self.number(8)),
            25 => format!("long {room} {}", self.pick(&[0, 64, 65, 300])),
            26 if removes => format!("remove {room}"),
            27 if policies => format!("policy {room} {}", self.number(4)),
            28 if self.chance(4) => "close".into(),
            28 if panics && self.chance(2) => "panic".into(),
            29 => format!("who {room} {}", self.pick(&NAMES)),
            _ => format!("say {room} {length}"),
        }
    }

    /// Draws a position: most often the last one that the peer saw, sometimes a forged one.
    fn position(&mut self, seen: &BTreeMap<String, Position>, room: &str) -> String {
        let mut position = seen.get(room).copied().unwrap_or(Position::new(1, 2, 3));
        match self.number(40) {
            0 => position.offset = self.pick(&[0, 1, u64::MAX, position.offset.wrapping_add(1)]),
            1 => position.mark = position.mark.wrapping_add(1),
            2 => position.epoch = position.epoch.wrapping_add(1),
            3 => position = seen.values().next().copied().unwrap_or(position),
            _ => {}
        }
        position.to_string()
    }
}

/// Keeps the last position that a text shows.
fn remember(seen: &mut BTreeMap<String, Position>, text: &str) {
    let (room, position, is_told) = match Heard::parse(text) {
        Heard::Message { room, position: Some(position), .. } | Heard::Gap { room, position: Some(position), .. } => {
            (room, position, true)
        }
        Heard::Joined { room, position: Some(position) } => (room, position, false),
        _ => return,
    };
    let known = seen.get(room).copied();
    // The desk may send its words after a later message.
    let is_older = known.is_some_and(|known| known.epoch == position.epoch && known.offset > position.offset);
    if is_told || !is_older {
        seen.insert(room.into(), position);
    }
}
