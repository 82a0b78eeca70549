//! What this shard knows of the rooms with a home that have members here.

use super::behind::Behind;
#[cfg(feature = "sim")]
use crate::base::recount::same;
use crate::history::Position;
use alloc::collections::BTreeMap;
#[cfg(feature = "sim")]
use alloc::collections::BTreeSet;
#[cfg(feature = "sim")]
use alloc::string::String;
use alloc::sync::Arc;

/// The seats of this shard, by the names of the rooms.
#[derive(Debug, Default)]
pub(super) struct Seats {
    pub(super) by_room: BTreeMap<Arc<str>, Seat>,
    /// Questions to homes so far.
    questions: u64,
    pub(super) behind: Behind,
}

/// What this shard knows of one room.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// The position up to which the live members have all messages. `None`: no member is live.
    pub(super) top: Option<Position>,
    /// The questions to the home.
    waiting: BTreeMap<u64, Question>,
    /// The question of each waiting member that has one of its own, by the member's slot.
    questions: BTreeMap<u32, u64>,
}

/// A question to the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The member in this slot is new, and may know a position.
    Of {
        slot: u32,
        since: Option<Position>,
        /// Whether the handler gets what was missed, in place of the member.
        to_handler: bool,
    },
    /// The members were there before the room had a home.
    OfAll,
}

impl Seats {
    /// Adds a question about a room, and returns its number.
    pub(super) fn ask(&mut self, room: &Arc<str>, question: Question) -> u64 {
        self.questions += 1;
        let seat = self.by_room.entry(Arc::clone(room)).or_default();
        seat.waiting.insert(self.questions, question);
        if let Question::Of { slot, .. } = question {
            seat.questions.insert(slot, self.questions);
        }
        self.questions
    }
}

impl Seat {
    /// Removes and returns a question, unless its member has left.
    pub(super) fn take_question(&mut self, number: u64) -> Option<Question> {
        let question = self.waiting.remove(&number)?;
        if let Question::Of { slot, .. } = question {
            self.questions.remove(&slot);
        }
        Some(question)
    }

    /// Removes all questions of single members, and returns the slots of the members.
    pub(super) fn take_members(&mut self) -> impl Iterator<Item = u32> + use<> {
        self.waiting.clear();
        core::mem::take(&mut self.questions).into_keys()
    }

    /// Returns `true` if a waiting member has a question of its own.
    pub(super) fn asks_for(&self, slot: u32) -> bool {
        self.questions.contains_key(&slot)
    }

    /// Forgets a member that has left.
    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(number) = self.questions.remove(&slot) {
            self.waiting.remove(&number);
        }
    }
}

/// The members that wait for an answer.
#[cfg(feature = "sim")]
pub(super) struct Asked {
    /// The slots of those with a question of their own.
    pub(super) slots: BTreeSet<u32>,
    /// Whether there is a question for all others.
    pub(super) all: bool,
}

#[cfg(feature = "sim")]
impl Seat {
    /// Returns `true` if no question waits for its answer.
    pub(super) fn is_told(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Checks the questions, and returns who waits for their answers.
    pub(super) fn recount(&self, room: &str) -> Result<Asked, String> {
        let of_members = || {
            self.waiting.iter().filter_map(|(&number, question)| match *question {
                Question::Of { slot, .. } => Some((slot, number)),
                Question::OfAll => None,
            })
        };
        same(format_args!("room {room:?}: questions"), &self.questions, &of_members().collect())?;
        let (slots, all) = (of_members().map(|(slot, _)| slot).collect(), of_members().count() < self.waiting.len());
        Ok(Asked { slots, all })
    }
}
