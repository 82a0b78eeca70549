//! Members of rooms on one host, and what each of them got.

use super::record::{Record, number_of};
use super::setting::{KEEP, Tally};
use crate::base::{Random, Time};
use crate::cluster::Ask;
use crate::facts::RoomMessage;
use crate::history::{Gap, Position};
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::String;
use std::vec::Vec;

/// The members on one host. They are on one shard, and so get the same messages.
#[derive(Default)]
pub(super) struct Members {
    members: BTreeMap<u64, Member>,
    asked: u64,
    /// The positions of members that left, with which others come back.
    left_at: BTreeMap<&'static str, Vec<Position>>,
}

struct Member {
    room: &'static str,
    since: Option<Position>,
    is_live: bool,
    is_over: bool,
    heard: Vec<Heard>,
}

/// What a member got.
#[derive(Debug)]
enum Heard {
    /// The position from which messages follow, of a member that came back and missed these, or why not.
    Told(Position, Result<Vec<(Position, u64)>, Gap>),
    Message(Position, u64),
    Gap(Position),
    /// The position moves on without a message.
    Passed(Position),
}

impl Members {
    /// Adds a member, which may come back with the position of one that left.
    pub(super) fn join(&mut self, now: Time, room: &'static str, random: &mut Random) -> Ask {
        self.asked += 1;
        let back = self.left_at.get_mut(room).filter(|_| random.below(4) > 0).and_then(Vec::pop);
        let member = Member { room, since: back, is_live: false, is_over: false, heard: Vec::new() };
        self.members.insert(self.asked, member);
        let (number, since) = (self.asked, back);
        Ask { from: 0, number, since, messages_max: 4, bytes_max: 1_000, asked_at: now, tries: 0 }
    }

    /// Removes a member. Returns `true` if no other one is left.
    pub(super) fn leave(&mut self, room: &'static str, random: &mut Random) -> bool {
        let mut of_room = self.members.values_mut().filter(|member| member.room == room && !member.is_over);
        let Some(member) = of_room.next() else { return false };
        let is_last = of_room.next().is_none();
        member.is_over = true;
        if member.is_live && random.below(3) > 0 {
            let at = member.heard.iter().rev().map(Heard::position).next();
            self.left_at.entry(room).or_default().extend(at.filter(|at| at.epoch > 0));
        }
        is_last
    }

    pub(super) fn crash(&mut self) {
        for member in self.members.values_mut().filter(|member| !member.is_over) {
            member.is_over = true;
        }
    }

    pub(super) fn are_in(&self, room: &str) -> bool {
        self.members.values().any(|member| member.room == room && !member.is_over)
    }

    /// Passes on what the cluster tells the shard.
    pub(super) fn handle(&mut self, message: RoomMessage) {
        match message {
            RoomMessage::Told { number, position, missed, .. } => {
                let Some(member) = self.members.get_mut(&number).filter(|member| !member.is_over) else { return };
                let missed =
                    missed.map(|missed| missed.iter().map(|(at, message)| (*at, number_of(message))).collect());
                member.is_live = true;
                member.heard.push(Heard::Told(position, missed));
            }
            RoomMessage::Kept { room, position, message, .. } => {
                self.hear(&room, || Heard::Message(position, number_of(&message)));
            }
            RoomMessage::Moved { room, position, .. } => self.hear(&room, || Heard::Gap(position)),
            RoomMessage::Passed { room, position } => self.hear(&room, || Heard::Passed(position)),
            _ => {}
        }
    }

    fn hear(&mut self, room: &str, heard: impl Fn() -> Heard) {
        let live = self.members.values_mut().filter(|member| member.room == room && member.is_live && !member.is_over);
        live.for_each(|member| member.heard.push(heard()));
    }

    pub(super) fn check(
        &self,
        room: &str,
        (ledger, kept): (&[Record], &BTreeSet<u64>),
        top: Option<(u64, u64)>,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let ledger: Vec<_> = ledger.iter().filter(|record| record.room == room).collect();
        for (number, member) in self.members.iter().filter(|(_, member)| member.room == room) {
            let fail = |error: String| format!("member {number} of {room}: {error}: {:?}", member.heard);
            member.check(&ledger, kept, tally).map_err(fail)?;
            if member.is_over {
                continue;
            }
            let last = member.heard.last().map(Heard::position);
            if last.map(|last| (last.offset, last.mark)) != top {
                return Err(fail(format!("the end is not that of the broker, {top:?}")));
            }
        }
        Ok(())
    }
}

