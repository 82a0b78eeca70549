//! The truth: what the homes of rooms have numbered, and how the messages follow one another.

use drupe_core::ConnId;
use drupe_core::history::Position;
use drupe_core::sim::Numbered;
use std::collections::BTreeMap;

/// The numbered messages of all rooms, each room's in the order of its home.
pub(crate) struct Truth<'w> {
    rooms: BTreeMap<&'w str, Line<'w>>,
}

/// The messages of one room.
#[derive(Default)]
pub(crate) struct Line<'w> {
    pub(crate) all: Vec<&'w Numbered>,
    by_position: BTreeMap<Position, usize>,
    by_name: BTreeMap<String, usize>,
}

/// Whether a member that was at one message, and then received another one, missed any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing is missing.
    Whole,
    /// As many messages are missing.
    Missing(usize),
    /// The messages are of two epochs, or the home has lost the first one.
    Broken,
}

impl<'w> Truth<'w> {
    pub(crate) fn new(numbered: impl Iterator<Item = &'w Numbered>) -> Self {
        let mut rooms: BTreeMap<&str, Line<'_>> = BTreeMap::new();
        for numbered in numbered {
            let line = rooms.entry(&numbered.room).or_default();
            let place = line.all.len();
            assert!(
                line.by_position.insert(numbered.position, place).is_none(),
                "a position is given once: {numbered:?}"
            );
            assert!(line.by_name.insert(name(numbered), place).is_none(), "a message is numbered once: {numbered:?}");
            line.all.push(numbered);
        }
        Self { rooms }
    }

    pub(crate) fn line(&self, room: &str) -> Option<&Line<'w>> {
        self.rooms.get(room)
    }
}

impl Line<'_> {
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn place_at(&self, position: Position) -> Option<usize> {
        self.by_position.get(&position).copied()
    }

    /// Returns the position before a message.
    fn before(&self, place: usize) -> Position {
        let Numbered { position, previous, .. } = self.all[place];
        Position::new(position.epoch, position.offset - 1, *previous)
    }

    /// Returns whether a member misses messages if this one comes after `from`.
    pub(crate) fn step(&self, conn: ConnId, from: Position, place: usize) -> Step {
        let (mut before, mut missing) = (self.before(place), 0);
        while before != from {
            let Some(place) = self.place_at(before).filter(|_| before.offset > from.offset) else {
                return Step::Broken;
            };
            missing += usize::from(!self.all[place].except.contains(&conn));
            before = self.before(place);
        }
        if missing == 0 { Step::Whole } else { Step::Missing(missing) }
    }

    /// Returns whether a member misses messages if it gets none of these.
    pub(crate) fn missing(&self, conn: ConnId, places: &[usize]) -> Step {
        match places.iter().filter(|&&place| !self.all[place].except.contains(&conn)).count() {
            0 => Step::Whole,
            missing => Step::Missing(missing),
        }
    }

    /// Returns the messages after `from`, up to and including the one at `to`, oldest first.
    ///
    /// `None` if `from` is not in the history of `to`.
    pub(crate) fn between(&self, from: Position, to: Position) -> Option<Vec<usize>> {
        let (mut at, mut places) = (to, Vec::new());
        while at != from {
            let place = self.place_at(at).filter(|_| at.offset > from.offset)?;
            places.push(place);
            at = self.before(place);
        }
        places.reverse();
        Some(places)
    }
}

/// Returns the name of a message.
pub(crate) fn name(numbered: &Numbered) -> String {
    let text = text(numbered);
    text.split(' ').nth(2).unwrap_or_else(|| panic!("a message of the desk: {text}")).to_string()
}

pub(crate) fn text(numbered: &Numbered) -> String {
    let payload = numbered.message.as_outgoing().as_payload(drupe_core::Representation::Text);
    payload.as_str().expect("text").to_string()
}
