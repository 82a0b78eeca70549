//! Conversion of the limits on rooms, and of the rooms that remember their messages.

use super::cluster::{MESSAGE_MAX_BYTES, PlannedRooms};
use super::limits::u32_of;
use crate::config::{Home, Presence, RoomLimits, RoomMemory, RoomOptions};
use crate::history::{Keep, MESSAGE_BYTES};
use crate::settings::plan::problems::Problems;
use crate::settings::tree::{HomeChoice, PresenceChoice, RoomOptionSettings, RoomSettings, Settings};
use crate::settings::units::Size;
use alloc::format;

/// The keys that have no effect without a home.
const OF_HOME: [&str; 7] =
    ["messages_max", "bytes_max", "age_max", "key_window", "presence", "gap_notices", "positions"];

pub(super) fn limits(rooms: &RoomSettings, problems: &mut Problems<'_>) -> RoomLimits {
    if rooms.name_max.0 == 0 {
        problems.add("rooms.name_max", "it must be at least 1B: a name has at least one byte");
    }
    RoomLimits {
        total: rooms.rooms_max.get(),
        per_connection: rooms.per_connection_max.get(),
        name_max_bytes: u32_of("rooms.name_max", rooms.name_max, problems),
    }
}

pub(super) fn memory(settings: &Settings, planned: &PlannedRooms) -> RoomMemory {
    let (rooms, options) = (&settings.rooms, planned.options(settings.cluster.is_some()));
    RoomMemory::default().rooms(options).bytes_max(rooms.history_max.0).recover_max(rooms.recover_max)
}

/// Returns the operator's options of rooms. They are shared unless the operator chose another home.
pub(super) fn planned(settings: &Settings, problems: &mut Problems<'_>) -> PlannedRooms {
    let options = settings.rooms.options.iter();
    let of_operator = options.map(|(pattern, options)| one(pattern, options, settings, problems)).collect();
    PlannedRooms { of_operator, ..PlannedRooms::default() }
}

/// Returns the part of `rooms.history_max` that each worker has.
pub(in crate::settings) fn part_of_worker(settings: &Settings) -> Size {
    Size(settings.rooms.history_max.0 / u64::from(settings.workers.get()))
}

fn one(pattern: &str, options: &RoomOptionSettings, settings: &Settings, problems: &mut Problems<'_>) -> RoomOptions {
    let key = format!("rooms.options.{pattern}");
    check_pattern(&key, pattern, settings, problems);
    let home = match options.home {
        HomeChoice::Shared => Home::Shared,
        HomeChoice::Memory => Home::Memory,
        HomeChoice::None => Home::None,
    };
    if home == Home::None {
        for part in OF_HOME.map(|part| format!("{key}.{part}")) {
            if problems.is_chosen(&part) {
                problems.add(&part, "it has no effect, because home is none: remove it, or set home to memory");
            }
        }
    } else {
        check_memory(&key, options, settings, problems);
    }
    if home == Home::Shared && settings.cluster.is_some() && options.bytes_max.0 > MESSAGE_MAX_BYTES.into() {
        let words = "in a cluster it is the limit of a single message, and must be at most 4MiB";
        problems.add(&format!("{key}.bytes_max"), words);
    }
    let presence = match options.presence {
        PresenceChoice::Off => Presence::Off,
        PresenceChoice::Counts => Presence::Counts,
        PresenceChoice::Names => Presence::Names,
    };
    let keep = Keep::messages(options.messages_max)
        .bytes(u32_of(&format!("{key}.bytes_max"), options.bytes_max, problems))
        .age(options.age_max.0.map(|age| age.0))
        .key_window(options.key_window.0);
    let rooms = RoomOptions::new(pattern, keep).home(home).presence(presence);
    rooms.tells_gaps(options.gap_notices).positions(options.positions)
}

fn check_pattern(key: &str, pattern: &str, settings: &Settings, problems: &mut Problems<'_>) {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    if pattern.is_empty() {
        problems.add(key, "it is empty: write the name of a room, a prefix such as news*, or * for all rooms");
    }
    if name.contains('*') {
        problems.add(key, "a * stands only at the end, for all rooms whose names begin with the part before it");
    }
    let max = settings.rooms.name_max;
    if name.len() as u64 > max.0 {
        problems.add(key, format!("no room can have such a name: it is longer than rooms.name_max ({max})"));
    }
}

/// Checks that the memory of a worker allows what one room may keep.
fn check_memory(key: &str, options: &RoomOptionSettings, settings: &Settings, problems: &mut Problems<'_>) {
    let part = part_of_worker(settings);
    let of_worker = match settings.workers.get() {
        1 => format!("rooms.history_max ({part})"),
        workers => format!("{part}, which each of the {workers} workers has of rooms.history_max"),
    };
    let (messages, bytes) = (format!("{key}.messages_max"), format!("{key}.bytes_max"));
    if options.bytes_max.0 == 0 {
        let least = settings.limits.peer.message_max;
        let words = format!(
            "these rooms could send no message: raise it to at least the longest message, \
             such as limits.peer.message_max ({least})"
        );
        return problems.add_chosen(&[&bytes, "rooms.history_max"], words);
    }
    if options.bytes_max.0 > part.0 {
        return problems.add(&bytes, format!("it must be at most {of_worker}: lower it, or raise rooms.history_max"));
    }
    let least = Size(u64::from(options.messages_max) * MESSAGE_BYTES as u64);
    if least.0 > part.0 {
        let words = format!(
            "{} messages, even empty ones, need {least} of memory, more than {of_worker}: \
             lower messages_max, or raise rooms.history_max",
            options.messages_max
        );
        problems.add_chosen(&[&messages, "rooms.history_max"], words);
    }
}
