//! The history of one room.

use super::position::Position;
use crate::base::{OutgoingBuf, Time, setters};
use alloc::collections::VecDeque;
use core::time::Duration;

/// How much of a room's history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// Maximum number of messages. With 0, none is kept: a returning reader is recovered only if
    /// nothing was published meanwhile.
    pub messages: u32,
    /// Maximum number of bytes of messages, and of a single one. With 0, only empty messages are
    /// accepted.
    pub bytes: u32,
    /// Time after which a message is no longer kept. `None`: no limit. With zero, none is kept.
    pub age: Option<Duration>,
}

setters!(Keep { bytes: u32, age: Option<Duration> });

impl Keep {
    /// Keeps at most this many messages, of 1 MiB in total and of any age.
    #[must_use]
    pub const fn messages(messages: u32) -> Self {
        Self { messages, bytes: 1 << 20, age: None }
    }
}

/// A message in a room's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The position after this message.
    pub position: Position,
    /// The mark of the message before this one. 0: this is the first.
    pub previous: u64,
    /// When the message was published.
    pub at: Time,
    /// The message.
    pub message: OutgoingBuf,
}

/// Why a returning reader may have missed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
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
    /// The reader missed more messages than the call may return.
    #[error("too_many")]
    TooMany,
}

/// Memory of a kept message besides its bytes: its place in the queue, and its allocation.
const MESSAGE_BYTES: usize = size_of::<Kept>() + 16;

/// The history of one room: its latest messages, and the position of the last one.
#[derive(Clone, Debug)]
pub(super) struct RoomLog {
    epoch: u64,
    /// The offset and the mark of the last message, even if it is no longer kept.
    top: (u64, u64),
    messages: VecDeque<Kept>,
    /// Number of bytes of the kept messages.
    bytes: usize,
}

impl RoomLog {
    pub(super) const fn new(epoch: u64) -> Self {
        Self { epoch, top: (0, 0), messages: VecDeque::new(), bytes: 0 }
    }

    /// Returns the position after the last message.
    pub(super) const fn top(&self) -> Position {
        Position::new(self.epoch, self.top.0, self.top.1)
    }

    /// Returns the memory that the messages use, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.messages.len() * MESSAGE_BYTES + self.bytes
    }

    /// Appends a message, and drops messages beyond the limits of `keep`.
    pub(super) fn append(&mut self, now: Time, keep: &Keep, mark: u64, message: OutgoingBuf) -> Position {
        let previous = self.top.1;
        self.top = (self.top.0.saturating_add(1), mark);
        self.bytes += message.as_outgoing().len();
        self.messages.push_back(Kept { position: self.top(), previous, at: now, message });
        self.trim(now, keep);
        self.top()
    }

    /// Drops the oldest messages until the rest is within the limits of `keep`.
    pub(super) fn trim(&mut self, now: Time, keep: &Keep) {
        let is_old = |kept: &Kept| keep.age.is_some_and(|age| now.since(kept.at) >= age);
        while self.messages.len() > keep.messages as usize
            || self.bytes > keep.bytes as usize
            || self.messages.front().is_some_and(is_old)
        {
            self.drop_oldest();
        }
        // Frees the memory of an earlier burst.
        if self.messages.capacity() > 16 && self.messages.len() < self.messages.capacity() / 4 {
            self.messages.shrink_to(self.messages.len() * 2);
        }
    }

    /// Drops the oldest message. Returns `false` if there is none.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.messages.pop_front() else { return false };
        self.bytes -= oldest.message.as_outgoing().len();
        true
    }

    /// Returns the messages after a position, at most `max`, if none is missing among them.
    pub(super) fn since(&self, since: Position, max: usize) -> Result<impl Iterator<Item = &Kept>, Lost> {
        if since.epoch != self.epoch {
            return Err(Lost::OtherEpoch);
        }
        let Some(missed) = self.top.0.checked_sub(since.offset) else { return Err(Lost::Rewritten) };
        let kept = self.messages.len();
        let known = match usize::try_from(missed) {
            Ok(0) => self.top.1,
            // The next message holds the mark of the message before it.
            Ok(missed) if missed <= kept => self.messages.get(kept - missed).map_or(0, |next| next.previous),
            _ => return Err(Lost::TooOld),
        };
        if known != since.mark {
            return Err(Lost::Rewritten);
        }
        let missed = usize::try_from(missed).unwrap_or(usize::MAX);
        if missed > max {
            return Err(Lost::TooMany);
        }
        Ok(self.messages.iter().skip(kept - missed))
    }

    /// Returns at most `max` kept messages after an offset, oldest first.
    pub(super) fn after(&self, offset: u64, max: usize) -> impl Iterator<Item = &Kept> {
        let from = self.messages.partition_point(|kept| kept.position.offset <= offset);
        self.messages.iter().skip(from).take(max)
    }
}
