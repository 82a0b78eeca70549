//! A model of a nats-server as the broker of a world.

use super::record::{Record, text_of};
use crate::base::{Random, Time};
use crate::cluster::model_nats::{Data, Login, ModelNats, Published};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::format;
use std::string::String;
use std::vec::Vec;

/// Draws a server, and the longest time that it takes without a fault.
pub(super) fn draw(random: &mut Random) -> (ModelNats, u64) {
    let mut model = ModelNats::new(1, Login::None, random.next_u64());
    let late_ms = [0, 0, 3, 40][usize::try_from(random.below(4)).expect("small")];
    model.faults.late_ms = late_ms;
    (model, late_ms)
}

/// One of its faults goes on or off.
pub(super) fn fail(
    model: &mut ModelNats,
    copy: &mut Option<Data>,
    late_ms: u64,
    now: Time,
    fault: u64,
    room: &str,
    random: &mut Random,
) {
    let mut changed = core::mem::take(&mut model.faults);
    match fault {
        3 => *copy = Some(model.snapshot()),
        4 => {
            // The server was killed, or another one becomes the leader while connections stay.
            let is_restarted = random.below(4) > 0;
            if let Some(copy) = copy.clone().filter(|_| random.below(3) > 0) {
                model.restore(copy);
            }
            if is_restarted {
                model.restart();
            }
        }
        5 if random.below(5) == 0 => {
            if random.below(2) == 0 {
                model.flush();
            } else {
                model.empty();
            }
            if random.below(2) == 0 {
                model.disconnect_all();
            }
            *copy = None;
        }
        6 => changed.is_deaf = !changed.is_deaf,
        7 => changed.is_full = !changed.is_full,
        8 => changed.late_ms = [late_ms, 200, 2_000][usize::try_from(random.below(3)).expect("small")],
        9 => model.purge(&history(room)),
        10 => changed.has_no_leader = !changed.has_no_leader,
        12 => changed.is_mute = !changed.is_mute,
        13 => changed.behind = if changed.behind == 0 { 1 + random.below(3) } else { 0 },
        14 if random.below(2) == 0 => model.begin_lame_duck(now),
        14 => model.ping(now),
        15 if changed.denied.is_empty() => changed.denied.push("drupe.h.>".into()),
        15 => changed.denied.clear(),
        16 => changed.reorders = !changed.reorders,
        _ => {}
    }
    model.faults = changed;
}

pub(super) fn records(model: &ModelNats) -> Vec<Record> {
    model.ledger().iter().filter_map(record).collect()
}

/// Returns the offset and the mark of the last message of a room.
pub(super) fn top(model: &ModelNats, room: &str) -> Option<(u64, u64)> {
    let (sequence, _) = model.last(&history(room))?;
    let of_last = |record: &Record| record.room == room && record.position.offset == sequence;
    records(model).iter().rev().find(|record| of_last(record)).map(|last| (sequence, last.position.mark))
}

fn record(published: &Published) -> Option<Record> {
    let (room, position, has_content) = published.place("drupe")?;
    let text = has_content.then(|| text_of(published.payload.clone()));
    Some(Record { number: published.number, room, position, text, was_lost: published.was_lost })
}

/// The subject of a room's history, whatever its limits.
fn history(room: &str) -> String {
    format!("drupe.h.*.{}", word(room))
}

fn word(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}
