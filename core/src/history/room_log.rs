//! The history of one room.

use super::keep::Keep;
use super::keys::Keys;
use super::position::Position;
use crate::base::{OutgoingBuf, Time};
use alloc::collections::VecDeque;

/// A message in a room's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptMessage {
    /// The position after this message.
    pub position: Position,
    /// The mark of the message before this one. 0: this is the first.
    pub previous: u64,
    /// When the message was published.
    pub at: Time,
    /// The message.
    pub message: OutgoingBuf,
}

/// Why messages of a room may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Gap {
    /// The position is of another epoch: the history was lost, and a new one began.
    #[error("other_epoch")]
    OtherEpoch,
    /// Messages after the position are no longer kept.
    #[error("too_old")]
    TooOld,
    /// The position names a message that the history does not have: some of it was lost, or the
    /// position is forged.
    #[error("rewritten")]
    Rewritten,
    /// The reader missed more messages or bytes than it may receive at once.
    #[error("too_many")]
    TooMany,
    /// The reader was too slow, and messages to it were skipped.
    #[error("too_slow")]
    TooSlow,
    /// A message could not be sent to the reader: its wire cannot carry that length.
    #[error("unsendable")]
    Unsendable,
    /// The room has no history, or has had none for a while.
    #[error("no_history")]
    NoHistory,
    /// The broker that keeps the room could not be reached.
    #[error("broker_away")]
    BrokerAway,
}

impl Gap {
    /// All gaps, in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::OtherEpoch,
        Self::TooOld,
        Self::Rewritten,
        Self::TooMany,
        Self::TooSlow,
        Self::Unsendable,
        Self::NoHistory,
        Self::BrokerAway,
    ];

    /// Returns the name, such as `too_old`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherEpoch => "other_epoch",
            Self::TooOld => "too_old",
            Self::Rewritten => "rewritten",
            Self::TooMany => "too_many",
            Self::TooSlow => "too_slow",
            Self::Unsendable => "unsendable",
            Self::NoHistory => "no_history",
            Self::BrokerAway => "broker_away",
        }
    }
}

/// Memory of a kept message besides its bytes: its place in the queue, and its allocation.
pub(crate) const MESSAGE_BYTES: usize = size_of::<KeptMessage>() + 16;

/// The history of one room: its latest messages, and the position of the last one.
#[derive(Clone, Debug)]
pub(super) struct RoomLog {
    epoch: u64,
    /// The offset and the mark of the last message, even if it is no longer kept.
    top: (u64, u64),
    messages: VecDeque<KeptMessage>,
    /// Number of bytes of the kept messages.
    bytes: usize,
    pub(super) keys: Keys,
}

impl RoomLog {
    pub(super) const fn new(epoch: u64) -> Self {
        Self { epoch, top: (0, 0), messages: VecDeque::new(), bytes: 0, keys: Keys::new() }
    }

    /// Returns the position after the last message.
    pub(super) const fn top(&self) -> Position {
        Position::new(self.epoch, self.top.0, self.top.1)
    }

    /// Returns the memory that the messages and keys use, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.messages.len() * MESSAGE_BYTES + self.bytes + self.keys.cost()
    }

    /// Recounts the memory that the messages and keys use, in bytes.
    #[cfg(feature = "sim")]
    pub(super) fn recount(&self) -> usize {
        let of_messages: usize =
            self.messages.iter().map(|kept| MESSAGE_BYTES + kept.message.as_outgoing().len()).sum();
        of_messages + self.keys.recount()
    }

    /// Returns `true` if there is nothing that [`drop_oldest`](Self::drop_oldest) could drop.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.keys.is_empty()
    }

    /// Appends a message, and drops messages beyond the limits of `keep`.
    pub(super) fn append(&mut self, now: Time, keep: &Keep, mark: u64, message: OutgoingBuf) -> Position {
        let previous = self.top.1;
        self.top = (self.top.0.saturating_add(1), mark);
        self.bytes += message.as_outgoing().len();
        self.messages.push_back(KeptMessage { position: self.top(), previous, at: now, message });
        self.trim(now, keep);
        self.top()
    }

    /// Drops the oldest messages and keys until the rest is within the limits of `keep`.
    pub(super) fn trim(&mut self, now: Time, keep: &Keep) {
        self.keys.expire(now, keep.key_window);
        let is_old = |kept: &KeptMessage| keep.age.is_some_and(|age| now.since(kept.at) >= age);
        while self.messages.len() > keep.messages as usize
            || self.bytes > keep.bytes as usize
            || self.messages.front().is_some_and(is_old)
        {
            self.drop_oldest_message();
        }
        // Frees the memory of an earlier burst.
        if self.messages.capacity() > 16 && self.messages.len() < self.messages.capacity() / 4 {
            self.messages.shrink_to(self.messages.len() * 2);
        }
    }

    /// Drops the oldest message, or the oldest key if there is no message.
    pub(super) fn drop_oldest(&mut self) {
        if !self.drop_oldest_message() {
            self.keys.drop_oldest();
        }
    }

    fn drop_oldest_message(&mut self) -> bool {
        let Some(oldest) = self.messages.pop_front() else { return false };
        self.bytes -= oldest.message.as_outgoing().len();
        true
    }

    /// Drops all messages, but keeps the position and the keys.
    pub(super) fn clear(&mut self) {
        self.messages = VecDeque::new();
        self.bytes = 0;
    }

    /// Returns the messages after a position, if none is missing among them.
    pub(super) fn since(
        &self,
        since: Position,
        messages_max: usize,
        bytes_max: usize,
    ) -> Result<impl Iterator<Item = &KeptMessage>, Gap> {
        let missed = self.missed_since(since)?;
        if missed > messages_max {
            return Err(Gap::TooMany);
        }
        let messages = || self.messages.iter().skip(self.messages.len() - missed);
        let bytes: usize = messages().map(|kept| kept.message.as_outgoing().len()).sum();
        if bytes > bytes_max { Err(Gap::TooMany) } else { Ok(messages()) }
    }

    /// Returns the number of messages after a position, all of which are kept.
    pub(super) fn missed_since(&self, since: Position) -> Result<usize, Gap> {
        if since.epoch != self.epoch {
            return Err(Gap::OtherEpoch);
        }
        let Some(missed) = self.top.0.checked_sub(since.offset) else { return Err(Gap::Rewritten) };
        let kept = self.messages.len();
        let (missed, known) = match usize::try_from(missed) {
            Ok(0) => (0, self.top.1),
            // The next message holds the mark of the message before it.
            Ok(missed) if missed <= kept => (missed, self.messages.get(kept - missed).map_or(0, |next| next.previous)),
            _ => return Err(Gap::TooOld),
        };
        let is_known = known == since.mark || since.mark == Position::ANY_MARK;
        if is_known { Ok(missed) } else { Err(Gap::Rewritten) }
    }

    /// Returns at most `max` kept messages after an offset, oldest first.
    pub(super) fn after(&self, offset: u64, max: usize) -> impl Iterator<Item = &KeptMessage> {
        let from = self.messages.partition_point(|kept| kept.position.offset <= offset);
        self.messages.iter().skip(from).take(max)
    }
}
