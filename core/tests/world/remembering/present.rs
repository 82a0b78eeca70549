//! Compares the names that are present in rooms with the members.

use super::Run;
use super::check::Found;
use super::desk::Desk;
use super::people::{Change, Roll};
use drupe_core::{Presence, RoomAnswer};
use std::collections::{BTreeMap, BTreeSet};

/// Checks that who is present is who is a member of any shard, and that all shards hear of the
/// changes in the order of the home.
pub(crate) fn names(run: &Run, found: &mut Found) {
    let desks: Vec<&Desk> = run.world.handlers().collect();
    let rolls = desks.iter().map(|desk| desk.people.rolls.len()).min().unwrap_or(0);
    // Between the two notes of a pair, all messages between shards have arrived.
    for pair in 0..rolls / 2 {
        for room in 0..super::draw::ROOMS.len() {
            let at = |note: usize| desks.iter().map(move |desk| &desk.people.rolls[note][room]);
            let (before, after) = (truth(at(2 * pair)), truth(at(2 * pair + 1)));
            if before == after {
                desks.iter().zip(at(2 * pair)).for_each(|(desk, roll)| answered(desk, roll, &after, found));
                at(2 * pair + 1).for_each(|roll| shown(roll, &after, found));
            }
        }
    }
    for desk in desks {
        in_order(run, desk, found);
    }
}

/// Returns the names of the members on all shards.
fn truth<'r>(rolls: impl Iterator<Item = &'r Roll>) -> BTreeSet<&'r str> {
    rolls.flat_map(|roll| roll.here.iter().map(String::as_str)).collect()
}

/// Checks the answer of the home.
fn answered(desk: &Desk, roll: &Roll, truth: &BTreeSet<&str>, found: &mut Found) {
    let [RoomAnswer::Present(page)] = &desk.requests[&roll.request].answers[..] else {
        panic!("no answer tells who is present: {roll:?}");
    };
    assert_eq!(page.is_some(), roll.presence != Presence::Off, "{roll:?}");
    let Some(page) = page else { return };
    assert_eq!(page.count, truth.len() as u64, "the number of names in {}: {truth:?}", roll.room);
    if roll.presence == Presence::Names {
        let names: Vec<&str> = page.names.iter().map(|present| &*present.name).collect();
        assert!(names.iter().copied().eq(truth.iter().copied()), "{names:?} are present in {}: {truth:?}", roll.room);
        found.present += names.len() as u64;
    }
}

/// Checks what an application shows that has asked once and followed the changes.
fn shown(roll: &Roll, truth: &BTreeSet<&str>, found: &mut Found) {
    if let (Presence::Names, Some(names)) = (roll.presence, &roll.shown) {
        assert!(names.iter().eq(truth), "{names:?} are shown in {}: {truth:?}", roll.room);
        found.shown += names.len() as u64;
    }
}

/// Checks that the changes that one shard was told are some of those of the home, in its order.
fn in_order(run: &Run, desk: &Desk, found: &mut Found) {
    let mut told: BTreeMap<&str, Vec<Change>> = BTreeMap::new();
    for change in run.world.told_presence() {
        let (name, info) = (change.name.to_string(), change.info.as_ref().map(ToString::to_string));
        told.entry(&change.room).or_default().push((name, change.is_present, info));
    }
    for (room, changes) in &desk.people.changes {
        let mut of_home = told.get(&**room).into_iter().flatten();
        for change in changes {
            assert!(of_home.any(|other| other == change), "{change:?} came to {room} in another order: {changes:?}");
        }
        found.changes += changes.len() as u64;
    }
}