impl Heard {
    fn position(&self) -> Position {
        match self {
            Self::Told(position, _) | Self::Message(position, ..) | Self::Gap(position) | Self::Passed(position) => {
                *position
            }
        }
    }

    /// Returns the index of this message in the ledger.
    fn index_in(&self, ledger: &[&Record]) -> Option<usize> {
        match self {
            Self::Message(_, text) => ledger.iter().position(|record| record.text == Some(*text)),
            _ => ledger.iter().position(|record| record.position.mark == self.position().mark),
        }
    }
}

impl Member {
    fn check(&self, ledger: &[&Record], kept: &BTreeSet<u64>, tally: &mut Tally) -> Result<(), String> {
        // The index in the ledger after the last message, while nothing may be missing.
        let mut next: Option<usize> = None;
        let mut seen = BTreeSet::new();
        // Messages that the broker lost, and of whose loss the member must be told at some time.
        let mut owed = Vec::new();
        // A loss cannot be proved any more once so many have followed that the place of the message is not kept.
        let is_provable = |lost: &Record| {
            let later = ledger
                .iter()
                .filter(|other| other.number > lost.number && other.position.offset > lost.position.offset);
            later.count() < usize::try_from(KEEP).expect("small")
        };
        let is_owed = |record: &&&Record| {
            record.was_lost && record.text.is_some_and(|text| kept.contains(&text)) && is_provable(record)
        };
        let mut last_was_message = false;
        for heard in &self.heard {
            let was_message =
                core::mem::replace(&mut last_was_message, matches!(heard, Heard::Message(..) | Heard::Passed(_)));
            match heard {
                Heard::Told(position, missed) => {
                    next = after(ledger, *position);
                    match (self.since, missed) {
                        (Some(since), Ok(missed)) => {
                            tally.recovered += 1;
                            let from = after(ledger, since).ok_or("recovered from a position that never was")?;
                            let until = next.unwrap_or(0);
                            let between = &ledger[from.min(until)..until];
                            let expected: Vec<_> = between
                                .iter()
                                .filter(|record| !record.was_lost)
                                .filter_map(|record| record.text)
                                .collect();
                            let got: Vec<_> = missed.iter().map(|(_, number)| *number).collect();
                            // What the broker has lost again is not owed to one who was away, and may be among them.
                            if !expected.iter().all(|number| got.contains(number)) {
                                return Err(format!("recovered with {got:?}, and {expected:?} were missed"));
                            }
                            if until < from {
                                return Err("recovered at an earlier position".into());
                            }
                            seen.extend(got);
                        }
                        (Some(_), Err(_)) => tally.not_recovered += 1,
                        (None, _) => {}
                    }
                }
                Heard::Message(position, _) | Heard::Passed(position) => {
                    let at = heard.index_in(ledger).ok_or_else(|| format!("{heard:?} was never published"))?;
                    if let Heard::Message(_, text) = heard {
                        tally.received += 1;
                        if !seen.insert(*text) {
                            return Err(format!("{text} came twice"));
                        }
                    }
                    if let Some(from) = next {
                        if at < from {
                            return Err(format!("{heard:?} came after later ones"));
                        }
                        let mut others = ledger[from..at].iter().filter(|record| !record.was_lost);
                        if let Some(missing) = others.find_map(|record| record.text) {
                            return Err(format!("{missing} is missing before {heard:?} at {position}"));
                        }
                        // What was lost before a position was told is not owed.
                        let lost = ledger[from..at].iter().filter(|_| was_message).filter(is_owed);
                        owed.extend(lost.filter_map(|record| record.text));
                    }
                    next = Some(at + 1);
                }
                Heard::Gap(position) => {
                    tally.gaps += 1;
                    owed.clear();
                    next = after(ledger, *position);
                }
            }
        }
        if !owed.is_empty() && !self.is_over {
            return Err(format!("{owed:?}, which the broker lost, are missing without a gap"));
        }
        Ok(())
    }
}

/// Returns the index of the first message after a position.
fn after(ledger: &[&Record], position: Position) -> Option<usize> {
    if position.epoch == 0 {
        return None;
    }
    if position.mark == 0 {
        // Before the first message of the epoch.
        let first = ledger.iter().position(|record| record.position.epoch == position.epoch);
        return Some(first.unwrap_or(ledger.len()));
    }
    let at = ledger.iter().position(|record| record.position.mark == position.mark);
    at.map(|at| at + 1)
}
